/* The thread's last error: status, sentence and the system's code. */
#ifndef SPORK_ERROR_H
#define SPORK_ERROR_H

#include <spork/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sets the thread's error and returns `status`. The sentence: what failed, on what, what to do. */
spork_status spork__fail(spork_status status, const char *format, ...) SPORK__PRINTF(2, 3);
/* The same for a failed system call: `code` is kept and its text appended. The status follows from the code by the platform's
 * own table (spork__os_status). */
spork_status spork__fail_os(int64_t code, const char *format, ...) SPORK__PRINTF(2, 3);
/* Puts words before the sentence: "spork_process_start(Process-1): …". Returns `status`. */
spork_status spork__fail_in(spork_status status, const char *format, ...) SPORK__PRINTF(2, 3);

/* As if there had been no error yet. */
void spork__error_forget(void);

/* The end of a public function: on a failure its name comes before the sentence. Returns `status`. */
static inline spork_status spork__in_call(spork_status status, const char *call)
{
    return status == SPORK_OK ? SPORK_OK : spork__fail_in(status, "%s", call);
}

/* Not for a number of milliseconds that is negative, and not SPORK_FOREVER: a mistake in reckoning
 * must not become a wait without end. */
spork_status spork__refuse_time(int timeout_ms, const char *call);
/* The entry check of a public function that waits: that of its object, then that of the time. */
static inline spork_status spork__timed(spork_status status, int timeout_ms, const char *call)
{
    return status != SPORK_OK || timeout_ms >= SPORK_FOREVER ? status
                                                             : spork__refuse_time(timeout_ms, call);
}

/* Implemented by the platform (self.c): the text and the status of a system's error code. */
const char *spork__os_error_text(int64_t code, char *buffer, size_t size);
spork_status spork__os_status(int64_t code);

#ifdef __cplusplus
}
#endif
#endif
