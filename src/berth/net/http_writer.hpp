#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "berth/net/http_message.hpp"

namespace berth {

/// How the writer sends this answer.
struct HttpWriting {
    bool keep_alive = true;
    bool head_only = false;        // answer to HEAD: length, but no body
    std::uint8_t minor_version = 1;
};

/// Appends one part of a body whose length is not known, as a chunk. Not an empty one.
void write_chunk(std::string_view part, std::string& out);
/// The end of such a body, with what follows it.
void write_last_chunk(const BodyPipe::Fields& trailers, std::string& out);

/// Appends the head of the answer to `out`, and its body when it is small; a larger one is sent after it by itself.
/// Returns whether the body is in `out`. Line ends in field values become spaces: no value starts a line of its own.
bool write_head(const HttpResponse& response, const HttpWriting& how, std::string& out);

/// `Sun, 06 Nov 1994 08:49:37 GMT` of this second; one clock read a call, formatted once a second and thread.
std::string_view http_date() noexcept;

std::string_view reason_phrase(std::uint16_t status) noexcept;

}  // namespace berth
