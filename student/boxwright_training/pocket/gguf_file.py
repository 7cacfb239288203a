"""Writes a student's folder (config.json, tokenizer.json, *.safetensors) as one GGUF file for llama.cpp.

`python -m boxwright_training.pocket.gguf_file --model FOLDER --out FILE`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import gguf
import numpy as np
from safetensors.numpy import load_file

from boxwright_training.pocket.chat import TEMPLATE
from boxwright_training.pocket.paths import existing
from boxwright_training.pocket.tokenizer import CONTROL, END, END_OF_TEXT, MARKS, PRE_TOKENIZER, START

Precision = Literal["F32", "F16", "Q8_0"]
_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(folder: Path, out: Path, precision: Precision = "Q8_0", *, name: str = "pocket") -> None:
    """Write the model in `folder` to `out`; vectors stay F32, and the embedding serves as output too."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_name(name)
    writer.add_license("apache-2.0")
    _add_shape(writer, config)
    _add_tokenizer(writer, json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")))
    wanted = gguf.GGMLQuantizationType[precision]
    writer.add_file_type(gguf.LlamaFileType["ALL_F32" if precision == "F32" else f"MOSTLY_{precision}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for tensor, values in _tensors(folder, config):
        kind = wanted if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(tensor, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: dict[str, Any]) -> None:
    vocabulary = tokenizer["model"]["vocab"] | {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    kinds = dict.fromkeys(CONTROL, gguf.TokenType.CONTROL) | dict.fromkeys(MARKS, gguf.TokenType.USER_DEFINED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.get(token, gguf.TokenType.NORMAL) for token in tokens])
    writer.add_token_merges(
        [pair if isinstance(pair, str) else " ".join(pair) for pair in tokenizer["model"]["merges"]]
    )
    writer.add_bos_token_id(START)
    writer.add_eos_token_id(END)
    writer.add_pad_token_id(END_OF_TEXT)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def _tensors(folder: Path, config: dict[str, Any]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Name the tensors as llama.cpp does; its rotary embedding pairs neighbours, so rows of q and k are reordered."""
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for shard in sorted(folder.glob("*.safetensors")):
        for key, stored in load_file(shard).items():
            values = np.ascontiguousarray(stored, dtype=np.float32)
            part = key.split(".")[-2]
            if part in heads:
                rows, columns = values.shape
                values = values.reshape(heads[part], 2, rows // heads[part] // 2, columns).swapaxes(1, 2)
                values = np.ascontiguousarray(values.reshape(rows, columns))
            yield _tensor_name(key), values


def _tensor_name(key: str) -> str:
    if key == "model.embed_tokens.weight":
        return "token_embd.weight"
    if key == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, part = key.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{_NAMES[part]}.weight"


def main(arguments: list[str] | None = None) -> None:
    """Write the file that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=existing, required=True, help="a folder of weights")
    parser.add_argument("--out", type=Path, required=True, help="a .gguf file")
    parser.add_argument("--precision", default="Q8_0", choices=get_args(Precision))
    args = parser.parse_args(arguments)
    write_gguf(args.model, args.out, args.precision)


if __name__ == "__main__":
    main()
