/* A library that knows Spork's headers only: its target is to be run in a process that has not loaded it. */
#include <spork/spork.h>

#ifdef _WIN32
__declspec(dllexport)
#else
__attribute__((visibility("default")))
#endif
spork_target plugin_target(void);

static int target(const spork_args *args) { return args->count == 0 ? PLUGIN_NUMBER : 1; }

spork_target plugin_target(void) { return target; }
