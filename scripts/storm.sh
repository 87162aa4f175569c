#!/usr/bin/env bash
# The long runs: storms of kills and fuzzing. CI has a short run of each in its tests.
#
#     scripts/storm.sh [SCALE [SECONDS]]
#
# SCALE (default 20) multiplies the rounds of the storms; SECONDS (default 60) is for each fuzz target, where clang has libFuzzer.
set -euo pipefail
cd "$(dirname "$0")/.."
scale=${1:-20} seconds=${2:-60}

cmake --preset linux >/dev/null
cmake --build --preset linux --target storm_test startup_test ground_test | tail -n 1
echo "== storms on locks, bells and arenas"
SPORK_TEST_SCALE=$scale build/linux/bin/ground_test --gtest_filter='Ground.*'
for method in fork spawn forkserver; do
    echo "== storms, $method"
    SPORK_START_METHOD=$method SPORK_TEST_SCALE=$scale build/linux/bin/storm_test
done
echo "== storms, a fork server that relays"
SPORK_FORKSERVER=relay SPORK_START_METHOD=forkserver SPORK_TEST_SCALE=$scale build/linux/bin/storm_test

if command -v clang >/dev/null 2>&1 &&
    cmake -S . -B build/fuzz -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DSPORK_FUZZ=ON \
        -DSPORK_BUILD_TESTS=OFF -DSPORK_BUILD_EXAMPLES=OFF >/dev/null && cmake --build build/fuzz >/dev/null; then
    for target in build/fuzz/bin/fuzz_*; do
        [[ $target == *_random ]] && continue
        echo "== ${target##*/}, $seconds s"
        "$target" -max_total_time="$seconds" -print_final_stats=1 2>&1 | tail -n 6
    done
else
    echo "== fuzzing skipped: it needs clang with libFuzzer (Debian: clang libclang-rt-14-dev)"
fi
