#include "os.h"

#include <fcntl.h>
#include <stdio.h>
#if SPORK_HAVE___FPURGE
#include <stdio_ext.h>
#endif

enum { PATIENCE_MS = 1000 };

FILE *spork__os_file_new(const char *path)
{
    int fd = spork__fd_private(spork__fd_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY));
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL) spork__fd_close(fd);
    return file;
}

void spork__os_file_write(FILE *file, const char *text, size_t size)
{
    spork__sys_fwrite(text, 1, size, file);
    spork__sys_fflush(file);
}
void spork__os_file_close(FILE *file) { spork__sys_fclose(file); }

/* fflush(NULL) and exit() hang when any thread sits in fgets(stdin); and a stream may be held by a thread that is blocked in a
 * full pipe. So: these two streams, and with a bound. */
static void flush(FILE *stream)
{
#if SPORK_HAVE___FPURGE
    if (__fpending(stream) == 0) return;
#endif
    for (int waited = 0; ftrylockfile(stream) != 0; waited++) {
        if (waited == PATIENCE_MS) return;
        spork__os_sleep(1);
    }
    spork__sys_fflush(stream);
    funlockfile(stream);
}

void spork__os_flush(void)
{
    flush(stdout);
    flush(stderr);
}

void spork__os_drop_unwritten(void)
{
    /* Not through the streams' locks: in the child of a threaded program a thread that is not here may hold them; libc's
     * fork has made them anew where it knows of threads. */
#if SPORK_HAVE___FPURGE
    if (__fpending(stdout) > 0) __fpurge(stdout);
    if (__fpending(stderr) > 0) __fpurge(stderr);
#if !SPORK_HAVE_ON_EXIT
    __fpurge(
        stdin); /* exit() would take back what the parent has read of the file that both have */
#endif
#elif SPORK_HAVE_FPURGE
    fpurge(stdout);
    fpurge(stderr);
#endif
}

void spork__stdin_drop(void)
{
#if SPORK_HAVE___FPURGE
    __fpurge(stdin);
#elif SPORK_HAVE_FPURGE
    if (ftrylockfile(stdin) != 0) return; /* a thread that is not here reads from it */
    fpurge(stdin);
    funlockfile(stdin);
#endif
}

bool spork__os_lines_leave(void) { return true; }

void spork__os_line_buffer(void)
{
#if SPORK_HAVE___FPURGE
    if (__flbf(stdout)) return;
#endif
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
}
