#include "berth/cli/policy_explain.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/explain_program.hpp"
#include "berth/engine/component.hpp"
#include "berth/host/guest_world.hpp"
#include "berth/host/journal.hpp"
#include "berth/runtime/component_call.hpp"
#include "berth/runtime/component_functions.hpp"
#include "berth/runtime/journal_folder.hpp"
#include "berth/runtime/policy_suggest.hpp"
#include "berth/runtime/record_process.hpp"
#include "berth/server/request_words.hpp"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

std::string scope_text(const Scope& scope, ScopeKind kind) {
    if (kind == ScopeKind::none) return "";
    if (scope.patterns.empty()) return "on nothing (no scope)";
    std::string list;
    for (const auto& pattern : scope.patterns) list += (list.empty() ? "on " : ", ") + pattern;
    return list;
}

bool is_module_file(const fs::path& file) { return file.extension() == ".wasm" || file.extension() == ".wat"; }

Result<int> explain_file(Context& context, const std::string& what, const std::string& folder) {
    BERTH_TRY(const auto request, context.policy_request());
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    auto file = what;
    auto name = fs::path(what).stem().string();
    if (!is_module_file(what)) {
        BERTH_TRY(const auto function, find_function(context, *application, what, folder));
        if (function && function->function.engine == EngineKind::subprocess) return explain_program(context, *application, *function);
        if (function) {
            file = function->function.entry;
            name = function->function.name;
        }
    }
    std::string preset;
    BERTH_TRY(const auto program, application->load(file, name, request, context.console.progress(), &preset));
    const auto* component = program->component();
    std::vector<ModuleImport> imports;
    for (const auto& import : program->info().imports) imports.push_back({import.module, import.name, import.kind, {}});
    const auto asked = component != nullptr ? asked_by_interfaces(component->imports()) : program->world().table().asked_by(imports);
    const auto world = component != nullptr ? berth::name(World::component) : program->world().table().world().name;
    const auto missing = component != nullptr ? Missing::deny_at_call : program->world().table().world().missing;
    const auto* policy = program->policy();
    const auto from = policy != nullptr ? policy->from : std::string("nothing is granted");
    const bool json = context.console.format == Format::json;
    JsonWriter writer;
    const auto digest = policy_digest(policy != nullptr ? *policy : Policy{}, missing).text();
    if (json) {
        writer.begin_object().member("$type", "berth.policy_explanation").member("world", world).member("policy", from).member("digest", digest).key("capabilities").begin_array();
    } else {
        context.console.line(format("{}: world {}, policy: {}", name, world, from));
        context.console.line(format("digest {}", digest));
    }
    for (const auto& [capability, why, required] : asked) {
        const bool held = program->grants().holds(capability);
        if (!held && !required && component == nullptr) continue;
        const auto granted = policy != nullptr ? policy->grants.find(capability) : std::map<Capability, Grant>::const_iterator{};
        const auto rule = held ? granted->second.from : from;
        const auto denial = program->grants().denial(capability, {});
        if (json) {
            writer.begin_object().member("capability", berth::name(capability)).member("granted", held).member("rule", rule).member("why", why);
            if (!held) writer.member("fix", denial.fix);
            writer.end_object();
        } else if (held) {
            context.console.line(format("granted  {:<14} {} by {} ({})", berth::name(capability), scope_text(program->grants().scope(capability), row(capability).scope), rule, why));
        } else {
            context.console.line(format("refused  {:<14} by {} ({}); add {}", berth::name(capability), rule, why, denial.fix));
        }
    }
    if (policy != nullptr) {
        for (const auto& [capability, grant] : policy->grants) {
            const bool wanted = std::any_of(asked.begin(), asked.end(), [&](const auto& each) { return each.capability == capability; });
            if (wanted || json) continue;
            context.console.line(format("unused   {:<14} granted by {}, not asked for", berth::name(capability), grant.from));
        }
    }
    if (json) {
        writer.end_array().end_object();
        context.console.line(writer.text());
    }
    return 0;
}

