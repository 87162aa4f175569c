/* A plug-in that starts processes though the program around it knows nothing of Spork: its children are spork-host. */
#include <spork/spork.h>
#include <stdio.h>

int plugin_run(void);
/* static: a function that no symbol table names travels too. */
static int square(const spork_args *args)
{
    int n;
    if (spork_unpack(args, &n) != SPORK_OK) return 1;
    return n * n;
}

static spork_status run(void)
{
    spork_process *p3 = spork_process_new(square, spork_pack(3)), *p4 = spork_process_new(square, spork_pack(4));
    spork_status status = spork_process_start(p3);
    if (status == SPORK_OK) status = spork_process_start(p4);
    if (status == SPORK_OK) status = spork_process_join(p3, SPORK_FOREVER);
    if (status == SPORK_OK) status = spork_process_join(p4, SPORK_FOREVER);
    if (status == SPORK_OK)
        printf("plug-in: 3 * 3 = %d, 4 * 4 = %d\n", spork_process_exitcode(p3), spork_process_exitcode(p4));
    spork_process_free(p3);
    spork_process_free(p4);
    return status;
}

int plugin_run(void)
{
    spork_status status = spork_init(0, NULL);
    const char *host = spork_host_path();
    if (status == SPORK_OK && host == NULL) status = spork_last_status(); /* NULL would mean the program itself */
    if (status == SPORK_OK) status = spork_set_executable(host);
    if (status == SPORK_OK) status = spork_set_start_method(SPORK_SPAWN);
    if (status == SPORK_OK) status = run();
    if (status != SPORK_OK) fprintf(stderr, "plug-in: %s\n", spork_error());
    fflush(stdout);   /* the host may have another C library with another stdout */
    spork_shutdown(); /* before the host unloads this library */
    return status == SPORK_OK ? 0 : 1;
}
