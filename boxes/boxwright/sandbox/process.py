"""The process "sandbox": a child process with resource limits. NOT a boundary: box code has the user's own rights.

It runs only releases that ship with the product, or that the user trusted by digest; it exists so that those work on a
machine without a real sandbox.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from pathlib import Path

from boxwright.box.release import Release
from boxwright.errors import SandboxMissing
from boxwright.sandbox.lines import LineSandbox
from boxwright.sandbox.local import LocalWorker, python_command
from boxwright.sandbox.packages import NO_PACKAGES, Packages
from boxwright.sandbox.rules import INSIDE, check_release, configuration
from boxwright.sandbox.trust import Trust


class _ScratchWorker(LocalWorker):
    """A worker whose scratch folder goes with it."""

    scratch: Path | None = None

    async def _kill(self) -> str:
        try:
            return await super()._kill()
        finally:
            if self.scratch is not None:
                shutil.rmtree(self.scratch, ignore_errors=True)


class Process(LineSandbox):
    """Runs each worker as a plain child process, for trusted releases only."""

    name = "process"

    def __init__(self, trust: Trust, better: str, packages: Packages = NO_PACKAGES) -> None:
        self._trust, self._packages = trust, packages
        self._better = better
        """How to get a real sandbox, for the refusal's message."""

    async def start(self, release: Release) -> LocalWorker:
        """See `Sandbox.start`."""
        check_release(release, platform.python_version())
        if not self._trust.covers(release.digest):
            raise SandboxMissing(
                f"box {release.title} may run only in a real sandbox, and there is none here: {self._better}. "
                f"To run it with your own rights all the same, read its tools.py in {release.folder}, then: "
                f"boxwright boxes trust {release.digest}"
            )
        environment = await self._packages.environment(release)
        scratch = Path(tempfile.mkdtemp(prefix="boxwright-"))
        config = configuration(
            release.manifest.limits,
            tools=str(release.folder.resolve() / "tools.py"),
            packages=str(environment or ""),
            scratch=str(scratch),
            uid=0,
            own_processes=False,
            seccomp=sys.platform == "linux",
        )
        try:
            worker = await _ScratchWorker.start([*python_command(), str(INSIDE / "worker.py")], config, release)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        worker.scratch = scratch
        return worker
