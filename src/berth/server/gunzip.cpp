#include "berth/server/gunzip.hpp"

#include <zlib.h>

#include <algorithm>

#include "berth/base/format.hpp"

namespace berth {

namespace {

struct Inflater {
    z_stream stream{};
    bool good = inflateInit2(&stream, 15 + 16) == Z_OK;  // gzip only
    ~Inflater() {
        if (good) inflateEnd(&stream);
    }
};

}  // namespace

Result<std::string> gunzip(std::string_view body, std::uint64_t limit) {
    Inflater inflater;
    if (!inflater.good) return fail(Code::unavailable, "there is no memory to decompress the body");
    std::string out;
    auto& stream = inflater.stream;
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream.avail_in = static_cast<uInt>(std::min<std::size_t>(body.size(), 0xFFFFFFFFU));
    if (stream.avail_in != body.size()) return fail(Code::payload_too_large, "the body is too large");
    int state = Z_OK;
    while (state != Z_STREAM_END) {
        char part[32 * 1024];
        stream.next_out = reinterpret_cast<Bytef*>(part);
        stream.avail_out = sizeof part;
        state = inflate(&stream, Z_NO_FLUSH);
        if (state != Z_OK && state != Z_STREAM_END) return fail(Code::bad_input, "the body is no whole gzip data");
        const auto got = sizeof part - stream.avail_out;
        if (out.size() + got > limit) return fail(Code::payload_too_large, format("the body is larger than {} bytes when it is decompressed", limit));
        out.append(part, got);
        if (state == Z_OK && got == 0 && stream.avail_in == 0) return fail(Code::bad_input, "the body is no whole gzip data");
    }
    if (stream.avail_in != 0) return fail(Code::bad_input, "the body goes on after its gzip data");
    return out;
}

}  // namespace berth
