#include "berth/runtime/component_gate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "berth/base/format.hpp"
#include "berth/engine/call_record.hpp"
#include "berth/engine/module.hpp"
#include "berth/host/providers/memory_files.hpp"
#include "berth/runtime/call_tape.hpp"
#include "berth/runtime/component_functions.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

using Next = ComponentHost::Next;
using enum ComponentFunction;

/// Every interface whose functions need a grant, imported and not used.
constexpr std::string_view imports_everything = R"((component
  (import "wasi:clocks/wall-clock@0.2.0" (instance)) (import "wasi:clocks/monotonic-clock@0.2.0" (instance))
  (import "wasi:random/random@0.2.0" (instance)) (import "wasi:random/insecure@0.2.0" (instance))
  (import "wasi:cli/environment@0.2.0" (instance)) (import "wasi:http/outgoing-handler@0.2.0" (instance))
  (import "wasi:filesystem/types@0.2.0" (instance)) (import "wasi:sockets/tcp@0.2.0" (instance))
  (import "wasi:sockets/udp@0.2.0" (instance))
  (core module $m (memory (export "memory") 1) (func (export "run") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $e (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $e))))";

class Denials final : public DenialListener {
public:
    void denied(std::string_view, std::string_view function, const Denial& denial) override { told.push_back(format("{} {}", function, name(denial.capability))); }
    std::vector<std::string> told;
};

/// A network that answers every request that reaches it at once.
class EchoNetwork final : public Network {
public:
    class Exchange final : public HttpExchange {
    public:
        explicit Exchange(std::string text) : text_(std::move(text)) {}
        State head() const override { return pending_-- > 0 ? State::pending : State::ready; }
        OutgoingResponse response() const override { return {203, {{"x-a", "b"}}}; }
        Error error() const override { return Error(Code::upstream, "none"); }
        std::size_t room() const override { return 10; }
        void write(ByteView bytes) override { text_ += as_text(bytes); }
        void finish() override {}
        Read read(MutableBytes out, std::size_t& count) override {
            count = std::min(out.size(), text_.size());
            std::copy_n(text_.begin(), count, out.begin());
            text_.erase(0, count);
            return count == 0 ? Read::end : Read::some;
        }

    private:
        std::string text_;
        mutable int pending_ = 2;
    };
    Result<std::unique_ptr<HttpExchange>> open(OutgoingRequest request, std::shared_ptr<const NetworkGuard> guard, std::function<void()>) override {
        BERTH_TRYV(guard->check(NetworkGuard::needed_for(request.method), request.url));
        ++opened;
        return std::make_unique<Exchange>(format("{} {} ", request.method, request.url.text()));
    }
    /// Says back what it is told; the name inside.example leads to the loopback, every other outside.
    class Socket final : public TcpSocket {
    public:
        explicit Socket(EchoNetwork& network) : network_(network) { ++network_.sockets; }
        ~Socket() override { --network_.sockets; }
        Done<void> bind(const SocketAddress& local) override {
            local_ = local;
            return {};
        }
        Done<void> connect(const SocketAddress& remote) override {
            network_.connected.push_back(format("{}:{}", remote.address.text(), remote.port));
            remote_ = remote;
            return {};
        }
        Done<void> connected() override {
            if (pending_-- > 0) return std::unexpected(SocketError::would_block);
            return {};
        }
        Done<void> listen(unsigned) override { return {}; }
        Done<std::unique_ptr<TcpSocket>> accept() override { return std::make_unique<Socket>(network_); }
        bool ready(For) override { return pending_-- <= 0; }
        Done<std::size_t> read(MutableBytes out) override {
            if (said_.empty()) return std::unexpected(SocketError::would_block);
            const auto count = std::min(out.size(), said_.size());
            std::copy_n(said_.begin(), count, out.begin());
            said_.erase(0, count);
            return count;
        }
        Done<std::size_t> write(ByteView bytes) override {
            said_ += as_text(bytes);
            return bytes.size();
        }
        Done<void> shutdown(Shut) override { return std::unexpected(SocketError::connection_reset); }
        Done<SocketAddress> local() const override { return local_; }
        Done<SocketAddress> remote() const override { return remote_; }
        Done<std::uint64_t> option(SocketOption which) const override { return network_.options[static_cast<std::size_t>(which)]; }
        Done<void> set_option(SocketOption which, std::uint64_t value) override {
            if (value > 255) return std::unexpected(SocketError::invalid_argument);
            network_.options[static_cast<std::size_t>(which)] = value;
            return {};
        }

