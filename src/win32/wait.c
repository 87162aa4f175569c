/* More than 64 handles are waited for by the system's own pool of threads, each of which watches up to 63. */
#include "os.h"

#include "alloc.h"

/* The berth is a semaphore, which can be waited on together with others. */
spork_status spork__os_chime_new(spork__chime *chime)
{
    *chime = (spork__chime){SPORK__NO_HANDLE, SPORK__NO_HANDLE};
    return SPORK_OK;
}
void spork__os_chime_ring(const spork__chime *chime) { (void)chime; }
void spork__os_chime_quiet(const spork__chime *chime) { (void)chime; }
void spork__os_chime_close(spork__chime *chime) { (void)chime; }

static void CALLBACK on_ready(void *event, BOOLEAN timed_out)
{
    if (!timed_out) SetEvent(event);
}

static void wait_with_pool(const spork__wait_handle *handles, size_t count, DWORD ms)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL), *waits = spork__alloc(count * sizeof *waits, "waits");
    if (event == NULL || waits == NULL) ms = 1; /* for the moment: the caller looks at each */
    for (size_t i = 0; i < count && event != NULL && waits != NULL; i++)
        if (!RegisterWaitForSingleObject(&waits[i], spork__handle(handles[i].handle), on_ready, event, INFINITE,
                                         WT_EXECUTEONLYONCE)) {
            waits[i] = NULL;
            if (ms > 5) ms = 5;
        }
    if (event != NULL)
        WaitForSingleObject(event, ms);
    else
        Sleep(ms);
    for (size_t i = 0; i < count && event != NULL && waits != NULL; i++)
        if (waits[i] != NULL) UnregisterWaitEx(waits[i], INVALID_HANDLE_VALUE);
    if (event != NULL) CloseHandle(event);
    spork__free(waits);
}

void spork__os_wait_any(const spork__wait_handle *handles, size_t count, int ms)
{
    HANDLE few[MAXIMUM_WAIT_OBJECTS];
    DWORD time = ms < 0 ? INFINITE : (DWORD)ms;
    if (count == 0)
        Sleep(time);
    else if (count > MAXIMUM_WAIT_OBJECTS)
        wait_with_pool(handles, count, time);
    else {
        for (size_t i = 0; i < count; i++) few[i] = spork__handle(handles[i].handle);
        if (WaitForMultipleObjects((DWORD)count, few, FALSE, time) == WAIT_FAILED) Sleep(1);
    }
}

bool spork__os_is_ready(spork_native handle, int events, spork_status *status)
{
    (void)events;
    *status = SPORK_OK;
    DWORD result = WaitForSingleObject(spork__handle(handle), 0);
    if (result == WAIT_FAILED) *status = SPORK__FAIL("%lld is no handle that can be waited on", (long long)handle);
    return result == WAIT_OBJECT_0 || result == WAIT_ABANDONED;
}
