/* Hints for the compiler, where a short way and a long one part: the short one is to be one piece of
 * straight code, and what the long one needs, its frame above all, is not to burden it. They change
 * nothing but speed. */
#ifndef SPORK_HINTS_H
#define SPORK_HINTS_H

#if defined(__GNUC__)
#define SPORK__SHORT_WAY __attribute__((flatten)) /* all that it calls here is part of it */
#define SPORK__LONG_WAY __attribute__((noinline))
#else
#define SPORK__SHORT_WAY
#define SPORK__LONG_WAY
#endif

#endif
