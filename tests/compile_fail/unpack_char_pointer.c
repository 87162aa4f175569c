// expect: this_type_cannot_be_unpacked_into
#include <spork/spork.h>

spork_status unpack(const spork_args *args);
spork_status unpack(const spork_args *args)
{
    char *text; /* a received text may not be written to: const char * */
    return spork_unpack(args, &text);
}
