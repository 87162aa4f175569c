/* What a pool and its workers on this machine have in common: one block of shared memory, with a table of tasks, a ring of hints where tasks are to be
 * had, a place for each worker, and an arena for what is large. The pool's process is the owner; it alone hands out and takes back,
 * and it believes nothing that it reads here before it has checked it: whatever a task scribbles over this memory, the owner goes on.
 *
 * ## A task's way, and what a death leaves behind at each point
 *
 *     task.state = sequence << 32 | worker << 8 | phase        FREE - READY - RUNNING - DONE - FREE
 *
 *     owner    writes the task - READY - writes the hint - moves the tail - rings
 *     worker   notes the hint in its place - RUNNING, by one compare-and-swap - moves the head - runs it -
 *              FINISHING, by another - writes the result - DONE - enters it in its list of what is done - rings
 *
 * A hint is no more than that: the truth is in the task's state, so whoever finds a task taken moves the head on for the one who took it,
 * and there is no lock that a worker could die, or be stopped, with.
 *     noted                    a place that names a task which is still READY: nothing has happened; by the time the dead one is buried the task
 *                              may be another's, and its result on its way
 *     RUNNING                  the task is lost with the worker: its state names the place, the place names it
 *     head not moved           the next worker moves it
 *     FINISHING, result        lost as well; extents on their way are NOBODY's, with the task's sequence for a mark: swept by the owner
 *     DONE, not entered        the owner looks at the task that a dead worker's place names: it is done
 *     entered, not rung        each sleeper looks by itself within its bound, and the owner is told of the death anyway
 *
 * Who shall be stopped is DOOMED by a compare-and-swap of its place from RUNNING: it succeeds, and then no result of that task comes any more, or
 * fails, and then the task has ended. So there is one outcome. */
#ifndef SPORK_POOL_CREW_H
#define SPORK_POOL_CREW_H

#include "../arena.h"
#include "../bell.h"
#include "../image.h"
#include "../object.h"

enum { SPORK__KIND_CREW = 40 }; /* no user ever has one */
extern const spork__kind spork__crew_kind;

#ifndef __cplusplus

#include <stdatomic.h>

enum {
    SPORK__CREW_TASKS = 2048, /* in the table; more wait in the owner's own memory */
    SPORK__CREW_HINTS = 4096,
    SPORK__CREW_WORKERS = 1024,
    SPORK__CREW_DONE = 2048,
    SPORK__CREW_DONE_MANY = 1536, /* so many that nobody has taken: the owner is called */
    SPORK__CREW_INLINE = 192,
    SPORK__CREW_PAGE = 4096,
    SPORK__CREW_PAGES_AT_ONCE = 16, /* tasks whose pages get memory together */
    SPORK__CREW_RUNS = 64,
    SPORK__CREW_FUNCTIONS = 4096,
    SPORK__CREW_IMAGES = 64,
    SPORK__CREW_TEXT = 480
};

/* ---- tasks ---- */

typedef enum spork__phase { SPORK__TASK_FREE, SPORK__TASK_READY, SPORK__TASK_RUNNING, SPORK__TASK_DONE } spork__phase;

static inline uint64_t spork__crew_state(uint32_t sequence, uint32_t worker, spork__phase phase)
{
    return (uint64_t)sequence << 32 | worker << 8 | (uint32_t)phase;
}

/* Where the bytes of a task are: in the task itself, on a page that belongs to it, or in an extent of the arena. */
typedef enum spork__where { SPORK__IN_TASK, SPORK__ON_PAGE, SPORK__IN_EXTENT } spork__where;
typedef struct spork__crew_place {
    uint64_t size;
    uint32_t where, extent;
} spork__crew_place;

typedef enum spork__crew_outcome {
    SPORK__CREW_VALUES,   /* the result is encoded values, or nothing */
    SPORK__CREW_FAILURE,  /* a sentence */
    SPORK__CREW_NO_SPACE, /* there was no room for the result: a sentence */
    SPORK__CREW_NO_FUNCTION
} spork__crew_outcome;

