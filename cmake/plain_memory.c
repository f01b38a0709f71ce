/* memcpy, malloc and their like without the thread sanitizer, for the Rust library in builds with it (cmake/berth_native.cmake). That
 * library is not instrumented, so the sanitizer sees nothing of what orders its memory, and yet it would look at each byte that passes
 * through the C library's functions and take what one thread allocates and another frees for a race. To suppress such reports would
 * make compiling a module a hundred times slower, each being looked up in the tables of lines first, and would set aside what is
 * true of our own code below a call of the engine: a suppression goes by any frame of the stack. With these there is none to suppress.
 * Compiled with -fno-builtin and without the recognition of loops, which would make each of these call itself. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* glibc's own, which the sanitizer does not replace. */
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* at, size_t size);
void __libc_free(void* at);

void* berth_plain_malloc(size_t size) { return __libc_malloc(size); }
void* berth_plain_calloc(size_t count, size_t size) { return __libc_calloc(count, size); }
void* berth_plain_realloc(void* at, size_t size) { return __libc_realloc(at, size); }
void berth_plain_free(void* at) { __libc_free(at); }

int berth_plain_posix_memalign(void** out, size_t alignment, size_t size) {
    /* The sanitizer has one of its own under each of the names that could be linked with: the one of the C library alone is asked for. */
    typedef void* (*memalign_type)(size_t, size_t);
    static memalign_type known;
    memalign_type memalign = __atomic_load_n(&known, __ATOMIC_ACQUIRE);
    if (memalign == NULL) {
        *(void**)&memalign = dlsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), "memalign");
        __atomic_store_n(&known, memalign, __ATOMIC_RELEASE);
    }
    void* at = memalign(alignment, size);
    if (at == NULL) return ENOMEM;
    *out = at;
    return 0;
}

/* Rust frees what it is given. */
char* berth_plain_realpath(const char* path, char* into) {
    char* place = into != NULL ? into : __libc_malloc(PATH_MAX);
    char* found = place != NULL ? realpath(path, place) : NULL;
    if (found == NULL && into == NULL) __libc_free(place);
    return found;
}

void* berth_plain_memcpy(void* restrict to, const void* restrict from, size_t size) {
    unsigned char* restrict out = to;
    const unsigned char* restrict in = from;
    for (size_t i = 0; i < size; ++i) out[i] = in[i];
    return to;
}

void* berth_plain_memmove(void* to, const void* from, size_t size) {
    unsigned char* out = to;
    const unsigned char* in = from;
    if ((uintptr_t)out - (uintptr_t)in >= size) return berth_plain_memcpy(to, from, size);
    while (size > 0) {
        --size;
        out[size] = in[size];
    }
    return to;
}

void* berth_plain_memset(void* at, int value, size_t size) {
    unsigned char* out = at;
    for (size_t i = 0; i < size; ++i) out[i] = (unsigned char)value;
    return at;
}

int berth_plain_memcmp(const void* left, const void* right, size_t size) {
    const unsigned char* a = left;
    const unsigned char* b = right;
    size_t i = 0;
    for (; i + sizeof(uint64_t) <= size; i += sizeof(uint64_t)) {
        uint64_t x, y;
        __builtin_memcpy(&x, a + i, sizeof x);
        __builtin_memcpy(&y, b + i, sizeof y);
        if (x != y) break;
    }
    for (; i < size; ++i) {
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
    }
    return 0;
}

int berth_plain_bcmp(const void* left, const void* right, size_t size) { return berth_plain_memcmp(left, right, size); }

void* berth_plain_memchr(const void* at, int value, size_t size) {
    const unsigned char* in = at;
    for (size_t i = 0; i < size; ++i) {
        if (in[i] == (unsigned char)value) return (void*)(in + i);
    }
    return 0;
}

size_t berth_plain_strlen(const char* text) {
    size_t size = 0;
    while (text[size] != 0) ++size;
    return size;
}
