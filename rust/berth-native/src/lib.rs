//! Engine binding.
