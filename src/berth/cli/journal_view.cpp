#include "berth/cli/journal_view.hpp"

#include "berth/app/application.hpp"
#include "berth/host/replay_host_calls.hpp"

namespace berth::cli {
namespace {

void hide(Redactor& redactor, std::string_view name, std::string_view value) {
    if (is_credential_name(name)) redactor.add(name, value);
}

/// A status, then the number of variables and each as `NAME=VALUE`.
void hide_of_module(JournalGet in, Redactor& redactor) {
    std::uint32_t status = 0;
    std::uint64_t count = 0;
    if (!in.plain(status) || !in.length(count)) return;
    for (std::string_view variable; count != 0 && in.text(variable); --count) {
        if (const auto equals = variable.find('='); equals != std::string_view::npos) hide(redactor, variable.substr(0, equals), variable.substr(equals + 1));
    }
}

/// A status and two numbers, then names and values in turn, as one text.
void hide_of_component(JournalGet in, Redactor& redactor) {
    std::int32_t status = 0;
    std::uint64_t number = 0;
    ByteView packed;
    if (!in.plain(status) || !in.length(number) || !in.length(number) || !in.bytes(packed)) return;
    JournalGet each(packed);
    std::string_view name;
    std::string_view value;
    while (each.text(name) && each.text(value)) hide(redactor, name, value);
}

}  // namespace

void hide_credentials(const Journal& journal, Redactor& redactor) {
    for (const auto& entry : journal.entries) {
        if (entry.kind != JournalKind::val) continue;
        const bool module = entry.function == "wasi_snapshot_preview1.environ_get";
        if (!module && entry.function != "wasi:cli/environment.get-environment") continue;
        const auto outcome = RecordedOutcome::parse(entry.result);
        if (!outcome || outcome->kind != OutcomeKind::answered || outcome->outcome.empty()) continue;
        const JournalGet in(outcome->outcome.subspan(1));
        if (module) hide_of_module(in, redactor);
        else hide_of_component(in, redactor);
    }
}

}  // namespace berth::cli
