"""A GGUF file unpacked into weights that transformers trains: what comes back, what is refused, and a run from one."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from boxwright.errors import BadInput
from support.pocket_episodes import write_tokenizer
from support.tiny_checkpoints import CHATML, write_checkpoint

np = pytest.importorskip("numpy", reason="numpy is not installed: install boxwright[train]")
torch = pytest.importorskip("torch", reason="torch is not installed: install boxwright[train]")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: install boxwright[train]")
gguf = pytest.importorskip("gguf", reason="gguf is not installed: install boxwright[train]")
peft = pytest.importorskip("peft", reason="peft is not installed: install boxwright[train]")

from click.testing import CliRunner  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from boxwright_training.cli.train import train as command  # noqa: E402
from boxwright_training.exporting.adapter_file import base_of, write_adapter  # noqa: E402
from boxwright_training.exporting.agreement import agree  # noqa: E402
from boxwright_training.exporting.cutting import TEXTS  # noqa: E402
from boxwright_training.exporting.from_gguf import unpack  # noqa: E402
from boxwright_training.exporting.gguf_file import write_gguf  # noqa: E402
from boxwright_training.exporting.merging import merge  # noqa: E402
from boxwright_training.exporting.ollama import modelfile  # noqa: E402
from boxwright_training.exporting.source import Source, digest_of, is_gguf, located, source_of  # noqa: E402
from boxwright_training.loading import PROBES, load_tokenizer  # noqa: E402
from boxwright_training.pocket.chat import render, text_of  # noqa: E402
from boxwright_training.pocket.model import Pocket, Shape  # noqa: E402
from boxwright_training.pocket.weights import export, load, named  # noqa: E402
from support.tiny_models import tool_trajectories  # noqa: E402

SHIPPED = Path(__file__).parent.parent.parent / "student" / "pocket" / "pocket-Q8_0.gguf"
PARAMETERS = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Tell it.", "parameters": PARAMETERS}}]
QUESTIONS = ("How is the weather in Oslo?", "And in Köln?", "Thank you, that was all.")
PROMPTS = [text_of(render([{"role": "user", "content": asked}], TOOLS, speak=True)) for asked in QUESTIONS]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights that ship, unpacked."""
    if not SHIPPED.exists():
        pytest.skip("student/pocket/pocket-Q8_0.gguf is not here")
    folder = tmp_path_factory.mktemp("shipped") / "pocket"
    unpack(SHIPPED, folder)
    return folder


