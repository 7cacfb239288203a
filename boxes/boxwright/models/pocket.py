"""`pocket`, `pocket/SUITE`: the small model that ships with the product, as it is or fine-tuned for a suite.

It is to this product what SQLite is to a web framework: there at once, wherever the product is. What it can do is in
its model card (`student/boxwright_training/pocket/CARD.md`).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from boxwright.errors import BadInput, NotFound
from boxwright.models.base import Completion, Request
from boxwright.models.gguf import Gguf
from boxwright.settings import Settings

CONTEXT_TOKENS = 4096
"""What it was trained with."""
MOST_TOKENS = 512
"""Twice what its longest answers in training take."""
BASE = "pocket-Q8_0.gguf"
"""The file without any adapter."""
_TAIL = 1 << 16


def pocket_folder() -> Path:
    """Return the folder of the files: inside the wheel, or beside the student's packages in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "pocket"
    return inside if inside.is_dir() else package.parent.parent / "student" / "pocket"


def tuned() -> list[str]:
    """Return the suites that it was fine-tuned for."""
    return sorted(path.stem.removeprefix("adapter-") for path in pocket_folder().glob("adapter-*.gguf"))


class Pocket(Gguf):
    """The model, with the adapter for a suite where one is named.

    Raises:
        NotFound: It was not fine-tuned for that suite.
        BadInput: The file is missing or damaged.
        ExtraMissing: llama.cpp is not installed.
    """

    def __init__(self, suite: str, settings: Settings) -> None:
        if suite and suite not in tuned():
            known = ", ".join(["pocket", *(f"pocket/{one}" for one in tuned())])
            raise NotFound("fine-tuned pocket", suite, tuned(), f"there is {known}")
        base, adapter = pocket_folder() / BASE, pocket_folder() / f"adapter-{suite}.gguf" if suite else None
        if find_spec("xllamacpp") and not base.is_file():  # without llama.cpp the file would be of no use
            raise BadInput(f"the pocket student's file {str(base)!r} is missing: install the product again")
        # One thread: a network so small computes for less time than two wait for each other.
        super().__init__(base, min(settings.context_tokens, CONTEXT_TOKENS), adapter=adapter, threads=1)
        self.uri = f"pocket{f'/{suite}' if suite else ''}@{_digest(adapter or base)}"

    async def answer(self, request: Request) -> list[Completion]:
        """See `Gguf.answer`; what is longer than all it learned from has lost its thread, and is cut."""
        return await super().answer(replace(request, max_tokens=min(request.max_tokens, MOST_TOKENS)))


def _digest(file: Path) -> str:
    """Tell versions of the file apart, so that the runs of one are not taken for another's; its end is weights."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - _TAIL))
        return hashlib.sha256(stream.read()).hexdigest()[:8]
