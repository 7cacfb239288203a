"""Writes the box of a corpus: its index, the tools over it, and examples worked out from the documents."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwright.box.manifest import Manifest, Provenance, render_manifest
from boxwright.box.names import name_fault, version_fault
from boxwright.corpus.documents import Corpus, Document, read_folder
from boxwright.corpus.index import LONGEST_PASSAGE, write_index
from boxwright.corpus.template import _open, _read, _search, _words
from boxwright.errors import BadInput
from boxwright.files import writable

_TEMPLATE = Path(__file__).with_name("template.py")
_PLACE = "the documents of this box"
"""What the template's tools call the documents; the summary takes its place, for a model chooses a box by it."""
_LONGEST_SUMMARY = 100


@dataclass(frozen=True)
class CorpusBox:
    """A box that was made of a folder."""

    folder: Path
    corpus: Corpus
    passages: int


def write_corpus_box(
    source: Path, name: str, parent: Path, *, summary: str = "", version: str = "1.0.0", license_: str = "NOASSERTION"
) -> CorpusBox:
    """Write a box of the documents in `source` into the parent folder.

    The same documents give the same files, where SQLite has the same version. `summary` says what the documents are,
    `license_` is theirs.

    Raises:
        BadInput: The name or another value breaks a rule, the box is there already, or there are no documents.
    """
    target = parent / name
    about = " ".join(summary.split()) or f"the documents of {source.resolve().name}"
    if faults := list(_faults(name, source, target, about, version, license_)):
        raise BadInput("; ".join(faults))
    corpus = read_folder(source)
    manifest = _manifest(name, version, about, license_, corpus)
    with writable(target):
        try:
            passages = _write(target, manifest, about, corpus)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)  # half a box is none
            raise
    return CorpusBox(target, corpus, passages)


def _write(target: Path, manifest: Manifest, about: str, corpus: Corpus) -> int:
    index = target / "data" / "corpus.sqlite"
    index.parent.mkdir()
    passages = write_index(corpus.documents, index)
    files = {
        "box.toml": render_manifest(manifest),
        "tools.py": _tools(about),
        "examples.jsonl": "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in _examples(index, corpus)),
        "README.md": _readme(manifest, about, corpus, passages),
    }
    for file, text in files.items():
        (target / file).write_text(text, encoding="utf-8")
    return passages


def _faults(name: str, source: Path, target: Path, about: str, version: str, license_: str) -> Iterator[str]:
    if fault := name_fault(name) or version_fault(version):
        yield fault
    if len(about) > _LONGEST_SUMMARY or not about.isprintable():
        yield f"the summary must be one line of at most {_LONGEST_SUMMARY} characters, got {about!r}; use --summary"
    if not license_:
        yield "the license must not be empty; NOASSERTION says that none is known"
    if target.exists():
        yield f"{str(target)!r} is there already; choose another name or remove it"
    if source.resolve() in target.resolve().parents:
        yield f"{str(target)!r} lies among the documents, and would be one of them the next time; use --into"


def _manifest(name: str, version: str, about: str, license_: str, corpus: Corpus) -> Manifest:
    count = len(corpus.documents)
    return Manifest(
        format=1,
        name=name,
        version=version,
        summary=about,
        description=f"Finds and reads passages of {about}. Use it for every question that they may answer.",
        license=license_,
        provenance=Provenance(
            method="corpus",
            label=f"{count:,} document{'s' * (count > 1)} of the source {corpus.digest}, "
            f"indexed by SQLite {sqlite3.sqlite_version}",
        ),
    )


def _tools(about: str) -> str:
    quoted = about.replace("\\", "\\\\").replace('"', '\\"')
    return _TEMPLATE.read_text(encoding="utf-8").replace(_PLACE, quoted)


def _examples(index: Path, corpus: Corpus) -> Iterator[dict[str, Any]]:
    """Yield calls for the first document, the one in the middle and the last, and what the tools' own code answers."""
    documents = corpus.documents
    with closing(_open(index)) as database:
        for document in (documents[0], documents[len(documents) // 2], documents[-1]):
            query = _query(document)
            yield _example("search", _search(database, query, 1), query=query, limit=1)
            count = _read(database, document.title, 1)["passages"]
            last = _read(database, document.title, count)
            yield _example("read", last, document=document.title, passage=count)
        refusals = {"search": {"query": "?!"}, "read": {"document": documents[0].title, "passage": 0}}
        yield {"tool": "search", "arguments": refusals["search"], "raises": "at least one word"}
        yield {"tool": "read", "arguments": refusals["read"], "raises": "passage must be from 1"}


def _example(tool: str, result: Any, **arguments: Any) -> dict[str, Any]:
    return {"tool": tool, "arguments": arguments, "result": result}


def _query(document: Document) -> str:
    """Return the title and the three longest words of the text."""
    words = dict.fromkeys(_words(document.text[:LONGEST_PASSAGE]))
    return " ".join([document.title, *sorted(words, key=lambda word: (-len(word), word))[:3]])


def _readme(manifest: Manifest, about: str, corpus: Corpus, passages: int) -> str:
    return (
        f"# {manifest.name}\n\n`search` finds passages of {about}, `read` gives their text.\n\n"
        f"Made by `boxwright boxes corpus`, which {corpus.told()[0]}: {passages:,} passages of at most "
        f"{LONGEST_PASSAGE:,} characters.\n"
    )
