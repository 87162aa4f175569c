# Draws the trace of a run of PROGRAM, an example of a pool, by SCRIPT, and checks the picture. In FOLDER.
cmake_minimum_required(VERSION 3.16)

foreach(command python3 gnuplot)
  find_program(${command} ${command})
  if(NOT ${command})
    message("skipped: ${command} is not here, which draws the picture of a trace")
    return()
  endif()
endforeach()

file(MAKE_DIRECTORY "${FOLDER}")
file(REMOVE "${FOLDER}/trace.json")
execute_process(COMMAND ${CMAKE_COMMAND} -E env "SPORK_TRACE=${FOLDER}/trace.json" "${PROGRAM}"
  OUTPUT_QUIET RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM}: ${result}")
endif()
execute_process(COMMAND ${python3} "${CMAKE_CURRENT_LIST_DIR}/pictures.py" "${SCRIPT}" "${FOLDER}" RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "the picture of ${FOLDER}/trace.json is not what it should be")
endif()
