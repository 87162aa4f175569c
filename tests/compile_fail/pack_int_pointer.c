// expect: this_type_cannot_be_packed
#include <spork/spork.h>

spork_args pack(int *numbers);
spork_args pack(int *numbers) { return spork_pack(numbers); }
