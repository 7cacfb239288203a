"""A network's config in llama.cpp's keys, and its tensors under its names; what it computes otherwise is refused.

Sources: the GGUF specification (ggml's docs/gguf.md) for the keys; llama.cpp's conversion/llama.py, qwen.py and base.py
for which of them a model needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from boxwright.errors import BadInput

if TYPE_CHECKING:
    import gguf

Array = np.ndarray[Any, Any]
ARCHITECTURES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}
"""What llama.cpp calls them; Mistral's network is Llama's where its window does not slide."""
ROPE_FREQS = "rope_freqs.weight"
CONVERTER = "llama.cpp's own convert_hf_to_gguf.py"
_PARTS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


@dataclass(frozen=True)
class Rope:
    """How positions turn the heads: the base, and how it is stretched."""

    base: float
    kind: str
    """`default`, `linear`, `llama3` or `yarn`."""
    factor: float
    original: int
    """The positions that the network was trained for before it was stretched."""
    given: dict[str, Any]
    """The config's own entries."""


@dataclass(frozen=True)
class Shape:
    """A network's config, checked."""

    name: str
    """llama.cpp's name of the architecture."""
    context: int
    width: int
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    vocab: int
    eps: float
    tied: bool | None
    """Whether the embedding is the output too; None where the config does not say, so that the tensors do."""
    rope: Rope

    @classmethod
    def of(cls, config: dict[str, Any]) -> Shape:
        """Read a config.json.

        Raises:
            BadInput: llama.cpp has no such network, or computes it otherwise.
        """
        name = _architecture(config)
        try:
            heads = config["num_attention_heads"]
            shape = cls(
                name=name,
                context=config["max_position_embeddings"],
                width=config["hidden_size"],
                layers=config["num_hidden_layers"],
                hidden=config["intermediate_size"],
                heads=heads,
                kv_heads=config.get("num_key_value_heads") or heads,
                head=config.get("head_dim") or config["hidden_size"] // heads,
                vocab=config["vocab_size"],
                eps=config["rms_norm_eps"],
                tied=config.get("tie_word_embeddings"),
                rope=_rope(config),
            )
        except KeyError as error:
            raise BadInput(f"config.json lacks {error}; save the model with save_pretrained of transformers") from error
        _check(config, shape)
        return shape

    def write(self, writer: gguf.GGUFWriter) -> None:
        """Add the keys that llama.cpp builds the network from."""
        writer.add_context_length(self.context)
        writer.add_embedding_length(self.width)
        writer.add_block_count(self.layers)
        writer.add_feed_forward_length(self.hidden)
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.kv_heads)
        writer.add_key_length(self.head)
        writer.add_value_length(self.head)
        writer.add_rope_dimension_count(self.head)
        writer.add_rope_freq_base(self.rope.base)
        writer.add_layer_norm_rms_eps(self.eps)
        writer.add_vocab_size(self.vocab)
        self._write_stretch(writer)

    def frequencies(self) -> Array | None:
        """Give what each rotary frequency is divided by, for the stretch that llama.cpp takes as a tensor.

        Source: "llama3" in transformers' modeling_rope_utils.py; llama.cpp divides by these factors.
        """
        if self.rope.kind != "llama3":
            return None
        given, factor = self.rope.given, self.rope.factor
        low, high = given["low_freq_factor"], given["high_freq_factor"]
        waves = 2 * math.pi * self.rope.base ** (np.arange(0, self.head, 2, dtype=np.float64) / self.head)
        smooth = (self.rope.original / waves - low) / (high - low)
        between = 1 / ((1 - smooth) / factor + smooth)
        stretched = np.where(waves > self.rope.original / low, factor, between)
        return np.where(waves < self.rope.original / high, 1.0, stretched).astype(np.float32)

    def arranged(self, key: str, values: Array) -> Array:
        """Order the rows of q and k as llama.cpp pairs them: neighbours in "llama", as transformers does elsewhere."""
        return self._swapped(key, values, (2, -1))

    def restored(self, key: str, values: Array) -> Array:
        """Undo `arranged`."""
        return self._swapped(key, values, (-1, 2))

    def _swapped(self, key: str, values: Array, parts: tuple[int, int]) -> Array:
        heads = {"q_proj": self.heads, "k_proj": self.kv_heads}.get(key.split(".")[-2])
        if self.name != "llama" or heads is None:
            return values
        rows = values.reshape(heads, *parts, *values.shape[1:])
        return np.ascontiguousarray(rows.swapaxes(1, 2).reshape(values.shape))

    def _write_stretch(self, writer: gguf.GGUFWriter) -> None:
        import gguf

        if self.rope.kind == "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(self.rope.factor)
        elif self.rope.kind == "yarn":
            writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
            writer.add_rope_scaling_factor(self.rope.factor)
            writer.add_rope_scaling_orig_ctx_len(self.rope.original)
            writer.add_rope_scaling_yarn_beta_fast(self.rope.given.get("beta_fast") or 32.0)
            writer.add_rope_scaling_yarn_beta_slow(self.rope.given.get("beta_slow") or 1.0)


