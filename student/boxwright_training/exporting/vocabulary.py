"""A tokenizer in llama.cpp's keys: byte-level BPE whose cut llama.cpp knows; any other is refused, not written wrongly.

Sources: the regular expressions of llama.cpp's src/llama-vocab.cpp; tokenizer.json of Llama 3, Qwen2, SmolLM and GPT-2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright.errors import BadInput
from boxwright_training.exporting.architecture import CONVERTER
from boxwright_training.exporting.folder import chat_template, read_if_there, read_json

if TYPE_CHECKING:
    import gguf

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _bytes(*, regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "use_regex": regex}


CUTS: dict[str, list[dict[str, Any]]] = {
    "llama-bpe": [_split(rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}"), _bytes(regex=False)],
    "qwen2": [_split(rf"{_WORDS}|\p{{N}}|{_REST}"), _bytes(regex=False)],
    "smollm": [{"type": "Digits", "individual_digits": True}, _bytes(regex=True)],
    "gpt-2": [_bytes(regex=True)],
}
"""How llama.cpp's pre-tokenizers stand in a tokenizer.json, under llama.cpp's names."""
_WHOLE_WORDS_FIRST = ("llama-bpe",)
"""Where llama.cpp takes a word that is a token as it is, before it merges anything (`ignore_merges`)."""
TURN_ENDS = ("<|im_end|>", "<|eot_id|>")
"""What ends a turn, in the chat templates that are translated."""


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer, as llama.cpp is told of it."""

    cut: str
    """llama.cpp's name of the pre-tokenizer."""
    tokens: list[str]
    """By id; an id that the tokenizer leaves out is filled."""
    kinds: list[int]
    merges: list[str]
    ids: dict[str, int]
    """Which tokens are `bos`, `eos`, `pad`, `unk` and, where a turn ends otherwise than a text, `eot`."""
    adds: dict[str, bool]
    """Whether `bos` and `eos` are put around each text."""
    template: str | None

    @classmethod
    def of(cls, folder: Path, rows: int) -> Vocabulary:
        """Read a folder's tokenizer for a network of so many embeddings.

        Raises:
            BadInput: llama.cpp would cut texts otherwise, or the network has no embedding for a token.
        """
        if not (folder / "tokenizer.json").is_file():
            raise BadInput(
                f"{str(folder)!r} holds no tokenizer.json; of tokenizers, byte-level BPE is written here: for "
                f"SentencePiece use {CONVERTER}"
            )
        held = read_json(folder / "tokenizer.json")
        cut, added = _cut(held), {token["id"]: token for token in held.get("added_tokens") or ()}
        named = {number: token for token, number in held["model"]["vocab"].items()}
        named |= {number: token["content"] for number, token in added.items()}
        if max(named) >= rows:
            raise BadInput(
                f"the tokenizer's last token is {max(named)} and the network has {rows} embeddings: "
                "resize_token_embeddings, or take the tokenizer that it was trained with"
            )
        return cls(
            cut=cut,
            tokens=[named.get(number, f"[PAD{number}]") for number in range(rows)],
            kinds=[_kind(number, named, added) for number in range(rows)],
            merges=[pair if isinstance(pair, str) else " ".join(pair) for pair in held["model"]["merges"]],
            ids=_ids(folder, named),
            adds=_adds(held),
            template=chat_template(folder),
        )

    def write(self, writer: gguf.GGUFWriter) -> None:
        """Add the keys."""
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(self.cut)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.kinds)
        writer.add_token_merges(self.merges)
        for name, number in self.ids.items():
            getattr(writer, f"add_{name}_token_id")(number)
        writer.add_add_bos_token(self.adds["bos"])
        writer.add_add_eos_token(self.adds["eos"])
        if self.template is not None:
            writer.add_chat_template(self.template)


def _cut(held: dict[str, Any]) -> str:
    """Recognise the pre-tokenizer by its definition, since a name says nothing about what a folder's file does."""
    model = held.get("model") or {}
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise BadInput(
            f"tokenizer.json holds {model.get('type')!r}{' of characters' if model.get('byte_fallback') else ''} "
            f"(SentencePiece or the like); byte-level BPE is written here: use {CONVERTER}"
        )
    stands = held.get("pre_tokenizer") or {}
    steps = [_plain(step) for step in stands.get("pretokenizers", [stands])]
    found = next((name for name, wanted in CUTS.items() if steps == wanted), None)
    if found is None:
        raise BadInput(
            f"tokenizer.json cuts texts by {json.dumps(steps, ensure_ascii=False)[:400]}; known are "
            f"{', '.join(CUTS)}, and another name would tokenize wrongly: use {CONVERTER}"
        )
    _check(held, found)
    return found


def _plain(step: dict[str, Any]) -> dict[str, Any]:
    # Offsets only; and ByteLevel cuts by its own expression unless it is told not to.
    left = {key: value for key, value in step.items() if key != "trim_offsets"}
    return left | ({"use_regex": left.get("use_regex", True)} if left.get("type") == "ByteLevel" else {})


def _check(held: dict[str, Any], cut: str) -> None:
    model, normalizer = held["model"], held.get("normalizer")
    whole_words, odd = cut in _WHOLE_WORDS_FIRST, ("continuing_subword_prefix", "end_of_word_suffix", "dropout")
    faults = {
        # NFC leaves nearly every text as it is; llama.cpp has no such step, for Qwen's own files neither.
        f"the normalizer {normalizer}": (normalizer or {"type": "NFC"}) != {"type": "NFC"},
        f"{', '.join(odd)} in its model": any(model.get(key) for key in odd),
        f"ignore_merges {not whole_words}, where {cut!r} has {whole_words}": bool(model.get("ignore_merges"))
        != whole_words,
    }
    if found := [fault for fault, holds in faults.items() if holds]:
        raise BadInput(
            f"tokenizer.json has {'; and '.join(found)}; llama.cpp would tokenize otherwise: use {CONVERTER}"
        )


def _kind(number: int, named: dict[int, str], added: dict[int, dict[str, Any]]) -> int:
    import gguf

    if number not in named:
        return int(gguf.TokenType.UNUSED)
    if number not in added:
        return int(gguf.TokenType.NORMAL)
    return int(gguf.TokenType.CONTROL if added[number]["special"] else gguf.TokenType.USER_DEFINED)


def _ids(folder: Path, named: dict[int, str]) -> dict[str, int]:
    numbers = {token: number for number, token in named.items()}
    told, config = read_if_there(folder / "tokenizer_config.json"), read_json(folder / "config.json")
    told = read_if_there(folder / "special_tokens_map.json") | told
    ids = {}
    for name in ("bos", "eos", "pad", "unk"):
        token = told.get(f"{name}_token")
        content = token["content"] if isinstance(token, dict) else token
        number = config.get(f"{name}_token_id") if content is None else numbers.get(content)
        number = number[0] if isinstance(number, list) else number
        if number in named:
            ids[name] = number
    ends = [numbers[token] for token in TURN_ENDS if token in numbers]
    return ids | ({"eot": ends[0]} if ends and ends[0] != ids.get("eos") else {})


def _adds(held: dict[str, Any]) -> dict[str, bool]:
    """Say what the post-processor puts around a text; what it does to pairs of texts concerns no generation."""
    steps = held.get("post_processor") or {}
    single = [
        part
        for step in steps.get("processors", [steps])
        if step.get("type") == "TemplateProcessing"
        for part in step["single"]
    ]
    texts = [place for place, part in enumerate(single) if "Sequence" in part]
    return {"bos": bool(texts) and texts[0] > 0, "eos": bool(texts) and texts[0] < len(single) - 1}
