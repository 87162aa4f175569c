# spork_warnings(target): the warnings of this project's own code. Private: users keep theirs.
function(spork_warnings target)
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 $<$<BOOL:${SPORK_WERROR}>:/WX>)
    target_compile_definitions(${target} PRIVATE _CRT_SECURE_NO_WARNINGS) # it calls the standard's own functions unsafe
  else()
    # -Wpedantic is left out for C++: it rejects what GoogleTest's macros expand to.
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow -Wundef
      $<$<COMPILE_LANGUAGE:C>:-Wpedantic> $<$<BOOL:${SPORK_WERROR}>:-Werror>)
  endif()
endfunction()
