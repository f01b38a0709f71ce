#include "berth/server/multipart.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>

#include "berth/server/gunzip.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

constexpr std::string_view type = "multipart/form-data; boundary=\"X Y\"";

std::string read(std::string_view body, std::string_view content_type = type) {
    const auto json = multipart_to_json(body, content_type);
    return json ? *json : std::string(name(json.error().code()));
}

TEST(Multipart, FieldsAndFiles) {
    EXPECT_EQ(read("preamble\r\n--X Y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--X Y \r\nContent-Disposition: form-data; name=a\r\n\r\n2\r\n"
                   "--X Y\r\ncontent-disposition: form-data; name=\"f\\\"g\"; filename=\"x.bin\"\r\n\r\n\x01\r\n--X Y--\r\nepilogue"),
              R"({"a":["1","2"],"_files":[{"name":"f\"g","filename":"x.bin","content_type":"application/octet-stream","size":1,"data":"AQ=="}]})");
    EXPECT_EQ(read("--X Y--"), "{}");
}

TEST(Multipart, WhatIsBrokenIsAnError) {
    for (const std::string_view bad : {"", "--X Y", "--X Y\r\n", "--X Y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1", "--X Y\r\nContent-Disposition: form-data\r\n\r\n1\r\n--X Y--", "--X Y\r\nno colon\r\n\r\n1\r\n--X Y--",
                                       "--X Y\r\nContent-Disposition: form-data; name=\"_files\"\r\n\r\n1\r\n--X Y--", "--X Y\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--X Y--", "--X Yz\r\n\r\n--X Y--",
                                       "--X Y\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\r\n--X Y--", "--X Y\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n1\r\n--X Y--"}) {
        EXPECT_EQ(read(bad), "bad_input") << bad;
    }
    EXPECT_EQ(read("--X--", "multipart/form-data"), "bad_input");
    EXPECT_EQ(read("--X--", "multipart/form-data; boundary="), "bad_input");
}

TEST(Multipart, SpooledFilesGoWithTheirRequest) {
    const testing::TempDir folder;
    {
        SpooledFiles spool(folder / "call");
        const auto json = multipart_to_json("--X Y\r\nContent-Disposition: form-data; name=f; filename=\"../../x\"\r\n\r\ncontent\r\n--X Y--", type, &spool);
        ASSERT_TRUE(json);
        EXPECT_NE(json->find("\"path\":\"" + (folder / "call/0").string() + "\""), std::string::npos) << *json;
        EXPECT_EQ(std::filesystem::file_size(folder / "call/0"), 7U);
    }
    EXPECT_FALSE(std::filesystem::exists(folder / "call"));
}

std::string gzip(std::string_view text) {
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    std::string out(text.size() + 1000, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

TEST(Gunzip, ReadsWholeBodiesWithinTheLimit) {
    const std::string text(100'000, 'a');
    const auto packed = gzip(text);
    EXPECT_EQ(gunzip(packed, 100'000).value(), text);
    EXPECT_EQ(gunzip(packed, 99'999).error().code(), Code::payload_too_large);
    EXPECT_EQ(gunzip(packed.substr(0, packed.size() - 1), 1 << 20).error().code(), Code::bad_input);
    EXPECT_EQ(gunzip(packed + "x", 1 << 20).error().code(), Code::bad_input);
    EXPECT_EQ(gunzip("", 1 << 20).error().code(), Code::bad_input);
    EXPECT_EQ(gunzip("plain text", 1 << 20).error().code(), Code::bad_input);
    EXPECT_EQ(gunzip(gzip(""), 0).value(), "");
}

}  // namespace
}  // namespace berth
