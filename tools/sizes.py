"""Fails where a file has 600 lines or more, or a function 80: both are split before they grow further."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

LONGEST_FILE, LONGEST_FUNCTION = 600, 80
FOLDERS = ("boxes/boxwright", "server", "teacher", "student", "compare", "tests", "benchmarks", "tools")


def main() -> int:
    """Print what is too long; returns 1 if anything is."""
    found = []
    for folder in FOLDERS:
        for path in sorted(Path(folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            lines = text.count("\n")
            if lines >= LONGEST_FILE:
                found.append(f"{path}: {lines} lines")
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = (node.end_lineno or node.lineno) - node.lineno + 1
                    if length >= LONGEST_FUNCTION:
                        found.append(f"{path}:{node.lineno}: {node.name} has {length} lines")
    print("\n".join(found) or "sizes: all files under 600 lines, all functions under 80")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
