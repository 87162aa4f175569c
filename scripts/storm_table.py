#!/usr/bin/env python3
"""Adds up what storms have told: storm_table.py RESULTS.tsv, as scripts/storm.sh writes it. Fails if anything was wrong."""
import collections
import json
import re
import sys

DONE = ("messages", "tasks", "uses")
FAULTS = ("torn", "duplicated", "hung", "leaked", "wrong")
COLUMNS = ("kills",) + DONE + ("lost",) + FAULTS
HEADINGS = {"lost": "lost with the killed", "wrong": "otherwise wrong"}
SYSTEMS = {"linux": "Linux", "windows": "Windows programs under wine"}
METHODS = {"forkserver-relay": "fork server, relaying", "forkserver": "fork server"}


def rows_of(path):
    """By system and row: the sums, and the kills by phase."""
    systems = collections.defaultdict(dict)
    with open(path, encoding="utf-8") as file:
        for line in file:
            system, method, storm, _, told = line.rstrip("\n").split("\t")
            told = json.loads(told)
            name = re.sub("(?<=.)([A-Z])", r" \1", storm).lower()
            if name == "process":
                name = "start by " + METHODS.get(method, method)
            sums, phases = systems[system].setdefault(name, (collections.Counter(), collections.Counter()))
            sums["rounds"] += 1
            sums.update({column: told.get(column, 0) for column in COLUMNS})
            phases.update(told.get("at", {}))
    return systems


def number(value):
    return f"{value:,}".replace(",", " ")


def table(headings, rows):
    print("| " + " | ".join(headings) + " |")
    print("|---|" + "---:|" * (len(headings) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def main():
    systems, wrong = rows_of(sys.argv[1]), 0
    for system, rows in sorted(systems.items()):
        total = collections.Counter()
        for sums, _ in rows.values():
            total.update(sums)
        print(f"\n## {SYSTEMS[system]}: {number(total['kills'])} kills in {number(total['rounds'])} rounds\n")
        lines = [[name] + [number(sums[c]) for c in COLUMNS] for name, (sums, _) in sorted(rows.items())]
        table(["what"] + [HEADINGS.get(c, c) for c in COLUMNS], lines + [["all"] + [number(total[c]) for c in COLUMNS]])
        print(f"Kills by phase, {SYSTEMS[system]}:\n")
        phases = [(name, "; ".join(f"{p} {number(n)}" for p, n in at.most_common())) for name, (_, at) in sorted(rows.items())]
        print("| what | kills, by where they struck |\n|---|---|")
        for name, text in phases:
            print(f"| {name} | {text} |")
        wrong += sum(total[fault] for fault in FAULTS)
    if not systems:
        sys.exit("no storm has told anything")
    if wrong:
        sys.exit(f"\n{wrong} times something was wrong")


if __name__ == "__main__":
    main()
