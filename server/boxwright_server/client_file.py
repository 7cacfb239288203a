"""Puts an entry into a client's settings file, and leaves everything else in it as it was."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from boxwright.errors import BadInput
from boxwright.files import write_atomically
from boxwright.jsontypes import pretty
from boxwright_server.connect import Entry


def write_entry(path: Path, section: str, name: str, entry: Entry, *, force: bool = False) -> str:
    """Put the entry into the file, and return what was done: `wrote`, `added`, `replaced` or `unchanged`.

    Everything else in the file stays. Links are followed, and the file's permissions kept.

    Raises:
        BadInput: The file is not plain JSON, holds another entry of that name, or cannot be written.
    """
    path = path.resolve()
    old = _text(path)
    content = _parse(path, old, {section: {name: entry}}) if old.strip() else {}
    servers = content.setdefault(section, {})
    if not isinstance(servers, dict):
        raise BadInput(f"{path}: {section!r} is no object; mend it, or remove it")
    known = servers.get(name)
    if known == entry:
        return "unchanged"
    if known is not None and not force:
        raise BadInput(
            f"{path} has another entry {name!r}:\n{pretty(known)}replace it with --force, or choose another --name; "
            f"the new one would be:\n{pretty(entry).rstrip()}"
        )
    servers[name] = entry
    write_atomically(path, _dump(content, old), _mode(path))
    return "replaced" if known is not None else "added" if old else "wrote"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {path}: {error}") from error


def _parse(path: Path, text: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Read the file, or refuse it where writing it again would lose something: comments, keys that stand twice."""
    try:
        content = json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite)
        if not isinstance(content, dict):
            raise ValueError("it holds no object")
    except ValueError as error:
        raise BadInput(
            f"{path} is not plain JSON ({error}), and rewriting it would lose comments or more. Put this into it "
            f"yourself:\n{pretty(wanted).rstrip()}"
        ) from error
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError(f"a key stands twice among {', '.join(name for name, _ in pairs)}")
    return content


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number of JSON's")
    return value


def _dump(content: dict[str, Any], old: str) -> str:
    """Return the JSON, indented as it was."""
    indented = re.search(r"\n([ \t]+)\S", old)
    indent = indented[1] if indented else 2
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can only write escaped
        text = json.dumps(content, indent=indent)
    return text + "\n"


def _mode(path: Path) -> int:
    """Return who may read the file: who could before; a new one, which may hold tokens, its owner alone."""
    return path.stat().st_mode & 0o777 if path.exists() else 0o600
