"""Greedy decoding of many prompts at once, with a cache of keys and values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from boxwright_training.pocket.model import HEAD, Layer, Pocket, after_attention, before_attention
from boxwright_training.pocket.tokenizer import END

CACHED = 1 << 20
"""Tokens whose keys and values are held at once: 8 GiB at 8 layers and 2 heads in bfloat16."""


def generate(model: Pocket, prompts: Sequence[Sequence[int]], most: int, dtype: torch.dtype) -> list[list[int]]:
    """Give for each prompt the likeliest next tokens, up to and without `<|im_end|>`, at most `most`.

    Prompts of about one length are decoded together; each has to leave room for `most` in the context.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers: list[list[int]] = [[] for _ in prompts]
    with torch.inference_mode():
        layers = model.stacks(dtype)
        for group in _groups(order, prompts, most):
            for i, answer in zip(group, _Group(model, layers, [prompts[i] for i in group], most).run(), strict=True):
                answers[i] = answer
    return answers


def _groups(order: list[int], prompts: Sequence[Sequence[int]], most: int) -> Iterator[list[int]]:
    group: list[int] = []
    for i in order:
        if group and (len(group) + 1) * (len(prompts[i]) + most) > CACHED:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


class _Group:
    """Prompts that are decoded together; keys and values are `[layers, rows, kv_heads, places, 64]`."""

    def __init__(self, model: Pocket, layers: list[Layer], prompts: list[Sequence[int]], most: int) -> None:
        self.model, self.layers, self.most = model, layers, most
        self.dtype, self.device = layers[0].q.dtype, layers[0].q.device
        self.lengths = torch.tensor([len(prompt) for prompt in prompts], device=self.device)
        self.rows, self.longest = len(prompts), max(map(len, prompts))
        padded = [[*prompt, *[END] * (self.longest - len(prompt))] for prompt in prompts]
        self.ids = torch.tensor(padded, device=self.device)
        shape = (len(layers), self.rows, model.shape.kv_heads, self.longest + most, HEAD)
        self.keys = torch.zeros(shape, dtype=self.dtype, device=self.device)
        self.values = torch.zeros_like(self.keys)

    def run(self) -> list[list[int]]:
        """Read the prompts, then decode step by step until every row has ended."""
        new = self._read().argmax(-1)
        steps = [new]
        ended = new == END
        for step in range(self.most - 1):
            if step % 8 == 7 and bool(ended.all()):
                break
            new = self._next(new, self.lengths + step)
            ended |= new == END
            steps.append(new)
        rows = torch.stack(steps, 1).tolist()
        return [row[: row.index(END)] if END in row else row for row in rows]

    def _read(self) -> Tensor:
        """Fill the cache with the prompts, some rows at a time; give the logits `[rows, vocab]` at their ends."""
        ends = []
        at_once = max(1, (1 << 17) // self.longest)
        for first in range(0, self.rows, at_once):
            rows = slice(first, min(self.rows, first + at_once))
            ends.append(self._read_rows(rows))
        return torch.cat(ends)

    def _read_rows(self, rows: slice) -> Tensor:
        count, length, shape = rows.stop - rows.start, self.longest, self.model.shape
        stream = F.embedding(self.ids[rows].flatten(), self.model.embed).to(self.dtype)
        places = torch.arange(count * length, device=self.device) % length
        cos, sin = self.model.cos[places], self.model.sin[places]
        for number, layer in enumerate(self.layers):
            q, k, v = before_attention(stream, layer, cos, sin, shape.eps)
            q, k, v = (x.view(count, length, -1, HEAD).transpose(1, 2) for x in (q, k, v))
            self.keys[number, rows, :, :length], self.values[number, rows, :, :length] = k, v
            k, v = (x.repeat_interleave(shape.heads // shape.kv_heads, 1) for x in (k, v))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            stream = after_attention(stream, mixed.transpose(1, 2).flatten(0, 1).flatten(1), layer, shape.eps)
        last = torch.arange(count, device=self.device) * length + self.lengths[rows] - 1
        return self.model.logits(stream[last])

    def _next(self, ids: Tensor, places: Tensor) -> Tensor:
        """Put `ids` `[rows]` at `places` and give the likeliest ids to follow."""
        shape, every = self.model.shape, torch.arange(self.rows, device=self.device)
        stream = F.embedding(ids, self.model.embed).to(self.dtype)
        cos, sin = self.model.cos[places], self.model.sin[places]
        seen = torch.arange(self.keys.shape[3], device=self.device) <= places[:, None]
        for number, layer in enumerate(self.layers):
            q, k, v = before_attention(stream, layer, cos, sin, shape.eps)
            self.keys[number, every, :, places], self.values[number, every, :, places] = k, v
            # A group of query heads shares its keys: it stands as so many queries of one head.
            q = q.view(self.rows, shape.kv_heads, -1, HEAD)
            mixed = F.scaled_dot_product_attention(
                q, self.keys[number], self.values[number], attn_mask=seen[:, None, None]
            )
            stream = after_attention(stream, mixed.reshape(self.rows, -1), layer, shape.eps)
        return self.model.logits(stream).argmax(-1)
