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

/* One import or export at the top of a component, or a function of an interface there. The texts end with the call they are given in. */
typedef struct berth_component_item {
    bool exported;
    berth_text interface; /* name of the import or export */
    berth_text function;  /* of this interface; empty: the import or export itself */
    berth_text type;      /* of a function as WIT writes it; interface, core module, component, type */
} berth_component_item;
/* What a component imports and exports, in its order, each interface in front of its functions. Compiles nothing; fails with
 * BERTH_ERROR_INVALID_MODULE when the types do not fit together. */
berth_error* berth_component_describe(const uint8_t* bytes, size_t size, void (*take)(void* state, const berth_component_item* item), void* state);

/* What a component asks its host for. Behind each: what stands in `a`, `b`, `c` and `bytes`, and what is answered. A status
 * of 0 is success where nothing else is said. "Packed": texts with their length in front, as unsigned LEB128, like numbers. */
typedef enum berth_component_function {
    BERTH_WALL_NOW,              /* x: nanoseconds since 1970 */
    BERTH_WALL_RESOLUTION,       /* x: nanoseconds */
    BERTH_MONOTONIC_NOW,         /* x: nanoseconds */
    BERTH_MONOTONIC_RESOLUTION,  /* x: nanoseconds */
    BERTH_SUBSCRIBE,             /* a: 0 at the time b, 1 after b nanoseconds; x: the time on the monotonic clock */
    BERTH_DUE,                   /* a: a time; BERTH_PENDING before it */
    BERTH_SECURE_RANDOM,         /* a: how many bytes */
    BERTH_INSECURE_RANDOM,       /* the same */
    BERTH_ENVIRONMENT,           /* bytes: names and values, packed */
    BERTH_STDIN_READ,            /* a: at most; parts; may block */
    BERTH_STDOUT_WRITE,          /* bytes; 2: failed */
    BERTH_STDERR_WRITE,
    BERTH_REQUEST_READ,          /* body of the request that the component handles; a: at most; parts, with the end what follows it:
                                    names and values of fields, packed */
    BERTH_RESPONSE_HEAD,         /* a: status, bytes: names and values of fields, packed */
    BERTH_RESPONSE_ROOM,         /* BERTH_PENDING while what was written before is on its way */
    BERTH_RESPONSE_WRITE,        /* bytes of its body */
    BERTH_RESPONSE_END,          /* bytes: what follows its body: names and values of fields, packed */
    BERTH_HTTP_HANDLE,           /* a: 1 with a body; bytes: method, address, three time-outs in nanoseconds (0: none), then fields,
                                    packed; x: the object; 4: the address cannot be read, others: refused, with a text */
    BERTH_HTTP_HEAD,             /* x: status, bytes: fields, packed; BERTH_PENDING; berth_http_failure */
    BERTH_HTTP_READ,             /* a: at most; parts; berth_http_failure */
    BERTH_HTTP_ROOM,             /* x: how many bytes of the body can be given; BERTH_PENDING */
    BERTH_HTTP_WRITE,            /* bytes of the body, at most the room */
    BERTH_HTTP_FINISH,           /* the body is whole */
    BERTH_HTTP_CLOSE,
    /* Files: 0, or 1 and more: the error's place in FileError, from 1. */
    BERTH_FILE_PREOPENS,         /* bytes: for each object, 1 if writable, name, packed */
    BERTH_FILE_OPEN,             /* in a directory; a: bits create, directory, exclusive, truncate, read, write, follow links; bytes:
                                    path; x: object, y: 1 for a directory */
    BERTH_FILE_READ,             /* a: where, b: at most */
    BERTH_FILE_WRITE,            /* a: where, all ones: at the end; x: how many were written */
    BERTH_FILE_STAT,             /* bytes: kind, links, size, accessed, modified, changed, device, number, packed */
    BERTH_FILE_STAT_AT,          /* a: 1 follows links; bytes: path; the same */
    BERTH_FILE_SET_SIZE,         /* a: size */
    BERTH_FILE_SET_TIMES,        /* a: 2 bits for each of accessed and modified: 0 as it is, 1 now, 2 as in b, c */
    BERTH_FILE_SET_TIMES_AT,     /* the same, bit 4 of a follows links; bytes: path */
    BERTH_FILE_SYNC,             /* a: 1 data only */
    BERTH_FILE_LIST,             /* bytes: kind and name of each, packed */
    BERTH_FILE_MAKE_DIRECTORY,   /* bytes: path */
    BERTH_FILE_REMOVE_DIRECTORY, /* bytes: path */
    BERTH_FILE_REMOVE,           /* bytes: path */
    BERTH_FILE_RENAME,           /* a: directory of the new name; bytes: old and new path, packed */
    BERTH_FILE_LINK,             /* the same */
    BERTH_FILE_SYMLINK,          /* bytes: target and path, packed */
    BERTH_FILE_READ_LINK,        /* bytes: path; bytes: target */
    BERTH_FILE_CLOSE,
    /* Sockets: BERTH_PENDING, or 10 and more: the error's place in wasi:sockets/network.error-code, from 10. Addresses are 4 or
     * 16 bytes. */
    BERTH_TCP_CREATE,            /* a: 1 for IPv6; x: the object */
    BERTH_TCP_BIND,              /* bytes: address, a: port */
    BERTH_TCP_CONNECT,           /* the same; begins it */
    BERTH_TCP_CONNECTED,         /* how it ended */
    BERTH_TCP_LISTEN,            /* a: how many may wait */
    BERTH_TCP_ACCEPT,            /* x: the object */
    BERTH_TCP_READY,             /* a: 0 to read or accept, 1 to write or connected */
    BERTH_TCP_READ,              /* a: at most; parts */
    BERTH_TCP_WRITE,             /* bytes; x: how many were taken; 1: nobody reads any more */
    BERTH_TCP_SHUTDOWN,          /* a: 0 receiving, 1 sending, 2 both */
    BERTH_TCP_ADDRESS,           /* a: 1 of the other end; bytes: address, x: port */
    BERTH_TCP_CLOSE,             /* a socket or a look-up */
    BERTH_UDP_CREATE,            /* a: 1 for IPv6; x: the object */
    BERTH_UDP_BIND,              /* bytes: address, a: port */
    BERTH_UDP_STREAM,            /* the only other end from now on; no bytes: any */
    BERTH_UDP_READY,             /* a: 0 to receive, 1 to send */
    BERTH_UDP_RECEIVE,           /* one datagram; bytes: address and what it carries, x: port, y: size of the address */
    BERTH_UDP_SEND,              /* one datagram; bytes: address and what it carries, a: port, b: size of the address, 0: to the only other end */
    BERTH_UDP_ADDRESS,           /* as BERTH_TCP_ADDRESS */
    BERTH_SOCKET_OPTION,         /* of either kind; a: berth_socket_option; x: its value */
    BERTH_SET_SOCKET_OPTION,     /* b: the value */
    BERTH_NAME_LOOKUP,           /* bytes: the name; x: the object */
    BERTH_NAME_ADDRESSES,        /* bytes: addresses, packed */
    BERTH_COMPONENT_FUNCTION_COUNT
} berth_component_function;

