"""The rules for names and versions of boxes and tools; each rule is one function that says what is wrong."""

from __future__ import annotations

import re

LONGEST_SERVED_NAME = 64
"""Clients and model APIs refuse longer tool names."""

_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
_VERSION = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})")


def name_fault(name: str) -> str | None:
    """Return what is wrong with a box's or tool's name, or None."""
    if _NAME.fullmatch(name) and len(name) <= LONGEST_SERVED_NAME - 3:
        return None
    return f"{name!r} is no name: use a-z, 0-9 and single _ between them, at most {LONGEST_SERVED_NAME - 3} characters"


def version_fault(version: str) -> str | None:
    """Return what is wrong with a version, or None."""
    return None if _VERSION.fullmatch(version) else f"{version!r} is no version: use MAJOR.MINOR.PATCH, digits only"


def version_key(version: str) -> tuple[int, int, int]:
    """Return a version's numbers, for sorting."""
    major, minor, patch = version.split(".")
    return int(major), int(minor), int(patch)


def served_name(box: str, tool: str) -> str:
    """Return the name under which a tool is served: `<box>__<tool>`."""
    return f"{box}__{tool}"


def served_name_fault(box: str, tool: str) -> str | None:
    """Return what is wrong with the name under which a tool would be served, or None."""
    name = served_name(box, tool)
    if len(name) <= LONGEST_SERVED_NAME:
        return None
    return f"{name!r} has {len(name)} characters; box and tool name together may have {LONGEST_SERVED_NAME - 2}"
