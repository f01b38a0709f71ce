#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "berth/base/format.hpp"
#include "berth/engine/call_record.hpp"
#include "berth/engine/module.hpp"
#include "berth/host/providers/memory_files.hpp"
#include "berth/runtime/call_tape.hpp"
#include "berth/runtime/component_functions.hpp"
#include "berth/runtime/component_gate.hpp"
#include "support/temp_dir.hpp"

namespace berth::component_gate_test {

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

}  // namespace berth::component_gate_test
