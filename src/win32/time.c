#include "os.h"

uint64_t spork__os_now(void)
{
    LARGE_INTEGER frequency, count; /* the same counter in all processes */
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    uint64_t f = (uint64_t)frequency.QuadPart, c = (uint64_t)count.QuadPart;
    return c / f * 1000000000u + c % f * 1000000000u / f;
}

void spork__os_yield(void) { SwitchToThread(); }

void spork__os_nap(void) { Sleep(0); }

void spork__os_sleep(int ms)
{
    if (ms < 0) Sleep(INFINITE);
    uint64_t until = spork__os_now() + (uint64_t)ms * 1000000;
    do {
        uint64_t now = spork__os_now();
        Sleep(now >= until ? 0 : (DWORD)((until - now + 999999) / 1000000)); /* Sleep may wake a tick early */
    } while (spork__os_now() < until);
}
