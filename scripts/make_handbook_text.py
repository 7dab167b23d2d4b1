#!/usr/bin/env python3
"""Turns the Debian Administrator's Handbook's HTML into plain text.

    make_handbook_text.py HTML_DIRECTORY OUTPUT

Chapters in the order of the table of contents, separated by form feeds; paragraphs separated by blank lines;
listings keep their lines. The same input gives the same bytes.
"""

import html.parser
import pathlib
import re
import sys

SKIPPED_CLASSES = {"docnav", "toc"}  # navigation, tables of contents
SKIPPED_IDS = {"banner", "title"}  # the page's own header
SKIPPED_TAGS = {"head", "script", "style"}
INLINE_TAGS = {"a", "abbr", "acronym", "b", "code", "em", "i", "img", "span", "strong", "sub", "sup", "tt", "u"}
VOID_TAGS = {"br", "hr", "img", "input", "link", "meta", "col"}


class Paragraphs(html.parser.HTMLParser):
    """Collects a page's paragraphs: runs of text between the borders of block elements."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.paragraphs = []
        self.text = ""
        self.skipping = 0  # open elements since a skipped one began, itself included
        self.preformatted = 0

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in VOID_TAGS:
            if tag in {"br", "hr"}:
                self.end_paragraph()
            return
        classes = set((values.get("class") or "").split())
        if self.skipping or tag in SKIPPED_TAGS or classes & SKIPPED_CLASSES or values.get("id") in SKIPPED_IDS:
            self.skipping += 1
            return
        if tag not in INLINE_TAGS:
            self.end_paragraph()
        if tag == "pre":
            self.preformatted += 1

    def handle_startendtag(self, tag, attributes):
        if tag not in INLINE_TAGS and not self.skipping:
            self.end_paragraph()

    def handle_endtag(self, tag):
        if tag in VOID_TAGS:
            return
        if self.skipping:
            self.skipping -= 1
            return
        if tag not in INLINE_TAGS:
            self.end_paragraph()
        if tag == "pre":
            self.preformatted -= 1

    def handle_data(self, data):
        if not self.skipping:
            self.text += data

    def end_paragraph(self):
        if self.preformatted:
            lines = [line.rstrip() for line in self.text.split("\n")]
            paragraph = "\n".join(line for line in lines if line)
        else:
            paragraph = " ".join(self.text.split())
        if paragraph:
            self.paragraphs.append(paragraph)
        self.text = ""


def paragraphs_of(page):
    parser = Paragraphs()
    parser.feed(page.read_text(encoding="utf-8"))
    parser.close()
    return parser.paragraphs


def chapters(directory):
    """Lists of pages; a chapter's first page is any but those called sect.*."""
    links = re.findall(r'href="([^"#]+\.html)', (directory / "index.html").read_text(encoding="utf-8"))
    result = []
    for name in dict.fromkeys(links):
        if name == "index.html" or not (directory / name).is_file():
            continue
        if not name.startswith("sect.") or not result:
            result.append([])
        result[-1].append(directory / name)
    return result


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    directory, output = map(pathlib.Path, sys.argv[1:])
    texts = ["\n\n".join(sum(map(paragraphs_of, pages), [])) for pages in chapters(directory)]
    output.write_text("\n\f\n".join(texts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
