#include "berth/base/url.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

AddressClass class_of(const char* text) {
    const auto address = IpAddress::parse(text);
    EXPECT_TRUE(address) << text;
    return address ? address->classify() : AddressClass::reserved;
}

TEST(IpAddress, ClassesOfTheRegistries) {
    using enum AddressClass;
    const std::pair<const char*, AddressClass> cases[] = {
        {"93.184.216.34", global},       {"127.0.0.1", loopback},          {"127.255.255.254", loopback},    {"0.0.0.0", unspecified},
        {"0.1.2.3", unspecified},        {"10.0.0.1", private_use},        {"172.15.255.255", global},       {"172.16.0.1", private_use},
        {"172.31.255.255", private_use}, {"172.32.0.1", global},           {"192.168.1.1", private_use},     {"100.63.255.255", global},
        {"100.64.0.1", shared},          {"100.127.255.255", shared},      {"100.128.0.0", global},          {"169.254.169.254", metadata},
        {"169.254.1.1", link_local},     {"100.100.100.200", metadata},    {"168.63.129.16", metadata},      {"192.0.0.192", metadata},
        {"224.0.0.1", multicast},        {"239.255.255.255", multicast},   {"255.255.255.255", reserved},    {"198.19.255.255", reserved},
        {"203.0.113.5", documentation},  {"::", unspecified},              {"::1", loopback},                {"fe80::1", link_local},
        {"fc00::1", private_use},        {"fd12::1", private_use},         {"fd00:ec2::254", metadata},      {"ff02::1", multicast},
        {"2606:2800:220:1::1", global},  {"2001:db8::1", documentation},   {"2001::1", reserved},            {"fec0::1", private_use},
        {"::ffff:127.0.0.1", loopback},  {"::ffff:10.1.2.3", private_use}, {"::ffff:93.184.216.34", global}, {"::127.0.0.1", loopback},
        {"::93.184.216.34", reserved},   {"64:ff9b::127.0.0.1", loopback}, {"64:ff9b::a9fe:a9fe", metadata}, {"64:ff9b::93.184.216.34", global},
        {"64:ff9b:1::1", private_use},   {"2002:7f00:1::1", loopback},     {"2002:a00:1::", private_use},    {"2002:5db8:d822::1", global},
        {"2600::5efe:10.0.0.1", private_use}, {"4000::1", reserved},       {"100::1", reserved},             {"3fff::1", documentation},
    };
    for (const auto& [text, expected] : cases) EXPECT_EQ(name(class_of(text)), name(expected)) << text;
}

TEST(IpAddress, BothSpellingsOfAnIpv4AddressAreEqual) {
    EXPECT_EQ(*IpAddress::parse("::ffff:1.2.3.4"), *IpAddress::parse("1.2.3.4"));
    EXPECT_EQ(IpAddress::parse("::ffff:1.2.3.4")->text(), "1.2.3.4");
    for (const char* wrong : {"", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "fe80::1%eth0", "[::1]", "0x7f.0.0.1", "1.2.3.4 "}) EXPECT_FALSE(IpAddress::parse(wrong)) << wrong;
}

TEST(Url, HasOneSpelling) {
    const std::pair<const char*, const char*> cases[] = {
        {"HTTP://Example.COM", "http://example.com/"},
        {"https://example.com:443/a", "https://example.com/a"},
        {"https://example.com:80/a#frag", "https://example.com:80/a"},
        {"http://a.b./x?y=1", "http://a.b/x?y=1"},
        {"http://a?q", "http://a/?q"},
        {"http://a/b/../c/./d", "http://a/c/d"},
        {"http://a/b/%2e%2E/c", "http://a/c"},
        {"http://a/../../etc", "http://a/etc"},
        {"http://a/b/..", "http://a/"},
        {"http://a/b/", "http://a/b/"},
        {"http://a//b", "http://a//b"},
        {"http://[::1]:8080/", "http://[::1]:8080/"},
        {"http://[::ffff:127.0.0.1]/", "http://127.0.0.1/"},
        {"http://127.0.0.1./", "http://127.0.0.1/"},
    };
    for (const auto& [text, expected] : cases) {
        const auto url = Url::parse(text);
        ASSERT_TRUE(url) << text << ": " << url.error().message();
        EXPECT_EQ(url->text(), expected) << text;
        EXPECT_EQ(Url::parse(url->text())->text(), expected) << text;
    }
}

TEST(Url, WhatCouldBeReadInTwoWaysIsRefused) {
    for (const char* text : {"", "example.com", "ftp://a", "http://", "http:///x", "http://user@a", "http://user:pw@a/", "http://a:0", "http://a:65536", "http://a:", "http://a:8a", "http://127.1", "http://a../", "http://1.2.3.4../",
                             "http://2130706433", "http://0x7f000001", "http://0177.0.0.1", "http://1.2.3.4.5", "http://a b", "http://a/b c", "http://a\\b", "http://a/b\\c", "http://a/%", "http://a/%4", "http://a/%zz",
                             "http://[::1", "http://[fe80::1%25eth0]/", "http://[127.0.0.1]/", "http://a..b", "http://.a", "http://\xc3\xa9.com", "http://a%2eb", "http://a/\r\nHost: b", "http://a/\x7f", "http://[::1]x/"}) {
        EXPECT_FALSE(Url::parse(text)) << text;
    }
    EXPECT_FALSE(Url::parse(std::string_view("http://a/\0b", 11)));
}

TEST(Url, ReferencesAreResolved) {
    const auto base = *Url::parse("https://a.example:8443/x/y/z?q=1");
    const std::pair<const char*, const char*> cases[] = {
        {"http://b/c", "http://b/c"},       {"//c.example/d", "https://c.example/d"}, {"/e?f", "https://a.example:8443/e?f"}, {"g", "https://a.example:8443/x/y/g"},
        {"../h", "https://a.example:8443/x/h"}, {"?i=2", "https://a.example:8443/x/y/z?i=2"}, {"#j", "https://a.example:8443/x/y/z?q=1"}, {"/../../k", "https://a.example:8443/k"},
    };
    for (const auto& [reference, expected] : cases) {
        const auto url = base.resolve(reference);
        ASSERT_TRUE(url) << reference;
        EXPECT_EQ(url->text(), expected) << reference;
    }
    EXPECT_FALSE(base.resolve("javascript:alert(1)"));
    EXPECT_FALSE(base.resolve("file:///etc/passwd"));
}

}  // namespace
}  // namespace berth
