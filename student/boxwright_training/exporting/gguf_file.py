"""Writes a folder of weights as one GGUF file for llama.cpp, a tensor at a time, whole or not at all.

Before a weight is written, llama.cpp itself, where it is installed, cuts texts with the tokenizer as it will stand in
the file: what it cuts otherwise than transformers is refused.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np

from boxwright.errors import BadInput
from boxwright.files import writable
from boxwright_training.exporting import cutting
from boxwright_training.exporting.architecture import ROPE_FREQS, Array, Shape, tensor_name
from boxwright_training.exporting.folder import Weights, read_json
from boxwright_training.exporting.vocabulary import Vocabulary

Precision = Literal["F32", "F16", "BF16", "Q8_0"]


def write_gguf(
    folder: Path, out: Path, precision: Precision, *, name: str | None = None, license_name: str | None = None
) -> None:
    """Write the model in `folder` to `out`; vectors stay F32, and memory holds one tensor at a time.

    Args:
        folder: What transformers saved: config.json, tokenizer.json, *.safetensors.
        out: The file; until it is whole, what was there before stays.
        precision: The type of the matrices; a row that Q8_0's blocks of 32 do not divide is F16 in its place.
        name: What the file says the model is called; the folder's name where nothing is given.
        license_name: The licence that the file names, as SPDX writes it.

    Raises:
        BadInput: The network or the tokenizer is none that llama.cpp would run alike, the folder is not whole, or `out`
            cannot be written.
    """
    shape = Shape.of(read_json(folder / "config.json"))
    vocabulary = Vocabulary.of(folder, shape.vocab)
    tensors = list(_tensors(Weights(folder), shape, gguf.GGMLQuantizationType[precision]))
    cutting.check(folder, vocabulary)
    with replacing_file(out) as temporary:
        writer = gguf.GGUFWriter(temporary, shape.name)
        writer.add_type("model")
        writer.add_name(name or folder.resolve().name)
        if license_name:
            writer.add_license(license_name)
        shape.write(writer)
        vocabulary.write(writer)
        writer.add_file_type(gguf.LlamaFileType["ALL_F32" if precision == "F32" else f"MOSTLY_{precision}"])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        write_planned(writer, tensors, out)


@dataclass(frozen=True)
class Planned:
    """A tensor that is going to be written, and read only then."""

    name: str
    shape: tuple[int, ...]
    kind: gguf.GGMLQuantizationType
    read: Callable[[], Array]

    @property
    def stored(self) -> tuple[tuple[int, ...], np.dtype[Any], int]:
        """Its shape, type and bytes as GGUFWriter wants them; what numpy has no type for counts as bytes."""
        if self.kind in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16):
            kind = np.dtype(np.float32 if self.kind == gguf.GGMLQuantizationType.F32 else np.float16)
            return self.shape, kind, int(np.prod(self.shape)) * kind.itemsize
        shape = gguf.quant_shape_to_byte_shape(self.shape, self.kind)
        return shape, np.dtype(np.uint8), int(np.prod(shape))


def _tensors(weights: Weights, shape: Shape, wanted: gguf.GGMLQuantizationType) -> Iterator[Planned]:
    """Plan the file: names, shapes and types are known before the first weight is read."""
    _check(weights, shape)
    frequencies = shape.frequencies()
    if frequencies is not None:
        yield Planned(ROPE_FREQS, frequencies.shape, gguf.GGMLQuantizationType.F32, lambda: frequencies)
    for key in weights:
        if key == "lm_head.weight" and shape.tied:
            continue  # the embedding's own values once more

        def read(key: str = key) -> Array:
            return shape.arranged(key, weights.read(key).float().numpy())

        yield Planned(tensor_name(key), weights.shapes[key], _kind(weights.shapes[key], wanted), read)


def _kind(shape: tuple[int, ...], wanted: gguf.GGMLQuantizationType) -> gguf.GGMLQuantizationType:
    if len(shape) == 1:
        return gguf.GGMLQuantizationType.F32
    divides = shape[-1] % gguf.GGML_QUANT_SIZES[wanted][0] == 0
    return wanted if divides else gguf.GGMLQuantizationType.F16


def _check(weights: Weights, shape: Shape) -> None:
    rows = weights.shapes.get("model.embed_tokens.weight", (0,))[0]
    if rows != shape.vocab:
        raise BadInput(
            f"config.json says {shape.vocab} embeddings and the weights have {rows}: save both together, with "
            "save_pretrained of transformers"
        )
    if shape.tied is False and "lm_head.weight" not in weights.shapes:
        raise BadInput(
            "config.json says that the output is not the embedding, and the weights have no 'lm_head.weight'"
        )
    layers = {key.split(".")[2] for key in weights if key.startswith("model.layers.")}
    if len(layers) != shape.layers:
        raise BadInput(f"config.json says {shape.layers} layers and the weights have {len(layers)}: fetch the rest")


def write_planned(writer: gguf.GGUFWriter, tensors: list[Planned], out: Path) -> None:
    """Write a file whose keys are given, a tensor at a time, and close it.

    Raises:
        BadInput: The disk of `out` has no room for it.
    """
    for tensor in tensors:
        dimensions, kind, size = tensor.stored
        writer.add_tensor_info(tensor.name, dimensions, kind, size, raw_dtype=tensor.kind)
    needed = sum(tensor.stored[2] for tensor in tensors)
    free = shutil.disk_usage(out.parent).free
    if needed > free:
        raise BadInput(f"{str(out)!r} takes {needed:,} bytes and its disk has {free:,}: make room or write elsewhere")
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors:
            writer.write_tensor_data(gguf.quants.quantize(tensor.read(), tensor.kind))
        writer.flush()
    finally:
        with suppress(OSError):  # of what was left in its buffer by a write that failed
            writer.close()


@contextmanager
def replacing_file(out: Path) -> Iterator[Path]:
    """Give a file beside `out` that takes its place once it is on disk, or goes."""
    with writable(out.parent):
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(out)
        except BaseException as error:
            with suppress(FileNotFoundError):
                temporary.unlink()
            if isinstance(error, OSError) and error.errno is None:  # numpy's own, for a disk that filled up
                raise BadInput(f"cannot write {str(out)!r}: {error}; make room or write elsewhere") from error
            raise
