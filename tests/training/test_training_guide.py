"""What the guide to training shows is run as it is written, on a tiny student and fewer trajectories."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from boxwright.sandbox.bubblewrap import Bubblewrap

pytest.importorskip("torch", reason="the training tests need torch (the extra 'train')")

from click.testing import CliRunner

from boxwright_training.cli.train import train
from boxwright_training.memory import SHAPES, estimate
from boxwright_training.recipes import recipe_names
from support.tiny_models import tiny_student, tiny_tokenizer

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = [
    line for line in GUIDE.partition("```sh\n")[2].partition("```")[0].splitlines() if "boxwright train" in line
]
SMALLER = {
    "--count 400": "--count 12",
    "--window 2048 --out": "--window 2048 --steps 2 --out",
    "--limit 50": "--limit 1",
}


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_the_guides_commands_lead_from_an_oracle_to_an_export(
    sandbox: Bubblewrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_student(tmp_path / "student", tiny_tokenizer(), positions=8192)
    assert len(COMMANDS) == 6
    for line in COMMANDS:
        line = line.replace("Qwen/Qwen3-0.6B", "student")
        for shown, run in SMALLER.items():
            line = line.replace(shown, run)
        words = shlex.split(line, comments=True)[2:]
        done = CliRunner().invoke(train, words, catch_exceptions=False)
        assert done.exit_code == 0, (line, done.output[-2000:])
    assert (tmp_path / "exported" / "model.gguf").exists()
    assert "FROM ./model.gguf" in (tmp_path / "exported" / "Modelfile").read_text()


def test_every_option_and_recipe_the_guide_names_is_there() -> None:
    known = {option for command in (train, *train.commands.values()) for one in command.params for option in one.opts}
    elsewhere = {"--nproc-per-node", "--logdir", "--lora", "--model", "--logprobs", "--first-thought", "--templates"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", GUIDE)) - elsewhere <= known
    assert set(re.findall(r"^\| `([a-z-]+)` \|", GUIDE, re.MULTILINE)) == set(recipe_names())


def test_the_guides_table_of_memory_is_what_the_command_computes() -> None:
    rows = re.findall(
        r"^\| ((?:Qwen|Llama)[\w.-]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", GUIDE, re.MULTILINE
    )
    assert len(rows) == len(SHAPES)
    for name, *told in rows:
        settings = [(64, 2048), (64, 4096), (64, 8192), (None, 4096)]
        computed = [estimate(SHAPES[name.lower()], rank=rank, window=window).total / 2**30 for rank, window in settings]
        assert [float(one) for one in told] == pytest.approx(computed, abs=0.06)
