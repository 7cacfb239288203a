"""Choosing the sandbox: the one asked for, or the best one this machine has."""

from __future__ import annotations

from boxwright.errors import SandboxMissing
from boxwright.sandbox.base import Sandbox
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.sandbox.bubblewrap import why_missing as bubblewrap_missing
from boxwright.sandbox.docker import Docker
from boxwright.sandbox.docker import why_missing as docker_missing
from boxwright.sandbox.packages import Packages
from boxwright.sandbox.process import Process
from boxwright.sandbox.trust import Trust
from boxwright.settings import Settings


def choose_sandbox(settings: Settings) -> Sandbox:
    """Return the sandbox of the settings.

    `auto` takes bubblewrap where it works, else Docker where an engine answers and has the image, else `process` for
    trusted boxes.

    Raises:
        SandboxMissing: The one asked for by name does not work here.
    """
    packages = Packages(settings.home / "packages", settings.packages)
    if settings.sandbox == "process":
        return Process(Trust(settings.home), "the process sandbox was asked for by name", packages)
    missing = []
    if settings.sandbox in ("auto", "bubblewrap"):
        why = bubblewrap_missing()
        if why is None:
            return Bubblewrap(packages)
        missing.append(why)
    if settings.sandbox in ("auto", "docker"):
        why = docker_missing(settings.docker_image)
        if why is None:
            return Docker(settings.docker_image, settings.home, packages)
        missing.append(why)
    if settings.sandbox != "auto":
        raise SandboxMissing(missing[0])
    return Process(Trust(settings.home), "; or else: ".join(missing), packages)
