/* Berth's engine binding: WebAssembly modules compiled, linked, entered and stopped.
 *
 * Written by hand for what the C++ side needs; the implementation is rust/berth-native.
 *
 * Ownership   `_new`, `_compile`, `_load`, `_link` and the like give a handle that belongs to the caller until its
 *             `_delete`; `_delete(NULL)` does nothing. Handles keep alive what they need: a module its engine, a linked
 *             module its module, an instance its linked module.
 * Threads     Engines, modules and linked modules may be used from any number of threads at once. An instance and a
 *             waiting call belong to one thread at a time. A call record may be stopped from any thread.
 * Failures    A function that can fail returns `berth_error*`: NULL is success, else the caller deletes it. No panic
 *             leaves the library: an internal panic becomes BERTH_ERROR_INTERNAL. Callbacks must not throw.
 * Text        UTF-8, given as pointer and length, without a terminating zero.
 */
#ifndef BERTH_NATIVE_ENGINE_H
#define BERTH_NATIVE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors and bytes ------------------------------------------------------------------------------------------- */

typedef enum berth_error_kind {
    BERTH_ERROR_INVALID_MODULE = 1,    /* not a valid module, or it needs a proposal that is off */
    BERTH_ERROR_IMPORT_UNRESOLVED = 2, /* the message lists every import without a partner */
    BERTH_ERROR_POOL_EXHAUSTED = 3,    /* every slot of the engine's pool is in use; try again */
    BERTH_ERROR_LIMIT = 4,             /* a declared minimum is above the limit given for it */
    BERTH_ERROR_CONFIGURATION = 5,     /* these engine options cannot be had here */
    BERTH_ERROR_NOT_FOUND = 6,         /* no such export, or it is of another kind */
    BERTH_ERROR_INVALID_CODE = 7,      /* compiled code that this engine cannot take */
    BERTH_ERROR_IO = 8,
    BERTH_ERROR_INTERNAL = 9
} berth_error_kind;

typedef struct berth_error berth_error;
berth_error_kind berth_error_kind_of(const berth_error* error);
const char* berth_error_message(const berth_error* error, size_t* length);
void berth_error_delete(berth_error* error);

/* Bytes owned by the library side. */
typedef struct berth_bytes {
    uint8_t* data;
    size_t size;
} berth_bytes;
void berth_bytes_delete(berth_bytes bytes);

/* ---- engines ---------------------------------------------------------------------------------------------------- */

typedef struct berth_engine berth_engine;

typedef enum berth_switch { BERTH_OFF = 0, BERTH_ON = 1, BERTH_AUTO = 2 } berth_switch;
typedef enum berth_stop_method { BERTH_STOP_SIGNAL = 0, BERTH_STOP_EPOCHS = 1, BERTH_STOP_AUTO = 2 } berth_stop_method;

typedef struct berth_engine_options {
    bool simd;
    bool relaxed_simd;
    bool relaxed_simd_deterministic;
    bool nan_canonicalisation;
    bool engine_fuel;            /* count with the engine's own fuel, cost table berth-fuel-1 */
    bool backtraces;             /* frames of traps, at most 32 */
    bool inlining;               /* across functions; frames of inlined ones are missing, their traps have no offset */
    uint8_t pooling;             /* berth_switch: AUTO is ON; OFF allocates on demand */
    uint8_t page_scan;           /* berth_switch: AUTO takes it when the kernel has it and memory cannot be swapped out */
    uint8_t stop_method;         /* berth_stop_method */
    bool restore;                /* used instances are put back in place where that is sound */
    bool plain_pooling;          /* for comparisons: the pool as the engine sets it up by default */
    bool components;        /* take components; the pool has room for their parts */
    uint32_t instances;          /* slots of the pool; 0: chosen from the machine */
    uint32_t stacks;             /* fiber stacks of the pool; 0: as many as instances, at most 1,000 */
    uint32_t restore_slots;      /* kept instances per linked module; 0: 2 per core */
    uint32_t restore_pages;      /* pages of 4 KiB put back per slot before the instance is dropped instead; 0: 128 */
    uint64_t memory_size;        /* largest linear memory; 0: 4 GiB */
    uint32_t table_elements;     /* largest table; 0: 100,000 */
    uint32_t tables;             /* tables per module; 0: 10 */
    uint64_t guest_stack;        /* native stack of guest code; 0: 512 KiB */
    uint64_t host_stack;         /* more of it for host functions on fibers; 0: 512 KiB */
} berth_engine_options;

typedef struct berth_engine_status {
    bool pooling;
    bool page_scan;
    bool page_scan_in_kernel;
    bool swap_in_use;
    bool signal_stop;            /* the asynchronous stop passed its self-test */
    bool restore;                /* restoring in place passed its self-test */
    uint32_t instances;
    uint32_t stacks;
} berth_engine_status;

