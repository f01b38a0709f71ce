/* Preloaded into a process, kills it at one of its writes to files whose path has a word in it: before the write, or behind it. What a
 * process that dies there leaves is what a crash of the machine's owner leaves: nothing is flushed, nobody is told.
 *
 * KILL_AT_PATH is the word, KILL_AT_WRITE the number of the write, from 1, and KILL_AT_SIDE `before` or `behind`. */
#define _GNU_SOURCE
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long writes;

static int is_of_it(int descriptor) {
    const char* word = getenv("KILL_AT_PATH");
    char link[64];
    char path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t size = readlink(link, path, sizeof path - 1);
    if (word == NULL || size <= 0) return 0;
    path[size] = 0;
    return strstr(path, word) != NULL;
}

ssize_t write(int descriptor, const void* bytes, size_t size) {
    const char* wanted = getenv("KILL_AT_WRITE");
    const char* side = getenv("KILL_AT_SIDE");
    const int is_here = wanted != NULL && side != NULL && is_of_it(descriptor) && atomic_fetch_add(&writes, 1) + 1 == atol(wanted);
    if (is_here && side[0] == 'b' && strcmp(side, "before") == 0) kill(getpid(), SIGKILL);
    const ssize_t written = syscall(SYS_write, descriptor, bytes, size);
    if (is_here) kill(getpid(), SIGKILL);
    return written;
}
