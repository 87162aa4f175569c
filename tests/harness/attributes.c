#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "attributes.h"

#ifndef _WIN32 /* which hands down other things */

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os.h"

#ifdef __linux__
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

enum { TEXT = 20000, NOBODY = 65534 };

static void add(char *text, const char *format, ...)
{
    size_t have = strlen(text);
    va_list values;
    va_start(values, format);
    vsnprintf(text + have, TEXT - have, format, values);
    va_end(values);
}

#ifdef __linux__
static void add_lines(char *text, const char *path, const char *const *names)
{
    char line[16384];
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        for (const char *const *name = names; *name != NULL; name++)
            if (strncmp(line, *name, strlen(*name)) == 0) add(text, "%s", line);
    if (f != NULL) fclose(f);
}

static void describe_linux(char *text)
{
    static const char *const names[] = {"Groups:", "Cap",           "NoNewPrivs:",
                                        "Seccomp", "Cpus_allowed:", NULL},
                             *const all[] = {"", NULL};
    char to[200];
    add_lines(text, "/proc/self/status", names);
    add_lines(text, "/proc/self/oom_score_adj", all);
    for (const char *const *ns = (const char *const[]){"uts", "ipc", "net", NULL}; *ns != NULL;
         ns++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/ns/%s", *ns);
        ssize_t n = readlink(path, to, sizeof to);
        add(text, "%.*s\n", n > 0 ? (int)n : 0, to);
    }
    add(text, "scheduler %d, slack %d, securebits %d\n", sched_getscheduler(0),
        prctl(PR_GET_TIMERSLACK), prctl(PR_GET_SECUREBITS));
}
#else
static void describe_linux(char *text) { (void)text; }
#endif

static void describe(char *text)
{
    char directory[1000] = "";
    struct rlimit files;
    mode_t mask = umask(0);
    umask(mask);
    getrlimit(RLIMIT_NOFILE, &files);
    text[0] = 0;
    const char *value = getenv("HARNESS_VARIABLE");
    add(text, "users %d %d, groups %d %d\n", (int)getuid(), (int)geteuid(), (int)getgid(),
        (int)getegid());
    add(text, "umask %o, files %lld, nice %d\n", (unsigned)mask, (long long)files.rlim_cur,
        getpriority(PRIO_PROCESS, 0));
    add(text, "in %s, variable %s\n", getcwd(directory, sizeof directory) != NULL ? directory : "?",
        value != NULL ? value : "none");
    add(text, "process group %d, session %d\n", (int)getpgrp(), (int)getsid(0));
    describe_linux(text);
}

int attributes_tell(const spork_args *args)
{
    spork_queue *queue;
    char text[TEXT];
    if (spork_unpack(args, &queue) != SPORK_OK) return 111;
    describe(text);
    return spork_queue_put(queue, spork_pack((const char *)text), SPORK_FOREVER) == SPORK_OK ? 0
                                                                                             : 112;
}

/* ---- changes: false if they cannot be made here ---- */

static bool change_umask(void) { return umask(0077) != 0077; }
static bool change_directory(void) { return chdir("/tmp") == 0; }
static bool change_environment(void) { return setenv("HARNESS_VARIABLE", "changed", 1) == 0; }
static bool change_group(void) { return setpgid(0, 0) == 0; }
static bool change_nice(void)
{
    return setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 3) == 0;
}
static bool change_limit(void)
{
    struct rlimit files = {0, 0}; /* a sanitizer sets that of core files itself */
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur--;
    return setrlimit(RLIMIT_NOFILE, &files) == 0;
}
static bool change_user(void) { return setgid(NOBODY) == 0 && setuid(NOBODY) == 0; }
static bool change_groups(void)
{
    gid_t groups[] = {12345};
    return setgroups(1, groups) == 0;
}

#ifdef __linux__
static bool change_session(void) { return setsid() > 0; }
static bool change_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 2) return false;
    for (size_t i = 0, kept = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set) && kept++ > 0) CPU_CLR(i, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}
static bool change_scheduling(void)
{
    struct sched_param none = {0};
    return sched_setscheduler(0, SCHED_BATCH, &none) == 0;
}
static bool change_slack(void) { return prctl(PR_SET_TIMERSLACK, 123456) == 0; }
static bool change_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0; }
static bool change_capabilities(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    if (syscall(SYS_capget, &head, sets) != 0 || !(sets[0].effective & 1u << CAP_NET_RAW))
        return false;
    prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0); /* else an exec gives it back */
    sets[0].effective &= ~(1u << CAP_NET_RAW);
    sets[0].permitted &= ~(1u << CAP_NET_RAW);
    return syscall(SYS_capset, &head, sets) == 0;
}
static bool change_namespace(void) { return unshare(CLONE_NEWUTS) == 0; }
static bool change_score(void)
{
    FILE *f = fopen("/proc/self/oom_score_adj", "we");
    if (f == NULL) return false;
    bool written = fputs("321\n", f) >= 0;
    return fclose(f) == 0 && written;
}
#endif

