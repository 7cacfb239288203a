"""Writes a LoRA adapter as a GGUF file of its own, which llama.cpp (`--lora`) and Ollama (`ADAPTER`) put on a model's.

Sources: llama.cpp's convert_lora_to_gguf.py for the keys and names, its src/llama-adapter.cpp for what is read of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf

from boxwright.errors import BadInput
from boxwright_training.exporting.architecture import Array, Shape, tensor_name
from boxwright_training.exporting.folder import ADAPTER, Weights, read_json
from boxwright_training.exporting.gguf_file import Planned, replacing_file, write_planned
from boxwright_training.exporting.source import trained_on

BASE_KEY = "boxwright.base.sha256"
"""The digest of the file that an adapter belongs to, where it was trained on one."""

_BEFORE = "base_model.model."
"""What peft puts before the names of the model below."""
_SIDES = {".lora_A.weight": ".lora_a", ".lora_B.weight": ".lora_b"}


def obstacle(adapter: Path) -> str | None:
    """Say what an adapter has that llama.cpp's form has no place for, or nothing."""
    settings = read_json(adapter / ADAPTER)
    others = sorted(key for key in Weights(adapter) if not key.endswith(tuple(_SIDES)))
    if others:
        return f"{others[0]!r}, which is no LoRA matrix of a linear layer ({len(others)} such tensors)"
    # One alpha stands for all matrices there, and is divided by each one's rank.
    odd = [name for name in ("alpha_pattern", "use_rslora") if settings.get(name)]
    return f"a scale that is not alpha divided by the rank ({', '.join(odd)})" if odd else None


def write_adapter(adapter: Path, out: Path, config: dict[str, Any]) -> None:
    """Write an adapter's matrices to `out` in float32, those of q and k arranged as the model's own are.

    Args:
        adapter: A folder that peft saved.
        out: The file; until it is whole, what was there before stays.
        config: The config.json of the model below.

    Raises:
        BadInput: There is an `obstacle`, the network is none that `write_gguf` writes, or `out` cannot be written.
    """
    if why := obstacle(adapter):
        raise BadInput(f"the adapter {str(adapter)!r} has {why}: llama.cpp takes it only merged into its base")
    shape = Shape.of(config)
    tensors = list(_tensors(Weights(adapter), shape))
    with replacing_file(out) as temporary:
        writer = gguf.GGUFWriter(temporary, shape.name)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_name(adapter.resolve().name)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(read_json(adapter / ADAPTER)["lora_alpha"]))
        if base := trained_on(adapter):
            writer.add_string(BASE_KEY, base.sha256)
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)
        write_planned(writer, tensors, out)


def base_of(file: Path) -> str | None:
    """Give the sha256 of the GGUF file that an adapter's file was trained on, or None where it names none.

    Raises:
        BadInput: The file cannot be read.
    """
    try:
        field = gguf.GGUFReader(file).get_field(BASE_KEY)
        return None if field is None else str(field.contents())
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise BadInput(f"cannot read {str(file)!r} as a GGUF file: {error}; export the adapter again") from error


def _tensors(weights: Weights, shape: Shape) -> Iterator[Planned]:
    for stored in weights:
        side = next(side for side in _SIDES if stored.endswith(side))
        key = f"{stored.removeprefix(_BEFORE).removesuffix(side)}.weight"

        def read(stored: str = stored, key: str = key, rows: bool = side == ".lora_B.weight") -> Array:
            values: Array = weights.read(stored).float().numpy()
            return shape.arranged(key, values) if rows else values  # the rows of B are those of the product

        name = tensor_name(key) + _SIDES[side]
        yield Planned(name, weights.shapes[stored], gguf.GGMLQuantizationType.F32, read)
