// expect: this_type_cannot_be_unpacked_into
#include <spork/spork.h>

spork_status unpack(const spork_args *args);
spork_status unpack(const spork_args *args)
{
    int width = 0; /* the & was forgotten */
    return spork_unpack(args, width);
}
