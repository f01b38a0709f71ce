// What a store of calls holds: any bytes are a record, a call or an error.
#include "berth/base/clock.hpp"
#include "berth/base/json.hpp"
#include "berth/runtime/execution_record.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

int execution_record(ByteView input) {
    const FakeClock clock;
    if (const auto record = read_stored_record(as_text(input))) {
        const auto text = stored_record(*record);
        const auto again = read_stored_record(text);
        BERTH_ASSERT(again && stored_record(*again) == text);
        BERTH_ASSERT(check_json(to_json(*again, RecordReader::administrator)));
    }
    if (const auto call = read_stored_call(as_text(input), clock)) {
        const auto again = read_stored_call(stored_call(*call, clock), clock);
        BERTH_ASSERT(again && again->id == call->id && again->deadline == call->deadline);
    }
    return 0;
}

}  // namespace berth::fuzz
