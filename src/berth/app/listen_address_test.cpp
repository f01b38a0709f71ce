#include "berth/app/listen_address.hpp"

#include <gtest/gtest.h>

#include "berth/base/format.hpp"

namespace berth {
namespace {

std::string read(std::string_view text) {
    const auto address = ListenAddress::parse(text);
    return address ? format("{} {}", address->host, address->port) : "none";
}

TEST(ListenAddress, IsAnAddressAndAPort) {
    EXPECT_EQ(read("127.0.0.1:9090"), "127.0.0.1 9090");
    EXPECT_EQ(read("0.0.0.0:0"), "0.0.0.0 0");
    EXPECT_EQ(read("localhost:65535"), "localhost 65535");
    EXPECT_EQ(read("[::1]:80"), "[::1] 80");
    EXPECT_EQ(read("[::]:0"), "[::] 0");
}

TEST(ListenAddress, IsNothingElse) {
    for (const auto* wrong : {"", ":", "127.0.0.1", "127.0.0.1:", ":9090", "9090", "127.0.0.1:65536", "127.0.0.1:99999999999999999999", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1:080", "127.0.0.1: 80",
                              "127.0.0.1:80 ", " 127.0.0.1:80", "127.0.0.1:8x", "127.0.0.1:80:80", "127.0.0.256:80", "1.2.3:80", "example.com:80", "localhost", "localhost:", "localhost:localhost:1", "[localhost]:1",
                              "::1:80", "[::1]", "[::1]:", "[::1:80", "::1]:80", "[127.0.0.1]:80", "[::1%lo]:80", "[]:80", "any:80"}) {
        EXPECT_EQ(read(wrong), "none") << wrong;
    }
}

}  // namespace
}  // namespace berth
