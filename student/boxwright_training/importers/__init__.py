"""Trajectories of others, and our own, read from files into one form to be trained on. Nothing is trained here.

Each format is recognised from its content. A row that cannot be read is told by a line that says why, and never loses
the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from boxwright.errors import BadInput, NotFound
from boxwright.traces import Trajectory
from boxwright_training.importers import (
    fireact,
    knowagent,
    openai_chat,
    own,
    react,
    sharegpt,
    smolagents,
    swe_agent,
)
from boxwright_training.importers.files import files_of, rows_of
from boxwright_training.importers.row import NO_ROW, Row, Unreadable

__all__ = ["FORMATS", "Imported", "Sourced", "read_trajectories"]

AUTO = "auto"


class _Format(NamedTuple):
    fits: Callable[[Any], bool]
    reader: Callable[[], Callable[[Row], Trajectory | None]]
    """Makes what reads the rows of one file, in order."""


# The first that fits is taken: what is more particular stands first.
_FORMATS = {
    "boxwright": _Format(own.fits, lambda: own.Reader().read),
    "swe-agent": _Format(swe_agent.fits, lambda: swe_agent.read),
    "smolagents": _Format(smolagents.fits, lambda: smolagents.read),
    "sharegpt": _Format(sharegpt.fits, lambda: sharegpt.read),
    "openai": _Format(openai_chat.fits, lambda: openai_chat.read),
    "knowagent": _Format(knowagent.fits, lambda: knowagent.read),
    "fireact": _Format(fireact.fits, lambda: fireact.read),
    "react": _Format(react.fits, lambda: react.read),
}
FORMATS: tuple[str, ...] = tuple(_FORMATS)
"""The formats that are read."""


class Sourced(NamedTuple):
    """A trajectory and where it comes from."""

    trajectory: Trajectory
    source: str
    """File and line, row number or key; the first is 1."""


@dataclass(frozen=True)
class Imported:
    """What was found in files."""

    found: list[Sourced]
    faults: list[str]
    """A line for each row that is no trajectory, and for each file without any: where, and why."""
    by_format: Counter[str]
    """How many trajectories came in which format."""


def read_trajectories(paths: Sequence[Path], format: str = AUTO) -> Imported:
    """Read all trajectories in files and folders; a torn last line is skipped with a warning.

    Args:
        paths: Files, or folders, which are walked in order.
        format: One of `FORMATS`, or `auto`: every row's is recognised from its content.

    Raises:
        NotFound: A path is not there, or nothing is read under this format.
        BadInput: There is no file, or no trajectory in any.
    """
    if format != AUTO and format not in _FORMATS:
        raise NotFound("format", format, (AUTO, *FORMATS), f"known are {', '.join((AUTO, *FORMATS))}")
    imported = Imported([], [], Counter())
    for path in files_of(paths):
        _read_file(path, format, imported)
    if not imported.found:
        more = f"; and {len(imported.faults) - 3} more" if len(imported.faults) > 3 else ""
        said = "; ".join(imported.faults[:3]) + more
        raise BadInput(f"there is no trajectory to read: {said}; the formats are {', '.join(FORMATS)}")
    return imported


def _read_file(path: Path, format: str, imported: Imported) -> None:
    """Add what a file holds; one in which nothing is recognised is one fault, not one for each row."""
    readers = {name: made.reader() for name, made in _FORMATS.items()}
    faults: list[str] = []
    known = False
    rows = 0
    for row in rows_of(path, lambda value: _recognised(value) is not None, faults):
        rows += 1
        name = _recognised(row.value) if format == AUTO else format
        known = known or name is not None
        if name is None:
            faults.append(f"{row.source}: of no format known here")
            continue
        try:
            trajectory = readers[name](row)
        except NO_ROW as error:
            faults.append(f"{row.source}: no trajectory of the format {name} ({_why(error)})")
            continue
        if trajectory is not None:
            imported.found.append(Sourced(trajectory, row.source))
            imported.by_format[name] += 1
    if rows and not known:
        faults = [f"{path}: no trajectories of a format known here"]
    imported.faults.extend(faults)


def _recognised(value: Any) -> str | None:
    """Return the name of the format that a value has."""
    return next((name for name, format in _FORMATS.items() if format.fits(value)), None)


def _why(error: Exception) -> str:
    said = " ".join(str(error).split())[:200]
    return said if isinstance(error, Unreadable) else f"{type(error).__name__}: {said}"
