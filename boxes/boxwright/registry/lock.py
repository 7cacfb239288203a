"""`boxwright.lock`: pins of boxes by version and digest, so that what is served is exactly what was looked at."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boxwright.box.names import name_fault
from boxwright.box.release import Release
from boxwright.errors import BadInput, NotFound, PinUnmet
from boxwright.files import write_atomically
from boxwright.registry.registry import Registry

LOCK_FILE = "boxwright.lock"
_HEAD = "# Written by `boxwright lock`. `boxwright serve --lock boxwright.lock` serves exactly these releases.\n"


class Pin(BaseModel):
    """What a release has to be. An empty pin fits every release."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: str | None = Field(default=None, pattern=r"^\d{1,6}\.\d{1,6}\.\d{1,6}$")
    """The exact version."""
    digest: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")

    def check(self, release: Release) -> None:
        """Check that the release is the pinned one.

        Raises:
            PinUnmet: It is another, or was yanked.
        """
        if release.lifecycle == "yanked":
            raise PinUnmet(f"box {release.title} is pinned, and was yanked{because(release)}; pin another release")
        if self.version not in (None, release.version):
            raise PinUnmet(f"box {release.name} is pinned to version {self.version}, found {release.version}")
        if self.digest not in (None, release.digest):
            raise PinUnmet(f"box {release.title} is pinned to {self.digest}, found {release.digest}")


def because(release: Release) -> str:
    """Return why a release is deprecated or yanked and what to use instead, as the end of a sentence."""
    reason = f" ({release.reason})" if release.reason else ""
    return reason + (f"; use {release.replacement} instead" if release.replacement else "")


def pinned(registry: Registry, name: str, pin: Pin) -> Release:
    """Return the release of the box that a pin of version, digest or both stands for.

    Raises:
        PinUnmet: There is none, or it was yanked.
        BoxInvalid: Its files cannot be read as a box.
        DigestMismatch: They are not those that were published.
    """
    if not registry.versions(name):
        raise PinUnmet(f"box {name!r} is pinned, and is not there")
    try:
        if pin.version is not None:
            release: Release | None = registry.get(name, pin.version)
        elif pin.digest is not None:
            release = next((one for one in registry.releases(name) if one.digest == pin.digest), None)
        else:
            release = registry.resolve(name)
    except NotFound as error:
        raise PinUnmet(f"box {name!r} is pinned to {pin.version or pin.digest}, which is not there: {error}") from error
    if release is None:
        raise PinUnmet(f"box {name!r} is pinned to {pin.digest}; no release of it has that digest")
    pin.check(release)
    return release


def pins_of(releases: Iterable[Release]) -> dict[str, Pin]:
    """Return pins to exactly these releases, by box."""
    return {one.name: Pin(version=one.version, digest=one.digest) for one in releases}


def write_lock(path: Path, pins: Mapping[str, Pin]) -> None:
    """Write a lock file; equal pins give equal files.

    Raises:
        BadInput: The folder cannot be written.
    """
    tables = [
        f'\n[boxes.{name}]\nversion = "{pin.version}"\ndigest = "{pin.digest}"\n' for name, pin in sorted(pins.items())
    ]
    write_atomically(path, f"{_HEAD}format = 1\n{''.join(tables)}")


def read_lock(path: Path) -> dict[str, Pin]:
    """Return the pins of a lock file, by box.

    Raises:
        BadInput: It cannot be read, or is no lock file.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        if content.get("format") != 1:
            raise ValueError(f"format = {content.get('format')!r}, this version reads 1")
        pins = {name: Pin.model_validate(pin) for name, pin in content["boxes"].items()}
        faults = [fault for name in pins if (fault := name_fault(name))]
        faults += [f"box {name!r} has no version" for name, pin in pins.items() if pin.version is None]
        faults += [f"box {name!r} has no digest" for name, pin in pins.items() if pin.digest is None]
        if faults:
            raise ValueError("; ".join(faults))
    except (OSError, ValueError, KeyError, AttributeError, ValidationError) as error:
        raise BadInput(f"{path} is no lock file ({error}); write one with: boxwright lock --file {path}") from error
    return pins
