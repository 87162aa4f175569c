#include "fault.h"

#if SPORK_FAULTS

#include <ctype.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "platform.h"

/* ---- the n-th call ---- */

/* By thread: a test fails its own calls, not those of a watcher beside it. A forked child inherits what is armed. */
static _Thread_local struct {
    long nth, count;
    bool sticky;
} armed[SPORK__FAULT_DOORS];
static _Thread_local int armed_code, met_code;

void spork__fault_arm(spork__fault_door door, long nth, int code, bool sticky)
{
    armed[door].nth = nth;
    armed[door].count = 0;
    armed[door].sticky = sticky;
    armed_code = code;
}

long spork__fault_count(spork__fault_door door) { return armed[door].count; }

bool spork__fault(spork__fault_door door)
{
    long now = ++armed[door].count;
    if (armed[door].nth == 0) return false;
    bool meets = now == armed[door].nth || (armed[door].sticky && now > armed[door].nth);
    if (meets) met_code = armed_code;
    return meets;
}

int spork__fault_code(void) { return met_code; }

/* ---- the n-th call of a kind ---- */

static char kind[SPORK__FAULT_KIND]; /* changed while no other thread calls anything */
static atomic_bool kind_armed;
static atomic_long kind_nth, kind_count;
static atomic_int kind_code;
static bool kind_everywhere;
static _Thread_local bool kind_here;

void spork__fault_arm_kind(const char *name, long nth, int code, bool everywhere)
{
    atomic_store(&kind_armed, false);
    kind_here = false;
    if (name == NULL) return;
    snprintf(kind, sizeof kind, "%s", name);
    atomic_store(&kind_nth, nth);
    atomic_store(&kind_count, 0);
    atomic_store(&kind_code, code);
    kind_everywhere = everywhere;
    kind_here = true;
    atomic_store(&kind_armed, true);
}

long spork__fault_kind_count(void) { return atomic_load(&kind_count); }

/* "(int)read(fd, …" is of the kind read, "syscall(SYS_pidfd_open, …" of the kind pidfd_open. */
static void kind_of(const char *call, char name[SPORK__FAULT_KIND])
{
    static const char raw[] = "syscall(SYS_", ours[] = "spork__sys_";
    size_t n = 0;
    if (call[0] == '(') call = strchr(call, ')') + 1;
    if (strncmp(call, raw, sizeof raw - 1) == 0) call += sizeof raw - 1;
    if (strncmp(call, ours, sizeof ours - 1) == 0) call += sizeof ours - 1;
    for (; n < SPORK__FAULT_KIND - 1 && (isalnum((unsigned char)call[n]) || call[n] == '_'); n++) name[n] = call[n];
    name[n] = 0;
}

static bool fails_by_kind(const char *name)
{
    if (!atomic_load_explicit(&kind_armed, memory_order_acquire) || (!kind_everywhere && !kind_here)) return false;
    if (strcmp(name, kind) != 0 || atomic_fetch_add(&kind_count, 1) + 1 != atomic_load(&kind_nth)) return false;
    met_code = atomic_load(&kind_code);
    return true;
}

/* ---- which kinds there are ---- */

enum { SITES = 256 };
static const char *_Atomic sites[SITES]; /* the texts of calls, which are literals */

static void note(const char *call)
{
    size_t at = (uintptr_t)call / 8 % SITES;
    for (size_t i = 0; i < SITES; i++, at = (at + 1) % SITES) {
        const char *there = atomic_load_explicit(&sites[at], memory_order_relaxed);
        if (there == NULL && atomic_compare_exchange_strong(&sites[at], &there, call)) return;
        if (there == call) return; /* known, or just noted by another thread */
    }
}

void spork__fault_forget_kinds(void)
{
    for (size_t i = 0; i < SITES; i++) atomic_store(&sites[i], NULL);
}

size_t spork__fault_kinds(char (*kinds)[SPORK__FAULT_KIND], size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < SITES; i++) {
        char name[SPORK__FAULT_KIND];
        const char *call = atomic_load(&sites[i]);
        if (call == NULL) continue;
        kind_of(call, name);
        bool known = false;
        for (size_t k = 0; k < count && k < room; k++) known = known || strcmp(kinds[k], name) == 0;
        if (known) continue;
        if (count < room) memcpy(kinds[count], name, sizeof name);
        count++;
    }
    return count;
}

/* ---- disturbed transfers ---- */

static atomic_bool disturbed;

void spork__fault_disturb(bool on) { atomic_store(&disturbed, on); }

/* Of kinds that only POSIX has: nothing is interrupted elsewhere. */
static bool is_interrupted(const char *name)
{
    static _Thread_local unsigned turn;
    static const char *const kinds[] = {"read", "write",   "writev", "pwritev2", "recv",
                                        "poll", "sendmsg", "recvmsg", "waitid", "posix_fallocate", "chime_write"};
    if (!atomic_load_explicit(&disturbed, memory_order_relaxed)) return false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(name, kinds[i]) == 0 && turn++ % 2 == 0) {
            met_code = EINTR;
            return true;
        }
    return false;
}

size_t spork__fault_size(size_t size)
{
    if (!atomic_load_explicit(&disturbed, memory_order_relaxed) || size < 2) return size;
    return size < 16 ? 1 : size / 3; /* a large message is not to take for ever */
}

bool spork__fault_call(const char *call)
{
    char name[SPORK__FAULT_KIND];
    note(call);
    if (spork__fault(SPORK__FAULT_SYSTEM)) return true;
    kind_of(call, name);
    return fails_by_kind(name) || is_interrupted(name);
}

/* ---- deaths and mistakes ---- */

static atomic_int deadly; /* of the whole process, which ends as a whole; a forked child inherits these too */
static atomic_long passes_left;
static atomic_int planted;
typedef enum manner { DIES, STOPS, HOLDS } manner;
static manner what; /* changed while no point is armed */
static atomic_bool held;

static void arm(spork__point point, long nth, manner does)
{
    atomic_store(&deadly, SPORK__POINT_NONE);
    what = does;
    atomic_store(&passes_left, nth);
    atomic_store(&deadly, (int)point);
}

void spork__point_arm(spork__point point, long nth) { arm(point, nth, DIES); }
void spork__point_arm_stop(spork__point point, long nth) { arm(point, nth, STOPS); }
void spork__point_arm_hold(spork__point point, long nth) { arm(point, nth, HOLDS); }

bool spork__point_held(void) { return atomic_load(&held); }
void spork__point_release(void) { atomic_store(&held, false); }

static void hold(void)
{
    atomic_store(&held, true);
    while (atomic_load(&held)) spork__os_nap();
}

void spork__at(spork__point point)
{
    if (atomic_load_explicit(&deadly, memory_order_acquire) != (int)point || atomic_fetch_sub(&passes_left, 1) != 1)
        return;
    switch (what) {
    case STOPS: spork__os_stop_self(); break;
    case HOLDS: hold(); break;
    default: spork__os_kill_self(); break;
    }
}

void spork__plant(spork__bug bug) { atomic_store(&planted, (int)bug); }
bool spork__planted(spork__bug bug) { return atomic_load_explicit(&planted, memory_order_relaxed) == (int)bug; }

#else
typedef int spork__fault_unused; /* a translation unit may not be empty */
#endif
