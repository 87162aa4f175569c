# shellcheck shell=bash
# Builds presets one after another in the background, while the caller runs the tests of those that
# are built: tests wait more than they compute. Sourced, after lib.sh, in the root of the tree.
#
#     begin_building -DOPTION=VALUE PRESET...
#     await_built PRESET              in the same order; sets built (ok, failed, skipped) and
#                                     building (its seconds)
#
# What a build prints is in build/logs/PRESET.log.

# A compiler of C++ takes up to a GiB.
jobs=$(getconf _NPROCESSORS_ONLN)
if [[ -r /proc/meminfo ]]; then
    room=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
    ((jobs <= room)) || jobs=$((room > 1 ? room : 1))
fi

build_preset() { # PRESET OPTION
    case $1 in macos | macos-x86_64) get_zig || return 77 ;; esac
    cmake --preset "$1" "$2" && cmake --build --preset "$1" -j "$jobs"
}

# A line for each: its name, how it went, how long it took. When nobody reads them any more, the next
# line ends this.
build_presets() { # OPTION PRESET...
    local option=$1 preset status began
    shift
    for preset in "$@"; do
        status=0 began=$SECONDS
        (build_preset "$preset" "$option") </dev/null >"build/logs/$preset.log" 2>&1 3>&- || status=$?
        case $status in 0) status=ok ;; 77) status=skipped ;; *) status=failed ;; esac
        echo "$preset $status $((SECONDS - began))" >&3
    done
}

# In a process group of its own, to be ended as one. Its lines come by descriptor 3, which no test
# must inherit: 3<&-
builder=0
begin_building() {
    rm -f build/logs/built
    mkfifo build/logs/built
    set -m
    build_presets "$@" 3>build/logs/built &
    builder=$!
    set +m
    on_exit end_building
    exec 3<build/logs/built
    rm build/logs/built # both ends are open
}
end_building() { kill -- -$builder 2>/dev/null || true; }

built='' building=0
await_built() {
    local preset
    read -r preset built building <&3 || { built=failed building=0 && return; }
    [[ $preset == "$1" ]] || { echo "$1 was awaited, and $preset is built" >&2 && exit 70; }
}
