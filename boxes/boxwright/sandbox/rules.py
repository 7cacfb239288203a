"""What all sandboxes agree on: which releases they may run, and what a worker is told and shown. Starts nothing."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from boxwright.box.folder import box_files, check_digest
from boxwright.box.manifest import Limits
from boxwright.box.release import Release
from boxwright.errors import SandboxMissing

INSIDE = Path(__file__).parent / "inside"
"""The files that run in the sandbox."""
PYTHON_OPTIONS = ("-P", "-s", "-S", "-B")
"""Of the interpreter inside: no paths but the standard library's, no bytecode written."""
SCRATCH_BYTES = 16 << 20
FIRST_UID, UIDS = 0x6B780000, 0x10000
"""A range far above any account, from which each worker takes the next one."""
_uids = itertools.count(random.randrange(UIDS))
PACKAGES = "/packages"
"""Where a worker sees the packages of its box."""
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",
}
"""The whole environment of box code: the same on every machine."""


def next_uid() -> int:
    """Return a user of its own for a worker: limits by user then count it alone."""
    return FIRST_UID + next(_uids) % UIDS


def configuration(limits: Limits, **differing: Any) -> dict[str, Any]:
    """Return the first line a worker reads; `differing` is what the sandbox decides."""
    return {
        "seconds": limits.seconds,
        "memory_mb": limits.memory_mb,
        "output_bytes": limits.output_bytes,
        "processes": limits.processes,
        "scratch_bytes": SCRATCH_BYTES,
        **differing,
    }


def shown(release: Release, environment: Path | None) -> dict[str, Path]:
    """Return what a worker is shown, read-only, beside its Python: where it sees it, and where it lies.

    Of the release these files and nothing else that lies there: only they have a digest.
    """
    files = {f"/box/{name}": path.resolve() for name, path in box_files(release.folder).items()}
    return {**files, "/inside": INSIDE, **({PACKAGES: environment.resolve()} if environment else {})}


def memory_bound(limits: Limits) -> int:
    """Return what all processes of a worker may take together, in bytes: the worker, a call, and what they run on."""
    return (2 * limits.memory_mb + 64) << 20


def over_memory(limits: Limits) -> str:
    """Return what is said of a worker that took more than that."""
    return f"the box's processes took more than {memory_bound(limits) >> 20} MB together"


def check_release(release: Release, python: str) -> None:
    """Check that the files on disk are still the release's, and that it asks for nothing a sandbox here cannot give.

    `python` is the version that runs inside.

    Raises:
        DigestMismatch: The files were changed.
        SandboxMissing: It asks for the network or for another Python.
    """
    manifest = release.manifest
    if manifest.permissions.network != "none":
        raise SandboxMissing(f"box {release.title} asks for the network, which no sandbox here grants yet")
    if not SpecifierSet(manifest.requires_python).contains(python, prereleases=True):
        raise SandboxMissing(f"box {release.title} asks for Python {manifest.requires_python}; this is {python}")
    check_digest(release)
