#include <stdlib.h>
#include <string.h>

#include "pgz.h"

#ifndef PGZ_VERSION
#define PGZ_VERSION "of Spork"
#endif

static const char usage[] =
    "usage: pgz [-1..-9] [-dtckfnqv] [-p N] [-b SIZE] [FILE | -] ...\n"
    "Compresses files like gzip, on all CPUs at once; without FILE, or with -, standard input.\n"
    "\n"
    "  -1 to -9, --fast, --best  how thoroughly; 6 without it\n"
    "  -d, --decompress          the other way; so does the name pungz\n"
    "  -t, --test                checks compressed files\n"
    "  -c, --stdout              writes to standard output, and keeps the files\n"
    "  -k, --keep                keeps the files\n"
    "  -f, --force               replaces files, and works on links and terminals\n"
    "  -n, --no-name             neither name nor time in the result\n"
    "  -p, --processes N         so many workers; as many as there are CPUs without it\n"
    "  -b, --block SIZE          of what a worker takes at once, 32K to 256M; 128K without it\n"
    "  -q, --quiet               no warnings\n"
    "  -v, --verbose             the ratio of each file\n"
    "  -V, --version             -h, --help\n"
    "\n"
    "Exit code: 0; 1 for an error; 2 for a warning.\n";

/* ---- the command line ---- */

_Noreturn static void refuse(const char *what, const char *value)
{
    fprintf(stderr, "pgz: %s: %s; pgz -h helps\n", value, what);
    exit(PGZ_ERROR);
}

static size_t number_of(const char *option, const char *text, size_t least, size_t most)
{
    char *end = NULL;
    unsigned long long number = text != NULL ? strtoull(text, &end, 10) : 0;
    if (text == NULL) refuse("needs a value", option);
    int shift = *end == 'K' || *end == 'k' ? 10 : *end == 'M' || *end == 'm' ? 20 : 0;
    bool whole = end != text && end[shift != 0] == 0 && text[0] != '-';
    if (!whole || number > most >> shift || number << shift < least) refuse("is no such number", text);
    return (size_t)number << shift;
}

static char short_of(const char *option, size_t length)
{
    static const struct {
        const char *name;
        char letter;
    } names[] = {{"fast", '1'},    {"best", '9'},  {"decompress", 'd'}, {"uncompress", 'd'}, {"test", 't'},
                 {"stdout", 'c'},  {"to-stdout", 'c'}, {"keep", 'k'},   {"force", 'f'},      {"no-name", 'n'},
                 {"processes", 'p'}, {"block", 'b'}, {"quiet", 'q'},    {"verbose", 'v'},    {"version", 'V'},
                 {"help", 'h'}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == length && strncmp(option, names[i].name, length) == 0) return names[i].letter;
    return 0;
}

/* True: the option has taken the value. */
static bool take_option(settings *s, char letter, const char *whole, const char *value)
{
    switch (letter) {
    case 'd': s->expand = true; return false;
    case 't': s->test = s->expand = true; return false;
    case 'c': s->to_stdout = true; return false;
    case 'k': s->keep = true; return false;
    case 'f': s->force = true; return false;
    case 'n': s->no_name = true; return false;
    case 'q': s->quiet = true; return false;
    case 'v': s->verbose = true; return false;
    case 'p': s->workers = (unsigned)number_of(whole, value, 1, 1024); return true;
    case 'b': s->block = number_of(whole, value, 32 << 10, 256 << 20); return true;
    case 'V': printf("pgz %s, zlib inside\n", PGZ_VERSION); exit(PGZ_FINE);
    case 'h': fputs(usage, stdout); exit(PGZ_FINE);
    default: break;
    }
    if (letter < '1' || letter > '9') refuse("is no option", whole);
    s->level = letter - '0';
    return false;
}

/* Leaves the names in argv, and tells how many. */
static int read_options(settings *s, int argc, char **argv)
{
    int names = 0;
    bool options = true;
    for (int i = 1; i < argc; i++) {
        const char *at = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (!options || at[0] != '-' || at[1] == 0) {
            argv[names++] = argv[i];
        } else if (strcmp(at, "--") == 0) {
            options = false;
        } else if (at[1] == '-') {
            const char *equals = strchr(at, '=');
            size_t length = equals != NULL ? (size_t)(equals - at - 2) : strlen(at + 2);
            bool took = take_option(s, short_of(at + 2, length), at, equals != NULL ? equals + 1 : next);
            if (equals != NULL && !took) refuse("takes no value", at);
            i += took && equals == NULL;
        } else {
            for (const char *letter = at + 1; *letter != 0; letter++) { /* the rest, or what follows, may be its value */
                const char *rest = letter[1] != 0 ? letter + 1 : next;
                if (!take_option(s, *letter, at, rest)) continue;
                i += rest == next;
                break;
            }
        }
    }
    return names;
}

/* ---- the work ---- */

static void tell_ratio(const settings *s, const files *f, const progress *p)
{
    double smaller = s->expand ? (double)p->in : (double)p->out, larger = s->expand ? (double)p->out : (double)p->in;
    if (!s->verbose) return;
    fprintf(stderr, "%s: %.1f %%%s%s\n", f->name, larger > 0 ? 100 - 100 * smaller / larger : 0,
            s->test ? " OK" : f->draft[0] != 0 ? " -- now " : "", f->path);
}

static int do_one(const settings *s, const char *name)
{
    files f;
    progress p;
    int code = files_open(&f, s, name);
    if (code != PGZ_FINE) return code;
    progress_begin(&p, name, f.size, s->quiet || (s->expand && f.out == stdout)); /* it would stand in what is read there */
    code = s->expand ? gz_expand(s, &f, &p) : gz_compress(s, &f, &p);
    progress_wipe();
    code = files_close(&f, code);
    if (code != PGZ_ERROR) tell_ratio(s, &f, &p);
    return code;
}

static bool is_named(const char *program, const char *name)
{
    const char *last = program;
    for (const char *at = program; *at != 0; at++)
        if (*at == '/' || *at == PGZ_SEPARATOR) last = at + 1;
    return strncmp(last, name, strlen(name)) == 0;
}

int main(int argc, char **argv)
{
    int worst = PGZ_FINE;
    settings s = {.level = 6, .block = 128 << 10};
    SPORK_MUST(spork_init(argc, argv));
    s.expand = argc > 0 && is_named(argv[0], "pungz");
    int names = read_options(&s, argc, argv);
    files_prepare();
    if (!s.expand && !gz_open_pool(&s)) return PGZ_ERROR;
    for (int i = 0; i < (names > 0 ? names : 1); i++) {
        int code = do_one(&s, names > 0 ? argv[i] : "-");
        if (code == PGZ_ERROR || worst == PGZ_FINE) worst = code;
    }
    spork_pool_free(s.pool);
    return worst;
}
