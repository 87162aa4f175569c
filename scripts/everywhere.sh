#!/usr/bin/env bash
# Builds the library, tests and examples for the systems and in the ways that this machine can show, runs what can run here, and
# ends with a table. Installs what is missing for it.
#
#     scripts/everywhere.sh [--short] [NAME...]
#
# NAME     one of those below; without one: all of them
# --short  arm64, i686 and analysis, of i686 the suites that need no process
#
# Each NAME but `analysis` is a CMake preset. Fails if any of them did.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/logs
. scripts/lib.sh

all=(arm64 i686 musl analysis macos macos-x86_64 windows-arm64 clang c17 asan tsan valgrind)
short=false names=()
for argument in "$@"; do
    case $argument in
    --short) short=true ;;
    *)
        [[ " ${all[*]} " == *" $argument "* ]] || { sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0" && exit 64; }
        names+=("$argument")
        ;;
    esac
done
if ((${#names[@]} == 0)); then
    names=("${all[@]}")
    ! $short || names=(arm64 i686 analysis)
fi

# ---- what is run where -----------------------------------------------------------------------------------------------------

# Under qemu-user by name, and under fork alone: what an emulated program executes has to be of the machine's own kind, so none can start
# itself anew. What starts children by each method is left out of these suites, and so is a limit of addresses that the emulator
# needs itself. The other suites start too many, or have not been seen to pass there yet.
qemu_suites=(base_test unit_test tree_test thread_test shm_test)
qemu_not=(Pid.AChildsParentIsWhoStartedItUnderEveryMethod Fork.TheChildMayStartProcessesItself
    Tree.AChildIsAnotherParticipantUnderEveryMethod Tree.AChildThatEndedIsDead Tree.AChildThatLeftIsDeadAlthoughItRuns Tree.AKilledChildIsDead
    Tree.AForkThatSporkKnowsNothingOfIsAParticipantOfItsOwn Tree.ALivingOnesSlotIsNeverTaken Tree.ManyComingAndGoingAtOnceNeverShareAnId
    Threads.BelongToTheProcessThatStartedThem 'All/ShmLimit.IsAStatusAndNoDeath/addresses')
# What a size_t of 32 bits could change.
small_suites=(base_test unit_test tree_test process_test sync_test thread_test queue_test shm_test pool_map_test)
# Under valgrind, which makes a start or a message some fifty times slower; without its search for leaks, which is the sanitizer's: a forked child
# loses what only other threads of its parent refer to.
valgrind_suites=(base_test unit_test tree_test image_test sync_test thread_test shm_test process_test)
# In C alone: what starts, sends, shares and has workers.
musl_targets=(example_process example_queue example_shared_array example_pool_tasks image_default image_static)
musl_tests='^(example\.(process|queue|shared_array|pool_tasks)\.|image\.(default|static)\.)'

suites_of() {
    case $1 in
    arm64) echo "${qemu_suites[*]}" ;;
    valgrind) echo "${valgrind_suites[*]}" ;;
    i686) if $short; then echo "base_test unit_test tree_test"; else echo "${small_suites[*]}"; fi ;;
    esac
}

# ---- one of them -------------------------------------------------------------------------------------------------------------

table=() failed=false
row() { # NAME BUILT RAN RESULT
    table+=("$(printf '%-18s %-34s %-34s %-22s %5d s' "$1" "$2" "$3" "$4" $((SECONDS - began)))")
    [[ $4 != FAILED* ]] || failed=true
}

# Configures and builds; what is printed is shown only if it fails. Further arguments: the targets.
build() { # PRESET [TARGET...]
    local log=build/logs/$1.log preset=$1
    shift
    say "$preset: build"
    cmake --preset "$preset" -DSPORK_BUILD_TESTS=ON </dev/null >"$log" 2>&1 &&
        cmake --build "build/$preset" ${1+--target "$@"} </dev/null >>"$log" 2>&1 && return
    grep -E 'error|FAILED|CMake Error' -A 8 "$log" | tail -n 60 || tail -n 60 "$log"
    return 1
}

passed() { sed -n 's/.*% tests passed, \(.*\)/\1/p' "$1" | tail -n 1; }

build_only() { # PRESET
    if build "$1"; then row "$1" "library, tests, examples" "nothing can run it here" built; else row "$1" "" "" "FAILED: build"; fi
}

build_and_run() { # PRESET [argument of ctest ...]
    local preset=$1 log=build/logs/$1-tests.log what="library, tests, examples" ran="all tests" targets=()
    shift
    read -r -a targets <<<"$(suites_of "$preset")"
    if ((${#targets[@]} > 0)); then
        what="library, ${#targets[@]} suites" ran="${#targets[@]} suites"
        set -- -R "(^|\.)($(IFS='|' && echo "${targets[*]}"))(\.[0-9]+)?\$" "$@"
    fi
    if [[ $preset == musl ]]; then
        targets=("${musl_targets[@]}") what="library, ${#musl_targets[@]} programs" ran="the programs by each method"
        set -- -R "$musl_tests" "$@"
    fi
    if ! build "$preset" ${targets[0]+"${targets[@]}"}; then
        row "$preset" "" "" "FAILED: build"
        return
    fi
    say "$preset: tests"
    unset GTEST_FILTER
    if [[ $preset == arm64 ]]; then
        ran+=", fork"
        GTEST_FILTER=-$(IFS=: && echo "${qemu_not[*]}")
        export GTEST_FILTER
    fi
    if ctest --preset "$preset" --output-on-failure --no-tests=error "$@" </dev/null 2>&1 | tee "$log" | grep -E 'Failed|Timeout|tests passed'; then
        :
    fi
    if grep -q '^100% tests passed' "$log"; then
        row "$preset" "$what" "$ran" "$(passed "$log")"
    else
        row "$preset" "$what" "$ran" "FAILED: build/logs/$preset-tests.log"
    fi
}

# What is accepted, and why, is in cmake/cppcheck.txt.
analysis() {
    say "analysis: cppcheck"
    if nice cppcheck --quiet -j2 --std=c11 --enable=warning,portability,performance --inline-suppr --error-exitcode=1 --max-configs=1 \
        --suppressions-list=cmake/cppcheck.txt -D__linux__ -D__x86_64__ -D__GNUC__=12 \
        -Iinclude -Isrc -Isrc/posix -Isrc/fallback src/*.c src/pool src/posix src/host >build/logs/analysis.log 2>&1; then
        row analysis "" "cppcheck over src/, POSIX files" "no finding"
    else
        head -n 40 build/logs/analysis.log
        row analysis "" "cppcheck over src/, POSIX files" "FAILED"
    fi
}

# ---- what they need ------------------------------------------------------------------------------------------------------------

wanted() { [[ " ${names[*]} " == *" $1 "* ]]; }
need_compiler
need_cmake
need g++ g++
need libgtest-dev /usr/include/gtest/gtest.h
need googletest /usr/src/googletest/CMakeLists.txt
if wanted arm64; then
    need gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc
    need g++-aarch64-linux-gnu aarch64-linux-gnu-g++
    need libc6-dev-arm64-cross /usr/aarch64-linux-gnu/include/stdio.h
    need qemu-user qemu-aarch64
fi
if wanted i686; then
    need gcc-i686-linux-gnu i686-linux-gnu-gcc
    need g++-i686-linux-gnu i686-linux-gnu-g++
    need libc6-i386 /lib/ld-linux.so.2
fi
! wanted musl || need musl-tools musl-gcc
! wanted analysis || need cppcheck cppcheck
! wanted valgrind || need valgrind valgrind
! wanted clang || need clang clang
install_missing

for name in "${names[@]}"; do
    began=$SECONDS
    case $name in
    analysis) analysis ;;
    macos* | windows-arm64)
        if get_zig; then build_only "$name"; else row "$name" "" "" "skipped: no zig"; fi
        ;;
    *) build_and_run "$name" ;;
    esac
done

say summary
printf '%s\n' "${table[@]}"
! $failed
