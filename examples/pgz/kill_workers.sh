#!/usr/bin/env bash
# kill_workers.sh PGZ FILE FOLDER: compresses FILE while its workers are killed again and again; the result has to be right, and nobody is
# left behind. Then Ctrl-C, which has to leave neither a draft nor a process.
set -euo pipefail
pgz=$1 file=$2 folder=$3
rm -rf "$folder" && mkdir -p "$folder" && cp "$file" "$folder/large" && cd "$folder"

workers() { # what names a nursery is no worker; those without children are
    local child
    for child in $(pgrep -P "$main" || true); do echo "$child"; done
}
written() { { cat pgz-*.part 2>/dev/null || true; } | wc -c; }
# One for each piece that has come out: so no block is hit more often than its three further attempts allow, however slow the machine is.
# pgz stands still while its workers are looked for, which takes longer than many pieces.
compress_and_kill() {
    local before=0 now victim
    "$pgz" -kf9 -b 32K -p 3 large &
    main=$! kills=0
    while kill -CONT $main 2>/dev/null && ((kills < 10)); do
        sleep 0.01
        kill -STOP $main 2>/dev/null || break
        now=$(written)
        ((now > before)) || continue
        before=$now
        victim=$(workers | sort -R | head -n 1)
        [[ -z $victim ]] || ! kill -9 "$victim" 2>/dev/null || kills=$((kills + 1))
    done
    kill -CONT $main 2>/dev/null || true
    wait $main || { echo "pgz ended with $?" && exit 1; }
    gzip -dc large.gz | cmp - large
}
double() { cat "$1" "$1" >twice && mv twice "$1"; }
kills=0
for _ in 1 2 3 4 5 6; do # on a machine where it is done before enough are killed, with more
    compress_and_kill
    ((kills <= 5)) || break
    double large
done
((kills > 5)) || { echo "only $kills workers were there to be killed" && exit 1; }
echo "$kills killed, and the result is right"

set -m # else what runs beside this script ignores Ctrl-C
rm large.gz
cat large large large large large large large large >larger
for _ in 1 2 3 4 5 6; do # where it is done before Ctrl-C, with more
    rm -f larger.gz
    "$pgz" -k9 larger &
    main=$!
    until [[ -s $(echo pgz-*.part) ]] || ! kill -0 $main 2>/dev/null; do sleep 0.01; done
    children=$(workers)
    kill -INT $main 2>/dev/null || true
    code=0 && wait $main || code=$?
    ((code == 0)) || break
    double larger
done
((code == 130)) || { echo "Ctrl-C: exit code $code" && exit 1; }
for child in $children; do
    for _ in $(seq 6000); do kill -0 "$child" 2>/dev/null || continue 2; sleep 0.01; done
    echo "process $child is left" && exit 1
done
[[ -z $(find . -name 'larger.gz*' -o -name '*.part') ]] || { echo "something is left" && ls && exit 1; }
echo "Ctrl-C leaves nothing"
