"""Says which GGUF file a folder's weights were unpacked from: an adapter on them belongs to that very file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from boxwright.errors import BadInput
from boxwright.models.pocket import BASE, pocket_folder
from boxwright_training.exporting.folder import ADAPTER, read_if_there

SOURCE = "source.json"
"""Lies beside weights that were unpacked, and beside an adapter that was trained on such."""


@dataclass(frozen=True)
class Source:
    """A GGUF file."""

    file: str
    """Its name, without the folders it lay in."""
    sha256: str

    def write(self, folder: Path) -> None:
        """Write it down in a folder."""
        (folder / SOURCE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def located(name: str) -> str:
    """Give the file that ships for the name `pocket`, unless a model's folder of that name is here; others as is."""
    if name == "pocket" and not (Path(name) / "config.json").is_file():
        return str(pocket_folder() / BASE)
    return name


def is_gguf(name: str) -> bool:
    """Say whether a model's name is that of a GGUF file."""
    return located(name).endswith(".gguf")


def digest_of(file: Path) -> str:
    """Give a file's sha256.

    Raises:
        BadInput: It cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"cannot read {str(file)!r} as a GGUF file: {error}") from error


def source_of(folder: Path) -> Source | None:
    """Say which file a folder was unpacked from, where it was.

    Raises:
        BadInput: What stands there cannot be read.
    """
    held = read_if_there(folder / SOURCE)
    if not held:
        return None
    if not all(isinstance(held.get(key), str) for key in ("file", "sha256")):
        raise BadInput(f"{str(folder / SOURCE)!r} does not name a file and its sha256: unpack or train it anew")
    return Source(held["file"], held["sha256"])


def trained_on(adapter: Path) -> Source | None:
    """Say which file an adapter was trained on: as it says itself, or the folder of its base."""
    if itself := source_of(adapter):
        return itself
    base = read_if_there(adapter / ADAPTER).get("base_model_name_or_path")
    return source_of(Path(base)) if base else None


def shown(name: str) -> str:
    """Give the name to show for a model: of an unpacked folder, the file's, since where it lies is our own affair."""
    source = source_of(Path(name))
    return source.file if source else name