/// The policy that this command line and configuration give a call, and the functions that it asked.
struct Judge {
    std::unique_ptr<Application> application;
    const HostTable* table = nullptr;
    Policy policy;
};

/// `function`: the name of the called one, for policies that match by it; empty: not known.
Result<Judge> judge_of(Context& context, std::string_view world, const std::string& function) {
    Judge judge;
    BERTH_TRY(const auto request, context.policy_request());
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(judge.application, Application::create(std::move(options)));
    judge.table = journal_table(*judge.application, world);
    if (judge.table == nullptr) return fail(Code::not_implemented, format("calls of the worlds wasi, bare and component are explained, not of {}", terminal_safe(world)));
    BERTH_TRY(auto settled, judge.application->settle(request, world == "wasi" ? World::wasi : world == "bare" ? World::bare : World::component, function));
    judge.policy = std::move(settled.terms.policy).value_or(Policy{});
    return judge;
}

/// One refusal of a call. Of a journal it has a number, of a host's memory the rule that refused it there and the line to add.
struct Refused {
    std::optional<std::uint64_t> operation;
    std::string function;
    Capability capability;
    std::string scope;
    std::string by, fix;
    std::optional<std::uint64_t> revoked = {};  // behind this operation, or in it
};

constexpr std::string_view revoked_rule = "revoked while running";  // how the rule of such a denial begins

std::string behind_text(std::uint64_t operation) { return operation == 0 ? "before its first operation" : format("behind operation {}", operation); }

/// The rule of the policy given here that grants it; empty: none does.
std::string granting_rule(const Judge& judge, Capability capability) {
    const auto found = judge.policy.grants.find(capability);
    return found == judge.policy.grants.end() ? std::string() : found->second.from;
}

std::string granted_text(const Judge& judge, Capability capability) {
    const auto rule = granting_rule(judge, capability);
    return rule.empty() ? std::string("the policy given here grants it not: name that of the call with --policy or --allow") : format("it had been granted by {}", rule);
}

Result<void> print(Context& context, const Judge& judge, const Refused& refused) {
    const AskedCapability asked[] = {{refused.capability, "recorded", false}};
    BERTH_TRY(const auto grants, GrantSet::resolve(asked, &judge.policy, Missing::deny_at_call));
    const bool held = refused.scope.empty() ? grants->holds(refused.capability) : grants->holds(refused.capability, refused.scope);
    const auto denial = grants->denial(refused.capability, refused.scope);
    const auto& fix = refused.by.empty() ? denial.fix : refused.fix;
    const auto rule = held ? judge.policy.grants.at(refused.capability).from : refused.by.empty() ? denial.rule : refused.by;
    if (context.console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.refusal");
        if (refused.operation) json.member("operation", *refused.operation);
        json.member("function", refused.function).member("capability", name(refused.capability)).member("scope", refused.scope);
        if (!refused.by.empty()) json.member("refused_by", refused.by);
        if (refused.revoked) json.member("revoked_behind", *refused.revoked);
        json.member("granted_now", held).member("rule", rule);
        if (!held && !refused.revoked) json.member("fix", fix);
        context.console.line(json.end_object().text());
        return {};
    }
    const auto number = refused.operation ? format("operation {}: ", *refused.operation) : std::string();
    if (refused.revoked || refused.by.starts_with(revoked_rule)) {
        const auto when = !refused.revoked ? std::string("while the call ran") : refused.operation == refused.revoked ? std::string("while it ran") : behind_text(*refused.revoked);
        context.console.line(format("{}{} wanted {}{}; revoked {}, {}", number, terminal_safe(refused.function), name(refused.capability), refused.scope.empty() ? "" : " on " + terminal_safe(refused.scope), when,
                                    granted_text(judge, refused.capability)));
        return {};
    }
    const auto then = refused.by.empty() ? std::string() : format("refused by {}, ", terminal_safe(refused.by));
    context.console.line(format("{}{} wanted {}{}; {}", number, terminal_safe(refused.function), name(refused.capability), refused.scope.empty() ? "" : " on " + terminal_safe(refused.scope),
                                held ? format("{}granted now by {}", then, rule) : format("refused by {}; add {}", terminal_safe(rule), terminal_safe(fix))));
    return {};
}

