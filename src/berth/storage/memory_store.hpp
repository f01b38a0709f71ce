#pragma once

#include <map>
#include <mutex>

#include "berth/storage/key_value_store.hpp"

namespace berth {

/// Everything in memory, gone with the object; for tests and for hosts that keep nothing.
class MemoryStore final : public KeyValueStore {
public:
    Result<std::unique_ptr<StoreTransaction>> begin(StoreAccess access) override;

private:
    friend class MemoryTransaction;
    using Map = std::map<Bytes, Bytes>;

    std::mutex mutex_;
    std::mutex writing_;                                              // held by the writing transaction
    std::shared_ptr<const Map> map_ = std::make_shared<const Map>();  // guarded by mutex_; shared with the transactions that began on it
};

}  // namespace berth
