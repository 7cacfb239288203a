"""What fine-tuning made, exported: merged, as a GGUF file that llama.cpp answers alike with, as a Modelfile for Ollama."""

import dataclasses
import hashlib
import json
import re
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from boxwright.errors import BadInput, ExtraMissing
from support.tiny_checkpoints import CHATML, write_checkpoint, write_tokenizer

pytest.importorskip("numpy", reason="numpy is not installed: install boxwright[train]")
torch = pytest.importorskip("torch", reason="torch is not installed: install boxwright[train]")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: install boxwright[train]")
gguf = pytest.importorskip("gguf", reason="gguf is not installed: install boxwright[train]")
peft = pytest.importorskip("peft", reason="peft is not installed: install boxwright[train]")

from boxwright_training.exporting import cutting  # noqa: E402
from boxwright_training.exporting.adapter_file import obstacle, write_adapter  # noqa: E402
from boxwright_training.exporting.agreement import agree  # noqa: E402
from boxwright_training.exporting.export import export  # noqa: E402
from boxwright_training.exporting.forms import Form, recognise  # noqa: E402
from boxwright_training.exporting.gguf_file import write_gguf  # noqa: E402
from boxwright_training.exporting.merging import merge  # noqa: E402
from boxwright_training.exporting.ollama import modelfile  # noqa: E402
from boxwright_training.exporting.vocabulary import CUTS, Vocabulary  # noqa: E402
from boxwright_training.pocket.chat import TEMPLATE as POCKET  # noqa: E402

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "rope_theta": 1e4}
YARN = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4, "original_max_position_embeddings": 128}
NETWORKS: dict[str, dict[str, Any]] = {
    "llama": {"kind": "llama", "cut": "llama-bpe", "bos": True},
    "llama, tied": {"kind": "llama", "cut": "smollm", "tie_word_embeddings": True},
    "llama, biases, wide heads": {
        "kind": "llama",
        "cut": "gpt-2",
        "attention_bias": True,
        "mlp_bias": True,
        "head_dim": 32,
    },
    "mistral": {"kind": "mistral", "cut": "gpt-2", "sliding_window": None, "head_dim": 24},
    "qwen2": {"kind": "qwen2", "cut": "qwen2", "tie_word_embeddings": True},
    "qwen3": {"kind": "qwen3", "cut": "qwen2", "head_dim": 32},
    "llama3's stretch": {
        "kind": "llama",
        "cut": "llama-bpe",
        "rope_parameters": LLAMA3 | {"original_max_position_embeddings": 64},
    },
    "linear stretch": {"kind": "llama", "cut": "gpt-2", "rope_parameters": {"rope_type": "linear", "factor": 4.0}},
    "llama, yarn": {"kind": "llama", "cut": "gpt-2", "rope_parameters": YARN},
    "qwen3, yarn": {"kind": "qwen3", "cut": "qwen2", "head_dim": 32, "rope_parameters": YARN},
}
# In the manner of Qwen's and Llama 3.1's: a system prompt by default, tools, thinking; a head, tools in the first question.
QWEN = """\
{%- if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% else %}{% set system = 'Help.' %}{% endif -%}
<|im_start|>system\n{{ system }}
{%- if tools %}{{ '\n\n# Tools: {{ these }}\n<tools>' }}{% for tool in tools %}{{ '\n' }}{{ tool | tojson }}{% endfor %}{{ '\n</tools>' }}{% endif -%}
<|im_end|>{{ '\n' }}
{%- for message in messages %}
{%- if message.role == 'user' %}{{ '<|im_start|>user\n' + message.content + '<|im_end|>\n' }}
{%- elif message.role == 'assistant' %}{{ '<|im_start|>assistant\n' }}
{%- if message.reasoning_content %}{{ '<think>\n' + message.reasoning_content + '\n</think>\n\n' }}{% endif %}
{{- message.content }}
{%- for call in message.tool_calls %}{{ '\n' if message.content or not loop.first }}
{{- '<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}{{ call.function.arguments | tojson }}{{ '}\n</tool_call>' }}
{%- endfor %}{{ '<|im_end|>\n' }}
{%- elif message.role == 'tool' %}{{ '<|im_start|>user' if loop.previtem.role != 'tool' }}
{{- '\n<tool_response>\n' + message.content + '\n</tool_response>' }}{{ '<|im_end|>\n' if loop.last or loop.nextitem.role != 'tool' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{{ '<think>\n\n</think>\n\n' if enable_thinking is false }}{% endif %}"""
LLAMA = """\
{{- bos_token + '<|start_header_id|>system<|end_header_id|>\n\n' }}{{ 'Environment: ipython\n' if tools }}{{ 'Cutting: 2023\n\n' }}
{%- if messages[0].role == 'system' %}{{ messages[0].content }}{% set messages = messages[1:] %}{% endif %}{{ '<|eot_id|>' }}
{%- for message in messages %}
{%- if message.tool_calls %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n{"name": "' + message.tool_calls[0].function.name }}
{{- '", "parameters": ' }}{{ message.tool_calls[0].function.arguments | tojson }}{{ '}<|eot_id|>' }}
{%- elif message.role == 'tool' %}{{ '<|start_header_id|>ipython<|end_header_id|>\n\n' }}{{ message.content | tojson }}{{ '<|eot_id|>' }}
{%- else %}{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' }}
{%- if tools and loop.first %}{{ 'Functions:\n\n' }}{% for tool in tools %}{{ tool | tojson(indent=4) }}{{ '\n\n' }}{% endfor %}{% endif %}
{{- message.content + '<|eot_id|>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Full weights that tests only read."""
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny", "qwen3", "qwen2", head_dim=32)