def read(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give a file's keys and tensors."""
    reader = gguf.GGUFReader(file)
    keys = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    return keys, {tensor.name: tensor for tensor in reader.tensors}


def tiny_pocket() -> Pocket:
    torch.manual_seed(0)
    model = Pocket(Shape(layers=2, width=64, heads=2, kv_heads=1, hidden=96, vocab=514, context=1024))
    for stack in (model.o, model.down):  # they start at zero, which would leave the layers without effect
        torch.nn.init.normal_(stack, std=0.1)
    return model


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether two files hold the same bytes under the same names."""
    return left.keys() == right.keys() and all(
        left[name].tensor_type == right[name].tensor_type and np.array_equal(left[name].data, right[name].data)
        for name in left
    )


def test_the_weights_that_ship_come_back_bit_for_bit(shipped: Path, tmp_path: Path) -> None:
    write_gguf(shipped, tmp_path / "again.gguf", "Q8_0", name="pocket", license_name="apache-2.0")
    (keys, tensors), (again, written) = read(SHIPPED), read(tmp_path / "again.gguf")
    # A block's largest value is 127 times its scale, so quantizing finds the very scale again.
    assert same(tensors, written)
    assert {name: again.get(name) for name in keys} == keys
    model = load(shipped)
    assert (model.shape.context, model.shape.eps) == (keys["llama.context_length"], 1e-5)
    kept = load_file(shipped / "model.safetensors")
    assert all(torch.equal(kept[name], tensor) for name, tensor in named(model).items())


@pytest.mark.extended
def test_the_tokenizer_that_ships_cuts_as_llama_cpp_does_with_the_file(shipped: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed: install boxwright[gguf]")
    from boxwright_training.exporting.llama import serving

    tokenizer = transformers.AutoTokenizer.from_pretrained(shipped)
    with serving(SHIPPED, 256) as llama:
        for text in (*PROBES, *TEXTS, *PROMPTS):
            for special in (False, True):
                assert tokenizer.encode(text, add_special_tokens=special) == llama.tokenize(text, special=special)
    assert tokenizer.decode(tokenizer.encode(PROMPTS[0])) == PROMPTS[0]
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTIONS[0]}], tools=TOOLS, add_generation_prompt=True, tokenize=False
    )
    assert asked == PROMPTS[0]


@pytest.mark.extended
def test_transformers_says_with_the_weights_that_ship_what_llama_cpp_says_with_the_file(shipped: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed: install boxwright[gguf]")
    whole = agree(shipped, prompts=PROMPTS)
    assert whole.holds, str(whole)
    # With the file itself llama.cpp rounds what goes into a product to 8 bits too: logits move by some hundredths.
    rounded = agree(shipped, prompts=PROMPTS, file=SHIPPED)
    assert all(one.gap < 0.1 for one in rounded.differences), str(rounded)
    assert rounded.tokens > 20


@pytest.mark.parametrize("more", [{}, {"tie_word_embeddings": True, "head_dim": 32}], ids=["own head", "tied"])
def test_a_llama_written_whole_comes_back_as_it_was(more: dict[str, Any], tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "tiny", "llama", "smollm", **more)
    write_gguf(folder, tmp_path / "tiny.gguf", "F32")
    unpack(tmp_path / "tiny.gguf", tmp_path / "back")
    before, after = (load_file(one / "model.safetensors") for one in (folder, tmp_path / "back"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    tokenizers = [transformers.AutoTokenizer.from_pretrained(one) for one in (folder, tmp_path / "back")]
    assert tokenizers[0].get_vocab() == tokenizers[1].get_vocab()
    assert [one.eos_token for one in tokenizers] == ["<|im_end|>"] * 2
    assert [one.chat_template for one in tokenizers] == [CHATML] * 2
    for text in (*PROBES, *TEXTS):
        assert len({tuple(one.encode(text)) for one in tokenizers}) == 1
        assert len({one.decode(one.encode(text), skip_special_tokens=True) for one in tokenizers}) == 1
    write_gguf(tmp_path / "back", tmp_path / "again.gguf", "F32", name="tiny")
    (keys, tensors), (again, written) = read(tmp_path / "tiny.gguf"), read(tmp_path / "again.gguf")
    assert again == keys
    assert same(tensors, written)


def test_a_pocket_student_comes_back_with_its_own_shape_and_tokenizer(tmp_path: Path) -> None:
    model = tiny_pocket()
    export(model, tmp_path / "pocket", write_tokenizer(tmp_path / "tokenizer.json"), dtype=torch.float32)
    write_gguf(tmp_path / "pocket", tmp_path / "pocket.gguf", "F32")
    unpack(tmp_path / "pocket.gguf", tmp_path / "back")
    back = load(tmp_path / "back")
    assert back.shape == model.shape
    assert all(torch.equal(tensor, named(back)[name]) for name, tensor in named(model).items())
    # Embeddings without a token are none of the tokenizer's.
    held = [json.loads((tmp_path / one / "tokenizer.json").read_text()) for one in ("pocket", "back")]
    assert held[0] == held[1]


def test_what_is_no_such_file_is_refused_with_what_it_is(tmp_path: Path) -> None:
    stretch = {"rope_type": "linear", "factor": 4.0}
    networks: list[tuple[dict[str, Any], str]] = [
        (
            {"kind": "qwen3", "cut": "qwen2", "head_dim": 32},
            "the architecture 'qwen3'; of GGUF files, one with 'llama'",
        ),
        ({"kind": "llama", "cut": "gpt-2"}, "the pre-tokenizer 'gpt-2'; .* 'smollm' can be trained: name full weights"),
        ({"kind": "llama", "cut": "smollm", "bos": True}, "says tokenizer.ggml.add_bos_token = True"),
        ({"kind": "llama", "cut": "smollm", "rope_parameters": stretch}, "says llama.rope.scaling.type = 'linear'"),
        ({"kind": "llama", "cut": "smollm", "attention_bias": True}, r"adds the tensors \['blk.0.attn_k.bias'"),
    ]
    for number, (network, said) in enumerate(networks):
        folder = write_checkpoint(tmp_path / str(number), **network)
        write_gguf(folder, tmp_path / "file.gguf", "F16")
        with pytest.raises(BadInput, match=said):
            unpack(tmp_path / "file.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_a_file_that_is_damaged_missing_or_an_adapter_is_refused(tmp_path: Path) -> None:
    folder, file = write_checkpoint(tmp_path / "tiny", "llama", "smollm"), tmp_path / "file.gguf"
    with pytest.raises(BadInput, match=r"cannot read .*file.gguf' as a GGUF file: .*No such file"):
        unpack(file, tmp_path / "out")
    write_gguf(folder, file, "F32")
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:1000], whole[:10], b"", b"no such thing"):
        file.write_bytes(content)
        with pytest.raises(BadInput, match="file.gguf' is damaged, or no GGUF file .*: fetch it again, or name"):
            unpack(file, tmp_path / "out")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(tmp_path / "adapter")
    write_adapter(tmp_path / "adapter", file, json.loads((folder / "config.json").read_text()))
    with pytest.raises(BadInput, match="has the type 'adapter'; of GGUF files, one with 'model'"):
        unpack(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_is_unpacked_or_refused_in_one_line(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    write_gguf(write_checkpoint(tmp_path / "tiny", "llama", "smollm", **sizes), tmp_path / "tiny.gguf", "F32")
    whole, told = (tmp_path / "tiny.gguf").read_bytes(), gguf.GGUFReader(tmp_path / "tiny.gguf").data_offset
    damaged, chance, said = tmp_path / "damaged.gguf", random.Random(0), ""
    for _ in range(200):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 3, 9))):  # among the keys and names: a weight may be any number
            content[chance.randrange(told)] = chance.randrange(256)
        damaged.write_bytes(content)
        try:
            unpack(damaged, tmp_path / "out")
        except BadInput as error:
            said += f"{error}\n"
    for one in ("codec can't decode", "initializing BPE", "it ends before byte"):
        assert re.search(f"is damaged, or no GGUF file .*{one}", said)
    assert said.count("\n") == said.count("name full weights, a folder of safetensors or a model of the") > 150
    # Lengths that say far more than there is, and numbers that would make a network of another size.
    keys = {b"tokenizer.ggml.token_type": (8, 0xFF), b"llama.block_count": (7, 0x7F), b"llama.vocab_size": (4, 7)}
    for key, (place, value) in keys.items():
        content = bytearray(whole)
        content[content.index(key) + len(key) + place + (4 if b"token" in key else 0)] = value
        damaged.write_bytes(content)
        with pytest.raises(BadInput, match="is damaged|lacks or adds"):
            unpack(damaged, tmp_path / "out")


# -- which file an adapter belongs to ---------------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", sorted(SHIPPED.parent.glob("adapter-*.gguf")), ids=lambda path: path.stem)
def test_an_adapter_that_ships_was_trained_on_the_file_that_ships(adapter: Path) -> None:
    assert base_of(adapter) == digest_of(SHIPPED)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_the_modelfile_that_ships_is_that_of_the_file() -> None:
    shipped = modelfile(SHIPPED, context=4096, file=SHIPPED.name)
    assert (SHIPPED.parent / "Modelfile").read_text(encoding="utf-8") == shipped


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_adapter_is_kept_from_another_version_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for seed, name in enumerate(("first", "second")):
        folder = write_checkpoint(tmp_path / name, "llama", "smollm", seed=seed)
        write_gguf(folder, tmp_path / f"{name}.gguf", "F32")
    first, second = (
        hashlib.sha256((tmp_path / f"{name}.gguf").read_bytes()).hexdigest() for name in ("first", "second")
    )
    unpack(tmp_path / "first.gguf", tmp_path / "start")
    assert source_of(tmp_path / "start") == Source("first.gguf", first)

    for base, adapter in (("start", "adapter"), ("first", "of-folder")):
        model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / base)
        settings = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
        peft.get_peft_model(model, settings).save_pretrained(tmp_path / adapter)
        write_adapter(
            tmp_path / adapter, tmp_path / f"{adapter}.gguf", json.loads((folder / "config.json").read_text())
        )
    assert base_of(tmp_path / "adapter.gguf") == first
    assert base_of(tmp_path / "of-folder.gguf") is None
    with pytest.raises(BadInput, match=r"cannot read .*none\.gguf"):
        base_of(tmp_path / "none.gguf")

    for base in ("first.gguf", "first"):  # of a folder that was unpacked of nothing, nothing is known
        merge(tmp_path / "adapter", tmp_path / "merged", base=str(tmp_path / base))
    assert not (tmp_path / "merged" / "source.json").exists()
    said = f"trained on 'first.gguf' with the sha256 {first}, and the base 'second.gguf' has {second}: give as base the"
    with pytest.raises(BadInput, match=said):
        merge(tmp_path / "adapter", tmp_path / "again", base=str(tmp_path / "second.gguf"))
    merge(tmp_path / "of-folder", tmp_path / "merged", base=str(tmp_path / "second.gguf"))

    shutil.move(tmp_path / "start", tmp_path / "moved")  # then the adapter itself must say
    assert base_of(tmp_path / "adapter.gguf") == first
    Source("first.gguf", first).write(tmp_path / "adapter")
    with pytest.raises(BadInput, match=said):
        merge(tmp_path / "adapter", tmp_path / "again", base=str(tmp_path / "second.gguf"))
    (tmp_path / "moved" / "source.json").write_text("{}")
    merge(tmp_path / "adapter", tmp_path / "merged", base=str(tmp_path / "moved"))
    (tmp_path / "moved" / "source.json").write_text('{"file": 1}')
    with pytest.raises(BadInput, match=r"source\.json' does not name a file and its sha256"):
        merge(tmp_path / "adapter", tmp_path / "merged", base=str(tmp_path / "moved"))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_error_names_the_file_and_not_the_folder_it_was_unpacked_to(tmp_path: Path) -> None:
    write_gguf(write_checkpoint(tmp_path / "one", "llama", "smollm", num_hidden_layers=1), tmp_path / "one.gguf", "F32")
    model = transformers.AutoModelForCausalLM.from_pretrained(write_checkpoint(tmp_path / "two", "llama", "smollm"))
    peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj"])).save_pretrained(tmp_path / "adapter")
    with pytest.raises(BadInput, match=r"does not fit 'one\.gguf' \("):
        merge(tmp_path / "adapter", tmp_path / "merged", base=str(tmp_path / "one.gguf"))
    unpack(tmp_path / "one.gguf", tmp_path / "start")
    (tmp_path / "start" / "tokenizer.json").write_text("{}")
    with pytest.raises(BadInput, match=r"no tokenizer 'one\.gguf'"):
        load_tokenizer(str(tmp_path / "start"))


def test_pocket_is_the_name_of_the_file_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Path(located("pocket")).resolve() == SHIPPED.resolve()
    assert [is_gguf(name) for name in ("pocket", "a.gguf", "pocket/x", "Qwen/Qwen3-0.6B")] == [True, True, False, False]
    (tmp_path / "pocket").mkdir()
    assert is_gguf("pocket")
    (tmp_path / "pocket" / "config.json").write_text("{}")  # a model of one's own, as ever
    assert located("pocket") == "pocket"


# -- a run ------------------------------------------------------------------------------------------------------------


def typed(*arguments: object) -> str:
    done = CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("file")
    export(tiny_pocket(), folder, write_tokenizer(folder / "learned.json"))
    write_gguf(folder, folder / "tiny.gguf", "Q8_0")
    return folder / "tiny.gguf"


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_student_is_trained_from_its_file_tried_and_exported(file: Path, tmp_path: Path) -> None:
    data, run = tool_trajectories(16, tmp_path / "data.jsonl"), tmp_path / "run"
    given = ("--data", data, "--recipe", "kang", "--device-batch", 8, "--set", "optimisation.learning_rate=0.01")
    typed(*given, "--model", file, "--steps", 3, "--held-out", 0.3, "--out", run)
    settings = json.loads((run / "model" / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(run / "start")
    assert "base_model: tiny.gguf\n" in (run / "model" / "README.md").read_text()
    fit = [json.loads(typed("evaluate", one, "--data", data, "--json")) for one in (run / "model", file)]
    assert fit[0]["act"] < fit[1]["act"]
    assert "⟦act⟧" in typed("inspect", data, "--model", file)

    exported, again = tmp_path / "exported", tmp_path / "again"
    said = typed("export", run / "model", "--out", exported)
    assert re.search(r"alone +\S+adapter\.gguf, for the base's own file", said)
    shutil.move(run / "start", tmp_path / "moved")
    typed("export", run / "model", "--out", again, "--base", file)
    assert (again / "model.gguf").read_bytes() == (exported / "model.gguf").read_bytes()
    for one in (exported, again):
        assert "merged into tiny.gguf)" in (one / "Modelfile").read_text()
        assert base_of(one / "adapter.gguf") == digest_of(file)
    assert source_of(exported / "adapter") == source_of(run / "model") == source_of(tmp_path / "moved")


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_resumed_run_goes_on_with_the_weights_it_began_with(file: Path, tmp_path: Path) -> None:
    data, own = tool_trajectories(16, tmp_path / "data.jsonl"), Path(shutil.copy(file, tmp_path / "own.gguf"))
    given = ["--data", data, "--recipe", "kang", "--device-batch", 8, "--held-out", 0, "--model", own]
    given += ["--steps", 4, "--save-every", 2, "--out"]
    for name in ("whole", "stopped"):
        typed(*given, tmp_path / name)
    shutil.rmtree(tmp_path / "stopped" / "model")
    shutil.rmtree(tmp_path / "stopped" / "checkpoint-4")
    own.write_bytes(b"another one by now")
    typed(*given, tmp_path / "stopped", "--resume")
    left, right = (load_file(tmp_path / name / "model" / "adapter_model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(left[name], right[name]) for name in left)
    with pytest.raises(BadInput, match="holds a run; add --resume"):
        typed(*given, tmp_path / "whole")
    with pytest.raises(BadInput, match="no GGUF file"):
        typed(*given, tmp_path / "other")
    assert not (tmp_path / "other").exists()

    start = tmp_path / "stopped" / "start"
    shutil.rmtree(start)
    with pytest.raises(
        BadInput, match=r"start' is gone, and .*own\.gguf' is not known to be the file that the run began"
    ):
        typed(*given, tmp_path / "stopped", "--resume")
    assert not start.exists()
    shutil.copy(file, own)
    typed(*given, tmp_path / "stopped", "--resume")
    Source("own.gguf", "0" * 64).write(start)
    with pytest.raises(BadInput, match=r"is another one: model_sha256 was '\w+' and is '0000"):
        typed(*given, tmp_path / "stopped", "--resume")


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_run_that_is_refused_leaves_nothing_unpacked_and_takes_no_folder_of_others(
    file: Path, tmp_path: Path
) -> None:
    data, out = tmp_path / "data.jsonl", tmp_path / "run"
    data.write_text("no trajectory\n")
    given = ("--data", data, "--recipe", "kang", "--out", out, "--model")
    with pytest.raises(BadInput, match="no trajector"):
        typed(*given, file)
    assert not out.exists()
    for teacher in (file, "pocket"):
        with pytest.raises(BadInput, match=rf"--teacher {teacher} is a GGUF file, .*: name full weights"):
            typed(*given, file, "--recipe", "sad", "--teacher", teacher)
    (out / "start").mkdir(parents=True)
    (out / "start" / "mine.txt").write_text("kept")
    with pytest.raises(BadInput, match=r"start' is where the student would be unpacked, and something else is there"):
        typed(*given, file)
    assert (out / "start" / "mine.txt").read_text() == "kept"
    shutil.rmtree(out / "start")
    unpack(file, out / "start")  # as a run that was killed at its beginning leaves it
    with pytest.raises(BadInput, match="no trajector"):
        typed(*given, file)
    assert list(out.iterdir()) == []
