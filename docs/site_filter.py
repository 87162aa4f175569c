#!/usr/bin/env python3
"""A page as Doxygen should read it: site_filter.py PAGE.md.

Headings get the names by which GitHub's readers link to them, comments for the tests go, and links that only a reader of the repository can
follow become plain text.
"""
import pathlib
import re
import sys

from links import slug

page = pathlib.Path(sys.argv[1])
seen = set()


def heading(match):
    name = f"{page.stem.lower()}-{slug(match.group(2))}"
    if name in seen:
        return match.group(0)
    seen.add(name)
    return f"{match.group(1)} {match.group(2)} {{#{name}}}"


def link(match):
    words, target = match.group(1).replace("\n", " "), match.group(2)  # Doxygen 1.9 takes no link of two lines
    path, _, fragment = target.partition("#")
    if fragment and (not path or (path.endswith(".md") and "/" not in path)):
        stem = pathlib.Path(path).stem if path else page.stem
        return f"[{words}](@ref {stem.lower()}-{fragment})"
    if path.endswith((".svg", ".png")) or (path.endswith(".md") and "/" not in path) or ":" in path:
        return f"[{words}]({target})"
    return words


def prose(text):
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.S)
    text = re.sub(r"\*\*(`[^*]+)\*\*", r"<b>\1</b>", text)  # Doxygen 1.9 sees no ** before code
    text = re.sub(r"^(##+) (.+)$", heading, text, flags=re.M)
    return re.sub(r"(?<!!)\[((?:[^][]|\[[^]]*\])+)\]\(([^)\s]+)\)", link, text)


def main():
    text = page.read_text(encoding="utf-8")
    parts = re.split(r"(^```.*?^```$)", text, flags=re.S | re.M)  # code stays as it is
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    sys.stdout.write("".join(part if part.startswith("```") else prose(part) for part in parts))


main()
