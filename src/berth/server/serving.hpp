#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "berth/app/application.hpp"
#include "berth/app/function_set.hpp"

namespace berth {

class HttpFront;
class HttpServer;
class Reactors;
class Runtime;

struct ServeOptions {
    std::vector<std::filesystem::path> paths;  // folders of functions, or single files
    PolicyRequest policy;
    std::string host = "127.0.0.1";
    std::uint16_t port = 8080;                 // 0: any free one
    std::chrono::milliseconds grace{10'000};   // for running calls at shutdown
    bool expose_errors = false;
};

/// A running server: functions found and compiled, behind one HTTP front. Made by `start`, which returns when requests
/// are answered; stopped by `stop`, or by the destructor without grace.
class Serving {
public:
    static Result<std::unique_ptr<Serving>> start(Application& application, ServeOptions options, Progress& progress);
    ~Serving();
    Serving(const Serving&) = delete;
    Serving& operator=(const Serving&) = delete;

    std::string url() const;
    std::vector<FunctionRef> functions() const;
    const std::vector<std::string>& notices() const noexcept;  // what a person should know about the start

    /// Refuses new work, lets running calls end within the grace, then ends them. True when none had to be ended.
    bool stop();

private:
    Serving(Application& application, ServeOptions options);

    Application& application_;
    ServeOptions options_;
    FunctionSet functions_;
    std::unique_ptr<Reactors> reactors_;
    std::unique_ptr<Runtime> runtime_;
    std::unique_ptr<HttpFront> front_;
    std::unique_ptr<HttpServer> server_;
    bool stopped_ = false;
};

}  // namespace berth
