// Real guests of WASI preview 1 that take connections on the sockets they were handed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "berth/app/application.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/host/providers/sockets.hpp"
#include "berth/runtime/runtime.hpp"
#include "berth/runtime/wasm_functions.hpp"
#include "support/raw_client.hpp"
#include "support/temp_dir.hpp"
#include "support/test_application.hpp"

namespace berth {
namespace {

constexpr std::string_view guest = R"((module
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv" (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown" (func $shutdown (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $flags (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "!")
  (func $buffer (param $size i32) (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (local.get $size)))
  (func $kind (param $fd i32) (result i32)
    (if (call $stat (local.get $fd) (i32.const 64)) (then (return (i32.const -1))))
    (i32.load8_u (i32.const 64)))
  ;; takes one connection; its number is at 8
  (func (export "take") (result i32) (call $accept (i32.const 3) (i32.const 0) (i32.const 8)))
  ;; sends back what comes, until no more does
  (func (export "echo") (result i32) (local $fd i32) (local $error i32)
    (local.set $error (call $accept (i32.const 3) (i32.const 0) (i32.const 8)))
    (if (local.get $error) (then (return (local.get $error))))
    (local.set $fd (i32.load (i32.const 8)))
    (loop $more
      (call $buffer (i32.const 4096))
      (local.set $error (call $recv (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 12) (i32.const 16)))
      (if (local.get $error) (then (return (local.get $error))))
      (if (i32.load (i32.const 12)) (then
        (call $buffer (i32.load (i32.const 12)))
        (loop $rest
          (local.set $error (call $send (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 12)))
          (if (local.get $error) (then (return (local.get $error))))
          (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 12))))
          (i32.store (i32.const 4) (i32.sub (i32.load (i32.const 4)) (i32.load (i32.const 12))))
          (br_if $rest (i32.load (i32.const 4))))
        (br $more))))
    (if (call $shutdown (local.get $fd) (i32.const 2)) (then (return (i32.const 1000))))
    (if (i32.ne (call $kind (local.get $fd)) (i32.const 6)) (then (return (i32.const 1001))))
    (call $close (local.get $fd)))
  ;; takes a connection, says so over it, and waits for what never comes
  (func (export "wait") (result i32) (local $fd i32) (local $error i32)
    (if (call $accept (i32.const 3) (i32.const 0) (i32.const 8)) (then (return (i32.const 1000))))
    (local.set $fd (i32.load (i32.const 8)))
    (call $buffer (i32.const 1))
    ;; the grant may be gone before this has returned
    (local.set $error (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 12)))
    (if (local.get $error) (then (return (local.get $error))))
    (call $recv (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 12) (i32.const 16)))
  ;; the same without ever blocking in anything but poll_oneoff: the socket that listens, then the connection
  (func $ready (param $fd i32) (result i32)
    (memory.fill (i32.const 128) (i32.const 0) (i32.const 48))
    (i32.store8 (i32.const 136) (i32.const 1))
    (i32.store (i32.const 144) (local.get $fd))
    (if (call $poll (i32.const 128) (i32.const 192) (i32.const 1) (i32.const 12)) (then (return (i32.const 2000))))
    (i32.load16_u (i32.const 200)))
  (func (export "poll") (result i32) (local $fd i32) (local $error i32)
    (if (call $flags (i32.const 3) (i32.const 4)) (then (return (i32.const 1000))))
    (block $taken
      (loop $again
        (local.set $error (call $accept (i32.const 3) (i32.const 4) (i32.const 8)))
        (br_if $taken (i32.eqz (local.get $error)))
        (if (i32.ne (local.get $error) (i32.const 6)) (then (return (local.get $error))))
        (local.set $error (call $ready (i32.const 3)))
        (br_if $again (i32.eqz (local.get $error)))
        (return (local.get $error))))
    (local.set $fd (i32.load (i32.const 8)))
    (call $buffer (i32.const 8))
    (block $come
      (loop $again
        (local.set $error (call $read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 12)))
        (br_if $come (i32.eqz (local.get $error)))
        (if (i32.ne (local.get $error) (i32.const 6)) (then (return (local.get $error))))
        (local.set $error (call $ready (local.get $fd)))
        (br_if $again (i32.eqz (local.get $error)))
        (return (local.get $error))))
    (i32.add (i32.const 100) (i32.load8_u (i32.const 1024))))
  ;; what a socket that listens cannot do
  (func (export "misuse") (result i32)
    (call $buffer (i32.const 1))
    (if (i32.ne (call $kind (i32.const 3)) (i32.const 6)) (then (return (i32.const 1))))
    (if (i32.ne (call $read (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 12)) (i32.const 53)) (then (return (i32.const 2))))
    (if (i32.ne (call $write (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 12)) (i32.const 53)) (then (return (i32.const 3))))
    (if (i32.ne (call $recv (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 12) (i32.const 16)) (i32.const 53)) (then (return (i32.const 4))))
    (if (i32.ne (call $recv (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 12) (i32.const 16)) (i32.const 58)) (then (return (i32.const 5))))
    (if (i32.ne (call $shutdown (i32.const 3) (i32.const 3)) (i32.const 53)) (then (return (i32.const 6))))
    (if (i32.ne (call $shutdown (i32.const 3) (i32.const 0)) (i32.const 28)) (then (return (i32.const 7))))
    (if (i32.ne (call $accept (i32.const 0) (i32.const 0) (i32.const 8)) (i32.const 57)) (then (return (i32.const 8))))
    (if (i32.ne (call $accept (i32.const 3) (i32.const 1) (i32.const 8)) (i32.const 28)) (then (return (i32.const 9))))
    (if (i32.ne (call $flags (i32.const 3) (i32.const 1)) (i32.const 58)) (then (return (i32.const 10))))
    (i32.const 0))
))";