void say_nothing_refused(Context& context, bool ended) {
    if (context.console.format == Format::json) context.console.line(JsonWriter().begin_object().member("$type", "berth.no_refusals").member("ended", ended).end_object().text());
    else context.console.notice(ended ? "nothing was refused" : "nothing was refused so far");
}

/// What was taken from a recorded call, when in the order of its operations, and by which rule it had it.
void print(Context& context, const Judge& judge, const RecordedRevocation& revocation, const JournalEntry* end) {
    const auto rule = granting_rule(judge, revocation.capability);
    if (context.console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.revocation").member("capability", name(revocation.capability)).member("behind", revocation.behind);
        if (!rule.empty()) json.member("rule", rule);
        if (end != nullptr) json.member("ended", end->code);
        context.console.line(json.end_object().text());
        return;
    }
    context.console.line(format("{} was revoked {}; {}", name(revocation.capability), behind_text(revocation.behind), granted_text(judge, revocation.capability)));
}

/// A program cannot be narrowed: it was ended.
void print_of_program(Context& context, const RecordedRevocation& revocation) {
    if (context.console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.revocation").member("capability", name(revocation.capability)).member("behind", revocation.behind);
        context.console.line(json.member("ended", name(Code::capability_denied)).end_object().text());
        return;
    }
    context.console.line(format("{} was revoked; a process cannot be narrowed after its start, so the call ended with {}", name(revocation.capability), name(Code::capability_denied)));
}

/// What a recorded call was refused, by which rule of the policy that holds now, and the line to add.
Result<int> explain_journal(Context& context, const Journal& journal) {
    if (journal.open().world == process_world) {
        BERTH_TRY(const auto taken, recorded_revocations(journal));
        explain_program_call(context, journal.open().entry);
        for (const auto& each : taken) print_of_program(context, each);
        return 0;
    }
    BERTH_TRY(const auto judge, judge_of(context, journal.open().world, ""));
    BERTH_TRY(const auto uses, recorded_uses(journal, *judge.table));
    BERTH_TRY(const auto revocations, recorded_revocations(journal));
    for (const auto& each : revocations) print(context, judge, each, journal.end());
    std::size_t refused = 0;
    for (const auto& use : uses) {
        if (use.allowed) continue;
        ++refused;
        BERTH_TRYV(print(context, judge, {.operation = use.operation, .function = use.function, .capability = use.capability, .scope = use.scope, .by = {}, .fix = {}, .revoked = use.revoked}));
    }
    const bool ended = journal.end() != nullptr;
    if (refused == 0 && revocations.empty()) say_nothing_refused(context, ended);
    if (!revocations.empty() && ended && context.console.format != Format::json) context.console.line(format("the call ended with {}", terminal_safe(journal.end()->code)));
    if (!ended) context.console.notice("the journal has no end: the call runs, or its host was ended");
    return 0;
}

/// A call as a running host remembers it.
struct Remembered {
    std::string id, function, status;
    std::string refused;  // a JSON array; empty: not known
    bool cut = false;
};

Remembered remembered(std::string_view record) {
    Remembered one;
    const auto members = json_members(record);
    if (!members) return one;
    for (const auto& [key, value] : *members) {
        const auto kind = json_kind(value);
        const auto text = [&] { return kind == JsonKind::string ? json_string(value).value_or(std::string()) : std::string(); };
        if (key == "id") one.id = text();
        else if (key == "function_id") one.function = text();
        else if (key == "status") one.status = text();
        else if (key == "refused" && kind == JsonKind::array) one.refused = value;
        else if (key == "refused_truncated") one.cut = true;
    }
    return one;
}

/// As journals name it: `module.name` of the import.
std::string qualified(const HostTable& table, std::string_view function) {
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        if (table[i].name == function) return table.qualified(i);
    }
    return std::string(function);
}

