#include "berth/cli/journal_view.hpp"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "berth/app/function_settings.hpp"
#include "berth/base/json.hpp"
#include "berth/host/replay_host_calls.hpp"
#include "berth/runtime/record_process.hpp"

extern char** environ;

namespace berth::cli {
namespace {

void hide(Redactor& redactor, std::string_view name, std::string_view value) {
    if (is_credential_name(name)) redactor.add(secret_name(name), value);
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

constexpr std::string_view label = "[redacted:";
constexpr int deepest = 64;

/// Told of each member of a JSON text that is a string, in whatever depth.
template <class Take>
void each_text(std::string_view json, const Take& take, int depth = 0) {
    if (depth == deepest || json.empty()) return;
    const auto kind = json_kind(json);
    if (kind == JsonKind::object) {
        const auto members = json_members(json);
        if (!members) return;
        for (const auto& [key, value] : *members) {
            if (json_kind(value) != JsonKind::string) each_text(value, take, depth + 1);
            else if (const auto text = json_string(value)) take(key, *text);
        }
    } else if (kind == JsonKind::array) {
        const auto elements = json_elements(json);
        if (!elements) return;
        for (const auto element : *elements) each_text(element, take, depth + 1);
    }
}

/// Of a program: the names of the secrets that it was given are in what it was given, where their values are hidden.
void hide_of_process(const Journal& journal, Redactor& redactor) {
    std::set<std::string, std::less<>> names;
    for (const auto& entry : journal.entries) {
        if (entry.kind == JournalKind::in) each_text(as_text(entry.bytes), [&](const std::string& key, const std::string& value) {
            if (value.starts_with(label)) names.insert(key);
        });
    }
    for (const auto& entry : journal.entries) {
        if (entry.kind == JournalKind::out) each_text(as_text(entry.bytes), [&](const std::string& key, const std::string& value) {
            if (!value.starts_with(label) && (names.contains(key) || is_credential_name(key))) redactor.add(key, value);
        });
    }
}

void hide_of_environment(const JournalEntry& entry, Redactor& redactor) {
    if (entry.kind != JournalKind::val) return;
    const bool module = entry.function == "wasi_snapshot_preview1.environ_get";
    if (!module && entry.function != "wasi:cli/environment.get-environment") return;
    const auto outcome = RecordedOutcome::parse(entry.result);
    if (!outcome || outcome->kind != OutcomeKind::answered || outcome->outcome.empty()) return;
    const JournalGet in(outcome->outcome.subspan(1));
    if (module) hide_of_module(in, redactor);
    else hide_of_component(in, redactor);
}

}  // namespace

Result<void> hide_secrets(const Context& context, std::initializer_list<const Journal*> journals, Redactor& redactor) {
    BERTH_TRY(const auto configured, context.configuration());
    std::vector<std::string> variables;
    for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) variables.emplace_back(*variable);
    for (const auto& [name, value] : known_secrets(configured, variables)) redactor.add(name, value);
    for (const auto* journal : journals) {
        for (const auto& entry : journal->entries) hide_of_environment(entry, redactor);
        if (journal->open().world == process_world) hide_of_process(*journal, redactor);
    }
    return {};
}

std::string hidden_hex(ByteView bytes, const Redactor& redactor) {
    // First as bytes, so that a value in another form (JSON, base64) is found, then as what is shown. What was hidden when it was
    // recorded is readable as well.
    const auto hidden = redactor.apply(std::string(as_text(bytes)));
    if (hidden.find(label) == std::string::npos) return redactor.apply(to_hex(bytes));
    std::string shown;
    std::string_view rest = hidden;
    while (!rest.empty()) {
        const auto begin = rest.find(label);
        shown += to_hex(as_bytes(rest.substr(0, begin)));
        if (begin == std::string_view::npos) break;
        rest.remove_prefix(begin);
        const auto end = std::min(rest.find(']'), rest.size() - 1) + 1;
        shown += rest.substr(0, end);
        rest.remove_prefix(end);
    }
    return redactor.apply(std::move(shown));
}

}  // namespace berth::cli
