/* What /proc/PID/stat tells, as text. */
#ifndef SPORK_POSIX_IDENTITY_PROCFS_H
#define SPORK_POSIX_IDENTITY_PROCFS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct spork__stat_line {
    char state;            /* field 3; Z: the main thread is dead, others may live */
    unsigned long threads; /* field 20 */
    uint64_t start;        /* field 22: clock ticks since boot */
} spork__stat_line;
bool spork__stat_parse(const char *text, spork__stat_line *line);

#endif