Result<int> explain_remembered(Context& context, const Remembered& call) {
    if (call.refused.empty()) {
        if (call.status == "pending" || call.status == "running") {
            Error error(Code::conflict, format("the call {} has not ended; its host tells what it was refused when it has", call.id));
            error.set_fix("ask again, or record calls with berth serve --record DIR and name DIR here");
            return fail(std::move(error));
        }
        Error error(Code::not_found, format("the host knows of no refusals of the call {} of {}: those of programs are the system's, and a call that never began has none", call.id, terminal_safe(call.function)));
        error.set_fix(format("berth policy explain {} lists what a program has that no policy holds back", terminal_safe(call.function)));
        return fail(std::move(error));
    }
    BERTH_TRY(const auto refused, json_elements(call.refused));
    std::optional<Judge> judge;
    for (const auto one : refused) {
        BERTH_TRY(const auto members, json_members(one));
        std::string world, capability;
        Refused told{};
        for (const auto& [key, value] : members) {
            if (json_kind(value) != JsonKind::string) continue;
            BERTH_TRY(auto text, json_string(value));
            if (key == "world") world = std::move(text);
            else if (key == "function") told.function = std::move(text);
            else if (key == "capability") capability = std::move(text);
            else if (key == "scope") told.scope = std::move(text);
            else if (key == "rule") told.by = std::move(text);
            else if (key == "fix") told.fix = std::move(text);
        }
        const auto named = capabilities_named(capability);
        if (named.size() != 1) return fail(Code::version_unsupported, format("the host refused \"{}\", which this build does not know", terminal_safe(capability)));
        told.capability = named.front().capability;
        if (!judge) {
            BERTH_TRY(judge, judge_of(context, world, call.function));
        }
        told.function = qualified(*judge->table, told.function);
        BERTH_TRYV(print(context, *judge, told));
    }
    if (refused.empty()) say_nothing_refused(context, true);
    if (call.cut) context.console.notice("more was refused than the host keeps; record calls with berth serve --record DIR for all of it");
    return 0;
}

/// The search for a call: where it was looked for, and why it is not known there.
class Search {
public:
    explicit Search(std::string id) : id_(std::move(id)) {}

    void missed(const std::string& place, const std::string& why) { places_ += format("\n  {}: {}", terminal_safe(place), terminal_safe(why)); }
    /// Nobody can tell whether it is there.
    void blocked(Code code, const std::string& place, const std::string& why) {
        missed(place, why);
        if (!blocked_) blocked_ = code;
    }
    Error error() const {
        Error error(blocked_.value_or(Code::not_found), format("the call {} is not known{}", id_, places_));
        error.set_fix(blocked_ == Code::unauthorized ? "--token TOKEN, or BERTH_ADMIN_TOKEN"
                                                     : "record calls with berth serve --record DIR and give --record DIR here, --url URL for the listener of the administrator, or the file of the journal");
        return error;
    }

private:
    std::string id_, places_;
    std::optional<Code> blocked_;
};

/// What the running host knows of the id of a call, or of the request id of one; nothing when it knows neither.
Result<std::optional<Remembered>> ask_about(Context& context, const Explained& explained, const std::string& base, const std::string& id) {
    const auto record = ask_host(context, format("{}/admin/calls/{}", base, id), "GET", explained.host);
    if (record) return remembered(*record);
    if (record.error().code() != Code::not_found) return fail(record.error());
    BERTH_TRY(const auto body, ask_host(context, format("{}/admin/calls?request_id={}&limit=10", base, id), "GET", explained.host));
    BERTH_TRY(const auto members, json_members(body));
    std::optional<Remembered> found;
    std::string several;
    std::size_t count = 0;
    for (const auto& [key, value] : members) {
        if (key != "calls" || json_kind(value) != JsonKind::array) continue;
        BERTH_TRY(const auto records, json_elements(value));
        for (const auto one : records) {
            found = remembered(one);
            several += format("\n  {} of {}", terminal_safe(found->id), terminal_safe(found->function));
            ++count;
        }
    }
    if (count < 2) return found;
    Error error(Code::conflict, format("{} calls have the request id {}:{}", count == 10 ? "10 or more" : format("{}", count), id, several));
    error.set_fix("name one of them");
    return fail(std::move(error));
}

