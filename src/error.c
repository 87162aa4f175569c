/* One error a thread. Every failing call overwrites it; a call that succeeds leaves it alone. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "platform.h"

enum { SENTENCE = 1024 };

static _Thread_local struct {
    spork_status status;
    int64_t os_error;
    char sentence[SENTENCE];
} last;

const char *spork_status_name(spork_status status)
{
    /* A switch, so that the compiler names a status that is missing here. */
#define NAME(s)                                                                                                        \
    case s: return #s
    switch (status) {
        NAME(SPORK_OK);
        NAME(SPORK_TIMEOUT);
        NAME(SPORK_CLOSED);
        NAME(SPORK_INVALID);
        NAME(SPORK_BAD_STATE);
        NAME(SPORK_NOT_SHARED);
        NAME(SPORK_UNSUPPORTED);
        NAME(SPORK_NO_MEMORY);
        NAME(SPORK_NO_SPACE);
        NAME(SPORK_TOO_SMALL);
        NAME(SPORK_TOO_LARGE);
        NAME(SPORK_BAD_MESSAGE);
        NAME(SPORK_NOT_OWNER);
        NAME(SPORK_OWNER_DIED);
        NAME(SPORK_BROKEN);
        NAME(SPORK_EXISTS);
        NAME(SPORK_NOT_FOUND);
        NAME(SPORK_DENIED);
        NAME(SPORK_OS_ERROR);
        NAME(SPORK_INTERNAL);
        NAME(SPORK_READY);
        NAME(SPORK_NOT_YOURS);
        NAME(SPORK_FAILED);
        NAME(SPORK_CRASHED);
        NAME(SPORK_DEADLINE);
        NAME(SPORK_OVER_LIMIT);
        NAME(SPORK_CANCELLED);
    }
#undef NAME
    return "SPORK_?";
}

const char *spork_error(void) { return last.sentence; }
spork_status spork_last_status(void) { return last.status; }
int64_t spork_last_os_error(void) { return last.os_error; }

void spork__error_forget(void)
{
    last.status = SPORK_OK;
    last.os_error = 0;
    last.sentence[0] = 0;
}

/* Puts ": tail" behind the `used` bytes that vsnprintf says it wrote; cuts at the end. */
static void append(char text[SENTENCE], int used, const char *tail)
{
    size_t at = used < 0 ? 0 : (size_t)used, length = strlen(tail);
    if (at + 3 >= SENTENCE) return;
    memcpy(text + at, ": ", 2);
    if (length > SENTENCE - at - 3) length = SENTENCE - at - 3;
    memcpy(text + at + 2, tail, length);
    text[at + 2 + length] = 0;
}

spork_status spork__fail(spork_status status, const char *format, ...)
{
    char text[SENTENCE]; /* not in place: an argument may be the old sentence */
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    memcpy(last.sentence, text, sizeof text);
    last.status = status;
    last.os_error = 0;
    return status;
}

spork_status spork__fail_os(int64_t code, const char *format, ...)
{
    char text[SENTENCE], reason[256];
    va_list ap;
    va_start(ap, format);
    int used = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    append(text, used, spork__os_error_text(code, reason, sizeof reason));
    memcpy(last.sentence, text, sizeof text);
    last.status = spork__os_status(code);
    last.os_error = code;
    return last.status;
}

spork_status spork__fail_in(spork_status status, const char *format, ...)
{
    char text[SENTENCE];
    va_list ap;
    va_start(ap, format);
    int used = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    append(text, used, last.sentence);
    memcpy(last.sentence, text, sizeof text);
    last.status = status;
    return status;
}

void spork__must(spork_status status, const char *file, int line)
{
    if (status == SPORK_OK) return;
    char text[SENTENCE + 512];
    int used = snprintf(text, sizeof text, "%s:%d: %s: %s\n", file, line, spork_status_name(status), spork_error());
    spork__os_flush();
    if (used > 0) spork__os_write_error(text, (size_t)used < sizeof text ? (size_t)used : sizeof text - 1);
    exit(70); /* EX_SOFTWARE; by exit, so that children are joined and files written */
}

spork_status spork__refuse_time(int timeout_ms, const char *call)
{
    return spork__fail(
        SPORK_INVALID,
        "%s: %d ms is no time to wait: 0 only looks, SPORK_FOREVER waits as long as it takes", call,
        timeout_ms);
}
