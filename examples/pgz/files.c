/* Names, drafts and times. What is written goes to a draft beside its place, and takes it when it is whole: a full disk, a bad input or Ctrl-C
 * never leave half of a result, nor replace a good one. */
#ifdef __APPLE__
#define _DARWIN_C_SOURCE
#elif !defined(_WIN32)
#define _XOPEN_SOURCE 700
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#ifdef _WIN32
#include <windows.h>

#include <io.h>
#include <sys/utime.h>
#else
#include <unistd.h>
#endif

#include "pgz.h"

/* ---- the two kinds of systems ---- */

#ifdef _WIN32
typedef struct _stat64 file_state;
static int state_of(FILE *file, file_state *state) { return _fstat64(_fileno(file), state); }
static bool is_file(const file_state *state) { return (state->st_mode & _S_IFMT) == _S_IFREG; }
static bool is_directory(const char *path)
{
    file_state state;
    return _stat64(path, &state) == 0 && (state.st_mode & _S_IFMT) == _S_IFDIR;
}
static bool exists(const char *path) { return _access(path, 0) == 0; }
static const char *not_to_be_touched(const char *path, const settings *s) { return (void)path, (void)s, NULL; }
bool files_is_terminal(FILE *file) /* _isatty is true of NUL, too */
{
    DWORD mode;
    return GetConsoleMode((HANDLE)_get_osfhandle(_fileno(file)), &mode) != 0;
}
static FILE *make(const char *path) /* as one that Ctrl-C can delete */
{
    HANDLE file = CreateFileA(path, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, CREATE_NEW,
                              FILE_ATTRIBUTE_NORMAL, NULL);
    int fd = file != INVALID_HANDLE_VALUE ? _open_osfhandle((intptr_t)file, _O_BINARY) : -1;
    if (fd < 0) {
        errno = GetLastError() == ERROR_FILE_EXISTS ? EEXIST : GetLastError() == ERROR_DISK_FULL ? ENOSPC : EACCES;
        if (file != INVALID_HANDLE_VALUE) CloseHandle(file);
    }
    return fd >= 0 ? _fdopen(fd, "wb") : NULL;
}
static void give_state(FILE *to, const file_state *state)
{
    struct __utimbuf64 times = {state->st_atime, state->st_mtime};
    fflush(to);
    _futime64(_fileno(to), &times);
}
static bool put(const char *from, const char *to, bool replace)
{
    if (MoveFileExA(from, to, replace ? MOVEFILE_REPLACE_EXISTING : 0)) return true;
    errno = GetLastError() == ERROR_ALREADY_EXISTS ? EEXIST : EACCES;
    return false;
}
static const char *volatile unfinished; /* a draft, to be removed by Ctrl-C */

