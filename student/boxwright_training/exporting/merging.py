"""Merges a LoRA adapter into its base model: a folder of full weights, with the tokenizer it was trained with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from boxwright.errors import BadInput
from boxwright_training.exporting.folder import ADAPTER, TOKENIZER_FILES, is_adapter, read_json, replacing_folder
from boxwright_training.exporting.from_gguf import unpacked
from boxwright_training.exporting.source import shown, source_of, trained_on

_TIED = ("embed_tokens", "lm_head")
_FETCHED = ("*.json", "*.jinja", "*.safetensors")


def merge(adapter: Path, out: Path, *, base: str | None = None) -> None:
    """Write base and adapter as one folder of weights, in the base's float type; `out` is there once it is whole.

    Args:
        adapter: A folder that peft saved.
        out: The folder to make; one that is there is replaced.
        base: The base model, a folder, a name on the Hub, a GGUF file that `unpack` reads or `pocket`; what the adapter
            was trained on where nothing is given.

    Raises:
        BadInput: `adapter` is no LoRA adapter, does not fit the base or was trained on another file, the base cannot be
            reached, or `out` cannot be written.
    """
    settings = _settings(adapter)
    with unpacked(base or settings.get("base_model_name_or_path") or "") as name:
        source = _reached(name)
        _check_source(source, adapter)
        merged = _merged(source, adapter)
        with replacing_folder(out) as made:
            merged.save_pretrained(made)
            copy_tokenizer(adapter if (adapter / "tokenizer.json").is_file() else source, made)


def copy_tokenizer(source: Path, out: Path) -> None:
    """Copy the tokenizer's files as they are: what loads and saves them again may write another tokenizer."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)


def _settings(adapter: Path) -> dict[str, Any]:
    if not is_adapter(adapter):
        raise BadInput(f"{str(adapter)!r} is no adapter: it holds no {ADAPTER}; name the folder that peft saved")
    settings = read_json(adapter / ADAPTER)
    if settings.get("peft_type") != "LORA":
        raise BadInput(
            f"{str(adapter)!r} is an adapter of the kind {settings.get('peft_type')!r}, and LORA can be merged: train "
            "that, or merge it with peft and export the full weights"
        )
    if not (adapter / "adapter_model.safetensors").is_file():
        raise BadInput(f"{str(adapter)!r} holds no adapter_model.safetensors; save the adapter with save_pretrained")
    return settings


def _reached(base: str) -> Path:
    """Give the folder of a base model, fetched from the Hub where it is no folder here."""
    if (Path(base) / "config.json").is_file():
        return Path(base)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        if Path(base).exists() or not base:
            raise FileNotFoundError(f"{base!r} holds no config.json")
        return Path(snapshot_download(base, allow_patterns=list(_FETCHED)))
    except (OSError, ValueError, HfHubHTTPError, HFValidationError) as error:
        raise BadInput(
            f"cannot reach the base model {base!r} ({str(error).splitlines()[0]}); give base as a folder that "
            "transformers saved, or as the name of a model on the Hub, and be online"
        ) from error


def _check_source(source: Path, adapter: Path) -> None:
    """Refuse other weights than an adapter was trained on: it would fit those of the same shape, and say nonsense."""
    trained, given = trained_on(adapter), source_of(source)
    if trained and given and trained.sha256 != given.sha256:
        raise BadInput(
            f"the adapter {str(adapter)!r} was trained on {trained.file!r} with the sha256 {trained.sha256}, and the "
            f"base {given.file!r} has {given.sha256}: give as base the file that it was trained on, or train it anew "
            "on this one"
        )


def _merged(source: Path, adapter: Path) -> Any:
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM

    with safe_open(adapter / "adapter_model.safetensors", framework="pt") as held:
        given = set(held.keys())
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    if model.config.tie_word_embeddings and any(part in key and "lora_" in key for key in given for part in _TIED):
        raise BadInput(
            f"{str(adapter)!r} adapts the embedding, which is the output of {shown(str(source))!r} too: merged, it "
            f"would change both; train without {' and '.join(_TIED)} in target_modules"
        )
    try:
        adapted = PeftModel.from_pretrained(model, str(adapter))
        # Its embeddings are left out: to know of them, peft would look for the base where the adapter was trained.
        taken = get_peft_model_state_dict(adapted, save_embedding_layers=False)
        odd = {key for key in given ^ set(taken) if "lora_" in key}
        if odd:
            raise ValueError(f"{len(odd)} tensors have no counterpart, {min(odd)!r} among them")
        return adapted.merge_and_unload(safe_merge=True)
    except (RuntimeError, ValueError) as error:
        raise BadInput(
            f"the adapter {str(adapter)!r} does not fit {shown(str(source))!r} ({str(error)[:300]}); give as base the "
            "model that it was trained on"
        ) from error
