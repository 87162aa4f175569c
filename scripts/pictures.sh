#!/usr/bin/env bash
# Draws the pictures of README and guide anew, on Debian or Ubuntu, installing what is missing:
#
#     scripts/pictures.sh
#
# docs/demo.svg   a terminal with parts of what scripts/demo.sh --native prints; for its numbers nothing else should run meanwhile
# docs/trace.svg  what the workers of a pool did, two of which were killed: the trace of pgz, one of the examples
set -euo pipefail
cd "$(dirname "$0")/.."
folder=build/pictures
mkdir -p $folder
. scripts/lib.sh

need_compiler
need_cmake
need_pgz
need pigz pigz
need bsdutils script
need gnuplot-nox gnuplot
need python3-rich /usr/lib/python3/dist-packages/rich
install_missing
for command in cmake ninja pigz script gnuplot; do
    has $command || { note "left out: $command is missing" && exit 69; }
done

say "the demo, in a terminal"
# Its columns are those of demo_picture.py.
script -qec 'stty cols 100 rows 50; scripts/demo.sh --native' /dev/null </dev/null >$folder/demo.typescript || {
    tail -n 20 $folder/demo.typescript
    exit 1
}
/usr/bin/python3 scripts/demo_picture.py $folder/demo.typescript docs/demo.svg
note "docs/demo.svg"

say "a pool, two of whose workers are killed"
cat src/*.c src/*/*.c tests/*.cpp include/spork/*.h >$folder/sources
rm -f $folder/pipe
mkfifo $folder/pipe
SPORK_START_METHOD=fork SPORK_TRACE=$folder/trace.json \
    build/demo/native/examples/pgz -9 -p 4 -b 128K -c - <$folder/pipe >/dev/null &
pgz=$!
# It reads no more than it has workers for, so these deaths come after a third and two thirds of its work, however fast it is.
kill_a_worker() { kill -9 "$(pgrep -P $pgz | sed -n 3p)"; } # its first child is no worker, but the nursery that forks them
{
    cat $folder/sources $folder/sources
    kill_a_worker & # while more work comes
    cat $folder/sources $folder/sources
    kill_a_worker &
    cat $folder/sources $folder/sources
} >$folder/pipe
wait $pgz
rm $folder/pipe
if (($(grep -c '"crash"' $folder/trace.json) != 2)); then
    note "a worker was killed between two of its tasks, which is not what the picture is to show: run it again"
    exit 1
fi
python3 scripts/trace_picture.py $folder/trace.json docs/trace.svg
note "docs/trace.svg"
