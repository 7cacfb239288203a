"""A box's folder in one root of the registry: which versions lie there and what became of each. Read, never written."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from boxwright.box.names import name_fault, version_fault, version_key
from boxwright.errors import RegistryError

STATUS_FILE = "status.json"
RECORD_SUFFIX = ".record.json"
_SETTLED_NS = 100_000_000
"""Older than this, a folder's time of change cannot be that of a change still to come (clocks tick in milliseconds)."""


@dataclass(frozen=True)
class Home:
    """A box's folder as it stood when it was read."""

    folder: Path
    versions: tuple[str, ...] = ()
    """With their records beside them; lowest first, yanked ones too."""
    fault: str = ""
    """Why the status file cannot be read."""
    _states: dict[str, dict[str, str]] = field(default_factory=dict)

    def states(self) -> dict[str, dict[str, str]]:
        """Return what was said of versions: `lifecycle`, `reason` and `replacement` by version.

        Raises:
            RegistryError: The status file cannot be read.
        """
        if self.fault:
            raise RegistryError(self.fault)
        return self._states

    def usable(self) -> list[str]:
        """Return the versions that are not yanked, lowest first.

        Raises:
            RegistryError: The status file cannot be read.
        """
        states = self.states()
        return [one for one in self.versions if states.get(one, {}).get("lifecycle") != "yanked"]


class Homes:
    """Reads homes and remembers them until their folders change."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int], Home]] = {}

    def read(self, folder: Path) -> Home:
        """Return the folder's home; one without versions where there is no such box."""
        try:
            changed = folder.stat().st_mtime_ns
        except OSError:
            return Home(folder)
        status = _changed(folder / STATUS_FILE)  # which people may edit in place
        known = self._known.get(folder)
        if known is not None and known[0] == (changed, status):
            return known[1]
        home = read_home(folder)
        if time.time_ns() - max(changed, status) > _SETTLED_NS:
            self._known[folder] = ((changed, status), home)
        return home


def read_home(folder: Path) -> Home:
    """Read a box's folder."""
    if name_fault(folder.name) or not folder.is_dir():
        return Home(folder)
    try:
        with os.scandir(folder) as entries:
            kinds = {entry.name: entry.is_dir() for entry in entries}
    except OSError:
        return Home(folder)
    versions = [name for name, is_dir in kinds.items() if is_dir and f"{name}{RECORD_SUFFIX}" in kinds]
    found = tuple(sorted((one for one in versions if version_fault(one) is None), key=version_key))
    path = folder / STATUS_FILE
    try:
        states = {version: dict(state) for version, state in json.loads(path.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        states = {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        return Home(folder, found, f"{path} cannot be read ({error}); restore or remove it")
    return Home(folder, found, "", states)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def box_names(root: Path) -> list[str]:
    """Return the names of the folders in the root that may be boxes."""
    with os.scandir(root) as entries:
        return [entry.name for entry in entries if name_fault(entry.name) is None and entry.is_dir()]


def changes(root: Path) -> dict[str, tuple[int, bool]]:
    """Return when each box's folder in the root was changed last: what differs between two looks has changed since.

    The second part says that the folder changed only just now, so that a change within the same tick of the clock is
    seen at the next look.
    """
    now = time.time_ns()
    found = {}
    for name in box_names(root):
        try:
            changed = os.stat(root / name).st_mtime_ns  # noqa: PTH116  # thousands of them, every second
        except FileNotFoundError:
            continue
        found[name] = (changed, now - changed < _SETTLED_NS)
    return found
