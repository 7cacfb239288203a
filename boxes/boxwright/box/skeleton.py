"""`boxwright boxes new`: a box folder to start from, whose own examples pass."""

from __future__ import annotations

from pathlib import Path

from boxwright.box.manifest import Manifest, Provenance, render_manifest
from boxwright.box.names import name_fault
from boxwright.errors import BadInput
from boxwright.files import writable

_TOOLS = '''"""Tools of the box {name}. Plain typed functions; every public one is a tool."""


def add(numbers: list[float]) -> float:
    """Add numbers up. Use it whenever a sum of two or more numbers is needed.

    Args:
        numbers: The numbers to add, at least one.
    """
    if not numbers:
        raise ValueError("numbers must hold at least one number, got none")
    return sum(numbers)
'''
_EXAMPLES = """\
{"tool": "add", "arguments": {"numbers": [1, 2, 3]}, "result": 6}
{"tool": "add", "arguments": {"numbers": [0.1, 0.2]}, "result": 0.3, "tolerance": 1e-9}
{"tool": "add", "arguments": {"numbers": []}, "raises": "at least one number"}
"""
_README = """# {name}

What it does, when to use it, and when not to.
"""


def write_skeleton(name: str, parent: Path) -> Path:
    """Write a box of that name into the parent folder and return its folder.

    Raises:
        BadInput: The name breaks the rules, or the folder is there already.
    """
    if fault := name_fault(name):
        raise BadInput(fault)
    folder = parent / name
    if folder.exists():
        raise BadInput(f"{str(folder)!r} is there already; choose another name or remove it")
    manifest = Manifest(
        format=1,
        name=name,
        version="0.1.0",
        summary="Adds numbers",
        description="Adds numbers up. Use it whenever a sum is needed. (Say here what yours does and when to use it.)",
        license="Apache-2.0",
        provenance=Provenance(method="hand-written"),
    )
    with writable(folder):
        (folder / "box.toml").write_text(render_manifest(manifest), encoding="utf-8")
        (folder / "tools.py").write_text(_TOOLS.replace("{name}", name), encoding="utf-8")
        (folder / "examples.jsonl").write_text(_EXAMPLES, encoding="utf-8")
        (folder / "README.md").write_text(_README.replace("{name}", name), encoding="utf-8")
    return folder
