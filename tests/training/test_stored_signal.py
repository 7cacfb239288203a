"""Log-probabilities that an API gave, kept with a trajectory, as a teacher's signal: where they count and where not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training tests need torch (the extra 'train')")
pytest.importorskip("transformers", reason="the training tests need transformers (the extra 'train')")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from boxwright.errors import BadInput  # noqa: E402
from boxwright.models import Message, ToolCall, ToolDefinition, Usage, load_model  # noqa: E402
from boxwright.models.written import WrittenToken  # noqa: E402
from boxwright.settings import Settings  # noqa: E402
from boxwright.traces import TraceStore, Trajectory  # noqa: E402
from boxwright_student import Agent, Bounds, ToolOutcome  # noqa: E402
from boxwright_student.events import Event, TextPiece  # noqa: E402
from boxwright_training.batches import collate  # noqa: E402
from boxwright_training.importers import Sourced  # noqa: E402
from boxwright_training.kinds import Kind  # noqa: E402
from boxwright_training.loss import Head, LocalTeacher, SpanLoss, Supervision  # noqa: E402
from boxwright_training.recipes import load_recipe  # noqa: E402
from boxwright_training.spans import Row, Segmenter  # noqa: E402
from boxwright_training.stored_signal import stored_signal  # noqa: E402
from boxwright_training.teacher_cache import TeacherCache  # noqa: E402
from boxwright_training.token_texts import parts, token_texts  # noqa: E402
from boxwright_training.training import Run, train  # noqa: E402
from support.tiny_models import tiny_student, tiny_tokenizer, tool_trajectories  # noqa: E402

TOKENIZER = tiny_tokenizer()
TEXTS = token_texts(TOKENIZER)
END = "<|im_end|>"
LOOK = ToolDefinition(
    name="look",
    description="Look.",
    parameters={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
)
HALF = math.log(0.5)


class Looking:
    """A toolset of one tool."""

    definitions = (LOOK,)
    digest = "looking"

    def news(self) -> list[str]:
        return []

    def read_only(self, name: str) -> bool:
        return True

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        return ToolOutcome(str(arguments["n"]))


def told(*tokens: str, likeliest: Sequence[tuple[str, float]] = (("x", -2.0),)) -> tuple[WrittenToken, ...]:
    """Return tokens as read of an API, each half probable."""
    return tuple(
        WrittenToken(token=_bytes(one), logprob=HALF, likeliest=((_bytes(one), HALF), *likeliest)) for one in tokens
    )


def _bytes(text: str) -> str:
    return text.encode().decode("latin-1")


def cut(text: str) -> list[str]:
    """Return the student's own tokens of a text that has no letter of several."""
    return [TOKENIZER.decode([number]) for number in TOKENIZER(text, add_special_tokens=False).input_ids]


def rows_of(*said: Message) -> list[Row]:
    """Return the rows of a conversation in which these were said, each after a question."""
    messages = [part for one in said for part in (Message(role="user", content="Use 4 and 9."), one)]
    one = Trajectory(
        prompt="Use 4 and 9.", messages=tuple(messages), answer=None, ended="answered", model="m", usage=Usage()
    )
    return Segmenter(TOKENIZER).rows([Sourced(one, "file:1")], 2000).rows


def thought(thinking: str, answer: str, written: tuple[WrittenToken, ...]) -> Message:
    return Message(role="assistant", thinking=thinking, content=answer, written=written)


def signal(rows: list[Row], number: int = 0) -> tuple[TeacherCache, list[dict[str, float]], str]:
    """Return the cache, what it says of a row's tokens (text to probability), and the line that is told."""
    lines: list[str] = []
    cache = stored_signal(rows, TOKENIZER, lines.append)
    here = range(cache.starts[number], cache.starts[number + 1])
    said = [
        {
            TEXTS[token]: math.exp(value)
            for token, value in zip(cache.ids[at], cache.log_p[at], strict=True)
            if np.isfinite(value)
        }
        for at in here
    ]
    return cache, said, lines[0]


