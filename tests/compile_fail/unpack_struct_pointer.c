// expect: this_type_cannot_be_unpacked_into
#include <spork/spork.h>

struct settings {
    int quality;
};

spork_status unpack(const spork_args *args, struct settings *settings);
spork_status unpack(const spork_args *args, struct settings *settings) { return spork_unpack(args, settings); }
