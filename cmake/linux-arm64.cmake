# Linux on ARM with 64 bits, built on another processor and run by qemu-user. An emulated program cannot execute another one of its
# kind (only a kernel told of qemu by binfmt_misc can): what starts by spawn or forkserver is left to real machines.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(triple aarch64-linux-gnu)
set(CMAKE_C_COMPILER ${triple}-gcc)
set(CMAKE_CXX_COMPILER ${triple}-g++)

# Nothing of this machine belongs into those programs.
list(APPEND CMAKE_FIND_ROOT_PATH /usr/${triple})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()
set(CMAKE_CROSSCOMPILING_EMULATOR "qemu-aarch64;-L;/usr/${triple}" CACHE STRING "Runs the programs that were built")
