/* A Windows program without a console and without main: spork_init(0, NULL) comes first in WinMain.
 * It has no stdout: the result goes to the file that SPORK_WINMAIN_OUT names, else it is the exit code. */
#include <spork/spork.h>
#include <stdio.h>
#include <windows.h>

static int add(const spork_args *args)
{
    int a, b;
    if (spork_unpack(args, &a, &b) != SPORK_OK) return 1;
    return a + b;
}

int WINAPI WinMain(HINSTANCE instance, HINSTANCE unused, LPSTR command_line, int show)
{
    (void)instance, (void)unused, (void)command_line, (void)show;
    SPORK_MUST(spork_init(0, NULL));

    spork_process *p = spork_process_new(add, spork_pack(40, 2));
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
    int exitcode = spork_process_exitcode(p);

    const char *path = getenv("SPORK_WINMAIN_OUT");
    if (path != NULL) {
        FILE *file = fopen(path, "w");
        if (file == NULL) return 1;
        fprintf(file, "%s: exitcode %d\n", spork_process_name(p), exitcode);
        if (fclose(file) != 0) return 1;
        exitcode = 0;
    }
    spork_process_free(p);
    return exitcode;
}
