/* How long a test waits, and how much it does. Both are asked here and nowhere else, so that no test knows how fast the machine is. */
#ifndef HARNESS_BUDGET_H
#define HARNESS_BUDGET_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Milliseconds after which a wait that normally takes milliseconds is taken for hung: a minute, times SPORK_TEST_PATIENCE.
 * Nothing is measured by it; it only ends what would never end. */
int harness_patience_ms(void);
/* A little less, for who waits on the test's behalf in another process: it gives up first, and says what did not come. */
int harness_helper_patience_ms(void);

/* Lets Spork be as patient with a child that is to begin. */
void harness_be_patient(void);

/* SPORK_TEST_FULL is above 0: full counts, whatever time they take. */
bool harness_full(void);

/* How often a test repeats itself: at least `least` times, at most `most` times, and in between for as long as its seconds last.
 * Sanitizers and wine get twice the seconds. */
typedef struct harness_budget {
    double seconds;
    int least, most;
    double end; /* when the time is over; 0: it has not begun */
} harness_budget;
harness_budget harness_budget_of(double seconds, int least, int most);
/* Whether to go on after so many times. The first call lets the clock begin. When it says no, it prints how far the test came. */
bool harness_goes_on(harness_budget *budget, int done);

/* A count that other processes must know before they begin, and which therefore cannot follow the clock: `full` if full counts are
 * wanted, else a tenth of it (sanitizers: a twentieth; wine: a fiftieth); at least 1. */
int harness_count(int full);

#ifdef __cplusplus
}
#endif
#endif
