"""Reads a folder as transformers writes it, config, tokenizer, chat template and weights, and puts a new one in place.

Nothing is run of what is read.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright.errors import BadInput
from boxwright.files import writable

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER = "adapter_config.json"
"""What peft writes beside an adapter, and nobody beside full weights."""
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
_IGNORED = "rotary_emb.inv_freq"
"""Old checkpoints carry these tensors; they follow from the config."""


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON object.

    Raises:
        BadInput: The file is not there, or holds something else.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"cannot read {str(path)!r}: {error}; name a folder that save_pretrained of transformers wrote"
        ) from error
    if not isinstance(held, dict):
        raise BadInput(f"{str(path)!r} holds no JSON object; name a folder that save_pretrained of transformers wrote")
    return held


def read_if_there(path: Path) -> dict[str, Any]:
    """Read one JSON object, or give an empty one where there is no such file."""
    return read_json(path) if path.exists() else {}


def is_adapter(folder: Path) -> bool:
    """Say whether peft wrote the folder."""
    return (folder / ADAPTER).is_file()


def chat_template(folder: Path) -> str | None:
    """Give the chat template, wherever this version of transformers put it; of several, the one called `default`."""
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    held = read_if_there(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(held, list):
        held = next((one["template"] for one in held if one.get("name") == "default"), None)
    return held


@contextmanager
def replacing_folder(out: Path) -> Iterator[Path]:
    """Give an empty folder beside `out` that takes its place once it is whole, or goes.

    Raises:
        BadInput: The folder above cannot be written.
    """
    with writable(out.parent), tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        yield made
        if out.exists():
            out.rename(Path(temporary) / "before")
        made.rename(out)


class Weights:
    """The tensors of a folder's *.safetensors, read one at a time from files that stay on disk.

    Raises:
        BadInput: There are none, or one is cut short.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self._shards: dict[str, Any] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise BadInput(f"{str(folder)!r} holds no *.safetensors; save the weights with safe_serialization")
        for file in files:
            try:
                shard = safe_open(file, framework="pt")
            except (OSError, SafetensorError) as error:
                raise BadInput(f"cannot read {str(file)!r}: {error}; fetch or write it again") from error
            for name in shard.keys():  # noqa: SIM118  # no mapping: it has nothing but keys()
                if not name.endswith(_IGNORED):
                    self._shards[name], self.shapes[name] = shard, tuple(shard.get_slice(name).get_shape())
        self._complete(folder)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def read(self, name: str) -> Tensor:
        """Read one tensor, as it is stored."""
        return self._shards[name].get_tensor(name)

    def _complete(self, folder: Path) -> None:
        index = read_if_there(folder / "model.safetensors.index.json").get("weight_map", {})
        missing = sorted({file for name, file in index.items() if name not in self.shapes and _IGNORED not in name})
        if missing:
            raise BadInput(f"{str(folder)!r} lacks tensors that its index puts in {missing}; fetch those files again")
