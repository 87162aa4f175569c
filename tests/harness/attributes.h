/* What a process has from its parent, as text; and changes of it, after which a child must have the new. POSIX. */
#ifndef HARNESS_ATTRIBUTES_H
#define HARNESS_ATTRIBUTES_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* (what): starts a child, changes that of its own, and starts another one, which has to have what it has itself then. 0; or one of
 * these. */
enum {
    ATTRIBUTES_DIFFER = 1,
    ATTRIBUTES_REFUSED = 2,
    ATTRIBUTES_CANNOT_CHANGE = 3,
    ATTRIBUTES_BROKEN = 4
};
int attributes_change(const spork_args *args);
/* Sends a byte over a socket pair, as user and group of that number, and receives it as a fork server does: 1, or -errno. */
int attributes_receive_from(int user);
int attributes_tell(const spork_args *args); /* queue: puts its own, as text */

#ifdef __cplusplus
}
#endif
#endif
