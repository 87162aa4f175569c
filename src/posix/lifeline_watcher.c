/* Tied to the lifeline, on systems whose kernel cannot do it alone (macOS, the BSDs): by a thread
 * in each child. */
#include "os.h"

#include <fcntl.h>

bool spork__lifeline_needs_thread(void) { return true; }

int spork__lifeline_open(int end) { return SPORK__SYS(fcntl(end, F_DUPFD_CLOEXEC, 3)); }

spork_status spork__lifeline_arm(int own) { return spork__lifeline_watch(own); }
