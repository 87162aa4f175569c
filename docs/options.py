#!/usr/bin/env python3
"""Checks that a manual page tells the options that the program's own help tells, and no others: options.py PAGE.md PROGRAM [emulator …]"""
import re
import subprocess
import sys

page = open(sys.argv[1], encoding="utf-8").read()
section = page[page.index("## OPTIONS"):page.index("## EXIT STATUS")]
text = subprocess.run(sys.argv[3:] + [sys.argv[2], "-h"], capture_output=True, text=True, check=True).stdout
text = text[text.index("\n\n"):text.rindex("\n\n")]
option = r"(?<![\w-])--?[a-zA-Z1-9][a-z-]*"
told, shown = set(re.findall(option, text)), set(re.findall(option, section))
for name in sorted(told ^ shown):
    print(f"{name}: only in the {'help' if name in told else 'page'}")
sys.exit(1 if told ^ shown else 0)
