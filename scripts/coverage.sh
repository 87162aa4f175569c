#!/usr/bin/env bash
# What of src/ the tests execute: of the Linux backend, and of what every POSIX system has, as one figure. The files of Windows are left out:
# MinGW's programs write no counts that could be added to these.
#
#     scripts/coverage.sh [--no-run]
#
# --no-run  takes what an earlier run has left
#
# At least 95 % of the lines and 85 % of the branches; and each line that no test executes is in tests/uncovered.txt, with the reason.
# All lines: build/coverage/report/index.html, build/coverage-portable/report/index.html.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/logs
. scripts/lib.sh

case ${1-} in
'' | --no-run) ;;
*) sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0" && exit 64 ;;
esac

need_compiler
need_cmake
need g++ g++
need libgtest-dev /usr/include/gtest/gtest.h
need gcovr gcovr
need python3 python3
install_missing

report() { gcovr --root . --filter 'src/' --exclude 'src/win32/' --exclude-directories '.*CompilerIdC.*' "$@"; }

for preset in coverage coverage-portable; do
    if [[ ${1-} != --no-run ]]; then
        say "$preset"
        cmake --preset $preset >build/logs/$preset.log
        cmake --build --preset $preset >>build/logs/$preset.log
        find build/$preset -name '*.gcda' -delete
        ctest --preset $preset --output-on-failure >>build/logs/$preset.log || { tail -n 60 build/logs/$preset.log && exit 1; }
    fi
    mkdir -p build/$preset/report
    # It complains of the guide's blocks, whose lines are the pages'.
    report --object-directory build/$preset --json build/$preset.json --html-details build/$preset/report/index.html build/$preset \
        2>build/logs/gcovr.log || { tail -n 20 build/logs/gcovr.log && exit 1; }
done
scripts/coverage.py tests/uncovered.txt build/coverage.json build/coverage-portable.json
