#ifndef _WIN32
#define _GNU_SOURCE
#endif
#include "deny.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#if defined(__linux__)
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static const struct {
    const char *name;
    unsigned number;
} calls[] = {
#ifdef SYS_memfd_create
    {"memfd_create", SYS_memfd_create},
#endif
#ifdef SYS_pidfd_open
    {"pidfd_open", SYS_pidfd_open},
#endif
#ifdef SYS_clone3
    {"clone3", SYS_clone3},
#endif
#ifdef SYS_eventfd2
    {"eventfd2", SYS_eventfd2},
#endif
#ifdef SYS_fallocate
    {"fallocate", SYS_fallocate},
#endif
#ifdef SYS_pwritev2
    {"pwritev2", SYS_pwritev2},
#endif
#ifdef SYS_madvise
    {"madvise", SYS_madvise},
#endif
#ifdef SYS_close_range
    {"close_range", SYS_close_range},
#endif
};

static bool refuse(unsigned number, unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool harness_deny(const char *call_and_error)
{
    char name[32], error[32];
    if (sscanf(call_and_error, "%31s %31s", name, error) != 2) return false;
    int code = strcmp(error, "ENOSYS") == 0   ? ENOSYS
               : strcmp(error, "EPERM") == 0  ? EPERM
               : strcmp(error, "EACCES") == 0 ? EACCES
                                              : 0;
    for (size_t i = 0; code != 0 && i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i].name, name) == 0) return refuse(calls[i].number, (unsigned)code);
    return false;
}
#else
bool harness_deny(const char *call_and_error) { return call_and_error == NULL; }
#endif

/* Its children have the filter from it: another would be a difference between them. */
static const char inherited[] = "SPORK_TEST_DENIED";

void harness_deny_as_told(void)
{
    const char *told = getenv("SPORK_TEST_DENY");
    if (told == NULL || getenv(inherited) != NULL) return;
    harness_setenv(inherited, "1");
    if (harness_deny(told)) return;
    fprintf(stderr, "SPORK_TEST_DENY: %s cannot be refused here\n", told);
    exit(77);
}

bool harness_denies(const char *call)
{
    const char *told = getenv("SPORK_TEST_DENY");
    size_t length = strlen(call);
    return told != NULL && strncmp(told, call, length) == 0 && told[length] == ' ';
}

bool harness_denies_any(void) { return getenv("SPORK_TEST_DENY") != NULL; }
