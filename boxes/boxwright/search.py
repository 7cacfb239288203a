"""Finding tools by what is asked: an index over names, descriptions, parameters and boxes, on SQLite's FTS5.

It ranks; it neither reads a registry nor decides which releases may be found. A tool's score is BM25 over its own
words, with half the BM25 of its box's words among those of all boxes.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from boxwright.errors import BadInput
from boxwright.words import index_text, query_phrases

__all__ = ["Found", "ReleaseTexts", "ToolIndex", "ToolTexts", "rank"]

_APPLICATION = 0x626F7877
"""Marks a SQLite file as one of these indexes ("boxw")."""

_FORMAT = 1
"""Counts changes to the tables and to `words`; a file of another count is emptied, since its words would not match."""

_MOST_SCORED = 2_000
"""Tools that are scored because they share a word (each takes about 2 µs). Where that is not enough for all words of a
query, its commonest only count in tools that have a rarer one too."""

_NOTHING = '""'
"""The FTS5 expression that nothing matches."""

_TABLES = {
    "releases": "CREATE TABLE releases (id INTEGER PRIMARY KEY, box TEXT, release TEXT, UNIQUE (box, release))",
    "tools": "CREATE TABLE tools (id INTEGER PRIMARY KEY, release_id INTEGER, tool TEXT, UNIQUE (release_id, tool))",
    "tool_words": (
        "CREATE VIRTUAL TABLE tool_words USING fts5"
        "(name, description, parameters, tokenize = 'porter unicode61 remove_diacritics 2')"
    ),
    "box_words": (
        "CREATE VIRTUAL TABLE box_words USING fts5(about, tokenize = 'porter unicode61 remove_diacritics 2')"
    ),
}

# A name says most in fewest words; parameters speak of details. Scores are below 0, the best the lowest, as FTS5's are.
# `:rare` has the words to find tools by; `:both` finds those among them with common words too, and counts them all.
# Tools that share no word with the query, but whose box does, come from the boxes that fit best.
_SEARCH = """
    WITH about AS MATERIALIZED (
        SELECT rowid AS release_id, bm25(box_words) AS score FROM box_words WHERE box_words MATCH :rare
    ), matches AS MATERIALIZED (
        SELECT rowid AS id, bm25(tool_words, 2.0, 1.0, 0.5) AS score FROM tool_words WHERE tool_words MATCH :rare
        UNION ALL
        SELECT rowid AS id, bm25(tool_words, 2.0, 1.0, 0.5) AS score FROM tool_words WHERE tool_words MATCH :both
        UNION ALL
        SELECT id, 0.0 FROM tools
        WHERE release_id IN (SELECT release_id FROM about ORDER BY score, release_id LIMIT 20)
    ), own AS (
        SELECT id, min(score) AS score FROM matches GROUP BY id
    )
    SELECT box, release, tool FROM own
    JOIN tools USING (id)
    JOIN releases ON releases.id = tools.release_id
    LEFT JOIN about ON about.release_id = tools.release_id
    ORDER BY own.score + 0.5 * coalesce(about.score, 0.0), box, release, tool
    LIMIT :limit
"""


@dataclass(frozen=True)
class ToolTexts:
    """What of one tool is searched."""

    name: str
    description: str = ""
    schema: Mapping[str, Any] = field(default_factory=dict)
    """Its input schema; the names and descriptions of its parameters count."""


@dataclass(frozen=True)
class ReleaseTexts:
    """What of one release is searched."""

    box: str
    release: str
    """Its version or its digest, whichever the caller tells releases apart by."""
    tools: tuple[ToolTexts, ...]
    about: str = ""
    """The box's summary, description and keywords."""


class Found(NamedTuple):
    """The key of a tool in the index."""

    box: str
    release: str
    tool: str


