/* Nobody is orphaned, on Windows: children are born into a job that this process alone holds. When it ends, however, the system
 * closes the job's last handle and ends all that are in it; they hold jobs of their own, so theirs follow. The process itself is
 * never put into its job, and the handle never travels. There is no moment in which a child exists outside: the job is an
 * attribute of its creation. */
#include "os.h"

#include <string.h>

static HANDLE own_job; /* under SPORK__LOCK_START */

static spork_status new_job(JOBOBJECT_EXTENDED_LIMIT_INFORMATION *limits, HANDLE *job)
{
    HANDLE made = SPORK__SYS_HANDLE(CreateJobObjectW(NULL, NULL));
    if (made == NULL) return SPORK__FAIL("no job object");
    if (!SPORK__SYS(SetInformationJobObject(made, JobObjectExtendedLimitInformation, limits, sizeof *limits))) {
        spork_status status = SPORK__FAIL("a job object's limits cannot be set");
        CloseHandle(made);
        return status;
    }
    *job = made;
    return SPORK_OK;
}

spork_status spork__children_job(HANDLE *job)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
    memset(&limits, 0, sizeof limits);
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_BREAKAWAY_OK;
    spork_status status = own_job != NULL ? SPORK_OK : new_job(&limits, &own_job);
    *job = own_job;
    return status;
}

spork_status spork__job_with_limits(const spork__limits *wanted, HANDLE *job)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
    *job = NULL;
    memset(&limits, 0, sizeof limits);
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_BREAKAWAY_OK;
    if (wanted->max_memory != 0) {
        limits.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_PROCESS_MEMORY;
        limits.ProcessMemoryLimit = (SIZE_T)(wanted->max_memory < SIZE_MAX ? wanted->max_memory : SIZE_MAX);
    }
    if (wanted->max_cpu_ms != 0) {
        limits.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_PROCESS_TIME;
        limits.BasicLimitInformation.PerProcessUserTimeLimit.QuadPart =
            (LONGLONG)(wanted->max_cpu_ms < INT64_MAX / 10000 ? wanted->max_cpu_ms : INT64_MAX / 10000) * 10000;
    }
    return wanted->max_memory == 0 && wanted->max_cpu_ms == 0 ? SPORK_OK : new_job(&limits, job);
}

/* Nothing has to travel, and there is nothing to tie to. */
spork_status spork__os_lifeline(spork_native *watched_end)
{
    *watched_end = SPORK__NO_HANDLE;
    return SPORK_OK;
}

spork_status spork__os_lifeline_tie(spork_native watched_end)
{
    (void)watched_end;
    return SPORK_OK;
}

void spork__os_lifeline_forget(void) {}
