/* The configuration of builds without CMake: `cc -I include -I src/fallback -iquote src -iquote src/posix …`. It names
 * only what is certain from the compiler's and the C library's own macros; the rest is done the portable way. */
#ifndef SPORK_CONFIG_H
#define SPORK_CONFIG_H

#if defined(__linux__)
#include <features.h>
#endif
#if defined(__linux__) && defined(__GLIBC_PREREQ)
#define SPORK_GLIBC(major, minor) __GLIBC_PREREQ(major, minor)
#else
#define SPORK_GLIBC(major, minor) 0
#endif
#if defined(__linux__)
#define SPORK_ON_LINUX 1
#else
#define SPORK_ON_LINUX 0
#endif
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__) || defined(__DragonFly__)
#define SPORK_ON_BSD 1
#else
#define SPORK_ON_BSD 0
#endif

#define SPORK_FAULTS 0
#define SPORK_PORTABLE_POSIX 0
#define SPORK_HAVE_DL_FIND_OBJECT SPORK_GLIBC(2, 35)
#define SPORK_HAVE_PIPE2 SPORK_ON_LINUX
#define SPORK_HAVE_MEMFD_CREATE SPORK_GLIBC(2, 27)
#define SPORK_HAVE_PWRITEV2 SPORK_GLIBC(2, 26)
#define SPORK_HAVE_CLOSE_RANGE SPORK_GLIBC(2, 34)
#define SPORK_HAVE_CLONE3 0
#define SPORK_HAVE_LIBC_SINGLE_THREADED SPORK_GLIBC(2, 32)
#define SPORK_HAVE_POSIX_FALLOCATE SPORK_ON_LINUX
#define SPORK_HAVE_SCHED_GETAFFINITY SPORK_ON_LINUX
#define SPORK_HAVE_FPURGE SPORK_ON_BSD
#define SPORK_HAVE___FPURGE SPORK_ON_LINUX
#define SPORK_HAVE_EVENTFD SPORK_ON_LINUX
#define SPORK_HAVE_SYS_AUXV SPORK_ON_LINUX
#define SPORK_HAVE_MADV_WIPEONFORK SPORK_GLIBC(2, 28)

#define SPORK_INSTALLED_HOST ""

#endif
