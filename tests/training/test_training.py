"""A training run: what it learns, that it goes on exactly where it stopped, and what it says where something is wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the training tests need torch (the extra 'train')")
pytest.importorskip("peft", reason="the training tests need peft (the extra 'train')")

from click.testing import CliRunner, Result  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from boxwright.errors import BadInput, RecordInvalid  # noqa: E402
from boxwright_training.cli.train import train as command  # noqa: E402
from boxwright_training.loss import TeacherInvalid  # noqa: E402
from boxwright_training.recipes import load_recipe  # noqa: E402
from boxwright_training.training import Run, Trained, train  # noqa: E402
from support.tiny_models import CHATML, MISTRAL, tiny_student, tiny_tokenizer  # noqa: E402

pytestmark = [
    pytest.mark.extended,
    # transformers and TensorBoard speak of their own next versions.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]
FULL = {"adapter": "none", "optimisation.learning_rate": "0.01"}


def a_run(made: Path, out: Path, recipe: str = "sad", changes: dict[str, str] | None = None, **given: Any) -> Run:
    loaded = load_recipe(recipe, FULL if changes is None else changes)
    given = {"steps": 6, "device_batch": 4, "held_out": 0.25, "log_every": 1, "save_every": 50} | given
    if loaded.loss.teacher:
        given.setdefault("teacher", str(made / "teacher"))
    data = given.pop("data", (made / "data.jsonl",))
    return Run(data=data, model=str(given.pop("model", made / "student")), out=out, recipe=loaded, **given)


def told(run: Run, *, resume: bool = False) -> tuple[Trained, list[str]]:
    lines: list[str] = []
    return train(run, resume=resume, tell=lines.append), lines


def log(trained: Trained) -> list[dict[str, float]]:
    lines: list[dict[str, float]] = json.loads((trained.model / "training.json").read_text())["log"]
    return [line for line in lines if "loss" in line]


@pytest.mark.parametrize("recipe", ["sad", "token-kl", "kang", "fireact"])
def test_every_recipe_teaches_a_student_and_says_how_well(recipe: str, made: Path, tmp_path: Path) -> None:
    changes = {"optimisation.learning_rate": "0.02", "optimisation.batch": "8"}
    trained, lines = told(a_run(made, tmp_path / "run", recipe, changes, steps=30))
    assert trained.after["act"] < trained.before["act"]
    assert trained.after["acts"] == trained.before["acts"] > 0
    assert (trained.model / "adapter_model.safetensors").exists()
    card = (trained.model / "README.md").read_text()
    assert f"recipe `{recipe}`" in card
    assert "acts that are exact" in card
    assert any("40 trajectories read (40 boxwright)" in line for line in lines)
    assert list((tmp_path / "run" / "logs").iterdir())


def test_reasoning_is_learned_without_any_tool_by_the_cot_recipe(made: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no trajectory is left to learn"):
        train(a_run(made, tmp_path / "run", "cot"))


def test_the_loss_does_not_depend_on_how_a_step_is_cut_into_parts(made: Path, tmp_path: Path) -> None:
    parts = [train(a_run(made, tmp_path / str(size), device_batch=size)) for size in (1, 2, 8)]
    first = log(parts[0])
    for other in map(log, parts[1:]):
        for key in ("loss", "reason", "act", "grad_norm"):
            assert [line[key] for line in other] == pytest.approx([line[key] for line in first], rel=2e-5)


def test_a_cached_teacher_says_what_the_teacher_says(made: Path, tmp_path: Path) -> None:
    vocabulary = len(tiny_tokenizer())
    asked = train(a_run(made, tmp_path / "asked", steps=3))
    cached, lines = told(a_run(made, tmp_path / "cached", steps=3, cache=vocabulary))
    # Cached log-probabilities are of 16 bits.
    assert [line["reason"] for line in log(cached)] == pytest.approx([line["reason"] for line in log(asked)], rel=2e-2)
    assert any(line.startswith("asking the teacher of") for line in lines)
    again, lines = told(
        a_run(made, tmp_path / "again", steps=3, cache=vocabulary, cache_folder=tmp_path / "cached" / "teacher-cache")
    )
    assert not any(line.startswith("asking the teacher of") for line in lines)
    assert log(again) == log(cached)


def test_alpha_and_beta_are_learned_and_never_saved_as_weights(made: Path, tmp_path: Path) -> None:
    changes = FULL | {"loss.weights": "learned", "optimisation.weights_rate": "0.1"}
    trained = train(a_run(made, tmp_path / "run", changes=changes, steps=8))
    lines = log(trained)
    # The larger term weighs less, as in Kendall et al.
    assert lines[-1]["beta"] < lines[0]["beta"]
    assert lines[-1]["alpha"] > lines[0]["alpha"]
    assert not any("span_weights" in name for name in load_file(trained.model / "model.safetensors"))
    assert max(line["grad_norm"] for line in lines) < 10


def test_weights_go_on_a_straight_line_where_the_recipe_says_so(made: Path, tmp_path: Path) -> None:
    lines = log(
        train(a_run(made, tmp_path / "run", changes=FULL | {"loss.beta": "1.0", "loss.beta_end": "3.0"}, steps=4))
    )
    assert [line["beta"] for line in lines] == pytest.approx([1.5, 2.0, 2.5, 3.0])


def test_gradients_can_be_projected(made: Path, tmp_path: Path) -> None:
    lines = log(train(a_run(made, tmp_path / "run", changes=FULL | {"loss.projection": "true"}, steps=3)))
    assert all(-1 <= line["cosine"] <= 1 for line in lines)
    plain = log(train(a_run(made, tmp_path / "plain", steps=3)))
    assert lines[0]["loss"] == pytest.approx(plain[0]["loss"], rel=1e-5)


def test_a_run_that_was_killed_goes_on_to_the_very_same_weights(made: Path, tmp_path: Path) -> None:
    changes = {"optimisation.learning_rate": "0.01", "adapter.dropout": "0.1", "loss.weights": "learned"}
    whole = train(a_run(made, tmp_path / "whole", changes=changes, steps=24, save_every=5))
    arguments = _arguments(made, tmp_path / "killed", changes, 24)
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for(lambda: _saved(tmp_path / "killed"), process)
    process.kill()
    process.wait()
    assert not (tmp_path / "killed" / "model").exists()
    done = subprocess.run([*arguments, "--resume", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["steps"] == 24
    left, right = (
        load_file(folder / "adapter_model.safetensors") for folder in (whole.model, tmp_path / "killed" / "model")
    )
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_run_that_is_told_to_stop_ends_its_step_and_saves(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        _arguments(made, out, FULL, 5000), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    _wait_for(lambda: _saved(out), process)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "the same command with --resume goes on from" in printed


def test_two_processes_learn_what_one_learns(made: Path, tmp_path: Path) -> None:
    one = train(a_run(made, tmp_path / "one", device_batch=2, steps=8))
    for name, more in (("two", []), ("sharded", ["--fsdp"])):
        torchrun = [str(Path(sys.executable).with_name("torchrun")), "--standalone", "--nproc-per-node", "2", "-m"]
        arguments = [*_arguments(made, tmp_path / name, FULL, 8, batch=2)[2:], "--save-every", "50", *more]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run([*torchrun, *arguments], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        lines = [
            line
            for line in json.loads((tmp_path / name / "model" / "training.json").read_text())["log"]
            if "loss" in line
        ]
        for line, other in zip(log(one), lines, strict=True):
            assert line["loss"] == pytest.approx(other["loss"], abs=1e-4)
        assert done.stdout.count("8 steps; the model is in") == 1


def test_a_resume_saves_and_logs_as_often_as_it_is_told(made: Path, tmp_path: Path) -> None:
    run = a_run(made, tmp_path / "run", save_every=2, steps=4)
    train(run)
    shutil.rmtree(run.out / "checkpoint-4")
    again = train(dataclasses.replace(run, save_every=1), resume=True)
    assert [path.name for path in sorted(run.out.glob("checkpoint-*"))] == ["checkpoint-3", "checkpoint-4"]
    assert again.steps == 4
    assert not (again.model / "training_args.bin").exists()


def test_an_adapter_is_no_student(made: Path, tmp_path: Path) -> None:
    adapter = train(a_run(made, tmp_path / "run", "kang", {}, steps=1)).model
    with pytest.raises(BadInput, match="is an adapter, which another one would replace; merge it first"):
        train(a_run(made, tmp_path / "again", "kang", {}, model=adapter))


def test_a_resume_with_another_template_is_refused(made: Path, tmp_path: Path) -> None:
    template = tmp_path / "template.jinja"
    template.write_text(CHATML)
    run = a_run(made, tmp_path / "run", template=template, steps=2)
    train(run)
    template.write_text(CHATML.replace("# Tools", "# The tools"))
    with pytest.raises(BadInput, match="is another one: rows_digest was"):
        train(run, resume=True)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_run_whose_settings_are_damaged_cannot_be_resumed(text: str, made: Path, tmp_path: Path) -> None:
    run = a_run(made, tmp_path / "run", steps=1)
    run.out.mkdir()
    (run.out / "run.json").write_text(text)
    with pytest.raises(RecordInvalid, match="run.json .*begin it anew"):
        train(run, resume=True)


# -- what is wrong is said --------------------------------------------------------------------------------------------


def test_a_run_is_not_begun_over_another_and_not_resumed_as_another(made: Path, tmp_path: Path) -> None:
    run = a_run(made, tmp_path / "run", steps=2)
    train(run)
    with pytest.raises(BadInput, match="holds a run; add --resume"):
        train(run)
    with pytest.raises(BadInput, match="is another one: seed was 0 and is 1"):
        train(dataclasses.replace(run, seed=1), resume=True)
    with pytest.raises(BadInput, match="there is no run in"):
        train(dataclasses.replace(run, out=tmp_path / "none"), resume=True)


def test_a_teacher_with_other_tokens_is_refused_and_they_are_shown(made: Path, tmp_path: Path) -> None:
    tiny_student(tmp_path / "other", tiny_tokenizer(MISTRAL))
    with pytest.raises(BadInput, match=r"another tokenizer than the student \(\d+ tokens differ: "):
        train(a_run(made, tmp_path / "run", teacher=str(tmp_path / "other")))


@pytest.mark.parametrize("cache", [0, 8])
def test_a_teacher_that_says_nan_is_told_with_the_trajectory(cache: int, made: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    shutil.copytree(made / "teacher", tmp_path / "nan")
    teacher = AutoModelForCausalLM.from_pretrained(tmp_path / "nan")
    teacher.model.norm.weight.data[0] = float("nan")
    teacher.save_pretrained(tmp_path / "nan")
    with pytest.raises(TeacherInvalid, match=r"data\.jsonl:\d+"):
        train(a_run(made, tmp_path / "run", teacher=str(tmp_path / "nan"), cache=cache))


def test_a_full_disk_loses_no_checkpoint(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import Trainer

    plain = Trainer._save_optimizer_and_scheduler

    def full(self: Any, folder: str) -> None:
        if self.state.global_step > 2:
            raise OSError(28, "No space left on device")
        plain(self, folder)

    monkeypatch.setattr(Trainer, "_save_optimizer_and_scheduler", full)
    run = a_run(made, tmp_path / "run", save_every=2)
    with pytest.raises(BadInput, match=r"checkpoint of step 4 cannot be written.*No space left.*--resume"):
        train(run)
    assert [path.name for path in sorted(run.out.glob("*check*"))] == ["checkpoint-2"]
    assert not (run.out / ".saving").exists()
    monkeypatch.undo()
    assert train(run, resume=True).steps == 6


def test_a_loss_that_is_no_number_ends_the_run(made: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="training has diverged; lower the learning rate"):
        train(
            a_run(
                made, tmp_path / "run", changes=FULL | {"optimisation.learning_rate": "1e30", "optimisation.clip": "0"}
            )
        )


def test_memory_that_does_not_suffice_is_told_with_what_to_change(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from boxwright_training.span_trainer import SpanTrainer

    def exhausted(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(SpanTrainer, "compute_loss", exhausted)
    with pytest.raises(BadInput, match=r"out of memory.*--device-batch 1 \(is 4\).*a smaller --window \(is 4096\)"):
        train(a_run(made, tmp_path / "run"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "no/such-model"}, "no tokenizer 'no/such-model'"),
        ({"device_batch": 3}, "a step of 8 rows is no whole number of 1 processes with 3 rows each"),
        ({"window": 16}, "even its first turn does not fit a window of 16 tokens; set a larger --window"),
        ({"template": Path("no.jinja")}, "--template 'no.jinja' cannot be read"),
        ({"held_out": 0.9999}, "no trajectory is left to learn"),
    ],
)
def test_settings_that_do_not_fit_are_named(given: dict[str, Any], said: str, made: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said.replace("(", r"\(")):
        train(a_run(made, tmp_path / "run", **given))


def test_what_is_held_out_may_not_be_learned(made: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"40 of the held-out questions are in the training files too, the first at .*data.jsonl"
    ):
        train(a_run(made, tmp_path / "run", held_out_data=(made / "data.jsonl",)))


def test_the_command_says_what_is_missing_or_no_value() -> None:
    assert "--data and --model and --out missing" in _invoke().output
    assert "--set takes KEY=VALUE" in str(
        _invoke("--data", "x", "--model", "m", "--out", "o", "--set", "epochs").exception
    )
    wrong = _invoke("--data", "x", "--model", "m", "--out", "o", "--set", "loss.gamma=1").exception
    assert "loss.gamma: Extra inputs are not permitted" in str(wrong)


def _invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def _arguments(made: Path, out: Path, changes: dict[str, str], steps: int, batch: int = 4) -> list[str]:
    given = ["--data", made / "data.jsonl", "--model", made / "student", "--teacher", made / "teacher", "--out", out]
    given += ["--held-out", 0.25, "--device-batch", batch, "--steps", steps, "--log-every", 1, "--save-every", 5]
    given += [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "boxwright", "train", *map(str, given)]


def _saved(out: Path) -> bool:
    return any(out.glob("checkpoint-*"))


def _wait_for(condition: Any, process: subprocess.Popen[Any]) -> None:
    until = time.monotonic() + 90
    while not condition():
        assert process.poll() is None, "it ended before it had saved"
        assert time.monotonic() < until, "nothing was saved"
        time.sleep(0.02)
