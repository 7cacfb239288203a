"""What the tests of training share: one thread, since these models are so small that a second one only waits."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """With other programs on the machine, waiting threads make a step take up to fifty times as long."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # for processes that are started
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
