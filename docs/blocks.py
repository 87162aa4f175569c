#!/usr/bin/env python3
"""Takes the code out of Markdown pages, so that the tests can compile and run what the pages show.

    blocks.py FOLDER PAGE.md …

Writes sources into FOLDER, and FOLDER/blocks.cmake, which names them by calls of functions of docs/CMakeLists.txt:

    spork_page_program(NAME FILE SYSTEMS EXPECTED)   a block of C with a main
    spork_page_piece(FILE)                           a block of C without one
    spork_page_project(NAME FILE)                    a block of CMake: what a user adds to a CMakeLists.txt

A block of C without a main whose lines begin with a type, `static` or `#include` stands as it is; else it is the body of a function.
Comments before a block, which a reader of the page does not see, tell more:

    <!-- program: name -->          what its test is called; else by page and line
    <!-- systems: linux -->         where it runs, of linux, posix, windows; else everywhere
    <!-- output -->                 the next block is what the program before it prints; numbers in parentheses may differ
    <!-- output: any order -->      the same, but in any order of lines
    <!-- given                      C that the pieces of this page need in front of them, up to the end of the comment
"""
import pathlib
import re
import sys

HEADERS = ["<spork/spork.h>", "<stdio.h>", "<stdlib.h>", "<string.h>"]
FILE_SCOPE = re.compile(r"^(#include|static|typedef|struct \w+ \{|int |void |spork_status \w+\()", re.M)


def fail(page, line, text):
    sys.exit(f"{page}:{line}: {text}")


def blocks(page):
    """Yields (line, language, marks, text) for each fenced block; marks are those of the comments since the last one."""
    lines = page.read_text(encoding="utf-8").split("\n")
    marks, at = {}, 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("<!--"):
            first = at
            while "-->" not in lines[at]:
                at += 1
                if at == len(lines):
                    fail(page, first + 1, "a comment without an end")
            comment = "\n".join(lines[first:at + 1])[4:].rsplit("-->", 1)[0]
            key, _, value = re.match(r"\s*(\w+)(:?)(.*)", comment, re.S).groups()
            marks[key] = value.strip()
        elif line.startswith("```"):
            language, first = line[3:].strip(), at + 1
            at = first
            while at < len(lines) and lines[at] != "```":
                at += 1
            if at == len(lines):
                fail(page, first, "a block without an end")
            yield first, language, marks, "\n".join(lines[first:at]) + "\n"
            marks = {}
        at += 1


def expected(text, any_order):
    """The lines as check_output.cmake (examples/) wants them: expressions, with {names} for numbers that may differ."""
    lines = []
    for line in text.rstrip("\n").split("\n"):
        line = re.sub(r"([][.*+?^$|\\()])", r"\\\1", line)
        lines.append(re.sub(r"\\\((\d+)\\\)", r"\\({n\1}\\)", line))
    return "".join(line + "\n" for line in (["# any order"] if any_order else []) + lines)


def piece(page, line, text, given):
    head = "".join(f"#include {header}\n" for header in HEADERS) + given
    place = f'#line {line + 1} "{page.name}"\n'
    if FILE_SCOPE.search(text):
        return head + place + text
    return f"{head}void spork_page_piece(void);\nvoid spork_page_piece(void)\n{{\n{place}{text}}}\n"


def main():
    folder, pages = pathlib.Path(sys.argv[1]), [pathlib.Path(name) for name in sys.argv[2:]]
    folder.mkdir(parents=True, exist_ok=True)
    calls, written = [], {}

    def write(name, text):
        if name in written:
            sys.exit(f"two blocks are called {name}")
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:  # else all is compiled anew each time
            path.write_text(text, encoding="utf-8")
        written[name] = path
        return path.as_posix()

    for page in pages:
        given, program = "", None
        for line, language, marks, text in blocks(page):
            given += marks.get("given", "") + "\n" if "given" in marks else ""
            name = f"{page.stem.lower()}-{line + 1}"
            if language == "c" and re.search(r"^int (main|WINAPI WinMain)\(", text, re.M):
                name = marks.get("program", name)
                program = [name, write(name + ".c", text), marks.get("systems", "everywhere"), ""]
                calls.append(program)
            elif language == "c":
                calls.append(["piece", write(name + ".c", piece(page, line, text, given))])
            elif language == "cmake":
                calls.append(["project", name, write(name + ".cmake", text)])
            elif language == "text" and "output" in marks:
                if program is None:
                    fail(page, line, "the output of no program")
                program[3] = write(program[0] + ".txt", expected(text, marks["output"] == "any order"))
    with open(folder / "blocks.cmake.new", "w", encoding="utf-8") as out:
        for call in calls:
            kind, arguments = (call[0], call[1:]) if call[0] in ("piece", "project") else ("program", call)
            out.write(f"spork_page_{kind}(" + " ".join(f'"{argument}"' for argument in arguments) + ")\n")
    (folder / "blocks.cmake.new").replace(folder / "blocks.cmake")


if __name__ == "__main__":
    main()
