"""What a file of one kind says: its title, where it has one, and its text with the markup of HTML taken out."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from typing import NamedTuple

_HIDDEN = {"script", "style", "template", "noscript", "svg", "head"}
_LINES = "br li tr dt dd option"
_BLOCKS = """
    p div section article main aside header footer nav table ul ol dl pre blockquote figure form hr body
    h1 h2 h3 h4 h5 h6
"""
_BREAKS = {**dict.fromkeys(_LINES.split(), "\n"), **dict.fromkeys(_BLOCKS.split(), "\n\n")}
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w-]+)""", re.IGNORECASE)
_UNDERLINE = re.compile(r"""([=\-`:.'"~^_*+#<>])\1{2,}\s*""")


class Text(NamedTuple):
    """A text and its title; the title is empty where the text names none."""

    title: str
    text: str


def html_text(source: str) -> Text:
    """Take the text out of HTML: what is shown, blocks apart, and the title of its head or its first heading.

    Raises:
        ValueError: It is too broken to be read.
    """
    parser = _Reader()
    try:
        parser.feed(source)
        parser.close()
    except AssertionError as error:  # the standard library's parser meets a declaration it does not know
        raise ValueError(f"not HTML that can be read ({error})") from error
    lines = re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(parser.pieces))
    return Text(parser.named("title") or parser.named("h1"), re.sub(r"\n{3,}", "\n\n", lines))


def declared_charset(source: bytes) -> str | None:
    """Return the encoding that a page names in its first kilobyte."""
    found = _CHARSET.search(source[:1024])
    return found[1].decode("ascii") if found else None


def markdown_text(source: str) -> Text:
    """Leave Markdown as it is; its title is its first heading of the first level."""
    outside_code = re.sub(r"(?ms)^(```|~~~).*?^\1", "", source)
    found = re.search(r"(?m)^#[ \t]+(.+?)[ \t#]*$", outside_code)
    return Text(found[1] if found else "", source)


def rst_text(source: str) -> Text:
    """Leave reStructuredText as it is; its title is its first line with an underline as long as itself."""
    lines = [line.rstrip() for line in source.splitlines()]
    for line, below in itertools.pairwise(lines):
        underlined = _UNDERLINE.fullmatch(below) and len(below) >= len(line.strip())
        if line.strip() and underlined and not _UNDERLINE.fullmatch(line):
            return Text(line.strip(), source)
    return Text("", source)


class _Reader(HTMLParser):
    """Collects what a page shows."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._open: list[str] = []
        self._titles: dict[str, str] = {}

    def named(self, tag: str) -> str:
        """Return the text of the first element of that kind, `title` or `h1`."""
        return " ".join(self._titles.get(tag, "").split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN or tag in ("pre", "title", "h1"):
            self._open.append(tag)
        if tag == "body" and "head" in self._open:  # whose end tag may be left out
            self._open.remove("head")
        if tag in ("title", "h1") and tag in self._titles:
            self._open.remove(tag)
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            self._open.remove(tag)
        self._break(tag)

    def handle_data(self, data: str) -> None:
        for tag in ("title", "h1"):
            if tag in self._open:
                self._titles[tag] = self._titles.get(tag, "") + data
        if not _HIDDEN & set(self._open) and "title" not in self._open:
            self.pieces.append(data if "pre" in self._open else re.sub(r"\s+", " ", data))

    def _break(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.pieces.append(" ")
        elif tag in _BREAKS and not _HIDDEN & set(self._open):
            self.pieces.append(_BREAKS[tag])
