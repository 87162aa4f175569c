#!/usr/bin/env python3
"""Checks that links lead somewhere: links.py PAGE.md … for files of the repository, links.py FOLDER for a site of HTML."""
import html.parser
import pathlib
import re
import sys
import urllib.parse


def slug(heading):
    """The name by which GitHub's readers link to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src"):
                self.links.append(value or "")
            elif name in ("id", "name"):
                self.ids.add(value)


def links_of_site(folder):
    texts = {path: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    pages = {path: Page(text) for path, text in texts.items()}
    if not pages:
        yield folder, "no pages"
    for path, text in texts.items():
        text = re.sub(r'<div class="fragment">.*?<!-- fragment -->|<(code|pre)\b.*?</\1>', "", text, flags=re.S)
        if path.name.startswith(("md_", "index")) and "**" in text:
            yield path, "a mark of Markdown that was not understood: **"
    for path, page in pages.items():
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            target = path.parent / urllib.parse.unquote(parts.path) if parts.path else path
            if not target.exists() or (parts.fragment and target in pages and parts.fragment not in pages[target].ids):
                yield path, link


def prose_of(path):
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)


def links_of_markdown(path):
    text = prose_of(path)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        parts = urllib.parse.urlsplit(link)
        if parts.scheme:
            yield path, f"{link}: only what is in the repository can be checked"
            continue
        target = path.parent / parts.path if parts.path else path
        if not target.exists():
            yield path, link
        elif parts.fragment and parts.fragment not in map(slug, re.findall(r"^#+ (.+)$", prose_of(target), flags=re.M)):
            yield path, link


def main():
    bad = []
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        bad += links_of_site(path) if path.is_dir() else links_of_markdown(path)
    for path, link in bad:
        print(f"{path}: leads nowhere: {link}")
    sys.exit(1 if bad or len(sys.argv) < 2 else 0)


if __name__ == "__main__":
    main()
