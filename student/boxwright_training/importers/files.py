"""Files as rows: which files a path stands for, and the JSON values in each, with where they stand. No formats here."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from boxwright.errors import BadInput, NotFound, near_misses
from boxwright_student.conversation import sayable
from boxwright_training.importers.row import Row

_BESIDE = re.compile(r"(?:licen[cs]e|readme)(?:\..*)?", re.IGNORECASE)
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Return the files that paths stand for; folders are walked in order, without what is hidden, licences and readmes.

    Raises:
        NotFound: A path is not there.
        BadInput: There are no files.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            names = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
            near = [str(path.parent / name) for name in near_misses(path.name, names)]
            raise NotFound("file or folder", str(path), near, "give files of trajectories, or folders of such files")
        found |= dict.fromkeys(_walk(path) if path.is_dir() else [path])
    if not found:
        said = ", ".join(repr(str(path)) for path in paths) or "no path"
        raise BadInput(f"there is no file to read in {said}; give files of trajectories, or folders of such files")
    return list(found)


def rows_of(path: Path, is_row: Callable[[Any], bool], faults: list[str]) -> Iterator[Row]:
    """Yield the rows of a file: its lines, the items of its list, its members by name, or all of it as one.

    Args:
        path: The file.
        is_row: Says whether a list or an object is a row as it is.
        faults: Takes a line for what cannot be read at all.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        faults.append(f"{path}: cannot be read ({error.strerror})")
        return
    except UnicodeDecodeError:
        faults.append(f"{path}: no UTF-8 text; what is packed or no JSON has to be written as JSON lines first")
        return
    if not text.strip():
        faults.append(f"{path}: is empty")
        return
    values = _values(path, text, is_row, faults)
    damaged = bool(_HALF.search(text))
    for name, value in values:
        key = name if isinstance(name, str) else ""
        yield Row(_whole(value) if damaged else value, f"{path}:{name}", path.stem, key)


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and not _BESIDE.fullmatch(path.name):
            yield path


def _values(path: Path, text: str, is_row: Callable[[Any], bool], faults: list[str]) -> Iterator[tuple[int | str, Any]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        yield from _lines(path, text, faults)
        return
    if is_row(value) or not isinstance(value, list | dict):
        yield 1, value
    elif isinstance(value, list):
        yield from enumerate(value, start=1)
    elif value and all(isinstance(one, str) for one in value.values()):  # texts by name
        yield from value.items()
    else:
        yield 1, value


def _lines(path: Path, text: str, faults: list[str]) -> Iterator[tuple[int, Any]]:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    values = [_value(line) for _, line in lines]
    if 2 * sum(isinstance(value, dict | list) for value in values) < len(values):
        faults.append(f"{path}: neither JSON nor JSON lines")
        return
    for (number, line), value in zip(lines, values, strict=True):
        if not isinstance(value, Exception):
            yield number, value
        elif number == lines[-1][0]:  # as a kill leaves it
            warnings.warn(f"{path}:{number}: skipped a torn line of {len(line.encode())} bytes", stacklevel=2)
        else:
            faults.append(f"{path}:{number}: no JSON ({value})")


def _value(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return error


def _whole(value: Any) -> Any:
    """Return a value with its text made Unicode: JSON can hold half a surrogate pair, which no file takes."""
    if isinstance(value, str):
        return sayable(value)
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {sayable(key): _whole(one) for key, one in value.items()}
    return value