class WasiSocketsTest : public ::testing::Test {
protected:
    WasiSocketsTest() {
        application_ = test::test_application();
        application_->log().set_tap([this](LogLevel, std::string_view, std::string_view message, const Log::Attributes& attributes) {
            if (message != "a guest listens") return;
            for (const auto& [key, value] : attributes) {
                if (key == "address") port_.set_value(SocketAddress::parse(value)->port);
            }
        });
    }
    ~WasiSocketsTest() override {
        if (thread_.joinable()) thread_.join();
        application_->log().set_tap(nullptr);
    }
    void load(std::string grant, bool deterministic = false) {
        PolicyRequest request;
        request.deny_all = true;  // no preset: nothing but what is allowed here
        if (!grant.empty()) request.allow = {"net.listen=" + grant};
        request.deterministic = deterministic;
        auto loaded = application_->load(folder_.write("guest.wat", guest), "guest", request, no_progress());
        ASSERT_TRUE(loaded) << loaded.error().full_message();
        const auto function = std::make_shared<Function>(Function{.name = "guest", .world = "wasi", .limits = (*loaded)->limits()});
        std::vector<WasmFunctions::Served> served;
        served.push_back({.function = function, .program = std::move(*loaded), .entry = {}, .arguments = {}});
        functions_ = std::make_unique<WasmFunctions>(test::host_of(*application_), std::move(served));
        runtime_ = std::make_unique<Runtime>(Runtime::Setup{.clock = application_->clock(), .metrics = application_->metrics()}, std::vector<Engine*>{functions_.get()});
    }
    /// Calls an export on a thread of its own.
    void begin(std::string entry) {
        Call call;
        call.id = call.request_id = "the-call";
        call.function = "guest";
        call.entry = std::move(entry);
        call.cancel = cancel_.token();
        thread_ = std::thread([this, call = std::move(call)]() mutable { outcome_ = sync_wait(runtime_->call(std::move(call))); });
    }
    std::uint16_t port() { return port_.get_future().get(); }
    /// The status that the guest returned, or the code that the call ended with.
    std::string end() {
        thread_.join();
        return outcome_.error ? std::string(name(outcome_.error->code())) : outcome_.output.bytes;
    }
    static std::string read_all(const test::RawClient& client) {
        std::string all;
        char part[4096];
        for (ssize_t got = 0; (got = ::recv(client.descriptor(), part, sizeof part, 0)) > 0;) all.append(part, static_cast<std::size_t>(got));
        return all;
    }

