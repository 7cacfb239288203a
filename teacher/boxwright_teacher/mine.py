"""Mining: attempt → keep → draft → verify → candidate, each stage kept in the run folder and replayed after a kill."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from boxwright.box import Release
from boxwright.box.manifest import Provenance
from boxwright.box.names import version_key
from boxwright.errors import BoxInvalid, ModelMayRetry, NotFound, WorkerLost
from boxwright.files import write_atomically
from boxwright.jsontypes import canonical, pretty
from boxwright.models import Budgeted, ChatModel, Message, Recorded
from boxwright.registry import Registry, build, staged
from boxwright.sandbox import Sandbox, ToolRunner
from boxwright.tasks import Suite, Task, score
from boxwright.tasks.task import tasks_digest
from boxwright.traces import TraceStore, Trajectory
from boxwright_student import Agent, Bounds
from boxwright_student.suite_run import run_tasks
from boxwright_teacher.draft import Draft, read_draft, write_draft
from boxwright_teacher.prompt_files import prompt, prompts_digest
from boxwright_teacher.python_tool import SandboxPython
from boxwright_teacher.run_folder import RunFolder

ROUNDS = 3
"""Drafts that are tried before the run gives up."""
SHOWN_TASKS = 4
"""Kept attempts that the draft is made from: those with the shortest code."""
ATTEMPT_BOUNDS = Bounds(steps=6, tokens=60_000, max_tokens=4096)
DRAFT_TOKENS = 8192


@dataclass
class Mined:
    """What a run made and what it took."""

    attempted: int = 0
    right: int = 0
    kept: list[str] = field(default_factory=list)
    """Ids of the tasks whose attempts were right and computed something."""
    rounds: int = 0
    box: str = ""
    """Name and version of the candidate; empty where there is none."""
    candidate: str = ""
    """Its folder."""
    faults: list[str] = field(default_factory=list)
    """Why there is no candidate."""


class Miner:
    """One mining run of one suite's tasks with one teacher."""

    def __init__(
        self,
        suite: Suite,
        tasks: Sequence[Task],
        teacher: ChatModel,
        folder: RunFolder,
        sandbox: Sandbox,
        registry: Registry,
        *,
        dollars: float,
        tokens: int,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._suite, self._tasks, self._folder, self._say = suite, tasks, folder, say
        self._sandbox, self._registry = sandbox, registry
        self._teacher = teacher
        # Replays are free, but what they took when they were made is spent: a second start gets no second budget.
        self._budget = Budgeted(teacher, dollars=dollars, tokens=tokens)
        self.model = Recorded(folder.completions, self._budget)
        self._budget.spent = self.model.usage

    async def run(self, *, concurrency: int = 4, on_attempt: Callable[[Trajectory], None] | None = None) -> Mined:
        """Run what is not done yet and return the outcome.

        Raises:
            BudgetSpent: The budget is used up; the same command goes on where this stopped.
            ModelError: The teacher could not answer.
            CallerMustHandle: The run folder, the sandbox or the tasks cannot be used.
        """
        if done := self._finished():
            self._say(f"this run is finished: box {done.box}")
            return done
        trajectories = await self._attempt(concurrency, on_attempt)
        kept = [one for one in trajectories if one.right and code_of(one)]
        mined = Mined(len(trajectories), sum(bool(one.right) for one in trajectories), [one.task for one in kept])
        self._say(f"{mined.right} of {mined.attempted} attempts right, {len(kept)} of them by computing: kept")
        if kept:
            await self._draft(kept, mined)
        else:
            mined.faults.append(
                "no attempt was both right and computed in Python, so there is nothing to make a tool of"
            )
        self._write_ledger(mined)
        return mined

    def _finished(self) -> Mined | None:
        """Return what this run came to, if its candidate is still there; a person may have edited that since."""
        if not self._folder.ledger.exists():
            return None
        ledger = json.loads(self._folder.ledger.read_text(encoding="utf-8"))
        mined = Mined(**{one.name: ledger[one.name] for one in fields(Mined)})
        return mined if mined.box and Path(mined.candidate).is_dir() else None

    async def _attempt(self, concurrency: int, on_attempt: Callable[[Trajectory], None] | None) -> list[Trajectory]:
        tools = SandboxPython(self._sandbox)
        agent = Agent(self.model, tools, system=prompt("attempt"), bounds=ATTEMPT_BOUNDS)
        store = TraceStore(self._folder.attempts)
        return await run_tasks(agent, self._tasks, self._suite.name, store, concurrency=concurrency, on_done=on_attempt)

    async def _draft(self, kept: list[Trajectory], mined: Mined) -> None:
        shown = sorted(kept, key=lambda one: (len(code_of(one)), one.task))[:SHOWN_TASKS]
        messages = [Message(role="user", content=prompt("draft", solved=_solved(shown)))]
        for mined.rounds in range(1, ROUNDS + 1):
            completion = (await self.model.complete(messages, max_tokens=DRAFT_TOKENS))[0]
            write_atomically(self._folder.draft(mined.rounds), completion.text)
            try:
                draft = read_draft(completion.text)
                release = await self._verify(draft, shown)
            except BoxInvalid as error:
                mined.faults = list(error.faults)
                write_atomically(self._folder.faults(mined.rounds), pretty(mined.faults))
                self._say(
                    f"draft {mined.rounds} failed {len(mined.faults)} checks, among them: {mined.faults[0][:200]}"
                )
                faults = "\n".join(f"- {fault}" for fault in mined.faults)
                messages += [completion.message(), Message(role="user", content=prompt("repair", faults=faults))]
                continue
            mined.faults, mined.box, mined.candidate = [], release.title, str(release.folder)
            self._say(f"draft {mined.rounds} passed: box {release.title}")
            return

    async def _verify(self, draft: Draft, shown: list[Trajectory]) -> Release:
        """Build the draft in the sandbox and have its tools answer the tasks it came from.

        Raises:
            BoxInvalid: With everything that was found.
        """
        if self._registry.ships(draft.name):
            raise BoxInvalid("the draft", [f"a box {draft.name!r} ships with the product; choose another name"])
        provenance = Provenance(
            method="mined",
            teacher=self._teacher.uri,
            label=self._teacher.label or None,
            prompts=prompts_digest(),
            tasks=tasks_digest([self._suite.task(one.task) for one in shown]),
        )
        folder = self._folder.candidate("draft")
        shutil.rmtree(folder.parent, ignore_errors=True)
        manifest = write_draft(draft, folder, self._next_version(draft.name), provenance)
        async with ToolRunner(self._sandbox) as runner, staged(folder) as stage:
            try:
                built = await build(stage, runner)
            except WorkerLost as error:  # its source does not compile, its import fails or hangs
                raise BoxInvalid("the draft", [str(error)]) from error
            faults = [*built.faults, *await self._origin_faults(draft, built.release, shown, runner)]
            if faults:
                raise BoxInvalid(f"box {built.release.title}", faults)
        final = folder.rename(self._folder.candidate(manifest.name))
        return Release(final, manifest, built.release.tools, built.release.digest)

    async def _origin_faults(
        self, draft: Draft, release: Release, shown: list[Trajectory], runner: ToolRunner
    ) -> list[str]:
        calls = {call.task: call for call in draft.calls}
        faults = [f"calls.jsonl has no call for the task {one.task!r}" for one in shown if one.task not in calls]
        for one in shown:
            if one.task not in calls:
                continue
            call = calls[one.task]
            try:
                result = await runner.call(release, call.tool, call.arguments)
            except ModelMayRetry as error:
                faults.append(f"task {one.task!r}: {call.tool} failed: {error}")
                continue
            outcome = score(self._suite.task(one.task), result if isinstance(result, str) else canonical(result))
            if not outcome.right:
                faults.append(f"task {one.task!r}: the result of {call.tool} does not answer it: {outcome.reason}")
        return faults

    def _next_version(self, name: str) -> str:
        try:
            highest = max((one.version for one in self._registry.releases(name)), key=version_key)
        except NotFound:
            return "1.0.0"
        major, minor, _ = version_key(highest)
        return f"{major}.{minor + 1}.0"

    def _write_ledger(self, mined: Mined) -> None:
        spent = self._budget.spent
        write_atomically(
            self._folder.ledger,
            pretty(
                {
                    "teacher": self._teacher.uri,
                    "label": self._teacher.label,
                    **vars(mined),
                    "tokens": spent.tokens,
                    "dollars": spent.dollars,
                    "model_seconds": round(spent.seconds, 3),
                    "dollars_per_kept_attempt": spent.dollars / len(mined.kept) if mined.kept else None,
                }
            ),
        )


def code_of(trajectory: Trajectory) -> str:
    """Return the code of the attempt's last Python call that worked, or nothing."""
    # In their order, not by id: some servers number the calls of every message from 0 again.
    calls = [call for message in trajectory.messages for call in message.tool_calls]
    outcomes = [message.content for message in trajectory.messages if message.role == "tool"]
    worked = [call for call, outcome in zip(calls, outcomes, strict=False) if not outcome.startswith("Error: ")]
    codes = [str(call.arguments.get("code", "")) for call in worked if call.name == "python"]
    return codes[-1] if codes else ""


def _solved(shown: list[Trajectory]) -> str:
    parts = [
        f"Task {one.task}: {one.prompt}\nAnswer: {one.answer}\n```python\n{code_of(one).strip()}\n```" for one in shown
    ]
    return "\n\n".join(parts)