def adapted(base: Path, out: Path, *targets: str, **more: Any) -> Any:
    """Save an adapter that changes what its base says, and give both together."""
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    torch.manual_seed(1)
    settings = peft.LoraConfig(
        r=4, lora_alpha=16, init_lora_weights=False, target_modules=list(targets) or "all-linear", **more
    )
    together = peft.get_peft_model(model, settings)
    together.save_pretrained(out)
    return together.eval()


def llama_cpp() -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed: install boxwright[gguf]")


def changed(folder: Path, out: Path, **config: Any) -> Path:
    """Copy a checkpoint whose config says something else."""
    shutil.copytree(folder, out)
    held = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(held | config))
    return out


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.extended
@pytest.mark.parametrize("name", NETWORKS)
def test_llama_cpp_says_what_transformers_says(name: str, tmp_path: Path) -> None:
    llama_cpp()
    agreement = agree(write_checkpoint(tmp_path / "tiny", **NETWORKS[name]), most=40)
    assert agreement.holds, str(agreement)
    assert agreement.tokens > 60, str(agreement)
    raw = agree(tmp_path / "tiny", prompts=["The quick", "1234 + 5", "fox " * 60, "Größe"], most=24)
    assert raw.holds, str(raw)


@pytest.mark.extended
def test_a_file_that_says_something_else_is_found_out_and_how_far_apart_the_two_are_is_told(
    checkpoint: Path, tmp_path: Path
) -> None:
    llama_cpp()
    other = write_checkpoint(tmp_path / "other", "qwen3", "qwen2", head_dim=32, seed=1)
    write_gguf(other, tmp_path / "other.gguf", "F32")
    agreement = agree(checkpoint, file=tmp_path / "other.gguf")
    assert not agreement.holds
    assert all(one.gap > 0 for one in agreement.differences)
    assert re.search(r"5 prompts, \d+ tokens alike, 5 answers part\n .*token 0: .* apart, NOT a tie;", str(agreement))


