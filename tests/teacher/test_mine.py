"""Mining: hand-written completions through the real seam, sandbox and registry; and kills at random moments."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from boxwright.box.manifest import Provenance
from boxwright.errors import BoxInvalid, BudgetSpent, RecordInvalid
from boxwright.models import Completion, Recorded, Scripted, Usage
from boxwright.registry import Registry, open_registry, publish
from boxwright.sandbox import ToolRunner
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.settings import Settings
from boxwright.tasks import load_suite
from boxwright.traces import TraceStore
from boxwright_teacher.draft import read_draft, write_draft
from boxwright_teacher.estimate import estimate
from boxwright_teacher.mine import Miner, code_of
from boxwright_teacher.python_tool import SandboxPython
from boxwright_teacher.run_folder import RunFolder
from support.model_server import model_server

RECORDING = Path(str(resources.files("boxwright_compare").joinpath("fixtures", "teacher.hand-written.jsonl")))
SUITE = load_suite("game24")
HAND_WRITTEN = Path(__file__).parent.parent / "support" / "hand_written"


def miner(run: Path, teacher: Any, sandbox: Bubblewrap, registry: Registry, **changes: Any) -> Miner:
    budget = {"dollars": 1.0, "tokens": 10_000_000, **changes}
    return Miner(SUITE, SUITE.split("build", 10), teacher, RunFolder(run, {}), sandbox, registry, **budget)


async def test_hand_written_completions_become_a_verified_box(
    sandbox: Bubblewrap, runner: ToolRunner, registry: Registry, tmp_path: Path
) -> None:
    said: list[str] = []
    mined = await miner(tmp_path / "run", Recorded(RECORDING), sandbox, registry, say=said.append).run()
    assert (mined.attempted, mined.right, len(mined.kept), mined.rounds) == (10, 9, 8, 2)
    faults = json.loads((tmp_path / "run" / "draft-1.faults.json").read_text())
    assert len(faults) == 2
    assert "(3-(8/3))" in faults[0]  # floating point misses it: the first draft was sent back with this
    release = await publish(Path(mined.candidate), registry, runner)
    origin = release.manifest.provenance
    assert (origin.method, origin.label, origin.teacher) == ("mined", "hand-written", f"recorded/{RECORDING.name}")
    assert "hand-written" in (release.folder / "README.md").read_text()
    assert "hand-written" in json.loads((tmp_path / "run" / "ledger.json").read_text())["label"]
    assert await runner.call(release, "solve", {"numbers": [3, 3, 8, 8]}) == "(8 / (3 - (8 / 3)))"


async def test_a_finished_run_is_replayed_without_asking(
    sandbox: Bubblewrap, registry: Registry, tmp_path: Path
) -> None:
    first = await miner(tmp_path / "run", Recorded(RECORDING), sandbox, registry).run()
    silent = Scripted([])
    again = await miner(tmp_path / "run", silent, sandbox, registry).run()
    assert silent.requests == []
    assert (again.kept, again.box) == (first.kept, first.box)


async def test_a_spent_budget_stops_the_run_which_goes_on_later(
    sandbox: Bubblewrap, registry: Registry, tmp_path: Path
) -> None:
    recorded = [json.loads(line) for line in RECORDING.read_text().splitlines()]
    for row in (row for row in recorded[1:] if "completions" in row):
        row["completions"][0]["usage"] = {"prompt_tokens": 100}
    priced = tmp_path / RECORDING.name
    priced.write_text("\n".join(map(json.dumps, recorded)))
    with pytest.raises(BudgetSpent, match="BOXWRIGHT_BUDGET_TOKENS"):
        await miner(tmp_path / "run", Recorded(priced), sandbox, registry, tokens=1000).run()
    mined = await miner(tmp_path / "run", Recorded(priced), sandbox, registry).run()
    assert mined.box == "game24_solver 1.0.0"


async def test_no_kept_attempt_makes_no_box_and_says_why(
    sandbox: Bubblewrap, registry: Registry, tmp_path: Path
) -> None:
    mined = await miner(tmp_path / "run", Scripted(["24"] * 10), sandbox, registry).run()
    assert mined.box == ""
    assert "nothing to make a tool of" in mined.faults[0]


async def test_a_draft_that_never_passes_ends_after_its_rounds(
    sandbox: Bubblewrap, registry: Registry, tmp_path: Path
) -> None:
    class Hopeless(Recorded):
        async def answer(self, request: Any) -> list[Completion]:
            if not request.tools:
                return [Completion(text="I cannot.")]
            return await super().answer(request)

    mined = await miner(tmp_path / "run", Hopeless(RECORDING), sandbox, registry).run()
    assert (mined.box, mined.rounds) == ("", 3)
    assert len(mined.faults) == 4  # each of the four blocks is missing


def test_a_run_folder_of_other_inputs_is_refused(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run", {"suite": "a", "teacher": "x"})
    RunFolder(tmp_path / "run", {"suite": "a", "teacher": "x"})
    with pytest.raises(RecordInvalid, match="teacher differ; choose another folder with --run"):
        RunFolder(tmp_path / "run", {"suite": "a", "teacher": "y"})


def test_all_faults_of_a_draft_are_told_to_its_teacher() -> None:
    text = (
        '```json box\n[1]\n```\n```jsonl examples.jsonl\n{"tool": 3}\n```\n```jsonl calls.jsonl\n{"task": "a"}\n```\n'
    )
    with pytest.raises(BoxInvalid) as caught:
        read_draft(text)
    told = " ".join(caught.value.faults)
    assert "'tools.py' is missing" in told
    assert "not a JSON object" in told
    assert "examples.jsonl line 1" in told
    assert "calls.jsonl line 1" in told


def test_what_a_teacher_says_of_its_box_must_fit_the_manifest(tmp_path: Path) -> None:
    draft = read_draft((HAND_WRITTEN / "draft-2.md").read_text().replace("CALLS", ""))
    bad = draft.__class__({**draft.about, "name": "Bad Name", "summary": 7}, draft.tools, draft.examples, ())
    with pytest.raises(BoxInvalid, match="name"):
        write_draft(bad, tmp_path / "x", "1.0.0", Provenance(method="mined"))


@pytest.mark.parametrize(
    ("code", "printed", "failed"),
    [
        ("print(6 * 7)", "42", False),
        ("", "(nothing was printed)", False),
        ("print(1)\n1 / 0", "1\nfailed with ZeroDivisionError: division by zero", True),
        ("raise SystemExit(3)", "failed with SystemExit: 3", True),
        ("def f(:", "failed with SyntaxError", True),
        ("import os; print(os.listdir('/home'))", "No such file or directory", True),
        ("print('x' * 9000)", "… (cut)", False),
        (7, "wants its program", True),
    ],
)
async def test_the_teachers_python_runs_in_the_sandbox(
    sandbox: Bubblewrap, code: object, printed: str, failed: bool
) -> None:
    outcome = await SandboxPython(sandbox).call("python", {"code": code})
    assert printed in outcome.text
    assert outcome.failed is failed


def test_the_estimate_comes_before_the_run() -> None:
    assert str(estimate(10, "recorded/x")).endswith("about $0.00")
    assert str(estimate(10, "openai/x@http://y")).endswith("no price known")


def _answers() -> Any:
    """Return an answerer over HTTP that gives the hand-written completions, found by the conversation's text."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("demo_recording", HAND_WRITTEN.parent / "demo_recording.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    said = module.HandWritten(SUITE)

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.05)
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        question = next(message["content"] for message in body["messages"] if message["role"] == "user")
        completion = said.turn(question, turn)
        calls = [(call.name, json.dumps(call.arguments)) for call in completion.tool_calls]
        return {"content": completion.text, "calls": calls}

    return answer


