"""Which releases are served: the newest usable one of every box, of some boxes, or exactly those of a lock."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from boxwright.box import Release
from boxwright.errors import BoxwrightError, NotFound, PinUnmet
from boxwright.registry import Pin, Registry, pinned

logger = logging.getLogger(__name__)


class Selection:
    """The part of a registry that a server serves, and to whom."""

    def __init__(
        self,
        registry: Registry,
        boxes: Sequence[str] = (),
        lock: Mapping[str, Pin] | None = None,
        *,
        may_use: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._registry = registry
        self._only = frozenset(boxes)
        self._lock = lock
        self._may_use = may_use
        """Says whether the caller of the request under way may use a box."""

    def check(self) -> None:
        """Check that what was asked for by name is there, before anything is served.

        Raises:
            NotFound: A named box is not there, or not in the lock.
            PinUnmet: A pin of the lock cannot be met.
            BoxwrightError: A named or pinned release cannot be read.
        """
        for name in sorted(self._only):
            if self._lock is not None and name not in self._lock:
                raise NotFound("box", name, self._lock, "the lock does not pin it")
            self._registry.usable(name)
        for name, pin in (self._lock or {}).items():
            if self._serves(name):
                pinned(self._registry, name, pin)

    def served(self) -> Iterator[Release]:
        """Yield what the caller is served, sorted by box; each release is read when it is asked for."""
        if self._lock is None and not self._only:
            yield from self._registry.current(self._may_use)
            return
        for name in sorted(self._lock if self._lock is not None else self._only):
            if not (self._serves(name) and self._may_use(name)):
                continue
            try:
                release = self.newest(name)
            except BoxwrightError as error:
                logger.warning("box %s is left out: %s", name, error)
                continue
            if release is not None:
                yield release

    def find(self, box: str, fits: Callable[[str], bool], pin: Pin) -> Release | None:
        """Return the highest usable release of the box whose version fits and which meets the pin, or None.

        Raises:
            PinUnmet: The pin cannot be met.
            BoxwrightError: The release that was asked for cannot be read.
        """
        if not self._serves(box) or not self._may_use(box):
            return None
        if (pin.version or pin.digest) and self._registry.versions(box):
            release = self._checked(pinned(self._registry, box, pin))
            if not fits(release.version):
                raise PinUnmet(f"the call pins {release.title} and asks for another version; ask for one of them")
            return release
        return self.newest(box, fits)

    def versions(self, box: str) -> list[str]:
        """Return the versions of a box that the caller may ask for, lowest first; none where it is not served."""
        if not self._serves(box) or not self._may_use(box) or not self._registry.versions(box):
            return []
        pin = self._lock[box].version if self._lock is not None else None
        return [one for one in self._registry.usable(box) if pin in (None, one)]

    def changes(self) -> dict[str, object]:
        """Return a value for each box served that differs once something of it was published, marked or removed."""
        return {name: look for name, look in self._registry.changes().items() if self._serves(name)}

    def _serves(self, box: str) -> bool:
        return (not self._only or box in self._only) and (self._lock is None or box in self._lock)

    def newest(self, name: str, fits: Callable[[str], bool] = lambda _: True) -> Release | None:
        """Return the release of the box that is served unless another is asked for, or None where none fits.

        Raises:
            BoxwrightError: It is not there, is not the pinned one, or cannot be read.
        """
        if self._lock is None:
            return self._registry.newest(name, fits)
        release = pinned(self._registry, name, self._lock[name])
        return release if fits(release.version) else None

    def _checked(self, release: Release) -> Release:
        if self._lock is not None:
            self._lock[release.name].check(release)
        return release


def why_not(selection: Selection, box: str) -> str | None:
    """Return why a box that is there is not served, or None."""
    try:
        for version in selection.versions(box):
            selection.find(box, version.__eq__, Pin())
    except BoxwrightError as error:
        return str(error)
    return None
