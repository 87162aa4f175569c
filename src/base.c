/* Small things about this library, this process and this machine. */
#include <spork/base.h>

#include <stdio.h>

#include "base.h"
#include "error.h"
#include "platform.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *spork_version(void)
{
    return TEXT(SPORK_VERSION_MAJOR) "." TEXT(SPORK_VERSION_MINOR) "." TEXT(SPORK_VERSION_PATCH);
}
int spork_version_number(void) { return SPORK_VERSION_NUMBER; }

bool spork__version_fits(int other, int own)
{
    int other_major = other / 10000, other_minor = other / 100 % 100;
    int own_major = own / 10000, own_minor = own / 100 % 100;
    return other >= 0 && other_major == own_major && (own_major == 0 ? other_minor == own_minor : other_minor <= own_minor);
}

int spork_getpid(void) { return spork__os_getpid(); }
double spork_time(void) { return (double)spork__os_now() / 1e9; }
void spork_sleep(int ms)
{
    if (ms < SPORK_FOREVER) return; /* reckoned to be over */
    if (ms != 0) spork__os_cancel_allow(NULL);
    spork__os_sleep(ms);
    spork__os_cancel_forbid();
}

int spork_fork(void)
{
    spork__os_flush();
    return spork__os_plain_fork();
}

int spork__cpu_count(const char *root, char *why, size_t size)
{
    spork__cpus cpus;
    spork__os_cpus(root, &cpus);
    int count = cpus.online > 0 ? cpus.online : 1;
    int used = 0;
    char text[768];
#define SAY(...)                                                                                                       \
    do {                                                                                                               \
        if (used >= 0 && (size_t)used < sizeof text)                                                                   \
            used += snprintf(text + used, sizeof text - (size_t)used, __VA_ARGS__);                                    \
    } while (0)
    SAY("the machine has %d", count);
    if (cpus.affinity > 0) {
        SAY(", the affinity mask allows %d", cpus.affinity);
        if (cpus.affinity < count) count = cpus.affinity;
    }
    if (cpus.quota > 0) {
        SAY(", %s grants %.2f", cpus.quota_file, cpus.quota);
        if (cpus.quota < count)
            count = (int)cpus.quota + ((double)(int)cpus.quota < cpus.quota); /* 1.5 CPUs keep two busy */
    } else {
        SAY(", there is no CPU quota");
    }
#undef SAY
    if (why != NULL && size > 0) snprintf(why, size, "%d CPU%s: %s", count, count == 1 ? "" : "s", text);
    return count;
}

int spork_cpu_count(void) { return spork__cpu_count("", NULL, 0); }
int spork_cpu_count_why(char *text, size_t size) { return spork__cpu_count("", text, size); }
