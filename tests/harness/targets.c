#ifndef _WIN32
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#else
#include <direct.h>
#include <io.h>
#define getcwd _getcwd
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"
#include "targets.h"
#include "tree.h"

int target_return(const spork_args *args)
{
    int code;
    return spork_unpack(args, &code) == SPORK_OK ? code : 111;
}

int target_exit(const spork_args *args)
{
    int code;
    if (spork_unpack(args, &code) == SPORK_OK) exit(code);
    return 111;
}

static volatile int zero;
static int overflow_stack(volatile char *above, int depth)
{
    volatile char room[4096];
    room[0] = above[0];
    return depth == 0 ? 0 : overflow_stack(room, depth - 1) + room[0];
}

/* Undefined on purpose. */
#if defined(__GNUC__) && !defined(__MINGW32__)
__attribute__((no_sanitize("undefined"), no_sanitize("address")))
#endif
int target_die(const spork_args *args)
{
    const char *how;
    if (spork_unpack(args, &how) != SPORK_OK) return 111;
    if (strcmp(how, "abort") == 0) abort();
    if (strcmp(how, "segv") == 0) *(volatile int *)(uintptr_t)zero = 1;
    if (strcmp(how, "fpe") == 0) return 100 / zero;
    if (strcmp(how, "ill") == 0) {
#if defined(__GNUC__)
        __builtin_trap();
#endif
    }
    if (strcmp(how, "stack") == 0) return overflow_stack((volatile char *)how, 1 << 28);
    if (strncmp(how, "raise", 5) == 0) raise((int)strtol(how + 5, NULL, 10));
    return 112;
}

int target_sleep(const spork_args *args)
{
    (void)args;
    spork_sleep(SPORK_FOREVER);
    return 0;
}

static volatile sig_atomic_t interrupts;
static void count_interrupt(int number)
{
    (void)number;
    interrupts++;
}
int target_count_interrupts(const spork_args *args)
{
    spork_connection *to;
    int wanted;
    if (spork_unpack(args, &to, &wanted) != SPORK_OK) return 111;
    signal(SIGINT, count_interrupt);
    for (int told = -1; told < wanted; spork_sleep(1))
        if (interrupts > told && spork_connection_send_bytes(to, "", 0, SPORK_FOREVER) == SPORK_OK) told++;
    return (int)interrupts;
}

int target_sleep_ms(const spork_args *args)
{
    int ms, code;
    if (spork_unpack(args, &ms, &code) != SPORK_OK) return 111;
    spork_sleep(ms);
    return code;
}

int target_write(const spork_args *args)
{
    harness_end *end;
    const char *text;
    if (spork_unpack(args, harness_take(&end), &text) != SPORK_OK) return 111;
    return harness_write(end, text, strlen(text)) ? 0 : 1;
}

static int wait_for_barrier(harness_end *barrier)
{
    char byte;
    return harness_read(barrier, &byte, 1) == 0 ? 0 : 2;
}

int target_hold(const spork_args *args)
{
    harness_end *writer, *barrier;
    if (spork_unpack(args, harness_take(&writer), harness_take(&barrier)) != SPORK_OK) return 111;
    if (!harness_write(writer, "h", 1)) return 1;
    return wait_for_barrier(barrier);
}

static bool write_identity(harness_end *end)
{
    char text[512];
    spork_process *parent = spork_parent_process();
    int n = snprintf(text, sizeof text, "%s %d %d %s %d\n", spork_process_name(spork_current_process()), spork_getpid(),
                     spork_getppid(), spork_process_name(parent), spork_process_pid(parent));
    return harness_write(end, text, (size_t)n);
}

int target_identity(const spork_args *args)
{
    harness_end *end;
    if (spork_unpack(args, harness_take(&end)) != SPORK_OK) return 111;
    return write_identity(end) && spork_process_is_alive(spork_parent_process()) &&
                   spork_process_join(spork_parent_process(), 20) == SPORK_TIMEOUT
               ? 0
               : 1;
}

int target_nested(const spork_args *args)
{
    harness_end *end;
    int depth;
    if (spork_unpack(args, harness_take(&end), &depth) != SPORK_OK) return 111;
    if (!write_identity(end)) return 1;
    if (depth == 0) return 0;
    spork_process *p = spork_process_new(target_nested, spork_pack(harness_give(end), depth - 1));
    if (spork_process_start(p) != SPORK_OK || spork_process_join(p, SPORK_FOREVER) != SPORK_OK) {
        fprintf(stderr, "%s\n", spork_error());
        return 2;
    }
    int code = spork_process_exitcode(p);
    spork_process_free(p);
    return code;
}