    private:
        EchoNetwork& network_;
        SocketAddress local_{IpAddress::v4({0, 0, 0, 0}), 0}, remote_ = local_;
        std::string said_;
        int pending_ = 1;
    };
    /// What it is sent comes back from where it went; what lies in `network.arriving` has come before.
    class Datagrams final : public UdpSocket {
    public:
        Datagrams(EchoNetwork& network, Accept accept) : network_(network), accept_(std::move(accept)) { ++network_.sockets; }
        ~Datagrams() override { --network_.sockets; }
        Done<void> bind(const SocketAddress& local) override {
            local_ = local;
            return {};
        }
        Done<void> stream(const std::optional<SocketAddress>& remote) override {
            remote_ = remote;
            return {};
        }
        Done<void> send(ByteView bytes, const std::optional<SocketAddress>& to) override {
            network_.sent.push_back(format("{} {}", (to ? *to : *remote_).text(), as_text(bytes)));
            network_.arriving.push_back({Bytes(bytes.begin(), bytes.end()), to ? *to : *remote_});
            return {};
        }
        Done<Datagram> receive() override {
            if (!ready(For::reading)) return std::unexpected(SocketError::would_block);
            auto first = std::move(network_.arriving.front());
            network_.arriving.erase(network_.arriving.begin());
            return first;
        }
        bool ready(For what) override {
            std::erase_if(network_.arriving, [&](const Datagram& each) { return !accept_(each.from); });
            return what == For::writing || !network_.arriving.empty();
        }
        Done<SocketAddress> local() const override { return local_; }
        Done<SocketAddress> remote() const override {
            if (!remote_) return std::unexpected(SocketError::invalid_state);
            return *remote_;
        }
        Done<std::uint64_t> option(SocketOption) const override { return std::unexpected(SocketError::not_supported); }
        Done<void> set_option(SocketOption, std::uint64_t) override { return std::unexpected(SocketError::not_supported); }

    private:
        EchoNetwork& network_;
        Accept accept_;
        SocketAddress local_{IpAddress::v4({}), 0};
        std::optional<SocketAddress> remote_;
    };
    class Lookup final : public NameLookup {
    public:
        explicit Lookup(bool inside) : address_(inside ? IpAddress::v4({127, 0, 0, 1}) : IpAddress::v4({93, 184, 216, 34})) {}
        std::expected<std::vector<IpAddress>, SocketError> addresses() override {
            if (pending_-- > 0) return std::unexpected(SocketError::would_block);
            return std::vector{address_};
        }

    private:
        IpAddress address_;
        int pending_ = 1;
    };
    std::expected<std::unique_ptr<TcpSocket>, SocketError> open_tcp(bool, std::function<void()>) override { return std::make_unique<Socket>(*this); }
    std::expected<std::unique_ptr<UdpSocket>, SocketError> open_udp(bool, UdpSocket::Accept accept, std::function<void()>) override { return std::make_unique<Datagrams>(*this, std::move(accept)); }
    std::expected<std::unique_ptr<NameLookup>, SocketError> look_up(std::string name, std::function<void()>) override { return std::make_unique<Lookup>(name == "inside.example"); }

    int opened = 0;
    int sockets = 0;  // open ones
    std::vector<std::string> connected;
    std::vector<std::string> sent;     // datagrams
    std::vector<Datagram> arriving;
    std::array<std::uint64_t, socket_option_count> options{};
};

struct Answered {
    Next next = Next::ends;
    ComponentAnswer answer;
    std::string bytes;
};

