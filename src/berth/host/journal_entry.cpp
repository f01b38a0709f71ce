#include <algorithm>
#include <array>

#include "berth/base/cbor.hpp"
#include "berth/base/format.hpp"
#include "berth/base/utf8.hpp"
#include "berth/host/journal.hpp"

namespace berth {
namespace {

constexpr std::array<std::string_view, 13> kind_names{"open", "val", "call", "done", "seen", "log", "in", "out", "exit", "revoke", "cancel", "mark", "end"};

std::unexpected<Error> invalid(std::string text) { return fail(Code::journal_invalid, std::move(text)); }

Bytes bytes_of(const Digest& digest) { return {digest.begin(), digest.end()}; }

Cbor open_payload(const JournalOpen& open) {
    Cbor::Map map{{"t", "open"},
                  {"v", 1},
                  {"world", open.world},
                  {"module", bytes_of(open.module)},
                  {"entry", open.entry},
                  {"args", open.args},
                  {"policy", bytes_of(open.policy)},
                  {"seed", open.seed},
                  {"clock", open.clock},
                  {"deterministic", open.deterministic},
                  {"fuel_schedule", open.fuel_schedule}};
    if (!open.engine.empty()) map.emplace_back("engine", open.engine);
    if (!open.limits.empty()) {
        Cbor::Map limits;
        for (const auto& [name, value] : open.limits) limits.emplace_back(name, value);
        map.emplace_back("limits", std::move(limits));
    }
    if (open.before) map.emplace_back("before", Cbor::Map{{"name", open.before->name}, {"root", bytes_of(open.before->root)}});
    return map;
}

/// A value, or the link to the block that it was put into.
Result<void> put_value(Bytes& out, const Bytes& value, JournalBlocks* blocks) {
    if (value.size() <= journal_inline_limit || blocks == nullptr) {
        cbor::put_bytes(out, value);
        return {};
    }
    const auto cid = Cid::of(Cid::Codec::raw, value);
    BERTH_TRYV(blocks->put(cid, value));
    cbor::put_link(out, cid);
    return {};
}

/// The members of one payload, each taken at most once; what is left over is unknown.
class Members {
public:
    Members(const Cbor::Map& map, JournalKind kind, JournalBlocks* blocks) : map_(map), kind_(kind), blocks_(blocks) {}

