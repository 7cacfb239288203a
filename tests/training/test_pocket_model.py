"""The pocket student's text, network, trainer and files: one text and one answer, whoever renders or computes them."""

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.pocket_episodes import call, conversation, source, source_of_nothing, write_tokenizer

np = pytest.importorskip("numpy", reason="numpy is not installed: install boxwright[train]")
pytest.importorskip("tokenizers", reason="tokenizers is not installed: install boxwright[train]")
torch = pytest.importorskip("torch", reason="torch is not installed: install boxwright[train]")
pytest.importorskip("safetensors", reason="safetensors is not installed: install boxwright[train]")

from boxwright_training.pocket.chat import SPEAK, TEMPLATE, render, text_of  # noqa: E402
from boxwright_training.pocket.decode import generate  # noqa: E402
from boxwright_training.pocket.evaluate import report  # noqa: E402
from boxwright_training.pocket.feed import Batch, Feed, Plan, batches, encoder  # noqa: E402
from boxwright_training.pocket.model import Pocket, Shape  # noqa: E402
from boxwright_training.pocket.muon import orthogonal  # noqa: E402
from boxwright_training.pocket.pretrain import main as pretrain  # noqa: E402
from boxwright_training.pocket.tokenizer import CONTROL, MARKS, load_tokenizer  # noqa: E402
from boxwright_training.pocket.trainer import Run, Tally, Trainer, losses  # noqa: E402
from boxwright_training.pocket.turns import Said, read, right, turns  # noqa: E402
from boxwright_training.pocket.weights import export, load  # noqa: E402

SCHEMA: dict[str, Any] = {
    "type": "object",
    "$defs": {"Node": {"type": "object", "properties": {"x": {"type": "number"}, "next": {"$ref": "#/$defs/Node"}}}},
    "properties": {
        "city": {"type": "string", "description": 'The <city>\'s name & "more".'},
        "units": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
        "limit": {"type": "number", "minimum": 0.5, "maximum": 1e-7, "default": 5.0},
        "items": {"type": "array", "items": {"type": "object", "properties": {"items": {"type": ["string", "null"]}}}},
        "either": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "scores": {"type": "object", "additionalProperties": {"type": "number"}},
        "day": {"type": "string", "format": "date", "description": ""},
        "node": {"$ref": "#/$defs/Node"},
        "fixed": {"const": True},
        "whatever": {},
        "list": {"type": "array"},
        "object": {"type": "object", "default": {"a": [1, 2.5, "é<"], "z": {}}},
    },
    "required": ["city", "items"],
}
TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather", "description": "Tell it.\n\nEn détail.", "parameters": SCHEMA},
    },
    {"type": "function", "function": {"name": "nothing", "parameters": {"type": "object", "properties": {}}}},
]
ASK = {"role": "user", "content": 'Wie ist\'s in <Köln> & "Bonn"?\n'}
CONVERSATIONS: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]] = [
    ([], [ASK]),
    (TOOLS, [ASK]),
    ([], [{"role": "system", "content": "Be short."}, ASK]),
    (TOOLS, [{"role": "system", "content": "Be short."}, ASK]),
    (
        TOOLS,
        [
            ASK,
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [call("weather", city="Köln's\t\n\\ <b>", items=[1, 2.5, 1e-7, None, True, {"a": {}}])],
            },
            {"role": "tool", "tool_call_id": "c", "content": '{"degrees": 5.0}'},
            {"role": "assistant", "content": "5.0 degrees."},
            {"role": "user", "content": "And there?"},
        ],
    ),
    (
        TOOLS,
        [
            ASK,
            {"role": "assistant", "content": "Let me see.", "tool_calls": [call("nothing"), call("weather", city="B")]},
            {"role": "tool", "tool_call_id": "c", "content": "1"},
            {"role": "tool", "tool_call_id": "d", "content": ""},
        ],
    ),
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


def small(seed: int = 0) -> Pocket:
    torch.manual_seed(seed)
    model = Pocket(Shape(layers=2, width=64, heads=4, kv_heads=2, hidden=96, vocab=512, context=1024))
    for stack in (model.o, model.down):  # they start at zero, which would leave the layers without effect
        torch.nn.init.normal_(stack, std=0.1)
    torch.nn.init.normal_(model.embed, std=0.5)
    return model


