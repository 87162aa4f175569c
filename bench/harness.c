#include "harness.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spork/spork.h>

#ifndef _WIN32
#include <sys/resource.h>
#include <sys/utsname.h>
#endif

enum { ROUNDS = 301, QUICK_ROUNDS = 31, LEAST_ROUNDS = 5, ROWS = 64 };

typedef enum bar_kind { NO_BAR, AT_MOST, AT_LEAST } bar_kind;

typedef struct row {
    const char *name;
    bench_case *ours, *other;
    double ratio;
    bar_kind kind;
    double bar;
} row;

static struct {
    const char *json, *title;
    int rounds;
    row rows[ROWS];
    size_t count, runs;
} bench = {.rounds = ROUNDS};

_Noreturn void bench_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

double bench_since_us(double begin) { return (spork_time() - begin) * 1e6; }

/* ---- the options and the machine ---- */

static const char *value_of(int argc, char **argv, int *at)
{
    if (*at + 1 < argc) return argv[++*at];
    fprintf(stderr, "%s needs a value\n", argv[*at]);
    exit(2);
}

/* Else other work comes in between, for a tick of the clock or more, wherever one process hands over to another. */
static bool raise_priority(void)
{
#ifdef _WIN32
    return false;
#else
    return setpriority(PRIO_PROCESS, 0, -15) == 0;
#endif
}

static void tell_machine(const char *title, bool raised)
{
    printf("%s: ", title);
#ifdef _WIN32
    printf("Windows");
#else
    struct utsname u;
    if (uname(&u) == 0) printf("%s %s %s", u.sysname, u.release, u.machine);
#endif
    printf(", %d CPUs, Spork %s, %s build%s\n", spork_cpu_count(), spork_version(), BENCH_BUILD_TYPE,
           raised ? ", at raised priority" : "");
#ifndef NDEBUG
    printf("Assertions are on: this is no build to measure\n");
#endif
}

void bench_begin(int argc, char **argv, const char *title)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            bench.json = value_of(argc, argv, &i);
        } else if (strcmp(argv[i], "--rounds") == 0) {
            bench.rounds = atoi(value_of(argc, argv, &i));
        } else if (strcmp(argv[i], "--quick") == 0) {
            bench.rounds = QUICK_ROUNDS;
        } else {
            fprintf(stderr, "usage: %s [--json FILE] [--rounds N] [--quick]\n", argv[0]);
            exit(2);
        }
    }
    bench.title = title;
    tell_machine(title, raise_priority());
}

int bench_rounds(double share)
{
    int rounds = (int)(bench.rounds * share);
    return rounds < LEAST_ROUNDS ? LEAST_ROUNDS : rounds;
}

/* ---- measuring ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double *sorted(const double *values, size_t count)
{
    double *copy = malloc(count * sizeof *copy);
    if (copy == NULL) bench_fail("memory for the values");
    memcpy(copy, values, count * sizeof *copy);
    qsort(copy, count, sizeof *copy, compare);
    return copy;
}

static double middle(const double *in_order, size_t count)
{
    return (in_order[(count - 1) / 2] + in_order[count / 2]) / 2;
}

static void sum_up(bench_case *c)
{
    double *in_order = sorted(c->values, c->count);
    c->least = in_order[0];
    c->lower = in_order[c->count / 4];
    c->median = middle(in_order, c->count);
    c->upper = in_order[c->count * 3 / 4];
    free(in_order);
}

double bench_burst(double (*once)(void))
{
    enum { WARM_UP = 3, COUNTED = 7 };
    double values[COUNTED];
    for (int i = 0; i < WARM_UP; i++) once();
    for (int i = 0; i < COUNTED; i++) values[i] = once();
    qsort(values, COUNTED, sizeof *values, compare);
    return middle(values, COUNTED);
}

static void make_room(bench_case *c, size_t more)
{
    double *values = realloc(c->values, (c->count + more) * sizeof *values);
    if (values == NULL) bench_fail("memory for the values");
    c->values = values;
}

void bench_add(bench_case *c, double value)
{
    make_room(c, 1);
    c->values[c->count++] = value;
    sum_up(c);
}

void bench_run(bench_case *const *cases, size_t count, int rounds)
{
    for (size_t i = 0; i < count; i++) { /* now, not between two rounds */
        make_room(cases[i], (size_t)rounds);
        cases[i]->measure(); /* what is made once, and cold caches, count for nobody */
    }
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            bench_case *c = cases[round % 2 == 0 ? i : count - 1 - i];
            c->values[c->count++] = c->measure();
        }
    }
    bench.runs++;
    for (size_t i = 0; i < count; i++) {
        cases[i]->runs++;
        cases[i]->last_run = bench.runs;
        sum_up(cases[i]);
    }
}

