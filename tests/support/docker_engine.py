"""A Docker engine for tests: the one that answers here, or one of our own on a socket of its own, which ends with us.

Its image is a plain Debian with Python, made once by debootstrap from whatever mirror apt is set up with, and kept in
the user's cache folder. `tools/docker.sh` installs what that takes.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from boxwright.sandbox.engine import USUAL_HOST

IMAGE = "boxwright-test:python3"
NEEDED = ("dockerd", "debootstrap", "tar", "apt-get")
INSTALL = "run: sh tools/docker.sh"
START_SECONDS = 60
MAKE_SECONDS = 900
UNNEEDED = ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt/lists", "var/log")


class NoEngine(Exception):
    """There is no engine here, and none can be started; says why."""


@dataclass(frozen=True)
class Running:
    """An engine that has the image."""

    host: str
    """As `DOCKER_HOST` spells it."""
    image: str = IMAGE


@contextmanager
def docker_engine() -> Iterator[Running]:
    """Give an engine with the image.

    Raises:
        NoEngine: There is none.
    """
    try:
        import docker
    except ImportError:
        raise NoEngine("the package docker is not installed; run: pip install 'boxwright[docker]'") from None
    host = os.environ.get("DOCKER_HOST") or USUAL_HOST
    with nullcontext(host) if _answers(host) else _own() as host:
        client = docker.APIClient(host, version="auto", timeout=120)
        try:
            if not client.images(IMAGE):
                repository, _, tag = IMAGE.partition(":")
                client.import_image_from_file(str(_archive()), repository=repository, tag=tag)
        finally:
            client.close()
        yield Running(host)


@contextmanager
def _own() -> Iterator[str]:
    missing = [name for name in NEEDED if not shutil.which(name)]
    if platform.system() != "Linux" or os.geteuid() != 0 or missing:
        raise NoEngine(f"no Docker engine answers, and none of our own can be started here; as root, {INSTALL}")
    folder = Path(tempfile.mkdtemp(prefix="boxwright-docker-"))
    host = f"unix://{folder}/docker.sock"
    # No network of any kind: nothing in these tests needs one, and the machine's rules stay as they are.
    command = ["dockerd", "--iptables=false", "--bridge=none", f"--host={host}", f"--data-root={folder / 'data'}"]
    command += [f"--exec-root={folder / 'exec'}", f"--pidfile={folder / 'pid'}"]
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(daemon, folder)
        yield host
    finally:
        daemon.terminate()
        with suppress(subprocess.TimeoutExpired):
            daemon.wait(START_SECONDS)
        daemon.kill()
        daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(daemon: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        if _answers(f"unix://{folder}/docker.sock"):
            return
        time.sleep(0.1)
    said = (folder / "log").read_text(errors="replace")[-500:]
    raise NoEngine(f"dockerd does not start here: {said}")


def _answers(host: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return host.startswith("unix://") and probe.connect_ex(host.removeprefix("unix://")) == 0


def _archive() -> Path:
    """Return the image's files as an archive, made where it is not there yet."""
    cache = user_cache_path("boxwright-tests", ensure_exists=True)
    archive = cache / f"{_codename()}-python3.tar"
    with FileLock(cache / "archive.lock"):
        if not archive.exists():
            with tempfile.TemporaryDirectory(dir=cache) as name:
                _bootstrap(Path(name) / "root", Path(name) / "made.tar")
                (Path(name) / "made.tar").rename(archive)
    return archive


def _bootstrap(root: Path, archive: Path) -> None:
    codename = _codename()
    mirrors = _output(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", f"Codename: {codename}"]
    )
    if not mirrors:
        raise NoEngine(f"apt has no mirror of {codename}, which the image for the tests is made from")
    _output(["debootstrap", "--variant=minbase", "--include=python3", codename, str(root), mirrors.split()[0]])
    for name in UNNEEDED:
        shutil.rmtree(root / name, ignore_errors=True)
    _output(["tar", "--directory", str(root), "--create", "--file", str(archive), "."])


def _codename() -> str:
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAKE_SECONDS, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise NoEngine(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout
