// A server whose handler does nothing: what the HTTP front costs by itself. Prints its address, runs until its input ends.
#include <cstdio>
#include <unistd.h>

#include "berth/async/reactor.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/net/http_server.hpp"
#include "berth/telemetry/metrics.hpp"

namespace {

class Floor final : public berth::HttpHandler {
public:
    berth::Task<berth::HttpResponse> handle(berth::HttpRequest&) override {
        berth::HttpResponse response;
        response.content_type = "application/json";
        response.route = "/";
        response.body = "{\"message\":\"Hello, World!\"}";
        co_return response;
    }
};

}  // namespace

int main() {
    const auto reactors = berth::Reactors::start(1);
    berth::MetricRegistry metrics;
    Floor floor;
    auto server = berth::HttpServer::open(*reactors, {.port = 0}, floor, metrics);
    if (!server) {
        std::fprintf(stderr, "%s\n", server.error().message().c_str());
        return 71;
    }
    (*server)->serve();
    std::printf("Listening on %s\n", (*server)->url().c_str());
    std::fflush(stdout);
    char byte = 0;
    while (read(0, &byte, 1) > 0) {
    }
    berth::sync_wait((*server)->close(std::chrono::seconds(1)));
}
