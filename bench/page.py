"""page.py RESULTS.json FOLDER: writes FOLDER/bench.md and its plots (FOLDER/bench-*.svg, by gnuplot) from one run of the benchmarks.

No number of the page comes from anywhere else."""
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def number(value):
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}".replace(",", " ")


def spread(row, whose):
    low, high = row[whose + "_quartiles"]
    return f"{number(row[whose])} ({number(low)} to {number(high)})" if low != high else number(row[whose])


def verdict(row):
    if row["bar"] is None:
        return ""
    return f"{'at most' if row['at_most'] else 'at least'} {row['bar']:g}: {'holds' if row['holds'] else '**short**'}"


def processor():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


# A bar for each row: how many times as fast as the other Spork is, so that longer is better for every unit.
PLOT = """set terminal svg size 860,{height} dynamic font "sans-serif,13" background "white"
set output "{output}"
set title "{title}: times as fast as the other" noenhanced
set logscale x 2
set xrange [{low}:{high}]
set yrange [-0.7:{top}]
set ytics ({tics}) noenhanced
set grid x lc rgb "#dddddd"
set arrow from 1,-0.7 to 1,{top} nohead lw 2 lc rgb "#555555" front
set style fill solid 0.9 noborder
unset key
$bars << END
{data}
END
plot $bars using 2:1:(1.0):2:($1-0.34):($1+0.34):3 with boxxyerror lc rgb variable
"""


def plot(suite, rows, folder):
    bars = []
    for row in reversed(rows):
        if row["ratio"]:
            fast = row["ratio"] if row["unit"].endswith("/s") else 1 / row["ratio"]
            bars.append((f"{row['name'].split(' / ')[0]} / {row['other_name']}", fast))
    if not bars or shutil.which("gnuplot") is None:
        return None
    low = min(0.5, min(fast for _, fast in bars) / 1.2)
    high = max(2.0, max(fast for _, fast in bars) * 1.2)
    tics = ", ".join(f'"{name}" {i}' for i, (name, _) in enumerate(bars))
    data = "\n".join(f"{i} {fast} {0x2a7f62 if fast >= 1 else 0xb8562c}" for i, (_, fast) in enumerate(bars))
    name = f"bench-{slug(suite)}.svg"
    script = PLOT.format(height=90 + 24 * len(bars), output=os.path.join(folder, name), title=suite, low=low, high=high,
                         top=len(bars) - 0.3, tics=tics, data=data)
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    return name


def main():
    source, folder = sys.argv[1:]
    with open(source) as f:
        rows = json.load(f)
    os.makedirs(folder, exist_ok=True)
    suites = {}
    for row in rows:
        suites.setdefault(row["suite"], []).append(row)
    page = ["# Benchmarks", "",
            "Written by `cmake --workflow --preset bench`, which runs all of them beside the raw system calls and the peers that the",
            "machine has. Cases take turns; told are medians, with the quartiles in parentheses; a ratio is the median of the rounds'",
            "ratios. In the plots longer is better, whatever the unit.", "",
            f"{time.strftime('%Y-%m-%d')}, {processor()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}.", ""]
    for suite, some in suites.items():
        page += [f"## {suite}", ""]
        picture = plot(suite, some, folder)
        if picture:
            page += [f"![{suite}: Spork's speed as a multiple of the others']({picture})", ""]
        page += ["| | Spork | the other | | rounds | ratio | bar |", "|---|---|---|---|---|---|---|"]
        for row in some:
            ratio = number(row["ratio"]) if row["ratio"] else ""
            page.append(f"| {row['name']}, {row['unit']} | {spread(row, 'spork')} | {spread(row, 'other')} | {row['other_name']} | "
                        f"{row['rounds']} | {ratio} | {verdict(row)} |")
        page.append("")
    with open(os.path.join(folder, "bench.md"), "w") as f:
        f.write("\n".join(page).rstrip() + "\n")
    print(f"{len(rows)} rows in {folder}/bench.md")


main()
