/* Components of WASI 0.2: programs (wasi:cli/run) and request handlers (wasi:http/incoming-handler). Rules as in
 * engine.h. The engine must have been made with `components` and `engine_fuel`. */
#ifndef BERTH_NATIVE_COMPONENT_H
#define BERTH_NATIVE_COMPONENT_H

#include "berth_native/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct berth_component berth_component;

/* Compiles and resolves every import; one that the host does not have is BERTH_IMPORT_UNRESOLVED. */
berth_error* berth_component_compile(berth_engine* engine, const uint8_t* bytes, size_t size, berth_component** component);
berth_error* berth_component_serialize(const berth_component* component, berth_bytes* code);
/* As berth_module_map. */
berth_error* berth_component_map(berth_engine* engine, int descriptor, berth_component** component);
void berth_component_delete(berth_component* component);

typedef struct berth_component_facts_t {
    bool handles_http;  /* exports wasi:http/incoming-handler 0.2 */
    bool runs_command;  /* exports wasi:cli/run 0.2 */
    size_t import_count;
    size_t code_size;
} berth_component_facts_t;
void berth_component_facts(const berth_component* component, berth_component_facts_t* facts);
/* The interface's name; lives as long as the component. */
void berth_component_import(const berth_component* component, size_t index, berth_text* name);

/* What a host function needs a grant for. */
typedef enum berth_component_need {
    BERTH_NEED_NOTHING = 0, BERTH_NEED_CLOCK = 1, BERTH_NEED_SLEEP = 2, BERTH_NEED_SECURE_RANDOM = 3, BERTH_NEED_RANDOM = 4,
    BERTH_NEED_FETCH = 5, BERTH_NEED_SEND = 6, BERTH_NEED_CONNECT = 7, BERTH_NEED_DATAGRAM = 8
} berth_component_need;

/* The host of one call. Every function gets the setup's state, on the calling thread; none may enter the guest. */
typedef struct berth_component_host {
    /* Before a host function has an effect: 0 granted, 1 denied, 2 the call ends. */
    uint32_t (*enter)(void* state, uint32_t need, berth_text function, berth_text scope);
    int64_t (*wall_clock)(void* state);        /* nanoseconds since 1970 */
    uint64_t (*monotonic_clock)(void* state);  /* nanoseconds */
    void (*random)(void* state, uint8_t* out, size_t size);
    /* Standard input: bytes read, 0 at the end, -1 failed, -2 interrupted. May block. */
    int64_t (*read)(void* state, uint8_t* out, size_t size);
    /* Standard output (1) or error (2): 0 written, 1 over the limit (the call ends), 2 failed. */
    uint32_t (*write)(void* state, uint32_t stream, const uint8_t* bytes, size_t size);
    /* Sleeps, and returns early when the call must end. */
    void (*wait)(void* state, uint64_t nanoseconds);
} berth_component_host;

typedef struct berth_http_field {
    berth_text name, value;
} berth_http_field;

typedef struct berth_http_request {
    berth_text method, authority, target; /* target: path and query */
    bool is_https;
    const berth_http_field* fields;
    size_t field_count;
    berth_text body;
} berth_http_request;

typedef struct berth_component_setup {
    const berth_component_host* host;
    void* state;
    berth_record* record;     /* NULL: cannot be stopped */
    int64_t fuel;
    uint64_t memory_limit;    /* bytes, all memories together */
    uint64_t table_limit;     /* elements of each table */
    uint64_t output_limit;    /* bytes of the body of a response */
    bool trap_on_limit;
    const berth_text* arguments;
    size_t argument_count;
    const berth_http_field* variables;
    size_t variable_count;
} berth_component_setup;

typedef struct berth_http_response berth_http_response;

typedef struct berth_component_report {
    uint32_t outcome;         /* berth_outcome */
    uint32_t trap;            /* berth_trap */
    uint64_t fuel_used;
    uint64_t peak_memory;
    uint32_t denied_memory;
    uint32_t denied_table;
    int32_t exit_status;      /* -1: the guest did not end itself */
    bool output_too_large;    /* the body of the response passed its limit */
    berth_error* error;       /* more about the outcome, or why a handler gave no response; NULL or the caller's */
    berth_http_response* response; /* NULL or the caller's */
} berth_component_report;

/* A fresh instance, run until it ends: as a command, or as the handler of `request`. */
void berth_component_call(const berth_component* component, const berth_component_setup* setup, const berth_http_request* request,
                          berth_component_report* report);

uint16_t berth_http_response_status(const berth_http_response* response);
berth_text berth_http_response_body(const berth_http_response* response);
size_t berth_http_response_field_count(const berth_http_response* response);
berth_http_field berth_http_response_field(const berth_http_response* response, size_t index);
void berth_http_response_delete(berth_http_response* response);

#ifdef __cplusplus
}
#endif

#endif
