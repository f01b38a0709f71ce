/* The fault program: a function whose input says how it is to behave, as {"do":"…","n":N}. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *request;
static size_t size;

static void read_all(void) {
    size_t room = 1 << 20;
    request = malloc(room + 1);
    for (ssize_t got; (got = read(0, request + size, room - size)) > 0;) {
        size += (size_t)got;
        if (size == room) request = realloc(request, (room *= 2) + 1);
    }
    request[size] = '\0';
}

static void put(int to, const char *bytes, size_t left) {
    while (left > 0) {
        const ssize_t done = write(to, bytes, left);
        if (done <= 0) return;
        bytes += done;
        left -= (size_t)done;
    }
}

static void say(const char *text) { put(1, text, strlen(text)); }
static void answer(void) { say("{\"success\":true,\"output\":\"done\"}"); }

static char word[64];
static const char *behaviour(void) {
    const char *at = strstr(request, "\"do\":\"");
    if (!at) return "echo";
    sscanf(at + 6, "%63[^\"]", word);
    return word;
}

static long number(long otherwise) {
    const char *at = strstr(request, "\"n\":");
    return at ? strtol(at + 4, NULL, 10) : otherwise;
}

static void fill(int to, char c, size_t count) {
    static char block[1 << 16];
    memset(block, c, sizeof block);
    while (count > 0) {
        const size_t part = count < sizeof block ? count : sizeof block;
        put(to, block, part);
        count -= part;
    }
}

static void on_term(int number) {
    (void)number;
    put(2, "got SIGTERM\n", 12);
}

/* The value of the input member, as it stands in the request. */
static void echo(void) {
    const char *start = strstr(request, "\"input\":") + 8, *end = strstr(start, ",\"context\":");
    for (const char *next = end; next; next = strstr(next + 1, ",\"context\":")) end = next;
    say("{\"success\":true,\"output\":");
    put(1, start, (size_t)(end - start));
    say("}");
}

static void spawn_tree(int levels, int width, int ignore_term) {
    if (ignore_term) signal(SIGTERM, SIG_IGN);
    for (int i = 0; i < width; ++i) {
        if (fork() == 0) {
            if (levels > 1) spawn_tree(levels - 1, width, ignore_term);
            if (i == 1) raise(SIGSTOP);
            for (;;) pause();
        }
    }
}

static void list_descriptors(void) {
    char text[4096] = "";
    DIR *folder = opendir("/proc/self/fd");
    const int own = dirfd(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        const int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == own) continue;
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d", text[0] ? "," : "", fd);
    }
    printf("{\"success\":true,\"output\":[%s]}", text);
    fflush(stdout);
}

static void list_signals(void) {
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    int blocked = 0, changed = 0;
    for (int i = 1; i < 65; ++i) {
        struct sigaction action;
        if (sigismember(&mask, i) == 1) ++blocked;
        if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_DFL) ++changed;
    }
    printf("{\"success\":true,\"output\":{\"blocked\":%d,\"changed\":%d,\"session\":%s}}", blocked, changed, getsid(0) == getpid() ? "true" : "false");
    fflush(stdout);
}

/* 5 processes, 6 below each, 6 below each of those: 215 that ignore SIGTERM, the third of them stopped. */
static void wide_tree(void) {
    signal(SIGTERM, SIG_IGN);
    for (int a = 0; a < 5; ++a) {
        if (fork() != 0) continue;
        for (int b = 0; b < 6; ++b) {
            if (fork() != 0) continue;
            for (int c = 0; c < 6; ++c) {
                if (fork() != 0) continue;
                if (c % 2 == 0) raise(SIGSTOP);
                for (;;) pause();
            }
            for (;;) pause();
        }
        for (;;) pause();
    }
}