/* Times are in nanoseconds, sizes in bytes. */
typedef enum berth_socket_option {
    BERTH_KEEP_ALIVE,            /* 0 or 1; this and the next three of TCP sockets only */
    BERTH_KEEP_ALIVE_IDLE,
    BERTH_KEEP_ALIVE_INTERVAL,
    BERTH_KEEP_ALIVE_COUNT,
    BERTH_HOP_LIMIT,
    BERTH_RECEIVE_BUFFER,
    BERTH_SEND_BUFFER
} berth_socket_option;

/* Statuses. What comes in parts: 0 some, in bytes; 1 the end; 2 and more failed. */
enum { BERTH_PENDING = 1000000 };
typedef enum berth_http_failure { BERTH_HTTP_DENIED = 2, BERTH_HTTP_ADDRESS_PROHIBITED = 3, BERTH_HTTP_TOO_LARGE = 4, BERTH_HTTP_FAILED = 5 } berth_http_failure;

typedef struct berth_component_op {
    uint32_t function;   /* berth_component_function */
    uint64_t object;     /* an open file, directory or request; 0: none */
    uint64_t a, b, c;
    berth_text bytes;
} berth_component_op;

typedef struct berth_component_answer {
    int32_t status;
    uint64_t x, y;
    berth_text bytes;    /* the host's, until it is asked again */
} berth_component_answer;

/* The host of one call. Every function gets the setup's state, on the calling thread; none may enter the guest. */
typedef struct berth_component_host {
    /* 0 done: see the answer; 1 denied: the guest's own error, where it has one; 2 the call ends. */
    uint32_t (*perform)(void* state, const berth_component_op* op, berth_component_answer* answer);
    /* Sleeps until this time of the monotonic clock (all ones: no time), and returns early when something that was pending may
     * be there, or the call must end. */
    void (*wait)(void* state, uint64_t due);
} berth_component_host;

typedef struct berth_http_field {
    berth_text name, value;
} berth_http_field;

typedef struct berth_http_request {
    berth_text method, authority, target; /* target: path and query */
    bool is_https;
    const berth_http_field* fields;
    size_t field_count;
} berth_http_request;

typedef struct berth_component_setup {
    const berth_component_host* host;
    void* state;
    berth_record* record;     /* NULL: cannot be stopped */
    int64_t fuel;
    uint64_t memory_limit;    /* bytes, all memories together */
    uint64_t table_limit;     /* elements of each table */
    bool trap_on_limit;
    const berth_text* arguments;
    size_t argument_count;
} berth_component_setup;

typedef struct berth_component_report {
    uint32_t outcome;         /* berth_outcome */
    uint32_t trap;            /* berth_trap */
    uint64_t fuel_used;
    uint64_t peak_memory;
    uint32_t denied_memory;
    uint32_t denied_table;
    int32_t exit_status;      /* -1: the guest did not end itself */
    berth_error* error;       /* more about the outcome, or why a handler gave no response; NULL or the caller's */
} berth_component_report;

/* A fresh instance, run until it ends: as a command, or as the handler of `request`. */
void berth_component_call(const berth_component* component, const berth_component_setup* setup, const berth_http_request* request,
                          berth_component_report* report);

/* An instance that handles one request behind the other; one thread at a time, any of them. */
typedef struct berth_component_instance berth_component_instance;

/* As berth_component_call for a request, in the instance at `instance`; NULL there: a new one is made. Afterwards NULL is there
 * when it must not be entered again: the guest did not return, left its answer open, or left too much behind. Fuel, limits and
 * record are the call's; what memory there is stays counted. `host` and `state` are the same in all its calls and outlive it. */
void berth_component_call_kept(const berth_component* component, const berth_component_setup* setup, const berth_http_request* request,
                               berth_component_instance** instance, berth_component_report* report);
/* NULL does nothing. */
void berth_component_instance_delete(berth_component_instance* instance);

#ifdef __cplusplus
}
#endif

#endif