    const Cbor* optional(std::string_view key) {
        for (const auto& [name, value] : map_) {
            if (name != key) continue;
            ++taken_;
            return &value;
        }
        return nullptr;
    }
    Result<const Cbor*> required(std::string_view key) {
        const auto* found = optional(key);
        if (found == nullptr) return invalid(format("an entry {} has no {}", berth::name(kind_), key));
        return found;
    }
    Result<std::uint64_t> number(std::string_view key) {
        BERTH_TRY(const auto* value, required(key));
        if (value->unsigned_number() == nullptr) return wrong(key, "a whole number");
        return *value->unsigned_number();
    }
    Result<std::int64_t> signed_number(std::string_view key) {
        BERTH_TRY(const auto* value, required(key));
        std::int64_t number = 0;
        if (!value->signed_number(number)) return wrong(key, "a whole number");
        return number;
    }
    Result<std::string> text(std::string_view key) {
        BERTH_TRY(const auto* value, required(key));
        if (value->text() == nullptr) return wrong(key, "text");
        return *value->text();
    }
    Result<bool> boolean(std::string_view key) {
        BERTH_TRY(const auto* value, required(key));
        if (value->boolean() == nullptr) return wrong(key, "true or false");
        return *value->boolean();
    }
    Result<Bytes> bytes(std::string_view key) {
        BERTH_TRY(const auto* value, required(key));
        if (const auto* link = value->link(); link != nullptr && blocks_ != nullptr) return blocks_->get(*link);
        if (value->bytes() == nullptr) return wrong(key, value->link() != nullptr ? "a link to a block that can be read here" : "bytes");
        return *value->bytes();
    }
    Result<Digest> digest(std::string_view key) {
        BERTH_TRY(const auto* value, required(key));
        if (value->bytes() == nullptr || value->bytes()->size() != std::tuple_size_v<Digest>) return wrong(key, "32 bytes");
        Digest digest;
        std::copy(value->bytes()->begin(), value->bytes()->end(), digest.begin());
        return digest;
    }
    Result<void> nothing_else() const {
        if (taken_ != map_.size()) return invalid(format("an entry {} has members that it does not take", berth::name(kind_)));
        return {};
    }
    std::unexpected<Error> wrong(std::string_view key, std::string_view what) const { return invalid(format("{} of an entry {} is not {}", key, berth::name(kind_), what)); }

private:
    const Cbor::Map& map_;
    JournalKind kind_;
    JournalBlocks* blocks_;
    std::size_t taken_ = 1;  // t
};

Result<JournalBefore> before_of(Members& members, const Cbor& value) {
    const auto* name = value.find("name");
    const auto* root = value.find("root");
    const bool whole = value.map() != nullptr && value.map()->size() == 2 && name != nullptr && name->text() != nullptr && root != nullptr && root->bytes() != nullptr && root->bytes()->size() == std::tuple_size_v<Digest>;
    if (!whole || !JournalBefore::is_name(*name->text())) return members.wrong("before", "the name of a journal beside this one and its root");
    JournalBefore before{.name = *name->text()};
    std::copy(root->bytes()->begin(), root->bytes()->end(), before.root.begin());
    return before;
}

Result<JournalOpen> open_of(Members& members) {
    JournalOpen open;
    BERTH_TRY(const auto version, members.number("v"));
    if (version != 1) return fail(Code::version_unsupported, format("the journal has version {}; this build reads 1", version));
    BERTH_TRY(open.world, members.text("world"));
    BERTH_TRY(open.module, members.digest("module"));
    BERTH_TRY(open.entry, members.text("entry"));
    BERTH_TRY(open.args, members.bytes("args"));
    BERTH_TRY(open.policy, members.digest("policy"));
    BERTH_TRY(open.seed, members.number("seed"));
    BERTH_TRY(open.clock, members.signed_number("clock"));
    BERTH_TRY(open.deterministic, members.boolean("deterministic"));
    BERTH_TRY(open.fuel_schedule, members.text("fuel_schedule"));
    if (const auto* engine = members.optional("engine")) {
        if (engine->text() == nullptr || engine->text()->empty()) return members.wrong("engine", "text");
        open.engine = *engine->text();
    }
    if (const auto* limits = members.optional("limits")) {
        if (limits->map() == nullptr || limits->map()->empty()) return members.wrong("limits", "a map of names to whole numbers");
        for (const auto& [name, value] : *limits->map()) {
            if (value.unsigned_number() == nullptr) return members.wrong("limits", "a map of names to whole numbers");
            open.limits.emplace_back(name, *value.unsigned_number());
        }
    }
    if (const auto* before = members.optional("before")) {
        BERTH_TRY(open.before, before_of(members, *before));
    }
    return open;
}

Result<void> read_members(Members& members, JournalEntry& entry) {
    switch (entry.kind) {
        case JournalKind::open: {
            BERTH_TRY(entry.open, open_of(members));
            return {};
        }
        case JournalKind::val:
        case JournalKind::call: {
            BERTH_TRY(entry.number, members.number("n"));
            BERTH_TRY(entry.function, members.text("f"));
            BERTH_TRY(entry.arguments, members.bytes("a"));
            if (entry.kind == JournalKind::val) {
                BERTH_TRY(entry.result, members.bytes("r"));
                return {};
            }
            BERTH_TRY(entry.capability, members.text("c"));
            if (const auto* key = members.optional("key")) {
                if (key->text() == nullptr || key->text()->empty()) return members.wrong("key", "text");
                entry.key = *key->text();
            }
            return {};
        }
        case JournalKind::done: {
            BERTH_TRY(entry.number, members.number("n"));
            BERTH_TRY(entry.result, members.bytes("r"));
            return {};
        }
        case JournalKind::seen: {
            BERTH_TRY(entry.number, members.number("n"));
            return {};
        }
        case JournalKind::log: {
            BERTH_TRY(entry.level, members.text("level"));
            BERTH_TRY(entry.message, members.text("m"));
            return {};
        }
        case JournalKind::in:
        case JournalKind::out: {
            BERTH_TRY(entry.descriptor, members.number("fd"));
            BERTH_TRY(entry.bytes, members.bytes("b"));
            return {};
        }
        case JournalKind::exit: {
            if (const auto* signal = members.optional("signal")) {
                if (signal->unsigned_number() == nullptr) return members.wrong("signal", "a whole number");
                entry.signal = *signal->unsigned_number();
                return {};
            }
            BERTH_TRY(entry.status, members.signed_number("status"));
            return {};
        }
        case JournalKind::revoke: {
            BERTH_TRY(entry.capability, members.text("c"));
            return {};
        }
        case JournalKind::cancel: return {};
        case JournalKind::mark: {
            BERTH_TRY(entry.label, members.text("label"));
            if (const auto* state = members.optional("state")) {
                if (state->bytes() == nullptr) return members.wrong("state", "bytes");
                entry.state = *state->bytes();
            }
            return {};
        }
        case JournalKind::end: {
            BERTH_TRY(entry.code, members.text("code"));
            BERTH_TRY(entry.result, members.bytes("r"));
            BERTH_TRY(entry.fuel, members.number("fuel"));
            BERTH_TRY(entry.peak, members.number("peak"));
            return {};
        }
    }
    return {};
}

}  // namespace

bool JournalBefore::is_name(std::string_view text) noexcept {
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'; };
    return !text.empty() && text.size() <= 200 && text.front() != '.' && std::ranges::all_of(text, fits);
}

std::string_view name(JournalKind kind) noexcept { return kind_names[static_cast<std::size_t>(kind)]; }

Result<Bytes> encode_journal_entry(const JournalEntry& entry, JournalBlocks* blocks) {
    Bytes out;
    const bool summoned = entry.summon.has_value();
    const auto head = [&](std::uint64_t members) { cbor::put_map(out, members + (summoned ? 1 : 0) + 1); };
    // Keys of one letter come first, in the order of the alphabet: a b c f m n r s t.
    const auto key = [&](std::string_view text) { cbor::put_text(out, text); };
    const auto tail = [&] {
        if (summoned) {
            key("s");
            cbor::put_number(out, *entry.summon);
        }
        key("t");
        cbor::put_text(out, berth::name(entry.kind));
    };
    switch (entry.kind) {
        case JournalKind::open: {
            auto payload = open_payload(*entry.open);
            if (summoned) {
                auto map = *payload.map();
                map.emplace_back("s", *entry.summon);
                payload = Cbor(std::move(map));
            }
            return payload.encode();
        }
        case JournalKind::val:
            head(4);
            key("a");
            BERTH_TRYV(put_value(out, entry.arguments, blocks));
            key("f");
            cbor::put_text(out, entry.function);
            key("n");
            cbor::put_number(out, entry.number);
            key("r");
            BERTH_TRYV(put_value(out, entry.result, blocks));
            tail();
            return out;
        case JournalKind::call:
            head(entry.key.empty() ? 4 : 5);
            key("a");
            BERTH_TRYV(put_value(out, entry.arguments, blocks));
            key("c");
            cbor::put_text(out, entry.capability);
            key("f");
            cbor::put_text(out, entry.function);
            key("n");
            cbor::put_number(out, entry.number);
            tail();
            if (!entry.key.empty()) {
                key("key");
                cbor::put_text(out, entry.key);
            }
            return out;
        case JournalKind::done:
            head(2);
            key("n");
            cbor::put_number(out, entry.number);
            key("r");
            BERTH_TRYV(put_value(out, entry.result, blocks));
            tail();
            return out;
        case JournalKind::seen:
            head(1);
            key("n");
            cbor::put_number(out, entry.number);
            tail();
            return out;
        default: break;
    }
    Cbor::Map map{{"t", std::string(berth::name(entry.kind))}};
    if (summoned) map.emplace_back("s", *entry.summon);
    const auto value = [&](std::string_view name, const Bytes& bytes) -> Result<void> {
        if (bytes.size() <= journal_inline_limit || blocks == nullptr) {
            map.emplace_back(name, bytes);
            return {};
        }
        const auto cid = Cid::of(Cid::Codec::raw, bytes);
        BERTH_TRYV(blocks->put(cid, bytes));
        map.emplace_back(name, cid);
        return {};
    };
    switch (entry.kind) {
        case JournalKind::log:
            map.emplace_back("level", entry.level);
            map.emplace_back("m", entry.message);
            break;
        case JournalKind::in:
        case JournalKind::out:
            map.emplace_back("fd", entry.descriptor);
            BERTH_TRYV(value("b", entry.bytes));
            break;
        case JournalKind::exit:
            if (entry.signal) {
                map.emplace_back("signal", *entry.signal);
            } else {
                map.emplace_back("status", entry.status.value_or(0));
            }
            break;
        case JournalKind::revoke: map.emplace_back("c", entry.capability); break;
        case JournalKind::mark:
            map.emplace_back("label", entry.label);
            if (entry.state) map.emplace_back("state", *entry.state);
            break;
        case JournalKind::end:
            map.emplace_back("code", entry.code);
            BERTH_TRYV(value("r", entry.result));
            map.emplace_back("fuel", entry.fuel);
            map.emplace_back("peak", entry.peak);
            break;
        default: break;
    }
    return Cbor(std::move(map)).encode();
}

Result<JournalEntry> decode_journal_entry(ByteView payload, JournalBlocks* blocks) {
    const auto value = Cbor::decode(payload);
    if (!value) return invalid(value.error().message());
    if (value->map() == nullptr) return invalid("an entry is no map");
    const auto* kind = value->find("t");
    if (kind == nullptr || kind->text() == nullptr) return invalid("an entry has no kind (t)");
    const auto known = std::find(kind_names.begin(), kind_names.end(), *kind->text());
    if (known == kind_names.end()) return invalid(format("there is no kind of entry \"{}\"", *kind->text()));
    JournalEntry entry;
    entry.kind = static_cast<JournalKind>(known - kind_names.begin());
    Members members(*value->map(), entry.kind, blocks);
    if (const auto* summon = members.optional("s")) {
        if (summon->unsigned_number() == nullptr) return members.wrong("s", "a whole number");
        entry.summon = *summon->unsigned_number();
    }
    BERTH_TRYV(read_members(members, entry));
    BERTH_TRYV(members.nothing_else());
    return entry;
}

}  // namespace berth
