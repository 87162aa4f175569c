/* map: a function for each of a million numbers, with a progress bar. The workers take the numbers in chunks; nothing is packed.
 *
 * The function: how many steps it takes to 1, if an even number is halved and an odd one tripled and one more. */
#include <spork/spork.h>
#include <stdio.h>
#ifdef _WIN32
#include <io.h>
#define isatty _isatty
#else
#include <unistd.h>
#endif

enum { COUNT = 1000000 };

static double numbers[COUNT], steps[COUNT];

/* Runs in a worker, for one number. */
static int walk(const void *in, void *out, spork_task *task)
{
    unsigned long long n = (unsigned long long)*(const double *)in;
    double count = 0;
    (void)task;
    for (; n != 1; count++) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    *(double *)out = count;
    return 0;
}

/* On a line of its own, which is written again and again. */
static void show_progress(size_t done, size_t total, void *user)
{
    static const char bar[] = "########################################";
    int *shown = user, percent = (int)(done * 100 / total);
    if (percent == *shown) return;
    *shown = percent;
    fprintf(stderr, "\r[%-40.*s] %3d %%%s", percent * 40 / 100, bar, percent, done == total ? "\n" : "");
    fflush(stderr);
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    int shown = -1;
    spork_map_options options = {.user = &shown};
    if (isatty(2)) options.progress = show_progress; /* not into files and pipes */

    for (int i = 0; i < COUNT; i++) numbers[i] = i + 1;
    spork_pool *pool = spork_pool_new(0);
    SPORK_MUST(spork_pool_map(pool, walk, numbers, steps, COUNT, &options));
    spork_pool_free(pool);

    int longest = 0;
    double sum = 0;
    for (int i = 0; i < COUNT; i++) {
        sum += steps[i];
        if (steps[i] > steps[longest]) longest = i;
    }
    printf("1 to %d: %.0f steps in all\n", COUNT, sum);
    printf("The longest way is that of %.0f: %.0f steps.\n", numbers[longest], steps[longest]);
    return 0;
}
