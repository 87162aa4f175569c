#include "holder.h"

#include <stdatomic.h>
#include <stdio.h>

_Thread_local uint32_t spork__thread_mark;

static void (*_Atomic at_end)(uint32_t number);

static void thread_ends(uintptr_t number)
{
    void (*fn)(uint32_t) = atomic_load(&at_end);
    if (fn != NULL) fn((uint32_t)number);
}

void spork__at_thread_end(void (*fn)(uint32_t number)) { atomic_store(&at_end, fn); }

uint32_t spork__thread_number_first(void)
{
    static _Atomic uint32_t last;
    uint32_t number;
    do number = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
    while (number == 0);
    spork__thread_mark = number;
    spork__os_at_thread_end(thread_ends, number);
    return number;
}

void spork__holder_text(uint64_t holder, char *text, size_t size)
{
    uint32_t id = spork__holder_id(holder);
    if (holder == 0)
        snprintf(text, size, "somebody");
    else if (id != spork__tree_self_known() || (uint32_t)holder == 0)
        spork__tree_text(id, text, size);
    else if ((uint32_t)holder == spork__thread_mark)
        snprintf(text, size, "this thread");
    else {
        char process[64];
        spork__tree_text(id, process, sizeof process);
        snprintf(text, size, "another thread of this process, %s,", process);
    }
}
