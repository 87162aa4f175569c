# The tests of what is installed, and of the ways to use it: consumer/check.cmake.
find_program(SPORK_PKG_CONFIG NAMES pkg-config pkgconf)
mark_as_advanced(SPORK_PKG_CONFIG)
set(folder ${CMAKE_CURRENT_BINARY_DIR}/consumer)
set(toolchain)
if(CMAKE_CROSSCOMPILING)
  set(toolchain ${CMAKE_TOOLCHAIN_FILE})
endif()

function(spork_consumer_test name how linked) # further arguments: options of check.cmake
  add_test(NAME package.${name} COMMAND ${CMAKE_COMMAND} -DHOW=${how} -DLINKED=${linked} -DSPORK_SOURCE=${PROJECT_SOURCE_DIR}
    -DSPORK_BUILD=${PROJECT_BINARY_DIR} -DFOLDER=${folder} -DC_COMPILER=${CMAKE_C_COMPILER} -DTOOLCHAIN=${toolchain}
    -DGENERATOR=${CMAKE_GENERATOR} "-DEMULATOR=${CMAKE_CROSSCOMPILING_EMULATOR}" -DWINDOWS=$<BOOL:${WIN32}> -DCONFIG=$<CONFIG>
    -DPKG_CONFIG=${SPORK_PKG_CONFIG} ${ARGN} -P ${CMAKE_CURRENT_SOURCE_DIR}/consumer/check.cmake)
  set_tests_properties(package.${name} PROPERTIES TIMEOUT ${SPORK_TEST_TIMEOUT} FIXTURES_REQUIRED installed LABELS package)
endfunction()

spork_consumer_test(install install static)
set_tests_properties(package.install PROPERTIES FIXTURES_SETUP installed FIXTURES_REQUIRED "")
if(CMAKE_CXX_COMPILER_LOADED)
  spork_consumer_test(find_package find_package static)
  spork_consumer_test(find_package_shared find_package shared)
  spork_consumer_test(add_subdirectory add_subdirectory shared)
  get_property(projects GLOBAL PROPERTY spork_page_projects)
  if(CMAKE_CROSSCOMPILING) # where add_subdirectory builds the same once more, slowly
    set(projects)
  endif()
  foreach(project IN LISTS projects) # name=file
    string(REGEX REPLACE "=.*" "" name "${project}")
    string(REGEX REPLACE "^[^=]*=" "" file "${project}")
    spork_consumer_test(page.${name} page ${name} -DNAME=${name} "-DPAGE=${file}")
  endforeach()
endif()
if(SPORK_PKG_CONFIG AND NOT MSVC AND NOT APPLE) # whose linker and loader are told otherwise
  spork_consumer_test(pkg_config_static pkg_config static)
  if(NOT WIN32) # where -lspork is the static library
    spork_consumer_test(pkg_config pkg_config shared)
  endif()
endif()

find_program(SPORK_DPKG dpkg-shlibdeps) # by which cpack finds what a package depends on
find_program(SPORK_FILE file) # and which files are programs
find_program(SPORK_BASH bash)
mark_as_advanced(SPORK_DPKG SPORK_FILE SPORK_BASH)
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT CMAKE_CROSSCOMPILING AND SPORK_DPKG AND SPORK_FILE AND SPORK_BASH AND SPORK_PKG_CONFIG)
  add_test(NAME package.deb COMMAND ${SPORK_BASH} -c "set -e; mkdir -p '${folder}'; rm -rf '${folder}/deb'; \
    '${CMAKE_CPACK_COMMAND}' --config '${PROJECT_BINARY_DIR}/CPackConfig.cmake' -B '${folder}/deb' >'${folder}/cpack.log' 2>&1 || { cat '${folder}/cpack.log'; exit 1; }; \
    exec bash '${CMAKE_CURRENT_SOURCE_DIR}/consumer/packages.sh' '${folder}/deb' '${folder}/empty-root'")
  set_tests_properties(package.deb PROPERTIES TIMEOUT ${SPORK_TEST_TIMEOUT} LABELS package RESOURCE_LOCK site ENVIRONMENT "CC=${CMAKE_C_COMPILER}")
endif()
set_tests_properties(package.install PROPERTIES RESOURCE_LOCK site) # which docs.site may build meanwhile
