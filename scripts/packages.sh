#!/usr/bin/env bash
# Builds the Debian packages into build/packages, and tries them in an empty Debian: scripts/packages.sh [--no-root]
#
# The empty Debian (mmdebstrap; this needs root) has a compiler and nothing of Spork; it is kept in build/root for the next time.
# --no-root  leaves it out: the packages are installed into an empty folder instead
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/logs
. scripts/lib.sh

clean_root=true
[[ ${1:-} != --no-root ]] || clean_root=false
need_compiler
need_cmake
need_pgz
need_docs
need dpkg-dev dpkg-shlibdeps
need file file # by which cpack tells programs from others
need pkgconf pkg-config
! $clean_root || need mmdebstrap mmdebstrap
install_missing
for command in cmake ninja dpkg-shlibdeps file pkg-config; do
    has $command || { note "left out: $command is missing" && exit 69; }
done

say "packages: build"
cmake -G Ninja -S . -B build/release -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr -DSPORK_BUILD_TESTS=OFF >build/logs/packages.log
cmake --build build/release >>build/logs/packages.log
cmake --build build/release --target docs >>build/logs/packages.log
rm -rf build/packages
cpack --config build/release/CPackConfig.cmake -B build/packages >>build/logs/packages.log
rm -rf build/packages/_CPack_Packages
ls -l build/packages/*.deb

export WITH_SITE=1
say "packages: tried in an empty folder"
bash tests/consumer/packages.sh build/packages build/empty-root

$clean_root || exit 0
say "packages: tried in an empty Debian"
if [[ ! -x build/root/usr/bin/gcc ]]; then
    # Its mirrors are those of this machine.
    mapfile -t sources < <(ls /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null)
    . /etc/os-release
    rm -rf build/root build/root.new
    mmdebstrap --variant=apt --include=gcc,libc6-dev,pkgconf,zlib1g "$VERSION_CODENAME" build/root.new "${sources[@]}" 2>build/logs/root.log
    mv build/root.new build/root
fi
mkdir -p build/root/proc
mountpoint -q build/root/proc || mount -t proc proc build/root/proc
trap 'umount build/root/proc' EXIT
bash tests/consumer/packages.sh build/packages build/root chroot
