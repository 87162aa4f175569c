#ifndef _WIN32
#define _GNU_SOURCE
#endif
#include "places.h"

#include "deny.h"

#include "surroundings.h"

#ifndef __linux__

int places_scenario_work(const char *place) { return place != NULL ? 77 : 1; }
int places_scenario_fail(const char *place) { return place != NULL ? 77 : 1; }
int places_scenario_flood(const char *place) { return place != NULL ? 77 : 1; }
int places_scenario_last(const char *place) { return place != NULL ? 77 : 1; }
int places_scenario_stay(const char *place) { return place != NULL ? 77 : 1; }
int places_scenario_first(const char *place) { return place != NULL ? 77 : 1; }

#else

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- going there ---- */

enum { NOBODY = 65534, FIRST_USER = 100000 };

static bool become_user(void)
{
    return setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0;
}

static bool leave_proc(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           umount2("/proc", MNT_DETACH) == 0;
}

static bool change_root(void)
{
    char empty[] = "/tmp/spork-test-XXXXXX";
    return mkdtemp(empty) != NULL && chdir(empty) == 0 && rmdir(empty) == 0 && chroot(".") == 0;
}

static bool write_file(const char *directory, int pid, const char *name, const char *text)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%d/%s", directory, pid, name);
    int fd = open(path, O_WRONLY);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) close(fd);
    return written;
}

/* Its users are others outside; who writes that down has to be there. */
static bool become_root_of_users(void)
{
    int go[2], status = -1, pid = getpid();
    char byte, map[32];
    snprintf(map, sizeof map, "0 %d 65536", FIRST_USER);
    if (pipe(go) != 0) return false;
    int helper = fork();
    if (helper == 0) {
        close(go[1]);
        bool done = read(go[0], &byte, 1) == 1 && write_file("/proc", pid, "uid_map", map) &&
                    write_file("/proc", pid, "gid_map", map);
        _exit(done ? 0 : 1);
    }
    bool entered = helper > 0 && unshare(CLONE_NEWUSER) == 0 && write(go[1], "x", 1) == 1;
    close(go[0]);
    close(go[1]);
    return waitpid(helper, &status, 0) == helper && status == 0 && entered && setgid(0) == 0 &&
           setuid(0) == 0;
}

