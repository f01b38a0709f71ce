#include "berth/server/serving.hpp"

#include "berth/async/reactor.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/net/http_server.hpp"
#include "berth/runtime/runtime.hpp"
#include "berth/runtime/subprocess.hpp"
#include "berth/server/http_front.hpp"

namespace berth {

Serving::Serving(Application& application, ServeOptions options) : application_(application), options_(std::move(options)) {}

Result<std::unique_ptr<Serving>> Serving::start(Application& application, ServeOptions options, Progress& progress) {
    std::unique_ptr<Serving> serving(new Serving(application, std::move(options)));
    auto& options_now = serving->options_;
    serving->reactors_ = Reactors::start();
    // Everything is found and compiled before the port answers, so that the first request waits for nothing.
    BERTH_TRY(serving->functions_, find_functions(application, options_now.paths, options_now.policy, *serving->reactors_, progress));
    serving->runtime_ = std::make_unique<Runtime>(Runtime::Setup{.clock = application.clock(), .metrics = application.metrics(), .log = &application.log(), .reactors = serving->reactors_.get()}, serving->functions_.engine_pointers());
    serving->front_ = std::make_unique<HttpFront>(*serving->runtime_,
                                                  HttpFrontOptions{.detail = options_now.expose_errors ? Detail::exposed : Detail::withheld,
                                                                   .metrics_text = [&application] { return application.metrics().prometheus_text(); },
                                                                   .checks = [] { return std::vector<std::pair<std::string, std::string>>{}; }});
    HttpServerOptions http;
    http.host = options_now.host;
    http.port = options_now.port;
    BERTH_TRY(serving->server_, HttpServer::open(*serving->reactors_, http, *serving->front_, application.metrics()));
    if (serving->functions_.processes) serving->functions_.processes->set_url(serving->server_->url());
    serving->front_->set_ready();
    serving->server_->serve();
    return serving;
}

Serving::~Serving() {
    if (!stopped_ && server_) {
        options_.grace = std::chrono::milliseconds(0);
        stop();
    }
}

std::string Serving::url() const { return server_->url(); }
std::vector<FunctionRef> Serving::functions() const { return runtime_->list(); }
const std::vector<std::string>& Serving::notices() const noexcept { return functions_.notices; }

bool Serving::stop() {
    stopped_ = true;
    front_->drain();
    const bool clean = sync_wait(server_->close(options_.grace));
    sync_wait(runtime_->close(options_.grace));
    return clean;
}

}  // namespace berth
