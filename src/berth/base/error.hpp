#pragma once

#include <concepts>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/error_code.hpp"

namespace berth {

/// A failure on its way to whoever handles it: a code of the closed list, a message that names the thing, what is
/// wrong and the way out, and notes added on the way up that say what was being done.
///
/// One pointer wide, so that a Result costs nothing on the way that succeeds. Copies are deep.
class Error {
public:
    Error(Code code, std::string message);
    Error(const Error& other);
    Error& operator=(const Error& other);
    Error(Error&&) noexcept = default;
    Error& operator=(Error&&) noexcept = default;

    Code code() const noexcept;
    const std::string& message() const noexcept;
    /// The message with the notes in front, outermost first: `in manifest.json: unknown key "tiem"`.
    std::string full_message() const;

    /// Optional parts of core 9.4, empty when they do not apply.
    const std::string& where() const noexcept;       // on what: function, import, place in a source
    const std::string& from() const noexcept;        // the rule or line that decided
    const std::string& fix() const noexcept;         // what to change
    const std::string& diagnostic() const noexcept;  // number of a compiler or format diagnostic
    const std::string& trap() const noexcept;        // trap name of core 9.2
    const std::vector<std::string>& frames() const noexcept;  // guest frames, innermost first
    Origin origin() const noexcept;                  // the code's usual one unless it was set
    int exit_status() const noexcept;                // the code's unless it was set (a guest's own status)

    Error& set_where(std::string text);
    Error& set_from(std::string text);
    Error& set_fix(std::string text);
    Error& set_diagnostic(std::string text);
    Error& set_trap(std::string name);
    Error& set_frames(std::vector<std::string> frames);
    Error& set_origin(Origin origin);
    Error& set_exit_status(int status);
    /// Adds what was being done; called once for each level that has something to say.
    Error& add_note(std::string text);

private:
    struct Body;
    struct Deleter { void operator()(Body* body) const noexcept; };
    std::unique_ptr<Body, Deleter> body_;
};

template <class T = void>
using Result = std::expected<T, Error>;

/// `return fail(Code::not_found, format("…"));`
inline std::unexpected<Error> fail(Code code, std::string message) { return std::unexpected<Error>(Error(code, std::move(message))); }
inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(std::move(error)); }

namespace detail {
template <class F>
struct Note { F text; };
}  // namespace detail

/// `parse(x) | note([] { return "in manifest.json"; })`: the text is made only if there is an error.
template <class F>
    requires std::convertible_to<std::invoke_result_t<F>, std::string>
detail::Note<F> note(F text) { return {std::move(text)}; }

template <class T, class F>
Result<T> operator|(Result<T> result, const detail::Note<F>& note) {
    if (!result) result.error().add_note(std::string(note.text()));
    return result;
}

}  // namespace berth

#define BERTH_CONCAT_INNER(a, b) a##b
#define BERTH_CONCAT(a, b) BERTH_CONCAT_INNER(a, b)

/// BERTH_TRY(auto value, expression): declares `value` from a Result, or returns its error.
#define BERTH_TRY(declaration, ...) BERTH_TRY_INNER(BERTH_CONCAT(berth_try_, __COUNTER__), declaration, __VA_ARGS__)
#define BERTH_TRY_INNER(name, declaration, ...)                           \
    auto name = (__VA_ARGS__);                                            \
    if (!name) return ::std::unexpected(::std::move(name).error());       \
    declaration = ::std::move(name).value()

/// BERTH_TRYV(expression): the same for a Result<void>, or where the value is not wanted.
#define BERTH_TRYV(...)                                                                              \
    do {                                                                                             \
        if (auto berth_tried = (__VA_ARGS__); !berth_tried)                                          \
            return ::std::unexpected(::std::move(berth_tried).error());                              \
    } while (false)

namespace berth::detail {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;
}

/// For broken invariants of our own; unreachable from guest input, files and the network. Kept in release builds.
#define BERTH_ASSERT(expression) \
    (static_cast<bool>(expression) ? void(0) : ::berth::detail::assertion_failed(#expression, __FILE__, __LINE__))
