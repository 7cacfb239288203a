"""What the tests of training share: one thread, since these models are so small that a second one only waits."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.tiny_models import tiny_student, tiny_tokenizer, tool_trajectories


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """With other programs on the machine, waiting threads make a step take up to fifty times as long."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # for processes that are started
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a student, a wider teacher with its tokenizer, and trajectories."""
    folder = tmp_path_factory.mktemp("made")
    tokenizer = tiny_tokenizer()
    tiny_student(folder / "student", tokenizer)
    tiny_student(folder / "teacher", tokenizer, seed=1, width=48)
    tool_trajectories(40, folder / "data.jsonl")
    return folder