@pytest.mark.extended
@pytest.mark.parametrize("precision", ["F16", "BF16", "Q8_0"])
def test_smaller_precisions_load_and_answer_and_keep_vectors_whole(
    precision: Any, checkpoint: Path, tmp_path: Path
) -> None:
    llama_cpp()
    from boxwright_training.exporting.llama import serving

    write_gguf(checkpoint, tmp_path / "tiny.gguf", precision)
    held = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(tmp_path / "tiny.gguf").tensors}
    assert {kind for name, kind in held.items() if "norm" in name} == {"F32"}
    assert {kind for name, kind in held.items() if "norm" not in name} == {precision}
    with serving(tmp_path / "tiny.gguf", 64) as llama:
        assert len(set(llama.go_on([5, 6, 7], 16))) > 2


def test_a_row_that_q8_0_does_not_divide_is_f16(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "tiny", "llama", "gpt-2", intermediate_size=72)
    write_gguf(folder, tmp_path / "tiny.gguf", "Q8_0")
    held = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(tmp_path / "tiny.gguf").tensors}
    assert (held["blk.0.ffn_down.weight"], held["blk.0.ffn_up.weight"]) == ("F16", "Q8_0")


@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_is_recognised_by_its_definition(cut: str, tmp_path: Path) -> None:
    size = write_tokenizer(tmp_path, cut, bos=True)
    (tmp_path / "config.json").write_text("{}")
    vocabulary = Vocabulary.of(tmp_path, size + 2)
    assert vocabulary.cut == cut
    assert vocabulary.adds == {"bos": True, "eos": False}
    kinds = dict(zip(vocabulary.tokens, map(gguf.TokenType, vocabulary.kinds), strict=True))
    assert (kinds["<|eot_id|>"], kinds["<think>"]) == (gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED)
    assert (kinds["a"], kinds[f"[PAD{size}]"]) == (gguf.TokenType.NORMAL, gguf.TokenType.UNUSED)
    assert {name: vocabulary.tokens[number] for name, number in vocabulary.ids.items()} == {
        "bos": "<|endoftext|>",
        "eos": "<|im_end|>",
        "pad": "<|endoftext|>",
    }
    assert vocabulary.template == CHATML


@pytest.mark.extended
@pytest.mark.parametrize("cut", CUTS)
def test_a_tokenizer_under_another_cuts_name_is_refused_before_anything_is_written(cut: str, tmp_path: Path) -> None:
    llama_cpp()
    size = write_tokenizer(tmp_path, cut)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    vocabulary = Vocabulary.of(tmp_path, size)
    cutting.check(tmp_path, vocabulary)
    for other in {"qwen2", "gpt-2"} - {cut, "gpt-2" if cut == "smollm" else ""}:  # whose tokens hold one digit each
        with pytest.raises(BadInput, match=f"llama.cpp \\('{other}'\\) cuts .* otherwise than transformers"):
            cutting.check(tmp_path, dataclasses.replace(vocabulary, cut=other))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"architectures": ["GemmaForCausalLM"]},
            "'GemmaForCausalLM'; known are LlamaForCausalLM, Mistral.*convert_hf",
        ),
        ({"sliding_window": 128, "use_sliding_window": True}, "a sliding window; this writer"),
        ({"hidden_act": "gelu"}, "the activation 'gelu'"),
        ({"attention_bias": True}, "a bias in the attention"),
        ({"rope_parameters": LLAMA3}, "rope scaling 'llama3'"),
        ({"rope_parameters": YARN | {"attention_factor": 1.0}}, "a YaRN of its own strength"),
        ({"quantization_config": {}}, "quantized weights"),
        ({"vocab_size": 100}, "last token is 409 and the network has 100 embeddings"),
        ({"vocab_size": 500}, "config.json says 500 embeddings and the weights have 410"),
        ({"num_hidden_layers": 3}, "config.json says 3 layers and the weights have 2"),
    ],
)
def test_a_network_that_would_come_out_wrong_is_refused(
    config: dict[str, Any], said: str, checkpoint: Path, tmp_path: Path
) -> None:
    folder = changed(checkpoint, tmp_path / "changed", **config)
    with pytest.raises(BadInput, match=said):
        write_gguf(folder, tmp_path / "out.gguf", "F32")
    assert not (tmp_path / "out.gguf").exists()


