"""Boxes for tests, written into a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TOOLS = '''
"""Tools for a test."""


def double(number: int) -> int:
    """Double a number.

    Args:
        number: The number to double.
    """
    if number > 1000:
        raise ValueError(f"number must be at most 1000, got {number}")
    return 2 * number
'''
EXAMPLES: list[dict[str, Any]] = [
    {"tool": "double", "arguments": {"number": 1}, "result": 2},
    {"tool": "double", "arguments": {"number": -4}, "result": -8},
    {"tool": "double", "arguments": {"number": 2000}, "raises": "at most 1000"},
]
SLOW = '''
"""Takes its time."""
import time


def spin(seconds: float) -> str:
    """Keep a processor busy.

    Args:
        seconds: How long.
    """
    if seconds < 0:
        raise ValueError(f"seconds must not be negative, got {seconds}")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "done"
'''
SLOW_EXAMPLES: list[dict[str, Any]] = [
    {"tool": "spin", "arguments": {"seconds": 0}, "result": "done"},
    {"tool": "spin", "arguments": {"seconds": 0.01}, "result": "done"},
    {"tool": "spin", "arguments": {"seconds": -1}, "raises": "must not be negative"},
]


def write_box(
    folder: Path,
    tools: str = TOOLS,
    examples: list[dict[str, Any]] | None = None,
    *,
    name: str = "doubler",
    version: str = "1.0.0",
    extra: str = "",
) -> Path:
    """Write a box and return its folder; `extra` is more TOML."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    (folder / "box.toml").write_text(
        f'format = 1\nname = "{name}"\nversion = "{version}"\nsummary = "Doubles"\n'
        f'description = "Doubles a number."\nlicense = "Apache-2.0"\n'
        f'{extra}\n[provenance]\nmethod = "hand-written"\n'
    )
    (folder / "tools.py").write_text(tools)
    lines = [json.dumps(one) for one in (EXAMPLES if examples is None else examples)]
    (folder / "examples.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "README.md").write_text(f"# {name}\n")
    return folder
