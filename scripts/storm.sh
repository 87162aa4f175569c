#!/usr/bin/env bash
# Storms of kills, for long: every concept, in random order, with random sizes and start methods, natively and as Windows programs
# under wine. Ends with a table of what was killed and what came of it; docs/storms.md tells what it means.
#
#     scripts/storm.sh [--native] MINUTES [SEED]
#
# --native  leaves Windows out
# SEED      gives order, sizes and methods (default: a random one, which is printed)
#
# SPORK_STORM_KILLS=N ends it as soon as each concept has had N kills natively. Fails if anything was torn, duplicated, hung, leaked or
# otherwise wrong; then the line that repeats the round is printed, and its output is kept in build/storm.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/storm
. scripts/lib.sh

usage() { sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0" && exit 64; }
native=false
[[ ${1:-} == --native ]] && native=true && shift
[[ ${1:-} =~ ^[0-9]+$ && ${2:-0} =~ ^[0-9]+$ && $# -le 2 ]] || usage
end=$((SECONDS + $1 * 60)) seed=${2:-$RANDOM} enough=${SPORK_STORM_KILLS:-0}

storms=(Process Connection Queue Lock Semaphore Event Condition Barrier LockWord Bell Arena NamedMemory Pool PoolEnd)
results=build/storm/results.tsv # system, method, storm, kills, what the storm tells
program=build/linux/bin/storms_test
windows_program=build/windows/bin/storms_test.exe

need_compiler
need_cmake
need g++ g++
need libgtest-dev /usr/include/gtest/gtest.h
need python3 python3
$native || need_windows
install_missing

build() {
    say "$1: build"
    { cmake --preset "$1" && cmake --build --preset "$1" --target storms_test; } </dev/null >"build/storm/build-$1.log" 2>&1 || {
        tail -n 20 "build/storm/build-$1.log"
        return 1
    }
}

# round LANE SYSTEM METHOD STORM SCALE SEED: the storm's line, with its place, into the results.
round() {
    local system=$2 method=$3 storm=$4 report=build/storm/round-$1.json log=build/storm/round-$1.log
    local command=("$program") patience=600 status=0
    local settings=(SPORK_TEST_SEED="$6" SPORK_STORM_SCALE="$5" SPORK_START_METHOD="${method%-relay}")
    [[ $method == *-relay ]] && settings+=(SPORK_FORKSERVER=relay)
    [[ $system == windows ]] && command=(wine "$windows_program")
    command+=(--gtest_filter="Storms.$storm")
    rm -f "$report"
    env "${settings[@]}" SPORK_STORM_REPORT="$report" timeout -s KILL "$patience" "${command[@]}" </dev/null >"$log" 2>&1 || status=$?
    if [[ ! -s $report ]]; then # it did not come to its end
        local hung=0
        ((status == 137)) && hung=1
        printf '{"primitive": "%s", "kills": 0, "hung": %d, "wrong": %d}\n' "$storm" "$hung" $((1 - hung)) >"$report"
        ((status != 0)) || status=1
    fi
    if ((status != 0)); then
        cp "$log" "build/storm/failed-$storm-$6.log"
        ((status != 137)) || note "$storm did not end within $patience s"
        printf '\nFAILED (%d), see build/storm/failed-%s-%s.log; to repeat it:\n  %s\n' "$status" "$storm" "$6" \
            "${settings[*]} ${command[*]}"
    fi
    printf '%s\t%s\t%s\t%s\t%s\n' "$system" "$method" "$storm" "$(sed 's/.*"kills": \([0-9]*\).*/\1/' "$report")" "$(<"$report")" >>"$results"
}

# Kills natively so far; starts count for each method.
kills_of() {
    awk -F '\t' -v storm="$1" -v method="$2" '$1 == "linux" && $3 == storm && (storm != "Process" || $2 == method) { n += $4 }
        END { print n + 0 }' "$results"
}

# lane NUMBER SYSTEM METHODS… : rounds until the time is over, each storm by each method before any comes again.
lane() {
    local number=$1 system=$2 items=() pick item other wanted scale
    RANDOM=$((seed + number))
    shift 2
    for method in "$@"; do for storm in "${storms[@]}"; do items+=("$method $storm"); done; done
    while true; do
        for ((i = ${#items[@]} - 1; i > 0; i--)); do
            pick=$((RANDOM % (i + 1))) other=${items[i]}
            items[i]=${items[pick]} items[pick]=$other
        done
        wanted=false
        for item in "${items[@]}"; do
            ((SECONDS < end)) || return 0
            pick=$RANDOM
            if [[ $system == linux ]]; then
                scale=$((pick % 8 + 1))
                ((enough == 0)) || (($(kills_of "${item#* }" "${item% *}") < enough)) || continue
            else
                scale=0.$((pick % 4 + 1))
                [[ ! -e build/storm/done ]] || return 0
            fi
            wanted=true
            round "$number" "$system" "${item% *}" "${item#* }" "$scale" $((pick * 32768 + RANDOM))
        done
        $wanted || return 0
    done
}

build linux
if ! $native && ! build windows; then
    note "no Windows programs: that half is left out"
    native=true
fi
rm -f build/storm/results.tsv build/storm/round-* build/storm/failed-* build/storm/done
touch "$results"
say "storms for $1 minutes, seed $seed"
trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM
lanes=()
if ! $native; then
    wine_up
    lane 0 windows spawn &
    windows_lane=$!
fi
for ((number = 1; number <= $(nproc); number++)); do
    lane "$number" linux fork spawn forkserver forkserver-relay &
    lanes+=($!)
done
wait "${lanes[@]}"
touch build/storm/done
$native || wait "$windows_lane"
python3 scripts/storm_table.py "$results"
