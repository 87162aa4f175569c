/* More than 64 handles are waited for by the system's own pool of threads, each of which watches up to 63. */
#include "os.h"

#include "alloc.h"

/* The berth is a semaphore, which can be waited on together with others. */
spork_status spork__os_chime_new(spork__chime *chime)
{
    *chime = (spork__chime){SPORK__NO_HANDLE, SPORK__NO_HANDLE};
    return SPORK_OK;
}

spork_status spork__os_flag_new(spork__chime *flag)
{
    HANDLE event = SPORK__SYS_HANDLE(CreateEventW(NULL, TRUE, FALSE, NULL));
    flag->wait = flag->ring = spork__native(event);
    return event != NULL ? SPORK_OK : SPORK__FAIL("no event");
}

void spork__os_chime_ring(const spork__chime *chime)
{
    if (chime->ring != SPORK__NO_HANDLE) SetEvent(spork__handle(chime->ring));
}

void spork__os_chime_quiet(const spork__chime *chime)
{
    if (chime->wait != SPORK__NO_HANDLE) ResetEvent(spork__handle(chime->wait));
}

void spork__os_chime_close(spork__chime *chime)
{
    spork__os_handle_close(chime->wait);
    *chime = (spork__chime){SPORK__NO_HANDLE, SPORK__NO_HANDLE};
}

typedef struct one_of_many {
    HANDLE wait, event;
    spork__wait_handle *handle;
} one_of_many;

static void CALLBACK on_ready(void *context, BOOLEAN timed_out)
{
    one_of_many *one = context;
    if (timed_out) return;
    one->handle->fired = true;
    SetEvent(one->event);
}

static void wait_with_pool(spork__wait_handle *handles, size_t count, DWORD ms)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    one_of_many *all = spork__alloc(count * sizeof *all, "waits");
    size_t begun = 0;
    for (; begun < count && event != NULL && all != NULL; begun++) {
        all[begun] = (one_of_many){NULL, event, &handles[begun]};
        if (RegisterWaitForSingleObject(&all[begun].wait, spork__handle(handles[begun].handle), on_ready, &all[begun],
                                        INFINITE, WT_EXECUTEONLYONCE))
            continue;
        all[begun].wait = NULL;
        if (ms > 5) ms = 5; /* the caller looks at it then */
    }
    if (begun < count)
        Sleep(1); /* no memory: for the moment the caller looks at each */
    else
        WaitForSingleObject(event, ms);
    for (size_t i = 0; i < begun; i++)
        if (all[i].wait != NULL) UnregisterWaitEx(all[i].wait, INVALID_HANDLE_VALUE); /* no callback runs after that */
    if (event != NULL) CloseHandle(event);
    spork__free(all);
}

void spork__os_wait_any(spork__wait_handle *handles, size_t count, int ms)
{
    HANDLE few[MAXIMUM_WAIT_OBJECTS];
    DWORD time = ms < 0 ? INFINITE : (DWORD)ms;
    if (count == 0)
        Sleep(time);
    else if (count > MAXIMUM_WAIT_OBJECTS)
        wait_with_pool(handles, count, time);
    else {
        for (size_t i = 0; i < count; i++) few[i] = spork__handle(handles[i].handle);
        DWORD woke = WaitForMultipleObjects((DWORD)count, few, FALSE, time);
        if (woke == WAIT_FAILED) Sleep(1);
        DWORD index = woke >= WAIT_ABANDONED_0 ? woke - WAIT_ABANDONED_0 : woke - WAIT_OBJECT_0;
        if (woke != WAIT_FAILED && woke != WAIT_TIMEOUT && index < count) handles[index].fired = true;
    }
}

bool spork__os_is_ready(spork_native handle, int events)
{
    (void)events;
    DWORD result = WaitForSingleObject(spork__handle(handle), 0);
    return result == WAIT_OBJECT_0 || result == WAIT_ABANDONED;
}

spork_status spork__os_check_handle(spork_native handle)
{
    DWORD flags;
    if (handle != SPORK__NO_HANDLE && GetHandleInformation(spork__handle(handle), &flags)) return SPORK_OK;
    return spork__fail(SPORK_INVALID, "%lld is no handle that can be waited on", (long long)handle);
}
