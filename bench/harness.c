#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spork/spork.h>

#include "line.h"

#ifndef _WIN32
#include <sys/resource.h>
#include <sys/utsname.h>
#endif

enum { ROUNDS = 301, QUICK_ROUNDS = 31, LEAST_ROUNDS = 5, ROWS = 160 };

typedef enum bar_kind { NO_BAR, AT_MOST, AT_LEAST } bar_kind;

typedef struct row {
    const char *name;
    bench_placement place;
    const bench_case *ours_case, *other_case;
    bench_figures ours, other;
    double ratio;
    bar_kind kind;
    double bar;
} row;

static struct {
    const char *json, *title, *only;
    int rounds;
    row rows[ROWS];
    size_t count, runs;
    bool places_rounds;
    double line_ns[BENCH_PLACEMENTS]; /* the last round's of that placement */
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
        } else if (strcmp(argv[i], "--only") == 0) {
            bench.only = value_of(argc, argv, &i);
        } else if (strcmp(argv[i], "--quick") == 0) {
            bench.rounds = QUICK_ROUNDS;
        } else {
            fprintf(stderr, "usage: %s [--json FILE] [--rounds N] [--quick] [--only TEXT]\n",
                    argv[0]);
            exit(2);
        }
    }
    bench.title = title;
    tell_machine(title, raise_priority());
}

bool bench_wants(const char *name)
{
    return bench.only == NULL || strstr(name, bench.only) != NULL;
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

static bench_figures sum_up(const double *values, size_t count)
{
    double *in_order = sorted(values, count);
    bench_figures f = {.count = count,
                       .least = in_order[0],
                       .lower = in_order[count / 4],
                       .median = middle(in_order, count),
                       .upper = in_order[count * 3 / 4]};
    free(in_order);
    return f;
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
    c->values = realloc(c->values, (c->count + more) * sizeof *c->values);
    c->places = realloc(c->places, (c->count + more) * sizeof *c->places);
    if (c->values == NULL || c->places == NULL) bench_fail("memory for the values");
}

void bench_add(bench_case *c, double value)
{
    make_room(c, 1);
    c->places[c->count] = BENCH_ANYWHERE;
    c->values[c->count++] = value;
    c->figures = sum_up(c->values, c->count);
}

/* ---- where the CPUs are ---- */

void bench_place_rounds(void) { bench.places_rounds = spork_cpu_count() > 1; }

static bench_placement placement_of(double line_ns)
{
    return line_ns < BENCH_FAR_NS ? BENCH_NEAR : BENCH_FAR;
}

/* Where a round was that began at such a distance; BENCH_ANYWHERE: it straddles a change. */
static bench_placement placement_since(double before_ns)
{
    double after_ns = bench_line_ns(), low = before_ns < after_ns ? before_ns : after_ns;
    bench_placement place = placement_of(before_ns);
    if (low <= 0) return BENCH_ANYWHERE; /* it could not be measured */
    if (place != placement_of(after_ns) || before_ns + after_ns > 3 * low) return BENCH_ANYWHERE;
    bench.line_ns[place] = low;
    return place;
}

void bench_run(bench_case *const *cases, size_t count, int rounds)
{
    for (size_t i = 0; i < count; i++) { /* now, not between two rounds */
        make_room(cases[i], (size_t)rounds);
        cases[i]->measure(); /* what is made once, and cold caches, count for nobody */
    }
    for (int round = 0, dropped = 0; round < rounds; round++) {
        double before_ns = bench.places_rounds ? bench_line_ns() : 0;
        for (size_t i = 0; i < count; i++) {
            bench_case *c = cases[round % 2 == 0 ? i : count - 1 - i];
            c->values[c->count] = c->measure();
        }
        bench_placement place = bench.places_rounds ? placement_since(before_ns) : BENCH_ANYWHERE;
        bool keep = !bench.places_rounds || place != BENCH_ANYWHERE || dropped++ >= rounds;
        for (size_t i = 0; i < count && keep; i++) cases[i]->places[cases[i]->count++] = place;
        if (!keep) round--;
    }
    bench.runs++;
    for (size_t i = 0; i < count; i++) {
        cases[i]->runs++;
        cases[i]->last_run = bench.runs;
        cases[i]->figures = sum_up(cases[i]->values, cases[i]->count);
    }
}

void bench_show(bench_case *const *cases, size_t count)
{
    static bool headed;
    if (!headed) printf("\n%-44s %10s %10s %10s %10s %7s\n", "", "least", "lower 1/4", "median", "upper 1/4", "rounds");
    headed = true;
    for (size_t i = 0; i < count; i++) {
        const bench_figures *f = &cases[i]->figures;
        printf("%-44s %10.1f %10.1f %10.1f %10.1f %7zu  %s%s\n", cases[i]->name, f->least, f->lower,
               f->median, f->upper, f->count, cases[i]->unit,
               f->upper > 2 * f->lower ? ", disturbed" : "");
    }
    fflush(stdout);
}

/* ---- results ---- */

static bool in_turns(const bench_case *a, const bench_case *b)
{
    return a->count == b->count && a->runs == b->runs && a->last_run == b->last_run;
}

/* The values of one placement, or all; how many. Of cases that took turns, the ratios too. */
static size_t pick(const bench_case *c, bench_placement place, double *values)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++)
        if (place == BENCH_ANYWHERE || c->places[i] == place) values[n++] = c->values[i];
    return n;
}