typedef struct spork__crew_task {
    /* the owner's, until it is READY */
    _Alignas(64) _Atomic uint64_t state;
    uint32_t function, run; /* run: 1 + that of the items to be done; 0: a task */
    uint32_t attempt;
    int32_t timeout_ms;
    spork__crew_place args;
    uint32_t args_references, unused; /* a bit for each value that is one, below */
    /* the worker's */
    _Alignas(64) spork__crew_place result;
    uint32_t outcome, references;
    uint64_t began, ended;
    uint64_t item; /* of a run: the first that failed, of which the sentence tells */
    unsigned char room[2][SPORK__CREW_INLINE]; /* arguments, result */
} spork__crew_task;
_Static_assert(sizeof(spork__crew_task) == 512, "the same on both sides of a process' border");

/* What stands in an encoding for a value that is elsewhere: bytes or an array in an extent that spork_task_alloc gave, or, among threads, a
 * plain pointer. */
typedef struct spork__crew_reference {
    uint32_t extent, kind;
    uint64_t offset, unit, count; /* offset: or the pointer */
} spork__crew_reference;

/* A pack in which some values stand for others. */
typedef struct spork__crew_pack {
    const spork_args *values; /* the user's, as long as there are no references, else these: */
    spork_args args;
    uint32_t references;
    spork__crew_reference reference[SPORK_MAX_VALUES];
} spork__crew_pack;

/* ---- runs: spork_pool_map ---- */

/* STOPPED: it has returned after it was asked to, for its time was over. */
typedef enum spork__mark { SPORK__ITEM_PENDING, SPORK__ITEM_DONE, SPORK__ITEM_FAILED, SPORK__ITEM_STOPPED } spork__mark;

/* One that is done again: its attempt and which one. So there are at most 2^32 items. */
static inline uint64_t spork__crew_entry(uint32_t attempt, uint64_t item) { return (uint64_t)attempt << 32 | (uint32_t)item; }


/* All places are offsets in the block; 0: none. */
typedef struct spork__crew_run {
    _Alignas(64) uint64_t in, out, in_size, out_size, items, marks, context, context_size;
    uint64_t list, count; /* list: entries, of those that are done again; count: of them, or of all items */
    uint64_t chunk;
    int32_t timeout_ms;
    uint32_t unused;
    _Alignas(128) _Atomic uint64_t next; /* position in the list, or item */
    _Alignas(128) _Atomic uint64_t done; /* for progress */
    _Atomic uint32_t stop;
} spork__crew_run;

/* ---- workers ---- */

typedef enum spork__life {
    SPORK__LIFE_NONE,
    SPORK__LIFE_STARTING,
    SPORK__LIFE_BORN,    /* it runs the initializer */
    SPORK__LIFE_UP,      /* it takes tasks */
    SPORK__LIFE_USELESS, /* the initializer failed: `text` tells */
    SPORK__LIFE_LEFT     /* it has ended in order */
} spork__life;

typedef enum spork__doing {
    SPORK__DOING_NOTHING,
    SPORK__DOING_TAKING,
    SPORK__DOING_RUNNING,
    SPORK__DOING_FINISHING,
    SPORK__DOING_DOOMED
} spork__doing;

/* What it does, and with which task: sequence << 32 | index << 8 | doing. */
static inline uint64_t spork__crew_current(uint32_t sequence, uint32_t index, spork__doing doing)
{
    return (uint64_t)sequence << 32 | index << 8 | (uint32_t)doing;
}
static inline uint32_t spork__crew_index_of(uint64_t current) { return (uint32_t)current >> 8; }
static inline spork__doing spork__crew_doing(uint64_t current) { return (spork__doing)(current & 0xFF); }

typedef struct spork__crew_worker {
    _Alignas(128) _Atomic uint64_t current;
    _Atomic uint64_t began; /* of the task, or of the item; 0: nobody wants to know */
    _Atomic uint64_t at;    /* of a run: the item */
    _Atomic uint64_t failed; /* of a run: the first item that failed, of which `text` tells; UINT64_MAX: none */
    _Atomic uint32_t life, id;
    _Alignas(128) _Atomic uint64_t done_tail; /* the owner looks here all the time */
    _Alignas(128) _Atomic uint64_t done_head; /* the owner's */
    _Atomic uint64_t asked;                   /* the same: what shall stop, as a RUNNING `current` */
    _Atomic uint64_t asked_item;              /* of a run: at that item only; UINT64_MAX: whatever it does */
    _Alignas(128) _Atomic uint32_t done[SPORK__CREW_DONE];
    char text[SPORK__CREW_TEXT];
} spork__crew_worker;

/* ---- the whole ---- */

