/* The configuration of builds without CMake, `cc -I include -I src/fallback -iquote src -iquote src/posix ...`, and of the
 * amalgamation, whose spork.c begins with it (scripts/amalgamate.py): what CMake finds out by trying, decided by the preprocessor. It
 * must mirror SporkProbes.cmake: each SPORK_HAVE_ there that chooses source text has its lines here, with the same meaning. Where
 * a fact cannot be told for certain it is 0, and the portable way is taken. Each can be set from outside: -DSPORK_HAVE_PIDFD=0.
 * -DSPORK_PORTABLE_POSIX=1 takes what every POSIX system has, also on Linux, to test those parts there. */
#ifndef SPORK_CONFIG_H
#define SPORK_CONFIG_H

/* ---- before any header of the system -------------------------------------------------------------------------------- */

#ifndef SPORK_BUILDING
#define SPORK_BUILDING
#endif
#if defined(_WIN32)
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifdef _MSC_VER
#ifndef _CRT_SECURE_NO_WARNINGS
#define _CRT_SECURE_NO_WARNINGS /* of the standard's own functions */
#endif
#pragma comment(lib, "bcrypt")
#pragma comment(lib, "psapi")
#endif
#else
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
#endif

/* ---- the options ---------------------------------------------------------------------------------------------------- */

#ifndef SPORK_FAULTS
#define SPORK_FAULTS 0
#endif
#ifndef SPORK_PORTABLE_POSIX
#define SPORK_PORTABLE_POSIX 0
#endif
/* spork-host is no part of the amalgamation. One beside the program is found, or where these say. */
#ifndef SPORK_INSTALLED_HOST
#ifdef _WIN32
#define SPORK_INSTALLED_HOST "spork-host.exe"
#else
#define SPORK_INSTALLED_HOST "spork-host"
#endif
#endif
#ifndef SPORK_HOST_FROM_LIBRARY
#define SPORK_HOST_FROM_LIBRARY SPORK_INSTALLED_HOST
#endif

/* ---- what the probes look at ---------------------------------------------------------------------------------------- */

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#endif
#if defined(__linux__)
#define SPORK__ON_LINUX 1
#include <features.h>
#include <sys/syscall.h>
#else
#define SPORK__ON_LINUX 0
#endif
#if defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__) || defined(__DragonFly__)
#define SPORK__ON_BSD 1
#else
#define SPORK__ON_BSD 0
#endif
#if defined(__APPLE__)
#define SPORK__ON_MACOS 1
#else
#define SPORK__ON_MACOS 0
#endif

/* SPORK__GLIBC: it is glibc, and at least that one. SPORK__LIBC: the same, or another C library: there a macro that comes with
 * the function tells. */
#if SPORK__ON_LINUX && defined(__GLIBC_PREREQ)
#define SPORK__GLIBC(major, minor) __GLIBC_PREREQ(major, minor)
#define SPORK__LIBC(major, minor) __GLIBC_PREREQ(major, minor)
#else
#define SPORK__GLIBC(major, minor) 0
#define SPORK__LIBC(major, minor) 1
#endif

/* Headers that a system may lack: those of Linux come in a package of their own where the C library is musl. */
#if defined(__has_include)
#if __has_include(<sys/eventfd.h>)
#define SPORK__SEES_EVENTFD
#endif
#if SPORK__ON_LINUX
#if __has_include(<linux/futex.h>)
#define SPORK__SEES_FUTEX
#endif
#if __has_include(<linux/sched.h>)
#include <linux/sched.h> /* CLONE_ARGS_SIZE_VER0: the one with struct clone_args */
#endif
#endif
#endif

/* ---- the probes, in the order of SporkProbes.cmake ------------------------------------------------------------------- */

#ifndef SPORK_HAVE_PIPE2
#if (SPORK__ON_LINUX || SPORK__ON_BSD) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_PIPE2 1
#else
#define SPORK_HAVE_PIPE2 0
#endif
#endif

#ifndef SPORK_HAVE_DL_FIND_OBJECT
#if SPORK__GLIBC(2, 35) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_DL_FIND_OBJECT 1
#else
#define SPORK_HAVE_DL_FIND_OBJECT 0
#endif
#endif

#ifndef SPORK_HAVE_MEMFD_CREATE
#if defined(MFD_CLOEXEC) && SPORK__LIBC(2, 27) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_MEMFD_CREATE 1
#else
#define SPORK_HAVE_MEMFD_CREATE 0
#endif
#endif

#ifndef SPORK_HAVE_MADV_WIPEONFORK
#if defined(MADV_WIPEONFORK) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_MADV_WIPEONFORK 1
#else
#define SPORK_HAVE_MADV_WIPEONFORK 0
#endif
#endif

