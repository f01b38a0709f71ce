#include "berth/storage/memory_store.hpp"

#include "berth/base/format.hpp"

namespace berth {

class MemoryTransaction final : public StoreTransaction {
public:
    MemoryTransaction(MemoryStore& store, StoreAccess access) : store_(store) {
        if (access == StoreAccess::write) writing_ = std::unique_lock(store.writing_);
        const std::lock_guard lock(store.mutex_);
        seen_ = store.map_;
        if (access == StoreAccess::write) own_ = std::make_unique<MemoryStore::Map>(*seen_);
    }

    Result<std::optional<Bytes>> get(ByteView key) override {
        const auto found = map().find(Bytes(key.begin(), key.end()));
        return found == map().end() ? std::optional<Bytes>() : std::optional(found->second);
    }

    Result<void> put(ByteView key, ByteView value) override {
        if (own_ == nullptr) return fail(Code::conflict, "a reading transaction changes nothing");
        if (key.size() > largest_stored_value || value.size() > largest_stored_value) return fail(Code::payload_too_large, format("a stored key or value has at most {} bytes", largest_stored_value));
        own_->insert_or_assign(Bytes(key.begin(), key.end()), Bytes(value.begin(), value.end()));
        return {};
    }

    Result<void> erase(ByteView key) override {
        if (own_ == nullptr) return fail(Code::conflict, "a reading transaction changes nothing");
        own_->erase(Bytes(key.begin(), key.end()));
        return {};
    }

    Result<void> walk(ByteView from, ByteView to, const std::function<bool(ByteView, ByteView)>& take) override {
        const Bytes end(to.begin(), to.end());
        const auto copy = map();  // what is walked over does not change under the walk
        for (auto at = copy.lower_bound(Bytes(from.begin(), from.end())); at != copy.end(); ++at) {
            if (!end.empty() && at->first >= end) break;
            if (!take(at->first, at->second)) break;
        }
        return {};
    }

    Result<void> commit() override {
        if (own_ == nullptr) return {};
        const std::lock_guard lock(store_.mutex_);
        store_.map_ = std::move(own_);
        seen_ = store_.map_;
        return {};
    }

private:
    const MemoryStore::Map& map() const noexcept { return own_ != nullptr ? *own_ : *seen_; }

    MemoryStore& store_;
    std::unique_lock<std::mutex> writing_;
    std::shared_ptr<const MemoryStore::Map> seen_;
    std::unique_ptr<MemoryStore::Map> own_;  // null: reading, or committed
};

Result<std::unique_ptr<StoreTransaction>> MemoryStore::begin(StoreAccess access) { return std::make_unique<MemoryTransaction>(*this, access); }

}  // namespace berth
