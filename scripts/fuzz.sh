#!/usr/bin/env bash
# Fuzzing, led by coverage: each target of fuzz/ (libFuzzer, AddressSanitizer, UBSan) for a while.
#
#     scripts/fuzz.sh [--merge] [--in-turn] [SECONDS [TARGET...]]
#
# SECONDS (default 60) is for each target; TARGET is its name without fuzz_ (default: all). As many run at once as there are CPUs.
# --in-turn one after the other
# --merge   writes back to fuzz/corpus/ the fewest inputs that reach (nearly) all that was reached; those with names of their own stay
#
# Corpora grow from run to run in build/fuzz/corpus. What makes a target fail is kept in build/fuzz/findings, and run again by
# build/fuzz/bin/fuzz_TARGET FILE. Ends with a table; fails if anything was found.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
. scripts/lib.sh

merge=false at_once=$(getconf _NPROCESSORS_ONLN)
while [[ ${1:-} == --* ]]; do
    case $1 in
    --merge) merge=true ;;
    --in-turn) at_once=1 ;;
    *) break ;;
    esac
    shift
done
seconds=${1:-60}
[[ $seconds =~ ^[0-9]+$ ]] || { sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0" && exit 64; }
shift $(($# > 0))

need_cmake
need_fuzzer
install_missing
install_fuzzer

say "build"
if ! { cmake -S . -B build/fuzz -G Ninja -DCMAKE_C_COMPILER=clang -DSPORK_FUZZ=ON -DSPORK_WERROR=ON \
    -DSPORK_BUILD_TESTS=OFF -DSPORK_BUILD_EXAMPLES=OFF && cmake --build build/fuzz --target fuzz/all; } >build/fuzz.log 2>&1; then
    grep -E 'error|FAILED|CMake Error' -A 8 build/fuzz.log | tail -n 40
    note "all of it: build/fuzz.log"
    exit 1
fi

bin=build/fuzz/bin
known=()
for source in fuzz/fuzz_*.c; do
    name=${source#fuzz/fuzz_} name=${name%.c}
    [[ ! -x $bin/fuzz_$name ]] || known+=("$name")
done
targets=("$@")
((${#targets[@]} > 0)) || targets=("${known[@]}")
for target in "${targets[@]}"; do
    [[ " ${known[*]} " == *" $target "* ]] || { note "there is no target $target: ${known[*]}" && exit 64; }
done

mkdir -p build/fuzz/{findings,logs,seeds/{value,record,connection}}
"$bin/fuzz_seeds" build/fuzz/seeds
for target in "${targets[@]}"; do mkdir -p "build/fuzz/corpus/$target" "build/fuzz/seeds/$target" "fuzz/corpus/$target"; done

# The time limit is for hangs: on a machine with much to do, what takes a millisecond may take seconds.
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
options=(-max_len=4096 -timeout=120 -report_slow_units=120 -rss_limit_mb=2560)

fuzz() { # TARGET
    local more=()
    [[ ! -e fuzz/$1.dict ]] || more=(-dict="fuzz/$1.dict")
    "$bin/fuzz_$1" "${options[@]}" "${more[@]}" -len_control=0 -max_total_time="$seconds" -print_final_stats=1 \
        -artifact_prefix="build/fuzz/findings/$1-" "build/fuzz/corpus/$1" "build/fuzz/seeds/$1" "fuzz/corpus/$1" \
        </dev/null >"build/fuzz/logs/$1.log" 2>&1 || touch "build/fuzz/logs/$1.failed"
}

# The kept inputs with names of their own, which tell why they are there, and the fewest others. Without the counts of how often
# an edge was passed: these would be many more. Each next one adds less than those before it, so the last ones may go.
most_kept=40
merge_back() { # TARGET
    local made=build/fuzz/merged/$1
    rm -rf "$made"
    mkdir -p "$made"
    find "fuzz/corpus/$1" -type f ! -regex '.*/[0-9a-f]*' -exec cp {} "$made" \;
    "$bin/fuzz_$1" "${options[@]}" -set_cover_merge=1 -use_counters=0 "$made" "fuzz/corpus/$1" "build/fuzz/corpus/$1" "build/fuzz/seeds/$1" \
        </dev/null >"build/fuzz/logs/$1.merge.log" 2>&1 || return 1
    find "$made" -type f -regex '.*/[0-9a-f]*' -printf '%T@ %p\n' | sort -n | cut -d' ' -f2- |
        tail -n +$((most_kept + 1 - $(find "$made" -type f ! -regex '.*/[0-9a-f]*' | wc -l))) | xargs -r rm
    rm -rf "fuzz/corpus/$1"
    cp -r "$made" "fuzz/corpus/$1"
}

say "${#targets[@]} targets, $seconds s each"
rm -f build/fuzz/logs/*.failed
for target in "${targets[@]}"; do
    while (($(jobs -rp | wc -l) >= at_once)); do wait -n || true; done
    fuzz "$target" &
done
wait

row() { printf '%-12s %12s %8s %8s %9s\n' "$@"; }
stat_of() { sed -n "s/^stat::$2: *//p" "build/fuzz/logs/$1.log" | tail -n 1; }
say "summary"
row target runs edges new findings
failed=false
for target in "${targets[@]}"; do
    edges=$(grep -o 'cov: [0-9]*' "build/fuzz/logs/$target.log" | tail -n 1 | cut -c6- || true)
    findings=0
    if [[ -e build/fuzz/logs/$target.failed ]]; then
        failed=true
        findings=$(grep -c 'Test unit written to' "build/fuzz/logs/$target.log" || true)
        ((findings > 0)) || findings="see log"
    fi
    row "$target" "$(stat_of "$target" number_of_executed_units)" "${edges:-0}" "$(stat_of "$target" new_units_added)" "$findings"
done
if $failed; then
    for log in build/fuzz/logs/*.failed; do
        target=$(basename "$log" .failed)
        say "$target"
        grep -m 1 -E -A 12 'not so:|ERROR: |runtime error:' "build/fuzz/logs/$target.log" || tail -n 5 "build/fuzz/logs/$target.log"
        grep 'Test unit written to' "build/fuzz/logs/$target.log" || true
    done
    exit 1
fi
if $merge; then
    say "corpora"
    for target in "${targets[@]}"; do
        merge_back "$target" || note "$target: merging failed (build/fuzz/logs/$target.merge.log)"
        note "$target: $(find "fuzz/corpus/$target" -type f | wc -l) inputs, $(du -bs "fuzz/corpus/$target" | cut -f1) bytes"
    done
fi
