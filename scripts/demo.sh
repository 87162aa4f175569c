#!/usr/bin/env bash
# Shows Spork on this machine, installing what is missing:
#
#     scripts/demo.sh [--native | --first]
#
# First one program, compiled by nothing but cc, then those of examples/demo.txt under each start method, then the same as
# Windows programs under wine (--native leaves these out), and at last the main job: pgz on a real tree, beside gzip and pigz.
# (--first: the one program alone.)
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/demo
. scripts/lib.sh

native=false first=false
case ${1-} in
'') ;;
--native) native=true ;;
--first) first=true ;;
*) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0" && exit 64 ;;
esac
failed=()

# show TITLE COMMAND…: runs a program and goes on if it fails.
show() {
    printf '\n--- %s\n' "$1"
    timeout 120 "${@:2}" </dev/null || failed+=("$1")
}

# Programs of plain forks: no start method matters to them, and some leave children that print after their parent has ended.
plain=' fork parent_first globals two_forks nested_forks '
show_plain() { # as show, and waits for those children: until nobody has the pipe any more
    printf '\n--- %s\n' "$1"
    timeout 120 "${@:2}" </dev/null | cat || failed+=("$1")
}

# show_all HOW FOLDER EXTENSION [COMMAND…]: each line of examples/demo.txt is a program's name and perhaps its arguments.
show_all() {
    local line how
    while read -r -a line; do
        [[ ${#line[@]} != 0 && ${line[0]} != '#'* ]] || continue
        how=show
        if [[ $plain == *" ${line[0]} "* ]]; then
            [[ $1 != spawn && $1 != forkserver ]] || continue
            how=show_plain
        fi
        $how "${line[*]} ($1)" "${@:4}" "$2/${line[0]}$3" "${line[@]:1}"
    done <examples/demo.txt
}

# The sources of the library on this system, where a POSIX alternative is chosen as CMake would.
sources() {
    case $(uname) in
    Linux) local others='image_macho|identity_libproc|lifeline_watcher|exit_(kqueue|polling)|park_(macos|polling)|named_file' ;;
    Darwin) local others='image_elf|identity_procfs|lifeline_sigio|exit_(pidfd|polling)|park_(futex|polling)|named_abstract' ;;
    *) local others='image_macho|identity_libproc|lifeline_sigio|exit_(pidfd|polling)|park_(futex|macos)|named_abstract' ;;
    esac
    find src -name '*.c' | grep -vE "^src/(win32|host)/|/($others)\.c$"
}

build() { # FOLDER OPTIONS…
    note "building"
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
! $first || exit ${#failed[@]}

say "the examples, under each start method"
need_cmake
need_pgz
install_missing
if ! has cmake || ! has ninja; then
    note "left out: CMake or Ninja is missing"
    exit 69
fi
build build/demo/native
windows=false
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
        windows=true
    else
        note "left out: MinGW-w64 or wine is missing"
    fi
fi

# ---- pgz ----

# compress NAME COMMAND…: of the tree, and a line of how that went.
compress() {
    local begin end size
    begin=$(date +%s%N)
    "${@:2}" <build/demo/tree.tar >build/demo/tree.gz || return 1
    end=$(date +%s%N)
    size=$(wc -c <build/demo/tree.gz)
    awk -v name="$1" -v ns=$((end - begin)) -v from="$bytes" -v to="$size" 'BEGIN {
        printf "   %-28s %6.2f s  %6.1f MB/s  to %4.1f %%\n", name, ns / 1e9, from * 1e3 / ns, to * 100 / from }'
}

compare() { gzip -dc build/demo/tree.gz | cmp - "$1"; }

pgz_on_a_tree() {
    local from trace=build/demo/pgz-trace.json
    for from in /usr/share/doc /usr/share .; do # the first that is worth it
        [[ $(du -sk "$from" 2>/dev/null | cut -f 1) -lt 20000 ]] || break
    done
    tar --exclude=./build --exclude=./.git -cf build/demo/tree.tar -C "$from" . 2>/dev/null
    bytes=$(wc -c <build/demo/tree.tar)
    note "a tar of $(cd "$from" && pwd), $((bytes / 1000000)) MB, at level 6 on $(getconf _NPROCESSORS_ONLN) CPUs"
    compress "gzip" gzip -6 -c
    ! has pigz || compress "pigz" pigz -6 -c
    compress "pgz" build/demo/native/examples/pgz -6 -c - &&
        compare build/demo/tree.tar || return 1
    note "gzip reads what pgz wrote, and finds the same"
    SPORK_TRACE=$trace build/demo/native/examples/pgz -6 -c - <build/demo/tree.tar >/dev/null || return 1
    note "a timeline of its workers: $trace; open it in https://ui.perfetto.dev or chrome://tracing"
}

pgz_on_windows() {
    head -c 4000000 build/demo/tree.tar >build/demo/small.tar
    wine build/demo/windows/examples/pgz.exe -6 -c - <build/demo/small.tar >build/demo/tree.gz &&
        compare build/demo/small.tar || return 1
    note "pgz.exe under wine: 4 MB, and gzip finds the same"
}

if [[ -x build/demo/native/examples/pgz ]]; then
    say "pgz: a parallel gzip over a pool"
    pgz_on_a_tree || failed+=("pgz")
    if $windows && [[ -x build/demo/windows/examples/pgz.exe ]]; then
        pgz_on_windows || failed+=("pgz.exe")
    fi
else
    note "left out: pgz, which needs zlib"
fi
! $windows || wine_down

if ((${#failed[@]} > 0)); then
    say "failed: ${failed[*]}"
    exit 1
fi
say "all of it worked"