static BOOL WINAPI on_end(DWORD event)
{
    (void)event;
    if (unfinished != NULL) DeleteFileA(unfinished); /* it goes with its last handle, and that with the process */
    return FALSE;
}
void files_prepare(void)
{
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
    SetConsoleCtrlHandler(on_end, TRUE);
}
#else
typedef struct stat file_state;
static int state_of(FILE *file, file_state *state) { return fstat(fileno(file), state); }
static bool is_file(const file_state *state) { return S_ISREG(state->st_mode); }
static bool is_directory(const char *path)
{
    file_state state;
    return stat(path, &state) == 0 && S_ISDIR(state.st_mode);
}
static bool exists(const char *path)
{
    file_state state;
    return lstat(path, &state) == 0;
}
/* As gzip has it: what is no file is not replaced by one, and a link or a second name only by force. */
static const char *not_to_be_touched(const char *path, const settings *s)
{
    file_state state;
    if (lstat(path, &state) != 0) return NULL; /* to open it will tell */
    if (S_ISLNK(state.st_mode) && !s->force) return "is a link: left alone; -f takes what it leads to";
    if (S_ISLNK(state.st_mode) && stat(path, &state) != 0) return NULL;
    if (!S_ISREG(state.st_mode)) return "is no file: left alone";
    if (state.st_nlink > 1 && !s->keep && !s->force) return "has another name: left alone; -f takes this one away";
    return NULL;
}
bool files_is_terminal(FILE *file) { return isatty(fileno(file)) != 0; }
static FILE *make(const char *path)
{
    int low = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), fd = low;
    if (low >= 0 && low <= STDERR_FILENO) { /* who closed that would find our messages in the result */
        fd = fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        close(low);
    }
    return fd >= 0 ? fdopen(fd, "wb") : NULL;
}
static void give_state(FILE *to, const file_state *state)
{
#ifdef __APPLE__
    const struct timespec times[2] = {state->st_atimespec, state->st_mtimespec};
#else
    const struct timespec times[2] = {state->st_atim, state->st_mtim};
#endif
    fflush(to);
    bool same_group = fchown(fileno(to), (uid_t)-1, state->st_gid) == 0;
    if (fchown(fileno(to), state->st_uid, (gid_t)-1) != 0) {} /* as far as we may */
    fchmod(fileno(to), state->st_mode & (same_group ? 0777 : 0707));
    futimens(fileno(to), times);
}
static bool put(const char *from, const char *to, bool replace)
{
    if (replace) return rename(from, to) == 0;
    if (link(from, to) == 0) return unlink(from) == 0; /* never over what has come meanwhile */
    if (errno == EEXIST || exists(to)) return errno = EEXIST, false;
    return rename(from, to) == 0; /* a disk without links */
}

static const char *volatile unfinished; /* a draft, to be removed by Ctrl-C */
static pid_t owner; /* forked workers have the handlers, too */

static void on_end(int number)
{
    if (unfinished != NULL && getpid() == owner) unlink(unfinished);
    signal(number, SIG_DFL);
    raise(number);
}
void files_prepare(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGXCPU};
    owner = getpid();
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (signal(ends[i], SIG_IGN) != SIG_IGN) signal(ends[i], on_end);
    signal(SIGPIPE, on_end);
    signal(SIGXFSZ, SIG_IGN); /* a write says so */
}
#endif

void files_message(const char *name, const char *format, ...)
{
    va_list args;
    progress_wipe();
    fprintf(stderr, "pgz: %s: ", strcmp(name, "-") == 0 ? "stdin" : name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static int warn(const settings *s, const char *name, const char *what)
{
    if (!s->quiet) files_message(name, "%s", what);
    return PGZ_WARNING;
}

static int fail(const char *name, const char *what)
{
    files_message(name, "cannot %s: %s", what, strerror(errno));
    return PGZ_ERROR;
}

/* ---- names ---- */

static bool ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name), its = strlen(suffix);
    return length > its && strcmp(name + length - its, suffix) == 0;
}

/* file - file.gz; file.gz - file; file.tgz - file.tar. False: there is no such name. */
static bool name_result(files *f)
{
    static const char *const suffixes[][2] = {{".gz", ""}, {".tgz", ".tar"}, {".taz", ".tar"}};
    size_t length = strlen(f->name);
    if (length + 8 > sizeof f->path) return false;
    if (!f->settings->expand) return snprintf(f->path, sizeof f->path, "%s.gz", f->name) > 0;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (ends_with(f->name, suffixes[i][0]))
            return snprintf(f->path, sizeof f->path, "%.*s%s", (int)(length - strlen(suffixes[i][0])), f->name,
                            suffixes[i][1]) > 0;
    return false;
}

/* ---- opening ---- */