void harness_look(harness_open *now)
{
    spork_native tree = -1;
    for (int i = 0; i < 64; i++) now->all[i] = -1;
    for (int i = 0; i < 8; i++) now->own[i] = -1;
    harness_descriptors(now->all, 64);
    int count = spork__os_own_descriptors(now->own, 7);
    if (spork__tree_open(&tree) == SPORK_OK) now->own[count] = (int)tree;
}

int target_descriptors(const spork_args *args)
{
    harness_end *end, *barrier;
    harness_open now;
    if (spork_unpack(args, harness_take(&end), harness_take(&barrier)) != SPORK_OK) return 111;
    harness_look(&now);
    if (!harness_write(end, &now, sizeof now)) return 1;
    return wait_for_barrier(barrier);
}

static const double numbers[] = {1.5, -0.0, 1e300};
struct shape {
    int x, y;
    char name[8];
};

bool harness_all_values(spork_process **process)
{
    struct shape shape = {3, -4, "shape"};
    *process =
        spork_process_new(target_values, spork_pack(INT8_MIN, (uint64_t)UINT64_MAX, "h\xc3\xa9llo", "", 2.5, true,
                                                    spork_array(numbers, 3), spork_struct(&shape),
                                                    spork_bytes_of("\0\1\2", 3), spork_array((const int *)NULL, 0)));
    return *process != NULL;
}

int target_values(const spork_args *args)
{
    signed char i8;
    uint64_t u64;
    const char *text, *empty;
    double f;
    bool b;
    const double *array;
    const int *nothing;
    size_t count, none;
    struct shape shape;
    spork_bytes bytes;
    if (spork_unpack(args, &i8, &u64, &text, &empty, &f, &b, spork_array_into(&array, &count),
                     spork_struct_into(&shape), &bytes, spork_array_into(&nothing, &none)) != SPORK_OK)
        return 1;
    if (i8 != INT8_MIN || u64 != UINT64_MAX || strcmp(text, "h\xc3\xa9llo") != 0 || empty[0] != 0) return 2;
    if (memcmp(&f, &(double){2.5}, sizeof f) != 0 || !b || count != 3 || memcmp(array, numbers, sizeof numbers) != 0)
        return 3;
    if ((uintptr_t)array % 16 != 0 || shape.x != 3 || shape.y != -4 || strcmp(shape.name, "shape") != 0) return 4;
    return bytes.size == 3 && memcmp(bytes.data, "\0\1\2", 3) == 0 && none == 0 ? 0 : 5;
}

int target_sum(const spork_args *args)
{
    const unsigned char *data;
    size_t size;
    int expected;
    unsigned sum = 0;
    if (spork_unpack(args, spork_array_into(&data, &size), &expected) != SPORK_OK) return 111;
    for (size_t i = 0; i < size; i++) sum += data[i];
    return (int)(sum & 0xFF) == expected ? 0 : 1;
}

int target_lines(const spork_args *args)
{
    int index, count;
    if (spork_unpack(args, &index, &count) != SPORK_OK) return 111;
    for (int i = 0; i < count; i++) {
        printf("line %d %d of some text\n", index, i);
#ifdef _WIN32
        fflush(stdout); /* its C library knows no line buffering */
#endif
    }
    return 0;
}

static void read_stdin(void *unused)
{
    char line[64];
    (void)unused;
    if (fgets(line, sizeof line, stdin) == NULL) return;
}

int target_stdin(const spork_args *args)
{
    harness_end *end;
    if (spork_unpack(args, harness_take(&end)) != SPORK_OK) return 111;
    harness_stdin(end);
    harness_thread_start(read_stdin, NULL);
    spork_sleep(50); /* it should sit there; if it is late, the test is only easier */
    printf("said before the end");
    return 5;
}

static harness_end *endings;
static void write_ending(void *text) { harness_write(endings, text, 1); }
static void write_x(void) { harness_write(endings, "x", 1); }

int target_endings(const spork_args *args)
{
    if (spork_unpack(args, harness_take(&endings)) != SPORK_OK) return 111;
    if (atexit(write_x) != 0) return 1;
    if (spork_at_child_exit(write_ending, (char *)(uintptr_t) "1") != SPORK_OK) return 1;
    return spork_at_child_exit(write_ending, (char *)(uintptr_t) "2") == SPORK_OK ? 0 : 1;
}

