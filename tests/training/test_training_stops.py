"""Runs that stop, are killed or are refused, and go on; and what they leave behind."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the training tests need torch (the extra 'train')")
pytest.importorskip("peft", reason="the training tests need peft (the extra 'train')")

from safetensors.torch import load_file  # noqa: E402

from boxwright.errors import BadInput  # noqa: E402
from boxwright.traces import TraceStore  # noqa: E402
from boxwright_training.batches import Drawn  # noqa: E402
from boxwright_training.importers import read_trajectories  # noqa: E402
from boxwright_training.recipes import load_recipe  # noqa: E402
from boxwright_training.training import Run, Trained, train  # noqa: E402
from support.tiny_models import tiny_student, tiny_tokenizer, tool_trajectories  # noqa: E402

pytestmark = [
    pytest.mark.extended,
    # transformers and TensorBoard speak of their own next versions.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student, a teacher, and trajectories of which every third says nothing but its calls."""
    folder = tmp_path_factory.mktemp("made")
    tokenizer = tiny_tokenizer()
    tiny_student(folder / "student", tokenizer)
    tiny_student(folder / "teacher", tokenizer, seed=1, width=48)
    whole = read_trajectories([tool_trajectories(24, folder / "whole.jsonl")]).found
    store = TraceStore(folder / "data.jsonl")
    for number, (one, _) in enumerate(whole):
        silent = [
            message.model_copy(update={"content": ""}) if message.tool_calls else message for message in one.messages
        ]
        store.append(one if number % 3 else one.model_copy(update={"messages": tuple(silent)}))
    return folder


def a_run(made: Path, out: Path, recipe: str = "kang", changes: dict[str, str] | None = None, **given: Any) -> Run:
    loaded = load_recipe(recipe, {"optimisation.learning_rate": "0.01"} | (changes or {}))
    plain: dict[str, Any] = {"steps": 6, "device_batch": 8, "held_out": 0.3, "log_every": 1, "save_every": 50}
    return Run((made / "data.jsonl",), str(made / "student"), out, loaded, **plain | given)


def quietly(run: Run, *, resume: bool = False) -> Trained:
    return train(run, resume=resume, tell=lambda line: None)


def adapter(trained: Trained) -> dict[str, Any]:
    found: dict[str, Any] = load_file(trained.model / "adapter_model.safetensors")
    return found


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def log(trained: Trained) -> list[dict[str, float]]:
    lines: list[dict[str, float]] = json.loads((trained.model / "training.json").read_text())["log"]
    return [line for line in lines if "loss" in line]


@pytest.fixture
def when_drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """Lets something happen while the data of a step are fetched: between two steps, where nothing is computed."""
    plain = Drawn.__getitem__

    def at(draw: int, happen: Callable[[], None]) -> None:
        seen = iter(range(10**6))

        def drawn(self: Drawn, index: int) -> int:
            if next(seen) == draw:
                happen()
            return plain(self, index)

        monkeypatch.setattr(Drawn, "__getitem__", drawn)

    return at


def told_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("draw", "least"), [(0, 1), (25, 3)])
def test_a_stop_between_two_steps_is_saved_and_gone_on_from(
    draw: int, least: int, made: Path, tmp_path: Path, when_drawn: Any
) -> None:
    whole = quietly(a_run(made, tmp_path / "whole", changes={"adapter.dropout": "0.1"}))
    run = a_run(made, tmp_path / "run", changes={"adapter.dropout": "0.1"})
    handlers, threads = signal.getsignal(signal.SIGINT), set(threading.enumerate())
    when_drawn(draw, told_to_stop)
    stopped = quietly(run)
    assert stopped.stopped
    assert least <= stopped.steps < 6
    assert stopped.model == run.out / f"checkpoint-{stopped.steps}"
    assert not (run.out / "model").exists()
    assert signal.getsignal(signal.SIGINT) is handlers
    assert set(threading.enumerate()) <= threads
    done = quietly(run, resume=True)
    assert (done.steps, done.stopped) == (6, False)
    assert same(adapter(done), adapter(whole))
    assert (done.before, done.after) == (whole.before, whole.after)
    assert [line["loss"] for line in log(done)] == [line["loss"] for line in log(whole)]


def test_a_run_that_ended_before_its_first_checkpoint_begins_anew(made: Path, tmp_path: Path, when_drawn: Any) -> None:
    whole = quietly(a_run(made, tmp_path / "whole"))
    run = a_run(made, tmp_path / "run")

    def killed() -> None:
        raise MemoryError

    when_drawn(25, killed)
    with pytest.raises(BadInput, match="out of memory"):
        quietly(run)
    assert not list(run.out.glob("checkpoint-*"))
    assert same(adapter(quietly(run, resume=True)), adapter(whole))


def test_a_stop_in_the_last_step_is_none_and_a_run_that_has_ended_ends_the_same_again(
    made: Path, tmp_path: Path
) -> None:
    run = a_run(made, tmp_path / "run")
    done = train(run, tell=lambda line: told_to_stop() if line.startswith("step 6 of 6") else None)
    assert not done.stopped
    kept = adapter(done)
    again = quietly(run, resume=True)
    assert (again.steps, again.stopped, again.after) == (6, False, done.after)
    assert same(adapter(again), kept)


def test_a_run_goes_on_with_its_cache_and_asks_no_teacher_again(made: Path, tmp_path: Path, when_drawn: Any) -> None:
    given: dict[str, Any] = {"recipe": "sad", "teacher": str(made / "teacher"), "cache": 8, "device_batch": 2}
    whole = quietly(a_run(made, tmp_path / "whole", **given))
    run = a_run(made, tmp_path / "run", **given)
    when_drawn(25, told_to_stop)
    assert quietly(run).stopped
    lines: list[str] = []
    assert same(adapter(train(run, resume=True, tell=lines.append)), adapter(whole))
    assert not any("asking the teacher" in line for line in lines)


