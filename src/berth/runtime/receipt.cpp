#include "berth/runtime/receipt.hpp"

#include <algorithm>
#include <array>

#include "berth/base/error_code.hpp"
#include "berth/base/format.hpp"
#include "berth/crypto/did_key.hpp"

namespace berth {
namespace {

constexpr std::array<std::string_view, 14> own_keys{"v",    "world",         "executor",    "module", "policy",        "input", "output", "journal",
                                                    "fuel", "fuel_schedule", "peak_memory", "exit",   "deterministic", "sig"};

std::unexpected<Error> invalid(std::string text) { return fail(Code::receipt_invalid, std::move(text)); }

Cbor link_or_null(const std::optional<Cid>& cid) { return cid ? Cbor(*cid) : Cbor(); }

Cbor::Map map_of(const Receipt& receipt) {
    Cbor::Map map{{"v", 1},
                  {"world", receipt.world},
                  {"executor", receipt.executor},
                  {"module", link_or_null(receipt.module)},
                  {"policy", link_or_null(receipt.policy)},
                  {"input", link_or_null(receipt.input)},
                  {"output", link_or_null(receipt.output)},
                  {"journal", receipt.journal ? Cbor(Bytes(receipt.journal->begin(), receipt.journal->end())) : Cbor()},
                  {"fuel", receipt.fuel},
                  {"fuel_schedule", receipt.fuel_schedule},
                  {"peak_memory", receipt.peak_memory},
                  {"exit", Cbor::Map{{"code", receipt.exit_code}, {"status", receipt.exit_status}}},
                  {"deterministic", receipt.deterministic}};
    map.insert(map.end(), receipt.more.begin(), receipt.more.end());
    return map;
}

class Fields {
public:
    explicit Fields(const Cbor& map) : map_(map) {}

