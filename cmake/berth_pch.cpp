// The precompiled header that modules share belongs to a target, and a target needs a source.