def tensor_name(key: str) -> str:
    """Give llama.cpp's name of a tensor.

    Raises:
        BadInput: None of the architectures has such a tensor.
    """
    if key in _WHOLE:
        return _WHOLE[key]
    stem, _, kind = key.rpartition(".")
    start, _, part = stem.partition("layers.")
    layer, _, part = part.partition(".")
    if start != "model." or part not in _PARTS or kind not in ("weight", "bias") or not layer.isdigit():
        raise BadInput(f"{key!r} is no tensor of {', '.join(ARCHITECTURES)}; use {CONVERTER} for other networks")
    return f"blk.{layer}.{_PARTS[part]}.{kind}"


def llama_keys(layers: int, *, tied: bool) -> list[str]:
    """Name all that a Llama of so many layers holds, as transformers does; without biases, which few have."""
    whole = [key for key in _WHOLE if not (tied and key == "lm_head.weight")]
    parts = [part for part in _PARTS if part not in ("self_attn.q_norm", "self_attn.k_norm")]
    return whole + [f"model.layers.{layer}.{part}.weight" for layer in range(layers) for part in parts]


def _architecture(config: dict[str, Any]) -> str:
    named = (config.get("architectures") or ["none"])[0]
    if named not in ARCHITECTURES:
        raise BadInput(
            f"config.json names the architecture {named!r}; known are {', '.join(ARCHITECTURES)}: use {CONVERTER}"
        )
    return ARCHITECTURES[named]


def _rope(config: dict[str, Any]) -> Rope:
    # transformers 5 puts all of it in rope_parameters, 4 the base beside rope_scaling.
    given = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    kind = given.get("rope_type") or given.get("type") or "default"
    original = given.get("original_max_position_embeddings") or config["max_position_embeddings"]
    return Rope(
        base=float(given.get("rope_theta") or config.get("rope_theta") or 10_000.0),
        kind=kind,
        factor=float(given.get("factor") or config["max_position_embeddings"] / original),
        original=original,
        given=given,
    )


def _check(config: dict[str, Any], shape: Shape) -> None:
    layers = set(config.get("layer_types") or ["full_attention"])
    slides = bool(config.get("sliding_window")) and config.get("use_sliding_window", True)
    faults = {
        f"the activation {config.get('hidden_act')!r}, where llama.cpp has 'silu'": config.get("hidden_act") != "silu",
        "a sliding window": slides or layers != {"full_attention"},
        "quantized weights; save them in a float type": "quantization_config" in config,
        "a rotary embedding of part of the head": shape.rope.given.get("partial_rotary_factor", 1) != 1,
        "an odd head_dim": shape.head % 2 == 1,
        # llama.cpp loads no such file: its graphs of these two know no other sizes and no such tensors.
        "heads that are not the width together": shape.name == "qwen2" and shape.head * shape.heads != shape.width,
        "a bias in the attention": shape.name == "qwen3" and bool(config.get("attention_bias")),
        f"rope scaling {shape.rope.kind!r}": shape.rope.kind not in _STRETCHES[shape.name],
        "a YaRN of its own strength (attention_factor, mscale, truncate)": _odd_yarn(shape.rope),
    }
    if found := [fault for fault, holds in faults.items() if holds]:
        raise BadInput(f"config.json has {'; and '.join(found)}; this writer would get it wrong: use {CONVERTER}")


_STRETCHES = {
    "llama": ("default", "linear", "llama3", "yarn"),
    # Their graphs in llama.cpp take no tensor of frequencies, so "llama3" would be passed over in silence.
    "qwen2": ("default", "linear", "yarn"),
    "qwen3": ("default", "linear", "yarn"),
}


def _odd_yarn(rope: Rope) -> bool:
    if rope.kind != "yarn":
        return False
    usual = 0.1 * math.log(rope.factor) + 1 if rope.factor > 1 else 1.0
    strength = rope.given.get("attention_factor")
    odd = strength is not None and abs(strength - usual) > 1e-6
    return (
        odd
        or bool(rope.given.get("mscale") or rope.given.get("mscale_all_dim"))
        or not rope.given.get("truncate", True)
    )
