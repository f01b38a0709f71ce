#include "berth/runtime/kept_refusals.hpp"

#include <gtest/gtest.h>

#include "berth/base/format.hpp"

namespace berth {
namespace {

class Counted final : public DenialListener {
public:
    void denied(std::string_view, std::string_view, const Denial&) override { ++count; }
    int count = 0;
};

Denial of(Capability capability, std::string scope, std::string rule = "p.yaml:1") { return {capability, std::move(scope), std::move(rule), "grants: {}"}; }

TEST(KeptRefusals, EachKindIsKeptOnceAndEveryRefusalIsPassedOn) {
    Counted next;
    KeptRefusals kept(next);
    for (int i = 0; i < 3; ++i) {
        kept.denied("wasi", "path_open", of(Capability::fs_read, "data/a"));
        kept.denied("wasi", "path_open", of(Capability::fs_read, "data/b"));
        kept.denied("wasi", "path_open", of(Capability::fs_write, "data/a"));
        kept.denied("wasi", "fd_read", of(Capability::fs_read, "data/a"));
        kept.denied("wasi", "fd_read", of(Capability::fs_read, "data/a", "revoked while running"));
    }
    EXPECT_EQ(next.count, 15);
    const auto refused = kept.take();
    EXPECT_FALSE(refused.cut);
    ASSERT_EQ(refused.kinds.size(), 5u);
    EXPECT_EQ(refused.kinds[1].denial.scope, "data/b");
    EXPECT_EQ(refused.kinds[4].denial.rule, "revoked while running");
}

TEST(KeptRefusals, WhatIsOverTheBoundsIsCutAndStillPassedOn) {
    Counted next;
    KeptRefusals many(next);
    for (std::size_t i = 0; i <= KeptRefusals::most_kinds; ++i) many.denied("wasi", "path_open", of(Capability::fs_read, format("data/{}", i)));
    const auto refused = many.take();
    EXPECT_EQ(refused.kinds.size(), KeptRefusals::most_kinds);
    EXPECT_TRUE(refused.cut);

    KeptRefusals large(next);
    large.denied("wasi", "path_open", of(Capability::fs_read, std::string(KeptRefusals::most_bytes, 'a')));
    large.denied("wasi", "path_open", of(Capability::fs_read, "data/a"));
    const auto small = large.take();
    ASSERT_EQ(small.kinds.size(), 1u);
    EXPECT_EQ(small.kinds[0].denial.scope, "data/a");
    EXPECT_TRUE(small.cut);
    EXPECT_EQ(next.count, static_cast<int>(KeptRefusals::most_kinds) + 3);
}

}  // namespace
}  // namespace berth