#ifndef SPORK_HAVE_CLOSE_RANGE
#if SPORK__GLIBC(2, 34) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_CLOSE_RANGE 1
#elif defined(__FreeBSD__) && !SPORK_PORTABLE_POSIX
#if __FreeBSD__ >= 13
#define SPORK_HAVE_CLOSE_RANGE 1
#else
#define SPORK_HAVE_CLOSE_RANGE 0
#endif
#else
#define SPORK_HAVE_CLOSE_RANGE 0
#endif
#endif

#ifndef SPORK_HAVE_POSIX_FALLOCATE
#if SPORK__ON_LINUX || defined(__FreeBSD__) || defined(__NetBSD__)
#define SPORK_HAVE_POSIX_FALLOCATE 1
#else
#define SPORK_HAVE_POSIX_FALLOCATE 0
#endif
#endif

#ifndef SPORK_HAVE_OFD_LOCKS
#define SPORK_HAVE_OFD_LOCKS (SPORK__ON_LINUX && !SPORK_PORTABLE_POSIX)
#endif

#ifndef SPORK_HAVE_PUNCH_HOLE
#if SPORK__ON_LINUX && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_PUNCH_HOLE 1
#else
#define SPORK_HAVE_PUNCH_HOLE 0
#endif
#endif

#ifndef SPORK_HAVE_SCHED_GETAFFINITY
#if SPORK__ON_LINUX
#define SPORK_HAVE_SCHED_GETAFFINITY 1
#else
#define SPORK_HAVE_SCHED_GETAFFINITY 0
#endif
#endif

#ifndef SPORK_HAVE_ON_EXIT
#if defined(__GLIBC__) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_ON_EXIT 1
#else
#define SPORK_HAVE_ON_EXIT 0
#endif
#endif

#ifndef SPORK_HAVE_FPURGE
#if SPORK__ON_BSD || SPORK__ON_MACOS
#define SPORK_HAVE_FPURGE 1
#else
#define SPORK_HAVE_FPURGE 0
#endif
#endif

#ifndef SPORK_HAVE___FPURGE
#if SPORK__ON_LINUX
#define SPORK_HAVE___FPURGE 1
#else
#define SPORK_HAVE___FPURGE 0
#endif
#endif

#ifndef SPORK_HAVE_SYS_AUXV
#if SPORK__ON_LINUX
#define SPORK_HAVE_SYS_AUXV 1
#else
#define SPORK_HAVE_SYS_AUXV 0
#endif
#endif

#ifndef SPORK_HAVE_LIBC_SINGLE_THREADED
#if SPORK__GLIBC(2, 32) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_LIBC_SINGLE_THREADED 1
#else
#define SPORK_HAVE_LIBC_SINGLE_THREADED 0
#endif
#endif

#ifndef SPORK_HAVE_CLONE3
#if defined(CLONE_ARGS_SIZE_VER0) && defined(SYS_clone3) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_CLONE3 1
#else
#define SPORK_HAVE_CLONE3 0
#endif
#endif

#ifndef SPORK_HAVE_F_SETSIG
#if defined(F_SETSIG) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_F_SETSIG 1
#else
#define SPORK_HAVE_F_SETSIG 0
#endif
#endif

#ifndef SPORK_HAVE_PWRITEV2
#if defined(RWF_HIPRI) && SPORK__LIBC(2, 26) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_PWRITEV2 1
#else
#define SPORK_HAVE_PWRITEV2 0
#endif
#endif

#ifndef SPORK_HAVE_O_TMPFILE
#if defined(O_TMPFILE) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_O_TMPFILE 1
#else
#define SPORK_HAVE_O_TMPFILE 0
#endif
#endif

#ifndef SPORK_HAVE_PIDFD
#if defined(SYS_pidfd_open) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_PIDFD 1
#else
#define SPORK_HAVE_PIDFD 0
#endif
#endif

#ifndef SPORK_HAVE_FUTEX
#if defined(SPORK__SEES_FUTEX) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_FUTEX 1
#else
#define SPORK_HAVE_FUTEX 0
#endif
#endif

#ifndef SPORK_HAVE_EVENTFD
#if defined(SPORK__SEES_EVENTFD) && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_EVENTFD 1
#else
#define SPORK_HAVE_EVENTFD 0
#endif
#endif

#ifndef SPORK_HAVE_KQUEUE
#if SPORK__ON_BSD || SPORK__ON_MACOS
#define SPORK_HAVE_KQUEUE 1
#else
#define SPORK_HAVE_KQUEUE 0
#endif
#endif

#ifndef SPORK_HAVE_DL_ITERATE_PHDR
#if SPORK__ON_LINUX || SPORK__ON_BSD
#define SPORK_HAVE_DL_ITERATE_PHDR 1
#else
#define SPORK_HAVE_DL_ITERATE_PHDR 0
#endif
#endif

#ifndef SPORK_HAVE_ABSTRACT_NAMES
#if SPORK__ON_LINUX && !SPORK_PORTABLE_POSIX
#define SPORK_HAVE_ABSTRACT_NAMES 1
#else
#define SPORK_HAVE_ABSTRACT_NAMES 0
#endif
#endif

#endif
