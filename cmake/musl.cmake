# Linux with musl as its C library (Debian's musl-tools), C alone: musl-gcc has no C++. The kernel's headers are not musl's, and the
# folder that has them has glibc's too: links to no more than them.
set(CMAKE_C_COMPILER musl-gcc)
set(CMAKE_CXX_COMPILER NOTFOUND)
set(kernel ${CMAKE_CURRENT_LIST_DIR}/../build/tools/kernel)
file(MAKE_DIRECTORY ${kernel})
foreach(folder linux asm-generic ${CMAKE_HOST_SYSTEM_PROCESSOR}-linux-gnu/asm)
  get_filename_component(name ${folder} NAME)
  file(CREATE_LINK /usr/include/${folder} ${kernel}/${name} SYMBOLIC)
endforeach()
set(CMAKE_C_FLAGS_INIT "-isystem ${kernel}")
# No library that is linked with another C library.
list(APPEND CMAKE_FIND_ROOT_PATH /usr/lib/musl)
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()
