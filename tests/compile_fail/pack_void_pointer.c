// expect: a_NULL_or_void_pointer_cannot_be_packed
#include <spork/spork.h>

spork_args pack(const void *p);
spork_args pack(const void *p) { return spork_pack(p); }
