"""`pocket`, `pocket/SUITE`: the small model that ships with the product, as it is or fine-tuned for a suite.

It is to this product what SQLite is to a web framework: there at once, wherever the product is. What it can do is in
its model card (`student/boxwright_training/pocket/CARD.md`).
"""

from __future__ import annotations

from pathlib import Path

from boxwright.errors import BadInput, NotFound
from boxwright.models.gguf import Gguf
from boxwright.settings import Settings

CONTEXT_TOKENS = 4096
"""What it was trained with."""
_BASE = "pocket-Q8_0.gguf"


def pocket_folder() -> Path:
    """Return the folder of the files: inside the wheel, or beside the student's packages in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "pocket"
    return inside if inside.is_dir() else package.parent.parent / "student" / "pocket"


def tuned() -> list[str]:
    """Return the suites that it was fine-tuned for."""
    return sorted(path.stem.removeprefix("adapter-") for path in pocket_folder().glob("adapter-*.gguf"))


def load_pocket(suite: str, settings: Settings) -> Gguf:
    """Return the model, with the adapter for a suite where one is named.

    Raises:
        NotFound: It was not fine-tuned for that suite.
        BadInput: The file is missing or damaged.
        ExtraMissing: llama.cpp is not installed.
    """
    folder = pocket_folder()
    if suite and suite not in tuned():
        raise NotFound("fine-tuned pocket", suite, tuned(), "without a suite it is `pocket`")
    if not (folder / _BASE).is_file():
        raise BadInput(f"the pocket student's file {str(folder / _BASE)!r} is missing: install the product again")
    return Gguf(
        folder / _BASE,
        min(settings.context_tokens, CONTEXT_TOKENS),
        adapter=folder / f"adapter-{suite}.gguf" if suite else None,
        uri=f"pocket/{suite}" if suite else "pocket",
    )
