"""trace_picture.py TRACE.json PICTURE.svg: draws what SPORK_TRACE has written, by gnuplot.

A row for each worker's place; a box for each task or part of a map, coloured by how it ended; marks for what became of the
workers, at the time when the pool learnt it. The grey behind is the time for which a worker was there. What the trace does
not hold is not drawn: since when a task ran that was lost with its worker, and when a worker died that had no task."""
import json
import subprocess
import sys

WIDTH, RIGHT, ROW = 800, 24, 56  # pixels: of the picture, right of the rows, of a row's height
COLOURS = {"SPORK_OK": "#2a7f62", "SPORK_FAILED": "#e69f00", "SPORK_DEADLINE": "#8a5cb8", "SPORK_CANCELLED": "#777777",
           "SPORK_OVER_LIMIT": "#b8562c"}
OTHER = "#56b4e9"
# How far below the middle of its row a mark is, in rows; gnuplot's type of point, and its colour.
MARKS = {"crash": (0, 2, "#c1121f"), "retry": (-0.36, 10, "#1d5fa8"), "replacement": (0.36, 8, "#222222")}

PLOT = """set terminal svg size {width},{height} dynamic font "sans-serif,17" background "white"
set output {output}
set lmargin at screen {left}
set rmargin at screen {right}
set tmargin at screen {top}
set bmargin at screen {bottom}
set xrange [{low}:{high}]
set yrange [{rows}-0.4:-0.6]
set border 1
set ytics ({labels}) scale 0 noenhanced
set xtics nomirror out scale 0.5
set grid x lc rgb "#cccccc"
set xlabel "{unit}" offset 0,0.4
set key at screen 0.5,screen {key} center bottom vertical maxrows {lines} Left reverse samplen 2 width -1 noenhanced
set style fill solid 1 noborder
{data}
plot {plots}
"""


def read(path):
    """The events. Each is on a line of its own; the last line is cut where the program was killed."""
    events = []
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            line = line.strip().rstrip(",")
            if line in ("", "[", "]"):
                continue
            try:
                events.append(json.loads(line))
            except ValueError:
                break
    return events


def place_of(event):
    return event["pid"], event["tid"]


def end_of(event):
    return event["ts"] + event.get("dur", 0)


def lives(events):
    """(place, from, to) of the workers. Events stand in the order in which they were written, so a worker whose coming has
    no time came after the event before it; and its first task may have been before that was known."""
    since, last, now, found = {}, {}, 0, []
    for e in events:
        if e["name"] == "thread_name":
            since.setdefault(place_of(e), now)
        if "ts" not in e:
            continue
        now = max(now, end_of(e))
        last[e["pid"]] = now
        if e["name"] == "crash":
            found.append((place_of(e), since.pop(place_of(e), e["ts"]), e["ts"]))
        elif e["name"] != "retry":  # whose worker may be gone
            since[place_of(e)] = min(since.get(place_of(e), now), e["ts"])
    return found + [(place, begin, last.get(place[0], now)) for place, begin in since.items()]


def main():
    source, target = sys.argv[1:]
    events = read(source)
    tasks = [e for e in events if e["ph"] == "X"]
    marks = [e for e in events if e["ph"] == "i"]
    pools = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    places = sorted({place_of(e) for e in events if "tid" in e})
    if not places:
        sys.exit(f"{source}: there is no worker in it")
    row = {place: i for i, place in enumerate(places)}
    names = [(pools.get(pool, f"Pool-{pool}") + " " if len(pools) > 1 else "") + f"Worker-{worker + 1}" for pool, worker in places]
    left = 16 + 10.5 * max(map(len, names))

    begin = min([0] + [e["ts"] for e in tasks])
    end = max([begin + 1] + [end_of(e) for e in tasks + marks])
    unit, scale = ("seconds", 1e-6) if end - begin >= 1e6 else ("milliseconds", 1e-3)
    pixel = (end - begin) / (WIDTH - left - RIGHT)
    data, plots = [], []

    def add(title, lines, style):
        if lines:
            data.append("\n".join([f"$part{len(data)} << END", *lines, "END"]))
            plots.append(f'$part{len(plots)} {style} title "{title}"')

    def add_boxes(title, boxes, colour):
        lines = []
        for place, start, stop in boxes:
            # A gap of a pixel, or tasks that follow each other would look like one; and no box is too narrow to be seen.
            stop = max(stop - pixel, start + 1.5 * pixel)
            y = row[place]
            lines.append(f"{start * scale:.6f} {y} {start * scale:.6f} {stop * scale:.6f} {y - 0.2} {y + 0.2}")
        add(title, lines, f'using 1:2:3:4:5:6 with boxxyerror lc rgb "{colour}"')

    add_boxes("worker", lives(events), "#e2e2e2")
    for status in sorted({e["args"]["status"] for e in tasks}, key=lambda status: (status != "SPORK_OK", status)):
        add_boxes(status, [(place_of(e), e["ts"], end_of(e)) for e in tasks if e["args"]["status"] == status],
                  COLOURS.get(status, OTHER))
    for name, (below, kind, colour) in MARKS.items():
        add(name, [f"{e['ts'] * scale:.6f} {row[place_of(e)] + below}" for e in marks if e["name"] == name],
            f'using 1:2 with points pt {kind} ps 1.1 lw 2 lc rgb "{colour}"')

    lines = -(-len(plots) // 3)  # of the legend
    below = 86 + 26 * lines  # pixels: the axis and the legend
    height = 8 + ROW * len(places) + below
    script = PLOT.format(width=WIDTH, height=height, output=json.dumps(target), left=left / WIDTH, right=1 - RIGHT / WIDTH,
                         top=1 - 8 / height, bottom=below / height, key=12 / height, low=begin * scale, high=end * scale,
                         rows=len(places), labels=", ".join(f'"{name}" {i}' for i, name in enumerate(names)), unit=unit,
                         lines=lines, data="\n".join(data), plots=", \\\n  ".join(plots))
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


main()
