# The two files also build for macOS: compiled and linked, not run.
cmake_minimum_required(VERSION 3.16)

find_program(ZIG NAMES zig PATHS ${ROOT}/node_modules/.bin ${ROOT}/build/tools/node_modules/.bin)
if(NOT ZIG)
  message("skipped: zig is not here")
  return()
endif()
execute_process(
  COMMAND ${ZIG} cc -target aarch64-macos -std=c11 -O1 -Wall -Wextra -Werror -I${MADE} ${MADE}/spork.c ${PROGRAM}
    -o ${MADE}/program-macos
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "spork.c does not build for macOS:\n${output}")
endif()
