# Windows programs for ARM, built and linked on another system by zig. Nothing runs them here.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR ARM64)
set(SPORK_ZIG_TARGET aarch64-windows-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
# zig protects the stack of what is not optimised, and links nothing that would know how.
set(CMAKE_C_FLAGS_INIT -fno-stack-protector)
set(CMAKE_CXX_FLAGS_INIT -fno-stack-protector)
set(CMAKE_RC_COMPILER ${root}/build/tools/zig-rc) # CMake looks for one, and nothing here is compiled by it
set(CMAKE_DISABLE_PRECOMPILE_HEADERS ON) # zig cannot