class ComponentGateTest : public ::testing::Test {
protected:
    ComponentGateTest() {
        std::ofstream(folder_.path() / "a.txt") << "content";
        policy_.from = "test";
        EXPECT_TRUE(policy_.mount("data=" + folder_.path().string() + ":rw", "test"));
        policy_.grants.clear();
    }
    /// A call under the policy as it is now.
    void begin(CallTape* tape = nullptr) {
        gate_.reset();
        static const auto engine = WasmEngine::create({.engine_fuel = true, .restore = false, .components = true, .instances = 4, .memory_size = 16 << 20}).value();
        WasmProgramOptions options;
        options.settle = [&](World) -> Result<ProgramTerms> { return ProgramTerms{.policy = policy_, .limits = {}}; };
        options.component_engine = [&](bool) -> Result<std::shared_ptr<WasmEngine>> { return engine; };
        auto loaded = WasmProgram::load(engine, {}, nullptr, as_bytes(imports_everything), options, no_progress());
        ASSERT_TRUE(loaded) << loaded.error().message();
        program_ = *loaded;
        programs_.push_back(program_);
        setup_ = std::make_unique<WasmCallSetup>(WasmCallSetup{.clock = clock_, .limits = limits_, .grants = program_->grants(), .guest_clock = guest_clock_, .files = files_,
                                                               .random = random_, .network = network_, .input = input_, .output = output_, .error = output_, .account = account_, .denials = &denials_, .tape = tape});
        if (tape != nullptr) {
            ASSERT_TRUE(tape->begin("test", {}, limits_));
        }
        gate_ = std::make_unique<ComponentGate>(*program_, *setup_, limits_, record_, body_, variables_);
    }
    Answered ask(ComponentFunction function, std::string_view bytes = {}, std::uint64_t object = 0, std::uint64_t a = 0, std::uint64_t b = 0) {
        Answered got;
        got.next = gate_->perform({.function = function, .object = object, .a = a, .b = b, .bytes = bytes}, got.answer);
        got.bytes = got.answer.bytes;
        return got;
    }
    static std::string request(std::string_view method, std::string_view url) {
        std::string out;
        PackedText packed(out);
        packed.text(method);
        packed.text(url);
        for (int i = 0; i < 3; ++i) packed.number(0);
        return out;
    }
    std::uint64_t mount() {
        ask(file_preopens);
        return 1;
    }
    /// Asks for the function that a row of the table is about, in a way that succeeds when it is granted.
    Answered try_function(std::string_view what) {
        if (what == "wall") return ask(wall_now);
        if (what == "monotonic") return ask(monotonic_now);
        if (what == "sleep") return ask(ComponentFunction::subscribe, {}, 0, 1, 5);
        if (what == "secure") return ask(secure_random, {}, 0, 8);
        if (what == "insecure") return ask(insecure_random, {}, 0, 8);
        if (what == "fetch") return ask(http_handle, request("GET", "http://a.example/"));
        if (what == "send") return ask(http_handle, request("POST", "http://a.example/"));
        if (what == "read") return ask(file_open, "a.txt", mount(), 1 << 4);
        if (what == "write") return ask(file_open, "new.txt", mount(), 1 | 1 << 5);
        if (what == "list") return ask(file_list, {}, mount());
        if (what == "delete") return ask(file_remove, "gone.txt", mount());
        ADD_FAILURE() << what;
        return {};
    }
    void grant(Capability capability) {
        auto& scope = policy_.grants[capability].scope;
        if (row(capability).scope != ScopeKind::none) scope.patterns = {"*"};
        if (row(capability).scope == ScopeKind::paths) scope.patterns = {"**"};
    }

    berth::testing::TempDir folder_;
    Policy policy_;
    SystemClock clock_;
    LiveClock guest_clock_{clock_, false};
    HostFiles files_;
    SystemRandom random_;
    EchoNetwork network_;
    TextInput input_{""};
    BufferedOutput output_{1 << 20, nullptr};
    MemoryAccount account_;
    Denials denials_;
    Limits limits_;
    CallRecord record_;
    WholeBody body_;
    std::vector<std::string> variables_{"A=b"};
    std::shared_ptr<const WasmProgram> program_;
    std::vector<std::shared_ptr<const WasmProgram>> programs_;  // tapes keep them
    std::unique_ptr<WasmCallSetup> setup_;
    std::unique_ptr<ComponentGate> gate_;
};

