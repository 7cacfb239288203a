"""Choosing the sandbox: the one asked for, or the best one this machine has."""

from __future__ import annotations

from boxwright.errors import SandboxMissing
from boxwright.sandbox.base import Sandbox
from boxwright.sandbox.bubblewrap import Bubblewrap, why_missing
from boxwright.sandbox.process import Process
from boxwright.sandbox.trust import Trust
from boxwright.settings import Settings


def choose_sandbox(settings: Settings) -> Sandbox:
    """Return the sandbox of the settings; `auto` takes bubblewrap where it works, else `process` for trusted boxes.

    Raises:
        SandboxMissing: The one asked for by name does not work here.
    """
    missing = why_missing() if settings.sandbox != "process" else "the process sandbox was asked for by name"
    if settings.sandbox == "bubblewrap" and missing:
        raise SandboxMissing(missing)
    if missing is None:
        return Bubblewrap()
    return Process(Trust(settings.home), missing)
