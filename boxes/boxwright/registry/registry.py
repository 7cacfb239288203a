"""The registry folder: reading, resolving and verifying releases, and their lifecycle. `publish` adds to it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from filelock import FileLock, Timeout
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from boxwright.box.folder import check_digest, read_release
from boxwright.box.names import name_fault
from boxwright.box.release import Lifecycle, Release
from boxwright.errors import BadInput, BoxwrightError, NotFound, RegistryError
from boxwright.files import writable, write_atomically
from boxwright.jsontypes import pretty
from boxwright.registry.home import RECORD_SUFFIX, STATUS_FILE, Home, Homes, box_names, changes, read_home
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
        self._homes = Homes()
        self._known: dict[Path, tuple[int, Release]] = {}
        """Releases read before, with the times of their records; their own files never change."""

    @property
    def roots(self) -> list[Path]:
        """The roots that exist, the user's first."""
        return [root for root in (self.folder, self._library) if root is not None and root.is_dir()]

    def boxes(self) -> list[str]:
        """Return the names of all boxes, sorted."""
        names = {name for root in self.roots for name in box_names(root)}
        return sorted(name for name in names if self._home(name).versions)

    def versions(self, name: str) -> list[str]:
        """Return the versions of a box, lowest first, yanked ones too; none where there is no such box."""
        return list(self._home(name).versions)

    def get(self, name: str, version: str) -> Release:
        """Return one release.

        Raises:
            NotFound: There is no such box or version; the message names the near misses.
            BoxInvalid: Its files cannot be read as a box.
            DigestMismatch: They are not those that were published.
        """
        return self._read(self._known_version(name, version), version)

    def releases(self, name: str) -> list[Release]:
        """Return all releases of a box, lowest version first.

        Raises:
            NotFound: There is no such box.
        """
        home = self._known_box(name)
        return [self._read(home, version) for version in home.versions]

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
        home = self._known_box(match[1])
        usable = home.usable()
        fitting = [version for version in usable if wanted.contains(version)]
        if fitting:
            return self._read(home, fitting[-1])
        states = ", ".join(f"{one}{' (yanked)' * (one not in usable)}" for one in home.versions)
        raise NotFound("release for", spec, [], f"box {match[1]!r} has {states}")

    def current(self, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[Release]:
        """Yield the highest release of every wanted box that is not yanked, by name; each is read when it is asked for.

        A box that cannot be read, was changed after it was published, or is in both roots, is left out and logged: one
        bad box must not take the others with it. `boxwright boxes verify` says what is wrong.
        """
        for name in sorted({name for root in self.roots for name in box_names(root) if wanted(name)}):
            try:
                release = self.newest(name)
            except BoxwrightError as error:
                if self._told.get(name) != str(error):  # once for each cause, however often a server asks
                    logger.warning("box %s is left out: %s", name, error)
                    self._told[name] = str(error)
            else:
                if release is not None:
                    yield release

    def newest(self, name: str, fits: Callable[[str], bool] = lambda _: True) -> Release | None:
        """Return the box's highest release that is not yanked and whose version fits, or None where there is none.

        Raises:
            RegistryError: The box is in both roots, or its status cannot be read.
            BoxInvalid: Its files cannot be read as a box.
            DigestMismatch: They are not those that were published.
        """
        home = self._home(name)
        if not home.versions:
            return None
        self._check_roots(home)
        fitting = [version for version in home.usable() if fits(version)]
        return self._read(home, fitting[-1]) if fitting else None

    def changes(self) -> dict[str, object]:
        """Return a value for every box that differs once something of the box was published, marked or removed."""
        looks = [changes(root) for root in self.roots]
        return {name: [look.get(name) for look in looks] for name in {name for look in looks for name in look}}

    def ships(self, name: str) -> bool:
        """Say whether a box of that name ships with the product and may not be published beside it."""
        return self._library is not None and not self._shadow and bool(self._homes.read(self._library / name).versions)

    def verify(self, release: Release) -> None:
        """Derive the release's digest from its files again.

        Raises:
            DigestMismatch: It is not the one recorded when the release was published.
        """
        check_digest(release)

    def set_lifecycle(self, name: str, version: str, lifecycle: Lifecycle, reason: str, replacement: str = "") -> None:
        """Mark a release active, deprecated or yanked; its files stay as they are.

        `replacement` names what to use instead, for whoever meets it.

        Raises:
            NotFound: There is no such release.
            RegistryError: The release belongs to the shipped library.
        """
        self._known_version(name, version)
        home = self.folder / name
        if not (home / version).is_dir():
            raise RegistryError(f"box {name} {version} ships with the product and cannot be changed")
        with self.lock():
            said = {"lifecycle": lifecycle, "reason": reason, "replacement": replacement}
            states = {**read_home(home).states(), version: {key: value for key, value in said.items() if value}}
            write_atomically(home / STATUS_FILE, pretty(states))

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

    def usable(self, name: str) -> list[str]:
        """Return the box's versions that are not yanked, lowest first, without reading the releases.

        Raises:
            NotFound: There is no such box.
        """
        return self._known_box(name).usable()

    def _home(self, name: str) -> Home:
        """Return the box's folder in the first root that has it; one without versions where none has."""
        if name_fault(name):  # names come from clients; as paths they would lead out of the registry
            return Home(self.folder / "none")
        found = [self._homes.read(root / name) for root in self.roots]
        return next((home for home in found if home.versions), Home(self.folder / name))

    def _known_box(self, name: str) -> Home:
        home = self._home(name)
        if not home.versions:
            raise NotFound("box", name, self.boxes(), "`boxwright boxes list` shows all")
        self._check_roots(home)
        return home

    def _check_roots(self, home: Home) -> None:
        name = home.folder.name
        if home.folder.parent == self.folder and self.ships(name):
            raise RegistryError(
                f"box {name!r} is both in {self.folder} and in the shipped library; rename yours, "
                "or let it hide the shipped one with BOXWRIGHT_SHADOW=true"
            )

    def _known_version(self, name: str, version: str) -> Home:
        home = self._known_box(name)
        if version not in home.versions:
            has = f"it has {', '.join(home.versions)}"
            raise NotFound(f"version of box {name!r}", version, home.versions, has)
        return home

    def _read(self, home: Home, version: str) -> Release:
        folder, record = home.folder / version, home.folder / f"{version}{RECORD_SUFFIX}"
        try:
            changed = record.stat().st_mtime_ns
        except OSError as error:
            raise _unreadable(home, version, error) from error
        known = self._known.get(folder)
        if known is None or known[0] != changed:
            try:
                known = (changed, self._parse(home, version, record))
            except OSError as error:
                raise _unreadable(home, version, error) from error
            self._known[folder] = known
        state = home.states().get(version)
        if state is None:
            return known[1]
        return replace(
            known[1],
            lifecycle=cast(Lifecycle, state.get("lifecycle", "active")),
            reason=state.get("reason", ""),
            replacement=state.get("replacement", ""),
        )

    def _parse(self, home: Home, version: str, record: Path) -> Release:
        try:
            recorded = str(json.loads(record.read_text(encoding="utf-8"))["digest"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _unreadable(home, version, error) from error
        release = read_release(home.folder / version, digest=recorded)
        if (release.name, release.version) != (home.folder.name, version):
            raise RegistryError(f"{release.folder} holds box {release.title}; publish it instead of copying files")
        # a description is read by models: it is not shown before it is known to be the published one
        self.verify(release)
        return release


def _unreadable(home: Home, version: str, error: Exception) -> RegistryError:
    return RegistryError(
        f"box {home.folder.name} {version} cannot be read ({error}); its record lies beside it when it is published"
    )


def library_folder() -> Path:
    """Return the library that ships with the product: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "library"
    return inside if inside.is_dir() else package.parent / "library"


def open_registry(settings: Settings) -> Registry:
    """Return the registry of the settings."""
    library = library_folder() if settings.library else None
    return Registry(settings.registry_folder, library, shadow=settings.shadow)
