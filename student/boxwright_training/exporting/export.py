"""Exports a checkpoint, adapter or full weights, into one folder that llama.cpp and Ollama run from."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from boxwright.errors import BadInput, ExtraMissing
from boxwright.files import write_atomically
from boxwright_training.exporting.folder import ADAPTER, is_adapter, read_json, replacing_folder
from boxwright_training.exporting.source import located, shown, trained_on

if TYPE_CHECKING:
    from boxwright_training.exporting.gguf_file import Precision

NAMES = ("adapter", "adapter.gguf", "merged", "model.gguf", "Modelfile")
"""All that an export's folder holds."""
USUAL_CONTEXT = 8192
"""The window that Ollama is told, where nothing is asked for and the network has it."""
_NEEDED = ("gguf", "jinja2", "numpy", "peft", "safetensors", "tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class Exported:
    """Where the parts of an export lie."""

    weights: Path
    """Full weights: `merged/`, or the checkpoint itself."""
    gguf: Path
    modelfile: Path
    adapter: Path | None
    adapter_file: Path | None
    """The adapter alone, for llama.cpp; None where `obstacle` says what it has no form for."""


def export(
    checkpoint: Path,
    out: Path,
    *,
    base: str | None = None,
    precision: Precision = "F16",
    context: int | None = None,
    system: str | None = None,
) -> Exported:
    """Write `model.gguf` and `Modelfile` into `out`, and for an adapter `adapter/`, `adapter.gguf` and `merged/` too.

    An export in `out` is replaced, part by part, each of them whole; the same checkpoint gives the same bytes.

    Args:
        checkpoint: What training saved: an adapter, or full weights.
        out: The folder to write to.
        base: The adapter's base model, where it is no longer where it was trained from.
        precision: The type of the file's matrices.
        context: The window that Ollama is told; `USUAL_CONTEXT`, or less if the network has less.
        system: What Ollama begins conversations with.

    Raises:
        ExtraMissing: The packages of the extra `train` are not installed.
        BadInput: `checkpoint` is neither, `out` holds something else, or `merge`, `write_gguf` or `modelfile` refuses.
    """
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise ExtraMissing("exporting", "train")
    # These import what the extra brings.
    from boxwright_training.exporting.gguf_file import write_gguf
    from boxwright_training.exporting.merging import merge
    from boxwright_training.exporting.ollama import modelfile

    _check(checkpoint, out)
    weights, adapter = checkpoint, None
    if is_adapter(checkpoint):
        weights, adapter = out / "merged", out / "adapter"
        merge(checkpoint, weights, base=base)
        _copy(checkpoint, adapter)
    window = context or min(USUAL_CONTEXT, read_json(weights / "config.json").get("max_position_embeddings", 0))
    name = checkpoint.resolve().name
    text = modelfile(weights, context=window, system=system, made_from=f"{name} ({precision}{_base(checkpoint, base)})")
    write_gguf(weights, out / "model.gguf", precision, name=name)
    alone = _adapter_file(checkpoint, out / "adapter.gguf", weights) if adapter else None
    write_atomically(out / "Modelfile", text)
    return Exported(weights, out / "model.gguf", out / "Modelfile", adapter, alone)


def _check(checkpoint: Path, out: Path) -> None:
    if not is_adapter(checkpoint) and not (checkpoint / "config.json").is_file():
        raise BadInput(
            f"{str(checkpoint)!r} is neither an adapter (adapter_config.json) nor full weights (config.json); name the "
            "folder that the trainer or save_pretrained wrote"
        )
    if out.resolve() == checkpoint.resolve() or checkpoint.resolve().is_relative_to(out.resolve()):
        raise BadInput(f"{str(out)!r} holds the checkpoint itself; choose a folder of its own for the export")
    others = sorted(path.name for path in out.iterdir() if path.name not in NAMES) if out.is_dir() else []
    others = [name for name in others if not name.startswith(tuple(f".{part}." for part in NAMES))]  # left by a kill
    if others:
        raise BadInput(
            f"{str(out)!r} holds {', '.join(others[:5])} already; choose an empty folder, or one of an export"
        )


def _copy(folder: Path, out: Path) -> None:
    """Copy an adapter, without the optimizer's state and the checkpoints that may lie in its folder."""
    with replacing_folder(out) as made:
        for path in folder.iterdir():
            if path.is_file() and path.suffix in (".json", ".safetensors", ".jinja", ".md", ".txt", ".model"):
                shutil.copyfile(path, made / path.name)


def _adapter_file(adapter: Path, out: Path, merged: Path) -> Path | None:
    from boxwright_training.exporting.adapter_file import obstacle, write_adapter

    if obstacle(adapter):
        out.unlink(missing_ok=True)  # one of an earlier adapter would not be this one's
        return None
    write_adapter(adapter, out, read_json(merged / "config.json"))
    return out


def _base(checkpoint: Path, base: str | None) -> str:
    if not is_adapter(checkpoint):
        return ""
    if base:
        name = shown(located(base))
    else:
        trained = trained_on(checkpoint)
        name = trained.file if trained else str(read_json(checkpoint / ADAPTER).get("base_model_name_or_path"))
    # A folder's or file's name alone: where it lies on this machine concerns nobody who gets the Modelfile.
    return f", merged into {Path(name).name if Path(name).exists() else name}"
