#!/usr/bin/env bash
# Tries the Debian packages in a root that has nothing else of Spork: packages.sh FOLDER_OF_PACKAGES ROOT [chroot]
# Without `chroot` ROOT may be an empty folder, and the compiler of this machine is used; with it ROOT is a whole Debian with a compiler.
set -euo pipefail
packages=$1 root=$2 how=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "$*"; exit 1; }

mkdir -p "$root"
root=$(cd "$root" && pwd)
if [[ $how != chroot ]]; then
    rm -rf "${root:?}"/*
    mkdir -p "$root/var/lib/dpkg/"{info,updates,triggers} "$root/etc"
    touch "$root/var/lib/dpkg/"{status,available}
    dpkg=(dpkg "--root=$root" --force-depends --force-not-root --force-bad-path
        --force-script-chrootless --log=/dev/null) # there is no shell in it
else
    dpkg=(chroot "$root" dpkg)
fi
files=("$packages"/*.deb)
[[ ${#files[@]} -ge 3 ]] || fail "there are ${#files[@]} packages in $packages"
install() {
    if [[ $how == chroot ]]; then
        mkdir -p "$root/packages"
        cp "${files[@]}" "$root/packages"
        chroot "$root" sh -c 'dpkg -i /packages/*.deb'
    else
        "${dpkg[@]}" -i "${files[@]}"
    fi
}
files_of() { "${dpkg[@]}" -L "$1" || fail "$1 is not installed"; }
has() { grep -qE "$2" <<<"$(files_of "$1")" || fail "$1 has no $2"; }
lacks() { ! grep -E "$2" <<<"$(files_of "$1")" || fail "$1 has $2"; }

if [[ $how == chroot ]]; then # what an earlier try has left, if it failed
    chroot "$root" sh -c 'dpkg --purge pgz libspork-dev libspork-doc $(dpkg-query -f "\${Package}\n" -W "libspork[0-9]*")' >/dev/null 2>&1 || true
    rm -f "$root/program" "$root/program.c"
fi
find "$root" -xdev -path "$root/proc" -prune -o -type f -print | sort >"$root.before"
install >"$root.log" 2>&1 || { cat "$root.log"; fail "dpkg -i failed"; }
rm -rf "$root/packages"

runtime=$("${dpkg[@]}" -l 'libspork*' | awk '/^ii/ && $2 ~ /^libspork[0-9]/ {sub(/:.*/, "", $2); print $2}')
[[ -n $runtime ]] || fail "no package of the library is installed"
has "$runtime" '/libspork\.so\.[0-9.]+$'
has "$runtime" '/spork-host$'
lacks "$runtime" '\.h$|/libspork\.so$|\.a$'
has libspork-dev '/include/spork/spork\.h$'
has libspork-dev '/libspork\.a$'
has libspork-dev '/libspork\.so$'
has libspork-dev '/pkgconfig/spork\.pc$'
has libspork-dev '/sporkConfig\.cmake$'
has libspork-doc '/docs/start\.md$'
has libspork-doc '/examples/process\.c$'
if [[ -n ${WITH_SITE-} ]]; then # scripts/packages.sh has built it
    has libspork-doc '/html/index\.html$'
    has libspork-doc '/man7/spork\.7(\.gz)?$'
    has pgz '/man1/pgz\.1(\.gz)?$'
fi

# A program: compiled, run, and run again without what was only needed to compile it.
cp "$here/program.c" "$root/program.c"
if [[ $how == chroot ]]; then
    run() { chroot "$root" /program; }
    chroot "$root" sh -c 'cc -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Werror -DCONSUMER_HAS_HOST /program.c -o /program $(pkg-config --cflags --libs spork)'
else
    folder=$(dirname "$(find "$root" -name libspork.so)")
    run() { LD_LIBRARY_PATH=$folder "$root/program"; }
    # shellcheck disable=SC2046
    "${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Werror -DCONSUMER_HAS_HOST "$root/program.c" -o "$root/program" \
        $(PKG_CONFIG_LIBDIR=$folder/pkgconfig pkg-config --cflags --libs spork)
fi
grep -q 'host: found' <<<"$(run)" || fail "the program says: $(run 2>&1)"
"${dpkg[@]}" --purge libspork-dev libspork-doc >>"$root.log" 2>&1 || { cat "$root.log"; fail "dpkg --purge failed"; }
run | grep -q 'pool: 9' || fail "the program runs no longer without libspork-dev"
if "${dpkg[@]}" -s pgz >/dev/null 2>&1; then
    "${dpkg[@]}" --purge pgz >>"$root.log" 2>&1
fi
"${dpkg[@]}" --purge "$runtime" >>"$root.log" 2>&1

# Nothing is left.
rm "$root/program" "$root/program.c"
find "$root" -xdev -path "$root/proc" -prune -o -type f -print | sort >"$root.after"
left=$(comm -13 "$root.before" "$root.after" | grep -v -e /var/lib/dpkg/ -e /var/log/ -e /ld.so.cache -e /var/cache/ || true)
[[ -z $left ]] || fail "left behind: $left"
echo "installed, used and removed: $runtime, libspork-dev, libspork-doc"