def test_a_tokenizer_that_llama_cpp_has_no_name_for_is_refused_with_those_it_has(
    checkpoint: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "changed")
    write_tokenizer(folder, "hex")
    with pytest.raises(BadInput, match=r"known are llama-bpe, qwen2, smollm, gpt-2, .*convert_hf_to_gguf"):
        write_gguf(folder, tmp_path / "out.gguf", "F32")
    held = json.loads((checkpoint / "tokenizer.json").read_text())
    for change, said in (
        ({"normalizer": {"type": "Lowercase"}}, "the normalizer"),
        ({"model": held["model"] | {"ignore_merges": True}}, "ignore_merges True, where 'qwen2' has False"),
        ({"model": held["model"] | {"byte_fallback": True}}, "SentencePiece or the like"),
        ({"model": {"type": "Unigram", "vocab": []}}, "'Unigram' .*byte-level BPE is written here"),
    ):
        (folder / "tokenizer.json").write_text(json.dumps(held | change))
        with pytest.raises(BadInput, match=said):
            write_gguf(folder, tmp_path / "out.gguf", "F32")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BadInput, match=r"no tokenizer.json; .*for SentencePiece use"):
        write_gguf(folder, tmp_path / "out.gguf", "F32")


def test_weights_that_are_cut_short_or_missing_are_named(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "changed")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:10_000])
    with pytest.raises(BadInput, match=r"cannot read .*model\.safetensors"):
        write_gguf(folder, tmp_path / "out.gguf", "F32")
    file.unlink()
    with pytest.raises(BadInput, match=r"holds no \*\.safetensors"):
        write_gguf(folder, tmp_path / "out.gguf", "F32")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    out.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises((BadInput, OSError)):
            write_gguf(checkpoint, out, "F32")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_merged_weights_compute_what_base_and_adapter_do(checkpoint: Path, tmp_path: Path) -> None:
    together = adapted(checkpoint, tmp_path / "adapter")
    merge(tmp_path / "adapter", tmp_path / "merged")
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    plain = transformers.AutoModelForCausalLM.from_pretrained(checkpoint)
    ids = torch.arange(40)[None] * 7 % 400
    with torch.no_grad():
        wanted, base = together(ids).logits, plain(ids).logits
        torch.testing.assert_close(merged(ids).logits, wanted, rtol=1e-4, atol=1e-4)
    assert (wanted - base).abs().max() > 1
    assert (tmp_path / "merged" / "tokenizer.json").read_bytes() == (checkpoint / "tokenizer.json").read_bytes()
    assert (tmp_path / "merged" / "chat_template.jinja").read_text() == CHATML


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_merged_weights_have_the_bases_type_and_the_adapters_tokenizer(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", "llama", "gpt-2", dtype="bfloat16")
    adapted(base, tmp_path / "adapter", "q_proj", "down_proj")
    write_tokenizer(tmp_path / "adapter", "gpt-2", template=QWEN)
    moved = shutil.move(base, tmp_path / "moved")
    merge(tmp_path / "adapter", tmp_path / "merged", base=str(moved))
    assert transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged").dtype == torch.bfloat16
    assert (tmp_path / "merged" / "chat_template.jinja").read_text() == QWEN


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_adapter_that_cannot_be_merged_is_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    adapted(checkpoint, tmp_path / "adapter")
    small = write_checkpoint(tmp_path / "small", "qwen3", "qwen2", head_dim=32, num_hidden_layers=1)
    tied = write_checkpoint(tmp_path / "tied", "qwen3", "qwen2", head_dim=32, tie_word_embeddings=True)
    adapted(tied, tmp_path / "of-tied", "q_proj", "embed_tokens")
    for adapter, base, said in (
        (checkpoint, None, "is no adapter: it holds no adapter_config.json"),
        (
            tmp_path / "adapter",
            "nobody/nothing",
            "cannot reach the base model 'nobody/nothing' .*give base as a folder",
        ),
        (tmp_path / "adapter", str(tmp_path), "cannot reach the base model .*holds no config.json"),
        (tmp_path / "adapter", str(small), "does not fit .*give as base the model that it was trained on"),
        (tmp_path / "of-tied", None, "adapts the embedding, which is the output"),
    ):
        with pytest.raises(BadInput, match=said):
            merge(adapter, tmp_path / "merged", base=base)
    assert not (tmp_path / "merged").exists()


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_adapter_is_exported_whole_and_twice_is_the_same(checkpoint: Path, tmp_path: Path) -> None:
    llama_cpp()
    adapted(checkpoint, tmp_path / "run")
    (tmp_path / "run" / "optimizer.pt").write_text("none of the export")
    exported = export(tmp_path / "run", tmp_path / "out", system="Be brief.")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "Modelfile",
        "adapter",
        "adapter.gguf",
        "merged",
        "model.gguf",
    ]
    assert (exported.weights, exported.adapter) == (tmp_path / "out" / "merged", tmp_path / "out" / "adapter")
    assert exported.adapter_file == tmp_path / "out" / "adapter.gguf"
    assert not (tmp_path / "out" / "adapter" / "optimizer.pt").exists()
    text = exported.modelfile.read_text()
    assert text.startswith(f"# Made by Boxwright from run (F16, merged into {checkpoint.name}).\n")
    assert "\nFROM ./model.gguf\nPARAMETER num_ctx 512\nPARAMETER temperature 0\n" in text
    assert text.endswith('\nSYSTEM """Be brief."""\n')
    assert agree(exported.weights).holds
    before = digests(tmp_path / "out")
    export(tmp_path / "run", tmp_path / "out", system="Be brief.")
    assert digests(tmp_path / "out") == before


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("name", ["llama", "llama, tied", "mistral", "qwen2", "qwen3"])
def test_llama_cpp_says_with_base_and_adapter_what_transformers_says_with_both_merged(
    name: str, tmp_path: Path
) -> None:
    llama_cpp()
    from boxwright_training.exporting.llama import serving

    base, out = write_checkpoint(tmp_path / "base", **NETWORKS[name]), tmp_path / "out"
    adapted(base, tmp_path / "run", rank_pattern={"k_proj": 2})
    exported = export(tmp_path / "run", out, precision="F32")
    write_gguf(base, tmp_path / "base.gguf", "F32")
    agreement = agree(exported.weights, file=tmp_path / "base.gguf", adapter=exported.adapter_file)
    assert agreement.holds, str(agreement)
    assert not agree(exported.weights, file=tmp_path / "base.gguf").holds  # without it, something else is said
    with serving(exported.gguf, 64) as llama:
        merged = llama.go_on([5, 6, 7], 24)
    with serving(tmp_path / "base.gguf", 64, exported.adapter_file) as llama:
        assert llama.go_on([5, 6, 7], 24) == merged


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_adapters_file_says_what_llama_cpp_reads(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", "llama", "gpt-2")
    adapted(base, tmp_path / "adapter", "q_proj", "down_proj")
    write_adapter(tmp_path / "adapter", tmp_path / "adapter.gguf", json.loads((base / "config.json").read_text()))
    reader = gguf.GGUFReader(tmp_path / "adapter.gguf")
    told = {name: field.contents() for name, field in reader.fields.items()}
    assert (told["general.type"], told["general.architecture"]) == ("adapter", "llama")
    assert (told["adapter.type"], told["adapter.lora.alpha"]) == ("lora", 16.0)
    shapes = {tensor.name: tensor.data.shape for tensor in reader.tensors}
    assert {name for name in shapes if name.startswith("blk.1.")} == {
        f"blk.1.{part}.weight.lora_{side}" for part in ("attn_q", "ffn_down") for side in "ab"
    }
    assert shapes["blk.0.ffn_down.weight.lora_a"] == (4, 96)
    assert shapes["blk.0.ffn_down.weight.lora_b"] == (64, 4)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"use_dora": True}, r"lora_magnitude_vector.*no LoRA matrix of a linear layer \(2 such tensors\)"),
        ({"use_rslora": True}, r"a scale that is not alpha divided by the rank \(use_rslora\)"),
        ({"alpha_pattern": {"q_proj": 3}}, r"\(alpha_pattern\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_adapter_that_llama_cpp_has_no_form_for_is_exported_merged_alone(
    more: dict[str, Any], said: str, checkpoint: Path, tmp_path: Path
) -> None:
    adapted(checkpoint, tmp_path / "run", "q_proj", **more)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "adapter.gguf").write_text("of an earlier one")
    exported = export(tmp_path / "run", tmp_path / "out")
    assert exported.adapter_file is None
    assert not (tmp_path / "out" / "adapter.gguf").exists()
    assert re.search(said, obstacle(tmp_path / "run") or "")
    with pytest.raises(BadInput, match="takes it only merged into its base"):
        write_adapter(tmp_path / "run", tmp_path / "x.gguf", {})


