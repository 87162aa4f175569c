# Linux on x86 with 32 bits, built by a compiler of its own. A kernel of 64 bits runs such programs by itself, so this is no cross-build:
# CMAKE_SYSTEM_NAME stays unset, and the tests that start compiled programs by their names take part.
set(triple i686-linux-gnu)
set(CMAKE_C_COMPILER ${triple}-gcc)
set(CMAKE_CXX_COMPILER ${triple}-g++)

# GCC tells of each structure with 64-bit atomics that version 11 aligned them anew; parent and child are of one build.
set(CMAKE_C_FLAGS_INIT -Wno-psabi)

# The C library's is in lib32 (Debian's libc6-i386), the compiler's are not.
foreach(kind EXE SHARED MODULE)
  set(CMAKE_${kind}_LINKER_FLAGS_INIT "-static-libgcc -static-libstdc++")
endforeach()

# No library of 64 bits.
list(APPEND CMAKE_FIND_ROOT_PATH /usr/${triple})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()
