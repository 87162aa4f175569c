// expect: this_type_cannot_be_unpacked_into
#include <spork/spork.h>

spork_status unpack(const spork_args *args);
spork_status unpack(const spork_args *args)
{
    const int constant = 1;
    return spork_unpack(args, &constant);
}
