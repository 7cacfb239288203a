"""Publishing: build, try, check the version step, rename into place. A kill leaves the old state or the new."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from boxwright.box.folder import BUILT_FILE, box_files, read_examples
from boxwright.box.interface import Step, changes, enough, step_between
from boxwright.box.names import version_key
from boxwright.box.release import Release
from boxwright.errors import BoxInvalid, RegistryError, ReleaseExists, StepTooSmall
from boxwright.files import writable, write_atomically
from boxwright.jsontypes import pretty
from boxwright.registry.build import build, example_faults, staged
from boxwright.registry.registry import Registry
from boxwright.sandbox import ToolRunner


async def publish(
    folder: Path, registry: Registry, runner: ToolRunner, *, record: dict[str, Any] | None = None
) -> Release:
    """Publish the box in the folder and return its release; `record` is kept beside it, outside the digest.

    Raises:
        BoxInvalid: The box has faults, or an example does not hold.
        RegistryError: A box of that name ships with the product.
        ReleaseExists: That version is published already.
        StepTooSmall: The version says less than what changed.
        BadInput: The registry folder cannot be written.
        SandboxError: Box code could not be run at all.
    """
    staging = registry.folder / ".staging"
    with registry.lock():
        shutil.rmtree(staging, ignore_errors=True)  # left by a kill; the lock is ours
        with writable(staging):
            pass
        async with staged(folder, staging) as stage:
            built = await build(stage, runner)
            release = built.release
            if built.faults:
                raise BoxInvalid(f"box {release.title}", built.faults)
            if registry.ships(release.name):
                raise RegistryError(
                    f"a box {release.name!r} ships with the product; rename yours, "
                    "or let it hide the shipped one with BOXWRIGHT_SHADOW=true"
                )
            if release.version in registry.versions(release.name):
                raise ReleaseExists(
                    f"box {release.title} is published already, and releases are never rewritten; raise the version"
                )
            await _check_step(release, registry, runner)
            home = registry.folder / release.name
            if (home / release.version).exists():
                raise RegistryError(f"{home / release.version} lies there without its record; move it away")
            with writable(home):
                pass
            kept = {"digest": release.digest, "examples": len(built.examples), **(record or {})}
            write_atomically(home / f"{release.version}.record.json", pretty(kept))
            stage.rename(home / release.version)
    return registry.get(release.name, release.version)


def same_source(folder: Path, release: Release) -> bool:
    """Say whether a release was published from the box in the folder."""
    ours, theirs = box_files(folder), box_files(release.folder)
    names = {*ours, *theirs} - {BUILT_FILE}
    return all(n in ours and n in theirs and ours[n].read_bytes() == theirs[n].read_bytes() for n in names)


async def _check_step(new: Release, registry: Registry, runner: ToolRunner) -> None:
    if not registry.versions(new.name):
        return
    earlier = [version for version in registry.usable(new.name) if version_key(version) < version_key(new.version)]
    if not earlier:
        return
    old = registry.get(new.name, max(earlier, key=version_key))
    needed: list[tuple[Step, str]] = list(changes(old.tools, new.tools))
    if not any(step == "major" for step, _ in needed):
        changed = await example_faults(new, read_examples(old.folder), runner)
        needed += [("minor", f"results changed under the same interface: {fault}") for fault in changed]
    taken = step_between(old.version, new.version)
    short = [f"{step}: {what}" for step, what in needed if not enough(taken, step)]
    if short:
        raise StepTooSmall(
            f"{new.version} is only a {taken} step from {old.version} of box {new.name}, but needs more:\n  - "
            + "\n  - ".join(short)
        )
