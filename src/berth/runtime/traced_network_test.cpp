#include "berth/runtime/traced_network.hpp"

#include <gmock/gmock.h>

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::StartsWith;

class Seen final : public CallObserver {
public:
    void step(CallStep, const Call&, const Outcome*) override {}
    void operation(const Call& call, CallOperation operation) override {
        EXPECT_EQ(call.id, "call");
        operations.push_back(std::move(operation));
    }
    std::vector<CallOperation> operations;
};

/// Answers with a status, fails, or opens nothing.
class OneAnswer final : public Network {
public:
    Result<std::unique_ptr<HttpExchange>> open(OutgoingRequest request, std::shared_ptr<const NetworkGuard>, std::function<void()>) override {
        fields = request.fields;
        if (refuses) return fail(Code::capability_denied, "not there");
        return std::make_unique<Exchange>(*this);
    }
    class Exchange final : public HttpExchange {
    public:
        explicit Exchange(const OneAnswer& of) : of_(of) {}
        State head() const override { return of_.state; }
        OutgoingResponse response() const override { return {of_.status, {}}; }
        Error error() const override { return Error(Code::upstream, "the connection broke"); }
        std::size_t room() const override { return 0; }
        void write(ByteView) override {}
        void finish() override {}
        Read read(MutableBytes, std::size_t&) override { return of_.body; }

    private:
        const OneAnswer& of_;
    };
    std::expected<std::unique_ptr<TcpSocket>, SocketError> open_tcp(bool, std::function<void()>) override { return std::unexpected(SocketError::new_socket_limit); }
    std::expected<std::unique_ptr<NameLookup>, SocketError> look_up(std::string, std::function<void()>) override { return std::unexpected(SocketError::temporary_resolver_failure); }
    std::vector<std::pair<std::string, std::string>> fields;
    HttpExchange::State state = HttpExchange::State::ready;
    HttpExchange::Read body = HttpExchange::Read::end;
    std::uint16_t status = 200;
    bool refuses = false;
};

class TracedNetworkTest : public ::testing::Test {
protected:
    TracedNetworkTest() {
        call_.id = "call";
        call_.trace_parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    }
    /// One request from its sending to its end; gives what was told of it.
    CallOperation ask(std::vector<std::pair<std::string, std::string>> fields = {}) {
        TracedNetwork network(inner_, clock_, call_, seen_);
        OutgoingRequest request{.method = "POST", .url = Url::parse("https://api.example:8443/items?x=1").value(), .fields = std::move(fields)};
        if (auto exchange = network.open(std::move(request), nullptr, [] {}); exchange) {
            std::size_t count = 0;
            (*exchange)->read({}, count);
            EXPECT_THAT(seen_.operations, IsEmpty()) << "it has not ended";
        }
        EXPECT_EQ(seen_.operations.size(), 1u);
        auto told = seen_.operations.at(0);
        seen_.operations.clear();
        return told;
    }

    SystemClock clock_;
    Seen seen_;
    OneAnswer inner_;
    Call call_;
};

TEST_F(TracedNetworkTest, ARequestIsAnOperationAndNamesItselfToTheOtherSide) {
    const auto told = ask();
    EXPECT_EQ(told.name, "POST");
    EXPECT_EQ(told.kind, SpanKind::client);
    EXPECT_EQ(told.failure, "");
    EXPECT_LE(told.start, told.end);
    EXPECT_THAT(told.attributes, ElementsAre(Pair("http.request.method", TelemetryValue("POST")), Pair("server.address", TelemetryValue("api.example")), Pair("server.port", TelemetryValue(std::int64_t{8443})),
                                             Pair("url.scheme", TelemetryValue("https")), Pair("http.response.status_code", TelemetryValue(std::int64_t{200}))));
    EXPECT_THAT(inner_.fields, ElementsAre(Pair("traceparent", "00-0af7651916cd43dd8448eb211c80319c-" + told.span_id + "-01")));
}

TEST_F(TracedNetworkTest, TheContextThatTheGuestGaveIsLeft) {
    ask({{"TraceParent", "its own"}});
    EXPECT_THAT(inner_.fields, ElementsAre(Pair("TraceParent", "its own")));
}

TEST_F(TracedNetworkTest, SocketsAreThoseOfTheNetworkBehind) {
    TracedNetwork network(inner_, clock_, call_, seen_);
    EXPECT_EQ(network.open_tcp(false, [] {}).error(), SocketError::new_socket_limit);
    EXPECT_EQ(network.look_up("db.example", [] {}).error(), SocketError::temporary_resolver_failure);
}

TEST_F(TracedNetworkTest, WhatFailsSaysWhy) {
    inner_.status = 503;
    EXPECT_EQ(ask().failure, "503");
    inner_.body = HttpExchange::Read::failed;
    EXPECT_THAT(ask().failure, StartsWith("the connection broke"));
    inner_.state = HttpExchange::State::failed;
    EXPECT_THAT(ask().failure, StartsWith("the connection broke"));
    inner_.state = HttpExchange::State::pending;
    EXPECT_EQ(ask().failure, "given up before it was answered");
    inner_.refuses = true;
    EXPECT_THAT(ask().failure, StartsWith("not there"));
}

}  // namespace
}  // namespace berth
