/* Which process a number means, on macOS. */
#include "os.h"

#include <libproc.h>
#include <mach/mach.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/proc.h>
#include <unistd.h>

/* The argument 1: zombies, too, which are not found otherwise. */
static bool ask(int pid, struct proc_bsdinfo *info)
{
    return proc_pidinfo(pid, PROC_PIDTBSDINFO, 1, info, sizeof *info) == (int)sizeof *info;
}

static uint64_t start_of(const struct proc_bsdinfo *info)
{
    return info->pbi_start_tvsec * 1000000 + info->pbi_start_tvusec;
}

uint64_t spork__os_start_time(int pid)
{
    struct proc_bsdinfo info;
    return ask(pid, &info) ? start_of(&info) : 0;
}

bool spork__os_process_alive(int pid, uint64_t start)
{
    struct proc_bsdinfo info;
    if (!ask(pid, &info))
        return !(kill(pid, 0) != 0 && errno == ESRCH); /* another user's: alive, as far as we can tell */
    return info.pbi_status != SZOMB && (start == 0 || start_of(&info) == start);
}

bool spork__os_process_stopped(int pid)
{
    struct proc_bsdinfo info;
    return ask(pid, &info) && info.pbi_status == SSTOP;
}

uint64_t spork__os_pid_namespace(void) { return 0; }
bool spork__children_elsewhere(void) { return false; }

int spork__os_thread_count(void)
{
    thread_act_array_t list;
    mach_msg_type_number_t count = 0;
    if (task_threads(mach_task_self(), &list, &count) != KERN_SUCCESS) return 0;
    for (mach_msg_type_number_t i = 0; i < count; i++) mach_port_deallocate(mach_task_self(), list[i]);
    vm_deallocate(mach_task_self(), (vm_address_t)list, count * sizeof *list);
    return (int)count - atomic_load(&spork__own_threads);
}
