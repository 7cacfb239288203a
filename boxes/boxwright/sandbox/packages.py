"""The packages boxes depend on: wheels only, checked by hash, from the user's list, each set installed once, read-only.

uv installs them, outside the sandbox: a wheel is unpacked and no code of it is run. Only workers import it.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from packaging.utils import canonicalize_name

from boxwright.box.folder import read_requirements
from boxwright.box.release import Release
from boxwright.box.requirements import missing_pins
from boxwright.errors import BadInput, BoxInvalid, ExtraMissing, SandboxMissing
from boxwright.files import writable
from boxwright.jsontypes import digest

INSTALL_SECONDS = 600.0
_WHEELS = ("--require-hashes", "--only-binary", ":all:", "--no-deps")


class Packages:
    """The environments of boxes under a folder, each named by the digest of what is in it."""

    def __init__(self, folder: Path, allowed: Sequence[str] = ()) -> None:
        """Keep environments in the folder, of allowed packages only."""
        self._folder = folder
        self._allowed = {canonicalize_name(name) for name in allowed}

    async def environment(self, release: Release, python: str = "") -> Path | None:
        """Return the folder of the release's packages, installed now if it is not there.

        None where it needs none, or can do without them and not all of them are allowed.

        `python` is the version inside, of a Linux of this machine's kind, where that is not the interpreter here.

        Raises:
            SandboxMissing: A package is not allowed, or cannot be installed.
            BoxInvalid: The pins cannot be read.
            ExtraMissing: uv is not installed.
        """
        if not release.manifest.dependencies:
            return None
        pinned = read_requirements(release.folder)
        if faults := missing_pins(release.manifest.dependencies, pinned):
            raise BoxInvalid(f"box {release.title}", faults)
        names = {package.name for package in pinned}
        if release.manifest.dependencies_optional and not names <= self._allowed:
            return None
        self._check_allowed(release, names)
        # never the file itself: two programs would read it, and could read it differently
        pins = "".join(f"{package.line}\n" for package in pinned)
        about = [pins, python or platform.python_version(), python or sys.platform, platform.machine()]
        target = self._folder / digest(about)[7:39]
        if not target.exists():
            with writable(self._folder):
                await self._install(release, pins, python, target)
        return target

    def _check_allowed(self, release: Release, names: set[str]) -> None:
        if refused := sorted(names - self._allowed):
            everything = ",".join(sorted(self._allowed | names))
            raise SandboxMissing(
                f"box {release.title} needs the packages {', '.join(refused)}, which are not on your list; if you "
                f"trust them, allow them with BOXWRIGHT_PACKAGES={everything}"
            )

    async def _install(self, release: Release, pins: str, python: str, target: Path) -> None:
        lock = await _acquired(FileLock(target.with_suffix(".lock"), thread_local=False))
        stage = target.with_name(f".stage-{target.name}")
        try:
            if target.exists():  # by who held the lock
                return
            _discard(stage)  # left by a kill
            stage.mkdir()
            status, _, said = await _uv(
                "pip", "install", "--quiet", *_arguments(python, stage), cwd=self._folder, stdin=pins
            )
            if status:
                raise SandboxMissing(f"the packages of box {release.title} could not be installed: {said}")
            _seal(stage)
            stage.rename(target)
        finally:
            _discard(stage)
            lock.release()


NO_PACKAGES = Packages(Path(os.devnull))
"""Allows none."""


async def pin(dependencies: Sequence[str]) -> str:
    """Return `requirements.txt` for what a manifest depends on and what that needs in turn, with hashes of wheels.

    Raises:
        BadInput: They cannot be resolved.
        ExtraMissing: uv is not installed.
    """
    options = ("--generate-hashes", "--universal", "--no-header", "--no-annotate", "--only-binary", ":all:", "--quiet")
    with tempfile.TemporaryDirectory() as empty:
        status, text, said = await _uv("pip", "compile", *options, "-", cwd=Path(empty), stdin="\n".join(dependencies))
    if status:
        raise BadInput(f"{', '.join(dependencies)} cannot be pinned: {said}")
    return text


async def _acquired(lock: FileLock) -> FileLock:
    """Take the lock without holding a thread meanwhile: others need them."""
    until = time.monotonic() + INSTALL_SECONDS
    while True:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            if time.monotonic() > until:
                raise SandboxMissing(f"another process has held {lock.lock_file} for {INSTALL_SECONDS:g} s") from None
            await asyncio.sleep(0.1)
        else:
            return lock


def _arguments(python: str, stage: Path) -> list[str]:
    # copies, since a link to uv's cache would share each file with every environment made from it
    into = [*_WHEELS, "--link-mode", "copy", "--target", str(stage), "-r", "-"]
    if python:  # another interpreter than ours, so nothing can be compiled for it here
        machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
        return [*into, "--python-version", python, "--python-platform", f"{machine}-manylinux_2_28"]
    interpreter = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
    return [*into, "--python", interpreter, "--compile-bytecode"]


async def _uv(*arguments: str, cwd: Path, stdin: str) -> tuple[int, str, str]:
    """Run uv; returns its exit status, its output, and the end of what it said.

    It runs in a folder of ours: uv reads settings from the one it is started in, and some of them turn wheels into
    sources, whose code it would run.
    """
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        _uv_program(), *arguments, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(INSTALL_SECONDS):
            output, said = await process.communicate(stdin.encode())
    except TimeoutError:
        return 1, "", f"uv took more than {INSTALL_SECONDS:g} seconds"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode(), said.decode(errors="replace").strip()[-500:]


def _uv_program() -> str:
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
        if found is None:
            raise ExtraMissing("a box with packages", "packages") from None
        return found


def _seal(folder: Path) -> None:
    """Make everything readable to the worker, whoever it is, and writable to nobody."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            (Path(place) / name).chmod(0o444)
        Path(place).chmod(0o555)


def _discard(folder: Path) -> None:
    """Remove a folder, sealed or not."""
    for place, _, _ in os.walk(folder):
        Path(place).chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
