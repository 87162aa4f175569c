// expect: negative
#include <spork/spork.h>

spork_status unpack(const spork_args *args);
spork_status unpack(const spork_args *args)
{
    int v = 0;
    return spork_unpack(args, &v, &v, &v, &v, &v, &v, &v, &v, &v, &v, &v, &v, &v, &v, &v, &v, &v);
}
