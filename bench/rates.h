/* How many messages a second go through a transport, and what CPU time they cost. */
#ifndef BENCH_RATES_H
#define BENCH_RATES_H

#include "transports.h"

enum { LARGEST_MESSAGE = 1 << 20, MOST_SIDES = 4 };

typedef struct shape {
    int producers, consumers;
} shape;

typedef struct X {
    double messages; /* millions a second; < 0: this transport cannot */
    double cpu_ns;   /* a message, of all processes */
} throughput;

/* Once; ends the program if there is no memory. */
void rates_begin(void);
throughput rate_of(const transport *t, size_t size, shape s);
/* CPU time so far, in us: RUSAGE_SELF or RUSAGE_CHILDREN. */
double rates_cpu_us(int whose);

#endif
