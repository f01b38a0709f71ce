#pragma once

#include <optional>

#include "berth/base/cid.hpp"
#include "berth/storage/key_value_store.hpp"

namespace berth {

/// Immutable blocks by their content id, in a store of keys and values (below the keys that begin with `blob/`). Any thread; the
/// store outlives it.
class BlobStore {
public:
    explicit BlobStore(KeyValueStore& store) : store_(store) {}

    /// Durable when it returns. The id is computed here; the same block twice is one.
    Result<Cid> put(Cid::Codec codec, ByteView block);
    /// Nothing when it is not there; integrity_failed when what is there is not what the id says.
    Result<std::optional<Bytes>> get(const Cid& cid);
    Result<bool> holds(const Cid& cid);

private:
    KeyValueStore& store_;
};

}  // namespace berth
