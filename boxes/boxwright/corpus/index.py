"""The index of a corpus: a SQLite file whose bytes depend on the documents and the version of SQLite alone.

The tables are filled in one order by one transaction, then merged and packed; nothing in them is a time or a path. How
FTS5 lays its words out differs between versions of SQLite (measured: 3.40.1 and 3.51.1), so the box names the one.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from boxwright.box.folder import LARGEST_FILE
from boxwright.corpus.documents import Document
from boxwright.corpus.template import _STOP_WORDS, _words
from boxwright.errors import BadInput

LONGEST_PASSAGE = 1_000
"""In characters: some 250 tokens of English."""
_TABLES = """
    PRAGMA page_size = 4096;
    PRAGMA encoding = 'UTF-8';
    PRAGMA journal_mode = OFF;
    PRAGMA auto_vacuum = NONE;
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY, title TEXT UNIQUE, spelt TEXT, named TEXT, first INTEGER, passages INTEGER
    );
    CREATE TABLE passages (id INTEGER PRIMARY KEY, document INTEGER, text TEXT);
    CREATE VIRTUAL TABLE words USING fts5(
        title, body, content = '', tokenize = 'porter unicode61 remove_diacritics 2'
    );
"""
_CUTS = (re.compile(r"\n\s*\n"), re.compile(r"\n|(?<=[.!?])\s+|(?<=[。！？])"), re.compile(r"\s+"))
"""Where a text may be cut, the best first: between paragraphs, lines or sentences, words."""


def write_index(documents: Sequence[Document], path: Path) -> int:
    """Write the index of the documents; returns the number of passages.

    Raises:
        BadInput: It is larger than a file of a box may be, or cannot be written.
    """
    try:
        passages = _write(documents, path)
    except sqlite3.OperationalError as error:
        raise BadInput(f"cannot write the index {str(path)!r}: {error}") from error
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise BadInput(
            f"the index of {len(documents):,} documents has {size:,} bytes, and a file of a box may have "
            f"{LARGEST_FILE:,}; make several boxes, one of each part of the folder"
        )
    return passages


def _write(documents: Sequence[Document], path: Path) -> int:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(_TABLES)
        database.execute("BEGIN")
        passages = 0
        for identity, document in enumerate(documents, start=1):
            passages += _add(database, identity, document, passages + 1)
        database.execute("INSERT INTO words (words) VALUES ('optimize')")
        database.execute("COMMIT")
        database.execute("VACUUM")
    return passages


def passages_of(text: str) -> list[str]:
    """Split a text: as many whole paragraphs as fit in a passage, else lines or sentences, else words."""
    passages = []
    at = 0
    while len(text) - at > LONGEST_PASSAGE:
        end, following = _cut(text[at : at + LONGEST_PASSAGE + 1])
        passages.append(text[at : at + end])
        at += following
    passages.append(text[at:])
    return [whole for passage in passages if (whole := passage.rstrip().lstrip("\n"))]


def _cut(window: str) -> tuple[int, int]:
    """Return where the first passage of a longer text ends, and where the next one begins."""
    for kind in _CUTS:
        if found := [match for match in kind.finditer(window) if match.start()]:
            return found[-1].span()
    return LONGEST_PASSAGE, LONGEST_PASSAGE


def _add(database: sqlite3.Connection, identity: int, document: Document, first: int) -> int:
    passages = passages_of(document.text)
    words = _words(document.title)
    named = _words(re.sub(r"\([^()]*\)", " ", document.title))
    telling = " ".join(named) if set(named) - _STOP_WORDS else ""
    about = (identity, document.title, " ".join(words), telling, first, len(passages))
    database.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)", about)
    for number, passage in enumerate(passages, start=first):
        database.execute("INSERT INTO passages VALUES (?, ?, ?)", (number, identity, passage))
        texts = (number, " ".join(words), " ".join(_words(passage)))
        database.execute("INSERT INTO words (rowid, title, body) VALUES (?, ?, ?)", texts)
    return len(passages)