def prompts(tokenizer: Path, count: int) -> list[list[int]]:
    made = (conversation(random.Random(f"prompt/{number}"), 1.0) for number in range(count))
    texts = [text_of(render(messages[:1], tools, speak=True)) for tools, messages in made]
    return [encoding.ids for encoding in load_tokenizer(tokenizer).encode_batch(texts)]


@pytest.mark.parametrize("number", range(len(CONVERSATIONS)))
@pytest.mark.parametrize("speak", [False, True])
def test_the_template_and_the_renderer_write_the_same_text(number: int, speak: bool) -> None:
    templates = pytest.importorskip("transformers.utils.chat_template_utils")
    tools, messages = CONVERSATIONS[number]
    rendered, _ = templates.render_jinja_template(
        [messages], tools=tools or None, chat_template=TEMPLATE, add_generation_prompt=speak
    )
    assert text_of(render(messages, tools, speak=speak)) == rendered[0]


def test_what_the_student_speaks_is_what_follows_the_prompt_it_is_asked_with() -> None:
    for tools, messages in CONVERSATIONS:
        pieces, whole = render(messages, tools), text_of(render(messages, tools))
        spoken = [number for number, piece in enumerate(pieces) if piece.spoken]
        places = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        assert len(spoken) == len(places)
        for number, place in zip(spoken, places, strict=True):
            prompt = text_of(render(messages[:place], tools, speak=True))
            assert prompt.endswith(SPEAK)
            assert text_of(pieces[:number]) == prompt
            assert whole.startswith(prompt + pieces[number].text)
            assert pieces[number].text.endswith("<|im_end|>")


def test_arguments_given_as_json_text_stay_as_they_were_written() -> None:
    written = {"function": {"name": "f", "arguments": '{"x":1.50}'}}
    assert '"arguments": {"x":1.50}}</tool_call>' in text_of(render([{"role": "assistant", "tool_calls": [written]}]))


def test_the_tokenizer_cuts_digits_apart_keeps_marks_whole_and_loses_no_byte(tokenizer: Path) -> None:
    held = load_tokenizer(tokenizer)
    assert [held.token_to_id(text) for text in (*CONTROL, *MARKS)] == list(range(9))
    text = "<tool_call>a 4096 ½ Ä漢🙂\n\t  don't</tool_call>"
    encoding = held.encode(text)
    assert held.decode(encoding.ids) == text
    assert encoding.ids[0] == held.token_to_id("<tool_call>")
    assert all(sum(c.isdigit() for c in token) <= 1 for token in held.get_vocab())
    assert not [token for token in held.get_vocab() if "tool_call" in token and token not in MARKS]


def test_the_same_texts_give_the_same_tokenizer(tokenizer: Path, tmp_path: Path) -> None:
    assert write_tokenizer(tmp_path / "again.json").read_bytes() == tokenizer.read_bytes()


def test_pieces_encoded_apart_are_the_whole_text_encoded_at_once(tokenizer: Path) -> None:
    made = [conversation(random.Random(number), 1.0) for number in range(50)]
    made += [(tools, messages) for tools, messages in CONVERSATIONS]
    rows = encoder(tokenizer)(made, 7)
    held, start = load_tokenizer(tokenizer), 0
    for (tools, messages), length in zip(made, rows.lengths, strict=True):
        pieces = render(messages, tools)
        ids, parts = rows.ids[start : start + length].tolist(), rows.parts[start : start + length]
        assert ids == held.encode(text_of(pieces)).ids
        spoken = [piece.text for piece in pieces if piece.spoken]
        said = [i for i, part in zip(ids, parts, strict=True) if part == 2]
        assert held.decode(said, skip_special_tokens=False) == "".join(spoken)
        start += int(length)


def test_batches_hold_every_row_once_and_drop_what_is_too_long(tokenizer: Path) -> None:
    encode = encoder(tokenizer)
    chunks = [encode([conversation(random.Random(f"{k}/{i}"), 5.0 * (k % 2)) for i in range(20)], k) for k in range(10)]
    before = {tuple(row) for chunk in chunks for row in np.split(chunk.ids, np.cumsum(chunk.lengths)[:-1])}
    given = list(batches(iter(chunks), slots=1024, context=128))
    after = [tuple(row[part > 0]) for batch in given for row, part in zip(batch.ids, batch.parts, strict=True)]
    assert after
    assert len(after) == len(set(after))
    assert set(after) <= before
    assert all(batch.ids.size <= 1024 and batch.ids.shape[1] <= 128 for batch in given)
    assert any(len(row) > 128 for row in before)


