"""Which process a container belongs to: its label is the name of a file that the process holds a lock on.

Whoever can take another's lock knows that its process is gone, whatever numbers processes have had since.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from boxwright.errors import SandboxMissing


class Owner:
    """This process, as the owner of containers.

    Raises:
        SandboxMissing: The folder of the lock files cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.name = secrets.token_hex(16)
        """What its containers carry as their label."""
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / f"{self.name}.lock")
            self._lock.acquire()
        except OSError as error:
            raise SandboxMissing(
                f"{folder} cannot be written ({error}); set BOXWRIGHT_HOME to a folder of yours"
            ) from error

    def gone(self) -> Iterator[str]:
        """Yield the names of owners whose processes have ended; each is forgotten once the caller is done with it."""
        for path in self._folder.glob("*.lock"):
            if path.stem == self.name:
                continue
            try:
                with FileLock(path, blocking=False):
                    yield path.stem
                    path.unlink(missing_ok=True)
            except Timeout:
                continue
