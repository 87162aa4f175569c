#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#define _GNU_SOURCE
#include <fcntl.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "faults.h"

/* Which standard streams are there, and of what kind: two bits each. */
static int streams(void)
{
    int there = 0;
#ifdef _WIN32
    static const DWORD numbers[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    for (int i = 0; i < 3; i++) {
        HANDLE handle = GetStdHandle(numbers[i]);
        if (handle != NULL && handle != INVALID_HANDLE_VALUE) there |= (int)(GetFileType(handle) & 3) << 2 * i;
    }
#else
    for (int i = 0; i < 3; i++)
        if (fcntl(i, F_GETFD) >= 0) there |= 1 << 2 * i;
#endif
    return there;
}

static void disarm(void)
{
    for (int door = 0; door < SPORK__FAULT_DOORS; door++) spork__fault_arm((spork__fault_door)door, 0, 0, false);
}

/* (writer, door, nth, streams, bulk) Writes a byte: 'f' if the fault was met on the way here, in a fork that inherited it. */
static int target(const spork_args *args)
{
    long calls[SPORK__FAULT_DOORS], nth;
    int door, expected;
    spork_bytes bulk;
    harness_end *writer;
    for (int i = 0; i < SPORK__FAULT_DOORS; i++) calls[i] = spork__fault_count((spork__fault_door)i);
    disarm();
    if (spork_unpack(args, harness_take(&writer), &door, &nth, &expected, &bulk) != SPORK_OK)
        return FAULTS_NO_ARGUMENTS;
    if (!harness_write(writer, nth > 0 && calls[door] >= nth ? "f" : "q", 1)) return FAULTS_NO_ARGUMENTS;
    return streams() == expected ? FAULTS_FINE : FAULTS_NO_STREAM;
}

static spork_process *make(const faults_plan *plan, harness_end *writer)
{
    static const char bulk[100000];
    spork_process_options options;
    memset(&options, 0, sizeof options);
    options.target = target;
    long inherited = plan->method == SPORK_FORK ? plan->nth : 0; /* other children count their own calls */
    options.args =
        spork_pack(harness_give(writer), (int)plan->door, inherited, streams(), spork_bytes_of(bulk, plan->bulk));
    options.name = "Faulty";
    options.method = plan->method;
    if (plan->limits) options.max_files = 200;
    return spork_process_new_with(&options);
}

faults_result faults_start(const faults_plan *plan)
{
    faults_result result;
    harness_end *reader, *writer;
    char bytes[16];
    memset(&result, 0, sizeof result);
    result.exitcode = SPORK_RUNNING;
    if (!harness_pipe(&reader, &writer)) return result;

    spork__fault_arm(plan->door, plan->nth, plan->code, false);
    spork_process *p = make(plan, writer);
    result.status = p != NULL ? spork_process_start(p) : spork_last_status();
    result.count = spork__fault_count(plan->door);
    disarm();
    result.made = p != NULL;
    result.started = result.made && result.status == SPORK_OK;
    if (!result.started) snprintf(result.sentence, sizeof result.sentence, "%s", spork_error());
    if (result.made && !result.started) result.second = spork_process_start(p);

    harness_end_free(writer);
    if (result.started || (result.made && result.second == SPORK_OK)) {
        result.joined = spork_process_join(p, harness_patience_ms()) == SPORK_OK;
        result.exitcode = spork_process_exitcode(p);
    }
    long n = 0;
    for (long got; (got = harness_read(reader, bytes, sizeof bytes)) > 0; n += got)
        if (memchr(bytes, 'f', (size_t)got) != NULL) result.met_in_child = true;
    result.runs = (int)n;
    harness_end_free(reader);
    spork_process_free(p);
    return result;
}

faults_books faults_now(void)
{
    faults_books books = {spork__allocated(), harness_descriptors(NULL, 0), harness_mappings(), harness_zombies(),
                          harness_ends()};
    return books;
}

int faults_cold(const char *argument)
{
    int method, limits, door, code;
    long bulk, nth;
    if (sscanf(argument, "%d,%d,%ld,%d,%ld,%d", &method, &limits, &bulk, &door, &nth, &code) != 6) return 64;
    SPORK_MUST(spork_init(0, NULL));
    faults_plan plan = {(spork_start_method)method, limits != 0, (size_t)bulk, (spork__fault_door)door, nth, code};
    faults_result r = faults_start(&plan);
    bool quiet = r.count < nth && !r.met_in_child && r.exitcode == FAULTS_FINE;
    printf("%s made %d started %d second %d exit %d runs %d: %s %s\n", quiet ? "quiet" : "fault", r.made, r.started,
           (int)r.second, r.exitcode, r.runs, spork_status_name(r.status), r.sentence);
    plan.nth = 0;
    r = faults_start(&plan);
    printf("then exit %d runs %d zombies %d\n", r.exitcode, r.runs, harness_zombies());
    return 0;
}