berth_error* berth_engine_new(const berth_engine_options* options, berth_engine** engine);
void berth_engine_delete(berth_engine* engine);
/* Runs the self-tests of stop and restore: some milliseconds. */
void berth_engine_status_of(const berth_engine* engine, berth_engine_status* status);
/* What must be equal for compiled code to be exchangeable: settings, engine version, target. */
berth_bytes berth_engine_configuration_key(const berth_engine* engine);
const char* berth_engine_version(size_t* length);
/* Makes running guests of an engine with BERTH_STOP_EPOCHS look at their record. */
void berth_engine_advance_epoch(const berth_engine* engine);

/* ---- types ------------------------------------------------------------------------------------------------------ */

typedef enum berth_value_type {
    BERTH_I32 = 0, BERTH_I64 = 1, BERTH_F32 = 2, BERTH_F64 = 3, BERTH_V128 = 4, BERTH_FUNCREF = 5, BERTH_EXTERNREF = 6
} berth_value_type;

typedef enum berth_extern_kind {
    BERTH_EXTERN_FUNCTION = 0, BERTH_EXTERN_TABLE = 1, BERTH_EXTERN_MEMORY = 2, BERTH_EXTERN_GLOBAL = 3, BERTH_EXTERN_TAG = 4
} berth_extern_kind;

/* 16 bytes; the unused upper bytes of the first eight are zero. */
typedef union berth_value {
    int32_t i32;
    int64_t i64;
    uint64_t u64;
    float f32;
    double f64;
    uint8_t v128[16];
    void* reference;
} berth_value;

typedef struct berth_text {
    const char* data;
    size_t size;
} berth_text;

/* ---- modules ---------------------------------------------------------------------------------------------------- */

typedef struct berth_module berth_module;

/* What the metering pass knows about the module and the engine cannot tell. */
typedef struct berth_module_facts {
    bool restore_eligible; /* no table or segment instruction, no reference in a global, every mutable global exported */
} berth_module_facts;

berth_error* berth_module_compile(berth_engine* engine, const uint8_t* wasm, size_t size, berth_module_facts facts, berth_module** module);
berth_error* berth_module_serialize(const berth_module* module, berth_bytes* code);
/* `code` must come from berth_module_serialize of an engine with the same configuration key: it is executed. The bytes
 * are copied. */
berth_error* berth_module_load(berth_engine* engine, const uint8_t* code, size_t size, berth_module_facts facts, berth_module** module);
/* As berth_module_load, mapped from an open file that stays unchanged; other bytes may follow the code. The descriptor
 * is not kept and not closed. */
berth_error* berth_module_map(berth_engine* engine, int descriptor, berth_module_facts facts, berth_module** module);
void berth_module_delete(berth_module* module);

typedef struct berth_import_info {
    berth_text module, name;
    uint32_t kind;                 /* berth_extern_kind */
    const uint8_t* params;         /* berth_value_type each; functions only */
    size_t param_count;
    const uint8_t* results;
    size_t result_count;
} berth_import_info;

typedef struct berth_export_info {
    berth_text name;
    uint32_t kind;
    const uint8_t* params;
    size_t param_count;
    const uint8_t* results;
    size_t result_count;
} berth_export_info;

/* The texts and arrays live as long as the module. Exports keep the order of the module; that position is the index
 * used everywhere below. */
size_t berth_module_import_count(const berth_module* module);
void berth_module_import(const berth_module* module, size_t index, berth_import_info* info);
size_t berth_module_export_count(const berth_module* module);
void berth_module_export(const berth_module* module, size_t index, berth_export_info* info);
size_t berth_module_code_size(const berth_module* module);

/* Text format to binary. */
berth_error* berth_wat_to_wasm(const uint8_t* text, size_t size, berth_bytes* wasm);

/* ---- call records: the mark that stops a call ------------------------------------------------------------------- */

/* Lives in the memory of the caller, who keeps it until no call runs under it any more. `stop` is set by any thread,
 * once, and never cleared while a call runs under the record; the rest belongs to the library. */
typedef struct berth_record {
    uint32_t stop;     /* atomic: 0 runs, 1 must end */
    int32_t thread;    /* atomic: kernel thread that runs guest code under it, 0 for none */
    uint32_t redirects;/* atomic: how often a running body was sent to the trap */
    uint32_t reserved;
} berth_record;

