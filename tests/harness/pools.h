/* What pool_test.cpp runs in workers, and as programs of their own. The values of tasks are in the comments: what they are given -> what they
 * return. */
#ifndef SPORK_HARNESS_POOLS_H
#define SPORK_HARNESS_POOLS_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a board: numbers that a test and its workers share, be they processes or threads ---- */

typedef struct pools_board pools_board;

/* Its places. */
enum {
    POOLS_OPEN,        /* not 0: whoever holds goes on, wherever it waits. The end of a test sets it */
    POOLS_STARTED,     /* how many initializers have begun */
    POOLS_DOOR,        /* where initializers wait, if they are told to */
    POOLS_GATE,        /* where tasks wait */
    POOLS_BEGUN,       /* how many of these have begun */
    POOLS_ASKED,       /* … have seen that they shall stop */
    POOLS_ENDED,       /* … have come to their end */
    POOLS_INSIDE,      /* pools_meet: how many are there */
    POOLS_FREE = 16,   /* to 63: what a test wants */
    POOLS_PIDS = 64,   /* + worker, to 319: the process that a task was last seen in */
    POOLS_RUNS = 1024, /* + number: how often such a task or item has begun */
    POOLS_PLACES = 4096
};

size_t pools_board_size(void);
pools_board *pools_board_of(const spork_shm *shm);
long pools_get(const pools_board *board, int place);
void pools_set(pools_board *board, int place, long value);
long pools_add(pools_board *board, int place, long value);      /* what it is then */
long pools_exchange(pools_board *board, int place, long value); /* what it was */
/* Waits until there is so much; false: not within the watchdog. */
bool pools_until(const pools_board *board, int place, long at_least);
/* This process looks at no board any more: before its memory goes. */
void pools_forget(void);
/* In a task: its worker's board. */
pools_board *pools_here(void);

/* ---- initializers: the first value is the board's shm ---- */

int pools_init(const spork_args *args); /* shm */
/* shm, how, number. With the number of the start, from 1:
 *   "code": returns that number          "sentence": returns 1 after pools_make_sentence()
 *   "until": starts up to that number return 5      "after": later ones do
 *   "door": waits at POOLS_DOOR, returns that number
 *   anything else: crashes in that way, see pools_crash */
int pools_init_how(const spork_args *args);
int pools_init_nothing(const spork_args *args);
int pools_init_objects(const spork_args *args); /* shm, lock, queue, event, semaphore, text: for pools_use_objects */
int pools_init_fifteen(const spork_args *args); /* 15 int: for pools_fifteen */
int pools_init_dying(const spork_args *args);   /* it dies with whatever it takes first, before it has begun that */
int pools_init_pointer(const spork_args *args); /* pointer to an int, which gets 1 more */

/* Dies: see pools_crash. */
void pools_die(const char *how, int number);

/* A call of Spork that fails with always the same sentence. */
void pools_make_sentence(void);

/* ---- tasks: values ---- */

int pools_square(const spork_args *args, spork_task *task);  /* int n -> n * n; negative: fails with "N is negative" */
int pools_nothing(const spork_args *args, spork_task *task); /* -> */
int pools_where(const spork_args *args, spork_task *task);   /* whatever -> a struct pools_place */
struct pools_place {
    int pid;
    unsigned worker, attempt, arguments;
    size_t index, context_size;
    bool context;
};
int pools_values(const spork_args *args, spork_task *task); /* pools_all_values() -> the same */
spork_args pools_all_values(void);
/* Asks for them as C does: 0 if they are all right. */
int pools_check_values(const spork_future *future);
int pools_sixteen(const spork_args *args, spork_task *task);     /* 16 int -> the same from behind */
int pools_mirror(const spork_args *args, spork_task *task);      /* bytes -> the same */
int pools_mirror_text(const spork_args *args, spork_task *task); /* text -> the same */
int pools_pointer(const spork_args *args, spork_task *task); /* pointer to a long, which gets 1 more -> the pointer */
int pools_fifteen(const spork_args *args, spork_task *task); /* -> the sum of pools_init_fifteen's */
int pools_text_of_init(const spork_args *args, spork_task *task); /* -> the text of pools_init_objects */
void pools_forget_objects(void);                                  /* this process has none of them any more */
int pools_use_objects(const spork_args *args, spork_task *task);
/* int n: waits for the event, takes the lock and a permit, adds 1 to POOLS_FREE in two steps, puts n -> n */
int pools_global(const spork_args *args, spork_task *task); /* -> pools_a_global */
extern int pools_a_global;

/* Bytes that differ for each seed. */
void pools_fill(void *to, size_t size, unsigned seed);

/* ---- tasks: spork_task_alloc. They fail if it is not aligned ---- */

int pools_alloc(const spork_args *args, spork_task *task); /* size, seed -> such bytes */
int pools_alloc_part(const spork_args *args,
                     spork_task *task); /* size, seed, from, length -> that part of such bytes */
