/* How long a message takes from process to process, and what waiting for one costs. */
#ifndef BENCH_TRIPS_H
#define BENCH_TRIPS_H

#include <stddef.h>

/* Microseconds there and back, of one byte. Busy: answered at once. Asleep: each side lets the
 * other fall asleep first. */
double trip_busy_us(void);
double trip_busy_word_us(void); /* a futex word that both look at */
double trip_asleep_us(void);
double trip_asleep_pipe_us(void);
/* The same in place, by reserve and commit, peek and release: of that size, of which only the
 * first byte is touched. */
double trip_in_place_us(size_t size);
/* Nanoseconds for a put and a get in one process, with nobody on the other side. */
double trip_alone_ns(void);

/* CPU ms of so many processes in get for a second, in which nothing comes. */
double wait_cpu_ms(int processes);
/* What a consumer takes of a CPU, in percent, to which so many messages a second come one by
 * one. */
double flow_cpu_percent(int messages_per_second);

#endif
