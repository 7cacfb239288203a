"""Carries the network's weights to and from a folder that transformers reads as LlamaForCausalLM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from boxwright_training.pocket.chat import TEMPLATE
from boxwright_training.pocket.model import HEAD, Pocket, Shape
from boxwright_training.pocket.tokenizer import END, END_OF_TEXT, START

SHARD_BYTES = 15 << 20
_NAMES = {
    "attention_norm": "input_layernorm",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "mlp_norm": "post_attention_layernorm",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}


def export(model: Pocket, folder: Path, tokenizer: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write config.json, the tokenizer with its template, and the weights in shards of at most 15 MiB."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(_config(model.shape, dtype), indent=1), encoding="utf-8")
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    (folder / "tokenizer_config.json").write_text(
        json.dumps(_tokenizer_config(model.shape), indent=1), encoding="utf-8"
    )
    shards = _shards({name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in named(model).items()})
    where: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file(shard, folder / name, metadata={"format": "pt"})
        where |= dict.fromkeys(shard, name)
    index = {"metadata": {"total_size": sum(t.nbytes for s in shards for t in s.values())}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def load(folder: Path) -> Pocket:
    """Read a folder that `export` wrote."""
    shape = Shape(**json.loads((folder / "config.json").read_text(encoding="utf-8"))["pocket_shape"])
    model = Pocket(shape)
    kept: dict[str, Tensor] = {}
    for shard in sorted(folder.glob("*.safetensors")):
        kept |= load_file(shard)
    with torch.no_grad():
        for name, tensor in named(model).items():
            tensor.copy_(kept[name])
    return model


def named(model: Pocket) -> dict[str, Tensor]:
    """Give the weights under transformers' names; each is a view of a stack."""
    tensors = {"model.embed_tokens.weight": model.embed, "model.norm.weight": model.norm}
    for ours, theirs in _NAMES.items():
        for number, tensor in enumerate(getattr(model, ours).detach()):
            tensors[f"model.layers.{number}.{theirs}.weight"] = tensor
    return tensors


def _shards(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    shards: list[dict[str, Tensor]] = [{}]
    for name, tensor in tensors.items():
        if shards[-1] and sum(t.nbytes for t in shards[-1].values()) + tensor.nbytes > SHARD_BYTES:
            shards.append({})
        shards[-1][name] = tensor
    return shards


def _config(shape: Shape, dtype: torch.dtype) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": shape.width,
        "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": HEAD,
        "vocab_size": shape.vocab,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_base},
        "tie_word_embeddings": True,
        "bos_token_id": START,
        "eos_token_id": END,
        "pad_token_id": END_OF_TEXT,
        "dtype": str(dtype).removeprefix("torch."),
        "pocket_shape": shape.as_dict(),
    }


def _tokenizer_config(shape: Shape) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": shape.context,
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
    }
