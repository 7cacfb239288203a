"""Ranking short texts by words, with SQLite's FTS5: tools for the `rules` stand-in and, later, for tool search."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping


def rank(query: str, texts: Mapping[str, str]) -> list[str]:
    """Return the keys of the texts that share a word with the query (stems count), best match first."""
    words = sorted(set(re.findall(r"[a-z0-9]+", query.casefold())))
    if not words or not texts:
        return []
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE VIRTUAL TABLE texts USING fts5(name UNINDEXED, body, tokenize='porter unicode61')")
        rows = [(name, text.replace("_", " ")) for name, text in texts.items()]
        connection.executemany("INSERT INTO texts VALUES (?, ?)", rows)
        wanted = " OR ".join(f'"{word}"' for word in words)
        found = connection.execute("SELECT name FROM texts WHERE texts MATCH ? ORDER BY rank, rowid", (wanted,))
        names = [str(name) for (name,) in found]
    connection.close()
    return names
