"""Finds and reads passages of the documents in data/corpus.sqlite. Standard library only; it writes nothing."""

import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypedDict

_SNIPPET = 500
_PART = 4_000
_MOST_FOUND = 10
_MOST_WORDS = 48
"""Words of a query that are looked for: its first ones and its last, since a question may follow what it is about."""
_RANKED = 50
"""The best by words alone; among these, a document whose whole title stands in the query counts double."""
_RANKING = """
    WITH best AS MATERIALIZED (
        SELECT rowid AS id, bm25(words, 5.0, 1.0) AS score FROM words WHERE words MATCH ? ORDER BY score, id LIMIT ?
    )
    SELECT score, best.id, documents.title, named, first, text FROM best
    JOIN passages ON passages.id = best.id JOIN documents ON documents.id = passages.document
"""

# Written without spaces between words: kana, Han, Hangul, Thai, Lao, Burmese, Khmer. These go in as pairs of letters.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUN = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_SMALL = """
    a an and are as at be by did do does for from had has have how in is it its of on or that the their this to was were
    what when where which who whom whose why will with s
"""
_STOP_WORDS = frozenset(_SMALL.split())


class Found(TypedDict):
    """A passage that fits a query, cut to what stands around the query's words."""

    document: str
    passage: int
    text: str


class Part(TypedDict):
    """Some passages of a document; `next` is the passage to go on with, or null at the end."""

    document: str
    passage: int
    passages: int
    next: int | None
    text: str


def search(query: str, limit: int = 5) -> list[Found]:
    """Search the documents of this box for a question: the passages that fit best, the best first.

    Use names and words that the text itself would hold. Long passages are cut: `read` gives them whole. An empty list
    says that no passage has any of the words.

    Args:
        query: A question, or some words, in plain text.
        limit: How many passages, from 1 to 10.
    """
    with closing(_open(Path(__file__).parent / "data" / "corpus.sqlite")) as database:
        return _search(database, query, limit)


def read(document: str, passage: int = 1) -> Part:
    """Read a text out of the documents of this box, about a page at a time.

    `next` in the result is the passage to go on with; null says that this was the end.

    Args:
        document: The title, as `search` gives it.
        passage: The number of the passage to begin with, from 1.
    """
    with closing(_open(Path(__file__).parent / "data" / "corpus.sqlite")) as database:
        return _read(database, document, passage)


def _open(path: Path) -> sqlite3.Connection:
    # immutable: no locks and no journal, in a folder where nothing can be written
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _search(database: sqlite3.Connection, query: str, limit: int) -> list[Found]:
    if not 1 <= limit <= _MOST_FOUND:
        raise ValueError(f"limit must be from 1 to {_MOST_FOUND}, got {limit}")
    words = _asked(query)
    if not words:
        raise ValueError(f"query must hold at least one word to look for, got {query[:80]!r}")
    rows = database.execute(_RANKING, (_any_of(words), _RANKED)).fetchall()
    whole = f" {' '.join(_words(query))} "
    ranked = sorted(rows, key=lambda row: (row[0] * (2 if row[3] and f" {row[3]} " in whole else 1), row[1]))
    return [
        {"document": title, "passage": identity - first + 1, "text": _snippet(text, words)}
        for _, identity, title, _, first, text in ranked[:limit]
    ]


def _read(database: sqlite3.Connection, document: str, passage: int) -> Part:
    title, first, count = _document(database, document)
    if not 1 <= passage <= count:
        raise ValueError(f"passage must be from 1 to {count}, the last of {title!r}, got {passage}")
    part: list[str] = []
    span = (first + passage - 1, first + count - 1)
    texts = database.execute("SELECT text FROM passages WHERE id BETWEEN ? AND ? ORDER BY id", span)
    for (text,) in texts:
        if part and sum(map(len, part)) + len(text) > _PART:
            break
        part.append(text)
    following = passage + len(part)
    return {
        "document": title,
        "passage": passage,
        "passages": count,
        "next": following if following <= count else None,
        "text": "\n\n".join(part),
    }


def _document(database: sqlite3.Connection, wanted: str) -> tuple[str, int, int]:
    """Return title, first passage and number of passages of the document of that title, however it is spelt."""
    about = "SELECT title, first, passages FROM documents WHERE"
    words = _words(wanted)
    for condition, value in (("title = ?", wanted.strip()), ("spelt = ?", " ".join(words))):
        found = database.execute(f"{about} {condition} LIMIT 2", (value,)).fetchall()
        if len(found) == 1:
            title, first, count = found[0]
            return title, first, count
    near = database.execute(
        "SELECT documents.title FROM words JOIN passages ON passages.id = words.rowid "
        "JOIN documents ON documents.id = passages.document AND documents.first = passages.id "
        "WHERE words MATCH ? ORDER BY bm25(words, 1.0, 0.0), 1 LIMIT 3",
        (f"title : ({_any_of(words[:_MOST_WORDS]) or _any_of(['-'])})",),
    ).fetchall()
    advice = f"did you mean {' or '.join(repr(title) for (title,) in near)}?" if near else "search for it first"
    raise ValueError(f"there is no document {wanted[:80]!r}; {advice}")


def _words(text: str) -> list[str]:
    """Return the words of a text as they stand in the index, where SQLite's porter tokenizer stems them."""
    words: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).casefold()):
        if _IS_UNSPACED.match(run):
            words += [run[start : start + 2] for start in range(max(1, len(run) - 1))]
        else:
            words.append(run)
    return words


def _asked(query: str) -> list[str]:
    """Return the words of a query to look for, once each: without stop words, unless there are no others."""
    words = list(dict.fromkeys(_words(query)))
    telling = [word for word in words if word not in _STOP_WORDS] or words
    half = _MOST_WORDS // 2
    return telling if len(telling) <= _MOST_WORDS else telling[:half] + telling[-half:]


def _any_of(words: list[str]) -> str:
    # every word in quotes: so no text is FTS5 syntax
    return " OR ".join(f'"{word}"' for word in words)


def _snippet(text: str, words: list[str]) -> str:
    """Return the stretch of the passage with most of the words, found by their beginnings since forms differ."""
    if len(text) <= _SNIPPET:
        return text
    hits = list(_hits(text, {word[:5] for word in words})) or [(0, "")]
    reach = _SNIPPET - 100  # what stands before the first word and behind the last is shown too
    best = max(hits, key=lambda hit: (len({word for at, word in hits if hit[0] <= at < hit[0] + reach}), -hit[0]))
    start = max(0, min(best[0] - 50, len(text) - _SNIPPET))
    start = text.rfind(" ", 0, start) + 1 if start else 0
    end = start + _SNIPPET
    cut = text[start:end].rpartition(" ")[0] if end < len(text) and " " in text[start:end] else text[start:end]
    return f"{'…' if start else ''}{cut}{'…' if start + len(cut) < len(text) else ''}"


def _hits(text: str, beginnings: set[str]) -> Iterator[tuple[int, str]]:
    """Yield where words begin like that; where words have no blanks between them, anywhere."""
    for match in _RUN.finditer(text):
        run = match[0].casefold()
        for beginning in beginnings:
            at = run.find(beginning)
            if at == 0 or (at > 0 and _IS_UNSPACED.match(run)):
                yield match.start() + at, beginning