# -- where they count -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [END, ""])
def test_tokens_that_are_the_students_own_bring_their_probabilities_to_the_end_of_the_turn(end: str) -> None:
    own = cut("<think>\nI add.\n</think>\n\n13")
    (row,) = rows_of(thought("I add.", "13", told(*own, end)))
    cache, said, line = signal([row])
    assert [next(iter(one)) for one in said] == [*own, END]
    expected = [pytest.approx({token: 0.5, "x": math.exp(-2)}, rel=1e-3) for token in [*own, END]]
    assert said == expected
    assert [int(row.ids[place]) for place in cache.places] == [TEXTS.index(token) for token in [*own, END]]
    reason, act = row.count(Kind.REASON), row.count(Kind.ACT)
    assert line == (
        f"log-probabilities are stored of {reason} of {reason} reason and {act} of {act} act tokens; others are learned "
        "as they stand (cross-entropy)"
    )


def test_behind_the_first_token_that_is_another_one_each_is_learned_as_it_stands() -> None:
    own = cut("<think>\nI add.\n</think>\n\n13")
    (row,) = rows_of(thought("I add.", "13", told(*own[:-1], "1", "4", END)))
    _, said, line = signal([row])
    assert [len(one) for one in said] == [2] * (len(own) - 1) + [1, 1]
    assert said[-2:] == [{own[-1]: 1.0}, {END: 1.0}]
    assert f"the first difference is file:1, token {len(own)} of a turn, '1' there and '{own[-1]}' here" in line


def test_tokens_that_end_before_the_turn_leave_the_rest_as_it_stands() -> None:
    own = cut("<think>\nI add.\n</think>\n\n13")
    _, said, line = signal(rows_of(thought("I add.", "13", told(*own))))
    assert said[-1] == {END: 1.0}
    assert "difference" not in line


@pytest.mark.parametrize(
    "letters",
    [
        [b"\xe2\x89\x88", b"\xf0\x9f\x99\x82"],  # llama.cpp: the letter in the place of its tokens
        [b"", b"", "≈".encode(), b"", b"", b"", "🙂".encode()],  # vLLM: nothing, and then the letter
        ["\ufffd".encode()] * 7,  # vLLM before, Ollama
    ],
)
def test_a_letter_of_several_tokens_has_no_signal_and_what_follows_has(letters: list[bytes]) -> None:
    pieces = [WrittenToken(token=one.decode("latin-1"), logprob=-0.1) for one in letters]
    head, tail = cut("<think>\n"), cut(".\n</think>\n\n13")
    written = (*told(*head), *pieces, *told(*tail, END))
    _, said, line = signal(rows_of(thought("≈🙂.", "13", written)))
    assert [len(one) for one in said] == [2] * len(head) + [1] * 7 + [2] * (len(tail) + 1)
    assert all(value == 1 for one in said[len(head) : len(head) + 7] for value in one.values())
    assert "difference" not in line


def test_a_letter_of_several_tokens_has_its_signal_where_the_bytes_are_told() -> None:
    written = (*told(*cut("<think>\n")), *(WrittenToken(token=chr(byte), logprob=HALF) for byte in "≈".encode()))
    _, said, _ = signal(rows_of(thought("≈", "", (*written, *told(*cut("\n</think>\n\n"), END)))))
    assert said[2:5] == [pytest.approx({piece: 0.5}, rel=1e-3) for piece in ("\xe2", "\x89", "\x88")]


def test_of_the_likeliest_those_that_the_student_has_no_token_for_count_to_the_tail() -> None:
    likeliest = (("<|other_end|>", -1.0), ("", -1.5), ("", -1.6), ("x", -3.0), ("x", -4.0))
    own = cut("<think>\nI add.\n</think>\n\n13")
    _, said, _ = signal(rows_of(thought("I add.", "13", told(*own, END, likeliest=likeliest))))
    assert said == [pytest.approx({token: 0.5, "x": math.exp(-3)}, rel=1e-3) for token in [*own, END]]


