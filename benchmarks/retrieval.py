"""Retrieval boxes on HotpotQA's paragraphs: `boxes corpus` beside bm25s, and beside FTS5 as it comes.

    python benchmarks/retrieval.py FOLDER      # the folder with hotpot.json: questions, each with ten paragraphs

All paragraphs of all questions make one corpus. Recall at 5 and at 10 is the share of a question's supporting
paragraphs whose documents are among the first results, averaged over questions, in percent; the question is the query.

- Ours is the box's own `search`, which gives passages of at most 1,000 characters: a document with two of them may take
  two of the places.
- bm25s has each paragraph with its title before it, its English stop words, and PyStemmer's English stemmer or none.
  Where it is not installed its rows are left out; it is no dependency of Boxwright.
- FTS5 as it comes: title and text in one column, the words of the question joined by OR.

Stop words, the title's weight of 5 and the doubled score of a document whose whole title stands in the question were
chosen on the questions of even places; those of odd places are shown apart. Nearness (pairs of neighbouring words as
phrases) was tried and made it worse. Questions of HotpotQA name the titles of what they ask about, so a doubled
title helps here more than it will where they do not.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import re
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from boxwright.corpus import write_corpus_box
from boxwright.corpus.template import _open, _search
from boxwright.registry import Registry, publish
from boxwright.sandbox import ToolRunner, choose_sandbox
from boxwright.settings import Settings
from servers import machine

Search = Callable[[str, int], list[str]]
CUTS = (5, 10)
CALLS = 100
SIZE = 5_000


@dataclass(frozen=True)
class Question:
    """A question and the titles of the paragraphs that support its answer."""

    text: str
    supporting: frozenset[str]


def load(folder: Path) -> tuple[list[Question], dict[str, str]]:
    """Return the questions, and the text of each paragraph by its title."""
    rows = json.loads((folder / "hotpot.json").read_text(encoding="utf-8"))
    paragraphs: dict[str, str] = {}
    for row in rows:
        contexts = ast.literal_eval(row["context"]) if isinstance(row["context"], str) else row["context"]
        paragraphs |= {title: "".join(sentences) for title, sentences in contexts}
    questions = [Question(row["question"], frozenset(title for title, _ in row["supporting_facts"])) for row in rows]
    assert all(question.supporting <= set(paragraphs) for question in questions)
    return questions, paragraphs


def ours(index: Path) -> Search:
    """Return the box's search."""
    database = _open(index)
    return lambda query, limit: [found["document"] for found in _search(database, query, limit)]


def stock(paragraphs: dict[str, str]) -> Search:
    """Return FTS5's own search."""
    titles = list(paragraphs)
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
    database.executemany("INSERT INTO words VALUES (?)", [(f"{title}\n{text}",) for title, text in paragraphs.items()])

    def search(query: str, limit: int) -> list[str]:
        words = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", query))
        asked = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?"
        return [titles[row - 1] for (row,) in database.execute(asked, (words, limit))]

    return search


def peers(paragraphs: dict[str, str]) -> Iterator[tuple[str, Search]]:
    """Yield bm25s without and with a stemmer."""
    try:
        bm25s, stemming = import_module("bm25s"), import_module("Stemmer")
    except ImportError as error:
        print(f"no bm25s beside it: {error}")
        return
    titles = list(paragraphs)
    texts = [f"{title}\n{text}" for title, text in paragraphs.items()]
    for name, stemmer in (("no stemmer", None), ("PyStemmer", stemming.Stemmer("english"))):

        def words(asked: str | list[str], stemmer: object = stemmer) -> object:
            return bm25s.tokenize(asked, stopwords="en", stemmer=stemmer, show_progress=False)

        index = bm25s.BM25()
        index.index(words(texts), show_progress=False)

        def search(query: str, limit: int, index: Any = index, words: Callable[..., Any] = words) -> list[str]:
            rows, _ = index.retrieve(words(query), k=limit, show_progress=False)
            return [titles[row] for row in rows[0]]

        yield f"bm25s {version('bm25s')}, {name}", search


def recall(search: Search, questions: list[Question], cut: int) -> float:
    """Return the share of supporting paragraphs among the first `cut` results, in percent."""
    found = [len(one.supporting & set(search(one.text, cut))) / len(one.supporting) for one in questions]
    return 100 * statistics.mean(found)


def milliseconds(search: Search, questions: list[Question]) -> str:
    """Return how long a query takes."""
    taken = []
    for question in questions:
        started = time.perf_counter()
        search(question.text, CUTS[0])
        taken.append((time.perf_counter() - started) * 1e3)
    return f"p50 {statistics.median(taken):.2f} ms  p95 {sorted(taken)[len(taken) * 95 // 100]:.2f} ms"


def write(paragraphs: dict[str, str], folder: Path, name: str) -> Path:
    """Make the box of the paragraphs; returns its folder and says what that took."""
    source = folder / f"{name}-source"
    source.mkdir()
    rows = "".join(json.dumps({"title": title, "text": text}) + "\n" for title, text in paragraphs.items())
    (source / "paragraphs.jsonl").write_text(rows, encoding="utf-8")
    started = time.perf_counter()
    made = write_corpus_box(source, name, folder)
    size = (made.folder / "data" / "corpus.sqlite").stat().st_size
    print(
        f"{len(paragraphs):,} documents, {len(rows.encode()):,} bytes, became {made.passages:,} passages and "
        f"{size:,} bytes in {time.perf_counter() - started:.1f} s"
    )
    return made.folder


async def warm_calls(box: Path, folder: Path, questions: list[Question]) -> None:
    """Print how long a call of the published box's `search` takes in the sandbox."""
    sandbox = choose_sandbox(Settings(home=folder / "home"))
    async with ToolRunner(sandbox) as runner:
        release = await publish(box, Registry(folder / "registry"), runner)
        taken = []
        for question in questions[:CALLS]:
            started = time.perf_counter()
            await runner.call(release, "search", {"query": question.text})
            taken.append((time.perf_counter() - started) * 1e3)
            await asyncio.sleep(0.02)
    print(
        f"  a warm call of the box ({sandbox.name})   p50 {statistics.median(taken):.2f} ms  most {max(taken):.1f} ms"
    )


async def main() -> None:
    """Compare recall, then time the queries, alone and as calls of the box."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path, help="hotpot.json is in it")
    questions, paragraphs = load(parser.parse_args().folder)
    print(f"{machine()}, SQLite {sqlite3.sqlite_version}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        box = write(paragraphs, folder, "hotpot")
        searches = {"boxes corpus": ours(box / "data" / "corpus.sqlite"), "FTS5 as it comes": stock(paragraphs)}
        for label, search in {**searches, **dict(peers(paragraphs))}.items():
            parts = {"all": questions, "even": questions[0::2], "odd": questions[1::2]}
            figures = [f"{part} {recall(search, chosen, CUTS[0]):.1f}" for part, chosen in parts.items()]
            more = f"@{CUTS[1]}: all {recall(search, questions, CUTS[1]):.1f}"
            print(f"{label:26} @{CUTS[0]}: {'  '.join(figures)}   {more}   {milliseconds(search, questions)}")
        copies = {f"{title} {copy}": text for copy in (1, 2) for title, text in paragraphs.items()}
        larger = write(dict(list(copies.items())[:SIZE]), folder, "larger")
        print(f"  the query alone                   {milliseconds(ours(larger / 'data' / 'corpus.sqlite'), questions)}")
        await warm_calls(larger, folder, questions)


if __name__ == "__main__":
    asyncio.run(main())
