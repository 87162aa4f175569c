#!/usr/bin/env bash
# Shows Spork on this machine, installing what is missing:
#
#     scripts/demo.sh [--native]
#
# First one program, compiled by nothing but cc, then those of examples/demo.txt under each start method, then the same as
# Windows programs under wine (--native leaves these out).
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/demo
. scripts/lib.sh

native=false
case ${1-} in
'') ;;
--native) native=true ;;
*) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0" && exit 64 ;;
esac
failed=()

# show TITLE COMMAND…: runs a program and goes on if it fails.
show() {
    printf '\n--- %s\n' "$1"
    timeout 120 "${@:2}" </dev/null || failed+=("$1")
}

# show_all HOW FOLDER EXTENSION [COMMAND…]: each line of examples/demo.txt is a program's name and perhaps its arguments.
show_all() {
    local line
    while read -r -a line; do
        [[ ${#line[@]} == 0 || ${line[0]} == '#'* ]] ||
            show "${line[*]} ($1)" "${@:4}" "$2/${line[0]}$3" "${line[@]:1}"
    done <examples/demo.txt
}

# The sources of the library on this system, where a POSIX alternative is chosen as CMake would.
sources() {
    case $(uname) in
    Linux) local others='image_macho|identity_libproc|lifeline_watcher|exit_(kqueue|polling)|park_(macos|polling)' ;;
    Darwin) local others='image_elf|identity_procfs|lifeline_sigio|exit_(pidfd|polling)|park_(futex|polling)' ;;
    *) local others='image_macho|identity_libproc|lifeline_sigio|exit_(pidfd|polling)|park_(futex|macos)' ;;
    esac
    find src -name '*.c' | grep -vE "^src/(win32|host)/|/($others)\.c$"
}

build() { # FOLDER OPTIONS…
    if ! { cmake -S . -B "$1" -G Ninja -DSPORK_BUILD_TESTS=OFF "${@:2}" && cmake --build "$1"; } \
        </dev/null >"$1.log" 2>&1; then
        tail -n 30 "$1.log"
        return 1
    fi
}

say "one program, by a C compiler alone"
need_compiler
install_missing
cc=$(command -v cc || command -v gcc || command -v clang)
libraries=-pthread
[[ $(uname) != Linux ]] || libraries+=' -ldl'
# shellcheck disable=SC2046,SC2086 # names without blanks, and a list of options
"$cc" -std=c11 -O2 -I include -I src/fallback -iquote src -iquote src/posix $(sources) examples/process.c \
    -o build/demo/process $libraries
show "process" build/demo/process

say "the examples, under each start method"
need_cmake
install_missing
if ! has cmake || ! has ninja; then
    note "left out: CMake or Ninja is missing"
    exit 69
fi
build build/demo/native
for method in fork spawn forkserver; do
    export SPORK_START_METHOD=$method
    show_all $method build/demo/native/examples ""
done
unset SPORK_START_METHOD

if ! $native && [[ $(uname) == Linux ]]; then
    say "the same as Windows programs"
    need_windows
    install_missing
    if has x86_64-w64-mingw32-gcc && has wine; then
        build build/demo/windows -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/mingw-w64.cmake"
        wine_up
        show_all windows build/demo/windows/examples .exe wine
        wine_down
    else
        note "left out: MinGW-w64 or wine is missing"
    fi
fi

if ((${#failed[@]} > 0)); then
    say "failed: ${failed[*]}"
    exit 1
fi
say "all of it worked"