class ToolIndex:
    """An index over the tools of many releases, in memory or in a file; threads may share it.

    A file is a cache: one made by another version of this module is emptied when it is opened.
    """

    def __init__(self, path: str | Path = ":memory:") -> None:
        """Open or create the index at `path`.

        Raises:
            BadInput: there is a file that is no such index, or none can be made there.
        """
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(path, timeout=0.5, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise BadInput(
                f"no search index can be kept at {str(path)!r} ({error}); name a file in a folder"
            ) from error
        try:
            self._prepare(path)
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise BadInput(f"{str(path)!r} cannot be used as a search index ({error}); name another file") from error
        except BadInput:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        """Return the number of tools."""
        with self._lock:
            return int(self._database.execute("SELECT count(*) FROM tools").fetchone()[0])

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def releases(self) -> set[tuple[str, str]]:
        """Return box and release of all that is indexed."""
        with self._lock:
            return {(box, release) for box, release in self._database.execute("SELECT box, release FROM releases")}

    def add(self, releases: Iterable[ReleaseTexts]) -> None:
        """Index releases, in one transaction; what stood under the same box and release is replaced."""
        with self._writing() as database:
            for one in releases:
                _remove(database, one.box, one.release)
                _add(database, one)

    def remove(self, box: str, release: str | None = None) -> None:
        """Take out one release of a box, or all of them; where there are none, nothing happens."""
        with self._writing() as database:
            _remove(database, box, release)

    def search(self, query: str, limit: int = 5) -> list[Found]:
        """Return up to `limit` tools that share a word with the query, or whose box does, best first.

        Equals stand in the order of their keys. Any text may be asked for: it is taken as words, not as FTS5's syntax.
        """
        phrases = [_quoted(phrase) for phrase in query_phrases(query)]
        if not phrases or limit < 1:
            return []
        with self._lock:
            rare, common = self._by_count(phrases)
            both = f"({' OR '.join(rare)}) AND ({' OR '.join(common)})" if common else _NOTHING
            asked = {"rare": " OR ".join(rare), "both": both, "limit": limit}
            rows = self._database.execute(_SEARCH, asked).fetchall()
        return [Found(*row) for row in rows]

    def _by_count(self, phrases: list[str]) -> tuple[list[str], list[str]]:
        """Part the phrases into rare ones, at least one and as many as `_MOST_SCORED` allows, and the common rest."""
        matching = "SELECT count(*) FROM tool_words WHERE tool_words MATCH ?"
        counted = sorted((self._database.execute(matching, (phrase,)).fetchone()[0], phrase) for phrase in phrases)
        sums = accumulate(count for count, _ in counted)
        rare = max(1, sum(total <= _MOST_SCORED for total in sums))
        ordered = [phrase for _, phrase in counted]
        return ordered[:rare], ordered[rare:]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def _prepare(self, path: str | Path) -> None:
        if self._marks() == (_APPLICATION, _FORMAT):
            return
        with self._writing() as database:
            application, form = self._marks()
            if (application, form) == (_APPLICATION, _FORMAT):
                return  # another process has made it since
            if application != _APPLICATION and database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise BadInput(f"{str(path)!r} is another program's database; name another file for the search index")
            for table, statement in _TABLES.items():
                database.execute(f"DROP TABLE IF EXISTS {table}")
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.execute(f"PRAGMA user_version = {_FORMAT}")

    def _marks(self) -> tuple[int, int]:
        marks = [self._database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        return marks[0], marks[1]


def _add(database: sqlite3.Connection, one: ReleaseTexts) -> None:
    key = database.execute("INSERT INTO releases (box, release) VALUES (?, ?)", (one.box, one.release)).lastrowid
    database.execute("INSERT INTO box_words (rowid, about) VALUES (?, ?)", (key, index_text(f"{one.box} {one.about}")))
    for tool in one.tools:
        row = database.execute("INSERT INTO tools (release_id, tool) VALUES (?, ?)", (key, tool.name)).lastrowid
        texts = (index_text(tool.name), index_text(tool.description), index_text(_parameters(tool.schema)))
        database.execute(
            "INSERT INTO tool_words (rowid, name, description, parameters) VALUES (?, ?, ?, ?)", (row, *texts)
        )


def _remove(database: sqlite3.Connection, box: str, release: str | None) -> None:
    found = database.execute("SELECT id FROM releases WHERE box = ? AND release = coalesce(?, release)", (box, release))
    for (key,) in found.fetchall():
        database.execute("DELETE FROM tool_words WHERE rowid IN (SELECT id FROM tools WHERE release_id = ?)", (key,))
        database.execute("DELETE FROM tools WHERE release_id = ?", (key,))
        database.execute("DELETE FROM box_words WHERE rowid = ?", (key,))
        database.execute("DELETE FROM releases WHERE id = ?", (key,))


def _parameters(schema: Mapping[str, Any]) -> str:
    """Return names and descriptions of the parameters; other servers' schemas may hold anything."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return ""
    texts = (one.get("description", "") if isinstance(one, Mapping) else "" for one in properties.values())
    return " ".join(f"{name} {text}" for name, text in zip(properties, texts, strict=True))


def _quoted(phrase: str) -> str:
    """Return the FTS5 expression for a phrase: where it is a name of several parts, the name as a whole will do too."""
    return f'"{phrase}"' if " " not in phrase else f'"{phrase}" OR "{phrase.replace(" ", "")}"'


def rank(query: str, texts: Mapping[str, str]) -> list[str]:
    """Return the keys whose key or text shares a word with the query (stems count), best match first."""
    tools = tuple(ToolTexts(key, text) for key, text in texts.items())
    with closing(ToolIndex()) as index:
        index.add([ReleaseTexts("", "", tools)])
        return [found.tool for found in index.search(query, len(tools))]