void bench_show(bench_case *const *cases, size_t count)
{
    static bool headed;
    if (!headed) printf("\n%-44s %10s %10s %10s %10s %7s\n", "", "least", "lower 1/4", "median", "upper 1/4", "rounds");
    headed = true;
    for (size_t i = 0; i < count; i++) {
        const bench_case *c = cases[i];
        printf("%-44s %10.1f %10.1f %10.1f %10.1f %7zu  %s%s\n", c->name, c->least, c->lower, c->median, c->upper,
               c->count, c->unit, c->upper > 2 * c->lower ? ", disturbed" : "");
    }
    fflush(stdout);
}

/* ---- results ---- */

static double ratio_of(const bench_case *ours, const bench_case *other)
{
    bool in_turns = ours->count == other->count && ours->runs == other->runs && ours->last_run == other->last_run;
    if (!in_turns) return ours->median / other->median;
    double *ratios = sorted(ours->values, ours->count);
    for (size_t i = 0; i < ours->count; i++) ratios[i] = ours->values[i] / other->values[i];
    qsort(ratios, ours->count, sizeof *ratios, compare);
    double ratio = middle(ratios, ours->count);
    free(ratios);
    return ratio;
}

static void add_row(const char *name, bench_case *ours, bench_case *other, bar_kind kind, double bar)
{
    if (ours->count == 0 || other->count == 0) return; /* was not to be had here */
    if (bench.count == ROWS) {
        errno = ENOSPC;
        bench_fail(name);
    }
    bench.rows[bench.count++] = (row){name, ours, other, ratio_of(ours, other), kind, bar};
}

void bench_at_most(const char *name, bench_case *ours, bench_case *other, double bar)
{
    add_row(name, ours, other, AT_MOST, bar);
}

void bench_at_least(const char *name, bench_case *ours, bench_case *other, double bar)
{
    add_row(name, ours, other, AT_LEAST, bar);
}

void bench_report(const char *name, bench_case *ours, bench_case *other) { add_row(name, ours, other, NO_BAR, 0); }

static bool holds(const row *r) { return r->kind == AT_MOST ? r->ratio <= r->bar : r->ratio >= r->bar; }

static void print_rows(void)
{
    printf("\n%-44s %10s %10s %8s  %-8s\n", "", "Spork", "other", "ratio", "bar");
    for (size_t i = 0; i < bench.count; i++) {
        const row *r = &bench.rows[i];
        char bar[32] = "-";
        if (r->kind != NO_BAR) snprintf(bar, sizeof bar, "%s %g", r->kind == AT_MOST ? "<=" : ">=", r->bar);
        printf("%-44s %10.1f %10.1f %8.3g  %-8s %-6s %s, %s\n", r->name, r->ours->median, r->other->median, r->ratio,
               bar,
               r->kind == NO_BAR ? ""
               : holds(r)        ? "holds"
                                 : "BROKEN",
               r->other->name, r->ours->unit);
    }
    printf("\n");
}

/* Names are plain ASCII without quotes; nothing is escaped. */
static void write_row(FILE *f, const row *r)
{
    fprintf(f,
            "{\"suite\": \"%s\", \"name\": \"%s\", \"unit\": \"%s\", \"spork\": %.3f, \"spork_quartiles\": [%.3f, %.3f], "
            "\"rounds\": %zu, \"other\": %.3f, \"other_quartiles\": [%.3f, %.3f], \"other_name\": \"%s\", ",
            bench.title, r->name, r->ours->unit, r->ours->median, r->ours->lower, r->ours->upper, r->ours->count,
            r->other->median, r->other->lower, r->other->upper, r->other->name);
    if (r->other->median > 0)
        fprintf(f, "\"ratio\": %.4f, ", r->ratio);
    else
        fprintf(f, "\"ratio\": null, ");
    if (r->kind == NO_BAR)
        fprintf(f, "\"bar\": null, \"at_most\": null, \"holds\": null}");
    else
        fprintf(f, "\"bar\": %g, \"at_most\": %s, \"holds\": %s}", r->bar,
                r->kind == AT_MOST ? "true" : "false", holds(r) ? "true" : "false");
}

int bench_end(void)
{
    print_rows();
    if (bench.json == NULL) return 0;
    FILE *f = fopen(bench.json, "w");
    if (f == NULL) bench_fail(bench.json);
    for (size_t i = 0; i < bench.count; i++) {
        fputs(i == 0 ? "[\n  " : ",\n  ", f);
        write_row(f, &bench.rows[i]);
    }
    fputs(bench.count == 0 ? "[]\n" : "\n]\n", f);
    if (fclose(f) != 0) bench_fail(bench.json);
    return 0;
}
