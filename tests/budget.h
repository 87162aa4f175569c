// How long the tests wait, and how often they repeat themselves: harness/budget.h for C++.
#ifndef TESTS_BUDGET_H
#define TESTS_BUDGET_H

#include "harness/budget.h"

inline const int kWatchdogMs = harness_patience_ms(); // only ends what hangs

// for (int round : repeat(1000)): 0, 1, … for as long as the budget lasts, see harness/budget.h.
class Rounds {
  public:
    explicit Rounds(const harness_budget &budget) : budget_(budget) {}
    class Iterator {
      public:
        Iterator(harness_budget *budget, int round) : budget_(budget), round_(round) {}
        bool operator!=(const Iterator &) const { return harness_goes_on(budget_, round_); }
        void operator++() { round_++; }
        int operator*() const { return round_; }

      private:
        harness_budget *budget_;
        int round_;
    };
    Iterator begin() { return {&budget_, 0}; }
    Iterator end() { return {&budget_, budget_.most}; }

  private:
    harness_budget budget_;
};
inline Rounds repeat(int most, int least = 4, double seconds = 1)
{
    return Rounds(harness_budget_of(seconds, least, most));
}

// For who repeats until something planted is found: its seconds only end what finds nothing.
inline harness_budget until_found(int most)
{
    return harness_budget_of(5 * kWatchdogMs / 1000.0, 1, most);
}

#endif
