# scripts/steady.sh over suites of little programs: steady, unsteady, failing, dying, and too many unsteady ones.
# -DBASH=… -DSCRIPT=… -DFOLDER=…
file(REMOVE_RECURSE ${FOLDER})

# expect(<name> <status> <unsteady tests> <test=times it fails>…)
function(expect name status unsteady)
  set(folder ${FOLDER}/${name})
  file(MAKE_DIRECTORY ${folder})
  # Fails as often as its second argument says; a test that is called dying does so by a signal.
  file(WRITE ${folder}/fails_first.sh
    "echo x >>\"$1.runs\"; [ $(wc -l <\"$1.runs\") -gt $2 ] && exit 0; [ \"$1\" != dying ] || kill -USR1 $$; exit 1\n")
  set(tests "")
  foreach(test IN LISTS ARGN)
    string(REPLACE "=" ";" parts "${test}")
    list(GET parts 0 test)
    list(GET parts 1 times)
    string(APPEND tests "add_test([==[${test}]==] \"${BASH}\" fails_first.sh \"${test}\" ${times})\n"
      "set_tests_properties([==[${test}]==] PROPERTIES LABELS \"one;other\")\n")
  endforeach()
  file(WRITE ${folder}/CTestTestfile.cmake "${tests}")
  execute_process(COMMAND ${BASH} ${SCRIPT} ${folder}/log --test-dir ${folder} -j2
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  file(READ ${folder}/log.unsteady got)
  if(NOT result EQUAL status OR NOT got STREQUAL "${unsteady}")
    message(FATAL_ERROR "${name}: status ${result} instead of ${status}, unsteady \"${got}\" instead of \"${unsteady}\"\n${output}")
  endif()
endfunction()

expect(steady 0 "" one=0 two=0)
expect(unsteady 0 "two\nthree (its name\n" one=0 two=1 "three (its name=2")
expect(failing 1 "two\n" one=0 two=1 three=3)
expect(dying 1 "" dying=9 two=0)
expect(too_unsteady 1 "a\nb\nc\nd\n" a=1 b=1 c=1 d=1)
set(broken)
foreach(number RANGE 1 30)
  list(APPEND broken t${number}=1)
endforeach()
expect(broken 1 "" ${broken})
