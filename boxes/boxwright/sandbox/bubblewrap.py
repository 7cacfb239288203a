"""The bubblewrap sandbox (Linux): namespaces, a read-only root with only what Python needs, no network, no environment.

What a box sees: its own files, the standard library and shared libraries, an empty `/tmp` capped in size, a `/proc` of
its own. Started by root, the worker becomes a real user nobody else is; started by a user, it is that user inside a
user namespace of its own, and the first process there. Either way all of it dies when `bwrap` does.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from boxwright.box.release import Release
from boxwright.errors import SandboxMissing
from boxwright.sandbox.lines import LineSandbox
from boxwright.sandbox.local import LocalWorker, python_command, python_paths
from boxwright.sandbox.memory import MemoryWatch
from boxwright.sandbox.packages import NO_PACKAGES, Packages
from boxwright.sandbox.rules import PACKAGES, SCRATCH_BYTES, check_release, configuration, next_uid, shown

INSTALL = "install it with: sudo apt-get install bubblewrap (or your distribution's package of that name)"
SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")


class Bubblewrap(LineSandbox):
    """Runs each worker under `bwrap`."""

    name = "bubblewrap"

    def __init__(self, packages: Packages = NO_PACKAGES) -> None:
        self._packages = packages

    async def start(self, release: Release) -> LocalWorker:
        """See `Sandbox.start`."""
        check_release(release, platform.python_version())
        environment = await self._packages.environment(release)
        root = os.getuid() == 0
        config = configuration(
            release.manifest.limits,
            tools="/box/tools.py",
            packages=PACKAGES if environment else "",
            scratch="/tmp",  # noqa: S108  # the sandbox's own
            uid=next_uid() if root else 0,
            own_processes=True,
            seccomp=True,
        )
        command = [*_wrapping(shown(release, environment), root), *python_command(), "/inside/worker.py"]
        return await LocalWorker.start(command, config, release, self._watch)

    @cached_property
    def _watch(self) -> MemoryWatch:
        return MemoryWatch()


def why_missing() -> str | None:
    """Return why bubblewrap cannot be used here and what would mend it, or None where it works."""
    try:
        command = [_bwrap(), "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
        subprocess.run(command, check=True, capture_output=True, timeout=20, stdin=subprocess.DEVNULL)
    except SandboxMissing as error:
        return str(error)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        return f"bwrap is installed but cannot make namespaces here ({said}); allow user namespaces, or run as root"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bwrap is installed but does not run ({error}); {INSTALL}"
    return None


def _wrapping(files: Mapping[str, Path], root: bool) -> list[str]:
    command = [_bwrap(), "--die-with-parent", "--new-session", "--unshare-ipc", "--unshare-pid"]
    command += ["--unshare-uts", "--hostname", "box", "--unshare-cgroup-try", "--unshare-net"]
    if root:
        command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        # Of the same user as the worker, bwrap's own first process could be tampered with, so there is none. Of
        # another user, as above, it is out of reach, and needed: only it dies with bwrap, and all inside with it.
        command += ["--as-pid-1", "--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]
    # Before the rest, some of which may lie below it on this machine.
    command += ["--perms", "1777", "--size", str(SCRATCH_BYTES), "--tmpfs", "/tmp"]  # noqa: S108  # the sandbox's own
    system = _outermost([*map(Path, SYSTEM_LIBRARIES), *python_paths()])
    parents = {parent for path in [*system, *map(Path, files)] for parent in path.parents}
    for folder in sorted(parents - {Path("/")}):
        command += ["--perms", "0755", "--dir", str(folder)]  # bwrap would make them 0700, root's alone
    for path in system:
        command += ["--ro-bind", str(path), str(path)]
    for place, path in files.items():
        command += ["--ro-bind", str(path), place]
    # /dev is a file system of its own, with a writable shm in it: read-only, lest calls meet there
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev/pts", "--remount-ro", "/dev"]
    return [*command, "--remount-ro", "/", "--chdir", "/"]


def _bwrap() -> str:
    found = shutil.which("bwrap")
    if not found:
        raise SandboxMissing(f"bubblewrap is not installed; {INSTALL}")
    return found


def _outermost(paths: list[Path]) -> list[Path]:
    """Return the paths that exist, without those that lie inside another of them."""
    found = sorted({path for path in paths if path.exists()})
    return [path for path in found if not any(other in path.parents and not path.is_symlink() for other in found)]
