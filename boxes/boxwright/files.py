"""Writing files so that a kill at any moment leaves the old content or the new; and reading JSON lines."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from boxwright.errors import BadInput, RecordInvalid
from boxwright.jsontypes import JsonObject


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace the file's content in one step; `mode` is who may read it.

    Raises:
        BadInput: The folder cannot be written.
    """
    with writable(path.parent):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(mode)
            Path(temporary).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise


def append_line(path: Path, row: JsonObject) -> None:
    """Append one JSON object as a line, on disk before this returns; a torn last line is ended first.

    Raises:
        BadInput: The file cannot be written.
    """
    line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        content = line.encode()
    except UnicodeEncodeError:  # half a surrogate pair, as models break off in: escaped, it is still JSON
        content = json.dumps(row, allow_nan=False).encode() + b"\n"
    with writable(path.parent), locked(path), path.open("ab+") as stream:
        if stream.seek(0, os.SEEK_END) and _last_byte(path) != b"\n":
            stream.write(b"\n")
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def read_lines(path: Path) -> Iterator[tuple[int, JsonObject]]:
    """Yield each line's number (from 1) and object; a torn line, left by a kill, is skipped with a warning.

    Raises:
        RecordInvalid: A line is whole JSON but not an object, or the file cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RecordInvalid(f"cannot read {path}: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            warnings.warn(f"{path}:{number}: skipped a torn line of {len(line)} bytes", stacklevel=2)
            continue
        if not isinstance(row, dict):
            raise RecordInvalid(f"{path}:{number}: expected a JSON object, got {type(row).__name__}")
        yield number, row


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Make the folder, and turn a refusal to write in it into one clear error.

    Raises:
        BadInput: The folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise BadInput(
            f"cannot write to {str(folder)!r}: {error.strerror}; choose a folder you may write to"
        ) from error
    except OSError as error:
        if error.errno in {28, 30}:  # no space left, read-only file system
            raise BadInput(f"cannot write to {str(folder)!r}: {error.strerror}") from error
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that stands for this file among processes."""
    from filelock import FileLock  # only who writes pays for it

    with FileLock(path.with_name(f".{path.name}.lock")):
        yield


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1)