static bool get_many_groups(void)
{
    gid_t groups[900];
    for (size_t i = 0; i < 900; i++) groups[i] = (gid_t)(4000000000u + i);
    return setgroups(900, groups) == 0;
}

typedef struct change {
    const char *name;
    bool (*make)(void), (*before)(void);
} change;

static const change changes[] = {
    {"umask", change_umask, NULL},
    {"directory", change_directory, NULL},
    {"environment", change_environment, NULL},
    {"process_group", change_group, NULL},
    {"nice", change_nice, NULL},
    {"limit", change_limit, NULL},
    {"user", change_user, NULL},
    {"groups", change_groups, NULL},
#ifdef __linux__
    {"session", change_session, NULL},
    {"processors", change_processors, NULL},
    {"scheduling", change_scheduling, NULL},
    {"timer_slack", change_slack, NULL},
    {"no_new_privileges", change_privileges, NULL},
    {"capabilities", change_capabilities, NULL},
    {"no_new_privileges_beside_many_groups", change_privileges, get_many_groups},
    {"namespace", change_namespace, NULL},
    {"memory_score", change_score, NULL},
#endif
};

static const change *find_change(const char *name)
{
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        if (strcmp(changes[i].name, name) == 0) return &changes[i];
    return NULL;
}

/* What a child of ours says of itself. */
static int ask_child(spork_queue *queue, char *text)
{
    spork_args *message;
    const char *told;
    int code = 0;
    spork_process *child = spork_process_new(attributes_tell, spork_pack(queue));
    if (child == NULL) return ATTRIBUTES_BROKEN;
    if (spork_process_start(child) != SPORK_OK) {
        fprintf(stderr, "refused: %s\n", spork_error());
        spork_process_free(child);
        return ATTRIBUTES_REFUSED;
    }
    spork_process_join(child, SPORK_FOREVER);
    if (spork_process_exitcode(child) != 0 || spork_queue_get(queue, &message, 0) != SPORK_OK)
        code = ATTRIBUTES_BROKEN;
    spork_process_free(child);
    if (code != 0) return code;
    if (spork_unpack(message, &told) == SPORK_OK) snprintf(text, TEXT, "%s", told);
    spork_args_free(message);
    return 0;
}

int attributes_change(const spork_args *args)
{
    const char *name;
    char ours[TEXT], before[TEXT] = "", after[TEXT] = "";
    spork_queue *queue = spork_queue_new(0, 0);
    if (queue == NULL || spork_unpack(args, &name) != SPORK_OK) return 111;
    const change *c = find_change(name);
    if (c == NULL) return 112;
    if (c->before != NULL && !c->before()) return ATTRIBUTES_CANNOT_CHANGE;
    int code = ask_child(queue, before); /* a fork server is there from now on */
    describe(ours);
    if (code != 0 || strcmp(ours, before) != 0) {
        fprintf(stderr, "before: %d\nours:\n%s\nchild's:\n%s\n", code, ours, before);
        return code != 0 ? code : ATTRIBUTES_DIFFER;
    }
    if (!c->make()) return ATTRIBUTES_CANNOT_CHANGE;
    describe(ours);
    if ((code = ask_child(queue, after)) != 0) return code;
    if (strcmp(ours, after) == 0) return 0;
    fprintf(stderr, "ours:\n%s\nchild's:\n%s\n", ours, after);
    return ATTRIBUTES_DIFFER;
}

int attributes_receive_from(int user)
{
    int ends[2];
    size_t none = 0;
    char byte = 0;
    if (spork__fd_socket_pair(ends) != 0) return -errno;
    spork__rights_ask(ends[1]);
    pid_t child = fork();
    if (child == 0) {
        if (setgid((gid_t)user) != 0 || setuid((uid_t)user) != 0) _exit(1);
        _exit(spork__socket_send(ends[0], "x", 1, NULL, 0) != 0);
    }
    int status = 0, got = spork__socket_receive(ends[1], &byte, 1, NULL, &none);
    int code = got == 1 && byte == 'x' ? 1 : -errno;
    waitpid(child, &status, 0);
    spork__fd_close(ends[0]);
    spork__fd_close(ends[1]);
    return status == 0 ? code : -ECHILD;
}

#endif
