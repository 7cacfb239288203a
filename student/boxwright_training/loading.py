"""Loads tokenizers, students and teachers, and says in one line what is wrong with one that does not fit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from boxwright.errors import BadInput
from boxwright_training.exporting.source import shown
from boxwright_training.memory import is_out_of_memory
from boxwright_training.recipes import Adapter

__all__ = [
    "adapted",
    "load_model",
    "load_teacher",
    "load_tokenizer",
    "quiet",
    "refuse_adapter",
    "refuse_other_tokenizer",
]

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json")
PROBES = (
    'Thought: 3.5 × 4 = 14\nAction: solve[{"numbers": [4, 9]}]',
    "naïve façade 北京 🙂\t\r\n  two  spaces",
    "0123456789",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from showing bars, and from warning of its own next versions."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def load_tokenizer(name: str, template: Path | None = None) -> Any:
    """Return a tokenizer with a token to pad with, and the chat template of a file where one is given.

    Raises:
        BadInput: There is none of that name, or the template's file cannot be read.
    """
    from transformers import AutoTokenizer

    folder = Path(name)
    if folder.is_dir() and not any((folder / file).is_file() for file in TOKENIZER_FILES):
        raise BadInput(
            f"the folder {name!r} holds no tokenizer (tokenizer.json); copy those files of the model's here, or name "
            "the folder that they are in"
        )
    tokenizer = _loaded(AutoTokenizer, name, "tokenizer")
    if template is not None:
        try:
            tokenizer.chat_template = template.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"--template {str(template)!r} cannot be read: {error}") from error
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise BadInput(
                f"the tokenizer {shown(name)!r} has neither a token to pad with nor one to end with (pad_token, "
                "eos_token)"
            )
        # What is padded is masked, so any token serves; a new one would need a new row of the embedding.
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(name: str, tokenizer: Any, dtype: torch.dtype) -> Any:
    """Return a causal language model whose embedding has a row for each token of the tokenizer.

    Raises:
        BadInput: There is none of that name, or it has fewer tokens than the tokenizer.
    """
    from transformers import AutoModelForCausalLM

    model = _loaded(AutoModelForCausalLM, name, "model", dtype=dtype)
    known = model.get_input_embeddings().weight.shape[0]
    if known < len(tokenizer):
        raise BadInput(
            f"the model {shown(name)!r} knows {known} tokens and its tokenizer {len(tokenizer)}; take the two that "
            "belong together"
        )
    return model


def load_teacher(name: str, tokenizer: Any, dtype: torch.dtype, device: torch.device, vocabulary: int) -> Any:
    """Return a teacher, frozen, on the device.

    Raises:
        BadInput: There is none of that name, or its tokens are not the student's.
    """
    refuse_other_tokenizer(name, load_tokenizer(name), tokenizer)
    teacher = load_model(name, tokenizer, dtype)
    known = teacher.get_output_embeddings().weight.shape[0]
    if known < vocabulary:
        raise BadInput(
            f"the teacher {name!r} tells {known} tokens apart and the student {vocabulary}: their KL has "
            "no meaning; take a teacher whose head is not smaller"
        )
    return teacher.requires_grad_(False).eval().to(device)


def refuse_other_tokenizer(name: str, theirs: Any, ours: Any) -> None:
    """Check that a teacher's token ids mean what the student's do.

    Raises:
        BadInput: They do not; the message shows where.
    """
    left, right = theirs.get_vocab(), ours.get_vocab()
    if left != right:
        odd = sorted(token for token in left.keys() | right.keys() if left.get(token) != right.get(token))
        shown = ", ".join(f"{token!r} is {left.get(token)} there and {right.get(token)} here" for token in odd[:3])
        raise BadInput(
            f"the teacher {name!r} has another tokenizer than the student ({len(odd)} tokens differ: {shown}): a KL "
            "between them has no meaning; take a teacher of the student's family, or leave --teacher out"
        )
    for text in PROBES:
        if theirs(text, add_special_tokens=False).input_ids != ours(text, add_special_tokens=False).input_ids:
            raise BadInput(
                f"the teacher {name!r} has the student's tokens but cuts {text!r} otherwise; take a teacher of the "
                "student's family, or leave --teacher out (cross-entropy)"
            )


def refuse_adapter(name: str) -> None:
    """Check that a student is no adapter: a second one would take its place, and alone it cannot be trained on.

    Raises:
        BadInput: It is one.
    """
    if (Path(name) / "adapter_config.json").exists():
        raise BadInput(
            f"--model {name!r} is an adapter, which another one would replace; merge it first (boxwright train export "
            f"{name} --out FOLDER) and train FOLDER/merged"
        )


def adapted(model: Any, adapter: Adapter | None, *, checkpointing: bool) -> Any:
    """Return a student as it is trained: with LoRA matrices at all linear layers but the head, or whole."""
    if checkpointing:
        model.activation_checkpointing_enable()
    model.config.use_cache = False
    if adapter is None:
        return model
    from peft import LoraConfig, get_peft_model

    if checkpointing:
        model.enable_input_require_grads()
    return get_peft_model(
        model,
        LoraConfig(
            r=adapter.rank,
            lora_alpha=adapter.alpha,
            lora_dropout=adapter.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )


def _loaded(kind: Any, name: str, what: str, **options: Any) -> Any:
    try:
        return kind.from_pretrained(name, **options)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        said = " ".join(str(error).split())[:300]
        raise BadInput(
            f"no {what} {shown(name)!r}: {said}; name a folder with config.json and tokenizer.json, or a model of the "
            "Hugging Face Hub"
        ) from error
