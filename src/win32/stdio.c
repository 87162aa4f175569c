#include "os.h"

#include <stdio.h>

void spork__os_flush(void)
{
    fflush(stdout);
    fflush(stderr);
}

void spork__os_drop_unwritten(void) {}
void spork__os_line_buffer(void) {} /* this C library takes line buffering for full buffering; the header says so */
