"""A real llama.cpp, in a process of its own, over a tiny model file that the tests write: noise, but in the right form."""

import asyncio
import itertools
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from boxwright.errors import BadInput, ContextOverflow, ExtraMissing, ModelUnreachable
from boxwright.models import Message, ToolDefinition, load_model
from boxwright.models.base import ChatModel
from boxwright.models.pocket import pocket_folder
from boxwright.models.tokens import TokenGauge
from boxwright.settings import Settings
from support.tiny_gguf import CONTEXT_TOKENS, write_tiny_gguf

ASK = [Message(role="system", content="Be exact."), Message(role="user", content="Add 1, 2 and 3.")]
TOOL = ToolDefinition(
    name="adder__add",
    description="Add numbers up.",
    parameters={"type": "object", "properties": {"numbers": {"type": "array", "items": {"type": "integer"}}}},
)
SCHEMA = {
    "type": "object",
    "properties": {
        "sign": {"enum": ["plus", "minus"]},
        "sure": {"type": "boolean"},
        "digits": {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 2, "maxItems": 2},
    },
    "required": ["sign", "sure", "digits"],
    "additionalProperties": False,
}
pytestmark = pytest.mark.extended


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The model file; whoever loaded it is gone when the module is done."""
    pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
    from boxwright.models.gguf import close_all

    yield write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")
    close_all()


@pytest.fixture
def model(tiny: Path, settings: Settings) -> ChatModel:
    """The model with a window of 1,024 tokens."""
    return load_model(f"gguf/{tiny}", settings.model_copy(update={"context_tokens": 1024}))


async def test_a_model_file_answers_within_its_length_and_counts_exactly(model: ChatModel) -> None:
    (completion,) = await model.complete(ASK, max_tokens=12)
    assert completion.finish == "length"
    assert completion.usage.completion_tokens == 12
    # A vocabulary of bytes: the text, the marks of the template, and nothing else.
    sent = "system\nBe exact." + "user\nAdd 1, 2 and 3." + "assistant\n"
    assert completion.usage.prompt_tokens == len(sent) + 5


async def test_the_window_is_what_is_asked_for_and_no_more_than_the_model_has(tiny: Path, settings: Settings) -> None:
    for asked, given in ((1024, 1024), (settings.context_tokens, CONTEXT_TOKENS)):
        facts = await load_model(f"gguf/{tiny}", settings.model_copy(update={"context_tokens": asked})).facts()
        assert (facts.context_tokens, facts.tools, facts.schema) == (given, True, True)


async def test_a_file_is_loaded_once_for_all_that_ask_it(tiny: Path, model: ChatModel, settings: Settings) -> None:
    from boxwright.models import gguf

    other = load_model(f"gguf/{tiny.parent / '.' / 'tiny.gguf'}", settings.model_copy(update={"context_tokens": 1024}))
    (first,), (second,) = await asyncio.gather(*(one.complete(ASK, max_tokens=5) for one in (model, other)))
    assert first.text == second.text
    assert len([key for key in gguf._children if key[1] == 1024]) == 1


async def test_streamed_pieces_add_up_to_the_text(model: ChatModel) -> None:
    heard: list[str] = []
    (streamed,) = await model.complete(ASK, max_tokens=40, on_text=lambda _, piece: heard.append(piece))
    (whole,) = await model.complete(ASK, max_tokens=40)
    assert len(heard) > 5
    assert "".join(heard) == streamed.text == whole.text
    assert streamed.usage.tokens == whole.usage.tokens


async def test_several_completions_differ_by_seed_and_are_made_again_by_it(model: ChatModel) -> None:
    first = await model.complete(ASK, n=3, temperature=1.0, seed=7, max_tokens=20)
    again = await model.complete(ASK, n=3, temperature=1.0, seed=7, max_tokens=20)
    texts = [one.text for one in first]
    assert len(set(texts)) == 3
    assert texts == [one.text for one in again]


async def test_random_weights_under_a_schema_give_valid_json(model: ChatModel) -> None:
    for seed in range(5):
        (completion,) = await model.complete(ASK, schema=SCHEMA, temperature=1.5, seed=seed, max_tokens=400)
        assert completion.finish == "stop"
        jsonschema.validate(json.loads(completion.text), SCHEMA)


async def test_a_prefix_starts_the_answer(model: ChatModel) -> None:
    heard: list[str] = []
    (whole,) = await model.complete(ASK, prefix="First, ", max_tokens=5)
    (streamed,) = await model.complete(
        ASK, prefix="First, ", max_tokens=5, on_text=lambda _, piece: heard.append(piece)
    )
    assert whole.text.startswith("First, ")
    assert whole.text.count("First, ") == 1
    assert streamed.text == whole.text == "".join(heard)


async def test_log_probabilities_come_one_to_a_token(model: ChatModel) -> None:
    (completion,) = await model.complete(ASK, max_tokens=6, logprobs=True)
    assert len(completion.logprobs) == 6
    assert all(math.isfinite(value) and value <= 0 for _, value in completion.logprobs)


async def test_the_likeliest_tokens_come_with_each_and_their_probabilities_add_up_to_one(model: ChatModel) -> None:
    (completion,) = await model.complete(ASK, tools=[TOOL], max_tokens=6, top_logprobs=260)
    (streamed,) = await model.complete(ASK, max_tokens=6, top_logprobs=3, on_text=lambda *_: None)
    assert 1 < len(completion.written) <= 6  # the tokens of one letter come as one
    for one in completion.written:
        assert sum(math.exp(logprob) for _, logprob in one.likeliest) == pytest.approx(1.0, abs=2e-3)
        assert one.likeliest[0][1] == one.logprob  # greedy
        assert one.token.endswith(one.likeliest[0][0])
    assert {len(one.likeliest) for one in streamed.written} == {3}


async def test_tools_and_their_results_go_through_the_models_own_template(model: ChatModel) -> None:
    (bare,) = await model.complete(ASK, max_tokens=1)
    (shown,) = await model.complete(ASK, tools=[TOOL], max_tokens=1)
    assert shown.usage.prompt_tokens > bare.usage.prompt_tokens + len(TOOL.description)
    result = Message(role="tool", content="6", tool_call_id="call_0", name="adder__add")
    from boxwright.models.scripted import calling

    call = calling("adder__add", numbers=[1, 2, 3]).message()
    (after,) = await model.complete([*ASK, call, result], tools=[TOOL], max_tokens=1)
    assert after.usage.prompt_tokens > shown.usage.prompt_tokens


async def test_a_prompt_over_the_window_is_refused_with_both_sizes(model: ChatModel) -> None:
    with pytest.raises(ContextOverflow) as raised:
        await model.complete([Message(role="user", content="x" * 3000)])
    assert raised.value.context_tokens == 1024
    assert raised.value.prompt_tokens is not None
    assert raised.value.prompt_tokens > 3000
    with pytest.raises(ContextOverflow):
        await model.complete([Message(role="user", content="x" * 3000)], on_text=lambda *_: None)


async def test_an_answer_that_fills_the_window_is_cut_not_shifted(model: ChatModel) -> None:
    (completion,) = await model.complete(ASK, max_tokens=5000, temperature=1.0, seed=3)
    assert completion.finish in ("length", "stop")
    assert completion.usage.tokens <= 1024


async def test_giving_up_frees_the_model_for_the_next(model: ChatModel) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(model.complete(ASK, max_tokens=1000, on_text=lambda *_: begun.set()))
    await asyncio.wait_for(begun.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (completion,) = await asyncio.wait_for(model.complete(ASK, max_tokens=3), 20)
    assert completion.usage.completion_tokens == 3


async def test_a_process_that_died_is_started_again(tiny: Path, model: ChatModel) -> None:
    from boxwright.models import gguf

    (before,) = await model.complete(ASK, max_tokens=5)
    child = gguf._children[gguf._Files((tiny.resolve(),), 1024, 0)]
    child.process.kill()
    child.process.wait()
    (after,) = await model.complete(ASK, max_tokens=5)
    assert after.text == before.text


_LOADS_AND_IS_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from boxwright.models import gguf
model = gguf.Gguf(Path(sys.argv[1]), 512)
asyncio.run(model.facts())
print(next(iter(gguf._children.values())).address.result(), flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("end", ["ended", "killed"])
async def test_the_model_ends_with_the_process_that_loaded_it(tiny: Path, end: str) -> None:
    command = [sys.executable, "-c", _LOADS_AND_IS_KILLED, str(tiny), end]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    host, _, port = done.stdout.strip().removeprefix("http://").partition(":")
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                break
            writer.close()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("kept", [8, 3000, 300_000])
async def test_a_file_cut_short_says_so(tiny: Path, tmp_path: Path, settings: Settings, kept: int) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny.read_bytes()[:kept])
    model = load_model(f"gguf/{cut}", settings)
    with pytest.raises(ModelUnreachable, match="cut short") as raised:
        await model.complete(ASK)
    assert " E " in str(raised.value)  # llama.cpp's own line, where its logging comes before its end


async def test_an_adapter_of_another_model_is_named(tiny: Path, settings: Settings) -> None:
    adapter = pocket_folder() / "adapter-game24.gguf"
    model = load_model(f"gguf/{tiny}+{adapter}", settings)
    assert model.uri == f"gguf/{tiny}+{adapter}"
    with pytest.raises(ModelUnreachable, match="with the adapter .*adapter-game24.*may be of another model"):
        await model.complete(ASK)


@pytest.mark.usefixtures("tiny")
def test_an_adapter_that_is_not_there_is_refused_and_a_plus_in_a_name_is_none(tmp_path: Path, tiny: Path) -> None:
    odd = tmp_path / "a+b.gguf"
    odd.write_bytes(tiny.read_bytes())
    assert load_model(f"gguf/{odd}", Settings()).uri == f"gguf/{odd}"
    with pytest.raises(BadInput, match="names no adapter behind its"):
        load_model(f"gguf/{odd}+", Settings())
    with pytest.raises(BadInput, match="cannot read the model file .*none.gguf"):
        load_model(f"gguf/{odd}+{tmp_path / 'none.gguf'}", Settings())


@pytest.mark.usefixtures("tiny")
def test_what_is_no_model_file_is_refused_at_once(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(BadInput, match="cannot read the model file .*No such file"):
        load_model(f"gguf/{tmp_path / 'none.gguf'}", settings)
    with pytest.raises(BadInput, match="Is a directory"):
        load_model(f"gguf/{tmp_path}", settings)
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(BadInput, match="no GGUF file: it begins with b'hell'"):
        load_model(f"gguf/{tmp_path / 'text.gguf'}", settings)


def test_without_the_extra_it_says_which(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match=r"boxwright\[gguf\]"):
        load_model("gguf/model.gguf", settings)


async def test_a_gauge_learns_this_models_tokens(model: ChatModel) -> None:
    """One token to a byte is far from what the estimate is made for; after one answer it holds."""
    gauge = TokenGauge()
    texts = ["The weather in Rome is mild.", "How many days are there from March to June?", "Name three rivers."]
    prompts = [[Message(role="user", content=text * count)] for text, count in itertools.product(texts, (1, 3))]
    for number, prompt in enumerate(prompts):
        (completion,) = await model.complete(prompt, max_tokens=1)
        real = completion.usage.prompt_tokens
        if number > 2:
            assert real * 0.8 <= gauge.estimate(prompt) <= real * 1.5
        gauge.learn(prompt, (), real)