static double *space_for(const bench_case *c)
{
    double *values = malloc(c->count * sizeof *values);
    if (values == NULL) bench_fail("memory for the values");
    return values;
}

/* False: there are too few rounds of that placement. */
static bool compare_cases(row *r)
{
    double *ours = space_for(r->ours_case), *other = space_for(r->other_case);
    size_t n = pick(r->ours_case, r->place, ours), m = pick(r->other_case, r->place, other);
    bool enough =
        n > 0 && m > 0 && (r->place == BENCH_ANYWHERE || (n >= LEAST_ROUNDS && m >= LEAST_ROUNDS));
    if (enough) {
        r->ours = sum_up(ours, n);
        r->other = sum_up(other, m);
        r->ratio = r->ours.median / r->other.median;
    }
    if (enough && in_turns(r->ours_case, r->other_case)) {
        for (size_t i = 0; i < n; i++) ours[i] /= other[i];
        r->ratio = sum_up(ours, n).median;
    }
    free(ours);
    free(other);
    return enough;
}

static bool is_placed(const bench_case *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->places[i] != BENCH_ANYWHERE) return true;
    return false;
}

static void add_row_of(row r)
{
    if (!compare_cases(&r)) return;
    if (bench.count == ROWS) {
        errno = ENOSPC;
        bench_fail(r.name);
    }
    bench.rows[bench.count++] = r;
}

static void add_row(const char *name, bench_case *ours, bench_case *other, bar_kind kind,
                    double bar)
{
    row r = {.name = name, .ours_case = ours, .other_case = other, .kind = kind, .bar = bar};
    size_t before = bench.count;
    if (ours->count == 0 || other->count == 0) return; /* was not to be had here */
    for (int place = BENCH_NEAR; place < BENCH_PLACEMENTS && is_placed(ours) && is_placed(other);
         place++) {
        r.place = (bench_placement)place;
        add_row_of(r);
    }
    r.place = BENCH_ANYWHERE;
    if (bench.count == before) add_row_of(r); /* of none there are enough rounds */
}

/* With the placement. */
static const char *title_of(const row *r, char *text, size_t size)
{
    snprintf(text, size, "%s%s", r->name,
             r->place == BENCH_NEAR  ? ", near"
             : r->place == BENCH_FAR ? ", far"
                                     : "");
    return text;
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
    for (int place = BENCH_NEAR; place < BENCH_PLACEMENTS; place++)
        if (bench.line_ns[place] > 0)
            printf("\n%s: a cache line's round trip between the CPUs takes %.0f ns\n",
                   place == BENCH_NEAR ? "near" : "far", bench.line_ns[place]);
    printf("\n%-44s %10s %10s %8s  %-8s\n", "", "Spork", "other", "ratio", "bar");
    for (size_t i = 0; i < bench.count; i++) {
        const row *r = &bench.rows[i];
        char bar[32] = "-", title[200];
        if (r->kind != NO_BAR) snprintf(bar, sizeof bar, "%s %g", r->kind == AT_MOST ? "<=" : ">=", r->bar);
        printf("%-44s %10.1f %10.1f %8.3g  %-8s %-6s %s, %s\n", title_of(r, title, sizeof title),
               r->ours.median, r->other.median, r->ratio, bar,
               r->kind == NO_BAR ? ""
               : holds(r)        ? "holds"
                                 : "BROKEN",
               r->other_case->name, r->ours_case->unit);
    }
    printf("\n");
}

/* Names are plain ASCII without quotes; nothing is escaped. */
static void write_row(FILE *f, const row *r)
{
    char title[200];
    fprintf(f,
            "{\"suite\": \"%s\", \"name\": \"%s\", \"unit\": \"%s\", \"spork\": %.3f, "
            "\"spork_quartiles\": [%.3f, %.3f], "
            "\"rounds\": %zu, \"other\": %.3f, \"other_quartiles\": [%.3f, %.3f], \"other_name\": "
            "\"%s\", ",
            bench.title, title_of(r, title, sizeof title), r->ours_case->unit, r->ours.median,
            r->ours.lower, r->ours.upper, r->ours.count, r->other.median, r->other.lower,
            r->other.upper, r->other_case->name);
    if (r->other.median > 0)
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