int target_signals(const spork_args *args)
{
    (void)args;
#ifndef _WIN32
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int number = 1; number < 32; number++) {
        struct sigaction now;
        if (sigismember(&blocked, number) == 1) return number;
        if (number == SIGKILL || number == SIGSTOP || sigaction(number, NULL, &now) != 0) continue;
        if (now.sa_handler != SIG_DFL) return 100 + number;
    }
#endif
    return 0;
}

int target_memory(const spork_args *args)
{
    uint64_t bytes;
    if (spork_unpack(args, &bytes) != SPORK_OK) return 111;
    for (uint64_t got = 0; got < bytes; got += 1 << 20)
        if (!harness_use_memory(1 << 20)) return 1;
    return 0;
}

int target_spin(const spork_args *args)
{
    (void)args;
    for (;;) zero = 0;
}

int target_files(const spork_args *args)
{
    harness_end *end;
    if (spork_unpack(args, harness_take(&end)) != SPORK_OK) return 111;
#ifndef _WIN32
    int highest = -1, open_now = 0; /* inherited ones above the limit do not count: they were open before */
    for (int fd; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) highest = fd;
    for (int fd = 0; fd <= highest; fd++)
        if (fcntl(fd, F_GETFD) >= 0) open_now++;
    if (!harness_write(end, &open_now, sizeof open_now)) return 1;
#endif
    return 0;
}

int target_not_shared(const spork_args *args)
{
    harness_end *end;
    uint64_t address;
    if (spork_unpack(args, harness_take(&end), &address) != SPORK_OK) return 111;
    int status = (int)harness_end_check((const harness_end *)(uintptr_t)address);
    return harness_write(end, &status, sizeof status) ? 0 : 1;
}

int target_is_daemon(const spork_args *args)
{
    (void)args;
    return spork_process_is_daemon(spork_current_process());
}

int target_surroundings(const spork_args *args)
{
    harness_end *end;
    char text[1200], directory[1024];
    if (spork_unpack(args, harness_take(&end)) != SPORK_OK) return 111;
    const char *value = getenv("HARNESS_VARIABLE");
    if (getcwd(directory, sizeof directory) == NULL) return 1;
    int n = snprintf(text, sizeof text, "%s|%s\n", directory, value != NULL ? value : "");
    printf("said on stdout\n");
    return harness_write(end, text, (size_t)n) ? 0 : 2;
}

int target_busy(const spork_args *args)
{
    int n;
    char text[64];
    if (spork_unpack(args, &n) != SPORK_OK) return 111;
    for (int i = 0; i < 100; i++) {
        char *p = malloc((size_t)(n % 50 + i + 1));
        if (p == NULL) return 1;
        snprintf(text, sizeof text, "%d", i);
        memset(p, text[0], (size_t)(n % 50 + i + 1));
        free(p);
    }
    double wrong;
    return spork_unpack(args, &wrong) == SPORK_OK; /* a sentence is made: our own locks and stdio */
}

int target_write_native(const spork_args *args)
{
    intptr_t native;
    const char *text;
    if (spork_unpack(args, &native, &text) != SPORK_OK) return 111;
#ifdef _WIN32
    int fd = _open_osfhandle(native, 0);
    return _write(fd, text, (unsigned)strlen(text)) == (int)strlen(text) ? 0 : 1;
#else
    return write((int)native, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : 1;
#endif
}

int target_open_children(const spork_args *args)
{
    int ms;
    if (spork_unpack(args, &ms) != SPORK_OK) return 111;
    spork_process *p = spork_process_new(target_sleep_ms, spork_pack(ms, 0));
    bool started = spork_process_start(p) == SPORK_OK;
    spork_process_free(p); /* it is joined at this process' end all the same */
    return started ? 3 : 1;
}

int target_foreign_fork(const spork_args *args)
{
    (void)args;
#ifndef _WIN32
    int pid = fork(), status = 0;
    if (pid == 0) {
        spork_process *p = spork_process_new(target_return, spork_pack(7));
        bool good = spork_process_start(p) == SPORK_OK && spork_process_join(p, harness_patience_ms()) == SPORK_OK &&
                    spork_process_exitcode(p) == 7;
        if (!good) fprintf(stderr, "%s\n", spork_error());
        _exit(good ? 0 : 1);
    }
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
#else
    return 0;
#endif
}

int run_self(void *self, const spork_args *args)
{
    const struct harness_class *s = self;
    return args->count == 0 && strcmp(s->text, "self") == 0 ? s->code : 113;
}
