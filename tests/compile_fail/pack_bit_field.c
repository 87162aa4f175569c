// expect: this_type_cannot_be_packed
// compiler: GNU
#include <spork/spork.h>

struct flags {
    unsigned mode : 3;
};

spork_args pack(const struct flags *flags);
spork_args pack(const struct flags *flags) { return spork_pack(flags->mode); }
