#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"

namespace berth {

/// From file offsets in the code of a metered module back to those of the original. What the pass inserted belongs to
/// the operator it stands before, and the check after a bulk operation to that operation, so no frame shows anything
/// that the original does not have.
///
/// One run of bytes, the same in memory and in the code cache: a table of functions in order, then for each function
/// the lengths of inserted and copied stretches. A look-up searches the table and walks one function. Immutable.
class OffsetMap {
public:
    /// Maps nothing: the module has no code, or was not changed.
    OffsetMap() = default;

    /// Takes back what `bytes()` gave. Fails with bad_input on anything else; a map that was altered within its form
    /// gives wrong offsets and no worse.
    static Result<OffsetMap> parse(Bytes bytes);
    const Bytes& bytes() const noexcept { return bytes_; }

    /// The offset in the original of what stands at `offset` in the metered module; nothing outside of function bodies.
    std::optional<std::uint32_t> original(std::uint32_t offset) const noexcept;

    class Builder;

private:
    explicit OffsetMap(Bytes bytes) : bytes_(std::move(bytes)) {}
    std::uint32_t word(std::size_t index) const noexcept;

    Bytes bytes_;
};

/// Collects a map while the pass writes function after function.
class OffsetMap::Builder {
public:
    /// A body begins whose operators begin at that file offset of the original. What stands before the first operator is
    /// an insertion.
    void begin_function(std::size_t original_operators);
    /// `size` bytes that the original does not have; `trailing` where they belong to the operator before them.
    void inserted(std::size_t size, bool trailing = false);
    void copied(std::size_t size);
    /// The body begins at `metered_begin`, counted from the start of the code section's payload, and has `size` bytes.
    void end_function(std::size_t metered_begin, std::size_t size);
    /// `code_begin` is the file offset of the code section's payload in the metered module.
    OffsetMap finish(std::size_t code_begin);

private:
    struct Function {
        std::uint32_t metered_begin;
        std::uint32_t metered_size;
        std::uint32_t original;
        std::uint32_t runs;
    };
    void flush();

    std::vector<Function> functions_;
    Bytes runs_;
    Function current_{};
    std::size_t inserted_ = 0;
    std::size_t copied_ = 0;
    bool trailing_ = false;
};

}  // namespace berth
