#include "berth/cli/admin_client.hpp"

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"

namespace berth::cli {

namespace {

constexpr std::string_view usual_admin = "127.0.0.1:9090";
constexpr std::uint64_t largest_answer = 512U << 20;

/// The failure in an answer, in the form of every route or in the envelope of functions.
Error told_error(const HttpAnswer& answer) {
    Code code = answer.status == 401 ? Code::unauthorized : answer.status == 403 ? Code::forbidden : answer.status == 404 ? Code::not_found : answer.status == 409 ? Code::conflict : Code::upstream;
    std::string message = format("the host answered {}", answer.status), fix;
    if (const auto members = json_members(answer.body)) {
        for (const auto& [key, value] : *members) {
            if (key != "error" || json_kind(value) != JsonKind::object) continue;
            const auto parts = json_members(value);
            for (const auto& [name, text] : *parts) {
                if (json_kind(text) != JsonKind::string) continue;
                if (name == "message") message = *json_string(text);
                if (name == "fix") fix = *json_string(text);
                if (name == "code") code = code_named(*json_string(text)).value_or(code);
            }
        }
    }
    Error error(code, std::move(message));
    if (!fix.empty()) error.set_fix(std::move(fix));
    else if (answer.status == 401) error.set_fix("--token TOKEN, or BERTH_ADMIN_TOKEN");
    return error;
}

}  // namespace

void add_host_flags(CommandLine& app, HostFlags& flags) {
    app.add_option("--url", flags.url, "address of the host (of the configuration)")->type_name("URL");
    app.add_option("--token", flags.token, "token of the administrator")->envname("BERTH_ADMIN_TOKEN")->type_name("TOKEN");
}

Result<std::string> admin_url(const Context& context, const HostFlags& flags) {
    if (!flags.url.empty()) return flags.url.ends_with('/') ? flags.url.substr(0, flags.url.size() - 1) : flags.url;
    BERTH_TRY(const auto configured, context.configuration());
    const auto& listen = configured.value("admin.listen");
    BERTH_TRY(const auto scheme, host_scheme(context));
    return format("{}://{}", scheme, listen.empty() ? usual_admin : std::string_view(listen));
}

Result<std::string> host_scheme(const Context& context) {
    BERTH_TRY(const auto configured, context.configuration());
    return std::string(configured.value("server.tls.cert").empty() ? "http" : "https");
}

Result<HttpAnswer> send_to_host(const Context& context, std::string_view url, std::string_view method, std::string_view body, std::vector<std::pair<std::string, std::string>> fields, std::chrono::seconds patience) {
    FetchRequest request;
    BERTH_TRY(request.url, Url::parse(url));
    HttpClientOptions options;
    if (request.url.is_https) {
        BERTH_TRY(const auto configured, context.configuration());
        options.ca_file = configured.value("network.ca_file");
    }
    BERTH_TRY(const auto client, HttpClient::create(std::move(options)));
    request.method = method;
    request.fields = std::move(fields);
    request.first_byte_timeout = request.between_bytes_timeout = patience;
    request.total_timeout = std::chrono::hours(24);
    request.max_body = largest_answer;
    const auto where = request.url.origin();
    auto answer = ask(*client, std::move(request), body, checks_of_host(PlainHttp::anywhere));
    if (answer || answer.error().code() != Code::upstream) return answer;
    auto error = std::move(answer.error());
    error.add_note(format("asking the host at {}", where));
    return fail(std::move(error));
}

Result<std::string> ask_host(const Context& context, std::string_view url, std::string_view method, const HostFlags& flags, std::string_view body) {
    std::vector<std::pair<std::string, std::string>> fields;
    if (!flags.token.empty()) fields.emplace_back("Authorization", "Bearer " + flags.token);
    BERTH_TRY(auto answer, send_to_host(context, url, method, body, std::move(fields), std::chrono::minutes(10)));
    if (answer.status / 100 != 2) return fail(told_error(answer));
    return std::move(answer.body);
}

}  // namespace berth::cli
