#pragma once

#include <string_view>

#include "berth/net/http_message.hpp"
#include "berth/runtime/function_logs.hpp"
#include "berth/server/bell.hpp"

namespace berth {

/// What functions said, as the query asks for it: `since= level= source= request_id= limit= after=`, and with `follow=1`
/// what they say from now on, as server-sent events. `function` empty: all of them. `bell` rings for each new entry; it and
/// the logs outlive the answer. Fails with bad_input.
Result<HttpResponse> logs_response(const FunctionLogs& logs, Bell& bell, const HttpRequest& request, std::string_view function);

}  // namespace berth
