"""The pocket student's tokenizer: a byte-level BPE with single digits, cut as SmolLM's, which llama.cpp knows.

`python -m boxwright_training.pocket.tokenizer` learns one from generated training episodes.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from boxwright_training.pocket.paths import existing

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
"""Tokens that a text never holds: their ids are 0, 1, 2."""
MARKS = ("<tools>", "</tools>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
"""Tokens that stand in texts, and are shown when decoded: their ids follow those of `CONTROL`."""
END_OF_TEXT, START, END = 0, 1, 2
_ALL_MARKS = re.compile("|".join(map(re.escape, (*CONTROL, *MARKS))))
PRE_TOKENIZER = "smollm"
"""What llama.cpp calls the cut below (`LLAMA_VOCAB_PRE_TYPE_SMOLLM`)."""


def train_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    """Learn `size` tokens from the texts, `CONTROL` and `MARKS` among them; the same texts give the same tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in (*CONTROL, *MARKS)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(map(_unmarked, texts), trainer)
    return _with_marks_shown(tokenizer)


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json."""
    return Tokenizer.from_file(str(path))


def _unmarked(text: str) -> str:
    # Special tokens are cut out when encoding but not when training: their letters must not become merges.
    return _ALL_MARKS.sub("\n", text)


def _with_marks_shown(tokenizer: Tokenizer) -> Tokenizer:
    held = json.loads(tokenizer.to_str())
    for token in held["added_tokens"]:
        token["special"] = token["content"] in CONTROL
    return Tokenizer.from_str(json.dumps(held))


def _texts(lexicon: Path, episodes: int, seed: int) -> Iterator[str]:
    # Only who learns a tokenizer needs the generator.
    from boxwright_training.pocket.chat import render, text_of
    from boxwright_training.pocket.episodes import Generator
    from boxwright_training.pocket.lexicon import Lexicon

    generator = Generator(Lexicon.load(lexicon))
    for index in range(episodes):
        episode = generator.episode(random.Random(f"tokenizer/{seed}/{index}"), "train")
        yield text_of(render(episode.messages, episode.tools))


def main(arguments: list[str] | None = None) -> None:
    """Learn a tokenizer as the command line says; the same lexicon, episodes, size and seed give the same file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--lexicon", type=existing, required=True, help="made by boxwright_training.pocket.lexicon")
    parser.add_argument("--out", type=Path, required=True, help="a tokenizer.json")
    parser.add_argument("--episodes", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    train_tokenizer(_texts(args.lexicon, args.episodes, args.seed), args.size).save(str(args.out))


if __name__ == "__main__":
    main()
