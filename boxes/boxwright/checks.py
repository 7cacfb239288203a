"""What `boxwright doctor` looks at: each check returns one finding and changes nothing."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from typing import Literal

from boxwright.errors import BoxwrightError
from boxwright.models import load_model
from boxwright.models.pocket import tuned
from boxwright.registry import open_registry
from boxwright.sandbox.bubblewrap import why_missing as bubblewrap_missing
from boxwright.sandbox.docker import why_missing as docker_missing
from boxwright.settings import Settings

EXTRAS = {
    "litellm": "teacher",
    "scipy": "compare",
    "docker": "docker",
    "xllamacpp": "gguf",
    "uv": "packages",
    "peft": "train",
    "opentelemetry.sdk": "telemetry",
}
"""A package of each extra."""
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: Literal["ok", "gap", "fault"]
    found: str
    mend: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Return all findings."""
    return [
        _python(),
        *await asyncio.to_thread(_sandboxes, settings),
        _registry(settings),
        _home(settings),
        *(_extra(package, extra) for package, extra in EXTRAS.items()),
        _pocket(settings),
        await _ollama(settings),
        _keys(settings),
    ]


def _python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _sandboxes(settings: Settings) -> list[Finding]:
    found = {
        "bubblewrap": (bubblewrap_missing(), str(shutil.which("bwrap"))),
        "docker": (docker_missing(settings.docker_image), f"an engine, with the image {settings.docker_image}"),
    }
    trusted_only = all(missing for missing, _ in found.values())
    return [_sandbox(name, missing, where, trusted_only) for name, (missing, where) in found.items()]


def _sandbox(name: str, missing: str | None, where: str, trusted_only: bool) -> Finding:
    if missing is None:
        return Finding(f"sandbox {name}", "ok", where)
    why, _, mend = missing.partition(";")
    note = ": only boxes that ship, or that you trusted, run" if trusted_only else ""
    return Finding(f"sandbox {name}", "gap", why + note, mend.strip())


def _registry(settings: Settings) -> Finding:
    try:
        registry = open_registry(settings)
        names = registry.boxes()
        for name in names:
            registry.releases(name)  # reading a release verifies it
    except BoxwrightError as error:
        return Finding("registry", "fault", str(error), "see the message; `boxwright boxes verify` checks again")
    return Finding("registry", "ok", f"{len(names)} boxes: {', '.join(names)}")


def _home(settings: Settings) -> Finding:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    if os.access(folder, os.W_OK) and folder.is_dir():
        return Finding("home", "ok", str(settings.home))
    return Finding("home", "fault", f"{settings.home} cannot be written", "set BOXWRIGHT_HOME to a folder of yours")


def _extra(package: str, extra: str) -> Finding:
    if importlib.util.find_spec(package) is None:
        return Finding(f"extra {extra}", "gap", f"{package} is not installed", f"pip install 'boxwright[{extra}]'")
    return Finding(f"extra {extra}", "ok", f"{package} {importlib.metadata.version(package)}")


def _pocket(settings: Settings) -> Finding:
    try:
        uri = load_model("pocket", settings).uri
    except BoxwrightError as error:
        why, _, mend = str(error).partition(": ")
        return Finding("pocket", "gap", why, mend)
    return Finding("pocket", "ok", f"{uri}, fine-tuned for {', '.join(tuned()) or 'nothing'}")


async def _ollama(settings: Settings) -> Finding:
    import httpx
    import ollama

    wanted = settings.student.removeprefix("ollama/")
    try:
        listed = await ollama.AsyncClient(host=settings.ollama_url, timeout=3).list()
    except (ollama.ResponseError, httpx.HTTPError, ConnectionError):
        return Finding("Ollama", "gap", f"none at {settings.ollama_url}", "install Ollama, then: ollama serve")
    names = [str(model.model) for model in listed.models]
    if settings.student.startswith("ollama/") and not any(name in (wanted, f"{wanted}:latest") for name in names):
        return Finding("Ollama", "gap", f"runs, without the student {wanted}", f"ollama pull {wanted}")
    return Finding("Ollama", "ok", f"{len(names)} models at {settings.ollama_url}")


def _keys(settings: Settings) -> Finding:
    present = [key for key in KEYS if os.environ.get(key)]
    if present:
        return Finding("teacher's key", "ok", f"{', '.join(present)} set")
    return Finding("teacher's key", "gap", f"none set, for {settings.teacher}", "export OPENAI_API_KEY=…")
