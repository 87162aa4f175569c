#include <string.h>

#include "pgz.h"

enum { WIDTH = 78 };
static const double FIRST = 0.5, AGAIN = 0.2; /* seconds */
static bool shown;                            /* a line stands there */

void progress_begin(progress *p, const char *name, uint64_t size, bool quiet)
{
    memset(p, 0, sizeof *p);
    p->begin = p->told = spork_time();
    p->size = size;
    if (!quiet && files_is_terminal(stderr)) p->name = name;
}

static void show(progress *p, double now)
{
    char line[256], part[64] = "";
    double speed = (double)p->in / 1e6 / (now - p->begin);
    if (p->size > 0) {
        double left = speed > 0 && p->size > p->in ? (double)(p->size - p->in) / 1e6 / speed : 0;
        snprintf(part, sizeof part, "%3.0f %%, %d:%02d left, ", 100.0 * (double)p->in / (double)p->size, (int)left / 60,
                 (int)left % 60);
    }
    snprintf(line, sizeof line, "%.40s: %s%.1f MB/s, ratio %.2f", p->name, part, speed,
             p->out > 0 ? (double)p->in / (double)p->out : 0);
    fprintf(stderr, "\r%-*.*s", WIDTH, WIDTH, line);
    fflush(stderr);
    shown = true;
}

void progress_add(progress *p, uint64_t in, uint64_t out)
{
    p->in += in;
    p->out += out;
    if (p->name == NULL) return;
    double now = spork_time();
    if (now - p->told < (shown ? AGAIN : FIRST)) return;
    p->told = now;
    show(p, now);
}

void progress_wipe(void)
{
    if (!shown) return;
    fprintf(stderr, "\r%*s\r", WIDTH, "");
    fflush(stderr);
    shown = false;
}
