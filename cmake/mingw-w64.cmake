# Windows programs, built by MinGW-w64 on another system and run by wine.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(triple x86_64-w64-mingw32)

# C and C++ of one thread model: GoogleTest needs std::mutex, which on Debian only the one named posix has. Without a C++
# compiler the tests in C++ stay out; the library needs C alone.
find_program(SPORK_MINGW_CC NAMES ${triple}-gcc-posix ${triple}-gcc REQUIRED)
find_program(SPORK_MINGW_CXX NAMES ${triple}-g++-posix ${triple}-g++)
mark_as_advanced(SPORK_MINGW_CC SPORK_MINGW_CXX)
set(CMAKE_C_COMPILER ${SPORK_MINGW_CC})
if(SPORK_MINGW_CXX)
  set(CMAKE_CXX_COMPILER ${SPORK_MINGW_CXX})
endif()

# No DLLs of the compiler: the programs run wherever they are copied.
foreach(kind EXE SHARED MODULE)
  set(CMAKE_${kind}_LINKER_FLAGS_INIT -static)
endforeach()
set(ZLIB_USE_STATIC_LIBS ON)

list(APPEND CMAKE_FIND_ROOT_PATH /usr/${triple})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR wine CACHE STRING "Runs the programs that were built")
