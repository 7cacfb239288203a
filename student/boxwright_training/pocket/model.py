"""The pocket student's network: a Llama with tied embeddings, each kind of weight stacked over the layers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (everybody's name for it)
from torch import Tensor, nn

HEAD = 64
"""Channels of an attention head."""


@dataclass(frozen=True)
class Shape:
    """How large the network is. The defaults make 24.6 million parameters: 26 MB as Q8_0."""

    layers: int = 8
    width: int = 512
    heads: int = 8
    kv_heads: int = 2
    hidden: int = 1408
    """Width of the feed-forward part."""
    vocab: int = 4096
    context: int = 4096
    rope_base: float = 10_000.0
    eps: float = 1e-5

    def as_dict(self) -> dict[str, Any]:
        """Give the fields, for JSON."""
        return asdict(self)


class Layer(NamedTuple):
    """One layer's weights, each `[out, in]`, norms `[width]`."""

    attention_norm: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    o: Tensor
    mlp_norm: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor


class Pocket(nn.Module):
    """Weights in float32 and the forward pass in the type asked for.

    The stream is flat, `[tokens, width]`: only attention sees rows, so whatever the batch's shape, what is compiled
    is compiled once. Stacking lets the optimizer treat all layers' matrices in one batched product.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        layers, width, hidden = shape.layers, shape.width, shape.hidden
        self.embed = _matrix(shape.vocab, width, std=0.02)
        self.attention_norm = nn.Parameter(torch.ones(layers, width))
        self.q = _matrix(layers, shape.heads * HEAD, width)
        self.k = _matrix(layers, shape.kv_heads * HEAD, width)
        self.v = _matrix(layers, shape.kv_heads * HEAD, width)
        self.o = _matrix(layers, width, shape.heads * HEAD, std=0.0)
        self.mlp_norm = nn.Parameter(torch.ones(layers, width))
        self.gate = _matrix(layers, hidden, width)
        self.up = _matrix(layers, hidden, width)
        self.down = _matrix(layers, width, hidden, std=0.0)
        self.norm = nn.Parameter(torch.ones(width))
        self.register_buffer("cos", torch.empty(0), persistent=False)
        self.register_buffer("sin", torch.empty(0), persistent=False)
        self._turn(shape)
        self._before, self._after = before_attention, after_attention

    def compile_parts(self) -> None:
        """Compile what lies between attentions; its shapes are fixed by the count of tokens alone."""
        self._before = torch.compile(before_attention, dynamic=False)
        self._after = torch.compile(after_attention, dynamic=False)

    def _turn(self, shape: Shape) -> None:
        speeds = shape.rope_base ** (-torch.arange(0, HEAD, 2, dtype=torch.float64) / HEAD)
        angles = torch.arange(shape.context, dtype=torch.float64)[:, None] * speeds
        self.cos, self.sin = angles.cos().float(), angles.sin().float()

    def stacks(self, dtype: torch.dtype) -> list[Layer]:
        """Give the layers in `dtype`; each stack is cast once, and its gradient comes back as one."""
        return [
            Layer(*parts) for parts in zip(*(getattr(self, n).to(dtype).unbind(0) for n in Layer._fields), strict=True)
        ]

    def forward(self, ids: Tensor, rows: int, length: int, dtype: torch.dtype) -> Tensor:
        """Give the last layer's stream `[tokens, width]`, before the last norm.

        Args:
            ids: `[tokens]`: `rows` times `length` of them, row after row, then any filling.
            rows: Sequences in the batch.
            length: Tokens of each; what pads a row stands at its end, where no causal attention sees it.
            dtype: What is computed in.
        """
        used = rows * length
        positions = torch.arange(len(ids), device=ids.device) % length
        cos, sin = self.cos[positions], self.sin[positions]
        stream = F.embedding(ids, self.embed).to(dtype)
        group = self.shape.heads // self.shape.kv_heads
        for layer in self.stacks(dtype):
            q, k, v = self._before(stream, layer, cos, sin, self.shape.eps)
            k, v = (x.repeat_interleave(group, 1) for x in (k, v))
            q, k, v = (x[:used].view(rows, length, -1, HEAD).transpose(1, 2) for x in (q, k, v))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(used, -1)
            stream = self._after(stream, F.pad(mixed, (0, 0, 0, len(ids) - used)), layer, self.shape.eps)
        return stream

    def logits(self, stream: Tensor) -> Tensor:
        """Give `[tokens, vocab]` for a stream."""
        return logits(stream, self.norm, self.embed, self.shape.eps)


def _matrix(*shape: int, std: float | None = None) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape) * (shape[-1] ** -0.5 if std is None else std))


def before_attention(
    stream: Tensor, layer: Layer, cos: Tensor, sin: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Give queries `[tokens, heads, 64]`, keys and values `[tokens, kv_heads, 64]`, turned to their positions."""
    x = F.rms_norm(stream, stream.shape[-1:], layer.attention_norm, eps)
    q, k, v = (F.linear(x, weight).view(len(x), -1, HEAD) for weight in (layer.q, layer.k, layer.v))
    return rotate(q, cos, sin), rotate(k, cos, sin), v


def after_attention(stream: Tensor, mixed: Tensor, layer: Layer, eps: float) -> Tensor:
    """Add what attention gave, then the feed-forward part (SwiGLU), to the stream."""
    stream = stream + F.linear(mixed, layer.o)
    x = F.rms_norm(stream, stream.shape[-1:], layer.mlp_norm, eps)
    return stream + F.linear(F.silu(F.linear(x, layer.gate)) * F.linear(x, layer.up), layer.down)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn heads `[tokens, heads, 64]` by the angles `[tokens, 32]` (float32), halves paired as in transformers."""
    a, b = x.float().chunk(2, -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


def logits(stream: Tensor, norm: Tensor, embed: Tensor, eps: float) -> Tensor:
    """Norm the stream and compare it with every token's embedding."""
    return F.linear(F.rms_norm(stream, stream.shape[-1:], norm.to(stream.dtype), eps), embed.to(stream.dtype))
