/* The same loops on OpenMP's threads: what a pool in shared memory with no isolation at all takes. */
#include "peer_openmp.h"

#include <sys/wait.h>
#include <unistd.h>

#include <spork/spork.h>

#include "harness.h"

enum { THREADS = 2 };

static void loop(long *in, long *out, long count, long chunk)
{
    /* The chunk is no constant, and the loop's work not to be seen through. */
#pragma omp parallel for schedule(dynamic, chunk) num_threads(THREADS)
    for (long i = 0; i < count; i++) ((volatile long *)out)[i] = ((volatile long *)in)[i] + 1;
}

/* In a process of its own: OpenMP's threads would stay, and go on spinning into what is measured next. */
double openmp_ns(long *in, long *out, long count, long chunk)
{
    int ends[2];
    double ns = 0;
    if (pipe(ends) != 0) bench_fail("pipe");
    pid_t child = fork();
    if (child == 0) {
        loop(in, out, count / 10, chunk); /* its threads are there now */
        double begin = spork_time();
        loop(in, out, count, chunk);
        ns = (spork_time() - begin) * 1e9 / (double)count;
        _exit(write(ends[1], &ns, sizeof ns) != sizeof ns);
    }
    close(ends[1]);
    if (read(ends[0], &ns, sizeof ns) != sizeof ns) bench_fail("OpenMP");
    close(ends[0]);
    waitpid(child, NULL, 0);
    return ns;
}