def test_full_weights_are_exported_from_where_they_are(checkpoint: Path, tmp_path: Path) -> None:
    exported = export(checkpoint, tmp_path / "out", precision="Q8_0", context=100)
    assert (exported.weights, exported.adapter) == (checkpoint, None)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["Modelfile", "model.gguf"]
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match=r"holds notes\.txt already; choose an empty folder"):
        export(checkpoint, tmp_path / "out")
    with pytest.raises(BadInput, match="holds the checkpoint itself"):
        export(checkpoint, checkpoint.parent)
    with pytest.raises(BadInput, match="neither an adapter .* nor full weights"):
        export(tmp_path / "out", tmp_path / "again")


def test_without_the_extra_an_export_says_which(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match=r"boxwright\[train\]"):
        export(checkpoint, tmp_path / "out")


def test_a_modelfile_of_the_file_is_that_of_its_folder(checkpoint: Path, tmp_path: Path) -> None:
    write_gguf(checkpoint, tmp_path / "tiny.gguf", "F16")
    of_folder = modelfile(checkpoint, context=256, temperature=None, made_from="a test")
    assert modelfile(tmp_path / "tiny.gguf", context=256, temperature=None, made_from="a test") == of_folder
    assert of_folder.startswith(
        "# Made by Boxwright from a test.\n# tools: the template tells them or their calls in no"
    )
    assert 'PARAMETER num_ctx 256\nPARAMETER stop "<|im_end|>"\n' in of_folder
    with pytest.raises(BadInput, match=r"a window of 513 tokens: .* was trained for 1 to 512"):
        modelfile(checkpoint, context=513)
    with pytest.raises(BadInput, match='ends texts at """ and knows no escape'):
        modelfile(checkpoint, context=256, system='Say """.')


