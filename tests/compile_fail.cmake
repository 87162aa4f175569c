# A mistake that must be found when compiling: SOURCE must be refused, with words that match the regular expression in its
# first line, "// expect: REGEX".
cmake_minimum_required(VERSION 3.16)

file(READ ${SOURCE} text)
if(NOT text MATCHES "^// expect: ([^\r\n]+)")
  message(FATAL_ERROR "${SOURCE} must begin with: // expect: REGEX")
endif()
set(expected "${CMAKE_MATCH_1}")
if(text MATCHES "// compiler: ([A-Za-z]+)" AND NOT CMAKE_MATCH_1 STREQUAL COMPILER_ID)
  message("skipped: only ${CMAKE_MATCH_1} refuses this one")
  return()
endif()

if(MSVC)
  set(options /nologo /std:c11 /W4 /WX /Zs /I${INCLUDE})
else()
  set(options -std=c11 -Wall -Wextra -Werror -fsyntax-only -I${INCLUDE})
endif()
set(ENV{LC_ALL} C) # the messages in English, with plain quotation marks
execute_process(COMMAND ${COMPILER} ${options} ${SOURCE}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)

if(result EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiled, but it must not")
elseif(NOT output MATCHES "${expected}")
  message(FATAL_ERROR "${SOURCE} did not compile, but the compiler did not say \"${expected}\":\n${output}")
endif()
