"""Building a box: its tools described and its examples run, in the sandbox, on a copy that no one else writes to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from boxwright.box.examples import Example, coverage_faults
from boxwright.box.folder import BUILT_FILE, box_files, files_digest, read_examples, read_release, read_requirements
from boxwright.box.names import name_fault, served_name_fault
from boxwright.box.release import Release, ToolSpec
from boxwright.box.requirements import missing_pins
from boxwright.errors import BoxInvalid, ModelMayRetry, ToolRefused
from boxwright.jsontypes import canonical, pretty, same
from boxwright.sandbox import ToolRunner

_SHOWN = 200


@dataclass(frozen=True)
class Built:
    """A box that was built and tried."""

    release: Release
    """The staged copy, with its tools and digest."""
    examples: tuple[Example, ...]
    faults: tuple[str, ...]
    """What its examples showed to be wrong; empty where all hold."""


@asynccontextmanager
async def staged(folder: Path, where: Path | None = None) -> AsyncIterator[Path]:
    """Copy a box's files into a folder of ours, readable by any user; it is removed when the context ends.

    Raises:
        BoxInvalid: The folder is not a box.
    """
    files = box_files(folder)
    stage = Path(tempfile.mkdtemp(prefix="stage-", dir=where))
    try:
        for name, path in files.items():
            target = stage / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        for path in (stage, *stage.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


async def build(stage: Path, runner: ToolRunner) -> Built:
    """Describe the staged box's tools into `tools.json` and run its examples, each twice for determinism.

    Raises:
        BoxInvalid: The manifest, the source or the examples have faults that keep them from being tried.
        SandboxError: Box code could not be run at all.
    """
    (stage / BUILT_FILE).unlink(missing_ok=True)
    source = read_release(stage)
    examples = read_examples(stage)
    if faults := missing_pins(source.manifest.dependencies, read_requirements(stage)):
        raise BoxInvalid(f"box {source.title}", faults)
    async with runner.worker(source) as worker:
        described = await worker.describe()
    tools = [_tool(one, source) for one in described["tools"]]
    names = [tool.name for tool in tools]
    faults = [*described["faults"], *_name_faults(source.name, names), *coverage_faults(examples, names)]
    if faults:
        raise BoxInvalid(f"box {source.title}", faults)
    (stage / BUILT_FILE).write_text(
        pretty({"format": 1, "tools": [tool.as_json() for tool in tools]}), encoding="utf-8"
    )
    (stage / BUILT_FILE).chmod(0o644)
    release = replace(source, tools=tuple(tools), digest=files_digest(stage))
    return Built(release, tuple(examples), tuple(await example_faults(release, examples, runner)))


async def example_faults(release: Release, examples: list[Example], runner: ToolRunner) -> list[str]:
    """Run each example twice and return what went otherwise than recorded."""
    faults = []
    for number, example in enumerate(examples, start=1):
        outcomes = [await _outcome(release, example, runner) for _ in range(2)]
        where = f"example {number}, {example.tool}({_short(example.arguments)})"
        if fault := _judge(example, outcomes[0]):
            faults.append(f"{where}: {fault}")
        elif outcomes[0] != outcomes[1]:
            faults.append(f"{where}: not deterministic, a second call gave {_short(outcomes[1])}")
    return faults


async def _outcome(release: Release, example: Example, runner: ToolRunner) -> dict[str, Any]:
    try:
        return {"result": await runner.call(release, example.tool, example.arguments)}
    except ModelMayRetry as error:
        return {"raises": str(error), "refused": isinstance(error, ToolRefused), "error": type(error).__name__}


def _judge(example: Example, outcome: dict[str, Any]) -> str | None:
    if example.raises is None:
        if "result" not in outcome:
            return f"expected {_short(example.result)}, got {outcome['error']}: {outcome['raises']}"
        if not same(example.result, outcome["result"], example.tolerance):
            return f"expected {_short(example.result)}, got {_short(outcome['result'])}"
        return None
    if "result" in outcome:
        return f"expected a refusal with {example.raises!r}, got the result {_short(outcome['result'])}"
    if not outcome["refused"] and outcome["error"] != "ArgumentsInvalid":
        return f"expected ValueError with {example.raises!r}, got {outcome['error']}: {outcome['raises']}"
    if example.raises not in outcome["raises"]:
        return f"expected a refusal with {example.raises!r}, got {outcome['raises']!r}"
    return None


def _tool(described: dict[str, Any], release: Release) -> ToolSpec:
    # Box code can write nowhere and its state dies with the call, so these hold for every tool.
    hints = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True}
    network = release.manifest.permissions.network == "all"
    return ToolSpec(**described, annotations={**hints, "openWorldHint": network})


def _name_faults(box: str, tools: list[str]) -> list[str]:
    found = [fault for name in tools for fault in (name_fault(name), served_name_fault(box, name)) if fault]
    return [f"tool name {fault}" for fault in found]


def _short(value: Any) -> str:
    text = canonical(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