typedef struct spork__crew_image {
    uint32_t is_program;
    uint8_t identity[SPORK__IDENTITY_SIZE];
    char path[1024];
} spork__crew_image;
typedef struct spork__crew_function {
    uint64_t offset;
    uint32_t image, unused;
} spork__crew_function;

typedef struct spork__crew_words {
    uint32_t magic, layout;
    uint32_t workers, max_tasks;
    uint32_t clocked, unused;       /* clocked: began and ended are wanted of every task */
    uint64_t size, room;            /* of the block; where the arena's room begins */
    _Atomic uint32_t owner;         /* participant */
    _Atomic uint32_t closing, stop; /* no more will come; all is to stop */
    _Alignas(128) _Atomic uint64_t head;
    _Alignas(128) _Atomic uint64_t tail;
    _Alignas(128) spork__bell ready; /* workers sleep on these: a task is there */
    _Alignas(128) spork__bell room_bell; /* the owner has taken something away */
    _Alignas(128) spork__bell events; /* the owner: something is done */
    _Alignas(128) _Atomic uint64_t hints[SPORK__CREW_HINTS]; /* sequence << 32 | index */
    spork__crew_run runs[SPORK__CREW_RUNS];
    spork__crew_function functions[SPORK__CREW_FUNCTIONS];
    spork__crew_image images[SPORK__CREW_IMAGES];
} spork__crew_words;

/* A process' view of it. */
typedef struct spork__crew {
    spork__object object;
    spork__block block;
    spork__crew_words *words;
    uint32_t worker_count; /* what is in the words may have been written over since */
    bool threads;
    spork__crew_worker *workers;
    spork__crew_task *tasks;
    unsigned char *pages;
    spork__arena arena;
    spork__ear ready, room, events;
    _Atomic uint64_t ready_pages[SPORK__CREW_TASKS / SPORK__CREW_PAGES_AT_ONCE / 64]; /* a bit for those that this process knows to have memory */
} spork__crew;

/* For that many workers, which will be processes, or threads of this one. NULL with a sentence. */
spork__crew *spork__crew_new(uint32_t workers, bool threads);
void spork__crew_free(spork__crew *crew);
/* Memory for the tasks below that number; a multiple of 128. */
spork_status spork__crew_commit_tasks(spork__crew *crew, uint32_t count);

enum { SPORK__CREW_ARGS = 0, SPORK__CREW_RESULT = 1 };
/* Room for so many bytes of a task, aligned to 16, in the smallest place that has it. SPORK_TIMEOUT: not at present; SPORK_NO_SPACE … */
spork_status spork__crew_room(spork__crew *crew, uint32_t index, int which, uint64_t size, spork__crew_place *place,
                              void **room);
/* Where they are. NULL, with a sentence: such a place cannot be. */
void *spork__crew_at(spork__crew *crew, uint32_t index, int which, const spork__crew_place *place);
/* What lies at an offset of the block, so many bytes; NULL: that cannot be. */
void *spork__crew_offset(const spork__crew *crew, uint64_t offset, uint64_t size);

/* Puts a reference in the place of value i. */
void spork__crew_refer(spork__crew_pack *pack, unsigned i, uint32_t extent, uint64_t offset);
/* A pack ready to be encoded: among threads with references for plain pointers. SPORK_UNSUPPORTED: an object; SPORK_INVALID: a pointer. */
spork_status spork__crew_pack_up(const spork__crew *crew, const spork_args *args, spork__crew_pack *pack);
/* The values of an encoding, with what references stand for. SPORK_BAD_MESSAGE. */
spork_status spork__crew_decode(spork__crew *crew, const void *bytes, size_t size, uint32_t references,
                                spork_args *args);

/* What a worker is told beside its arguments: its `self`. */
typedef struct spork__crew_self {
    uint32_t worker, initializer; /* initializer: 1 + its number among the functions; 0: there is none */
    spork__crew *crew;            /* threads; NULL: it is the last of the arguments */
    void **kept; /* threads: where what it has is to be found should it be cut short */
} spork__crew_self;
/* What a worker runs, process or thread: the crew (of a process: the last of the args), then the initializer's arguments. */
int spork__crew_work(void *self, const spork_args *args);
/* Frees what a thread has left that did not return from it; NULL is fine. */
void spork__crew_forget(void *kept);

#endif
#endif