    Result<const Cbor*> field(std::string_view key) const {
        const auto* value = map_.find(key);
        if (value == nullptr) return invalid(format("the receipt has no {}", key));
        return value;
    }
    Result<std::string> text(std::string_view key) const {
        BERTH_TRY(const auto* value, field(key));
        if (value->text() == nullptr) return invalid(format("{} of the receipt is no text", key));
        return *value->text();
    }
    Result<std::uint64_t> number(std::string_view key) const {
        BERTH_TRY(const auto* value, field(key));
        if (value->unsigned_number() == nullptr) return invalid(format("{} of the receipt is no whole number", key));
        return *value->unsigned_number();
    }
    Result<std::optional<Cid>> link(std::string_view key, Cid::Codec codec) const {
        BERTH_TRY(const auto* value, field(key));
        if (value->is_null()) return std::optional<Cid>();
        if (value->link() == nullptr || value->link()->codec() != codec) return invalid(format("{} of the receipt is no link of its kind", key));
        return std::optional(*value->link());
    }
    Result<const Bytes*> bytes(std::string_view key, std::size_t size) const {
        BERTH_TRY(const auto* value, field(key));
        if (value->bytes() == nullptr || value->bytes()->size() != size) return invalid(format("{} of the receipt does not have {} bytes", key, size));
        return value->bytes();
    }

private:
    const Cbor& map_;
};

Result<Receipt> read(const Cbor& map) {
    if (map.map() == nullptr) return invalid("a receipt is a map");
    const Fields fields(map);
    Receipt receipt;
    BERTH_TRY(const auto version, fields.number("v"));
    if (version != 1) return fail(Code::version_unsupported, format("the receipt has version {}; this build reads 1", version));
    BERTH_TRY(receipt.world, fields.text("world"));
    BERTH_TRY(receipt.executor, fields.text("executor"));
    BERTH_TRY(receipt.module, fields.link("module", Cid::Codec::raw));
    BERTH_TRY(receipt.policy, fields.link("policy", Cid::Codec::dag_cbor));
    BERTH_TRY(receipt.input, fields.link("input", Cid::Codec::raw));
    BERTH_TRY(receipt.output, fields.link("output", Cid::Codec::raw));
    BERTH_TRY(const auto* journal, fields.field("journal"));
    if (!journal->is_null()) {
        BERTH_TRY(const auto* root, fields.bytes("journal", 32));
        receipt.journal.emplace();
        std::copy(root->begin(), root->end(), receipt.journal->begin());
    }
    BERTH_TRY(receipt.fuel, fields.number("fuel"));
    BERTH_TRY(receipt.fuel_schedule, fields.text("fuel_schedule"));
    BERTH_TRY(receipt.peak_memory, fields.number("peak_memory"));
    BERTH_TRY(const auto* exit, fields.field("exit"));
    const auto* code = exit->find("code");
    const auto* status = exit->find("status");
    if (exit->map() == nullptr || exit->map()->size() != 2 || code == nullptr || status == nullptr || code->text() == nullptr || !status->signed_number(receipt.exit_status)) {
        return invalid("exit of the receipt is not {code, status}");
    }
    receipt.exit_code = *code->text();
    if (!code_named(receipt.exit_code)) return invalid(format("there is no code {}", receipt.exit_code));
    BERTH_TRY(const auto* deterministic, fields.field("deterministic"));
    if (deterministic->boolean() == nullptr) return invalid("deterministic of the receipt is neither true nor false");
    receipt.deterministic = *deterministic->boolean();
    for (const auto& [key, value] : *map.map()) {
        if (std::find(own_keys.begin(), own_keys.end(), key) == own_keys.end()) receipt.more.emplace_back(key, value);
    }
    return receipt;
}

}  // namespace

Bytes Receipt::record() const { return Cbor(map_of(*this)).encode(); }

Bytes SignedReceipt::block() const {
    auto map = map_of(receipt);
    map.emplace_back("sig", Bytes(signature.begin(), signature.end()));
    return Cbor(std::move(map)).encode();
}

SignedReceipt SignedReceipt::sign(Receipt receipt, const SigningKey& key) {
    receipt.executor = did_key(key.public_key());
    const auto signature = key.sign(receipt_tag, receipt.record());
    return {std::move(receipt), signature};
}

Result<SignedReceipt> SignedReceipt::open(ByteView block) {
    const auto map = Cbor::decode(block);
    if (!map) return invalid(map.error().message());
    SignedReceipt opened;
    BERTH_TRY(opened.receipt, read(*map));
    BERTH_TRY(const auto* signature, Fields(*map).bytes("sig", opened.signature.size()));
    std::copy(signature->begin(), signature->end(), opened.signature.begin());
    const auto key = parse_did_key(opened.receipt.executor);
    if (!key) return invalid(format("the executor {} cannot be checked: {}", opened.receipt.executor, key.error().message()));
    // What was read is what was written: nothing of the block is outside of the signature.
    const auto whole = opened.block();
    if (!std::equal(whole.begin(), whole.end(), block.begin(), block.end())) return invalid("the receipt is not in its canonical form");
    if (!verify_signature(*key, receipt_tag, opened.receipt.record(), opened.signature)) return invalid("the signature of the receipt does not hold");
    return opened;
}

std::vector<std::string> receipt_differences(const Receipt& a, const Receipt& b) {
    std::vector<std::string> names;
    const auto compare = [&](std::string_view name, bool equal) {
        if (!equal) names.emplace_back(name);
    };
    compare("world", a.world == b.world);
    compare("module", a.module == b.module);
    compare("policy", a.policy == b.policy);
    compare("input", a.input == b.input);
    compare("output", a.output == b.output);
    compare("journal", a.journal == b.journal);
    compare("fuel", a.fuel == b.fuel);
    compare("fuel_schedule", a.fuel_schedule == b.fuel_schedule);
    compare("peak_memory", a.peak_memory == b.peak_memory);
    compare("exit", a.exit_code == b.exit_code && a.exit_status == b.exit_status);
    compare("deterministic", a.deterministic == b.deterministic);
    return names;
}

}  // namespace berth
