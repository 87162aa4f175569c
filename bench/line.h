/* How far the CPUs are from each other. */
#ifndef BENCH_LINE_H
#define BENCH_LINE_H

/* Nanoseconds that a cache line takes from one CPU to another and back: the least of some, so
 * that what else runs does not count. */
double bench_line_ns(void);

#endif
