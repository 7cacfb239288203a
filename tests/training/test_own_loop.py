"""The student's own loop on a model in this process: what it is asked and what it answers are carried whole."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the training tests need torch (the extra 'train')")
pytest.importorskip("transformers", reason="the training tests need transformers (the extra 'train')")

from boxwright.errors import ContextOverflow, ModelError  # noqa: E402
from boxwright.models import Message, ToolCall  # noqa: E402
from boxwright_student import Agent, Bounds, NoTools  # noqa: E402
from boxwright_training.loading import load_model, load_tokenizer  # noqa: E402
from boxwright_training.own_loop import TransformersModel  # noqa: E402
from support.adder import Adder  # noqa: E402
from support.tiny_models import tiny_student, tiny_tokenizer  # noqa: E402

pytestmark = [
    pytest.mark.extended,
    # transformers and torch speak of their own next versions.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]
ASKED = (Message(role="system", content="You solve tasks."), Message(role="user", content="Use 4 and 9."))


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("made") / "student", tiny_tokenizer())


def a_model(student: Path) -> tuple[Any, Any]:
    tokenizer = load_tokenizer(str(student))
    return load_model(str(student), tokenizer, torch.float32), tokenizer


def greedy(model: Any, ids: list[int], count: int) -> list[int]:
    """Go on with tokens one at a time, each from the whole text before it."""
    said: list[int] = []
    for _ in range(count):
        with torch.no_grad():
            said.append(int(model(input_ids=torch.tensor([ids + said])).logits[0, -1].argmax()))
    return said


def ends_with(model: Any, token: int) -> None:
    """Make a token the likeliest everywhere."""
    head = torch.nn.Linear(model.config.hidden_size, model.config.vocab_size)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    head.bias.data[token] = 1.0
    model.set_output_embeddings(head)


async def test_it_says_what_the_model_says_and_counts_what_that_took(student: Path) -> None:
    model, tokenizer = a_model(student)
    (found,) = await TransformersModel(model, tokenizer).complete(ASKED, max_tokens=12, prefix="First")
    asked = [message.model_dump(include={"role", "content"}) for message in ASKED]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False) + "First"
    ids = tokenizer(prompt, add_special_tokens=False).input_ids
    assert found.text == "First" + tokenizer.decode(greedy(model, ids, 12))
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (len(ids), 12)
    assert found.usage.seconds > 0
    assert found.finish == "length"
    assert found.tool_calls == ()


@pytest.mark.parametrize("token", ["<|im_end|>", "<|endoftext|>"])
async def test_an_answer_ends_at_each_token_that_the_model_ends_with(token: str, student: Path) -> None:
    model, tokenizer = a_model(student)
    number = tokenizer.convert_tokens_to_ids(token)
    model.generation_config.eos_token_id = [tokenizer.convert_tokens_to_ids("<|endoftext|>")]
    ends_with(model, number)
    (found,) = await TransformersModel(model, tokenizer).complete(ASKED, max_tokens=12)
    assert (found.text, found.finish, found.usage.completion_tokens) == ("", "stop", 1)


async def test_calls_and_results_are_shown_to_the_model_as_its_template_has_them(student: Path) -> None:
    model, tokenizer = a_model(student)
    call = ToolCall(id="c1", name="look", arguments={"n": 4, "of": {"deep": ["ü"]}})
    talk = (
        *ASKED,
        Message(role="assistant", content="I look.", tool_calls=(call,)),
        Message(role="tool", content="look 4", tool_call_id="c1", name="look"),
    )
    seen: list[str] = []
    plain = tokenizer.apply_chat_template

    def overheard(*given: Any, **more: Any) -> str:
        seen.append(plain(*given, **more))
        return seen[-1]

    tokenizer.apply_chat_template = overheard
    await TransformersModel(model, tokenizer).complete(talk, tools=Adder().definitions, max_tokens=1)
    assert '<tool_call>\n{"name": "look", "arguments": {"n": 4, "of": {"deep": ["ü"]}}}\n</tool_call>' in seen[0]
    assert "<tool_response>\nlook 4\n</tool_response>" in seen[0]
    assert '"name": "add"' in seen[0]
    assert seen[0].endswith("<|im_start|>assistant\n")


async def test_the_loop_makes_the_calls_that_are_written_and_ends_within_its_bounds(student: Path) -> None:
    tools = Adder()
    agent = Agent(TransformersModel(*a_model(student)), tools, bounds=Bounds(steps=2, max_tokens=8))
    written = 'I add.<tool_call>\n{"name": "add", "arguments": {"n": 3}}\n</tool_call>'
    trajectory = await agent.run("Add three.", first_words=written)
    assert tools.done == [("add", 3)]
    said = trajectory.messages[2]
    assert said.content.startswith("I add.")
    assert [(call.name, call.arguments) for call in said.tool_calls] == [("add", {"n": 3})]
    assert trajectory.messages[3].content == "add 3"
    assert trajectory.usage.completion_tokens == 16
    assert trajectory.usage.prompt_tokens > 100
    assert trajectory.model == f"transformers/{student}"


async def test_an_answer_fits_the_window_and_a_prompt_that_does_not_is_told(student: Path) -> None:
    model, tokenizer = a_model(student)
    model.config.max_position_embeddings = 100
    chat = TransformersModel(model, tokenizer)
    assert (await chat.facts()).context_tokens == 100
    (found,) = await chat.complete(ASKED, max_tokens=4096)
    assert found.usage.tokens == 100
    assert found.finish == "length"
    with pytest.raises(ContextOverflow, match=r"prompt of \d+ tokens does not fit the model's window of 100 tokens"):
        await chat.complete((Message(role="user", content="word " * 100),))
    trajectory = await Agent(chat, NoTools()).run("word " * 100)
    assert trajectory.ended == "context"


async def test_a_template_that_refuses_a_conversation_is_an_error_of_the_model(student: Path) -> None:
    model, tokenizer = a_model(student)
    tokenizer.chat_template = "{{ raise_exception('no system here') }}"
    with pytest.raises(ModelError, match="its chat template refuses the conversation .no system here"):
        await TransformersModel(model, tokenizer).complete(ASKED)


async def test_what_is_cancelled_computes_no_further(student: Path) -> None:
    model, tokenizer = a_model(student)
    passes: list[int] = []
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def one_pass(*_: Any) -> None:
        passes.append(1)
        loop.call_soon_threadsafe(begun.set)

    model.model.register_forward_hook(one_pass)
    chat = TransformersModel(model, tokenizer)
    asked = asyncio.ensure_future(chat.complete(ASKED, max_tokens=2000))
    await begun.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert len(passes) < 1900
    before = len(passes)
    await chat.complete(ASKED, max_tokens=5)
    assert len(passes) == before + 5


@pytest.mark.parametrize("training", [True, False])
async def test_a_model_in_training_answers_without_dropout_and_goes_on_training(training: bool, student: Path) -> None:
    from boxwright_training.loading import adapted
    from boxwright_training.recipes import Adapter

    model, tokenizer = a_model(student)
    trained = adapted(model, Adapter(rank=4, dropout=0.9), checkpointing=True)
    for name, values in trained.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(values)
    trained.train(training)
    chat = TransformersModel(trained, tokenizer)
    answers = {(await chat.complete(ASKED, max_tokens=20))[0].text for _ in range(3)}
    assert len(answers) == 1
    assert trained.training is training
