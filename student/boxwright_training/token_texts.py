"""What tokens are in bytes, so that those an API tells can be compared with a tokenizer's own. No probabilities here.

Bytes stand as text, a Latin-1 character for each, as `WrittenToken` has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["parts", "shown", "token_texts"]

_NO_LETTER = "\ufffd".encode().decode("latin-1")


def token_texts(tokenizer: Any) -> list[str]:
    """Return the bytes of each token of a fast tokenizer of transformers, by id: byte-level BPE, or SentencePiece's."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    byte_of = {letter: chr(byte) for byte, letter in bytes_to_unicode().items()}
    byte_level = "ByteLevel" in repr(tokenizer.backend_tokenizer.decoder)
    known, added = tokenizer.get_vocab(), tokenizer.added_tokens_encoder
    texts = [""] * (max(known.values()) + 1)
    for token, number in known.items():
        if token in added:
            texts[number] = _as_bytes(token)
        elif byte_level:
            texts[number] = "".join(byte_of.get(letter) or _as_bytes(letter) for letter in token)
        elif len(token) == 6 and token.startswith("<0x"):
            texts[number] = chr(int(token[3:5], 16))
        else:
            texts[number] = _as_bytes(token.replace("▁", " "))
    return texts


def parts(told: str, texts: Sequence[str]) -> int:
    """Return how many of a student's next tokens are the parts of a letter for which a told token stands; often none.

    JSON has no text for a part of a letter. llama.cpp tells the whole letter once in the place of its tokens; vLLM and
    Ollama each as nothing or as U+FFFD, vLLM the last of them as the letter (vllm#34875, ollama#13497).
    """
    if _is_text(texts[0]):
        return 0
    for count in range(2, len(texts) + 1):
        if told == (joined := "".join(texts[:count])):
            return count
        if _is_text(joined):
            break
    return int(not told.replace(_NO_LETTER, "") or told.endswith(texts[0]))


def shown(text: str) -> str:
    """Return bytes as a person reads them."""
    return repr(text.encode("latin-1").decode("utf-8", "backslashreplace"))


def _as_bytes(text: str) -> str:
    return text.encode("utf-8", "replace").decode("latin-1")


def _is_text(text: str) -> bool:
    try:
        text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return False
    return True
