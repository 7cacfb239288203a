"""Writes a tiny model file that a real llama.cpp loads: llama's architecture, random weights, a byte-level vocabulary.

What it says is noise; what the server around it does (templates, windows, grammars, streams) is the real thing.
Written by hand from the GGUF specification, version 3 (ggml's docs/gguf.md): the `gguf` package would bring numpy along.
"""

from __future__ import annotations

import random
import struct
from array import array
from collections.abc import Sequence
from pathlib import Path

CONTEXT_TOKENS = 2048
"""What the file gives as the length it was trained for."""
BYTES = 256
SPECIAL = ("<|start|>", "<|end|>", "<tool_call>", "</tool_call>")
TEMPLATE = """{%- if tools %}<|start|>system
Tools:
{%- for tool in tools %}
{{ tool.function | tojson }}
{%- endfor %}
Answer with <tool_call>{"name": ..., "arguments": ...}</tool_call><|end|>
{%- endif %}
{%- for message in messages %}
{%- if message.role == "tool" %}<|start|>user
<tool_response>{{ message.content }}</tool_response><|end|>
{%- elif message.tool_calls %}<|start|>assistant
{%- for call in message.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|end|>
{%- else %}<|start|>{{ message.role }}
{{ message.content }}<|end|>
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|start|>assistant
{% endif %}"""
_WIDTH, _HIDDEN, _HEADS, _LAYERS = 64, 128, 4, 2
_UINT32, _FLOAT32, _BOOL, _STRING, _ARRAY, _INT32 = 4, 6, 7, 8, 9, 5
_ALIGNMENT = 32
Tensor = tuple[str, tuple[int, ...], "array[float]"]


def write_tiny_gguf(path: Path, seed: int = 0) -> Path:
    """Write the file, about 500 kB, the same bytes for the same seed."""
    tensors = _tensors(random.Random(seed))
    fields = _fields()
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(fields))]
    head += [_string(name) + struct.pack("<I", kind) + value for name, kind, value in fields]
    offset = 0
    for name, shape, values in tensors:
        head.append(_string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset))
        offset += _padded(len(values) * 4)
    content = b"".join(head)
    body = b"".join(_pad(values.tobytes()) for _, _, values in tensors)
    path.write_bytes(_pad(content) + body)
    return path


def _fields() -> list[tuple[str, int, bytes]]:
    tokens = [*_byte_letters(), *SPECIAL]
    numbers = {
        "llama.context_length": CONTEXT_TOKENS,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": _LAYERS,
        "llama.feed_forward_length": _HIDDEN,
        "llama.attention.head_count": _HEADS,
        "llama.attention.head_count_kv": _HEADS,
        "llama.rope.dimension_count": _WIDTH // _HEADS,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.bos_token_id": BYTES,
        "tokenizer.ggml.eos_token_id": BYTES + 1,
    }
    texts = {
        "general.architecture": "llama",
        "general.name": "tiny",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.chat_template": TEMPLATE,
    }
    kinds = [1] * BYTES + [3, 3, 4, 4]  # normal, control, user-defined
    return [
        *((name, _STRING, _string(text)) for name, text in texts.items()),
        *((name, _UINT32, struct.pack("<I", number)) for name, number in numbers.items()),
        ("llama.attention.layer_norm_rms_epsilon", _FLOAT32, struct.pack("<f", 1e-5)),
        ("tokenizer.ggml.add_bos_token", _BOOL, b"\0"),
        ("tokenizer.ggml.tokens", _ARRAY, _strings(tokens)),
        ("tokenizer.ggml.token_type", _ARRAY, struct.pack(f"<IQ{len(kinds)}i", _INT32, len(kinds), *kinds)),
        ("tokenizer.ggml.merges", _ARRAY, _strings([])),
    ]


def _tensors(rng: random.Random) -> list[Tensor]:
    """Return name, shape (fastest dimension first) and values of every tensor."""
    vocabulary = BYTES + len(SPECIAL)

    def weights(name: str, *shape: int) -> Tensor:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        return name, shape, array("f", (rng.gauss(0.0, 0.3) for _ in range(count)))

    def ones(name: str) -> Tensor:
        return name, (_WIDTH,), array("f", [1.0] * _WIDTH)

    found = [weights("token_embd.weight", _WIDTH, vocabulary), ones("output_norm.weight")]
    found.append(weights("output.weight", _WIDTH, vocabulary))
    for layer in range(_LAYERS):
        block = f"blk.{layer}."
        found += [ones(f"{block}attn_norm.weight"), ones(f"{block}ffn_norm.weight")]
        found += [weights(f"{block}attn_{part}.weight", _WIDTH, _WIDTH) for part in ("q", "k", "v", "output")]
        found += [weights(f"{block}ffn_{part}.weight", _WIDTH, _HIDDEN) for part in ("gate", "up")]
        found.append(weights(f"{block}ffn_down.weight", _HIDDEN, _WIDTH))
    return found


def _byte_letters() -> list[str]:
    """Return GPT-2's printable letter for each byte: its own where it has one, else one from 256 on."""
    own = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in own else chr(next(others)) for byte in range(BYTES)]


def _string(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<Q", len(content)) + content


def _strings(texts: Sequence[str]) -> bytes:
    return struct.pack("<IQ", _STRING, len(texts)) + b"".join(map(_string, texts))


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _pad(content: bytes) -> bytes:
    return content.ljust(_padded(len(content)), b"\0")
