#!/usr/bin/env bash
# kill_workers.sh PGZ FILE FOLDER: compresses FILE while its workers are killed again and again; the result has to be right, and nobody is
# left behind. Then Ctrl-C, which has to leave neither a draft nor a process.
set -euo pipefail
pgz=$1 file=$2 folder=$3
rm -rf "$folder" && mkdir -p "$folder" && cp "$file" "$folder/large" && cd "$folder"

"$pgz" -k9 -b 32K -p 3 large &
main=$! kills=0
workers() { # what names a nursery is no worker; those without children are
    local child
    for child in $(pgrep -P "$main" || true); do echo "$child"; done
}
written() { { cat pgz-*.part 2>/dev/null || true; } | wc -c; }
# One for each piece that has come out: so no block is hit more often than its three further attempts allow, however slow the machine is.
# pgz stands still while its workers are looked for, which takes longer than many pieces.
before=0
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
((kills > 5)) || { echo "only $kills workers were there to be killed" && exit 1; }
gzip -dc large.gz | cmp - large
echo "$kills killed, and the result is right"

set -m # else what runs beside this script ignores Ctrl-C
rm large.gz
cat large large large large large large large large >larger
"$pgz" -k9 larger &
main=$!
until [[ -s $(echo pgz-*.part) ]]; do sleep 0.01; done
children=$(workers)
kill -INT $main
code=0 && wait $main || code=$?
((code == 130)) || { echo "Ctrl-C: exit code $code" && exit 1; }
for child in $children; do
    for _ in $(seq 200); do kill -0 "$child" 2>/dev/null || continue 2; sleep 0.01; done
    echo "process $child is left" && exit 1
done
[[ -z $(find . -name 'larger.gz*' -o -name '*.part') ]] || { echo "something is left" && ls && exit 1; }
echo "Ctrl-C leaves nothing"
