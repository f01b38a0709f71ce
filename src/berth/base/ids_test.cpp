#include "berth/base/ids.hpp"

#include <gtest/gtest.h>

#include <set>

namespace berth {
namespace {

TEST(Ids, UuidHasVersionVariantAndTime) {
    const auto id = uuid_v7(WallTime(std::chrono::milliseconds(0x017F22E279B0)), 0xCC3, 0x18C4DC0C0C07398F);
    EXPECT_EQ(id, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");  // the example of RFC 9562, appendix A.6
}

TEST(Ids, CallIdsDiffer) {
    std::set<std::string> ids;
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(ids.insert(new_call_id()).second);
}

TEST(Ids, RequestIdsAreChecked) {
    EXPECT_TRUE(is_request_id("a.B-9_z"));
    EXPECT_TRUE(is_request_id(std::string(128, 'x')));
    EXPECT_FALSE(is_request_id(""));
    EXPECT_FALSE(is_request_id(std::string(129, 'x')));
    EXPECT_FALSE(is_request_id("a b"));
    EXPECT_FALSE(is_request_id("a\r\nb"));
}

}  // namespace
}  // namespace berth