struct Case {
    const char* what;
    Capability capability;
};
constexpr Case cases[] = {
    {"wall", Capability::time_now},      {"monotonic", Capability::time_now}, {"sleep", Capability::time_sleep}, {"secure", Capability::random_secure}, {"insecure", Capability::random_number},
    {"fetch", Capability::net_fetch},    {"send", Capability::net_send},      {"read", Capability::fs_read},     {"write", Capability::fs_write},       {"list", Capability::fs_read},
    {"delete", Capability::fs_delete},
};

TEST_F(ComponentGateTest, WithoutAGrantEachIsDeniedToldOnceAndHasNoEffect) {
    for (const auto& each : cases) {
        begin();
        denials_.told.clear();
        const auto got = try_function(each.what);
        EXPECT_EQ(got.next, Next::denied) << each.what;
        EXPECT_EQ(got.bytes, "") << each.what;
        ASSERT_EQ(denials_.told.size(), 1u) << each.what;
        EXPECT_THAT(denials_.told[0], ::testing::EndsWith(name(each.capability)));
        ASSERT_TRUE(gate_->failure());
        EXPECT_EQ(gate_->failure()->code(), Code::capability_denied);
    }
    EXPECT_EQ(network_.opened, 0);
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "new.txt"));
}

TEST_F(ComponentGateTest, WithExactlyItsGrantEachWorksAndWithAllOthersItIsDenied) {
    for (const auto& each : cases) {
        std::ofstream(folder_.path() / "gone.txt") << "x";
        policy_.grants.clear();
        grant(each.capability);
        begin();
        const auto got = try_function(each.what);
        EXPECT_EQ(got.next, Next::proceed) << each.what;
        EXPECT_EQ(got.answer.status, 0) << each.what;
        policy_.grants.clear();
        for (const auto& other : cases) {
            if (other.capability != each.capability) grant(other.capability);
        }
        std::filesystem::remove(folder_.path() / "new.txt");
        begin();
        EXPECT_EQ(try_function(each.what).next, Next::denied) << each.what;
    }
}

TEST_F(ComponentGateTest, NothingHappensBehindTheEndOfTheCall) {
    grant(Capability::net_fetch);
    begin();
    EXPECT_EQ(ask(stdout_write, std::string((1 << 20) + 1, 'x')).next, Next::ends);
    EXPECT_EQ(gate_->failure()->code(), Code::output_too_large);
    // What runs beside the guest may still ask.
    EXPECT_EQ(try_function("fetch").next, Next::ends);
    EXPECT_EQ(network_.opened, 0);
    EXPECT_EQ(gate_->failure()->code(), Code::output_too_large);
}

TEST_F(ComponentGateTest, TheCallBeyondTheLimitIsNotMade) {
    grant(Capability::net_fetch);
    grant(Capability::time_now);
    limits_.set(Limit::host_calls, 1);
    begin();
    EXPECT_EQ(ask(wall_now).next, Next::proceed);
    EXPECT_EQ(try_function("fetch").next, Next::ends);
    EXPECT_EQ(network_.opened, 0);
    EXPECT_EQ(gate_->failure()->code(), Code::quota_exceeded);
}

TEST_F(ComponentGateTest, FilesAreReachedBeneathTheMountOnly) {
    for (const auto capability : {Capability::fs_read, Capability::fs_write, Capability::fs_delete}) grant(capability);
    std::filesystem::create_symlink("/etc/passwd", folder_.path() / "out");
    std::filesystem::create_symlink("a.txt", folder_.path() / "in");
    begin();
    const auto root = mount();
    for (const char* path : {"../a.txt", "/etc/passwd", "out", "x/../../a.txt", ""}) {
        const auto got = ask(file_open, path, root, 1 << 4 | 1 << 6);
        EXPECT_TRUE(got.next == Next::denied || got.answer.status != 0) << path;
    }
    const auto opened = ask(file_open, "in", root, 1 << 4 | 1 << 6);
    ASSERT_EQ(opened.answer.status, 0);
    EXPECT_EQ(ask(file_read, {}, opened.answer.x, 0, 100).bytes, "content");
    EXPECT_EQ(ask(file_read, {}, opened.answer.x, 3, 2).bytes, "te");
    EXPECT_EQ(ask(file_read, {}, opened.answer.x, 100, 2).bytes, "");
    const auto made = ask(file_open, "b.txt", root, 1 | 1 << 4 | 1 << 5);
    ASSERT_EQ(made.answer.status, 0);
    EXPECT_EQ(ask(file_write, "hello", made.answer.x, 2).answer.x, 5u);
    EXPECT_EQ(ask(file_write, "!", made.answer.x, ~std::uint64_t{0}).answer.x, 1u);
    EXPECT_EQ(ask(file_read, {}, made.answer.x, 0, 100).bytes, std::string("\0\0hello!", 8));
    EXPECT_EQ(ask(file_close, {}, made.answer.x).answer.status, 0);
    EXPECT_NE(ask(file_read, {}, made.answer.x, 0, 100).answer.status, 0);
    EXPECT_NE(ask(file_read, {}, 99, 0, 100).answer.status, 0);
}

