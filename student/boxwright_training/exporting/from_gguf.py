"""Unpacks a GGUF file into a folder that transformers loads and trains: the pocket student ships as such a file alone.

One kind is read, which `write_gguf` makes of a Llama whose tokenizer cuts as SmolLM's. The weights come back in float32
as exactly as the file holds them: quantized to the file's type once more, they are its bytes again.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright.errors import BadInput
from boxwright_training.exporting.architecture import Array, Shape, llama_keys, tensor_name
from boxwright_training.exporting.folder import replacing_folder
from boxwright_training.exporting.source import Source, digest_of, is_gguf, located

if TYPE_CHECKING:
    import gguf
    from tokenizers import Tokenizer

_KNOWN = {
    "general.type": ("the type", "model"),
    "general.architecture": ("the architecture", "llama"),
    "tokenizer.ggml.model": ("the kind of tokenizer", "gpt2"),
    "tokenizer.ggml.pre": ("the pre-tokenizer", "smollm"),
}
_NUMBERS = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "context_length",
}
_BASE, _EPS = "rope.freq_base", "attention.layer_norm_rms_epsilon"
_HEADS = ("attention.value_length", "rope.dimension_count")
"""Where transformers has one size of a head."""
_TOKENS = {"bos": "bos", "eos": "eos", "pad": "padding"}
_WAY_OUT = "name full weights, a folder of safetensors or a model of the Hugging Face Hub"


@contextmanager
def unpacked(name: str) -> Iterator[str]:
    """Give a GGUF file's folder, for as long as it is needed, or any other model's name as it is.

    Raises:
        BadInput: `unpack` refuses the file.
    """
    if not is_gguf(name):
        yield name
        return
    file = Path(located(name))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / file.stem
        unpack(file, folder)
        yield str(folder)


def unpack(file: Path, folder: Path) -> None:
    """Write a GGUF file as config.json, tokenizer and safetensors, with its digest; `folder` is there once it is whole.

    Args:
        file: A file of the architecture `llama` with SmolLM's pre-tokenizer, its tensors of any type.
        folder: The folder to make; one that is there is replaced.

    Raises:
        BadInput: The file is no such file, not whole or damaged, or `folder` cannot be written.
    """
    from safetensors.numpy import save_file

    source = Source(file.name, digest_of(file))
    with _damage_told(file):
        reader = _opened(file)
        held = {name: field.contents() for name, field in reader.fields.items()}
        _check_kind(file, held)
        _check_network(file, held)
        config = _config(file, held, {tensor.name for tensor in reader.tensors})
        tokenizer, told = _tokenizer(held), _tokenizer_config(held)
        weights = _weights(file, reader, Shape.of(config))
    with replacing_folder(folder) as made:
        source.write(made)
        save_file(weights, made / "model.safetensors", metadata={"format": "pt"})
        tokenizer.save(str(made / "tokenizer.json"))
        for name, written in (("config", config), ("tokenizer_config", told)):
            (made / f"{name}.json").write_text(json.dumps(written, indent=1), encoding="utf-8")


@contextmanager
def _damage_told(file: Path) -> Iterator[None]:
    """Say of a file that is damaged that it is, whatever gguf, numpy and tokenizers raise where they come upon it."""
    try:
        yield
    except BadInput:
        raise
    except KeyError as error:
        raise BadInput(f"{str(file)!r} lacks {error}: {_WAY_OUT}") from error
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise BadInput(f"{str(file)!r} is damaged, or no GGUF file ({said}): fetch it again, or {_WAY_OUT}") from error


def _opened(file: Path) -> gguf.GGUFReader:
    import gguf

    class Reader(gguf.GGUFReader):
        """Ends where the file does: gguf's own takes what is not there for empty, however often a length says."""

        def _get(self, offset: int, dtype: Any, count: int = 1, *more: Any, **named: Any) -> Any:
            values = super()._get(offset, dtype, count, *more, **named)
            if len(values) < int(count):
                raise ValueError(f"it ends before byte {offset}")
            return values

    try:
        return Reader(file)
    except KeyError as error:  # a key twice, and none that it lacks
        raise ValueError(str(error)) from error


def _check_kind(file: Path, held: dict[str, Any]) -> None:
    for key, (what, known) in _KNOWN.items():
        if held.get(key, "model" if key == "general.type" else None) != known:
            raise BadInput(
                f"{str(file)!r} has {what} {held.get(key)!r}; of GGUF files, one with {known!r} can be trained: "
                f"{_WAY_OUT}"
            )


def _check_network(file: Path, held: dict[str, Any]) -> None:
    """Refuse what this reader would get wrong: any key of the network's that it does not know changes the network."""
    head = held["llama.embedding_length"] // held["llama.attention.head_count"]
    for name in (_NUMBERS["head_dim"], *_HEADS):
        held.setdefault(f"llama.{name}", head)
    names = {f"llama.{name}" for name in (*_NUMBERS.values(), *_HEADS, _BASE, _EPS)}
    faults = [key for key in held if key.startswith("llama.") and key not in names]
    faults += [key for key in ("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token") if held.get(key)]
    faults += [f"llama.{name}" for name in _HEADS if held[f"llama.{name}"] != held["llama.attention.key_length"]]
    if faults:
        told = ", ".join(f"{key} = {held[key]!r}" for key in faults)
        raise BadInput(f"{str(file)!r} says {told}, which is not read here: {_WAY_OUT}")


