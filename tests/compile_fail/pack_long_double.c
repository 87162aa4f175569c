// expect: this_type_cannot_be_packed
#include <spork/spork.h>

spork_args pack(long double x);
spork_args pack(long double x) { return spork_pack(x); }
