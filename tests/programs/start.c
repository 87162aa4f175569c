/* Starts a static function by one start method, and again after its own file was replaced:
 *
 *     start METHOD [WITH FILE]     FILE is this program's, WITH another program, which is renamed to it */
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#endif
#include <spork/spork.h>
#include <stdio.h>
#include <string.h>

static int add(const spork_args *args)
{
    int a, b;
    return spork_unpack(args, &a, &b) == SPORK_OK ? a + b : 255;
}

static bool replace(const char *with, const char *file)
{
#ifdef _WIN32
    char away[1024];
    snprintf(away, sizeof away, "%s.old", file);
    return MoveFileA(file, away) && MoveFileA(with, file); /* what runs can be moved, but not overwritten */
#else
    return rename(with, file) == 0;
#endif
}

static int start(const char *method)
{
    spork_process *p = spork_process_new(add, spork_pack(40, 2));
    if (spork_process_start(p) == SPORK_OK) {
        SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
        printf("by %s: exit code %d\n", method, spork_process_exitcode(p));
    } else {
        printf("by %s: %s %s\n", method, spork_status_name(spork_last_status()), spork_error());
    }
    fflush(stdout);
    spork_process_free(p);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"default", "fork", "spawn", "forkserver"};
    int method = 0;
    SPORK_MUST(spork_init(argc, argv));
    while (argc > 1 && method < 4 && strcmp(argv[1], names[method]) != 0) method++;
    SPORK_MUST(spork_set_start_method((spork_start_method)method));
    start(names[method]);
    if (argc < 4) return 0;
    if (!replace(argv[2], argv[3])) return 1;
    return start(names[method]);
}
