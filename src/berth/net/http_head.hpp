#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/net/http_message.hpp"

namespace berth {

/// Bounds of what is read of one request.
struct HttpLimits {
    std::size_t header_bytes = 16 * 1024;         // request line and fields
    std::size_t headers = 100;
    std::size_t uri = 8 * 1024;
    std::uint64_t body = 10 * 1024 * 1024;
};

/// How the body of a request is framed, and what else its head decides.
struct HttpFraming {
    std::uint64_t content_length = 0;
    bool chunked = false;
    bool keep_alive = true;
    bool expects_continue = false;
};

/// Finds the end of a head in what has arrived so far, strictly: only CR LF ends a line. Bytes may come in any parts.
class HeadScanner {
public:
    /// Length of the head with its empty line, 0 while it is not complete. Fails with bad_input, uri_too_long or
    /// headers_too_large as soon as that is certain.
    Result<std::size_t> scan(std::string_view arrived, const HttpLimits& limits);
    void reset() noexcept { position_ = line_start_ = lines_ = 0; }

private:
    std::size_t position_ = 0;    // seen so far
    std::size_t line_start_ = 0;
    std::size_t lines_ = 0;       // complete ones
};

/// Reads a whole head as `HeadScanner` found it; the views of `request` point into `head`. Everything that could make
/// another party see a different request is refused: folded lines, spaces before a colon, control bytes, two lengths,
/// a length beside chunked, an encoding other than chunked, no Host or two.
Result<HttpFraming> parse_head(std::string_view head, const HttpLimits& limits, HttpRequest& request);

/// Takes a chunked body apart, with the same strictness. Extensions are read over, trailers checked and kept.
class ChunkedReader {
public:
    /// Takes from `arrived` what belongs to the body and appends its content to `body`; returns how much it took.
    Result<std::size_t> take(std::string_view arrived, std::string& body, const HttpLimits& limits);
    bool done() const noexcept { return state_ == State::done; }
    void reset() noexcept { *this = ChunkedReader(); }
    /// The fields after the body, names in lower case.
    const std::vector<std::pair<std::string, std::string>>& trailers() const noexcept { return trailers_; }

private:
    enum class State : std::uint8_t { size, extension, size_end, data, data_cr, data_end, trailer, trailer_end, done };
    State state_ = State::size;
    std::uint64_t size_ = 0;          // of the chunk, what is still to come
    unsigned digits_ = 0;
    std::size_t extra_ = 0;           // bytes of extensions and trailers
    std::string line_;                // the trailer line so far
    std::vector<std::pair<std::string, std::string>> trailers_;
};

/// One line of a head apart, checked: no folding, a token as name, no control bytes in the value.
Result<HttpField> split_field(std::string_view line);
/// The value of a Content-Length: digits alone.
Result<std::uint64_t> parse_length(std::string_view text);

bool is_token(std::string_view text) noexcept;
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

}  // namespace berth
