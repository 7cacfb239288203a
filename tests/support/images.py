"""Building and running the project's images: a base that holds the pinned packages, and the options of the compose file.

The base is made once, from the image that `docker_engine` gives, and kept in the user's cache folder: bubblewrap comes
from apt, the packages from pip, as everywhere else. What is built on it needs no network.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from filelock import FileLock
from platformdirs import user_cache_path

from boxwright.jsontypes import digest
from support.docker_engine import NoEngine, Running

ROOT = Path(__file__).parent.parent.parent
COMPOSE = ROOT / "docker-compose.yml"
NAMES = ("server", "student", "teacher")
BASE = "boxwright-test:packages"
PINS = ("teacher", "server", "student", "build")
"""In this order: the first that pins a package says it for all of them."""
PIP_SECONDS = 900
_RECIPE = """
FROM {image}
RUN mkdir -p /var/log/apt && apt-get update \\
 && apt-get install --yes --no-install-recommends bubblewrap && rm -rf /var/lib/apt/lists/*
COPY packages {packages}
"""
_USUAL = re.compile(r"\$\{\w+:-(.*?)\}")
"""A variable of the compose file, with what it is where it is not set."""
_WHERE = "import json, site, sys; print(json.dumps([sys.version_info[:2], site.getsitepackages()[0]]))"


class BuildFailed(Exception):
    """An image cannot be built; says how the build ended."""


@dataclass(frozen=True)
class Said:
    """How a container ended, and what it wrote."""

    status: int
    text: str


class Images:
    """An engine with the base image, on which the project's images are built and run.

    Raises:
        NoEngine: The base image is not there yet, and cannot be made.
    """

    def __init__(self, client: Any, running: Running) -> None:
        self.client = client
        self._own = f"boxwright-test-{os.getpid()}"
        """Begins the names of our volumes."""
        if not client.images(BASE):
            self._load(running.image)

    def remove(self) -> None:
        """Remove our volumes, and the images that were built."""
        for volume in self.client.volumes(filters={"name": self._own})["Volumes"] or ():
            self.client.remove_volume(volume["Name"], force=True)
        for name in NAMES:
            if self.client.images(f"boxwright-test:{name}"):
                self.client.remove_image(f"boxwright-test:{name}", force=True)

    def build(self, name: str) -> str:
        """Build the image of that folder without a network; returns its tag.

        Raises:
            BuildFailed: It cannot be built.
        """
        tag = f"boxwright-test:{name}"
        self._build(ROOT, tag, dockerfile=f"{name}/Dockerfile", buildargs={"BASE": BASE}, network_mode="none")
        return tag

    @contextmanager
    def running(self, service: str, command: list[str] | None = None, **different: Any) -> Iterator[str]:
        """Run a service of the compose file with its options, and no network; what is given here goes before them.

        `binds`, `entrypoint` and `environment` are as docker-py takes them, the rest is as the compose file has it.
        """
        options = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"][service]
        binds = [f"{self._own}-{one}" for one in options["volumes"]] + different.pop("binds", [])
        usual = {key: _USUAL.sub(r"\1", value) for key, value in options["environment"].items() if value}
        environment = {**usual, **different.pop("environment", {})}
        entrypoint = different.pop("entrypoint", None)
        made = self.client.create_container(
            f"boxwright-test:{service}",
            command,
            entrypoint=entrypoint,
            environment=environment,
            host_config=self._host_config({**options, **different}, binds),
        )["Id"]
        try:
            self.client.start(made)
            yield made
        finally:
            self.client.remove_container(made, force=True, v=True)

    def run(self, service: str, command: list[str], seconds: int = 120, **different: Any) -> Said:
        """Run a service to its end; see `running`."""
        with self.running(service, command, **different) as container:
            return self.ended(container, seconds)

    def ended(self, container: str, seconds: int = 120) -> Said:
        """Wait until the container ends."""
        status = self.client.wait(container, timeout=seconds)["StatusCode"]
        return Said(status, self.client.logs(container).decode(errors="replace"))

    def inside(self, container: str, command: list[str]) -> Said:
        """Run a command in a container that runs."""
        made = self.client.exec_create(container, command)["Id"]
        text = self.client.exec_start(made).decode(errors="replace")
        return Said(self.client.exec_inspect(made)["ExitCode"], text)

    def _host_config(self, options: dict[str, Any], binds: list[str]) -> dict[str, Any]:
        security = list(options.get("security_opt", []))
        unmasked = "systempaths=unconfined" in security
        if unmasked:  # the clients' own word, which they turn into what is set below
            security.remove("systempaths=unconfined")
        made: dict[str, Any] = self.client.create_host_config(
            binds=binds,
            network_mode=options.get("network_mode", "none"),
            extra_hosts=options.get("extra_hosts"),
            init=options["init"],
            read_only=options["read_only"],
            cap_drop=options["cap_drop"],
            pids_limit=options["pids_limit"],
            mem_limit=options["mem_limit"],
            security_opt=[_with_file(one) for one in security],
            tmpfs=dict((*one.split(":", 1), "")[:2] for one in options["tmpfs"]),
        )
        return {**made, **({"MaskedPaths": [], "ReadonlyPaths": []} if unmasked else {})}

    def _load(self, image: str) -> None:
        cache = user_cache_path("boxwright-tests", ensure_exists=True)
        pins = merged_pins()
        archive = cache / f"packages-{digest([pins, _RECIPE, self.client.inspect_image(image)['RootFS']])[7:19]}.tar"
        with FileLock(cache / "packages.lock"):
            if archive.exists():
                with archive.open("rb") as stream:
                    self.client.load_image(stream)
                return
            self._make(image, pins)
            for old in cache.glob("packages-*.tar"):
                old.unlink()
            part = archive.with_suffix(".part")
            with part.open("wb") as stream:
                stream.writelines(self.client.get_image(BASE))
            part.rename(archive)

    def _make(self, image: str, pins: str) -> None:
        asked = self.client.create_container(image, ["python3", "-c", _WHERE], network_disabled=True)["Id"]
        try:
            self.client.start(asked)
            (major, minor), packages = json.loads(self.ended(asked).text)
        finally:
            self.client.remove_container(asked, force=True)
        with tempfile.TemporaryDirectory(prefix="boxwright-packages-") as name:
            folder = Path(name)
            (folder / "pins.txt").write_text(pins)
            (folder / "Dockerfile").write_text(_RECIPE.format(image=image, packages=packages))
            install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder / "packages")]
            install += ["--python-version", f"{major}.{minor}", "--only-binary", ":all:", "--no-deps"]
            _output([*install, "--require-hashes", "-r", str(folder / "pins.txt")])
            _output([*install, "pip"])  # which no image of Debian's Python has
            try:
                self._build(folder, BASE, network_mode="host")
            except BuildFailed as error:
                raise NoEngine(f"what the images are built on cannot be made: {error}") from error

    def _build(self, folder: Path, tag: str, **options: Any) -> None:
        text = ""
        for line in self.client.build(path=str(folder), tag=tag, rm=True, forcerm=True, decode=True, **options):
            text += line.get("stream", "") + line.get("error", "")
            if "error" in line:
                raise BuildFailed(f"the image {tag} cannot be built: {text[-600:]}")


def merged_pins() -> str:
    """Return the pins of all images as one file, each package once."""
    found: dict[str, str] = {}
    for name in PINS:
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        for block in re.split(r"\n(?=\S)", text.strip()):
            found.setdefault(block.partition("==")[0], block)
    return "\n".join(found.values()) + "\n"


def _with_file(option: str) -> str:
    """Return a security option as the engine takes it: with the profile, in place of the name of its file."""
    name, value = re.split("[:=]", option, maxsplit=1)
    if name == "seccomp" and not value.startswith("{"):
        value = (ROOT / value).read_text(encoding="utf-8")
    return f"{name}={value}"


def _output(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise NoEngine(f"the base image cannot be made: {(done.stderr or done.stdout).strip()[-800:]}")
