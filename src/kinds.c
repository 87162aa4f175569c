/* All kinds of objects that this library has: a child has to know them before it reads its arguments. Declared in object.h, far below: here is the
 * one place that looks up. */
#include "connection.h"
#include "handle.h"
#include "object.h"
#include "pool/crew.h"
#include "queue.h"
#include "shm.h"
#include "sync.h"

void spork__kinds_add(void)
{
    spork__kind_add(&spork__connection_kind);
    spork__kind_add(&spork__queue_kind);
    spork__kind_add(&spork__shm_kind);
    spork__kind_add(&spork__handle_kind);
    spork__sync_kinds_add();
    spork__kind_add(&spork__crew_kind);
}
