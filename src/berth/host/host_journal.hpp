#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"
#include "berth/capability/capability.hpp"

namespace berth {

struct HostFunction;

/// What stands between the host calls of one guest and a journal: a recorder lets them happen and writes them down, a
/// replayer serves what was written and lets nothing happen. The gate asks it, in this order, about every call that is not
/// pure (HostFunctionRow::pure). One call of a guest, one thread.
class HostJournal {
public:
    virtual ~HostJournal() = default;

    enum class Next : std::uint8_t {
        execute,  // let it happen, then tell the outcome
        served,   // hand the guest this outcome; nothing happens
        unknown,  // a crash left open whether it happened: give the guest unknown_outcome, then tell that
        failed,   // end the call; failure() says why
    };

    /// Whether outcomes are served: then no grant is asked.
    virtual bool replays() const noexcept = 0;
    /// Whether a call is taken up: what happens behind the served outcomes happens, so that the guest's own state must be there.
    virtual bool recovers() const noexcept { return false; }
    /// Replaying: the capability for want of which the call that comes next was refused by the gate, as it was recorded.
    virtual std::optional<Capability> refusal(std::string_view function) = 0;
    /// Recording: the gate refused the call.
    virtual Next refused(std::string_view function, Capability capability) = 0;

    /// Before the effect. `outcome` is set when it is served and stays valid until the next call.
    virtual Next before(std::string_view function, const HostFunction& row, ByteView arguments, ByteView& outcome) = 0;
    /// Recording, during the call: a grant was asked for on a value of its scope.
    virtual void used(Capability capability, std::string_view scope, bool allowed) = 0;
    /// Recording, after the effect: what the guest is about to be given.
    virtual Next after(const HostFunction& row, ByteView outcome) = 0;
    /// Recording: a capability was taken away. Failing to write it shows at the next operation.
    virtual void revoked(Capability capability) = 0;
    /// Replaying: bytes that the call handed out, of which as many as were recorded went to an output of the guest.
    virtual void output(ByteView bytes) = 0;
    /// The guest has been given the outcome.
    virtual Next seen(const HostFunction& row) = 0;

    /// The idempotency key of the call in progress; empty for functions that take none.
    virtual std::string_view key() const noexcept { return {}; }

    /// Why the call must end, after Next::failed.
    virtual Error failure() const = 0;
};

/// Numbers are little-endian, lengths are unsigned LEB128, text and bytes have their length in front.
class JournalPut {
public:
    explicit JournalPut(Bytes& out) noexcept : out_(out) {}
    template <class T>
    void plain(const T& value) {
        const auto at = out_.size();
        out_.resize(at + sizeof(T));
        std::memcpy(out_.data() + at, &value, sizeof(T));
    }
    void raw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
    void length(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<std::uint8_t>(value | 0x80));
        out_.push_back(static_cast<std::uint8_t>(value));
    }
    void bytes(ByteView value) {
        length(value.size());
        raw(value);
    }
    void text(std::string_view value) { bytes(as_bytes(value)); }

private:
    Bytes& out_;
};

/// Reads what JournalPut wrote; nothing read past an end or longer than what is there.
class JournalGet {
public:
    explicit JournalGet(ByteView bytes) noexcept : rest_(bytes) {}
    template <class T>
    bool plain(T& value) noexcept {
        ByteView part;
        if (!raw(sizeof(T), part)) return false;
        auto* to = reinterpret_cast<std::uint8_t*>(&value);
        for (std::size_t i = 0; i < sizeof(T); ++i) to[i] = part[i];
        return true;
    }
    bool raw(std::uint64_t size, ByteView& out) noexcept {
        if (size > rest_.size()) return false;
        out = rest_.first(static_cast<std::size_t>(size));
        rest_ = rest_.subspan(out.size());
        return true;
    }
    bool length(std::uint64_t& value) noexcept {
        value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            std::uint8_t byte = 0;
            if (!plain(byte)) return false;
            value |= std::uint64_t{byte & 0x7FU} << shift;
            if (byte < 0x80) return true;
        }
        return false;
    }
    bool bytes(ByteView& out) noexcept {
        std::uint64_t size = 0;
        return length(size) && raw(size, out);
    }
    bool text(std::string_view& out) noexcept {
        ByteView part;
        if (!bytes(part)) return false;
        out = as_text(part);
        return true;
    }
    bool at_end() const noexcept { return rest_.empty(); }
    ByteView rest() const noexcept { return rest_; }

private:
    ByteView rest_;
};

/// How a call was answered, the first byte of a recorded outcome.
enum class OutcomeKind : std::uint8_t {
    answered,  // results, and what was stored in the guest's memory
    ended,     // the host ended the guest: code and message
    refused,   // the gate refused it: the capability
    revoked,   // results as for `answered`, but a grant was taken away meanwhile: nothing is left in the guest's memory
};

}  // namespace berth
