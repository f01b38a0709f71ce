#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "berth/base/error.hpp"
#include "berth/base/progress.hpp"

namespace berth::cli {

enum class Format : std::uint8_t { text, json };

/// The terminal of a verb: results to standard output, everything else to standard error. One thread.
class Console {
public:
    Console();

    Format format = Format::text;
    bool quiet = false;
    bool verbose = false;
    bool colour = false;  // standard error is a terminal and NO_COLOR is not set

    void print(std::string_view text);                 // standard output, as it is
    void line(std::string_view text);                  // standard output, with a newline
    void notice(std::string_view text) const;          // standard error, unless quiet
    void detail(std::string_view text) const;          // standard error, only when verbose
    /// An error in its terminal form, or as one JSON document on standard output when that format was asked for.
    void error(const Error& error) const;
    Progress& progress() noexcept { return quiet ? no_progress() : *progress_; }
    static void set_progress(Progress& progress) noexcept;

private:
    static Progress* progress_;
};

/// The terminal form: `error[code]: message`, then the place, the rule and the way out where they are known.
std::string terminal_form(const Error& error, bool colour);
/// `{"error":{…}}` with absent members left out.
std::string json_form(const Error& error);

}  // namespace berth::cli