int pools_alloc_array(const spork_args *args, spork_task *task); /* count -> an array of double: i / 2 */
/* size -> 1, "one", bytes of seed 1 (allocated), an array of uint16_t: i (allocated), bytes of seed 2 (not), 2.5 */
int pools_alloc_mixed(const spork_args *args, spork_task *task);
int pools_alloc_drop(const spork_args *args, spork_task *task);      /* size, "return", "fail" or a way to crash -> 1 */
int pools_alloc_too_large(const spork_args *args, spork_task *task); /* -> whether it is NULL, the last status */
/* size: takes as many as there are, 256 at most -> how many, the last status, bytes of the first and of the last (seeds 1, how many) */
int pools_alloc_many(const spork_args *args, spork_task *task);
int pools_alloc_twice(const spork_args *args, spork_task *task); /* size -> the same allocated bytes of seed 3, twice */

/* ---- tasks that fail ---- */

int pools_fail(const spork_args *args, spork_task *task);      /* text: fails with it */
int pools_fail_long(const spork_args *args, spork_task *task); /* size: fails with so many letters between < and > */
int pools_code(const spork_args *args, spork_task *task);      /* int: returns that number */
int pools_sentence(const spork_args *args, spork_task *task);  /* fails by pools_make_sentence() */
int pools_sentence_fine(const spork_args *args, spork_task *task); /* the same, but returns 0 */
int pools_return_fail(const spork_args *args, spork_task *task);   /* returns a value, and then 3 */
int pools_return_twice(const spork_args *args, spork_task *task);  /* gives 1 back, and then 2 */
int pools_fail_fine(const spork_args *args, spork_task *task);     /* spork_fail, and then returns 0 */
int pools_count_fail(const spork_args *args, spork_task *task);    /* place: adds 1 there, fails */
int pools_return_null(const spork_args *args, spork_task *task);   /* gives back a NULL for a text */
int pools_return_lock(const spork_args *args, spork_task *task);   /* gives back an object */
int pools_return_pointer(const spork_args *args, spork_task *task);

/* ---- tasks that last, and that die ---- */

enum {
    POOLS_STUBBORN, /* does not care whether it shall stop */
    POOLS_WILLING,  /* stops when it is asked */
    POOLS_DEAF      /* ignores SIGTERM, too. Worker processes only */
};
/* how, gate (a place): waits until the gate is open -> its pid. After a minute it gives up. */
int pools_hold(const spork_args *args, spork_task *task);
int pools_hold_number(const spork_args *args, spork_task *task); /* gate, number: the same, stubborn -> number */
int pools_count(const spork_args *args, spork_task *task);       /* place: adds 1 there -> what it is then */
int pools_meet(const spork_args *args, spork_task *task);        /* n: waits until so many are here at once -> worker */
int pools_spin(const spork_args *args,
               spork_task *task); /* microseconds, number: busy for so long, or until asked -> number */
/* how, number: dies. "null" (a write there), "abort", "exit" (with that number), "kill" (-9; Windows: 9), "fpe", "ill", "stack" */
int pools_crash(const spork_args *args, spork_task *task);
int pools_crash_or_number(const spork_args *args, spork_task *task); /* how, number: dies, unless "none" -> number */
int pools_crash_until(const spork_args *args, spork_task *task); /* how, attempt: dies before that attempt -> attempt */
int pools_hold_until(const spork_args *args, spork_task *task);  /* attempt: holds before that attempt -> attempt */
int pools_hold_and_mirror(const spork_args *args, spork_task *task);
/* bytes -> the same; the first attempt waits to be killed, later ones for POOLS_GATE */
int pools_stop(const spork_args *args, spork_task *task); /* POSIX: stops its own process by SIGSTOP -> */
int pools_stop_in_lock(const spork_args *args, spork_task *task); /* asks for room, and is stopped with the lock of that -> */
int pools_stop_at_next(const spork_args *args, spork_task *task); /* is stopped when it has taken the next one. POSIX */
/* In two workers at once: the first is stopped when it has seen the next task and not yet taken it; the other waits for POOLS_GATE, and is
 * stopped when it has written the next task's result and not yet told. POSIX. */
int pools_stop_at_one_task(const spork_args *args, spork_task *task);
int pools_memory(const spork_args *args, spork_task *task);
/* MiB, how: takes so many; without memory fails with "no memory", or aborts ("abort"), or exits with 3 ("exit") -> MiB */
int pools_memory_until(const spork_args *args,
                       spork_task *task); /* MiB, attempt: takes them before that attempt, aborts -> attempt */

/* ---- tasks that use pools ---- */

int pools_nested(const spork_args *args,
                 spork_task *task); /* threads, n -> the sum of squares 0 … n - 1, of a pool's own */
int pools_give(const spork_args *args,
               spork_task *task); /* pointer to its pool of threads, n: gives it n pools_count */

/* ---- items of spork_pool_map ---- */

