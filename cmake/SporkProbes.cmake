# What this system has. Each SPORK_HAVE_… becomes 0 or 1 in spork_config.h; SPORK_ALTERNATIVES names the files of src/posix
# that are chosen among several which do the same thing in different ways.
include(CMakePushCheckState)
include(CheckCSourceCompiles)
include(CheckIncludeFile)
include(CheckSymbolExists)

cmake_push_check_state(RESET)
if(WIN32)
  if(MINGW) # MSVC's linker writes an identity by itself, MinGW's must be asked
    set(CMAKE_REQUIRED_LINK_OPTIONS -Wl,--build-id)
    check_c_source_compiles("int main(void) { return 0; }" SPORK_HAVE_PE_BUILD_ID)
  endif()
else()
  if(SPORK_PORTABLE_POSIX)
    # A variable that is set is not probed: the results of a normal build stay in the cache.
    foreach(name PIPE2 MEMFD_CREATE CLOSE_RANGE CLONE3 LIBC_SINGLE_THREADED MADV_WIPEONFORK F_SETSIG PIDFD)
      set(SPORK_HAVE_${name} 0)
    endforeach()
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
      set(SPORK_HAVE_KQUEUE 0)
    endif()
  endif()
  set(CMAKE_REQUIRED_DEFINITIONS -D_GNU_SOURCE)
  check_symbol_exists(pipe2 "fcntl.h;unistd.h" SPORK_HAVE_PIPE2)
  check_symbol_exists(memfd_create sys/mman.h SPORK_HAVE_MEMFD_CREATE)
  check_symbol_exists(MADV_WIPEONFORK sys/mman.h SPORK_HAVE_MADV_WIPEONFORK)
  check_symbol_exists(close_range unistd.h SPORK_HAVE_CLOSE_RANGE)
  check_symbol_exists(posix_fallocate fcntl.h SPORK_HAVE_POSIX_FALLOCATE)
  check_symbol_exists(sched_getaffinity sched.h SPORK_HAVE_SCHED_GETAFFINITY)
  check_symbol_exists(fpurge stdio.h SPORK_HAVE_FPURGE)
  check_symbol_exists(__fpurge "stdio.h;stdio_ext.h" SPORK_HAVE___FPURGE)
  check_symbol_exists(getauxval sys/auxv.h SPORK_HAVE_SYS_AUXV)
  check_include_file(sys/single_threaded.h SPORK_HAVE_LIBC_SINGLE_THREADED)
  check_c_source_compiles("
    #include <linux/sched.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    int main(void)
    {
        struct clone_args args = {.flags = CLONE_PARENT};
        return (int)syscall(SYS_clone3, &args, sizeof args);
    }" SPORK_HAVE_CLONE3)
  check_symbol_exists(F_SETSIG fcntl.h SPORK_HAVE_F_SETSIG)
  check_symbol_exists(SYS_pidfd_open sys/syscall.h SPORK_HAVE_PIDFD)
  check_symbol_exists(kqueue "sys/types.h;sys/time.h;sys/event.h" SPORK_HAVE_KQUEUE)
  check_symbol_exists(dl_iterate_phdr "sys/types.h;link.h" SPORK_HAVE_DL_ITERATE_PHDR)

  if(SPORK_HAVE_PIDFD)
    set(SPORK_ALTERNATIVES exit_pidfd)
  elseif(SPORK_HAVE_KQUEUE)
    set(SPORK_ALTERNATIVES exit_kqueue)
  else()
    set(SPORK_ALTERNATIVES exit_polling)
  endif()
  if(SPORK_HAVE_F_SETSIG)
    list(APPEND SPORK_ALTERNATIVES lifeline_sigio)
  else()
    list(APPEND SPORK_ALTERNATIVES lifeline_watcher)
  endif()
  if(APPLE)
    list(APPEND SPORK_ALTERNATIVES image_macho identity_libproc)
  elseif(SPORK_HAVE_DL_ITERATE_PHDR)
    list(APPEND SPORK_ALTERNATIVES image_elf identity_procfs)
  else()
    message(FATAL_ERROR "spork needs dl_iterate_phdr (<link.h>) or macOS to find the images of a process")
  endif()
endif()
cmake_pop_check_state()
