"""bench_pgz.py PGZ JSON: pgz, pigz and gzip at level 6 on a tar of this machine's documentation, headers and binaries, taking turns.

Seconds of the clock, bytes of the result, and the peak of all processes' memory together (proportional set size), in rows as the C
benchmarks write them. SPORK_BENCH_MIB sets the size of the tar (256)."""
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 5
MIB = int(os.environ.get("SPORK_BENCH_MIB", "256"))
TREES = ["/usr/share/doc", "/usr/include", "/usr/share/man", "/usr/bin", "/usr/lib"]


def make_tar(path):
    """A third each of documentation, headers, and binaries, as far as there is so much."""
    size = MIB << 20
    with open(path, "wb") as out:
        for tree, share in zip(TREES, (0.25, 0.30, 0.05, 0.15, 1.0)):
            left = min(int(size * share), size - out.tell())
            tar = subprocess.Popen(["tar", "-cf", "-", tree], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            while left > 0 and (piece := tar.stdout.read(min(left, 1 << 20))):
                out.write(piece)
                left -= len(piece)
            tar.kill()
            tar.wait()
        return out.tell()


def family(pid):
    """The process and all below it."""
    yield pid
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path) as f:
                for child in f.read().split():
                    yield from family(int(child))
        except OSError:
            pass


def memory_kib(pid):
    total = 0
    for one in list(family(pid)):
        try:
            with open(f"/proc/{one}/smaps_rollup") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def run(command, source, result, watch=False):
    with open(source, "rb") as given, open(result, "wb") as out:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdin=given, stdout=out)
        peak = 0
        while watch and process.poll() is None:
            peak = max(peak, memory_kib(process.pid))
            time.sleep(0.02)
        if process.wait() != 0:
            sys.exit(f"{command[0]} failed")
        return time.perf_counter() - begin, os.path.getsize(result), peak


def quartiles(values):
    ordered = sorted(values)
    return [ordered[len(ordered) // 4], ordered[len(ordered) * 3 // 4]]


def row(name, unit, ours, other, other_name, bar=None, at_most=True, ratio=None):
    if ratio is None:
        ratio = statistics.median(a / b for a, b in zip(ours, other))
    return {"suite": "pgz", "name": name, "unit": unit, "spork": statistics.median(ours), "spork_quartiles": quartiles(ours),
            "rounds": len(ours), "other": statistics.median(other), "other_quartiles": quartiles(other), "other_name": other_name,
            "ratio": round(ratio, 4), "bar": bar, "at_most": at_most if bar is not None else None,
            "holds": (ratio <= bar if at_most else ratio >= bar) if bar is not None else None}


def main():
    pgz, output = sys.argv[1:]
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(output))) as folder:
        tar, packed = os.path.join(folder, "tree.tar"), os.path.join(folder, "out.gz")
        megabytes = make_tar(tar) / 1e6
        programs = {"pgz": [pgz, "-6", "-p", "2", "-c", "-"], "gzip": ["gzip", "-6", "-c"]}
        if shutil.which("pigz"):
            programs["pigz"] = ["pigz", "-6", "-p", "2", "-c"]
        speed, size = {name: [] for name in programs}, {}
        for _ in range(ROUNDS):
            for name, command in programs.items():
                seconds, size[name], _ = run(command, tar, packed)
                speed[name].append(megabytes / seconds)
        peak = {name: run(command, tar, packed, True)[2] / 1024 for name, command in programs.items()}
    rows = [row("level 6, two workers", "MB/s", speed["pgz"], speed["gzip"], "gzip -6", 1.9, False),
            row("size of the result", "MB", [size["pgz"] / 1e6], [size["gzip"] / 1e6], "gzip -6", 1.005)]
    if "pigz" in programs:
        rows.insert(0, row("level 6, two workers", "MB/s", speed["pgz"], speed["pigz"], "pigz -6 -p2", 1.0, False))
        rows.append(row("memory of all processes", "MiB", [peak["pgz"]], [peak["pigz"]], "pigz -6 -p2"))
    rows.append(row("memory of all processes", "MiB", [peak["pgz"]], [64.0 + 2 * 4 * 0.125], "allowed", 1.0))
    for each in rows:
        print(f"{each['name']:28} {each['spork']:10.1f} {each['unit']:5} {each['other']:10.1f} {each['other_name']:12} ratio {each['ratio']:.3f}")
    with open(output, "w") as f:
        json.dump(rows, f, indent=2)


main()
