#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/journal_view.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/host/replay_host_calls.hpp"

namespace berth::cli {
namespace {

void write_outcome(JsonWriter& json, ByteView result, const Redactor& redactor) {
    const auto hex = [&](ByteView bytes) { return hidden_hex(bytes, redactor); };
    const auto outcome = RecordedOutcome::parse(result);
    if (!outcome) {
        json.member("r", hex(result));  // of a world that Berth does not run here
        return;
    }
    if (!outcome->uses.empty()) {
        json.key("uses").begin_array();
        for (const auto& use : outcome->uses) json.begin_object().member("capability", name(use.capability)).member("scope", redactor.apply(std::string(use.scope))).member("allowed", use.allowed).end_object();
        json.end_array();
    }
    if (outcome->stream != 0) json.member("stream", outcome->stream).member("written", outcome->stream_bytes);
    if (const auto refused = outcome->refused()) json.member("refused", name(*refused));
    if (outcome->kind == OutcomeKind::ended) {
        JournalGet in(outcome->outcome.subspan(1));
        std::string_view code;
        std::string_view message;
        if (in.text(code) && in.text(message)) json.member("ended", code).member("message", redactor.apply(std::string(message)));
    }
    if (outcome->kind == OutcomeKind::revoked) json.member("revoked", true);
    if (outcome->kind == OutcomeKind::answered) json.member("r", hex(outcome->outcome.subspan(1)));
}

/// One entry as a JSON object, bytes in hexadecimal, without what `redactor` hides.
std::string entry_json(const JournalEntry& entry, const Redactor& redactor) {
    const auto hex = [&](ByteView bytes) { return hidden_hex(bytes, redactor); };
    const auto text = [&](std::string_view what) { return redactor.apply(std::string(what)); };
    JsonWriter json;
    json.begin_object().member("$type", "berth.trace_entry").member("t", name(entry.kind));
    if (entry.summon) json.member("s", *entry.summon);
    switch (entry.kind) {
        case JournalKind::open: {
            const auto& open = *entry.open;
            json.member("world", open.world).member("module", to_hex(open.module)).member("entry", open.entry).member("args", hex(open.args)).member("policy", to_hex(open.policy));
            json.member("seed", open.seed).member("clock", open.clock).member("deterministic", open.deterministic).member("fuel_schedule", open.fuel_schedule);
            if (!open.engine.empty()) json.member("engine", open.engine);
            if (open.before) json.key("before").begin_object().member("name", open.before->name).member("root", to_hex(open.before->root)).end_object();
            if (!open.limits.empty()) {
                json.key("limits").begin_object();
                for (const auto& [limit, value] : open.limits) json.member(limit, value);
                json.end_object();
            }
            break;
        }
        case JournalKind::val:
            json.member("n", entry.number).member("f", entry.function).member("a", hex(entry.arguments));
            write_outcome(json, entry.result, redactor);
            break;
        case JournalKind::call:
            json.member("n", entry.number).member("f", entry.function).member("a", hex(entry.arguments)).member("c", entry.capability);
            if (!entry.key.empty()) json.member("key", text(entry.key));
            break;
        case JournalKind::done:
            json.member("n", entry.number);
            write_outcome(json, entry.result, redactor);
            break;
        case JournalKind::seen: json.member("n", entry.number); break;
        case JournalKind::log: json.member("level", entry.level).member("m", text(entry.message)); break;
        case JournalKind::in:
        case JournalKind::out: json.member("fd", entry.descriptor).member("b", hex(entry.bytes)); break;
        case JournalKind::exit:
            if (entry.signal) {
                json.member("signal", *entry.signal);
            } else {
                json.member("status", entry.status.value_or(0));
            }
            break;
        case JournalKind::revoke: json.member("c", entry.capability); break;
        case JournalKind::cancel: break;
        case JournalKind::mark:
            json.member("label", text(entry.label));
            if (entry.state) json.member("state", hex(*entry.state));
            break;
        case JournalKind::end: json.member("code", entry.code).member("r", hex(entry.result)).member("fuel", entry.fuel).member("peak", entry.peak); break;
    }
    return json.end_object().take();
}

Result<int> show(Context& context, const std::string& file) {
    BERTH_TRY(const auto journal, Journal::read(file));
    Redactor redactor;
    BERTH_TRYV(hide_secrets(context, {&journal}, redactor));
    for (const auto& entry : journal.entries) context.console.line(entry_json(entry, redactor));
    JsonWriter json;
    json.begin_object().member("$type", "berth.journal").member("entries", static_cast<std::uint64_t>(journal.entries.size())).member("root", to_hex(journal.root)).member("torn", journal.torn).member("complete", journal.end() != nullptr);
    context.console.line(json.end_object().text());
    return 0;
}

Result<int> diff(Context& context, const std::string& a_file, const std::string& b_file) {
    BERTH_TRY(const auto a, Journal::read(a_file));
    BERTH_TRY(const auto b, Journal::read(b_file));
    Redactor redactor;
    BERTH_TRYV(hide_secrets(context, {&a, &b}, redactor));
    const Redactor nothing;
    std::uint64_t differences = 0;
    for (std::size_t i = 0; i < std::max(a.entries.size(), b.entries.size()); ++i) {
        const auto text = [&](const Journal& journal, const Redactor& hidden) { return i < journal.entries.size() ? entry_json(journal.entries[i], hidden) : std::string("null"); };
        if (text(a, nothing) == text(b, nothing)) continue;  // two secrets differ as well
        ++differences;
        context.console.line(JsonWriter().begin_object().member("$type", "berth.trace_difference").member("entry", static_cast<std::uint64_t>(i)).key("a").raw(text(a, redactor)).key("b").raw(text(b, redactor)).end_object().take());
    }
    return differences == 0 ? 0 : 1;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto files = std::make_shared<std::array<std::string, 2>>();
    auto* show_app = app.add_subcommand("show", "entries as JSON lines, then the root");
    show_app->add_option("file", (*files)[0], "a journal")->required()->type_name("FILE");
    add_config_flags(*show_app, context);
    add_output_flags(*show_app, context);
    auto* diff_app = app.add_subcommand("diff", "entries that differ; exit 1 if any do");
    diff_app->add_option("a", (*files)[0], "a journal")->required()->type_name("A");
    diff_app->add_option("b", (*files)[1], "another")->required()->type_name("B");
    add_config_flags(*diff_app, context);
    add_output_flags(*diff_app, context);
    app.require_subcommand(1);
    action = [&context, files, show_app] { return show_app->parsed() ? show(context, (*files)[0]) : diff(context, (*files)[0], (*files)[1]); };
}

}  // namespace

const Verb trace_verb{"trace", "Show and compare journals", declare};

}  // namespace berth::cli
