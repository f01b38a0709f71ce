#include "berth/base/format.hpp"
#include "berth/cli/host_logs.hpp"
#include "berth/cli/verbs.hpp"

namespace berth::cli {
namespace {

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto query = std::make_shared<LogQuery>();
    app.add_option("function", query->function, "of one function (all)")->type_name("NAME");
    add_log_flags(app, *query);
    add_config_flags(app, context);
    action = [&context, query]() -> Result<int> {
        BERTH_TRY(const auto base, admin_url(context, query->host));
        return print_logs(context, *query, format("{}/admin/logs?function={}&", base, query->function));
    };
}

}  // namespace

const Verb logs_verb{"logs", "Show what functions of a running host said", declare};

}  // namespace berth::cli
