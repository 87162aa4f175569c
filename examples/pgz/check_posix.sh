#!/usr/bin/env bash
# check_posix.sh PGZ FILE FOLDER: what only POSIX has to offer: links, other names, pipes by name, closed streams, limits, and files that come
# while one is at work. FILE is large enough to work on for a while.
set -euo pipefail
pgz=$1 file=$2 folder=$3
rm -rf "$folder" && mkdir -p "$folder" && cd "$folder"
wrong() { echo "$*" && ls -l && exit 1; }

# pgz_says CODE TEXT ARGUMENTS…: the exit code, and what it says
pgz_says() {
    local code=0
    "$pgz" "${@:3}" >/dev/null 2>said </dev/null || code=$?
    [[ $code == "$1" ]] || wrong "pgz ${*:3}: exit code $code instead of $1: $(cat said)"
    grep -q -- "$2" said || [[ -z $2 && ! -s said ]] || wrong "pgz ${*:3} does not say \"$2\": $(cat said)"
}

# ---- what is not one's own file ----
echo hello >a
ln -s a link && ln a other
pgz_says 2 "is a link" link
pgz_says 2 "has another name" a
[[ -L link && -e a && -e other && ! -e link.gz && ! -e a.gz ]] || wrong "something was taken away"
pgz_says 0 "" -f link
[[ ! -e link && -e a ]] && gzip -dc link.gz | cmp - a
mkfifo pipe
pgz_says 2 "is no file" pipe
pgz_says 2 "is no file" -f pipe
[[ -p pipe ]] || wrong "the pipe was taken away"
rm other

# ---- names ----
long=$(printf 'x%.0s' {1..252})
cp a "$long"
pgz_says 0 "" "$long"
pgz_says 0 "" -d "$long.gz"
cmp a "$long"
echo b >'b\c'
pgz_says 0 "" -n 'b\c'
cp a pungzip && mkdir pungz && ln -s "$pgz" pungz/pgz # only the program's own name means to expand
pungz/pgz -k a && [[ -e a.gz ]] || wrong "a folder's name decides"
rm a.gz

# ---- options ----
pgz_says 0 "" --processes=2 --block=64K -k a
pgz_says 1 "takes no value" --keep=yes a
pgz_says 1 "is no such number" -b 99999999999999999M a

# ---- what follows a member ----
(cat a.gz && printf '\x1fx') >follows.gz
pgz_says 2 "what follows the end is no gzip" -dk follows.gz
cmp a follows
(cat a.gz && printf '\x1f') >follows.gz
pgz_says 2 "what follows the end is no gzip" -dkf follows.gz
cmp a follows

# ---- closed streams ----
code=0 && "$pgz" -dkf follows.gz >&- 2>&- <&- || code=$?
[[ $code == 2 ]] || wrong "closed streams: exit code $code"
cmp a follows

# ---- a limit on the size of files is an error like a full disk ----
head -c 3000000 /dev/zero >zeros
pgz_says 0 "" -k zeros
(ulimit -f 1000 && pgz_says 1 "cannot write: File too large" -dkf zeros.gz)
[[ $(wc -c <zeros) == 3000000 ]] || wrong "a good file was replaced"

# ---- a file that comes meanwhile ----
cat "$file" "$file" >large
for _ in 1 2 3 4 5 6; do # where it is too quick to come in between, with more
    rm -f large.gz
    "$pgz" -k9 large 2>said &
    until [[ -s $(echo pgz-*.part) ]] || ! kill -0 $! 2>/dev/null; do :; done
    ! kill -0 $! 2>/dev/null || echo precious >large.gz
    code=0 && wait $! || code=$?
    ((code == 0)) || break
    cat large large >larger && mv larger large
done
[[ $code == 1 && $(cat large.gz) == precious ]] || wrong "exit code $code, and $(wc -c <large.gz) bytes"
grep -q "File exists" said || wrong "it does not say why: $(cat said)"

# ---- workers hold nothing of a file that is done ----
cp "$file" more
"$pgz" -9c more large >both.gz &
main=$!
until for child in $(pgrep -P $main); do readlink /proc/"$child"/fd/* 2>/dev/null; done | grep -q . || ! kill -0 $main 2>/dev/null; do :; done
for child in $(pgrep -P $main); do
    ! readlink /proc/"$child"/fd/* 2>/dev/null | grep -q "$PWD/more" || wrong "process $child has the input open"
done
wait $main

[[ -z $(find . -name '*.part') ]] || wrong "a draft is left"
echo "all of it"
