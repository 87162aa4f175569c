// expect: a_NULL_or_void_pointer_cannot_be_packed
#include <spork/spork.h>

spork_args pack(void);
spork_args pack(void) { return spork_pack(1, NULL); }
