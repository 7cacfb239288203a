"""What memory training takes, computed from a model's shape; and what to do where it was not enough."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from boxwright.errors import BadInput

__all__ = ["SHAPES", "Memory", "Shape", "estimate", "is_out_of_memory", "out_of_memory"]


EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
"""By what configurations call their number."""


@dataclass(frozen=True)
class Shape:
    """A decoder of the Llama and Qwen kind."""

    layers: int
    width: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    tied: bool

    @property
    def layer(self) -> int:
        """Weights of a layer's matrices."""
        attention = self.width * self.head * (2 * self.heads + 2 * self.kv_heads)
        return attention + 3 * self.width * self.hidden

    @property
    def embedding(self) -> int:
        """Weights of the embedding, or of the head."""
        return self.width * self.vocabulary

    @property
    def weights(self) -> int:
        """All weights, but for norms and biases."""
        return self.layers * self.layer + self.embedding * (1 if self.tied else 2)

    def adapter(self, rank: int) -> int:
        """Weights of LoRA matrices of a rank at all linear layers but the head."""
        inner, keys = self.head * self.heads, self.head * self.kv_heads
        ends = [(self.width, inner), (inner, self.width), *[(self.width, keys)] * 2]
        ends += [(self.width, self.hidden)] * 2 + [(self.hidden, self.width)]
        return self.layers * rank * sum(left + right for left, right in ends)

    @classmethod
    def of(cls, config: Any) -> Shape:
        """Return the shape of a transformers configuration.

        Raises:
            BadInput: It is of a mixture of experts, of which no token sees all.
        """
        config = config.get_text_config()
        if any(getattr(config, name, None) for name in EXPERTS):
            raise BadInput(f"{config.model_type!r} is a mixture of experts, whose memory is not reckoned here")
        width, heads = config.hidden_size, config.num_attention_heads
        return cls(
            config.num_hidden_layers,
            width,
            config.intermediate_size,
            heads,
            getattr(config, "num_key_value_heads", heads),
            getattr(config, "head_dim", None) or width // heads,
            config.vocab_size,
            bool(config.tie_word_embeddings),
        )


SHAPES = {
    "qwen3-0.6b": Shape(28, 1024, 3072, 16, 8, 128, 151_936, True),
    "qwen3-1.7b": Shape(28, 2048, 6144, 16, 8, 128, 151_936, True),
    "qwen3-4b": Shape(36, 2560, 9728, 32, 8, 128, 151_936, True),
    "qwen3-8b": Shape(36, 4096, 12_288, 32, 8, 128, 151_936, False),
    "llama-3.1-8b": Shape(32, 4096, 14_336, 32, 8, 128, 128_256, False),
}
"""As the models' own config.json give them."""


@dataclass(frozen=True)
class Memory:
    """Bytes that a step takes at its peak, part by part."""

    weights: int
    trained: int
    """Float32 masters or adapter, their gradients and AdamW's two moments."""
    activations: int
    head: int
    """A chunk of logits with what is computed on them, and the head's gradient where the head is trained."""
    teacher: int

    @property
    def total(self) -> int:
        """All of it, and a tenth for what allocators lose and kernels need."""
        return round(1.1 * (self.weights + self.trained + self.activations + self.head + self.teacher))


def estimate(
    shape: Shape,
    *,
    rank: int | None,
    window: int,
    batch: int = 1,
    chunk: int = 256,
    checkpointing: bool = True,
    teacher: Shape | None = None,
) -> Memory:
    """Return what a step takes in bfloat16 with FlashAttention-like kernels.

    Args:
        shape: the student's.
        rank: of LoRA; None trains all weights, which are kept in float32.
        window: tokens of a row.
        batch: rows that the device takes at once.
        chunk: positions whose logits are in memory at once.
        checkpointing: whether only each layer's input is kept, and one layer's activations at a time.
        teacher: the shape of a teacher beside it; a cached one takes nothing.
    """
    tokens = batch * window
    trained = shape.weights if rank is None else shape.adapter(rank)
    # Of one layer, in bfloat16: norms' and projections' inputs and outputs, gate, up and their product.
    inner = 6 * shape.width + 2 * shape.head * (shape.heads + shape.kv_heads) + 4 * shape.hidden
    lora = 0 if rank is None else 7 * (rank + shape.width)
    layer = 2 * tokens * (inner + lora)
    activations = 2 * tokens * shape.width * shape.layers + layer if checkpointing else layer * shape.layers
    logits = chunk * shape.vocabulary * (4 + 4 + 2) + (chunk * shape.vocabulary * 8 if teacher else 0)
    of_head = 4 * shape.embedding if rank is None else 0
    return Memory(
        weights=2 * shape.weights,
        trained=(4 + 4 + 8) * trained,
        activations=activations,
        head=logits + of_head,
        teacher=2 * teacher.weights + 2 * tokens * (inner + shape.width) if teacher else 0,
    )


@contextmanager
def out_of_memory(run: Any) -> Iterator[None]:
    """Turn what PyTorch raises where memory runs out into what to change.

    Raises:
        BadInput: It did; the message names the settings.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        advice = [
            *([f"--device-batch 1 (is {run.device_batch})"] if run.device_batch > 1 else []),
            *(["leave --no-checkpointing out"] if not run.checkpointing else []),
            f"a smaller --window (is {run.window})",
            "a smaller --chunk (it is 256 on a GPU where none was set)",
            *(["--cache 64, so that the teacher is not in memory"] if run.teacher and not run.signal_kept else []),
            *(["an adapter (--set adapter={rank=16})"] if run.recipe.adapter is None else []),
        ]
        raise BadInput(
            f"out of memory: {' '.join(str(error).split())[:160]}; try, in this order: {'; '.join(advice)}. "
            "What was saved is whole, and --resume takes another --device-batch and --chunk; `boxwright train memory` "
            "tells what to expect"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory ran out."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    )
