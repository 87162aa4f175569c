# Installs Spork, or builds a project with it as a stranger would, and runs what comes out.
#
#   cmake -DHOW=install|find_package|pkg_config|add_subdirectory|page … -P check.cmake
#     SPORK_SOURCE, SPORK_BUILD   this project: its sources, and a build of it that is to be installed
#     FOLDER                      where all of this happens; what was installed is in FOLDER/installed
#     LINKED                      static or shared
#     PAGE                        a file of CMake code (HOW=page)
#     C_COMPILER, TOOLCHAIN, GENERATOR, EMULATOR, PKG_CONFIG, WINDOWS   what to build with and how to run it
cmake_minimum_required(VERSION 3.16)
set(installed ${FOLDER}/installed)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "failed: ${command}\n${output}")
  endif()
endfunction()

# What the program prints is in expected.txt, and what it says of spork-host is added by `further`.
function(check_program program further)
  set(expected ${program}.expected.txt)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/expected.txt ${expected} COPYONLY)
  if(further)
    file(APPEND ${expected} "${further}\n")
  endif()
  run(${CMAKE_COMMAND} -DPROGRAM=${program} -DEMULATOR=${EMULATOR} -DEXPECTED=${expected}
    -P ${SPORK_SOURCE}/examples/check_output.cmake)
endfunction()

function(configure_and_build source) # further arguments: options
  set(build ${FOLDER}/${HOW}-${LINKED})
  file(REMOVE_RECURSE ${build})
  set(options -DCMAKE_C_COMPILER=${C_COMPILER})
  if(TOOLCHAIN)
    set(options -DCMAKE_TOOLCHAIN_FILE=${TOOLCHAIN})
  endif()
  run(${CMAKE_COMMAND} --no-warn-unused-cli -G ${GENERATOR} -S ${source} -B ${build} ${options} -DHOW=${HOW} ${ARGN})
  run(${CMAKE_COMMAND} --build ${build} --config Release)
  set(build ${build} PARENT_SCOPE)
endfunction()

set(exe)
if(WINDOWS)
  set(exe .exe)
  string(REPLACE "/" "\\" path "Z:${installed}/bin")
  set(ENV{WINEPATH} "${path}")
endif()
set(has_host OFF)
set(host)
if(LINKED STREQUAL shared)
  set(has_host ON)
  set(host "host: found")
endif()

if(HOW STREQUAL install)
  # Moved afterwards: an installation may be unpacked anywhere.
  file(REMOVE_RECURSE ${installed} ${FOLDER}/first)
  run(${CMAKE_COMMAND} --install ${SPORK_BUILD} --config "${CONFIG}" --prefix ${FOLDER}/first)
  file(RENAME ${FOLDER}/first ${installed})

elseif(HOW STREQUAL find_package)
  set(target spork::spork)
  if(LINKED STREQUAL shared)
    set(target spork::spork_shared)
  endif()
  configure_and_build(${CMAKE_CURRENT_LIST_DIR} -DCMAKE_PREFIX_PATH=${installed} -DCMAKE_FIND_ROOT_PATH=${installed} -DTARGET=${target}
    -DHAS_HOST=${has_host})
  check_program(${build}/program_c${exe} "${host}")
  check_program(${build}/program_cxx${exe} "${host}")

elseif(HOW STREQUAL add_subdirectory)
  configure_and_build(${CMAKE_CURRENT_LIST_DIR} -DSPORK_SOURCE=${SPORK_SOURCE} -DBUILD_SHARED_LIBS=ON -DCMAKE_BUILD_TYPE=Debug)
  check_program(${build}/program_c${exe} "")
  check_program(${build}/program_cxx${exe} "")

elseif(HOW STREQUAL page)
  set(LINKED ${NAME})
  set(source ${FOLDER}/source-${NAME})
  file(MAKE_DIRECTORY ${source})
  foreach(name program.c CMakeLists.txt)
    configure_file(${CMAKE_CURRENT_LIST_DIR}/${name} ${source}/${name} COPYONLY)
  endforeach()
  file(READ ${PAGE} code)
  if(code MATCHES "project\\(") # all that a CMakeLists.txt needs
    configure_file(${PAGE} ${source}/CMakeLists.txt COPYONLY)
  endif()
  file(CREATE_LINK ${SPORK_SOURCE} ${source}/spork SYMBOLIC)
  configure_and_build(${source} -DPAGE=${PAGE} -DCMAKE_PREFIX_PATH=${installed} -DCMAKE_FIND_ROOT_PATH=${installed} -DCMAKE_BUILD_TYPE=Debug)
  check_program(${build}/program${exe} "")

elseif(HOW STREQUAL pkg_config)
  file(GLOB_RECURSE file ${installed}/spork.pc)
  get_filename_component(folder ${file} DIRECTORY)
  get_filename_component(libraries ${folder} DIRECTORY)
  set(ENV{PKG_CONFIG_LIBDIR} ${folder}) # and nothing of this machine's
  set(how --cflags --libs)
  if(LINKED STREQUAL static)
    list(APPEND how --static)
  endif()
  execute_process(COMMAND ${PKG_CONFIG} ${how} spork RESULT_VARIABLE result OUTPUT_VARIABLE flags ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "pkg-config failed: ${errors}")
  endif()
  separate_arguments(flags UNIX_COMMAND "${flags}")
  if(LINKED STREQUAL static) # as who wants it must: -lspork is the shared one, where both are
    list(TRANSFORM flags REPLACE "^-lspork$" "-l:libspork.a")
  endif()
  set(program ${FOLDER}/pkg_config-${LINKED}${exe})
  if(WINDOWS)
    list(APPEND flags -static) # the compiler's own libraries: wine does not find their DLLs
  endif()
  run(${C_COMPILER} -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Werror ${CMAKE_CURRENT_LIST_DIR}/program.c -o ${program} ${flags})
  set(ENV{LD_LIBRARY_PATH} ${libraries})
  check_program(${program} "")

else()
  message(FATAL_ERROR "unknown: -DHOW=${HOW}")
endif()
