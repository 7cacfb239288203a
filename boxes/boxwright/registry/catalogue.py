"""Searching the tools of a registry: an index of the newest releases, brought up to date by what has changed since."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Protocol

from boxwright.box.release import Release
from boxwright.errors import BadInput, BoxwrightError
from boxwright.jsontypes import digest
from boxwright.search import ReleaseTexts, ToolIndex, ToolTexts
from boxwright.settings import Settings

logger = logging.getLogger(__name__)
_BATCH = 100
"""Releases indexed in one step, so that others who use the file need not wait for all of them."""


class Source(Protocol):
    """What is indexed: a registry, or the part of one that a server serves."""

    def changes(self) -> dict[str, object]:
        """Return a value for each box that differs once something of it was published, marked or removed."""

    def newest(self, name: str) -> Release | None:
        """Return the release of the box that is found, or None where none is."""


class Catalogue:
    """An index over the newest releases; its file is a cache that may be removed at any time."""

    def __init__(self, source: Callable[[], Source], path: Path | None = None) -> None:
        """Open the index in the file, or in memory where there is none or it cannot be used.

        `source` is called for each update, since what it remembers of thousands of releases is not worth keeping.
        """
        self._source = source
        self._updating = threading.Lock()
        self._seen: dict[str, object] | None = None
        self._index = _open(path)

    def update(self) -> None:
        """Index what has changed since the last update: seconds for thousands of new releases. Threads may share it."""
        with self._updating:
            source = self._source()
            looks = source.changes()
            if looks == self._seen:
                return
            wanted = {(name, repr(look)) for name, look in looks.items()}
            try:
                self._fill(source, self._index.releases(), wanted)
            except sqlite3.DatabaseError as error:
                if _busy(error) and self._seen is not None:
                    return  # another process is writing; the next search looks again
                logger.warning("the search index cannot be used (%s); another is made in memory", error)
                self._index.close()
                self._index, self._seen = ToolIndex(), None
                self._fill(source, set(), wanted)
            self._seen = looks

    def _fill(self, source: Source, indexed: set[tuple[str, str]], wanted: set[tuple[str, str]]) -> None:
        for name, look in indexed - wanted:
            self._index.remove(name, look)
        for batch in _batches(source, sorted(wanted - indexed)):
            self._index.add(batch)

    def search(self, query: str, limit: int) -> list[str]:
        """Return the names, as served, of the tools that fit the query, best first."""
        return [f"{found.box}__{found.tool}" for found in self._index.search(query, limit)]

    def close(self) -> None:
        """Close the index."""
        self._index.close()


def index_file(settings: Settings) -> Path:
    """Return where the index over the registry of the settings is kept."""
    registry = digest([str(settings.registry_folder.resolve()), settings.library, settings.shadow])
    return settings.home / "cache" / f"tools-{registry[7:23]}.sqlite"


def _batches(source: Source, looks: Sequence[tuple[str, str]]) -> Iterator[list[ReleaseTexts]]:
    """Yield what is searched of each box's newest release; a box that cannot be read is left out and logged."""
    left = iter(looks)
    while batch := list(islice(left, _BATCH)):
        yield [_texts(source, name, look) for name, look in batch]


def _texts(source: Source, name: str, look: str) -> ReleaseTexts:
    try:
        release = source.newest(name)
    except BoxwrightError as error:
        logger.warning("box %s cannot be searched: %s", name, error)
        release = None
    if release is None:
        return ReleaseTexts(name, look, ())
    about = release.manifest
    return ReleaseTexts(
        name,
        look,
        tuple(ToolTexts(tool.name, tool.description, tool.input_schema) for tool in release.tools),
        " ".join([about.summary, about.description, *about.keywords]),
    )


def _open(path: Path | None) -> ToolIndex:
    if path is None:
        return ToolIndex()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return ToolIndex(path)
    except BadInput as error:
        if isinstance(error.__cause__, sqlite3.OperationalError):  # locked, or in a folder that cannot be written
            return ToolIndex()
    except OSError:
        return ToolIndex()
    with suppress(OSError, BadInput):
        path.unlink()  # damaged; it is a cache
        return ToolIndex(path)
    return ToolIndex()


def _busy(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