def test_the_loss_is_the_weighted_mean_worked_by_hand_and_nothing_when_all_is_filling() -> None:
    stream, norm, embed = torch.zeros(4, 8), torch.ones(8), torch.randn(5, 8)
    targets, parts = torch.tensor([0, 1, 2, 3]), torch.tensor([2, 1, 1, 0], dtype=torch.uint8)
    loss, sums = losses(stream, norm, embed, targets, parts, 0.1, 1e-5)
    even = float(np.log(5))  # a stream of zeros finds all five tokens equally likely
    assert loss.item() == pytest.approx(even * (1 + 2 * 0.1), rel=1e-5)
    assert sums.tolist() == pytest.approx([even, 1, 1, 2 * even, 2], rel=1e-5)
    loss, _ = losses(stream, norm, embed, targets, torch.zeros_like(parts), 0.1, 1e-5)
    assert loss.item() == 0


def test_an_orthogonal_update_has_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 32, 96), (2, 96, 32), (1, 64, 64)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)).float())
        assert values.min() > 0.3
        assert values.max() < 1.4


def test_filling_changes_nothing_of_what_stands_before_it() -> None:
    model, ids = small(), torch.arange(20) % 512
    alone = model(ids, 1, 20, torch.float32)
    padded = torch.cat((ids, torch.zeros(12, dtype=torch.long)))
    filled = torch.cat((padded, padded.flip(0), torch.zeros(6, dtype=torch.long)))
    torch.testing.assert_close(model(filled, 2, 32, torch.float32)[:20], alone)


def trainer(tokenizer: Path, out: Path) -> Trainer:
    out.mkdir(exist_ok=True)
    run = Run(out=out, tokenizer=tokenizer, minutes=1, slots=2048, passes=1, lr=5e-3, told=0.1)
    return Trainer(small(), run, compiled=False)


def some_batches(tokenizer: Path, count: int) -> list[Batch]:
    encode = encoder(tokenizer)
    chunks = [encode([conversation(random.Random(f"{k}/{i}"), 0.0) for i in range(32)], k) for k in range(count * 2)]
    return list(batches(iter(chunks), slots=2048, context=1024))[:count]


def test_training_lowers_the_loss_on_what_it_has_seen(tokenizer: Path, tmp_path: Path) -> None:
    student, (batch,), tally = trainer(tokenizer, tmp_path / "run"), some_batches(tokenizer, 1), Tally(0.0)
    for _ in range(30):
        student.step([batch], 1.0, tally)
    first, last = tally.sums[0], tally.sums[-1]
    assert last[0] < 0.3 * first[0]
    assert last[3] < first[3]
    assert student.state.tokens == 30 * int((batch.parts > 0).sum())


