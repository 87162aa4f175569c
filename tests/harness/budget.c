/* See budget.h. */
#include "budget.h"

#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

static double number_of(const char *variable, double otherwise)
{
    const char *text = getenv(variable);
    double number = text != NULL ? strtod(text, NULL) : otherwise;
    return number > 0 ? number : otherwise;
}

int harness_patience_ms(void) { return (int)(60000 * number_of("SPORK_TEST_PATIENCE", 1)); }
int harness_helper_patience_ms(void) { return harness_patience_ms() / 10 * 9; }

void harness_be_patient(void)
{
    char ms[16];
    snprintf(ms, sizeof ms, "%d", harness_patience_ms());
    harness_setenv("SPORK_START_TIMEOUT_MS", ms);
}

bool harness_full(void) { return number_of("SPORK_TEST_FULL", 0) > 0; }

int harness_count(int full)
{
    if (harness_full()) return full;
    int count = full / (harness_wine() ? 50 : harness_instrumented() ? 20 : 10);
    return count < 1 ? 1 : count;
}

harness_budget harness_budget_of(double seconds, int least, int most)
{
    bool slow = harness_wine() || harness_instrumented();
    return (harness_budget){
        .seconds = slow ? 2 * seconds : seconds, .least = least < most ? least : most, .most = most};
}

bool harness_goes_on(harness_budget *budget, int done)
{
    double now = spork_time();
    if (budget->end == 0) budget->end = now + budget->seconds; /* the clock never stands at 0 then: seconds are > 0 */
    bool in_time = now < budget->end || harness_full();
    if (done < budget->least || (done < budget->most && in_time)) return true;
    printf("came to %d of %d in %.1f s\n", done, budget->most, now - (budget->end - budget->seconds));
    return false;
}
