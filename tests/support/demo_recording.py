"""Turns the hand-written completions into the demo's recording, and lists the digests that are trusted.

Run it after a change of prompts, fixtures, worker or library: `python tests/support/demo_recording.py`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RECORDING = ROOT / "compare/boxwright_compare/fixtures/teacher.hand-written.jsonl"
TRUSTED = ROOT / "boxes/boxwright/sandbox/trusted.json"
sys.path.insert(0, str(HERE.parent))

from boxwright.box import Release  # noqa: E402
from boxwright.jsontypes import pretty  # noqa: E402
from boxwright.models import Completion, Recorded, ToolCall  # noqa: E402
from boxwright.models.base import Request, RequestModel  # noqa: E402
from boxwright.registry import Registry  # noqa: E402
from boxwright.registry.registry import library_folder  # noqa: E402
from boxwright.sandbox import Sandbox  # noqa: E402
from boxwright.sandbox.bubblewrap import Bubblewrap  # noqa: E402
from boxwright.sandbox.local import LocalWorker  # noqa: E402
from boxwright.tasks import Suite, load_suite  # noqa: E402
from boxwright_teacher.mine import Mined, Miner  # noqa: E402
from boxwright_teacher.run_folder import RunFolder  # noqa: E402
from support.hand_written.attempts import ATTEMPTS  # noqa: E402  # found beside this file when it is run as a script

LIMIT = 10


class HandWritten(RequestModel):
    """Gives the completions a person wrote: the turn of an attempt by its task, the round of a draft by its number."""

    uri = "hand-written"
    label = "hand-written"

    def __init__(self, suite: Suite) -> None:
        self._tasks = {task.prompt: task.id for task in suite.tasks}

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        turn = sum(message.role == "assistant" for message in request.messages)
        question = next(message.content for message in request.messages if message.role == "user")
        return self.turn(question, turn)

    def turn(self, question: str, turn: int) -> Completion:
        """Return what is said to this first question after so many turns."""
        if question not in self._tasks:
            return Completion(text=_draft(turn + 1, question))
        said = ATTEMPTS[self._tasks[question]][turn]
        code = said.get("code") or (_program(said["run"], self._tasks[question]) if "run" in said else None)
        calls = () if code is None else (ToolCall(id=f"call_{turn}", name="python", arguments={"code": code}),)
        return Completion(text=said["say"], tool_calls=calls, finish="tool_calls" if calls else "stop")


class Watching(Bubblewrap):
    """A sandbox that notes which releases were run in it."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: dict[str, str] = {}

    async def start(self, release: Release) -> LocalWorker:
        self.ran[release.digest] = f"demo: {release.title}"
        return await super().start(release)


def _program(name: str, task: str) -> str:
    numbers = ", ".join(task.split("-")[1:])
    return (HERE / "hand_written" / f"{name}.txt").read_text(encoding="utf-8").replace("NUMBERS", numbers)


def _draft(round_: int, question: str) -> str:
    tasks = [line.split()[1].rstrip(":") for line in question.splitlines() if line.startswith("Task game24-")]
    calls = [
        json.dumps({"task": task, "tool": "solve", "arguments": {"numbers": [int(n) for n in task.split("-")[1:]]}})
        for task in tasks
    ]
    text = (HERE / "hand_written" / f"draft-{round_}.md").read_text(encoding="utf-8")
    return text.replace("CALLS", "\n".join(calls))


async def mine(run: Path, teacher: Recorded | HandWritten, sandbox: Sandbox) -> Mined:
    """Mine game24 as the demo does."""
    suite = load_suite("game24")
    folder = RunFolder(run, {"suite": suite.name})
    registry = Registry(run / "registry")
    tasks = suite.split("build", LIMIT)
    miner = Miner(suite, tasks, teacher, folder, sandbox, registry, dollars=1.0, tokens=10_000_000)
    return await miner.run(concurrency=1)


async def main() -> None:
    """Write the recording and the list of trusted digests."""
    with tempfile.TemporaryDirectory() as name:
        run = Path(name)
        mined = await mine(run / "record", HandWritten(load_suite("game24")), Bubblewrap())
        RECORDING.write_text((run / "record" / "completions.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
        # Replayed once more, under the recording's own name, for the digests the demo will see.
        watching = Watching()
        replayed = await mine(run / "replay", Recorded(RECORDING), watching)
        assert mined.kept == replayed.kept
        assert replayed.box, replayed.faults
        library = Registry(library_folder())
        trusted = set(library.boxes()) - {"python"}  # which runs any code, so only a real sandbox may run it
        shipped = {one.digest: f"library: {one.title}" for box in sorted(trusted) for one in library.releases(box)}
        TRUSTED.write_text(pretty({**shipped, **watching.ran, **_built(Path(replayed.candidate))}), encoding="utf-8")
        print(f"{replayed.box}, kept {len(replayed.kept)}, rounds {replayed.rounds}; {len(watching.ran)} digests")  # noqa: T201


def _built(candidate: Path) -> dict[str, str]:
    from boxwright.box.folder import files_digest

    return {files_digest(candidate): "demo: the mined box before it is built"}


if __name__ == "__main__":
    asyncio.run(main())