int pools_item_square(const void *in, void *out, spork_task *task); /* int64_t -> int64_t */
int pools_item_byte(const void *in, void *out, spork_task *task);   /* a byte -> 255 minus it */
int pools_item_index(const void *in, void *out, spork_task *task);  /* nothing -> size_t: its index */
int pools_item_visit(const void *in, void *out, spork_task *task);  /* int64_t -> nothing; POOLS_RUNS + index counts */
int pools_item_return(const void *in, void *out, spork_task *task); /* tries to return a value, as tasks do */
int pools_item_scale(const void *in, void *out, spork_task *task);  /* int -> double: times the context, a double */
int pools_item_sum(const void *in, void *out, spork_task *task);    /* size_t: at -> int: byte of the context there */
int pools_item_where(const void *in, void *out, spork_task *task);  /* nothing -> a struct pools_place */
typedef struct pools_block {
    unsigned char bytes[4096];
} pools_block;
int pools_item_block(const void *in, void *out, spork_task *task); /* pools_block -> the same from behind */
/* What an item does: squares, fails with "item N fails", returns value, dies by its attempt, holds at POOLS_GATE. */
enum pools_what {
    POOLS_SQUARE,
    POOLS_FAIL,
    POOLS_CODE,
    POOLS_NULL,
    POOLS_EXIT,
    POOLS_ABORT,
    POOLS_KILL,
    POOLS_ONCE,           /* exits at the first attempt, then squares */
    POOLS_LAST,           /* squares, and its process dies when it has come to the end of all items */
    POOLS_WAIT,           /* stubborn */
    POOLS_YIELD,          /* willing */
    POOLS_YIELD_AND_STOP, /* the same, and its process is stopped as soon as it has returned. POSIX */
    POOLS_SLOW            /* is busy for 200 us, then squares */
};
typedef struct pools_job {
    int what;
    int64_t value;
} pools_job;
int pools_item_job_in_place(const void *in, void *out,
                            spork_task *task);                   /* pools_job -> the same, with the result as value */
int pools_item_job(const void *in, void *out, spork_task *task); /* pools_job -> int64_t; POOLS_RUNS + index counts */

/* ---- the same as C writes it: 0, or the place that was not as it should be ---- */

int pools_c_side(bool threads);

/* ---- other processes ---- */

void pools_kill(int pid);      /* SIGKILL; TerminateProcess with 9 */
void pools_suspend(int pid);   /* SIGSTOP; POSIX only */
void pools_continue(int pid);  /* SIGCONT; POSIX only */
void pools_interrupt(int pid); /* SIGINT; POSIX only */
/* Threads of this process; 0 where the system does not tell. */
int pools_threads(void);
/* Memory that a process has; 0 where the system does not tell, or it is gone. */
long pools_rss_kib(int pid);
/* What a program's own loop does with a handle: poll, WaitForSingleObject. Whether it is ready within that time. */
bool pools_ready(spork_native handle, int timeout_ms);
/* In a plain fork: uses what belongs to its parent. 0 if all is refused; else which call was not. -1 on Windows. */
int pools_fork_and_use(spork_pool *pool, spork_future *running, spork_future *ended, spork_imap *imap);

/* ---- programs ---- */

/* Leaves a pool open with two tasks that run and four that wait, prints "pid N" for both, and returns 5. The argument: "stubborn", "deaf",
 * "idle" (no tasks), "threads" (of those). */
int pools_scenario_open(const char *argument);
int pools_scenario_root(const char *argument);    /* the same, but then prints "ready" and sleeps */
int pools_scenario_no_init(const char *argument); /* prints what spork_pool_new says, and its sentence */
/* A load for SPORK_TRACE: 8 tasks that succeed, 1 that fails, a map of 2 chunks, with two workers; in processes 1 that dies and is retried. */
int pools_scenario_trace(const char *argument); /* "processes" or "threads" */
/* With two tasks that hold: prints "pid N" for both, "ready", and waits for them. "plain": Ctrl-C finds no handler; "handled": it finds one,
 * which opens their gate; prints how they ended, and returns 7. POSIX. */
int pools_scenario_terminal(const char *argument);
/* A callback calls exit(6) (POSIX: or _exit, with "_exit"). */
int pools_scenario_exit(const char *argument);

/* A scenario with a terminal of its own: stdin and stdout; its stderr is a pipe. POSIX. */
typedef struct pools_terminal pools_terminal;
pools_terminal *pools_terminal_run(const char *scenario, const char *argument);
const char *pools_terminal_line(pools_terminal *terminal); /* the next one of stdout; NULL: none within the watchdog */
void pools_terminal_type(pools_terminal *terminal, const char *keys);
/* All of stderr, which ends when the last process that has it has ended; NULL: not within the watchdog. */
const char *pools_terminal_errors(pools_terminal *terminal);
int pools_terminal_wait(pools_terminal *terminal); /* as harness_wait */
void pools_terminal_free(pools_terminal *terminal);

#ifdef __cplusplus
}
#endif
#endif
