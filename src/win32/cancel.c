/* A thread is not cancelled here. TerminateThread, against which nothing can be done, is no such
 * thing. */
#include "os.h"

void spork__os_cancel_allow(const spork__cleanup *cleanup) { (void)cleanup; }
void spork__os_cancel_forbid(void) {}
int spork__os_cancel_off(void) { return 0; }
void spork__os_cancel_restore(int before) { (void)before; }
