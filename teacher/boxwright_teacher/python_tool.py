"""Python for the teacher: each run of code is a throwaway box in the sandbox, trusted no more than any other."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boxwright.box import Limits, Manifest, Release
from boxwright.box.folder import read_release
from boxwright.box.manifest import Provenance, render_manifest
from boxwright.errors import ModelMayRetry
from boxwright.jsontypes import digest
from boxwright.models import ToolDefinition
from boxwright.sandbox import Sandbox
from boxwright_student import ToolOutcome

DEFINITION = ToolDefinition(
    name="python",
    description="Run Python code (standard library only) and return what it prints.",
    parameters={
        "type": "object",
        "properties": {"code": {"type": "string", "description": "The whole program."}},
        "required": ["code"],
        "additionalProperties": False,
    },
)
FAILED = "failed with "

_RUNNER = '''"""Runs the code in data/code.py and returns what it printed."""

import contextlib
import io
import pathlib

LONGEST = 4000
CODE = (pathlib.Path(__file__).parent / "data" / "code.py").read_text(encoding="utf-8")


def run() -> str:
    """Run the code."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(CODE, "code.py", "exec"), {"__name__": "__main__"})
    except SystemExit as error:
        if error.code not in (None, 0):
            printed.write(f"failed with SystemExit: {error.code}")
    except BaseException as error:
        printed.write(f"failed with {type(error).__name__}: {error}")
    text = printed.getvalue().strip() or "(nothing was printed)"
    return text if len(text) <= LONGEST else text[:LONGEST] + "… (cut)"
'''
_MANIFEST = Manifest(
    format=1,
    name="scratch",
    version="0.0.0",
    summary="Code that a teacher runs once",
    description="Code that a teacher runs once.",
    license="none",
    provenance=Provenance(method="mined"),
    limits=Limits(seconds=20.0),
)


class SandboxPython:
    """The teacher's one tool."""

    definitions: Sequence[ToolDefinition] = (DEFINITION,)

    digest = digest(DEFINITION.model_dump())

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def news(self) -> list[str]:
        """See `Toolset.news`."""
        return []

    def read_only(self, name: str) -> bool:
        """See `Toolset.read_only`: a run leaves nothing behind."""
        return True

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """See `Toolset.call`."""
        code = arguments.get("code")
        if not isinstance(code, str):
            return ToolOutcome(f"python wants its program in 'code' as a string, got {arguments!r:.200}", failed=True)
        folder = Path(tempfile.mkdtemp(prefix="boxwright-"))
        try:
            async with self._sandbox.worker(_scratch(code, folder)) as worker:
                printed = str(await worker.call("run", {}))
        except ModelMayRetry as error:
            return ToolOutcome(str(error), failed=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return ToolOutcome(printed, failed=FAILED in printed.rpartition("\n")[2])


def _scratch(code: str, folder: Path) -> Release:
    folder.chmod(0o755)
    (folder / "data").mkdir(mode=0o755)
    files = {
        "box.toml": render_manifest(_MANIFEST),
        "tools.py": _RUNNER,
        "examples.jsonl": "",
        "README.md": "",
        "data/code.py": code,
    }
    for name, text in files.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
    return read_release(folder)
