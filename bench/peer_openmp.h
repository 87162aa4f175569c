#ifndef BENCH_PEER_OPENMP_H
#define BENCH_PEER_OPENMP_H

/* Nanoseconds an item for `out[i] = in[i] + 1` by two threads, with schedule(dynamic, chunk). */
double openmp_ns(long *in, long *out, long count, long chunk);

#endif
