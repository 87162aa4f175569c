/* What /proc/net/unix tells, as text. */
#ifndef SPORK_POSIX_NAMED_ABSTRACT_H
#define SPORK_POSIX_NAMED_ABSTRACT_H

#include <stdbool.h>

/* Whether a line tells where the memory with that name ("spork-shm/UID/NAME") is. Anybody may have bound what looks like it. */
bool spork__owned_parse(const char *line, const char *name, int *pid, int *number);

#endif
