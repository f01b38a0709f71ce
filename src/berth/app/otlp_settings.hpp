#pragma once

#include <memory>
#include <optional>
#include <string>

#include "berth/app/config.hpp"
#include "berth/base/url.hpp"
#include "berth/telemetry/otlp_exporter.hpp"

namespace berth {

class Application;

/// Where telemetry goes (`telemetry.otlp.*`); both empty: nowhere.
struct OtlpTarget {
    std::string file;
    std::optional<Url> endpoint;

    /// Fails with config_error when both are written, or the address is none. Opens nothing.
    static Result<OtlpTarget> from(const Config& config);
};

/// The exporter that the configuration asks for (`telemetry.otlp.*`); null: none. Fails with config_error when what is
/// written there cannot be: a file that cannot be opened, an address that is none, both at once.
Result<std::unique_ptr<OtlpExporter>> make_otlp_exporter(const Config& config, Application& application);

/// The records of the application's log go to the exporter as well, until this is destroyed.
class LogExport {
public:
    LogExport(Application& application, OtlpExporter& exporter);
    ~LogExport();
    LogExport(const LogExport&) = delete;
    LogExport& operator=(const LogExport&) = delete;

private:
    Application& application_;
};

}  // namespace berth
