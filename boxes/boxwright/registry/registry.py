"""The registry folder: reading, resolving and verifying releases, and their lifecycle. `publish` adds to it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from filelock import FileLock, Timeout
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from boxwright.box.folder import check_digest, read_release
from boxwright.box.names import name_fault, version_fault, version_key
from boxwright.box.release import Lifecycle, Release
from boxwright.errors import BadInput, BoxwrightError, NotFound, RegistryError
from boxwright.files import writable, write_atomically
from boxwright.jsontypes import pretty
from boxwright.settings import Settings

logger = logging.getLogger(__name__)
_SPEC = re.compile(r"\s*([a-z0-9_]+)\s*(.*)")
_LOCK_SECONDS = 60


class Registry:
    """Roots of releases: the user's folder, and below it, read-only, the library that ships with the product."""

    def __init__(self, folder: Path, library: Path | None = None, *, shadow: bool = False) -> None:
        self.folder = folder
        """The folder that is written to."""
        self._library = library
        self._shadow = shadow
        self._told: dict[str, str] = {}
        """What was logged of boxes that are left out."""
        self._known: dict[Path, tuple[tuple[int, int], Release]] = {}
        """Releases read before, with the times of what may change beside them; their own files never do."""

    @property
    def roots(self) -> list[Path]:
        """The roots that exist, the user's first."""
        return [root for root in (self.folder, self._library) if root is not None and root.is_dir()]

    def boxes(self) -> list[str]:
        """Return the names of all boxes, sorted."""
        return sorted({path.name for root in self.roots for path in root.iterdir() if _versions(path)})

    def versions(self, name: str) -> list[str]:
        """Return the versions of a box, lowest first, yanked ones too; none where there is no such box."""
        for root in self.roots:
            if found := _versions(root / name):
                return found
        return []

    def get(self, name: str, version: str) -> Release:
        """Return one release.

        Raises:
            NotFound: There is no such box or version; the message names the near misses.
            BoxInvalid: Its files cannot be read as a box.
            DigestMismatch: They are not those that were published.
        """
        self._known_version(name, version)
        return self._read(name, version)

    def releases(self, name: str) -> list[Release]:
        """Return all releases of a box, lowest version first.

        Raises:
            NotFound: There is no such box.
        """
        self._known_box(name)
        return [self._read(name, version) for version in self.versions(name)]

    def resolve(self, spec: str) -> Release:
        """Return the highest release that fits a specification such as `game_of_24>=1,<2` and is not yanked.

        Raises:
            BadInput: It is no specification.
            NotFound: There is no such box, or no release fits.
        """
        match = _SPEC.fullmatch(spec)
        try:
            wanted = SpecifierSet(match[2]) if match else None
        except InvalidSpecifier:
            wanted = None
        if match is None or wanted is None:
            raise BadInput(f"{spec!r} is no specification; write a box and a range, such as 'game_of_24>=1,<2'")
        name = match[1]
        usable = [version for version in self.usable(name) if wanted.contains(version)]
        if usable:
            return self._read(name, usable[-1])
        yanked = set(self.versions(name)) - set(self.usable(name))
        states = ", ".join(f"{one}{' (yanked)' * (one in yanked)}" for one in self.versions(name))
        raise NotFound("release for", spec, [], f"box {name!r} has {states}")

    def current(self) -> list[Release]:
        """Return the highest release of every box that is not yanked, sorted by name.

        A box that cannot be read, was changed after it was published, or is in both roots, is left out and logged: one
        bad box must not take the others with it. `boxwright boxes verify` says what is wrong.
        """
        found = []
        for name in self.boxes():
            try:
                found += [self._read(name, version) for version in self.usable(name)[-1:]]
            except BoxwrightError as error:
                if self._told.get(name) != str(error):  # a server asks every second
                    logger.warning("box %s is left out: %s", name, error)
                    self._told[name] = str(error)
        return found

    def ships(self, name: str) -> bool:
        """Say whether a box of that name ships with the product and may not be published beside it."""
        return self._library is not None and not self._shadow and bool(_versions(self._library / name))

    def verify(self, release: Release) -> None:
        """Derive the release's digest from its files again.

        Raises:
            DigestMismatch: It is not the one recorded when the release was published.
        """
        check_digest(release)

    def set_lifecycle(self, name: str, version: str, lifecycle: Lifecycle, reason: str) -> None:
        """Mark a release active, deprecated or yanked; its files stay as they are.

        Raises:
            NotFound: There is no such release.
            RegistryError: The release belongs to the shipped library.
        """
        self._known_version(name, version)
        home = self.folder / name
        if not (home / version).is_dir():
            raise RegistryError(f"box {name} {version} ships with the product and cannot be changed")
        with self.lock():
            status = self._status(home)
            status[version] = {"lifecycle": lifecycle, "reason": reason}
            write_atomically(home / "status.json", pretty(status))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the registry's lock among processes.

        Raises:
            RegistryError: Somebody else held it for a minute.
        """
        with writable(self.folder):
            lock = FileLock(self.folder / ".lock", timeout=_LOCK_SECONDS)
        try:
            with lock:
                yield
        except Timeout:
            raise RegistryError(f"{self.folder} is locked by another process; try again when it is done") from None

    def _known_box(self, name: str) -> list[str]:
        found = self.versions(name)
        if not found:
            raise NotFound("box", name, self.boxes(), "`boxwright boxes list` shows all")
        if self.ships(name) and _versions(self.folder / name):
            raise RegistryError(
                f"box {name!r} is both in {self.folder} and in the shipped library; rename yours, "
                "or let it hide the shipped one with BOXWRIGHT_SHADOW=true"
            )
        return found

    def usable(self, name: str) -> list[str]:
        """Return the box's versions that are not yanked, lowest first, without reading the releases."""
        versions = self._known_box(name)
        home = next(root / name for root in self.roots if _versions(root / name))
        status = self._status(home)
        return [version for version in versions if status.get(version, {}).get("lifecycle") != "yanked"]

    def _known_version(self, name: str, version: str) -> None:
        versions = self._known_box(name)
        if version not in versions:
            raise NotFound(f"version of box {name!r}", version, versions, f"it has {', '.join(versions)}")

    def _read(self, name: str, version: str) -> Release:
        home = next(root / name for root in self.roots if version in _versions(root / name))
        record, status = home / f"{version}.record.json", home / "status.json"
        stamp = (_stamp(record), _stamp(status))
        known = self._known.get(home / version)
        if known is None or known[0] != stamp:
            known = (stamp, self._parse(home, version, record, status))
            self._known[home / version] = known
        return known[1]

    def _parse(self, home: Path, version: str, record: Path, status: Path) -> Release:
        try:
            recorded = str(json.loads(record.read_text(encoding="utf-8"))["digest"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RegistryError(
                f"box {home.name} {version} has no readable record beside it ({error}); publish it, do not copy files"
            ) from error
        state = self._status(home).get(version, {})
        release = read_release(
            home / version,
            digest=recorded,
            lifecycle=cast(Lifecycle, state.get("lifecycle", "active")),
            reason=state.get("reason", ""),
        )
        if (release.name, release.version) != (home.name, version):
            raise RegistryError(f"{home / version} holds box {release.title}; publish it instead of copying files")
        self.verify(
            release
        )  # a description is read by models: it is not shown before it is known to be the published one
        return release

    @staticmethod
    def _status(home: Path) -> dict[str, dict[str, str]]:
        try:
            found = json.loads((home / "status.json").read_text(encoding="utf-8"))
            return {version: dict(state) for version, state in found.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError) as error:
            raise RegistryError(f"{home / 'status.json'} cannot be read ({error}); restore or remove it") from error


def _versions(home: Path) -> list[str]:
    """Return the versions that lie in a box's folder with their records, lowest first."""
    if name_fault(home.name) or not home.is_dir():
        return []
    names = [path.name for path in home.iterdir() if version_fault(path.name) is None and path.is_dir()]
    return sorted((one for one in names if (home / f"{one}.record.json").exists()), key=version_key)


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def library_folder() -> Path:
    """Return the library that ships with the product: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "library"
    return inside if inside.is_dir() else package.parent / "library"


def open_registry(settings: Settings) -> Registry:
    """Return the registry of the settings."""
    library = library_folder() if settings.library else None
    return Registry(settings.registry_folder, library, shadow=settings.shadow)