TEST_F(ComponentGateTest, HandlesAreBounded) {
    grant(Capability::fs_read);
    limits_.set(Limit::handles, 3);
    begin();
    const auto root = mount();
    for (int i = 0; i < 2; ++i) EXPECT_EQ(ask(file_open, "a.txt", root, 1 << 4).answer.status, 0);
    EXPECT_EQ(ask(file_open, "a.txt", root, 1 << 4).answer.status, 1 + static_cast<int>(FileError::too_many_open));
}

TEST_F(ComponentGateTest, ARequestIsAnsweredInPartsAndWaitsAreNoCalls) {
    grant(Capability::net_send);
    begin();
    const auto opened = ask(http_handle, request("PUT", "http://a.example/x"), 0, 1);
    ASSERT_EQ(opened.answer.status, 0);
    EXPECT_EQ(ask(http_room, {}, opened.answer.x).answer.x, 10u);
    EXPECT_EQ(ask(http_write, "body", opened.answer.x).answer.status, 0);
    EXPECT_EQ(ask(http_finish, {}, opened.answer.x).answer.status, 0);
    const auto calls = gate_->host_calls();
    EXPECT_EQ(ask(http_head, {}, opened.answer.x).answer.status, component_pending);
    EXPECT_EQ(ask(http_head, {}, opened.answer.x).answer.status, component_pending);
    EXPECT_EQ(gate_->host_calls(), calls);
    const auto head = ask(http_head, {}, opened.answer.x);
    EXPECT_EQ(head.answer.x, 203u);
    EXPECT_EQ(head.bytes, "\x03x-a\x01" "b");
    EXPECT_EQ(ask(http_read, {}, opened.answer.x, 6).bytes, "PUT ht");
    EXPECT_EQ(ask(http_read, {}, opened.answer.x, 100).bytes, "tp://a.example/x body");
    EXPECT_EQ(ask(http_read, {}, opened.answer.x, 100).answer.status, 1);
    EXPECT_EQ(ask(http_handle, request("GET", "http://a.example/")).next, Next::denied);
    EXPECT_EQ(ask(http_handle, request("PUT", "http://127.1/")).answer.status, 4);
}

TEST_F(ComponentGateTest, ARevokedGrantEndsRequestsThatAreUnderWay) {
    grant(Capability::net_fetch);
    begin();
    const auto opened = ask(http_handle, request("GET", "http://a.example/"));
    ASSERT_EQ(opened.answer.status, 0);
    EXPECT_EQ(ask(http_head, {}, opened.answer.x).answer.status, component_pending);
    setup_->grants.revoke(Capability::net_fetch);
    denials_.told.clear();
    EXPECT_EQ(ask(http_head, {}, opened.answer.x).answer.status, 2);
    EXPECT_EQ(denials_.told.size(), 1u);
    EXPECT_EQ(ask(http_handle, request("GET", "http://a.example/")).next, Next::denied);
}

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