def test_each_turn_has_its_own_tokens_wherever_it_stands_and_those_without_have_none() -> None:
    first, last = cut("<think>\nI add.\n</think>\n\n13"), cut("<think>\nI take.\n</think>\n\n5")
    rows = rows_of(
        thought("I add.", "13", told(*first, END)), thought("Hm.", "7", ()), thought("I take.", "5", told(*last, END))
    )
    assert [row.turns for row in rows] == [1, 1, 1]  # the template leaves thinking out once a question follows
    for number, own in ((0, first), (2, last)):
        assert [next(iter(one)) for one in signal(rows, number)[1]] == [*own, END]
    assert all(len(one) == 1 for one in signal(rows, 1)[1])
    plain = rows_of(*(thought("", content, told(*cut(content), END)) for content in ("13", "5")))
    assert [[len(turn.tokens) for turn in row.written] for row in plain] == [[len(cut("13")) + 1, len(cut("5")) + 1]]


def test_turns_that_are_cut_off_take_their_tokens_with_them() -> None:
    messages = (
        Message(role="user", content="Use 4 and 9."),
        thought("", "13", told(*cut("13"), END)),
        Message(role="user", content="Again."),
        thought("", "4 " * 200, told(*cut("4 " * 200))),
    )
    one = Trajectory(prompt="?", messages=messages, answer=None, ended="answered", model="m", usage=Usage())
    (row,) = Segmenter(TOKENIZER).rows([Sourced(one, "file:1")], 100).rows
    assert [turn.end for turn in row.written] == [len(row)]


# -- what is refused --------------------------------------------------------------------------------------------------


def test_without_any_log_probabilities_it_is_told_how_they_are_made() -> None:
    with pytest.raises(BadInput, match=r"none of the 1 rows holds log-probabilities.*boxwright run … --logprobs 20"):
        signal(rows_of(thought("I add.", "13", ())))


def test_a_teacher_with_other_tokens_is_refused_with_the_first_difference() -> None:
    with pytest.raises(BadInput, match=r"0 are the student's own .*token 1 of a turn, '<' there and '<think>' here"):
        signal(rows_of(thought("I add.", "13", told(*"<think>\nI add.\n</think>\n\n13"))))


def test_a_turn_that_the_template_begins_otherwise_is_told_with_the_way_out() -> None:
    with pytest.raises(BadInput, match="the template begins a turn otherwise .*--template-option"):
        signal(rows_of(thought("I add.", "13", told(*cut("13"), END))))


# -- the parts --------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=60), st.floats(0.5, 1.002))
def test_probabilities_in_sixteen_bits_never_add_up_to_more_than_one(weights: list[float], mass: float) -> None:
    p = np.array(weights) / sum(weights) * mass
    ids = np.arange(len(p), dtype=np.int32)[None]
    cache = TeacherCache.of([(ids, np.log(p)[None].astype(np.float16), np.array([1], np.int32))])
    given = cache.batch([0], 2).log_p[0, 1].double().exp().numpy()
    assert given.sum() <= 1 + 1e-6
    assert given == pytest.approx(p / max(1.0, mass), rel=0.02)


def test_a_sentencepiece_vocabulary_is_read_in_bytes() -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE({"▁an": 0, "<0xE2>": 1, "é": 2}, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken("<s▁>", special=True)])
    texts = token_texts(PreTrainedTokenizerFast(tokenizer_object=tokenizer))
    assert texts == [" an", "\xe2", "\xc3\xa9", _bytes("<s▁>")]


def test_byte_level_tokens_are_what_they_decode_to() -> None:
    for text in ("naïve façade 北京 🙂\t\r\n  two", "<|im_start|>user\n<think>"):
        ids = TOKENIZER(text, add_special_tokens=False).input_ids
        assert "".join(TEXTS[number] for number in ids).encode("latin-1").decode() == text


@pytest.mark.parametrize(
    ("one", "texts", "count"),
    [("ab", ["a", "b"], 0), ("", ["a"], 0), ("\xe2\x89\x88", ["\xe2\x89", "\x88", "x"], 2), ("z", ["\xe2"], 0)],
)
def test_only_parts_of_letters_are_told_otherwise_than_they_are(one: str, texts: list[str], count: int) -> None:
    assert parts(one, texts) == count