/* Interrupts the thread that runs under `record`, if one does. Safe from any thread, any time, also when it has ended. */
void berth_record_kick(const berth_record* record);
/* Whether this thread's innermost activation, or one around it, must end. */
bool berth_current_stopped(void);
/* Tries the whole mechanism out: installs the handler and stops a spin loop. */
bool berth_stop_self_test(berth_engine* engine);

/* ---- host functions --------------------------------------------------------------------------------------------- */

typedef enum berth_host_status { BERTH_HOST_PROCEED = 0, BERTH_HOST_TRAP = 1, BERTH_HOST_SUSPEND = 2 } berth_host_status;

typedef struct berth_memory_definition {
    uint8_t* base;
    size_t size; /* atomic */
} berth_memory_definition;

/* One per instance, handed to every host function. The first part may be read and written by the host function. */
typedef struct berth_context {
    void* state;                            /* given by the caller of invoke */
    const berth_memory_definition* memory;  /* NULL when the module has none */
    int64_t* fuel;                          /* rest of the budget, NULL in modules without the private global */
    int32_t* depth;
    berth_record* record;
    void* caller;                           /* library side */
    void* instance;                         /* library side */
    uint64_t operation;                     /* set by a host function that returns BERTH_HOST_SUSPEND */
} berth_context;

/* Every host function: `values` holds the parameters and takes the results. */
typedef uint32_t (*berth_host_entry)(berth_context* context, uint32_t function, berth_value* values);

typedef struct berth_host_import {
    berth_text module, name;
    const uint8_t* params;
    size_t param_count;
    const uint8_t* results;
    size_t result_count;
    uint32_t function; /* given to the entry */
    bool may_wait;     /* may return BERTH_HOST_SUSPEND; only in a module linked for waiting calls */
} berth_host_import;

typedef struct berth_linked_module berth_linked_module;
berth_error* berth_module_link(berth_module* module, const berth_host_import* imports, size_t count, berth_host_entry entry,
                               bool waiting, berth_linked_module** linked);
void berth_linked_module_delete(berth_linked_module* linked);

/* From inside a host function: enters an export of the calling instance, under the same record and budget. Returns a
 * berth_outcome; anything but BERTH_RETURNED must be handed on as BERTH_HOST_TRAP unless the host handles it. */
uint32_t berth_context_call(berth_context* context, uint32_t export_index, berth_value* values, size_t count);

/* ---- calls ------------------------------------------------------------------------------------------------------ */

typedef enum berth_outcome {
    BERTH_RETURNED = 0,
    BERTH_TRAPPED = 1,          /* `trap` says which */
    BERTH_STOPPED = 2,          /* the record's mark was set */
    BERTH_OUT_OF_FUEL = 3,
    BERTH_STACK_OVERFLOW = 4,   /* native stack or exact depth */
    BERTH_MEMORY_DENIED = 5,    /* growth past the limit, and it is to trap */
    BERTH_TABLE_DENIED = 6,
    BERTH_HOST_TRAPPED = 7,     /* a host function returned BERTH_HOST_TRAP */
    BERTH_MACHINE_FAILED = 8,   /* the machine could not grow the memory */
    BERTH_NOT_STARTED = 9       /* no instance could be made; `error` says why */
} berth_outcome;

typedef enum berth_trap {
    BERTH_TRAP_NONE = 0,
    BERTH_TRAP_UNREACHABLE = 1,
    BERTH_TRAP_MEMORY_OUT_OF_BOUNDS = 2,
    BERTH_TRAP_TABLE_OUT_OF_BOUNDS = 3,
    BERTH_TRAP_INDIRECT_CALL_NULL = 4,
    BERTH_TRAP_BAD_SIGNATURE = 5,
    BERTH_TRAP_INTEGER_OVERFLOW = 6,
    BERTH_TRAP_INTEGER_DIVIDE_BY_ZERO = 7,
    BERTH_TRAP_BAD_CONVERSION = 8,
    BERTH_TRAP_HEAP_MISALIGNED = 9,
    BERTH_TRAP_OTHER = 10
} berth_trap;

enum { BERTH_MAX_FRAMES = 32 };

typedef struct berth_frame {
    uint32_t function;        /* index in the module as compiled */
    uint32_t function_offset; /* from the start of its body; UINT32_MAX when unknown */
    uint32_t module_offset;   /* from the start of the module; UINT32_MAX when unknown */
} berth_frame;

typedef struct berth_report {
    uint32_t outcome;        /* berth_outcome */
    uint32_t trap;           /* berth_trap */
    uint64_t fuel_used;
    bool fuel_exact;         /* false: what was last saved */
    bool restored;           /* the instance was a restored one */
    uint32_t denied_memory;  /* growths refused by the limit */
    uint32_t denied_table;
    uint32_t phase;          /* 0 start section, 1 initialise, 2 the export */
    uint64_t peak_memory;    /* bytes of linear memory */
    uint32_t frame_count;    /* innermost first */
    berth_error* error;      /* more about an outcome other than returned; NULL or owned by the caller */
    berth_frame frames[BERTH_MAX_FRAMES]; /* only the first frame_count are written */
} berth_report;

