/* What base.c has beyond the public header. Not to be confused with <spork/base.h>. */
#ifndef SPORK_SRC_BASE_H
#define SPORK_SRC_BASE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
/* spork_cpu_count with files looked up below `root` ("": the real ones). */
int spork__cpu_count(const char *root, char *why, size_t size);

/* Whether what was compiled for version `other` (as SPORK_VERSION_NUMBER) can work with a library of version `own`: it can with a later
 * one of the same major version; below 1.0 of the same minor version. */
bool spork__version_fits(int other, int own);
#ifdef __cplusplus
}
#endif
#endif
