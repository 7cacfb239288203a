"""Writes tiny checkpoints as transformers saves them: random networks and byte-level tokenizers, one for each known cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEXTS = (
    "The quick brown fox jumps over the lazy dog, and then it's gone; don't they say we've seen 1234 of them?",
    '{"name": "get_weather", "arguments": {"city": "Köln", "days": [1, 22, 333]}}',
    "def f(x):\n    return x + 1\n\n\nGröße, naïve café; русский текст, 漢字かな 🙂",
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
MARKS = ("<tool_call>", "</tool_call>", "<think>", "</think>")
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


def write_tokenizer(folder: Path, cut: str, *, template: str | None = CHATML, bos: bool = False) -> int:
    """Learn a tokenizer with one of the known cuts, and return how many tokens it has."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    own = pre_tokenizers.ByteLevel(add_prefix_space=False)
    cuts: dict[str, list[Any]] = {
        "llama-bpe": [pre_tokenizers.Split(Regex(WORDS % "{1,3}"), "isolated"), whole],
        "qwen2": [pre_tokenizers.Split(Regex(WORDS % ""), "isolated"), whole],
        "smollm": [pre_tokenizers.Digits(individual_digits=True), own],
        "gpt-2": [own],
        "hex": [pre_tokenizers.Split(Regex("[0-9a-f]+"), "isolated"), whole],
    }
    steps = cuts[cut]
    tokenizer = Tokenizer(models.BPE(ignore_merges=cut == "llama-bpe"))
    tokenizer.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in MARKS])
    if bos:
        number = tokenizer.token_to_id(SPECIAL[0])
        around = processors.TemplateProcessing(single=f"{SPECIAL[0]} $A", special_tokens=[(SPECIAL[0], number)])
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), around])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    told |= {"bos_token": "<|endoftext|>"} if bos else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return int(tokenizer.get_vocab_size())


def write_checkpoint(
    folder: Path, kind: str, cut: str, *, seed: int = 0, dtype: str = "float32", bos: bool = False, **config: Any
) -> Path:
    """Save a random network of a kind ("llama", "mistral", "qwen2", "qwen3") whose greedy answers vary."""
    import torch
    import transformers

    size = write_tokenizer(folder, cut, bos=bos)
    made = transformers.AutoConfig.for_model(
        kind,
        **(SHAPE | {"vocab_size": size, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None} | config),
    )
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(made)
    with torch.no_grad():
        for name, values in model.named_parameters():
            if name.endswith("norm.weight"):
                values.uniform_(0.5, 1.5)
            else:
                values.normal_(std=0.5 if "embed" in name else 0.2)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    return folder