static void close_all(void)
{
    for (int fd = 3; fd < 1024; fd++) close(fd);
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Since Linux 5.14 a page that would end who touches it can be asked for. */
static bool can_populate(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page != MAP_FAILED && madvise(page, 4096, MADV_POPULATE_WRITE) == 0 &&
           munmap(page, 4096) == 0;
}

/* Memory has to be a file, and there is room for few pages. */
static bool fill_shm(void)
{
    static char page[4096];
    if (!can_populate()) return false;
    if (unshare(CLONE_NEWNS) != 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=32k") != 0)
        return false;
    int fd = open("/dev/shm/full", O_CREAT | O_WRONLY, 0600);
    while (write(fd, page, sizeof page) > 0) {}
    return fd >= 0 && close(fd) == 0 && harness_deny("memfd_create ENOSYS");
}

static bool go(const char *place)
{
    if (strcmp(place, "full") == 0) return fill_shm();
    if (strcmp(place, "user") == 0) return become_user();
    if (strcmp(place, "no_proc") == 0) return leave_proc();
    if (strcmp(place, "root") == 0) return change_root();
    if (strcmp(place, "pids") == 0) return unshare(CLONE_NEWPID) == 0;
    if (strcmp(place, "users") == 0) return become_root_of_users();
    if (strcmp(place, "closed") == 0) close_all();
    return strcmp(place, "closed") == 0;
}

/* ---- what is done there ---- */

static int descend(const spork_args *args);

static int run(int depth)
{
    spork_process *p = spork_process_new(descend, spork_pack(depth));
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_join(p, harness_patience_ms()));
    int code = spork_process_exitcode(p);
    spork_process_free(p);
    return code;
}

/* depth. */
static int descend(const spork_args *args)
{
    int depth;
    if (spork_unpack(args, &depth) != SPORK_OK) return 1;
    return depth == 0 ? 7 : run(depth - 1);
}

/* One that was started before: a fork server is there. */
static bool begin(const char *place)
{
    printf("main\n");
    fflush(stdout);
    SPORK_MUST(spork_init(0, NULL));
    if (run(0) != 7) exit(1);
    return go(place);
}

int places_scenario_work(const char *place)
{
    if (!begin(place)) return 77;
    bool apart = strcmp(place, "pids") == 0, swept = strcmp(place, "closed") == 0;
    if (run(1) != 7) return 1;
    int step = apart || swept ? 0 : surroundings_work();
    if (step == 0) printf("works\n");
    return step;
}

int places_scenario_fail(const char *place)
{
    if (!begin(place)) return 77;
    spork_process *p = spork_process_new(descend, spork_pack(0));
    spork_status status = spork_process_start(p);
    printf("%s: %s\n", spork_status_name(status), status != SPORK_OK ? spork_error() : "");
    return 0;
}

int places_scenario_flood(const char *place)
{
    spork_connection *a, *b, *reader, *writer;
    struct rlimit few = {64, 64}; /* of descriptors, and of those on their way */
    SPORK_MUST(spork_init(0, NULL));
    if (setrlimit(RLIMIT_NOFILE, &few) != 0 || !go(place)) return 77;
    SPORK_MUST(spork_pipe_duplex(&a, &b));
    SPORK_MUST(spork_pipe(&reader, &writer));
    int sent = 0;
    spork_status status = SPORK_OK;
    while (sent < 300 && (status = spork_connection_send(a, spork_pack(writer), 0)) == SPORK_OK)
        sent++;
    printf("%s: %s\n", spork_status_name(status), spork_error());
    for (spork_args *message; sent > 0; sent--) {
        SPORK_MUST(spork_connection_recv(b, &message, harness_patience_ms()));
        spork_args_free(message);
    }
    SPORK_MUST(spork_connection_send(a, spork_pack(writer), 0));
    return 0;
}

int places_scenario_first(const char *place)
{
    SPORK_MUST(spork_init(0, NULL));
    if (!go(place)) return 77;
    spork_process *p = spork_process_new(descend, spork_pack(0));
    spork_status status = spork_process_start(p);
    printf("%s: %s\n", spork_status_name(status), status != SPORK_OK ? spork_error() : "");
    return 0;
}

/* place, write end: says when it is what it is to be. */
static int stay(const spork_args *args)
{
    const char *place;
    int number;
    if (spork_unpack(args, &place, &number) != SPORK_OK) return 1;
    if (write(number, "x", 1) != 1) return 3;
    spork_sleep(SPORK_FOREVER);
    return 4;
}

/* read end: ends with 5 when it can read. */
static int last(const spork_args *args)
{
    int number;
    char byte;
    if (spork_unpack(args, &number) != SPORK_OK) return 1;
    return read(number, &byte, 1) == 1 ? 5 : 2;
}

int places_scenario_last(const char *place)
{
    int ends[2];
    if (!begin(place)) return 77;
    if (!harness_pipe_made(ends)) return 1;
    spork_native passed[] = {ends[0]};
    spork_process_options o = {
        .target = last, .args = spork_pack(ends[0]), .pass_fds = passed, .pass_fds_count = 1};
    spork_process *p = spork_process_new_with(&o);
    SPORK_MUST(spork_process_start(p));
    if (chdir("/tmp") != 0 || run(0) != 7) return 2; /* by another fork server */
    if (write(ends[1], "x", 1) != 1) return 3;
    SPORK_MUST(spork_process_join(p, harness_patience_ms()));
    if (spork_process_exitcode(p) != 5) return 4;
    printf("works\n");
    return 0;
}

int places_scenario_stay(const char *place)
{
    int ends[2];
    char byte;
    SPORK_MUST(spork_init(0, NULL));
    if (!go(place)) return 77;
    if (!harness_pipe_made(ends)) return 1;
    spork_native passed[] = {ends[1]};
    spork_process_options o = {.target = stay,
                               .args = spork_pack(place, ends[1]),
                               .pass_fds = passed,
                               .pass_fds_count = 1};
    spork_process *p = spork_process_new_with(&o);
    SPORK_MUST(spork_process_start(p));
    if (read(ends[0], &byte, 1) != 1) return 2;
    printf("%d\n", spork_process_pid(p));
    fflush(stdout);
    for (;;) pause();
}

#endif
