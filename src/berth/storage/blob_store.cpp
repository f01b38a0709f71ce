#include "berth/storage/blob_store.hpp"

#include "berth/base/format.hpp"

namespace berth {
namespace {

Bytes key_of(const Cid& cid) {
    const auto prefix = as_bytes("blob/");
    Bytes key(prefix.begin(), prefix.end());
    const auto id = cid.bytes();
    key.insert(key.end(), id.begin(), id.end());
    return key;
}

}  // namespace

Result<std::optional<Bytes>> KeyValueStore::get(ByteView key) {
    BERTH_TRY(const auto transaction, begin(StoreAccess::read));
    return transaction->get(key);
}

Result<void> KeyValueStore::put(ByteView key, ByteView value) {
    BERTH_TRY(const auto transaction, begin(StoreAccess::write));
    BERTH_TRYV(transaction->put(key, value));
    return transaction->commit();
}

Result<Cid> BlobStore::put(Cid::Codec codec, ByteView block) {
    const auto cid = Cid::of(codec, block);
    BERTH_TRY(const bool there, holds(cid));
    if (!there) BERTH_TRYV(store_.put(key_of(cid), block));
    return cid;
}

Result<std::optional<Bytes>> BlobStore::get(const Cid& cid) {
    BERTH_TRY(auto block, store_.get(key_of(cid)));
    if (block && sha256(*block) != cid.digest()) return fail(Code::integrity_failed, format("the stored block {} is damaged", cid.text()));
    return block;
}

Result<bool> BlobStore::holds(const Cid& cid) {
    BERTH_TRY(const auto block, store_.get(key_of(cid)));
    return block.has_value();
}

}  // namespace berth