def test_an_unknown_chat_template_is_left_to_ollama_and_that_is_said(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "changed")
    (folder / "chat_template.jinja").write_text("{% for message in messages %}[{{ message.content }}]{% endfor %}")
    text = modelfile(folder, context=256)
    assert "# The chat template is none that is known here, so there is no TEMPLATE." in text
    assert 'PARAMETER stop "<|im_end|>"' in text  # the tokenizer's own end
    assert "\nTEMPLATE" not in text


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Tell it.",
            "parameters": {
                "type": "object",
                "required": ["city"],
                "properties": {
                    "city": {"type": "string", "description": "Where."},
                    "days": {"type": "array", "items": {"type": "integer"}},
                    "units": {"type": "string", "enum": ["C", "F"]},
                    "value": {"type": ["number", "null"]},
                },
            },
        },
    }
    for name in ("weather", "nothing")
]
SYSTEM, ASK = {"role": "system", "content": "Be short."}, {"role": "user", "content": "How is it in Köln?"}


def told(name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def called(*calls: dict[str, Any], content: str = "") -> list[dict[str, Any]]:
    results = [{"role": "tool", "content": str(number)} for number in range(len(calls))]
    return [{"role": "assistant", "content": content, "tool_calls": list(calls)}, *results]


TALKS: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]] = [
    ([ASK], []),
    ([SYSTEM, ASK, {"role": "assistant", "content": "Fine."}, {"role": "user", "content": "And there?"}], []),
    ([ASK], TOOLS),
    ([SYSTEM, ASK], TOOLS),
    ([SYSTEM, ASK, *called(told("weather", city="Köln", days=[1, 2]))], TOOLS),
    ([SYSTEM, ASK, *called(told("weather", city="B")), {"role": "assistant", "content": "5."}, ASK], TOOLS),
    ([ASK, *called(told("weather", city="B"), told("nothing", city="x"), content="Let me see."), ASK], TOOLS),
]


