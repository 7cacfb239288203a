"""The comparison: pairs, intervals, the exact test, and the demo from end to end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from boxwright.errors import BadInput
from boxwright.models import Usage
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.traces import TraceStore, Trajectory
from boxwright_compare.arms import ArmResult
from boxwright_compare.demo import STUDENTS
from boxwright_compare.paired import compare_pair, mcnemar, wilson
from boxwright_compare.report import verdict, write_report


def arm(name: str, *right: bool) -> ArmResult:
    trajectories = tuple(
        Trajectory(
            task=f"t{index}", prompt="p", messages=(), answer="a", ended="answered", right=one, model="m", usage=Usage()
        )
        for index, one in enumerate(right)
    )
    return ArmResult(name, "m", "", trajectories)


def test_pairs_are_counted_task_by_task() -> None:
    paired = compare_pair(arm("bare", True, True, False, False, False), arm("boxes", True, False, True, True, False))
    assert (paired.both, paired.only_first, paired.only_second, paired.neither) == (1, 1, 2, 1)
    assert (paired.hurt, paired.helped) == (("t1",), ("t2", "t3"))
    assert "only 'boxes' 2" in verdict(paired)


def test_the_exact_test_and_the_interval_are_the_textbooks() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(1, 9) == pytest.approx(22 / 1024)  # 2 * (C(10,0) + C(10,1)) / 2^10
    assert mcnemar(5, 5) == 1.0
    half = wilson(10, 20)
    assert half.low == pytest.approx(0.2993, abs=1e-4)
    assert half.high == pytest.approx(0.7007, abs=1e-4)
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


def test_arms_over_different_tasks_are_not_compared() -> None:
    with pytest.raises(BadInput, match="same tasks"):
        compare_pair(arm("bare", True), arm("boxes", True, True))


def test_a_report_is_written_in_both_forms_with_its_remarks(tmp_path: Path) -> None:
    paired = compare_pair(arm("bare", False), arm("boxes", True))
    markdown, machine = write_report(paired, "Title", tmp_path, ["Mind this."])
    assert "> Mind this." in markdown.read_text()
    assert json.loads(machine.read_text())["only_second"] == 1


def boxwright(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "boxwright", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, env=dict(os.environ))


def check_demo(out: Path, *, sandbox: str) -> None:
    done = boxwright("demo", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"sandbox {sandbox}" in done.stdout
    assert "hand-written completions" in done.stdout
    assert "a baseline that is no language model" in done.stdout
    assert "ollama/qwen3:8b" in done.stdout
    report = json.loads((out / "comparison.json").read_text())
    arms = {arm["name"]: arm for arm in (report["first"], report["second"], *report["others"])}
    assert {name: arm["model"].partition("@")[0] for name, arm in arms.items()} == STUDENTS
    assert all(arm["tasks"] == 20 for arm in arms.values())
    # A live model: how it fares is a figure and no test, but with the box it answers and without it cannot.
    assert arms["bare"]["right"] <= 4 and arms["boxes"]["right"] >= 16 and arms["tuned"]["right"] >= 16
    assert any("hand-written" in remark for remark in report["remarks"])
    box = out / "registry" / "game24_solver" / "1.0.0" / "box.toml"
    assert 'label = "hand-written"' in box.read_text()


def test_the_demo_runs_from_tasks_to_a_comparison_and_says_what_stands_in(sandbox: Bubblewrap, tmp_path: Path) -> None:
    check_demo(tmp_path / "out", sandbox="bubblewrap")


@pytest.mark.extended
def test_the_demo_runs_without_a_real_sandbox_since_all_it_runs_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOXWRIGHT_SANDBOX", "process")
    for _ in range(2):
        check_demo(tmp_path / "out", sandbox="process")


def test_compare_runs_a_suite_with_both_arms_and_a_second_run_finds_it_done(
    sandbox: Bubblewrap, tmp_path: Path
) -> None:
    arguments = ("compare", "game24", "--limit", "4", "--model", "rules", "--out", str(tmp_path / "out"))
    for _ in range(2):
        done = boxwright(*arguments, "--box", "game_of_24")
        assert "only 'boxes' 4" in done.stdout, done.stderr
    assert len(TraceStore(tmp_path / "out" / "boxes.jsonl").read()) == 4


async def test_the_committed_recording_is_what_the_hand_written_completions_give(
    sandbox: Bubblewrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support import demo_recording

    before = demo_recording.RECORDING.read_text(), demo_recording.TRUSTED.read_text()
    monkeypatch.setattr(demo_recording, "RECORDING", tmp_path / demo_recording.RECORDING.name)
    monkeypatch.setattr(demo_recording, "TRUSTED", tmp_path / "trusted.json")
    await demo_recording.main()
    assert (demo_recording.RECORDING.read_text(), demo_recording.TRUSTED.read_text()) == before
