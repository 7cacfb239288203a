"""Holds what llama.cpp says with a file against what transformers says with its checkpoint, both greedy, by token.

Both run in F32 on the processor, one after the other, and so the network has to fit in memory as F32. They add up in
another order: where two logits nearly tie, either may come first, and how near they were is told.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from boxwright_training.exporting.folder import chat_template

TIE = 1e-3
"""Logits nearer to one another than this may change places."""
ASKED = (
    "What is 17 times 23?",
    "Name three colours of the rainbow.",
    "Write a Python function that reverses a string.",
    "Wie heißt die Hauptstadt von Österreich?",
    "Repeat after me: one, two, three.",
)
"""What is asked where nothing else is given."""


@dataclass(frozen=True)
class Difference:
    """Where one prompt's answers part."""

    prompt: str
    place: int
    """The first token of the answer that differs, from 0."""
    transformers: str
    llama: str
    """What each said there."""
    gap: float
    """By how much transformers' logits of these two tokens differ."""

    @property
    def nearly_tied(self) -> bool:
        """Whether rounding explains it."""
        return self.gap < TIE


@dataclass(frozen=True)
class Agreement:
    """What came of a comparison."""

    prompts: int
    tokens: int
    """How many tokens of the answers were alike."""
    differences: tuple[Difference, ...]

    @property
    def holds(self) -> bool:
        """Whether the two say the same, but where two logits nearly tie."""
        return all(one.nearly_tied for one in self.differences)

    def __str__(self) -> str:
        """Tell it in lines."""
        told = [f"{self.prompts} prompts, {self.tokens} tokens alike, {len(self.differences)} answers part"]
        for one in self.differences:
            why = "nearly tied" if one.nearly_tied else "NOT a tie"
            told.append(f"  {one.prompt[-60:]!r}, token {one.place}: {one.gap:.2g} apart, {why};")
            told.append(f"    transformers {one.transformers!r}, llama.cpp {one.llama!r}")
        return "\n".join(told)


def agree(
    folder: Path,
    *,
    prompts: Sequence[str] = (),
    most: int = 32,
    file: Path | None = None,
    adapter: Path | None = None,
) -> Agreement:
    """Ask a checkpoint in transformers and its F32 file in llama.cpp the same, and compare what they say.

    Args:
        folder: Full weights with their tokenizer.
        prompts: Texts to go on with, as they are; where there are none, `ASKED` through the chat template.
        most: How many tokens each answer has at most.
        file: The checkpoint's F32 file, where it is written already.
        adapter: A LoRA adapter's file that llama.cpp puts on `file`, where that is the model below it.

    Raises:
        ExtraMissing: xllamacpp is not installed.
        BadInput: The file cannot be written or loaded.
    """
    from boxwright_training.exporting.gguf_file import write_gguf
    from boxwright_training.exporting.llama import serving

    texts, asked = _asked(folder, prompts)
    with tempfile.TemporaryDirectory() as temporary:
        if file is None:
            file = Path(temporary) / "checkpoint.gguf"
            write_gguf(folder, file, "F32")
        with serving(file, max(map(len, asked)) + most + 8, adapter) as llama:
            said = [llama.go_on(ids, most) for ids in asked]
    return _compare(folder, list(zip(texts, asked, said, strict=True)))


def _asked(folder: Path, prompts: Sequence[str]) -> tuple[list[str], list[list[int]]]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts, around = list(prompts or ASKED), True
    if not prompts and chat_template(folder) is not None:
        turns = ([{"role": "user", "content": text}] for text in texts)
        texts = [tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False) for turn in turns]
        around = False  # the template has written what begins a text
    return texts, [tokenizer.encode(text, add_special_tokens=around) for text in texts]


def _compare(folder: Path, answers: list[tuple[str, list[int], list[int]]]) -> Agreement:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    alike, differences = 0, []
    for text, prompt, said in answers:
        # Up to where they part, transformers' own greedy answer is llama.cpp's: one pass over it tells the rest.
        with torch.inference_mode():
            logits = model(torch.tensor([[*prompt, *said]])).logits[0, len(prompt) - 1 : -1]
        parted = (logits.argmax(-1) != torch.tensor(said)).nonzero().flatten().tolist()
        alike += parted[0] if parted else len(said)
        if parted:
            best, other = int(logits[parted[0]].argmax()), said[parted[0]]
            gap = float(logits[parted[0], best] - logits[parted[0], other])
            differences.append(Difference(text, parted[0], tokenizer.decode([best]), tokenizer.decode([other]), gap))
    return Agreement(len(answers), alike, tuple(differences))
