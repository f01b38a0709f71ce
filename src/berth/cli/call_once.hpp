#pragma once

#include <memory>

#include "berth/app/application.hpp"
#include "berth/base/cid.hpp"
#include "berth/host/providers/console.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/outcome.hpp"
#include "berth/runtime/runtime.hpp"
#include "berth/runtime/wasm_functions.hpp"
#include "berth/runtime/wasm_instance.hpp"

namespace berth::cli {

/// A program whose calls go through everything that calls of a server go through as well, on the thread that makes them. Nobody
/// counts them: the process ends behind them.
class ProgramCalls {
public:
    /// `name` is the function that the calls name.
    ProgramCalls(Application& application, std::shared_ptr<const WasmProgram> program, const std::string& name, DenialListener* denials);

    Outcome call(Call call);
    /// An instance for several calls (Call::instance).
    Result<std::unique_ptr<WasmInstance>> open_instance() const;

private:
    Application& application_;
    std::shared_ptr<const WasmProgram> program_;  // with its instances
    std::shared_ptr<Function> function_;          // with the calls of it
    WasmFunctions functions_;
    Runtime runtime_;
};

/// Makes one call of a program.
Outcome call_once(Application& application, std::shared_ptr<const WasmProgram> program, Call call, DenialListener* denials);

/// What a call used, in one line: for `--stats`.
std::string stats_line(const Outcome& outcome, EngineKind engine);

/// Streams that know the content id of what went through them.
class HashedInput final : public InputStream {
public:
    explicit HashedInput(InputStream& inner) : inner_(inner) {}
    std::int64_t read(MutableBytes out) override;
    Ready wait_ready(std::chrono::nanoseconds wait) override { return inner_.wait_ready(wait); }
    std::uint64_t available() const override { return inner_.available(); }
    bool is_terminal() const override { return inner_.is_terminal(); }
    /// Once, at the end.
    Cid cid() { return {Cid::Codec::raw, hash_.finish()}; }

private:
    InputStream& inner_;
    Sha256 hash_;
};

class HashedOutput final : public OutputStream {
public:
    explicit HashedOutput(OutputStream& inner) : inner_(inner) {}
    Written write(ByteView bytes) override;
    bool is_terminal() const override { return inner_.is_terminal(); }
    Cid cid() { return {Cid::Codec::raw, hash_.finish()}; }

private:
    OutputStream& inner_;
    Sha256 hash_;
};

/// Output that goes nowhere.
class NoOutput final : public OutputStream {
public:
    Written write(ByteView) override { return Written::all; }
};

}  // namespace berth::cli