def test_a_run_that_was_stopped_goes_on_exactly(tokenizer: Path, tmp_path: Path) -> None:
    taken = some_batches(tokenizer, 4)
    whole = trainer(tokenizer, tmp_path / "whole")
    for batch in taken:
        whole.step([batch], 1.0, Tally(0.0))
    first = trainer(tokenizer, tmp_path / "stopped")
    for batch in taken[:2]:
        first.step([batch], 1.0, Tally(0.0))
    first.save()
    second = trainer(tokenizer, tmp_path / "stopped")
    second.resume()
    assert second.state == first.state
    for batch in taken[2:]:
        second.step([batch], 1.0, Tally(0.0))
    for mine, others in zip(second.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(mine, others)
    assert second.state == whole.state


def test_a_gradient_that_is_not_finite_leaves_the_weights_alone(tokenizer: Path, tmp_path: Path) -> None:
    student, (batch,) = trainer(tokenizer, tmp_path / "run"), some_batches(tokenizer, 1)
    with torch.no_grad():
        student.model.norm[0] = torch.inf
    before = student.model.q.detach().clone()
    assert not np.isfinite(student.step([batch], 1.0, Tally(0.0)))
    assert torch.equal(student.model.q, before)


def test_a_feed_gives_each_episode_once_and_ends_its_processes(tokenizer: Path) -> None:
    plan = Plan(source=source, tokenizer=tokenizer, seed=3, slots=1024, context=1024)
    with Feed(plan, workers=2) as feed:
        feed.level(0.0)
        rows = [tuple(row) for batch in (feed.take() for _ in range(12)) for row in batch.ids.tolist()]
        processes = list(feed._processes)
    assert len(rows) == len(set(rows))
    assert feed.again == 0
    assert not any(process.is_alive() for process in processes)


def test_a_feed_whose_process_died_says_so(tokenizer: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plan = Plan(source=source_of_nothing, tokenizer=tokenizer, seed=0, slots=1024, context=1024)
    with Feed(plan, workers=1) as feed, pytest.raises(RuntimeError, match="of the feed ended with 1"):
        feed.take()
    assert "there is no source" in capfd.readouterr().err


def test_weights_come_back_from_their_folder_and_no_shard_is_over_its_size(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxwright_training.pocket.weights.SHARD_BYTES", 150_000)
    model = small()
    export(model, tmp_path / "model", tokenizer, dtype=torch.float32)
    shards = sorted((tmp_path / "model").glob("*.safetensors"))
    assert len(shards) > 1
    assert all(shard.stat().st_size < 160_000 for shard in shards)
    for mine, others in zip(load(tmp_path / "model").parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, others)


def test_transformers_reads_the_folder_and_says_the_same(tokenizer: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = small()
    export(model, tmp_path, tokenizer, dtype=torch.float32)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    asked = prompts(tokenizer, 6)
    for prompt, said in zip(asked, generate(model, asked, 24, torch.float32), strict=True):
        ids = torch.tensor([prompt])
        torch.testing.assert_close(
            model.logits(model(ids[0], 1, len(prompt), torch.float32)), theirs(ids).logits[0], rtol=1e-3, atol=1e-3
        )
        mask = torch.ones_like(ids)
        full = theirs.generate(ids, attention_mask=mask, max_new_tokens=24, do_sample=False)[0, len(prompt) :].tolist()
        assert said == (full[: full.index(2)] if 2 in full else full)


def test_calls_are_read_out_of_what_was_written() -> None:
    two = '<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>\n<tool_call>{"name": "g", "arguments": {}}</tool_call>'
    assert read(two) == Said((("f", {"x": 1}), ("g", {})), "")
    assert read("It is 4.") == Said((), "It is 4.")
    assert read('So: <tool_call>{"name": "f", "argu') == Said((), 'So:\n<tool_call>{"name": "f", "argu')
    assert read("<tool_call>[1]</tool_call>").calls == ()


def test_calls_are_judged_as_json_values_and_abstentions_by_how_they_begin() -> None:
    tools, messages = conversation(random.Random(0), 0.0)
    messages[1]["tool_calls"] = [call("f", x=5.0, y=True), call("g")]
    asked, answered = turns(tools, messages, "call")
    assert right(Said((("g", {}), ("f", {"y": True, "x": 5})), ""), asked)
    assert not right(Said((("g", {}), ("f", {"y": 1, "x": 5})), ""), asked)
    assert not right(Said((("g", {}), ("f", {"y": True, "x": "5"})), ""), asked)
    assert right(Said((), messages[3]["content"]), answered)
    assert not right(Said((), messages[3]["content"] + " "), answered)
    (abstains,) = turns([], [ASK, {"role": "assistant", "content": "No tool here can do that."}], "abstain")
    assert right(Said((), "No tool here can help."), abstains)
    assert not right(Said((("f", {}),), "No tool here can help."), abstains)
    counted = report([(asked, Said((), "No tool here can.")), (abstains, Said((), "No tool here can."))])
    assert (counted["abstain_precision"], counted["abstain_recall"]) == (0.5, 1.0)
    assert counted["exact"]["calls"] == {"right": 0, "of": 1, "share": 0.0}


@pytest.fixture(scope="module")
def llama(tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp is not installed: install boxwright[gguf]")
    pytest.importorskip("gguf", reason="gguf is not installed: install boxwright[train]")
    from boxwright_training.pocket.gguf_file import write_gguf

    folder = tmp_path_factory.mktemp("llama")
    export(small(), folder, tokenizer, dtype=torch.float32)
    write_gguf(folder, folder / "pocket.gguf", "F32")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(folder / "pocket.gguf")
    parameters.n_ctx, parameters.n_parallel, parameters.verbosity = 1024, 1, -1
    return xllamacpp.Server(parameters)


def post(server: Any, path: str, body: dict[str, Any]) -> Any:
    import httpx2

    return httpx2.post(server.listening_address + path, json=body, timeout=60).raise_for_status().json()


@pytest.mark.extended
def test_llama_cpp_renders_and_cuts_prompts_as_we_do(llama: Any, tokenizer: Path) -> None:
    for tools, messages in CONVERSATIONS:
        sent = json.loads(json.dumps(messages))
        for told in (told for message in sent for told in message.get("tool_calls", ())):
            told["function"]["arguments"] = json.dumps(told["function"]["arguments"])
        prompt = post(llama, "/apply-template", {"messages": sent, **({"tools": tools} if tools else {})})["prompt"]
        assert prompt == text_of(render(messages, tools, speak=True))
        cut = post(llama, "/tokenize", {"content": prompt, "parse_special": True, "add_special": False})["tokens"]
        assert cut == load_tokenizer(tokenizer).encode(prompt).ids


@pytest.mark.extended
def test_llama_cpp_says_the_same_on_fifty_prompts(llama: Any, tokenizer: Path) -> None:
    asked, model, length = prompts(tokenizer, 50), small(), 24
    for prompt, said in zip(asked, generate(model, asked, length, torch.float32), strict=True):
        body = {"prompt": prompt, "n_predict": length, "temperature": 0, "return_tokens": True, "cache_prompt": False}
        theirs = post(llama, "/completion", body)["tokens"]
        theirs = theirs[: theirs.index(2)] if 2 in theirs else theirs
        if theirs == said:
            continue
        place = next(i for i, pair in enumerate(zip([*said, -1], [*theirs, -1], strict=False)) if pair[0] != pair[1])
        ids = torch.tensor([*prompt, *said[:place]])
        best = model.logits(model(ids, 1, len(ids), torch.float32))[-1].topk(2)
        assert best.values[0] - best.values[1] < 1e-3, f"token {place} of {said} and {theirs}, logits {best}"


@pytest.mark.extended
def test_llama_cpp_takes_calls_out_of_the_template_s_form(llama: Any) -> None:
    properties = {"units": {"enum": ["celsius", "fahrenheit"]}, "dry": {"type": "boolean"}}
    schema = {"type": "object", "properties": properties, "required": ["units", "dry"], "additionalProperties": False}
    tools = [{"type": "function", "function": {"name": name, "parameters": schema}} for name in ("warm", "cool")]
    # Noise never begins a call by itself; what comes after the mark is held to the schemas by llama.cpp's grammar.
    body = {
        "messages": [ASK],
        "tools": tools,
        "temperature": 0,
        "max_tokens": 200,
        "logit_bias": [["<tool_call>", 100]],
    }
    *several, _ = llama.handle_chat_completions(body)["choices"][0]["message"]["tool_calls"]  # the last may be cut off
    assert several
    for told in several:
        assert told["function"]["name"] in ("warm", "cool")
        jsonschema.validate(json.loads(told["function"]["arguments"]), schema)


@pytest.mark.extended
def test_the_smaller_the_precision_the_smaller_the_file_and_q8_0_is_the_default(
    tokenizer: Path, tmp_path: Path
) -> None:
    gguf = pytest.importorskip("gguf", reason="gguf is not installed: install boxwright[train]")
    from boxwright_training.pocket.gguf_file import main as write
    from boxwright_training.pocket.gguf_file import write_gguf

    export(small(), tmp_path, tokenizer, dtype=torch.float32)
    write_gguf(tmp_path, tmp_path / "f16.gguf", "F16")
    write(["--model", str(tmp_path), "--out", str(tmp_path / "q8.gguf")])
    small_file, large_file = tmp_path / "q8.gguf", tmp_path / "f16.gguf"
    assert small_file.stat().st_size < large_file.stat().st_size
    kinds = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(small_file).tensors}
    assert {kind for name, kind in kinds.items() if "norm" in name} == {"F32"}
    assert {kind for name, kind in kinds.items() if "norm" not in name} == {"Q8_0"}


@pytest.mark.parametrize("missing", ["--lexicon", "--tokenizer", "--resume"])
def test_a_file_that_training_needs_and_is_not_there_is_named(
    missing: str, tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--minutes": "1", "--out": str(tmp_path), "--lexicon": str(tokenizer), "--tokenizer": str(tokenizer)}
    arguments = [part for pair in given.items() for part in pair]
    arguments += ["--resume"] if missing == "--resume" else [missing, str(tmp_path / "nowhere.json")]
    with pytest.raises(SystemExit):
        pretrain(arguments)
    told = capsys.readouterr().err
    assert missing in told
    assert ("checkpoint.pt" if missing == "--resume" else "nowhere.json") in told
