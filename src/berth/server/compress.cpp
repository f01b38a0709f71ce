#include "berth/server/compress.hpp"

#include <zlib.h>

#include <array>
#include <limits>

#include "berth/net/http_head.hpp"
#include "berth/server/accept.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

constexpr std::size_t smallest = 1024;
constexpr std::size_t done_in_the_loop = 32 * 1024;  // under a millisecond
constexpr int level = 5;

struct Deflater {
    z_stream stream{};
    bool good = deflateInit2(&stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    ~Deflater() {
        if (good) deflateEnd(&stream);
    }
};

/// A field of the answer, whoever set it.
std::string_view field_of(const HttpResponse& response, std::string_view lower_name) {
    for (const auto& [name, value] : response.fields) {
        if (equal_ignoring_case(name, lower_name)) return value;
    }
    for (const auto& [name, value] : response.guest_fields) {
        if (equal_ignoring_case(name, lower_name)) return value;
    }
    return {};
}

bool is_compressed_kind(std::string_view type) {
    const auto essence = lower_case(trimmed(type.substr(0, type.find(';'))));
    if (essence == "image/svg+xml") return false;
    for (const std::string_view family : {"image/", "video/", "audio/", "font/woff"}) {
        if (essence.starts_with(family)) return true;
    }
    constexpr std::array<std::string_view, 6> kinds{"application/gzip", "application/zip", "application/zstd", "application/x-7z-compressed", "application/x-xz", "application/pdf"};
    for (const auto kind : kinds) {
        if (essence == kind) return true;
    }
    return false;
}

/// The compressed bytes are another representation: an exact ETag becomes a weak one.
template <class Fields>
void weaken_tag(Fields& fields) {
    for (auto& [name, value] : fields) {
        if (equal_ignoring_case(name, "etag") && value.starts_with('"')) value.insert(0, "W/");
    }
}

}  // namespace

std::string gzipped(std::string_view body) {
    Deflater deflater;
    if (!deflater.good || body.size() > std::numeric_limits<uInt>::max()) return {};
    auto& stream = deflater.stream;
    std::string out(body.size(), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream.avail_in = static_cast<uInt>(body.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END || stream.avail_out == 0) return {};
    out.erase(out.size() - stream.avail_out);
    return out;
}

bool Compression::concerns(const HttpResponse& response) {
    if (response.body.size() <= smallest || response.status == 204 || response.status == 304 || response.status == 206) return false;
    if (!field_of(response, "content-encoding").empty() || lower_case(field_of(response, "cache-control")).find("no-transform") != std::string::npos) return false;
    return !is_compressed_kind(response.content_type.empty() ? field_of(response, "content-type") : response.content_type);
}

bool Compression::wanted(const HttpRequest& request) {
    const auto accepted = joined_field(request, "accept-encoding");
    const int gzip = encoding_quality(accepted, "gzip");
    const int plain = accepted.find("identity") == std::string::npos ? 0 : encoding_quality(accepted, "identity");
    return gzip > 0 && gzip >= plain;
}

Task<void> Compression::apply(HttpResponse& response) const {
    std::string smaller;
    if (response.body.size() <= done_in_the_loop) smaller = gzipped(response.body);
    else co_await run_guest(profile_, [&] { smaller = gzipped(response.body); });
    if (smaller.empty()) co_return;
    response.body = std::move(smaller);
    response.fields.emplace_back("Content-Encoding", "gzip");
    weaken_tag(response.fields);
    weaken_tag(response.guest_fields);
}

}  // namespace berth
