# Holds that no call of the library is a cancellation point by accident: what the system has of such
# is called in two files only. -DLIBRARY=libspork.a -DNM=nm -DAPPLE=<bool>
cmake_minimum_required(VERSION 3.16)

execute_process(COMMAND ${NM} -A -u ${LIBRARY} OUTPUT_VARIABLE symbols RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${NM} cannot read ${LIBRARY}")
endif()

# POSIX' list, as far as C libraries keep to it, and what writes or reads through them. Not fcntl:
# only its locks that wait.
set(points accept accept4 clock_nanosleep close closedir connect copy_file_range creat epoll_pwait epoll_wait fallocate fclose
  fdatasync fflush fgetc fgets fopen fprintf fputc fputs fread fsync fwrite
  getc getchar getdelim dprintf vdprintf fscanf perror putc pthread_cond_clockwait sem_clockwait getline lockf msgrcv msgsnd msync
  nanosleep open openat opendir pause poll posix_fallocate ppoll pread preadv printf pselect pthread_cond_timedwait
  pthread_cond_wait pthread_join pthread_testcancel puts pwrite pwritev pwritev2 read readdir readv recv recvfrom recvmmsg recvmsg
  select sem_timedwait sem_wait send sendmmsg sendmsg sendto sigsuspend sigtimedwait sigwait sigwaitinfo sleep splice system tcdrain
  usleep vfprintf vprintf wait wait3 wait4 waitid waitpid write writev)

set(failures)
string(REPLACE "\n" ";" lines "${symbols}")
foreach(line IN LISTS lines)
  if(NOT line MATCHES "([a-z_0-9]+)\\.c\\.o(bj)?:.* U +([A-Za-z0-9_]+)")
    continue()
  endif()
  set(object ${CMAKE_MATCH_1})
  set(symbol ${CMAKE_MATCH_3})
  if(APPLE)
    string(REGEX REPLACE "^_([^$]*).*$" "\\1" symbol ${symbol}) # _read$NOCANCEL
  endif()
  if(object STREQUAL "cancel" OR object STREQUAL "uncancelled")
    string(REPLACE "64" "" plain ${symbol})
    if(plain IN_LIST points)
      set(seen_${object} TRUE)
    endif()
    continue()
  endif()
  string(REGEX REPLACE "^__(.*)_(chk|2)$" "\\1" plain ${symbol}) # as a hardened build calls them
  string(REPLACE "64" "" plain ${plain}) # with large files
  if(plain IN_LIST points)
    string(APPEND failures "  ${object}.c calls ${symbol}\n")
  endif()
endforeach()

if(NOT seen_cancel OR NOT seen_uncancelled)
  message(FATAL_ERROR "in ${LIBRARY} not even cancel.c and uncancelled.c call any of these, by ${NM}")
endif()
if(failures)
  message(FATAL_ERROR "A cancellation could act anywhere (src/posix/uncancelled.h):\n${failures}")
endif()
