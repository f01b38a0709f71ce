// A server of functions that are programs, made of discovery, the process engine, the runtime and the front of functions, and of
// nothing else: `fn_only FOLDER` prints its address and serves until its input ends. What is linked into it is looked at by the tests.
#include <unistd.h>

#include <cstdio>

#include "berth/async/sync_wait.hpp"
#include "berth/base/ids.hpp"
#include "berth/net/http_server.hpp"
#include "berth/runtime/runtime.hpp"
#include "berth/runtime/subprocess.hpp"
#include "berth/server/function_front.hpp"

namespace {

class Handler final : public berth::HttpHandler {
public:
    explicit Handler(berth::FunctionFront& front) : front_(front) {}
    berth::Task<berth::HttpResponse> handle(berth::HttpRequest& request) override {
        auto answer = front_.handle(request, false);
        if (answer) co_return co_await std::move(*answer);
        berth::HttpResponse nothing;
        nothing.status = 404;
        co_return nothing;
    }

private:
    berth::FunctionFront& front_;
};

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) return 64;
    berth::SystemClock clock;
    berth::MetricRegistry metrics;
    berth::Log log(berth::LogLevel::error, clock, [](std::string_view line) { std::fwrite(line.data(), 1, line.size(), stderr); });
    const auto reactors = berth::Reactors::start(2);
    const std::vector<std::filesystem::path> paths{arguments[1]};
    auto found = berth::discover(paths, berth::DiscoverySettings{});
    if (!found) return 66;
    berth::SubprocessOptions options;
    options.environment["PATH"] = "/usr/local/bin:/usr/bin:/bin";
    options.defaults = berth::default_limits("subprocess", 2);
    const auto engine = berth::SubprocessEngine::create(std::move(options), std::move(found->functions), *reactors, log);
    berth::Runtime runtime(berth::Runtime::Setup{.clock = clock, .metrics = metrics, .log = &log, .reactors = reactors.get()}, {engine.get()});
    berth::FunctionFront front(runtime, berth::FunctionFrontOptions{});
    Handler handler(front);
    berth::HttpServerOptions listen;
    listen.port = 0;
    auto server = berth::HttpServer::open(*reactors, listen, handler, metrics);
    if (!server) return 71;
    (*server)->serve();
    std::printf("Listening on %s\n", (*server)->url().c_str());
    std::fflush(stdout);
    char byte = 0;
    while (::read(0, &byte, 1) > 0) {
    }
    berth::sync_wait((*server)->close(std::chrono::seconds(5)));
    berth::sync_wait(runtime.close(std::chrono::seconds(5)));
    return 0;
}
