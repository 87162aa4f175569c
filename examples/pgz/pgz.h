/* pgz: a parallel gzip. pgz.c reads the command line, files.c finds and makes files, compress.c and expand.c turn one stream into another,
 * progress.c tells how far they are. */
#ifndef PGZ_H
#define PGZ_H

#include <spork/spork.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { PGZ_FINE = 0, PGZ_ERROR = 1, PGZ_WARNING = 2 }; /* exit codes, gzip's */

#ifdef _WIN32
#define PGZ_SEPARATOR '\\'
#else
#define PGZ_SEPARATOR '/'
#endif

typedef struct settings {
    int level; /* 1 to 9 */
    bool expand, test, to_stdout, keep, force, quiet, verbose, no_name;
    unsigned workers; /* 0: as many as there are CPUs */
    size_t block;
    spork_pool *pool; /* NULL: nothing is to be compressed */
} settings;

/* ---- progress.c ---- */

typedef struct progress {
    const char *name; /* NULL: nobody wants to know */
    uint64_t size;    /* of the input; 0: unknown */
    uint64_t in, out; /* bytes so far */
    double begin, told;
} progress;

/* Says nothing where stderr is no terminal, or `quiet`. */
void progress_begin(progress *p, const char *name, uint64_t size, bool quiet);
void progress_add(progress *p, uint64_t in, uint64_t out);
void progress_wipe(void); /* for whoever has something else to say, or at the end */

/* ---- files.c ---- */

/* One input and where it goes. */
typedef struct files {
    const settings *settings;
    const char *name; /* as messages call it */
    FILE *in, *out;
    char path[4096]; /* of the result; "": stdout, or there is none */
    char draft[4160]; /* where it is written until it is whole; "": there is none */
    uint64_t size;   /* of the input; 0: unknown */
    int64_t time;    /* its time of modification; 0: unknown */
} files;

/* "-": stdin to stdout. PGZ_FINE, or the exit code after a message. */
int files_open(files *f, const settings *s, const char *name);
/* Puts the result in its place and removes the input, if `code` is PGZ_FINE; else removes the draft. The exit code. */
int files_close(files *f, int code);
void files_message(const char *name, const char *format, ...) SPORK__PRINTF(2, 3);
/* stdin and stdout carry bytes, and from now on an end by Ctrl-C or the like leaves no draft behind. */
void files_prepare(void);
bool files_is_terminal(FILE *file);

/* ---- one stream ---- */

/* Before the first file is opened: workers keep what is open when they are made. False after a message. */
bool gz_open_pool(settings *s);
int gz_compress(const settings *s, files *f, progress *p);
int gz_expand(const settings *s, files *f, progress *p);

#endif
