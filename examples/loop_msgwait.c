/* A queue in a program with windows, which lives around its messages (Windows). */
#include <windows.h>

#include "loop_numbers.h"

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_process *child;
    spork_queue *q = begin(&child);
    for (;;) {
        spork_native handle;
        MSG message;
        spork_status status = spork_arm(spork_on(q), &handle);
        if (status == SPORK_OK) {
            HANDLE handles[] = { (HANDLE)handle };
            MsgWaitForMultipleObjects(1, handles, FALSE, 100, QS_ALLINPUT);
            while (PeekMessageW(&message, NULL, 0, 0, PM_REMOVE)) {
                TranslateMessage(&message);
                DispatchMessageW(&message);
            }
        } else if (status != SPORK_READY) {
            SPORK_MUST(status);
        }
        if (!take_all(q)) return end(q, child);
    }
}
