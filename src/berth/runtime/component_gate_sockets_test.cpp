// Sockets of components: addresses, names, listeners, datagrams, options.
#include "berth/runtime/component_gate.hpp"

#include "support/component_gate_fixture.hpp"

namespace berth::component_gate_test {
namespace {

constexpr std::string_view outside("\x5d\xb8\xd8\x22", 4);  // 93.184.216.34
constexpr std::string_view loopback("\x7f\0\0\1", 4);

TEST_F(ComponentGateTest, ASocketReachesAddressesThatAreGrantedThemselves) {
    policy_.grants[Capability::net_connect].scope.patterns = {"93.184.216.34:80", "127.0.0.1:9000"};
    begin();
    const auto tcp = ask(tcp_create).answer.x;
    ASSERT_NE(tcp, 0u);
    EXPECT_EQ(ask(tcp_connect, outside, tcp, 81).next, Next::denied);
    EXPECT_EQ(ask(tcp_connect, loopback, tcp, 9001).next, Next::denied);
    EXPECT_EQ(ask(tcp_connect, std::string_view("\xa9\xfe\xa9\xfe", 4), tcp, 80).next, Next::denied);
    EXPECT_THAT(network_.connected, ::testing::IsEmpty());
    EXPECT_EQ(denials_.told.size(), 3u);
    EXPECT_EQ(ask(tcp_connect, outside, tcp, 80).answer.status, 0);
    EXPECT_EQ(ask(tcp_connected, {}, tcp).answer.status, component_pending);
    EXPECT_EQ(ask(tcp_connected, {}, tcp).answer.status, 0);
    EXPECT_EQ(ask(tcp_connect, loopback, ask(tcp_create).answer.x, 9000).answer.status, 0);
    EXPECT_THAT(network_.connected, ::testing::ElementsAre("93.184.216.34:80", "127.0.0.1:9000"));
    // What no address can be is the guest's error.
    for (const auto& [bytes, port] : {std::pair(std::string_view("123"), 80u), std::pair(outside, 65536u)}) EXPECT_EQ(ask(tcp_connect, bytes, tcp, port).answer.status, 13);
}

TEST_F(ComponentGateTest, EverythingIsNothingInside) {
    policy_.grants[Capability::net_connect].scope.patterns = {"*"};
    begin();
    const auto tcp = ask(tcp_create).answer.x;
    for (const std::string_view inside : {loopback, std::string_view("\x0a\0\0\1", 4), std::string_view("\xa9\xfe\xa9\xfe", 4),
                                          std::string_view("\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16), std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16)}) {
        EXPECT_EQ(ask(tcp_connect, inside, tcp, 80).next, Next::denied);
    }
    EXPECT_EQ(ask(tcp_connect, outside, tcp, 80).answer.status, 0);
    EXPECT_EQ(network_.connected.size(), 1u);
    policy_.grants[Capability::net_connect].scope.allow_private = true;
    begin();
    EXPECT_EQ(ask(tcp_connect, loopback, ask(tcp_create).answer.x, 80).answer.status, 0);
}

TEST_F(ComponentGateTest, AGrantOnANameHoldsForWhereItLedInThisCall) {
    policy_.grants[Capability::net_connect].scope.patterns = {"a.example:80", "inside.example:80"};
    begin();
    const auto tcp = ask(tcp_create).answer.x;
    EXPECT_EQ(ask(tcp_connect, outside, tcp, 80).next, Next::denied) << "nobody has looked the name up";
    EXPECT_EQ(ask(name_lookup, "b.example").next, Next::denied);
    EXPECT_EQ(ask(name_lookup, "a.example:80").answer.status, 13);
    const auto lookup = ask(name_lookup, "A.example").answer.x;
    EXPECT_EQ(ask(name_addresses, {}, lookup).answer.status, component_pending);
    EXPECT_EQ(ask(name_addresses, {}, lookup).bytes, std::string("\4").append(outside));
    EXPECT_EQ(ask(tcp_connect, outside, tcp, 443).next, Next::denied);
    EXPECT_EQ(ask(tcp_connect, outside, tcp, 80).answer.status, 0);
    // A name that leads inside opens nothing there.
    const auto inner = ask(name_lookup, "inside.example").answer.x;
    ask(name_addresses, {}, inner);
    EXPECT_EQ(ask(name_addresses, {}, inner).answer.status, 0);
    EXPECT_EQ(ask(tcp_connect, loopback, tcp, 80).next, Next::denied);
    begin();
    EXPECT_EQ(ask(tcp_connect, outside, ask(tcp_create).answer.x, 80).next, Next::denied) << "another call";
}

TEST_F(ComponentGateTest, BindingAndListeningNeedTheirOwnGrant) {
    policy_.grants[Capability::net_connect].scope.patterns = {"127.0.0.1"};
    begin();
    const auto tcp = ask(tcp_create).answer.x;
    EXPECT_EQ(ask(tcp_bind, loopback, tcp, 0).next, Next::denied);
    EXPECT_EQ(ask(tcp_listen, {}, tcp, 1).next, Next::denied);
    policy_.grants.clear();
    policy_.grants[Capability::net_listen].scope.patterns = {"127.0.0.1"};
    begin();
    const auto listening = ask(tcp_create).answer.x;
    EXPECT_EQ(ask(tcp_bind, std::string_view("\0\0\0\0", 4), listening, 0).next, Next::denied);
    EXPECT_EQ(ask(tcp_bind, loopback, listening, 0).answer.status, 0);
    EXPECT_EQ(ask(tcp_listen, {}, listening, 1).answer.status, 0);
    EXPECT_NE(ask(tcp_accept, {}, listening).answer.x, 0u);
    EXPECT_EQ(ask(tcp_connect, loopback, listening, 80).next, Next::denied);
}

TEST_F(ComponentGateTest, ARevokedGrantClosesTheSocketsOpenedUnderIt) {
    policy_.grants[Capability::net_connect].scope.patterns = {"93.184.216.34"};
    policy_.grants[Capability::net_listen].scope.patterns = {"127.0.0.1"};
    begin();
    const auto tcp = ask(tcp_create).answer.x, listening = ask(tcp_create).answer.x;
    ask(tcp_connect, outside, tcp, 80);
    ask(tcp_bind, loopback, listening, 0);
    EXPECT_EQ(ask(tcp_write, "hello", tcp).answer.x, 5u);
    EXPECT_EQ(network_.sockets, 2);
    setup_->grants.revoke(Capability::net_connect);
    denials_.told.clear();
    EXPECT_EQ(ask(tcp_ready, {}, tcp).next, Next::denied) << "what waits is denied";
    EXPECT_EQ(network_.sockets, 1) << "and closed";
    EXPECT_EQ(denials_.told.size(), 1u);
    EXPECT_EQ(ask(tcp_read, {}, tcp, 100).next, Next::denied);
    EXPECT_EQ(ask(name_lookup, "a.example").next, Next::denied);
    EXPECT_NE(ask(tcp_accept, {}, listening).answer.x, 0u) << "another grant's goes on";
}

TEST_F(ComponentGateTest, SocketsAreHandlesAndCloseWithTheirCall) {
    policy_.grants[Capability::net_connect].scope.patterns = {"*"};
    limits_.set(Limit::handles, 2);
    begin();
    const auto first = ask(tcp_create).answer.x;
    ask(tcp_create);
    EXPECT_EQ(ask(tcp_create).answer.status, 20);
    ask(tcp_close, {}, first);
    EXPECT_EQ(ask(tcp_create).answer.status, 0);
    EXPECT_EQ(ask(tcp_shutdown, {}, first).answer.status, 19) << "closed";
    gate_.reset();
    EXPECT_EQ(network_.sockets, 0);
}

TEST_F(ComponentGateTest, DatagramsGoToGrantedAddressesAndNowhereElse) {
    begin();
    EXPECT_EQ(ask(udp_create).next, Next::denied);
    policy_.grants[Capability::net_connect].scope.patterns = {"*"};
    begin();
    EXPECT_EQ(ask(udp_create).next, Next::denied) << "another grant";
    policy_.grants[Capability::net_datagram].scope.patterns = {"93.184.216.34:53", "127.0.0.1:9000"};
    begin();
    denials_.told.clear();
    const auto udp = ask(udp_create).answer.x;
    ASSERT_NE(udp, 0u);
    const auto send_to = [&](std::string_view address, unsigned port) { return ask(udp_send, std::string(address) + "hi", udp, port, address.size()); };
    EXPECT_EQ(send_to(outside, 54).next, Next::denied);
    EXPECT_EQ(send_to(loopback, 9001).next, Next::denied);
    EXPECT_EQ(send_to(std::string_view("\xa9\xfe\xa9\xfe", 4), 53).next, Next::denied) << "metadata";
    EXPECT_EQ(send_to(std::string_view("\xff\xff\xff\xff", 4), 53).next, Next::denied) << "broadcast";
    EXPECT_EQ(send_to(std::string_view("\xe0\0\0\xfb", 4), 53).next, Next::denied) << "multicast";
    EXPECT_THAT(network_.sent, ::testing::IsEmpty());
    EXPECT_EQ(denials_.told.size(), 5u);
    EXPECT_EQ(send_to(outside, 53).answer.status, 0);
    EXPECT_EQ(send_to(loopback, 9000).answer.status, 0);
    EXPECT_THAT(network_.sent, ::testing::ElementsAre("93.184.216.34:53 hi", "127.0.0.1:9000 hi"));
    EXPECT_EQ(gate_->network_use().out, 4u);
    EXPECT_EQ(ask(udp_stream, loopback, udp, 9001).next, Next::denied);
    EXPECT_EQ(ask(udp_stream, loopback, udp, 9000).answer.status, 0);
    EXPECT_EQ(ask(udp_send, "only", udp).answer.status, 0);
    EXPECT_EQ(network_.sent.back(), "127.0.0.1:9000 only");
    EXPECT_EQ(ask(udp_stream, {}, udp).answer.status, 0);
    EXPECT_EQ(ask(udp_send, "nobody", udp).answer.status, 13);
    EXPECT_EQ(ask(udp_send, "12", udp, 53, 2).answer.status, 13);
    EXPECT_EQ(ask(udp_send, "12", udp, 53, 4).answer.status, 13) << "an address that is not there";
}

TEST_F(ComponentGateTest, EveryDatagramIsAskedOfItsClassAndOfNamesThatWereLookedUp) {
    policy_.grants[Capability::net_datagram].scope.patterns = {"*"};
    begin();
    auto udp = ask(udp_create).answer.x;
    EXPECT_EQ(ask(udp_send, std::string(loopback) + "x", udp, 53, 4).next, Next::denied);
    EXPECT_EQ(ask(udp_send, std::string("\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1x", 17), udp, 53, 16).next, Next::denied);
    EXPECT_EQ(ask(udp_send, std::string(outside) + "x", udp, 53, 4).answer.status, 0);
    policy_.grants[Capability::net_datagram].scope.patterns = {"a.example:53"};
    policy_.grants[Capability::net_connect].scope.patterns = {"a.example"};
    begin();
    udp = ask(udp_create).answer.x;
    EXPECT_EQ(ask(udp_send, std::string(outside) + "x", udp, 53, 4).next, Next::denied) << "nobody has looked the name up";
    const auto lookup = ask(name_lookup, "a.example").answer.x;
    ask(name_addresses, {}, lookup);
    ASSERT_EQ(ask(name_addresses, {}, lookup).answer.status, 0);
    EXPECT_EQ(ask(udp_send, std::string(outside) + "x", udp, 53, 4).answer.status, 0);
    EXPECT_EQ(ask(udp_send, std::string(outside) + "x", udp, 54, 4).next, Next::denied);
}

TEST_F(ComponentGateTest, DatagramsOfStrangersAreDropped) {
    policy_.grants[Capability::net_datagram].scope.patterns = {"127.0.0.1:9000"};
    begin();
    const auto udp = ask(udp_create).answer.x;
    EXPECT_EQ(ask(udp_receive, {}, udp).answer.status, component_pending);
    const auto loop = IpAddress::v4({127, 0, 0, 1});
    network_.arriving = {{{'a'}, {loop, 9001}}, {{'b'}, {IpAddress::v4({93, 184, 216, 34}), 9000}}, {{'c'}, {loop, 9000}}, {{'d'}, {loop, 9001}}};
    denials_.told.clear();
    const auto got = ask(udp_receive, {}, udp);
    EXPECT_EQ(got.bytes, std::string(loopback) + "c");
    EXPECT_EQ(got.answer.x, 9000u);
    EXPECT_EQ(got.answer.y, 4u);
    EXPECT_EQ(ask(udp_receive, {}, udp).answer.status, component_pending);
    EXPECT_THAT(denials_.told, ::testing::IsEmpty()) << "the guest has asked for none of it";
    EXPECT_EQ(gate_->network_use().in, 1u);
}

TEST_F(ComponentGateTest, AnAddressOfItsOwnThatADatagramSocketNamesIsGrantedLikeAnyOther) {
    policy_.grants[Capability::net_datagram].scope.patterns = {"127.0.0.1:9000"};
    begin();
    const auto udp = ask(udp_create).answer.x;
    EXPECT_EQ(ask(udp_bind, loopback, udp, 0).next, Next::denied);
    EXPECT_EQ(ask(udp_bind, std::string_view("\0\0\0\0", 4), udp, 9000).next, Next::denied);
    EXPECT_EQ(ask(udp_bind, loopback, udp, 9000).answer.status, 0);
    const auto sends = ask(udp_create).answer.x;
    EXPECT_EQ(ask(udp_bind, std::string_view("\0\0\0\0", 4), sends, 0).answer.status, 0) << "what who only sends has";
    EXPECT_EQ(ask(udp_address, {}, udp).bytes, loopback);
    EXPECT_EQ(ask(udp_address, {}, udp, 1).answer.status, 19);
}

TEST_F(ComponentGateTest, ARevokedGrantEndsWaitsForDatagrams) {
    policy_.grants[Capability::net_datagram].scope.patterns = {"127.0.0.1:9000"};
    begin();
    const auto udp = ask(udp_create).answer.x;
    EXPECT_EQ(ask(udp_ready, {}, udp).answer.status, component_pending);
    EXPECT_EQ(network_.sockets, 1);
    setup_->grants.revoke(Capability::net_datagram);
    EXPECT_EQ(ask(udp_ready, {}, udp).next, Next::denied);
    EXPECT_EQ(network_.sockets, 0);
    for (const auto function : {udp_receive, udp_send, udp_bind, udp_stream, udp_address, socket_option, set_socket_option}) EXPECT_EQ(ask(function, loopback, udp, 9000, 4).next, Next::denied);
    EXPECT_THAT(network_.sent, ::testing::IsEmpty());
}

TEST_F(ComponentGateTest, OptionsReachTheSocket) {
    policy_.grants[Capability::net_connect].scope.patterns = {"*"};
    begin();
    const auto tcp = ask(tcp_create).answer.x;
    EXPECT_EQ(ask(set_socket_option, {}, tcp, 4, 17).answer.status, 0);
    EXPECT_EQ(network_.options[4], 17u);
    EXPECT_EQ(ask(socket_option, {}, tcp, 4).answer.x, 17u);
    EXPECT_EQ(ask(set_socket_option, {}, tcp, 4, 256).answer.status, 13);
    EXPECT_EQ(ask(socket_option, {}, tcp, 7).answer.status, 12);
    EXPECT_EQ(ask(socket_option, {}, 99, 4).answer.status, 19);
    EXPECT_EQ(ask(udp_ready, {}, tcp).answer.status, 19) << "a socket of the other kind";
}

}  // namespace
}  // namespace berth::component_gate_test
