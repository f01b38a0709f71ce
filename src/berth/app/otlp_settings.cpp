#include "berth/app/otlp_settings.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "berth/app/application.hpp"
#include "berth/base/format.hpp"
#include "berth/base/units.hpp"
#include "berth/net/http_ask.hpp"
#include "berth/process/descriptor.hpp"

namespace berth {
namespace {

/// One request a line, behind what is there.
class FileTransport final : public OtlpTransport {
public:
    explicit FileTransport(Descriptor file) : write_(descriptor_sink(file.get())), file_(std::move(file)) {}
    Result<void> send(TelemetrySignal, std::string_view json) override {
        write_(std::string(json) + "\n");
        return {};
    }

private:
    Log::Sink write_;
    Descriptor file_;
};

/// A collector that takes the protocol over HTTP.
class HttpTransport final : public OtlpTransport {
public:
    HttpTransport(HttpClient& client, Url endpoint) : client_(client), endpoint_(std::move(endpoint)) {
        while (endpoint_.path.ends_with('/')) endpoint_.path.pop_back();
    }
    Result<void> send(TelemetrySignal signal, std::string_view json) override {
        FetchRequest request;
        request.method = "POST";
        request.url = endpoint_;
        request.url.path += format("/v1/{}", name(signal));
        request.fields.emplace_back("Content-Type", "application/json");
        request.total_timeout = std::chrono::seconds(10);
        request.max_body = 1 << 20;
        BERTH_TRY(const auto answer, ask(client_, std::move(request), json, checks_));
        if (answer.status / 100 != 2) return fail(Code::upstream, format("the collector answered {}", answer.status));
        return {};
    }

private:
    HttpClient& client_;
    Url endpoint_;
    std::shared_ptr<const FetchChecks> checks_ = checks_of_host(PlainHttp::anywhere);
};

}  // namespace

namespace {

std::unexpected<Error> wrong(const Config& config, std::string_view key, std::string_view what) {
    Error error(Code::config_error, format("{}: {}", key, what));
    error.set_from(config.all(key).front().source);
    return fail(std::move(error));
}

}  // namespace

Result<OtlpTarget> OtlpTarget::from(const Config& config) {
    OtlpTarget target;
    const auto& endpoint = config.value("telemetry.otlp.endpoint");
    target.file = config.value("telemetry.otlp.file");
    if (!endpoint.empty() && !target.file.empty()) return wrong(config, "telemetry.otlp.file", "telemetry goes to a file or to a collector, not to both; leave one of telemetry.otlp.file and telemetry.otlp.endpoint out");
    if (endpoint.empty()) return target;
    auto url = Url::parse(endpoint);
    if (!url) return wrong(config, "telemetry.otlp.endpoint", url.error().message());
    target.endpoint = std::move(*url);
    return target;
}

Result<std::unique_ptr<OtlpExporter>> make_otlp_exporter(const Config& config, Application& application) {
    BERTH_TRY(auto target, OtlpTarget::from(config));
    if (!target.endpoint && target.file.empty()) return nullptr;
    OtlpExporter::Options options;
    options.resource = {{"service.name", config.value("telemetry.service")}, {"service.version", std::string(berth_version())}, {"process.pid", std::int64_t{::getpid()}}};
    options.traces = config.value("telemetry.otlp.traces") == "true";
    options.metrics = config.value("telemetry.otlp.metrics") == "true";
    options.logs = config.value("telemetry.otlp.logs") == "true";
    BERTH_TRY(const auto interval, parse_duration(config.value("telemetry.otlp.interval")));
    options.metrics_every = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::nanoseconds(interval));
    std::unique_ptr<OtlpTransport> transport;
    if (!target.endpoint) {
        Descriptor opened(::open(target.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
        if (!opened) return wrong(config, "telemetry.otlp.file", format("{} cannot be written", target.file));
        transport = std::make_unique<FileTransport>(std::move(opened));
    } else {
        BERTH_TRY(auto* const client, application.host_client());
        transport = std::make_unique<HttpTransport>(*client, std::move(*target.endpoint));
    }
    return std::make_unique<OtlpExporter>(std::move(options), std::move(transport), application.metrics(), application.log().redactor(), application.clock());
}

LogExport::LogExport(Application& application, OtlpExporter& exporter) : application_(application) {
    if (!exporter.logs()) return;
    application.log().set_tap([&application, &exporter](LogLevel level, std::string_view logger, std::string_view message, const Log::Attributes& attributes) {
        ExportedRecord record{.time = application.clock().wall(), .level = level, .logger = std::string(logger), .message = std::string(message), .trace_id = {}, .span_id = {}, .attributes = {}};
        for (const auto& [key, value] : attributes) {
            if (key == "trace_id") {
                record.trace_id = value;
            } else if (key == "span_id") {
                record.span_id = value;
            } else {
                record.attributes.emplace_back(std::string(key), std::string(value));
            }
        }
        exporter.add(std::move(record));
    });
}

LogExport::~LogExport() { application_.log().set_tap(nullptr); }

}  // namespace berth
