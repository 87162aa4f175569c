// expect: this_type_cannot_be_packed
#include <spork/spork.h>

struct settings {
    int quality;
};

spork_args pack(struct settings *settings);
spork_args pack(struct settings *settings) { return spork_pack("photo.png", settings); }