# -- the whole way, through a real llama.cpp --------------------------------------------------------------------------


def _learned_by_heart(folder: Path) -> Any:
    """Make a teacher that says a few conversations by heart, so that what it writes is cut as a tokenizer cuts it."""
    from transformers import AutoModelForCausalLM

    tiny_student(folder, TOKENIZER, seed=1, width=64)
    rows = Segmenter(TOKENIZER).rows([Sourced(_lesson(n), f"lesson:{n}") for n in (1, 2, 3)], 2000).rows
    model = AutoModelForCausalLM.from_pretrained(folder)
    batch = collate(rows, range(len(rows)), 0)
    labels = torch.full_like(batch.input_ids, -100)
    for part in (batch.supervision.reason, batch.supervision.act):
        labels.view(-1)[part.positions + 1] = part.targets
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.95), weight_decay=0.0)
    for _ in range(300):
        loss = model(input_ids=batch.input_ids, labels=labels).loss
        if loss.item() < 0.01:
            break
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    model.save_pretrained(folder)
    return model.eval()


def _lesson(n: int) -> Trajectory:
    call = ToolCall(id="c", name="look", arguments={"n": n})
    messages = (
        Message(role="system", content="Look."),
        Message(role="user", content=f"See {n}."),
        Message(role="assistant", content="I look.", tool_calls=(call,)),
        Message(role="tool", content=str(n), tool_call_id="c", name="look"),
        Message(role="assistant", thinking="≈ 3 🙂" if n == 3 else f"I saw {n}.", content=f"It is {n}."),
    )
    return Trajectory(
        prompt="?", messages=messages, answer="", ended="answered", model="m", definitions=(LOOK,), usage=Usage()
    )


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any]]:
    """A folder with a teacher, its model file and a student, and the teacher in transformers."""
    pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
    pytest.importorskip("gguf", reason="gguf is not installed: install boxwright[train]")
    from boxwright.models.gguf import close_all
    from boxwright_training.exporting.gguf_file import write_gguf

    folder, threads = tmp_path_factory.mktemp("taught"), torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model is slower with more
    teacher = _learned_by_heart(folder / "teacher")
    write_gguf(folder / "teacher", folder / "teacher.gguf", "F32")
    tiny_student(folder / "student", TOKENIZER, seed=0)
    yield folder, teacher
    torch.set_num_threads(threads)
    close_all()


async def _asked(folder: Path, k: int, path: Path) -> Path:
    """Have an agent answer with the model file, and keep its trajectories."""
    model = load_model(f"gguf/{folder / 'teacher.gguf'}", Settings().model_copy(update={"context_tokens": 1024}))
    agent = Agent(model, Looking(), system="Look.", top_logprobs=k, bounds=Bounds(max_tokens=100))
    store = TraceStore(path)
    for n in (1, 2, 3):
        heard: list[Event] = []
        trajectory = await agent.run(f"See {n}.", on_event=heard.append)
        assert (trajectory.answer, trajectory.calls) == (f"It is {n}.", 1)
        assert len([one for one in heard if isinstance(one, TextPiece)]) <= 2  # each answer at once
        store.append(trajectory)
    return path


def _rows(path: Path) -> list[Row]:
    return Segmenter(TOKENIZER).rows([Sourced(one, "t:1") for one in TraceStore(path).read()], 2000).rows


def _kl(student: Any, teacher: Any, rows: list[Row], cache: TeacherCache | None) -> float:
    """Return the mean KL over all supervised tokens, of what is stored or of the teacher itself."""
    batch = collate(rows, range(len(rows)), 0, cache)
    everything = Supervision(batch.supervision.reason, batch.supervision.act, batch.supervision.length)
    with torch.no_grad():
        states = [model.get_decoder()(input_ids=batch.input_ids).last_hidden_state for model in (student, teacher)]
        signal = batch.top_k or LocalTeacher(states[1], Head.of(teacher))
        found = SpanLoss(act="kl")(states[0], Head.of(student), everything, signal)
    counts = [len(part) for part in (everything.reason, everything.act)]
    return float((found.reason * counts[0] + found.act * counts[1]) / sum(counts))


