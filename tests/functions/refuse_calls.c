/* Runs a program under a filter that refuses system calls, as containers do: refuse_calls ERRNO NAME… -- PROGRAM ARGUMENT…
   A NAME is clone3, pidfd (every call that makes or takes one), inotify (its making) or watches (of inotify). */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sock_filter program[64];
static unsigned short length;
static unsigned problem;

static void add(unsigned short code, unsigned k, unsigned char yes, unsigned char no) { program[length++] = (struct sock_filter){code, yes, no, k}; }
static void load(size_t at) { add(BPF_LD | BPF_W | BPF_ABS, (unsigned)at, 0, 0); }
static void refuse(void) { add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | problem, 0, 0); }
static void number(void) { load(offsetof(struct seccomp_data, nr)); }

static void refuse_call(unsigned call) {
    number();
    add(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
    refuse();
}

int main(int count, char** arguments) {
    int at = 2;
    if (count < 4) return 64;
    problem = strcmp(arguments[1], "EPERM") == 0 ? EPERM : strcmp(arguments[1], "ENOSPC") == 0 ? ENOSPC : ENOSYS;
    for (; at < count && strcmp(arguments[at], "--") != 0; ++at) {
        if (strcmp(arguments[at], "clone3") == 0) {
            refuse_call(SYS_clone3);
        } else if (strcmp(arguments[at], "pidfd") == 0) {
            refuse_call(SYS_pidfd_open);
            refuse_call(SYS_pidfd_send_signal);
            number();
            add(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3);
            load(offsetof(struct seccomp_data, args[0]));
            add(BPF_JMP | BPF_JSET | BPF_K, CLONE_PIDFD, 0, 1);
            refuse();
            number();
            add(BPF_JMP | BPF_JEQ | BPF_K, SYS_waitid, 0, 3);
            load(offsetof(struct seccomp_data, args[0]));
            add(BPF_JMP | BPF_JEQ | BPF_K, 3 /* P_PIDFD */, 0, 1);
            refuse();
        } else if (strcmp(arguments[at], "inotify") == 0) {
            refuse_call(SYS_inotify_init1);
        } else if (strcmp(arguments[at], "watches") == 0) {
            refuse_call(SYS_inotify_add_watch);
        } else {
            return 64;
        }
    }
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    const struct sock_fprog filter = {length, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        perror("the filter");
        return 71;
    }
    execvp(arguments[at + 1], arguments + at + 1);
    perror(arguments[at + 1]);
    return 71;
}
