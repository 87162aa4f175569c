#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "platform.h"

static struct {
    spork_log_level level; /* 0: not yet taken from the environment */
    bool by_environment;
    spork_log_fn fn;
    void *user;
    const char *process;
} logger = {.process = "MainProcess"};

static const char *const level_names[] = {"off", "error", "warning", "info", "debug"};

static spork_log_level level_of_environment(void)
{
    const char *wish = spork__os_getenv("SPORK_LOG");
    for (int i = 0; wish != NULL && i <= SPORK_LOG_DEBUG; i++)
        if (strcmp(wish, level_names[i]) == 0) return i == 0 ? (spork_log_level)-1 : (spork_log_level)i;
    return SPORK_LOG_WARNING;
}

void spork_set_log(spork_log_level level, spork_log_fn fn, void *user)
{
    spork__os_lock(SPORK__LOCK_LOG);
    logger.level = level;
    logger.fn = fn;
    logger.user = user;
    spork__os_unlock(SPORK__LOCK_LOG);
}

void spork__log_name(const char *process)
{
    spork__os_lock(SPORK__LOCK_LOG);
    logger.process = process;
    spork__os_unlock(SPORK__LOCK_LOG);
}

void spork__log(spork_log_level level, const char *format, ...)
{
    spork__os_lock(SPORK__LOCK_LOG);
    if (logger.level == 0) logger.level = level_of_environment();
    bool wanted = (int)level <= (int)logger.level;
    spork_log_fn fn = logger.fn;
    void *user = logger.user;
    const char *process = logger.process;
    spork__os_unlock(SPORK__LOCK_LOG); /* the callback may take its time, and a fork may come */
    if (!wanted) return;

    char text[1024], line[1200];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (fn != NULL) {
        int before = spork__os_cancel_off();
        fn(level, process, spork__os_getpid(), text, user);
        spork__os_cancel_restore(before);
        return;
    }
    int used =
        snprintf(line, sizeof line, "[spork %s %s %d] %s\n", level_names[level], process, spork__os_getpid(), text);
    if (used > 0) spork__os_write_error(line, (size_t)used < sizeof line ? (size_t)used : sizeof line - 1);
}
