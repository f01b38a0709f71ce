#include "berth/base/json.hpp"
#include "berth/runtime/subprocess_envelope.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

int envelope(ByteView input) {
    const auto text = as_text(input);
    if (const auto minified = minify_input(text)) {
        BERTH_ASSERT(check_json(*minified));
        // What was minified is minimal, and still the same to anybody who reads it.
        const auto again = minify_input(*minified);
        BERTH_ASSERT(again && *again == *minified);
        BERTH_ASSERT(json_members(text)->size() == json_members(*minified)->size());
    } else {
        BERTH_ASSERT(!minified.error().reason.empty() && minified.error().offset <= text.size());
    }
    if (const auto answer = read_envelope(text)) {
        BERTH_ASSERT(check_json(answer->output));
        BERTH_ASSERT(answer->details.empty() || check_json(answer->details));
        BERTH_ASSERT(answer->success || !answer->code.empty());
        for (const auto& entry : answer->logs) BERTH_ASSERT(entry.data.empty() || check_json(entry.data));
    } else {
        BERTH_ASSERT(!answer.error().reason.empty() && !answer.error().message.empty());
    }
    return 0;
}

}  // namespace berth::fuzz
