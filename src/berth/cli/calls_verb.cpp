#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/admin_client.hpp"
#include "berth/cli/verbs.hpp"

namespace berth::cli {
namespace {

struct Arguments {
    HostFlags host;
    std::string id, function, status;
    unsigned limit = 50;
    bool all = false;
};

/// Members of one record that are shown in a line.
struct Shown {
    std::string id, function, status, trigger, started, duration;
};

Shown shown(std::string_view record) {
    Shown one;
    const auto members = json_members(record);
    if (!members) return one;
    for (const auto& [key, value] : *members) {
        const auto text = json_kind(value) == JsonKind::string ? terminal_safe(*json_string(value)) : std::string(value);
        if (key == "id") one.id = text;
        else if (key == "function_id") one.function = text;
        else if (key == "status") one.status = text;
        else if (key == "trigger_type") one.trigger = text;
        else if (key == "started_at") one.started = text;
        else if (key == "duration_ms") one.duration = text;
    }
    return one;
}

Result<void> print_calls(Context& context, const Arguments& arguments, const std::string& base, std::string_view status, std::size_t& count) {
    auto url = format("{}/admin/calls?limit={}", base, arguments.limit);
    if (!status.empty()) url += format("&status={}", status);
    if (!arguments.function.empty()) url += format("&function={}", arguments.function);
    BERTH_TRY(const auto body, ask_host(context, url, "GET", arguments.host));
    BERTH_TRY(const auto members, json_members(body));
    for (const auto& [key, value] : members) {
        if (key != "calls" || json_kind(value) != JsonKind::array) continue;
        BERTH_TRY(const auto records, json_elements(value));
        for (const auto record : records) {
            ++count;
            if (context.console.format == Format::json) {
                context.console.line(format("{{\"$type\":\"berth.call\",{}", record.substr(1)));
                continue;
            }
            const auto one = shown(record);
            context.console.line(format("{}  {:<9}  {:<24}  {:<8}  {}  {}", one.id, one.status, one.function, one.trigger, one.started, one.duration.empty() ? "" : one.duration + " ms"));
        }
    }
    return {};
}

Result<int> list(Context& context, const Arguments& arguments) {
    BERTH_TRY(const auto base, admin_url(context, arguments.host));
    std::size_t count = 0;
    if (arguments.all || !arguments.status.empty()) {
        BERTH_TRYV(print_calls(context, arguments, base, arguments.status, count));
    } else {
        for (const auto* status : {"pending", "running"}) BERTH_TRYV(print_calls(context, arguments, base, status, count));
    }
    if (count == 0) context.console.notice(arguments.all || !arguments.status.empty() ? "there are no such calls" : "no call waits or runs; --all shows those that ended");
    return 0;
}

Result<int> show(Context& context, const Arguments& arguments) {
    BERTH_TRY(const auto base, admin_url(context, arguments.host));
    BERTH_TRY(const auto body, ask_host(context, format("{}/admin/calls/{}", base, arguments.id), "GET", arguments.host));
    if (context.console.format == Format::json) {
        context.console.line(format("{{\"$type\":\"berth.call\",{}", std::string_view(body).substr(1)));
        return 0;
    }
    BERTH_TRY(const auto members, json_members(body));
    for (const auto& [key, value] : members) {
        if (json_kind(value) == JsonKind::null) continue;
        context.console.line(format("{:<14} {}", terminal_safe(key), terminal_safe(json_kind(value) == JsonKind::string ? *json_string(value) : std::string(value))));
    }
    return 0;
}

Result<int> cancel(Context& context, const Arguments& arguments) {
    BERTH_TRY(const auto base, admin_url(context, arguments.host));
    BERTH_TRYV(ask_host(context, format("{}/admin/calls/{}/cancel", base, arguments.id), "POST", arguments.host));
    if (context.console.format == Format::json) context.console.line(format(R"({{"$type":"berth.call_cancelled","id":{}}})", json_quote(arguments.id)));
    else context.console.line(format("{} is cancelled", terminal_safe(arguments.id)));
    return 0;
}

/// Ids are put into addresses.
Result<void> check_id(const std::string& id) {
    if (id.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") != std::string::npos) return fail(Code::usage, format("\"{}\" is no id of a call", terminal_safe(id)));
    return {};
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    const auto common = [&](CommandLine& sub) {
        add_host_flags(sub, arguments->host);
        add_config_flags(sub, context);
        add_output_flags(sub, context);
    };
    auto* list_app = app.add_subcommand("list", "calls that wait or run, or with --all the newest");
    list_app->add_option("--function", arguments->function, "of one function")->type_name("NAME");
    list_app->add_option("--status", arguments->status, "of one status")->one_of({"pending", "running", "success", "failed", "timed_out", "canceled"});
    list_app->add_option("--limit", arguments->limit, "most that are shown (50)")->between(1, 1000);
    list_app->add_flag("--all", arguments->all, "also those that ended");
    common(*list_app);
    auto* show_app = app.add_subcommand("show", "one call: times, outcome, what it used");
    auto* cancel_app = app.add_subcommand("cancel", "end one call");
    for (auto* sub : {show_app, cancel_app}) {
        sub->add_option("id", arguments->id, "the call")->required()->type_name("CALL");
        common(*sub);
    }
    app.require_subcommand(1);
    action = [&context, arguments, list_app, show_app]() -> Result<int> {
        BERTH_TRYV(check_id(arguments->id));
        BERTH_TRYV(check_id(arguments->function));
        if (list_app->parsed()) return list(context, *arguments);
        return show_app->parsed() ? show(context, *arguments) : cancel(context, *arguments);
    };
}

}  // namespace

const Verb calls_verb{"calls", "List, show and cancel calls of a running host", declare};

}  // namespace berth::cli
