#!/usr/bin/env python3
"""Checks coverage reports of gcovr (JSON), as one, against the list of the lines that no test executes.

    scripts/coverage.py LIST REPORT... [--write]

The list names lines by their text, so that it survives changes elsewhere in the file, under headings that are reasons:

    # reason
    file: text of the line

Fails if a line is neither executed nor listed, if lines or branches are below the bars, and tells which listed lines are executed after all or are no
more there. --write appends what is not listed, under a heading to be replaced by the reason.
"""
import json
import pathlib
import sys

LINES, BRANCHES = 95.0, 85.0


def merge(reports):
    """{file: {line number: (count, counts of its branches)}}. (gcovr refuses a function that has two places by two ways of building.)"""
    files = {}
    for report in reports:
        for entry in report["files"]:
            lines = files.setdefault(entry["file"], {})
            for line in entry["lines"]:
                if line.get("gcovr/noncode"):
                    continue
                count, branches = lines.get(line["line_number"], (0, []))
                more = [branch["count"] for branch in line["branches"]]
                if len(more) == len(branches):
                    branches = [a + b for a, b in zip(branches, more)]
                else:  # of different code: each has to show what it does
                    branches = branches + more
                lines[line["line_number"]] = (count + line["count"], branches)
    return files


def measure(files):
    """Uncovered (file, number, text), and the counts (executed, all) of lines and branches."""
    uncovered, lines, branches = [], [0, 0], [0, 0]
    for file, counts in sorted(files.items()):
        text = pathlib.Path(file).read_text().splitlines()
        for number, (count, of_branches) in sorted(counts.items()):
            lines[1] += 1
            lines[0] += count > 0
            branches[1] += len(of_branches)
            branches[0] += sum(branch > 0 for branch in of_branches)
            if count == 0:
                uncovered.append((file, number, text[number - 1].strip()))
    return uncovered, lines, branches


def read_list(path):
    reasons, reason = {}, None
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else [], 1):
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            if reason is None:
                sys.exit(f"{path}:{number}: a line without a reason above it")
            file, _, text = line.partition(": ")
            reasons[file, text] = reason
    return reasons


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--write"]
    if len(arguments) < 2:
        sys.exit(__doc__)
    listed = pathlib.Path(arguments[0])
    uncovered, lines, branches = measure(merge(json.loads(pathlib.Path(report).read_text()) for report in arguments[1:]))
    reasons = read_list(listed)
    known = {(file, text) for file, _, text in uncovered}
    missing = [line for line in uncovered if (line[0], line[2]) not in reasons]
    if missing and "--write" in sys.argv:
        with listed.open("a") as out:
            out.write("# (reason)\n" + "".join(f"{file}: {text}\n" for file, _, text in dict.fromkeys(missing)))
    for file, number, text in missing:
        print(f"{file}:{number}: not executed, and not in {listed}: {text}")
    for file, text in reasons.keys() - known:
        print(f"{listed}: executed after all, or no more there: {file}: {text}")
    of_lines, of_branches = 100 * lines[0] / lines[1], 100 * branches[0] / branches[1]
    print(f"lines     {of_lines:5.1f} %  ({lines[0]} of {lines[1]}; at least {LINES:.0f})")
    print(f"branches  {of_branches:5.1f} %  ({branches[0]} of {branches[1]}; at least {BRANCHES:.0f})")
    sys.exit(1 if missing or of_lines < LINES or of_branches < BRANCHES else 0)


if __name__ == "__main__":
    main()
