"""demo_picture.py RECORDING PICTURE.svg: draws a terminal with parts of what scripts/demo.sh has printed into one (script(1) records it).

Whole parts are shown or left out, and no line is changed. Needs rich, which Debian has for /usr/bin/python3."""
import io
import re
import socket
import sys

from rich.console import Console
from rich.text import Text

COLUMNS = 100
TITLE = "scripts/demo.sh --native"
# What is shown: sections by their titles ("== …"), with all of their parts ("--- …"), or with those that are named.
SHOWN = {
    "one program, by a C compiler alone": None,
    "the examples, under each start method": ["survivors (fork)", "million (spawn)"],
    "pgz: a parallel gzip over a pool": None,
    "all of it worked": None,
}

# rich's own loads a font from the web.
FORMAT = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""


def as_seen(line):
    """What a carriage return leaves on the screen: a line of progress is written over by the next one."""
    seen = ""
    for text in line.split("\r"):
        seen = text + seen[len(text):]
    return seen.rstrip()


def parts(lines):
    """The recording as [section, part, lines]; the lines under a section's title are its part None."""
    found = []
    for line in lines:
        title = re.fullmatch(r"\x1b\[1m== (.*)\x1b\[0m", line)
        if title:
            found.append([title[1], None, []])
        elif line.startswith("--- ") and found:
            found.append([found[-1][0], line[4:], []])
        if found:
            found[-1][2].append(line)
    return found


def choose(recording):
    chosen, left_out = [], False
    for section, part, lines in parts(recording):
        named = SHOWN.get(section, [])
        if section not in SHOWN or (part is not None and named is not None and part not in named):
            left_out = True
            continue
        while lines[-1] == "":
            lines.pop()
        if chosen:
            chosen.append("…" if left_out else "")
        chosen += lines
        left_out = False
    return chosen


def main():
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8", newline="\n") as f:
        lines = [as_seen(line.rstrip("\r\n")) for line in f]
    chosen = choose(lines)
    for wanted in [f"== {section}" for section in SHOWN] + [f"--- {part}" for some in SHOWN.values() for part in some or []]:
        if not any(wanted in line for line in chosen):
            sys.exit(f"{source}: there is no \"{wanted}\" in it")
    # The picture is for everybody: /usr/share is the same everywhere, other places are this machine's.
    private = re.search(rf"(?<![\w:/.])/(?!usr/share/)\w+/\S*|\b{re.escape(socket.gethostname())}\b", "\n".join(chosen))
    if private:
        sys.exit(f"{source}: \"{private[0]}\" is not for a picture")

    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False)
    for line in chosen:
        text = Text.from_ansi(line, no_wrap=True)
        for row in text.divide(range(COLUMNS, len(text), COLUMNS)):  # as a terminal goes on in the next row
            console.print(row, overflow="ignore", crop=False)
    svg = console.export_svg(title=TITLE, code_format=FORMAT, unique_id="demo")
    svg = re.sub(r' clip-path="[^"]*"', "", svg)  # lines are no longer than the terminal is wide
    svg = re.sub(r"<text [^>]*>\n</text>", "\n", svg)  # the ends of lines
    with open(target, "w", encoding="utf-8") as f:
        f.write("\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n")


main()