static int open_input(files *f, file_state *state)
{
    const settings *s = f->settings;
    if (strcmp(f->name, "-") == 0) {
        f->in = stdin;
        if (s->expand && !s->force && files_is_terminal(stdin)) {
            files_message(f->name, "compressed data is not read from a terminal; -f does it all the same");
            return PGZ_ERROR;
        }
    } else {
        bool stays = s->to_stdout || s->test;
        const char *why = stays ? NULL : not_to_be_touched(f->name, s);
        if (is_directory(f->name)) return warn(s, f->name, "is a directory: left alone");
        if (why != NULL) return warn(s, f->name, why);
        if ((f->in = fopen(f->name, "rb")) == NULL) return fail(f->name, "open");
    }
    if (state_of(f->in, state) != 0) return fail(f->name, "look at");
    bool plain = is_file(state);
    if (f->in != stdin && !plain && !s->to_stdout && !s->test)
        return warn(s, f->name, "is no file: left alone");
    if (plain) f->size = (uint64_t)state->st_size;
    if (plain && f->in != stdin) f->time = (int64_t)state->st_mtime;
    return PGZ_FINE;
}

/* In the result's folder, and short: the result's own name may be as long as names can be. Nobody else's: nothing is removed for it. */
static void name_draft(files *f)
{
    int folder = 0;
    for (int i = 0; f->path[i] != 0; i++)
        if (f->path[i] == '/' || f->path[i] == PGZ_SEPARATOR) folder = i + 1;
    for (int n = 0; n < 1000; n++) {
        snprintf(f->draft, sizeof f->draft, "%.*spgz-%d-%d.part", folder, f->path, spork_getpid(), n);
        if (!exists(f->draft)) return;
    }
}

static int open_draft(files *f)
{
    const settings *s = f->settings;
    if (!s->expand && !s->force && ends_with(f->name, ".gz"))
        return warn(s, f->name, "has the suffix .gz already: left alone");
    if (!name_result(f)) return warn(s, f->name, "has no suffix that is known: left alone");
    if (!s->force && exists(f->path)) return warn(s, f->path, "exists already: left alone; -f replaces it");
    name_draft(f);
    unfinished = f->draft;
    if ((f->out = make(f->draft)) != NULL) return PGZ_FINE;
    unfinished = NULL;
    f->draft[0] = 0;
    return fail(f->path, "create");
}

static int open_output(files *f)
{
    const settings *s = f->settings;
    if (s->test) return PGZ_FINE;
    if (f->in != stdin && !s->to_stdout) return open_draft(f);
    f->out = stdout;
    if (s->expand || s->force || !files_is_terminal(stdout)) return PGZ_FINE;
    files_message(f->name, "compressed data is not written to a terminal; -f does it all the same");
    return PGZ_ERROR;
}

int files_open(files *f, const settings *s, const char *name)
{
    file_state state;
    memset(f, 0, sizeof *f);
    f->settings = s;
    f->name = name;
    int code = open_input(f, &state);
    if (code == PGZ_FINE) code = open_output(f);
    if (code != PGZ_FINE) files_close(f, PGZ_ERROR);
    return code;
}

/* ---- closing ---- */

static int close_output(files *f, int code)
{
    file_state state;
    if (f->out == stdout) return code != PGZ_ERROR && fflush(stdout) != 0 ? fail(f->name, "write") : code;
    if (code != PGZ_ERROR && state_of(f->in, &state) == 0) give_state(f->out, &state);
    bool flushed = fflush(f->out) == 0 && ferror(f->out) == 0; /* the disk may be full only now */
    if (fclose(f->out) != 0 || !flushed) code = code != PGZ_ERROR ? fail(f->name, "write") : code;
    if (code != PGZ_ERROR && !put(f->draft, f->path, f->settings->force))
        code = fail(f->path, "put the result there");
    if (code == PGZ_ERROR) remove(f->draft);
    unfinished = NULL;
    return code;
}

int files_close(files *f, int code)
{
    if (f->out != NULL) code = close_output(f, code);
    if (f->in != NULL && f->in != stdin) fclose(f->in);
    bool done = code != PGZ_ERROR && f->draft[0] != 0 && !f->settings->keep;
    if (done && remove(f->name) != 0) code = fail(f->name, "remove");
    f->in = f->out = NULL;
    return code;
}