def _config(file: Path, held: dict[str, Any], names: set[str]) -> dict[str, Any]:
    from boxwright_training.pocket import model as pocket

    tied = "output.weight" not in names
    numbers = {ours: int(held[f"llama.{theirs}"]) for ours, theirs in _NUMBERS.items()}
    layers = min(numbers["num_hidden_layers"], len(names))  # a damaged number might name billions
    wanted = {tensor_name(key) for key in llama_keys(layers, tied=tied)}
    if wanted != names:
        raise BadInput(f"{str(file)!r} lacks or adds the tensors {sorted(wanted ^ names)[:5]}: {_WAY_OUT}")
    base, eps = _shortest(held[f"llama.{_BASE}"]), _shortest(held[f"llama.{_EPS}"])
    config: dict[str, Any] = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu"}
    config |= numbers | {
        "rms_norm_eps": eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": base},
        "tie_word_embeddings": tied,
        **{f"{name}_token_id": held.get(f"tokenizer.ggml.{theirs}_token_id") for name, theirs in _TOKENS.items()},
        "dtype": "float32",
    }
    if tied and numbers["head_dim"] == pocket.HEAD:  # then the pocket student's own trainer goes on with it too
        shape = Shape.of(config)
        config["pocket_shape"] = pocket.Shape(
            layers=shape.layers,
            width=shape.width,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            hidden=shape.hidden,
            vocab=shape.vocab,
            context=shape.context,
            rope_base=base,
            eps=eps,
        ).as_dict()
    return config


def _shortest(number: float) -> float:
    """Give 1e-5 for what float32 holds of it."""
    import numpy as np

    return float(str(np.float32(number)))


def _weights(file: Path, reader: gguf.GGUFReader, shape: Shape) -> dict[str, Array]:
    from gguf.quants import dequantize

    held = {tensor.name: tensor for tensor in reader.tensors}
    weights = {}
    for key in llama_keys(shape.layers, tied=bool(shape.tied)):
        tensor = held[tensor_name(key)]
        try:
            values = dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError as error:
            raise BadInput(
                f"{str(file)!r} holds {tensor.name!r} as {tensor.tensor_type.name}, which cannot be taken back to "
                f"float32 here: {_WAY_OUT}"
            ) from error
        if values.shape != (wanted := _dimensions(key, shape)):
            raise ValueError(f"{tensor.name!r} has the shape {values.shape} in place of {wanted}")
        weights[key] = shape.restored(key, values)
    return weights


def _dimensions(key: str, shape: Shape) -> tuple[int, ...]:
    rows, columns = {
        "embed_tokens": (shape.vocab, shape.width),
        "lm_head": (shape.vocab, shape.width),
        "q_proj": (shape.heads * shape.head, shape.width),
        "k_proj": (shape.kv_heads * shape.head, shape.width),
        "v_proj": (shape.kv_heads * shape.head, shape.width),
        "o_proj": (shape.width, shape.heads * shape.head),
        "gate_proj": (shape.hidden, shape.width),
        "up_proj": (shape.hidden, shape.width),
        "down_proj": (shape.width, shape.hidden),
    }.get(key.split(".")[-2], (shape.width, 0))
    return (rows, columns) if columns else (rows,)


def _tokenizer(held: dict[str, Any]) -> Tokenizer:
    from gguf import TokenType
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens, kinds = held["tokenizer.ggml.tokens"], held["tokenizer.ggml.token_type"]
    if len({*tokens}) != held["llama.vocab_size"]:
        raise ValueError(f"it has {len({*tokens})} tokens in place of {held['llama.vocab_size']}")
    numbers = {token: number for number, token in enumerate(tokens) if kinds[number] != TokenType.UNUSED}
    tokenizer = Tokenizer(models.BPE(numbers, [tuple(pair.split(" ")) for pair in held["tokenizer.ggml.merges"]]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    for token, kind in zip(tokens, kinds, strict=True):
        if kind in (TokenType.CONTROL, TokenType.USER_DEFINED):
            special = kind == TokenType.CONTROL
            add = tokenizer.add_special_tokens if special else tokenizer.add_tokens
            add([AddedToken(token, special=special, normalized=False)])
    return tokenizer


def _tokenizer_config(held: dict[str, Any]) -> dict[str, Any]:
    tokens = held["tokenizer.ggml.tokens"]
    numbers = {name: held.get(f"tokenizer.ggml.{theirs}_token_id") for name, theirs in _TOKENS.items()}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{name}_token": tokens[number] for name, number in numbers.items() if number is not None},
        "model_max_length": held["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "chat_template": held.get("tokenizer.chat_template"),
    }
