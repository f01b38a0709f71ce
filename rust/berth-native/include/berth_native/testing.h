/* For the specification tests only: stores with several instances that import from each other and from the module
 * `spectest`. Guests that people bring never run this way. Rules as in engine.h; one thread at a time. */
#ifndef BERTH_NATIVE_TESTING_H
#define BERTH_NATIVE_TESTING_H

#include "berth_native/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct berth_test_store berth_test_store;

typedef struct berth_test_value {
    uint32_t type;     /* berth_value_type */
    bool is_null;      /* references */
    berth_value bits;  /* numbers; an external reference is the number it was made from */
} berth_test_value;

berth_error* berth_test_store_new(const berth_engine* engine, berth_test_store** store);
void berth_test_store_delete(berth_test_store* store);

/* Instantiates a module, metered or not, start function included. BERTH_NOT_STARTED: it does not link. */
uint32_t berth_test_instantiate(berth_test_store* store, const berth_module* module, uint32_t* instance, uint32_t* trap);
/* Later modules can import the instance's exports under `name`. */
void berth_test_register(berth_test_store* store, uint32_t instance, berth_text name);
/* Calls an export with a full budget. `results` has room for `room` values; `count` takes how many there are. */
uint32_t berth_test_call(berth_test_store* store, uint32_t instance, berth_text name, const berth_test_value* arguments, size_t argument_count,
                         berth_test_value* results, size_t room, size_t* count, uint32_t* trap);
bool berth_test_global(berth_test_store* store, uint32_t instance, berth_text name, berth_test_value* value);
/* Of the last call, all instances together: what the metering pass counted, or the engine where it counts. */
uint64_t berth_test_fuel_used(const berth_test_store* store);

#ifdef __cplusplus
}
#endif

#endif
