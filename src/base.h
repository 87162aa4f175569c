/* What tests need of base.c beyond the public header. Not to be confused with <spork/base.h>. */
#ifndef SPORK_SRC_BASE_H
#define SPORK_SRC_BASE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
/* spork_cpu_count with files looked up below `root` ("": the real ones). */
int spork__cpu_count(const char *root, char *why, size_t size);
#ifdef __cplusplus
}
#endif
#endif