#define BERTH_UNLIMITED INT64_MAX
#define BERTH_NO_EXPORT UINT32_MAX

/* Memory that one call holds: linear memory and 8 bytes a table element (`guest`, kept up here as they grow from what the
 * caller set) and what the host holds for it (`host`, kept up by the caller). A growth that would take the sum past the
 * limit is refused like one past memory_limit, and counted in `denied`. */
typedef struct berth_memory_account {
    uint64_t guest;
    uint64_t host;
    uint64_t total_limit;
    uint64_t denied;
} berth_memory_account;

/* The limits and surroundings of calls. */
typedef struct berth_call_setup {
    void* state;
    berth_record* record;     /* NULL: cannot be stopped */
    int64_t fuel;             /* budget; BERTH_UNLIMITED for none. Ignored by modules without a meter */
    int32_t depth;            /* exact depth; ignored by modules without it */
    bool trap_on_limit;       /* growth past the limit traps instead of giving -1 */
    bool restore;             /* may take and leave a restored instance (fresh instances only) */
    uint64_t memory_limit;    /* bytes */
    uint64_t table_limit;     /* elements of each table */
    berth_memory_account* account; /* NULL: not kept */
} berth_call_setup;

/* A fresh instance, the private start export, `initialize` unless BERTH_NO_EXPORT, then `export_index` with `values` in
 * and out (room for the larger of both). Everything is gone when it returns. */
void berth_invoke(berth_linked_module* linked, const berth_call_setup* setup, uint32_t initialize, uint32_t export_index,
                  berth_value* values, size_t count, berth_report* report);

/* An instance that stays. berth_instance_new runs the start section and reports like a call; on any outcome but
 * BERTH_RETURNED there is no instance. */
typedef struct berth_instance berth_instance;
void berth_instance_new(berth_linked_module* linked, const berth_call_setup* setup, berth_instance** instance, berth_report* report);
void berth_instance_delete(berth_instance* instance);
/* The surroundings and limits of the calls that follow: budget, depth, record, state. */
void berth_instance_set_up(berth_instance* instance, const berth_call_setup* setup);
/* Returns the outcome; the report is written only when it is not BERTH_RETURNED. */
uint32_t berth_instance_call(berth_instance* instance, uint32_t export_index, berth_value* values, size_t count, berth_report* report);
void berth_instance_report(berth_instance* instance, berth_report* report);
berth_context* berth_instance_context(berth_instance* instance);
/* Global by export index. */
berth_error* berth_instance_global(berth_instance* instance, uint32_t export_index, berth_value* value);

/* ---- calls that may wait ---------------------------------------------------------------------------------------- */

typedef struct berth_waiting_call berth_waiting_call;
typedef void (*berth_waker)(void* data); /* from any thread, any number of times, also after the call has ended */

/* Waker data is released with `drop_data` when nobody can wake the call any more. */
void berth_waiting_call_start(berth_linked_module* linked, const berth_call_setup* setup, uint32_t initialize, uint32_t export_index,
                              const berth_value* values, size_t count, berth_waker wake, void* data, void (*drop_data)(void*),
                              berth_waiting_call** call);
/* Runs the call on this thread until it waits (false) or has ended (true: `values` and `report` are written). */
bool berth_waiting_call_poll(berth_waiting_call* call, berth_value* values, size_t count, berth_report* report);
/* A call that has not ended is unwound and dropped. */
void berth_waiting_call_delete(berth_waiting_call* call);

/* Made by a host function before it returns BERTH_HOST_SUSPEND; belongs to the host until completed or deleted. */
typedef struct berth_operation berth_operation;
berth_operation* berth_context_suspend(berth_context* context);
/* Gives the results (or BERTH_HOST_TRAP) and wakes the call; consumes the operation. */
void berth_operation_complete(berth_operation* operation, uint32_t status, const berth_value* results, size_t count);

/* ---- restoring in place ----------------------------------------------------------------------------------------- */

typedef struct berth_restore_counters {
    uint64_t restored;   /* calls that took a restored instance */
    uint64_t created;    /* calls that made one */
    uint64_t dropped;    /* instances dropped after a call instead of being restored */
    uint64_t faults;     /* first writes to a page, in the whole process */
} berth_restore_counters;
void berth_linked_module_counters(const berth_linked_module* linked, berth_restore_counters* counters);

#ifdef __cplusplus
}
#endif

#endif