    testing::TempDir folder_;
    std::unique_ptr<Application> application_;
    std::unique_ptr<WasmFunctions> functions_;
    std::unique_ptr<Runtime> runtime_;
    std::promise<std::uint16_t> port_;
    CancelSource cancel_;
    std::thread thread_;
    Outcome outcome_;
};

TEST_F(WasiSocketsTest, ServesAClientOnTheSocketItWasHanded) {
    load("127.0.0.1:0");
    begin("echo");
    test::RawClient client(port());
    ASSERT_TRUE(client.connected());
    const std::string said(1'000, 'e');
    ASSERT_TRUE(client.send(said));
    client.end_sending();
    EXPECT_EQ(read_all(client), said);
    EXPECT_EQ(end(), "0");
    EXPECT_EQ(outcome_.usage.bytes_in, said.size());
    EXPECT_EQ(outcome_.usage.bytes_out, said.size() + 1);  // and the result
}

TEST_F(WasiSocketsTest, PollingTellsWhenASocketCanBeUsed) {
    load("127.0.0.1:0");
    begin("poll");
    test::RawClient client(port());
    ASSERT_TRUE(client.send("x"));
    EXPECT_EQ(end(), std::to_string(100 + 'x'));
}

TEST_F(WasiSocketsTest, AGuestInRecvIsDeniedWhenTheGrantIsRevokedAndTheConnectionCloses) {
    load("127.0.0.1:0");
    begin("wait");
    test::RawClient client(port());
    char mark = 0;
    ASSERT_EQ(::recv(client.descriptor(), &mark, 1, 0), 1);
    EXPECT_EQ(mark, '!');
    EXPECT_TRUE(*runtime_->revoke("the-call", Capability::net_listen));
    EXPECT_EQ(read_all(client), "");
    EXPECT_EQ(end(), "76");
}

TEST_F(WasiSocketsTest, AGuestInAcceptIsDeniedWhenTheGrantIsRevoked) {
    load("127.0.0.1:0");
    begin("take");
    port();
    EXPECT_TRUE(runtime_->revoke("the-call", Capability::net_listen));
    EXPECT_EQ(end(), "76");
}

TEST_F(WasiSocketsTest, AGuestThatWaitsForAConnectionCanBeCancelled) {
    load("127.0.0.1:0");
    begin("take");
    port();
    cancel_.cancel();
    EXPECT_EQ(end(), "cancelled");
}

TEST_F(WasiSocketsTest, WithoutTheGrantThereIsNoSocket) {
    load("");
    begin("take");
    EXPECT_EQ(end(), "8");
}

TEST_F(WasiSocketsTest, ASocketThatListensIsNoConnection) {
    load("127.0.0.1:0");
    begin("misuse");
    EXPECT_EQ(end(), "0");
}

TEST_F(WasiSocketsTest, ADeterministicCallHasNoNetwork) {
    load("127.0.0.1:0", true);
    begin("take");
    EXPECT_EQ(end(), "58");
}

TEST_F(WasiSocketsTest, AnAddressThatIsTakenKeepsTheCallFromStarting) {
    const int taken = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::bind(taken, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(taken, 1), 0);
    socklen_t size = sizeof address;
    ::getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size);
    load(format("127.0.0.1:{}", ntohs(address.sin_port)));
    begin("take");
    EXPECT_EQ(end(), "cannot_bind");
    EXPECT_THAT(outcome_.error->message(), ::testing::HasSubstr("it is taken"));
    ::close(taken);
}

TEST(SocketAddressText, IsReadBackAsItIsWritten) {
    for (const auto* text : {"127.0.0.1:0", "192.0.2.7:65535", "[::1]:80", "[2001:db8::1]:443"}) {
        const auto parsed = SocketAddress::parse(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ(parsed->text(), text);
    }
    for (const auto* text : {"", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:*", "127.0.0.1:65536", "127.0.0.1:080", "127.0.0.1:-1", "::1:80", "[127.0.0.1]:80", "[::1]", "localhost:80", "*:80", "127.1:80"}) {
        EXPECT_FALSE(SocketAddress::parse(text)) << text;
    }
}

}  // namespace
}  // namespace berth
