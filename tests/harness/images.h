/* Functions to be sent, libraries to send them from, for image_test.cpp. */
#ifndef SPORK_HARNESS_IMAGES_H
#define SPORK_HARNESS_IMAGES_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Functions of this program: 'f' and 's' (static) are their exit codes. */
int images_function(const spork_args *args);
spork_target images_static_function(void);
/* What is no function. */
const void *images_constant(void);
void *images_variable(void);

/* ---- libraries: tests/programs/plugin.c ---- */

/* NULL: it cannot be loaded. `path` is UTF-8. */
void *images_load(const char *path);
void images_unload(void *library);
/* Its static target, whose exit code is the number that the library was built with. */
spork_target images_target_of(void *library);

/* ---- files ---- */

/* The system's own rename, over a file that is there (POSIX), or with that one moved away before (Windows). */
bool images_replace(const char *with, const char *path);

#ifdef __cplusplus
}
#endif
#endif
