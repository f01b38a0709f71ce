#include "berth/cli/host_logs.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/fn_verb.hpp"

namespace berth::cli {

namespace {

constexpr ::useconds_t between_looks = 300'000;

/// Prints one entry and gives its number.
std::uint64_t print_entry(Console& console, std::string_view raw, bool of_all) {
    std::uint64_t seq = 0;
    LogEntry entry;
    std::string time, source, function;
    const auto fields = json_members(raw);
    if (!fields) return 0;
    for (const auto& [key, value] : *fields) {
        const auto text = json_kind(value) == JsonKind::string ? *json_string(value) : std::string(value);
        if (key == "seq") std::from_chars(text.data(), text.data() + text.size(), seq);
        else if (key == "ts") time = text;
        else if (key == "source") source = text;
        else if (key == "function") function = text;
        else if (key == "level") entry.level = text;
        else if (key == "message") entry.message = text;
        else if (key == "data") entry.data = value;
    }
    if (console.format == Format::json) console.line(format("{{\"$type\":\"berth.log\",{}", raw.substr(1)));
    else console.line(format("{}  {:<8}  {}{}", time.size() > 19 ? time.substr(11, 8) : time, source, of_all ? format("{:<16}  ", terminal_safe(function)) : std::string(), log_line(entry)));
    return seq;
}

}  // namespace

void add_log_flags(CommandLine& app, LogQuery& query) {
    app.add_flag("-f,--follow", query.follow, "go on as more comes");
    app.add_option("--since", query.since, "no older than")->type_name("D");
    app.add_option("--level", query.level, "this level and above")->one_of({"debug", "info", "warn", "error"});
    app.add_option("--request", query.request_id, "of one call")->type_name("ID");
    add_host_flags(app, query.host);
}

Result<int> print_logs(Context& context, const LogQuery& query, const std::string& address) {
    std::uint64_t after = 0;
    while (true) {
        auto url = format("{}limit=1000&after={}", address, after);
        if (!query.since.empty() && after == 0) url += "&since=" + query.since;
        if (!query.level.empty()) url += "&level=" + query.level;
        if (!query.request_id.empty()) url += "&request_id=" + query.request_id;
        BERTH_TRY(const auto body, ask_host(context, url, "GET", query.host));
        const auto members = json_members(body);
        const auto entries = members && !members->empty() ? json_elements(members->front().value) : fail(Code::upstream, "");
        if (!entries) return fail(Code::upstream, "the host answered with something else than logs");
        for (const auto raw : *entries) after = std::max(after, print_entry(context.console, raw, query.function.empty()));
        if (!query.follow) return 0;
        ::usleep(between_looks);
    }
}

}  // namespace berth::cli
