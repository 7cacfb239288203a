"""Has llama.cpp cut texts with a tokenizer as it stands in its file, beside transformers: the two must agree.

A tiny network carries the tokenizer, so that this costs a second and no weights.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from boxwright.errors import BadInput
from boxwright_training.exporting.architecture import CONVERTER, llama_keys, tensor_name
from boxwright_training.exporting.llama import here, serving
from boxwright_training.exporting.vocabulary import Vocabulary

TEXTS = (
    "Hello world, don't they'LL we'RE I'M? It's 4:30 -- 1234567890 + 3.14159e-7 = 42!",
    "\n\n\tif x1 == 'a':\r\n        return  [0x1F,\t\"b\"]   \n \n",
    "Größe, naïve café, señor; Ελληνικά, русский текст, العربية, עברית, हिन्दी",
    "漢字かな交じり文、한국어 텍스트。ภาษาไทย 🙂👩‍👩‍👧 ½ ² Ⅳ ٣٤ 　",
    '{"name": "get_weather", "arguments": {"city": "Köln", "days": [1, 22, 333, 4444]}}',
    "<|im_start|>user\n<tool_call> not all of these are tokens </tool_call><|eot_id|> ",
    "    leading, and trailing spaces    ",
    "a",
)
_WIDTH, _HEAD = 32, 32
_CONTEXT = 256


def check(folder: Path, vocabulary: Vocabulary) -> None:
    """Compare llama.cpp's tokens with transformers'; does nothing where llama.cpp is not installed.

    Raises:
        BadInput: They differ on a text.
    """
    if not here():
        return
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "tokenizer.gguf"
        _carrier(file, vocabulary)
        with serving(file, _CONTEXT) as llama:
            for text in (*TEXTS, _added(vocabulary)):
                for special in (False, True):
                    theirs = llama.tokenize(text, special=special)
                    ours = tokenizer.encode(text, add_special_tokens=special)
                    if ours != theirs:
                        _refuse(text, ours, theirs, vocabulary)


def _added(vocabulary: Vocabulary) -> str:
    """Give a text of the tokens that are cut out before anything else, with and without spaces around them."""
    added = [token for token, kind in zip(vocabulary.tokens, vocabulary.kinds, strict=True) if kind in (3, 4)]
    return "".join(f"a{token}b {token} " for token in added)


def _refuse(text: str, ours: list[int], theirs: list[int], vocabulary: Vocabulary) -> None:
    pairs = enumerate(zip([*ours, -1], [*theirs, -1], strict=False))
    place = next(place for place, (mine, other) in pairs if mine != other)
    told = [[vocabulary.tokens[number] for number in tokens[place : place + 4]] for tokens in (ours, theirs)]
    raise BadInput(
        f"llama.cpp ({vocabulary.cut!r}) cuts {text[:80]!r} otherwise than transformers: from token {place} on "
        f"{told[1]} in the place of {told[0]}; use {CONVERTER}"
    )


def _carrier(file: Path, vocabulary: Vocabulary) -> None:
    """Write a network of one layer, all of it zero, that has this vocabulary."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_WIDTH)
    writer.add_head_count(_WIDTH // _HEAD)
    writer.add_rope_dimension_count(_HEAD)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(vocabulary.tokens))
    vocabulary.write(writer)
    for name in map(tensor_name, llama_keys(1, tied=True)):
        columns = (_WIDTH,) if "norm" in name else (_WIDTH, _WIDTH)
        size = (len(vocabulary.tokens), _WIDTH) if name == "token_embd.weight" else columns
        writer.add_tensor(name, np.zeros(size, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