TEST_F(ComponentGateTest, WhatWasRecordedIsServedWithEverythingCut) {
    for (const auto capability : {Capability::fs_read, Capability::net_fetch, Capability::time_now, Capability::random_secure}) grant(capability);
    const auto journal_file = folder_.path() / "call.bj";
    const auto script = [&] {
        std::string seen;
        const auto note = [&](const Answered& got) { seen += format("{} {} {} {} {}\n", static_cast<int>(got.next), got.answer.status, got.answer.x, got.answer.y, got.bytes); };
        note(ask(wall_now));
        note(ask(secure_random, {}, 0, 16));
        note(ask(environment));
        note(ask(file_preopens));
        const auto opened = ask(file_open, "a.txt", 1, 1 << 4);
        note(opened);
        note(ask(file_read, {}, opened.answer.x, 0, 100));
        note(ask(file_open, "b.txt", 1, 1 | 1 << 5));
        const auto sent = ask(http_handle, request("GET", "http://a.example/"));
        note(sent);
        for (int i = 0; i < 3; ++i) note(ask(http_head, {}, sent.answer.x));
        note(ask(http_read, {}, sent.answer.x, 100));
        note(ask(http_handle, request("POST", "http://a.example/")));
        note(ask(insecure_random, {}, 0, 4));
        return seen;
    };
    CallMode mode;
    mode.record = journal_file;
    begin();
    std::string first;
    {
        RecordTape tape(*program_, mode, 0);
        begin(&tape);
        first = script();
        gate_.reset();
        Outcome outcome;
        tape.end(outcome, {});
        ASSERT_FALSE(outcome.error) << outcome.error->message();
    }
    EXPECT_THAT(first, ::testing::HasSubstr("content"));
    EXPECT_THAT(first, ::testing::HasSubstr("GET http://a.example/"));
    const auto opened = network_.opened;
    std::filesystem::remove(folder_.path() / "a.txt");
    variables_.clear();
    policy_.grants.clear();
    const auto journal = Journal::read(journal_file);
    ASSERT_TRUE(journal) << journal.error().message();
    ReplayTape tape(*journal, {}, nullptr);
    begin(&tape);
    EXPECT_EQ(script(), first);
    gate_.reset();
    Outcome outcome;
    tape.end(outcome, {});
    EXPECT_FALSE(outcome.error) << outcome.error->message();
    EXPECT_EQ(network_.opened, opened);

    ReplayTape other(*journal, {}, nullptr);
    begin(&other);
    ask(wall_now);
    EXPECT_EQ(ask(secure_random, {}, 0, 17).next, Next::ends);
    EXPECT_EQ(gate_->failure()->code(), Code::replay_diverged);
    gate_.reset();
}

TEST_F(ComponentGateTest, ACallThatIsTakenUpHasItsMountsAndNothingElseThatWasOpen) {
    grant(Capability::fs_read);
    CallMode mode;
    mode.record = folder_.path() / "call.bj";
    mode.durable = true;
    std::uint64_t held = 0, closed = 0;
    const auto first_part = [&] {
        ask(file_preopens);
        closed = ask(file_open, "a.txt", 1, 1 << 4).answer.x;
        EXPECT_EQ(ask(file_read, {}, closed, 0, 100).bytes, "content");
        EXPECT_EQ(ask(file_close, {}, closed).answer.status, 0);
        held = ask(file_open, "a.txt", 1, 1 << 4).answer.x;
        EXPECT_EQ(ask(stdout_write, "told ").answer.status, 0);
    };
    begin();
    {
        RecordTape tape(*program_, mode, 0);
        begin(&tape);
        first_part();
        gate_.reset();  // and the host ends
    }
    EXPECT_EQ(output_.take(), "told ");
    std::filesystem::rename(folder_.path() / "a.txt", folder_.path() / "b.txt");
    const auto journal = Journal::read(mode.record);
    ASSERT_TRUE(journal) << journal.error().message();
    const CallStreams streams{input_, output_, output_};
    RecordTape tape(*program_, mode, 0, nullptr, &*journal, &streams);
    begin(&tape);
    first_part();
    EXPECT_EQ(output_.text(), "told ") << "what it said is there again";
    const auto other = ask(file_open, "b.txt", 1, 1 << 4);
    ASSERT_EQ(other.answer.status, 0) << "the mount is open";
    EXPECT_GT(other.answer.x, held) << "no number is given out twice";
    EXPECT_EQ(ask(file_read, {}, other.answer.x, 0, 100).bytes, "content");
    EXPECT_EQ(ask(file_read, {}, held, 0, 100).next, Next::ends);
    ASSERT_TRUE(gate_->failure());
    EXPECT_EQ(gate_->failure()->code(), Code::host_restarted);
    gate_.reset();
}

}  // namespace
}  // namespace berth