def form_of(template: str, *, adds_bos: bool = False) -> Form:
    form = recognise(template, {"bos_token": "<|begin|>"}, adds_bos=adds_bos)
    assert form is not None
    return form


def test_a_chat_template_is_recognised_by_what_it_writes() -> None:
    assert [form_of(template).family for template in (CHATML, QWEN, LLAMA, POCKET)] == ["chatml"] * 2 + [
        "llama3",
        "pocket",
    ]
    assert ".Tools" not in form_of(CHATML).template  # or Ollama would offer them
    assert ".Thinking" not in form_of(CHATML).template
    assert r'{{ "\n\n# Tools: {{ these }}\n<tools>\n" }}' in form_of(QWEN).template  # a constant, no action
    assert "<|begin|>" in form_of(LLAMA).template
    assert "<|begin|>" not in form_of(LLAMA, adds_bos=True).template
    assert recognise("{{ messages[0].content }}", {}, adds_bos=False) is None
    assert recognise("{{ raise_exception('no') }}", {}, adds_bos=False) is None


@pytest.fixture(scope="module")
def ollama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that renders templates as Ollama does, or a skip."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: it renders Ollama's templates")
    folder, source = tmp_path_factory.mktemp("go"), Path(__file__).parent.parent / "support" / "ollama_template.go"
    subprocess.run(["go", "build", "-o", folder / "render", source], check=True)
    return folder / "render"


def rendered(ollama: Path, template: str, **more: Any) -> list[str]:
    asked = [{"Messages": messages, "Tools": tools, **more} for messages, tools in TALKS]
    sent = json.dumps({"Template": template, "Asked": asked})
    out = subprocess.run([ollama], input=sent, capture_output=True, text=True, check=True)
    texts: list[str] = json.loads(out.stdout)
    return texts


def same_json(text: str) -> str:
    """Write every JSON object alike: Go leaves out the spaces."""
    parts, place, decoder = [], 0, json.JSONDecoder()
    while place < len(text):
        try:
            value, end = decoder.raw_decode(text, place) if text[place] == "{" else (None, place)
        except ValueError:
            value, end = None, place
        parts.append(json.dumps(value, sort_keys=True) if end > place else text[place])
        place = max(end, place + 1)
    return "".join(parts)


@pytest.mark.extended
@pytest.mark.parametrize("template", [CHATML, QWEN, LLAMA, POCKET], ids=["chatml", "qwen", "llama3", "pocket"])
def test_ollama_renders_conversations_as_the_chat_template_does(template: str, ollama: Path) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    form = form_of(template)
    compared = 0
    for (messages, tools), mine in zip(TALKS, rendered(ollama, form.template), strict=True):
        several = any(len(message.get("tool_calls", ())) > 1 for message in messages)
        if (tools and ".Tools" not in form.template) or (several and form.family == "llama3"):
            continue
        theirs, _ = render_jinja_template(
            [messages], tools=tools or None, chat_template=template, add_generation_prompt=True, bos_token="<|begin|>"
        )
        assert same_json(mine) == same_json(theirs[0])
        compared += 1
    assert compared == {CHATML: 2, LLAMA: 6}.get(template, 7)


@pytest.mark.extended
def test_ollama_is_told_to_think_or_not_as_the_chat_template_tells_it(ollama: Path) -> None:
    quiet = rendered(ollama, form_of(QWEN).template, IsThinkSet=True, Think=False)
    assert all(text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n") for text in quiet)
    assert "think" not in rendered(ollama, form_of(QWEN).template)[0]