int main(void) {
    if (getenv("PROBE_ANSWER_FIRST")) {  /* writes a large answer before it reads anything */
        say("{\"success\":true,\"output\":\"");
        fill(1, 'x', strtoul(getenv("PROBE_ANSWER_FIRST"), NULL, 10));
        say("\"}");
        read_all();
        return 0;
    }
    if (getenv("PROBE_ONE_BYTE")) {  /* and leaves the rest */
        char one;
        if (read(0, &one, 1) != 1) return 1;
        answer();
        return 0;
    }
    if (getenv("PROBE_CLOSE")) {  /* reads nothing */
        close(0);
        answer();
        return 0;
    }
    read_all();
    const char *what = behaviour();
    if (!strcmp(what, "echo")) echo();
    else if (!strcmp(what, "echo-and-wait")) {  /* tells by a file that it has answered, and ends when somebody opens `gate` */
        echo();
        char name[64];
        snprintf(name, sizeof name, "answered-%d", (int)getpid());
        close(open(name, O_CREAT | O_WRONLY, 0600));
        close(open("gate", O_RDONLY));
    }
    else if (!strcmp(what, "exit")) { say("{\"success\":false,\"error\":\""); exit((int)number(1)); }
    else if (!strcmp(what, "exit-quiet")) exit((int)number(1));
    else if (!strcmp(what, "exit-after-answer")) { answer(); exit((int)number(1)); }
    else if (!strcmp(what, "exit-after-error")) { say("{\"success\":false,\"error\":{\"code\":\"CONFLICT\",\"message\":\"no\"}}"); exit((int)number(1)); }
    else if (!strcmp(what, "error")) say("{\"success\":false,\"error\":{\"code\":\"CONFLICT\",\"message\":\"no\"}}");
    else if (!strcmp(what, "signal")) raise((int)number(11));
    else if (!strcmp(what, "signal-after-answer")) { answer(); raise((int)number(11)); }
    else if (!strcmp(what, "garbage")) say("Hello world\n");
    else if (!strcmp(what, "empty")) return 0;
    else if (!strcmp(what, "flood")) for (;;) fill(1, 'x', 1 << 20);
    else if (!strcmp(what, "flood-errors")) { fill(2, 'e', (size_t)number(64) << 20); answer(); }
    else if (!strcmp(what, "sleep")) for (;;) pause();
    else if (!strcmp(what, "ignore-term")) { signal(SIGTERM, SIG_IGN); for (;;) pause(); }
    else if (!strcmp(what, "log-term")) { signal(SIGTERM, on_term); pause(); answer(); }
    else if (!strcmp(what, "stop")) { raise(SIGSTOP); answer(); }
    else if (!strcmp(what, "tree")) { spawn_tree(3, 4, 1); for (;;) pause(); }
    else if (!strcmp(what, "wide-tree")) { wide_tree(); for (;;) pause(); }
    else if (!strcmp(what, "leave-child")) { if (fork() == 0) for (;;) pause(); answer(); }
    else if (!strcmp(what, "daemon")) {  /* forks twice, leaves the session, clears its environment, holds nothing open */
        if (fork() == 0) {
            setsid();
            if (fork() == 0) {
                char *none[] = {NULL};
                char *words[] = {"/bin/sleep", "1000", NULL};
                for (int i = 0; i < 3; ++i) close(i);
                execve("/bin/sleep", words, number(0) ? none : environ);
                _exit(1);
            }
            _exit(0);
        }
        wait(NULL);
        answer();
    } else if (!strcmp(what, "fork-bomb")) {
        int failed = 0;
        for (int i = 0; i < 200; ++i) {
            const pid_t child = fork();
            if (child == 0) for (;;) pause();
            if (child < 0) ++failed;
        }
        while (failed == 0) pause();  /* nobody stopped it at once: somebody will count */
        printf("{\"success\":true,\"output\":{\"refused\":%d}}", failed);
        fflush(stdout);
    } else if (!strcmp(what, "memory") || !strcmp(what, "memory-child")) {
        if (!strcmp(what, "memory-child")) {
            const pid_t child = fork();
            if (child != 0) { waitpid(child, NULL, 0); for (;;) pause(); }
        }
        const size_t bytes = (size_t)number(1024) << 20;
        char *block = malloc(bytes);
        for (size_t i = 0; block && i < bytes; i += 4096) block[i] = 1;
        for (;;) pause();
    } else if (!strcmp(what, "spin")) {
        for (int i = 1; i < number(1); ++i) if (fork() == 0) break;
        for (volatile unsigned long i = 0;; ++i) {}
    } else if (!strcmp(what, "descriptors")) list_descriptors();
    else if (!strcmp(what, "signals")) list_signals();
    else if (!strcmp(what, "environment")) {
        say("{\"success\":true,\"output\":[");
        for (char **one = environ; *one; ++one) {
            if (one != environ) say(",");
            say("\"");
            for (const char *c = *one; *c; ++c) {
                if (*c == '"' || *c == '\\') say("\\");
                put(1, c, 1);
            }
            say("\"");
        }
        say("]}");
    } else if (!strcmp(what, "echo-secrets")) {  /* says what it must not: token and secret, everywhere */
        fwrite(request, 1, size, stderr);
        fflush(stderr);
        say("{\"success\":false,\"error\":{\"code\":\"X\",\"message\":\"");
        const char *token = strstr(request, "\"internal_token\":\"");
        if (token) put(1, token + 18, 64);
        say("\"}}");
    } else if (!strcmp(what, "marker")) {  /* leaves a file behind, so that a test can see that it ran */
        close(open("ran", O_CREAT | O_WRONLY, 0600));
        answer();
    } else answer();
    return 0;
}