@pytest.mark.extended
def test_a_run_killed_five_times_never_asks_again_for_what_it_had(sandbox: Bubblewrap, tmp_path: Path) -> None:
    moments = random.Random(24)
    with model_server(_answers()) as server:
        command = [sys.executable, "-m", "boxwright", "mine", "game24", "--limit", "10", "--run", str(tmp_path / "run")]
        command += ["--teacher", f"openai/counted@{server.url}/v1", "--registry", str(tmp_path / "r"), "--publish"]
        for _ in range(5):
            before = len(server.requests)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None and len(server.requests) - before < moments.randint(1, 4):
                time.sleep(0.01)
            time.sleep(moments.random() * 0.2)
            process.send_signal(signal.SIGKILL)
            process.wait()
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=dict(os.environ))
        assert done.returncode == 0, done.stderr
        assert "published game24_solver 1.0.0" in done.stdout
        asked = [json.dumps(request["messages"]) for request in server.requests]
    kept = (tmp_path / "run" / "completions.jsonl").read_text().splitlines()[1:]
    whole = [row for row in map(_row, kept) if "request" in row]
    assert len({row["request"] for row in whole}) == len(whole) == len(set(asked))
    # Only what was under way at a kill, at most four requests each time, may have been asked twice.
    assert len(asked) - len(set(asked)) <= 5 * 4


def _row(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:
        return {}


async def test_trajectories_of_attempts_are_kept_with_their_label(
    sandbox: Bubblewrap, registry: Registry, tmp_path: Path
) -> None:
    await miner(tmp_path / "run", Recorded(RECORDING), sandbox, registry).run()
    kept = TraceStore(tmp_path / "run" / "attempts.jsonl").read()
    assert {one.label for one in kept} == {"hand-written"}
    assert {one.split for one in kept} == {"build"}
    mended = next(one for one in kept if one.task == "game24-4-7-11-13")
    assert "NameError" in mended.messages[3].content
    assert "def search" in code_of(mended)


def test_usage_adds_up() -> None:
    total = Usage(prompt_tokens=1, dollars=0.5) + Usage(completion_tokens=2, seconds=1.0)
    assert (total.tokens, total.dollars, total.seconds) == (3, 0.5, 1.0)


def test_a_dry_run_sends_nothing_and_prints_the_prompts(settings: Settings) -> None:
    command = [
        sys.executable,
        "-m",
        "boxwright",
        "mine",
        "game24",
        "--dry-run",
        "--teacher",
        "openai/x@http://127.0.0.1:9",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert "Do not compute in your head" in done.stdout
    assert "10 build tasks" in done.stderr
    assert open_registry(settings).boxes() == ["calculator", "dates", "game_of_24", "python"]
