/* A small bench harness. Cases take turns, so that what disturbs the machine disturbs all of them alike; told are
 * medians, their spread, and ratios, some of which have a bar to hold.
 *
 * A ratio is that of two medians; of cases that took turns it is the median of their rounds' ratios, because on a busy
 * machine one of two medians may happen to lie in a bad moment, while both sides of a round lie in the same.
 *
 *     bench_begin(argc, argv, "Locks");
 *     static bench_case ours = {.name = "Spork lock", .unit = "ns", .measure = measure_ours}, raw = {...};
 *     bench_run((bench_case *[]){&ours, &raw}, 2, bench_rounds(1));
 *     bench_at_most("lock, alone", &ours, &raw, 1.3);
 *     return bench_end();
 *
 * A host may move a virtual machine's CPUs, near each other or far apart, for minutes at a time:
 * then what two processes share costs other times, and every ratio is another. So a program of
 * such cases has each round placed: the round trip of a cache line is measured before and after
 * it, rounds that straddle a change are dropped, and each placement gets rows of its own.
 *
 * Every bench program takes --json FILE, --rounds N and --quick; those that ask bench_wants
 * also --only TEXT. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>

/* Where the CPUs are: near, or far (a line's round trip of BENCH_FAR_NS and more). */
typedef enum bench_placement {
    BENCH_ANYWHERE,
    BENCH_NEAR,
    BENCH_FAR,
    BENCH_PLACEMENTS
} bench_placement;
enum { BENCH_FAR_NS = 250 };

typedef struct bench_figures {
    size_t count;
    double least, lower, median, upper; /* minimum and quartiles */
} bench_figures;

typedef struct bench_case {
    const char *name, *unit;
    double (*measure)(void); /* one round; returns its value in `unit` */
    double *values;          /* the rest is the harness': in the order of the rounds */
    bench_placement *places; /* of the values */
    size_t count, runs, last_run;
    bench_figures figures; /* of all values */
} bench_case;

/* Reads the options, tells what machine and build this is, and where it may (as root) raises this process' priority. */
void bench_begin(int argc, char **argv, const char *title);
/* Whether --only names it, by a part of its name, or is not there. */
bool bench_wants(const char *name);
/* Rounds for cases that can afford that share of all rounds; 5 at least. */
int bench_rounds(double share);
/* From here on rounds are placed. Without two CPUs they are not. */
void bench_place_rounds(void);
/* Runs the cases in turns, backwards in every other round: none always follows the same one. Another run adds to it. */
void bench_run(bench_case *const *cases, size_t count, int rounds);
/* A value that somebody else measured. */
void bench_add(bench_case *c, double value);
/* Prints the cases' medians and spreads. */
void bench_show(bench_case *const *cases, size_t count);
/* A row of the result: the ratio of Spork's case to another one, which shall be at most, or at least, the bar. */
void bench_at_most(const char *name, bench_case *ours, bench_case *other, double bar);
void bench_at_least(const char *name, bench_case *ours, bench_case *other, double bar);
/* The same without a bar. */
void bench_report(const char *name, bench_case *ours, bench_case *other);
/* Prints the table of results and writes the JSON. Returns main's exit code: a broken bar is a result, no failure. */
int bench_end(void);

/* Ends the program: the machine does not let us measure. */
_Noreturn void bench_fail(const char *what);
/* The median of a burst of calls, the first few left out: what a loop sees, with caches and CPUs awake for it. */
double bench_burst(double (*once)(void));
/* Microseconds since `begin`, which is of spork_time(). */
double bench_since_us(double begin);

#endif
