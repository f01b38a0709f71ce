#include <sched.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <clocale>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/base/processors.hpp"
#include "berth/cli/call_once.hpp"
#include "berth/cli/interrupt.hpp"
#include "berth/cli/scratch_folder.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/host/journal.hpp"
#include "berth/host/replay_host_calls.hpp"

namespace berth::cli {
namespace {

struct Arguments {
    std::string file;
    std::string entry;
    bool determinism = false;
};

/// What is different about one of the runs. Undone when it goes.
class Perturbation {
public:
    enum class Kind : std::uint8_t { none, time_zone, locale, one_core, load, addresses };

    explicit Perturbation(Kind kind) : kind_(kind) {
        switch (kind) {
            case Kind::none: break;
            case Kind::time_zone:
                ::setenv("TZ", "Asia/Kathmandu", 1);
                ::tzset();
                break;
            case Kind::locale:
                ::setenv("LC_ALL", "tr_TR.UTF-8", 1);
                std::setlocale(LC_ALL, "");
                break;
            case Kind::one_core: {
                cpu_set_t one;
                CPU_ZERO(&one);
                if (::sched_getaffinity(0, sizeof before_, &before_) != 0) break;
                for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
                    if (CPU_ISSET(cpu, &before_)) {
                        CPU_SET(cpu, &one);
                        break;
                    }
                }
                pinned_ = ::sched_setaffinity(0, sizeof one, &one) == 0;
                break;
            }
            case Kind::load:
                for (unsigned i = 0; i < 2 * usable_processors(); ++i) {
                    spinners_.emplace_back([this] {
                        while (!stop_.load(std::memory_order_relaxed)) {}
                    });
                }
                break;
            case Kind::addresses:
                for (int i = 1; i < 64; ++i) blocks_.emplace_back(static_cast<std::size_t>(i) * 4097);
                break;
        }
    }
    ~Perturbation() {
        stop_ = true;
        for (auto& each : spinners_) each.join();
        if (pinned_) ::sched_setaffinity(0, sizeof before_, &before_);
        if (kind_ == Kind::time_zone) {
            ::unsetenv("TZ");
            ::tzset();
        }
        if (kind_ == Kind::locale) {
            ::unsetenv("LC_ALL");
            std::setlocale(LC_ALL, "C");
        }
    }
    Perturbation(const Perturbation&) = delete;
    Perturbation& operator=(const Perturbation&) = delete;

private:
    Kind kind_;
    cpu_set_t before_{};
    bool pinned_ = false;
    std::atomic<bool> stop_{false};
    std::vector<std::thread> spinners_;
    std::vector<Bytes> blocks_;
};

struct Variant {
    Perturbation::Kind kind;
    std::string_view what;
};
constexpr std::array variants{Variant{Perturbation::Kind::none, "as it is"},          Variant{Perturbation::Kind::none, "again"},
                              Variant{Perturbation::Kind::time_zone, "another time zone"}, Variant{Perturbation::Kind::locale, "another locale"},
                              Variant{Perturbation::Kind::one_core, "one core"},       Variant{Perturbation::Kind::load, "under load"},
                              Variant{Perturbation::Kind::addresses, "other addresses"}};

std::string entry_name(const Journal& journal, std::size_t index) {
    if (index >= journal.entries.size()) return "nothing more";
    const auto& entry = journal.entries[index];
    switch (entry.kind) {
        case JournalKind::val:
        case JournalKind::call: return format("operation {}, {}", entry.number, operation_text(entry));
        case JournalKind::done: return format("the outcome of operation {}", entry.number);
        default: return format("an entry {}", name(entry.kind));
    }
}

/// The first entry in which two journals differ; nothing when they are equal.
Result<std::optional<std::size_t>> first_difference(const Journal& a, const Journal& b) {
    for (std::size_t i = 0; i < std::max(a.entries.size(), b.entries.size()); ++i) {
        if (i >= a.entries.size() || i >= b.entries.size()) return std::optional(i);
        BERTH_TRY(const auto left, encode_journal_entry(a.entries[i], nullptr));
        BERTH_TRY(const auto right, encode_journal_entry(b.entries[i], nullptr));
        if (left != right) return std::optional(i);
    }
    return std::optional<std::size_t>();
}

Result<std::string> read_input() {
    std::string input;
    std::array<char, 65'536> part;
    while (true) {
        const auto got = ::read(STDIN_FILENO, part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Code::io_error, "standard input cannot be read");
        if (got == 0) return input;
        input.append(part.data(), static_cast<std::size_t>(got));
    }
}

Result<int> run(Context& context, const Arguments& arguments) {
    auto& console = context.console;
    if (!arguments.determinism) return fail(Code::not_implemented, "berth check without --determinism is not offered by this build; berth inspect shows what a module is");
    BERTH_TRY(auto request, context.policy_request());
    BERTH_TRY(auto mode, context.call_mode());
    request.deterministic = true;
    mode.deterministic = true;
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    ScratchFolder scratch;
    const Interrupt interrupt([&scratch](int signal) {
        scratch.remove();
        ::_exit(128 + signal);
    });
    const auto name = std::filesystem::path(arguments.file).stem().string();
    BERTH_TRY(const auto program, application->load(arguments.file, name, request, console.progress()));
    BERTH_TRY(const auto text, program->is_command() && arguments.entry.empty() ? read_input() : Result<std::string>(std::string()));
    BERTH_TRYV(scratch.make("check"));

    std::optional<Journal> first;
    std::string first_output;
    for (const auto& variant : variants) {
        TextInput input(text);
        BufferedOutput output(std::uint64_t{1} << 30);
        NoOutput error;
        const CallStreams streams{input, output, error};
        mode.record = scratch.path / "run.bj";
        Call call;
        call.id = call.request_id = new_call_id();
        call.function = name;
        call.entry = arguments.entry;
        call.arguments = context.guest_arguments;
        if (call.entry.empty() && !program->is_command() && !call.arguments.empty()) {
            call.entry = call.arguments.front();
            call.arguments.erase(call.arguments.begin());
        }
        call.trigger = Trigger::cli;
        call.streams = &streams;
        call.mode = &mode;
        Outcome outcome;
        {
            const Perturbation perturbation(variant.kind);
            outcome = call_once(*application, program, std::move(call), nullptr);
        }
        auto journal = Journal::read(mode.record);
        if (!journal) return fail(outcome.error ? *outcome.error : journal.error());  // it did not come to a start
        if (!first) {
            first = std::move(*journal);
            first_output = output.take();
            continue;
        }
        BERTH_TRY(const auto difference, first_difference(*first, *journal));
        if (difference) {
            return fail(Code::replay_diverged, format("{} the run is another one: the first difference is at entry {}: {} against {}", variant.what, *difference, entry_name(*first, *difference), entry_name(*journal, *difference)));
        }
        if (output.text() != first_output) return fail(Code::replay_diverged, format("{} the output is another one", variant.what));
    }
    const auto* end = first->end();
    if (console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.determinism").member("runs", static_cast<std::uint64_t>(variants.size())).member("entries", static_cast<std::uint64_t>(first->entries.size()));
        json.member("root", to_hex(first->root)).member("code", end == nullptr ? "" : std::string_view(end->code)).member("fuel", end == nullptr ? std::uint64_t{0} : end->fuel);
        console.line(json.end_object().text());
    } else {
        console.line(format("{} runs, {} entries each, all equal: {}, fuel {}, journal {}", variants.size(), first->entries.size(), end == nullptr ? "no end" : end->code, end == nullptr ? 0 : end->fuel, to_hex(first->root)));
    }
    return 0;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("file", arguments->file, "a .wasm or .wat file")->required()->type_name("FILE");
    app.add_flag("--determinism", arguments->determinism, "run it under several circumstances");
    app.add_option("--call", arguments->entry, "export to call instead of _start")->type_name("NAME");
    add_guest_flags(app, context);
    app.add_option("--seed", context.seed, "of deterministic randomness")->envname("BERTH_SEED")->type_name("N");
    app.add_option("--clock-start", context.clock_start, "start of the clock")->envname("BERTH_CLOCK_START")->type_name("T");
    action = [&context, arguments] { return run(context, *arguments); };
}

}  // namespace

const Verb check_verb{"check", "Check that a module does the same whatever the circumstances", declare, Takes::guest_arguments};

}  // namespace berth::cli
