"""Which releases may run without a real sandbox: the product's own, and those a user trusted."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

from boxwright.errors import BadInput
from boxwright.files import write_atomically
from boxwright.jsontypes import pretty

SHIPPED = "trusted.json"
"""In this package: digest to name, of the library's releases, but `python` which runs any code, and of what the demo
mines."""


class Trust:
    """The trusted digests: the shipped ones and the user's."""

    def __init__(self, home: Path) -> None:
        self._file = home / "trusted.json"

    def covers(self, digest: str) -> bool:
        """Say whether the release of that digest is trusted."""
        return digest in shipped() or digest in self._users()

    def add(self, digest: str) -> None:
        """Trust a digest from now on.

        Raises:
            BadInput: It is no digest, or the file cannot be written.
        """
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            raise BadInput(f"{digest!r} is no digest; `boxwright boxes show BOX` prints it (sha256: and 64 hex digits)")
        write_atomically(self._file, pretty(sorted({*self._users(), digest})))

    def _users(self) -> list[str]:
        try:
            return list(json.loads(self._file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise BadInput(f"{self._file} is not a JSON list of digests ({error}); mend or remove it") from error


def shipped() -> dict[str, str]:
    """Return the shipped digests with what each stands for."""
    text = resources.files("boxwright.sandbox").joinpath(SHIPPED).read_text(encoding="utf-8")
    return dict(json.loads(text))