@pytest.mark.extended
async def test_what_llama_cpp_told_is_what_the_teacher_itself_says(taught: tuple[Path, Any], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder, teacher = taught
    student = AutoModelForCausalLM.from_pretrained(folder / "student").eval()
    rows = _rows(await _asked(folder, len(TEXTS), tmp_path / "all.jsonl"))
    lines: list[str] = []
    cache = stored_signal(rows, TOKENIZER, lines.append)
    reason, act = (sum(row.count(kind) for row in rows) for kind in (Kind.REASON, Kind.ACT))
    assert f"stored of {reason - 7} of {reason} reason and {act} of {act} act tokens" in lines[0]  # but for ≈ and 🙂
    worst = 0.0
    for number, row in enumerate(rows):
        with torch.no_grad():
            log_p = teacher(input_ids=torch.from_numpy(row.ids.astype(np.int64))[None]).logits[0].log_softmax(-1)
        for at in range(cache.starts[number], cache.starts[number + 1]):
            real = np.isfinite(cache.log_p[at])
            if real.sum() == 1:  # a part of ≈ or of 🙂
                continue
            exact = log_p[cache.places[at] - 1].numpy()[cache.ids[at][real]]
            worst = max(worst, float(np.abs(np.exp(exact) - np.exp(cache.log_p[at][real].astype(np.float32))).max()))
    assert worst < 1e-3
    plain = rows[:2]  # of letters of one token
    exact_kl = _kl(student, teacher, plain, None)
    assert _kl(student, teacher, plain, stored_signal(plain, TOKENIZER, lines.append)) == pytest.approx(
        exact_kl, rel=1e-3
    )
    few = _rows(await _asked(folder, 5, tmp_path / "few.jsonl"))[:2]
    assert [row.ids.tolist() for row in few] == [row.ids.tolist() for row in plain]
    assert 0.9 * exact_kl < _kl(student, teacher, few, stored_signal(few, TOKENIZER, lines.append)) < exact_kl


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
async def test_a_student_learns_from_stored_log_probabilities_as_from_the_teacher(
    taught: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, _ = taught
    traces = await _asked(folder, len(TEXTS), tmp_path / "traces.jsonl")
    recipe = load_recipe("sad", {"adapter": "none", "optimisation.learning_rate": "0.01"})

    def run(teacher: str | None, **more: Any) -> Run:
        given = {"held_out": 0.0, "steps": 4, "device_batch": 4, "log_every": 1} | more
        return Run((traces,), str(folder / "student"), tmp_path / str(teacher)[-7:], recipe, teacher, **given)

    lines: list[str] = []
    train(run("stored"), tell=lines.append)
    assert any(line.startswith("log-probabilities are stored of") for line in lines)
    train(run(str(folder / "teacher")))
    losses = [_losses(tmp_path / name / "model") for name in ("stored", "teacher")]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.extended
@pytest.mark.parametrize(
    ("more", "changes", "why"),
    [
        ({}, {}, "none of the 4 rows holds log-probabilities"),
        ({"cache": 8}, {}, "--teacher stored asks no teacher whose answers --cache 8 could keep"),
        ({}, {"loss.temperature": "2.0"}, "loss.temperature is 2.0"),
    ],
)
def test_settings_that_do_not_go_with_stored_log_probabilities_are_refused(
    more: dict[str, Any], changes: dict[str, str], why: str, tmp_path: Path
) -> None:
    tiny_student(tmp_path / "student", TOKENIZER)
    data = tool_trajectories(4, tmp_path / "data.jsonl")
    recipe = load_recipe("sad", {"adapter": "none"} | changes)
    with pytest.raises(BadInput, match=why):
        train(Run((data,), str(tmp_path / "student"), tmp_path / "run", recipe, "stored", held_out=0.0, **more))


def _losses(model: Path) -> list[float]:
    import json

    log = json.loads((model / "training.json").read_text())["log"]
    return [line["reason"] for line in log if "loss" in line]