Result<int> explain_call(Context& context, const Explained& explained, const std::string& id) {
    BERTH_TRY(const auto options, context.application_options());
    const std::array folders{fs::path(context.record), options.folders.durable_calls()};
    Search search(id);
    const auto journal_of = [&](const std::string& call) -> Result<std::optional<Journal>> {
        for (const auto& folder : folders) {
            if (folder.empty()) continue;
            const auto found = look_for_journal(folder, call);
            if (found.state == FolderJournal::State::present) {
                auto journal = Journal::read(found.file);
                std::error_code error;
                // Where the host took it away meanwhile, the call has ended, and the host remembers it.
                if (journal || fs::exists(found.file, error)) {
                    context.console.notice(terminal_safe(format("journal {}", found.file.string())));
                    return journal;
                }
            }
            if (found.state == FolderJournal::State::unreadable) search.blocked(Code::file_not_found, folder.string(), found.why);
            else search.missed(folder.string(), found.why);
        }
        return std::nullopt;
    };
    BERTH_TRY(const auto journal, journal_of(id));
    if (journal) return explain_journal(context, *journal);
    BERTH_TRY(const auto base, admin_url(context, explained.host));
    const auto answer = ask_about(context, explained, base, id);
    if (!answer) {
        const auto& error = answer.error();
        if (error.code() == Code::conflict) return fail(error);
        if (error.code() == Code::upstream) search.missed(base, error.full_message());
        else search.blocked(error.code(), base, error.full_message());
        return fail(search.error());
    }
    if (!*answer) {
        search.missed(base, "the host does not remember it");
        return fail(search.error());
    }
    const auto& call = **answer;
    if (call.id != id) {
        context.console.notice(format("call {}", terminal_safe(call.id)));
        if (is_uuid(call.id)) {
            BERTH_TRY(const auto kept, journal_of(call.id));
            if (kept) return explain_journal(context, *kept);
        }
    }
    return explain_remembered(context, call);
}

/// Digits and dashes, as nothing but an id or a part of one has them.
bool is_nearly_id(std::string_view text) noexcept {
    return text.size() >= 9 && std::count(text.begin(), text.end(), '-') >= 2 && text.find_first_not_of("0123456789abcdefABCDEF-") == std::string_view::npos;
}

}  // namespace

const HostTable* journal_table(const Application& application, std::string_view world) {
    if (world == "component") return &component_table();
    const auto* found = world == "wasi" ? application.worlds().wasi : world == "bare" ? application.worlds().bare : nullptr;
    return found == nullptr ? nullptr : &found->table();
}

void declare_explain(CommandLine& app, Context& context, Explained& explained) {
    app.add_option("what", explained.what, "a module, a function, or a call: its journal, or its id")->required()->type_name("FILE|NAME|CALL");
    app.add_option("--dir", explained.folder, "folder of functions (functions.path)")->type_name("DIR");
    app.add_option("--record", context.record, "folder of the journals of serve --record")->envname("BERTH_RECORD")->type_name("DIR");
    add_host_flags(app, explained.host);
    add_guest_flags(app, context);
    add_output_flags(app, context);
}

Result<int> explain(Context& context, const Explained& explained) {
    const auto& what = explained.what;
    std::error_code error;
    const auto there = fs::status(what, error);
    if (!fs::exists(there) || fs::is_directory(there)) {
        if (const auto id = lower_case(what); is_uuid(id)) return explain_call(context, explained, id);
        if (is_nearly_id(what)) return fail(Code::usage, format("\"{}\" is no whole id of a call (36 characters, as 01a2041d-96c8-7bb6-b6e5-e643aabca288), and there is no such file", what));
    }
    bool is_journal = false;
    if (fs::is_regular_file(there)) {
        BERTH_TRY(is_journal, Journal::is_one(what));
    }
    if (is_journal) {
        BERTH_TRY(const auto journal, Journal::read(what));
        return explain_journal(context, journal);
    }
    return explain_file(context, what, explained.folder);
}

}  // namespace berth::cli