def test_a_run_may_go_on_with_smaller_parts_of_a_step(made: Path, tmp_path: Path, when_drawn: Any) -> None:
    # With few numbers that are nearly 0: Adam makes as much of their rounding as of any other.
    whole = quietly(a_run(made, tmp_path / "whole", changes={"adapter": "none"}))
    run = a_run(made, tmp_path / "run", changes={"adapter": "none"})
    when_drawn(25, told_to_stop)
    assert quietly(run).stopped
    smaller = dataclasses.replace(run, device_batch=2, chunk=16, checkpointing=False)
    done = quietly(smaller, resume=True)
    assert [line["loss"] for line in log(done)] == pytest.approx([line["loss"] for line in log(whole)], rel=1e-5)
    with pytest.raises(BadInput, match="is another one: window was 4096 and is 512"):
        quietly(dataclasses.replace(run, window=512), resume=True)


def test_what_was_refused_leaves_no_run_behind(made: Path, tmp_path: Path) -> None:
    run = a_run(made, tmp_path / "run", "sad", teacher=str(tmp_path))
    with pytest.raises(BadInput, match="holds no tokenizer"):
        quietly(run)
    with pytest.raises(BadInput, match="there is no run in"):
        quietly(run, resume=True)
    assert quietly(dataclasses.replace(run, teacher=str(made / "teacher"), steps=1)).steps == 1


# -- what is computed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{}, {"loss.weights": "learned"}, {"loss.projection": "true"}, {"curriculum.strength": "0.5"}]
)
def test_parts_without_any_reasoning_add_up_to_the_same_step(
    changes: dict[str, str], made: Path, tmp_path: Path
) -> None:
    changes = {"optimisation.batch": "4", "curriculum.order": "shuffled", "adapter": "none"} | changes
    cut = [
        log(
            quietly(a_run(made, tmp_path / str(size), "sad", changes, teacher=str(made / "teacher"), device_batch=size))
        )
        for size in (1, 4)
    ]
    keys = ["reason", "act", "alpha", "grad_norm", "loss"]
    for left, right in zip(*cut, strict=True):
        assert [left[key] for key in keys] == pytest.approx([right[key] for key in keys], rel=1e-3)


def test_data_without_any_reasoning_are_learned(made: Path, tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "silent.jsonl")
    for one, _ in read_trajectories([made / "data.jsonl"]).found[::3]:
        store.append(one)
    for number, changes in enumerate(({}, {"loss.weights": "learned"}, {"loss.projection": "true"})):
        run = a_run(made, tmp_path / str(number), "sad", changes, teacher=str(made / "teacher"), held_out=0.2)
        trained = quietly(dataclasses.replace(run, data=(store.path,), steps=10))
        assert trained.after["act"] < trained.before["act"]
        assert "reason" not in trained.after
        assert all(line["reason"] == 0 for line in log(trained))


@pytest.mark.parametrize("adapter", ["{rank=4}", "none"])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_before_and_after_are_computed_alike(adapter: str, precision: str, made: Path, tmp_path: Path) -> None:
    # The one step is of the warmup, and so its learning rate is 0.
    changes = {"optimisation.warmup": "0.5", "adapter": adapter}
    trained = quietly(a_run(made, tmp_path / "run", changes=changes, steps=1, precision=precision, device="cpu"))
    assert trained.after == trained.before
    assert json.loads((tmp_path / "run" / "run.json").read_text())["bf16"] is (precision == "bf16")


@pytest.mark.parametrize("adapter", ["{rank=4}", "none"])
def test_bfloat16_on_a_processor_teaches_what_float32_teaches(adapter: str, made: Path, tmp_path: Path) -> None:
    lines = []
    for precision in ("bf16", "float32"):
        run = a_run(
            made, tmp_path / precision, changes={"adapter": adapter}, steps=15, precision=precision, device="cpu"
        )
        trained = quietly(run)
        assert trained.after["act"] < trained.before["act"] - 0.1
        lines.append([line["loss"] for line in log(trained)])
    assert lines[0] == pytest.approx(lines[1], rel=0.02)
    assert lines[0] != lines[1]


# -- what is told -----------------------------------------------------------------------------------------------------


def test_a_card_tells_every_step_and_no_folder_of_this_machine(made: Path, tmp_path: Path) -> None:
    teacher = str(made / "teacher")
    trained = quietly(
        a_run(
            made, tmp_path / "run", "sad", steps=3, log_every=50, teacher=teacher, cache=4, cache_folder=tmp_path / "c"
        )
    )
    card, told = ((trained.model / name).read_text() for name in ("README.md", "training.json"))
    assert "| steps | 3 of 8 rows |" in card
    assert "base_model: student\n" in card
    assert "| student | student |" in card
    assert "| teacher | teacher |" in card
    for text in (card, told):
        assert str(made) not in text
        assert str(tmp_path) not in text
    configuration = json.loads(told)["configuration"]
    assert (configuration["data"], configuration["cache_folder"]) == (["data.jsonl"], "c")


def test_lines_are_told_while_it_runs(made: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    train(a_run(made, tmp_path / "run", steps=4, log_every=2), tell=lines.append)
    steps = [line for line in lines if line.startswith("step ")]
    assert [line.split("  ")[0] for line in steps] == ["step 2 of 4", "step 4 of 4"]
    assert all("s a step" in line and "min left" in line for line in steps)
