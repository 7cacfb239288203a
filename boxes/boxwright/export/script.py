"""One Python script out of a release: the box's own source, and below it what calls or serves its functions."""

from __future__ import annotations

import ast
import builtins
import json
import re
from collections.abc import Sequence
from pathlib import Path
from pprint import pformat
from typing import Any

from boxwright.box.release import Release
from boxwright.errors import BadInput

_TEMPLATES = Path(__file__).parent / "templates"
_MARKER = "# pasted from here on\n"
_WIDTH = 110


def make_script(release: Release, template: str, function: str, dependencies: Sequence[str] = ()) -> bytes:
    """Return a script that ends in a call of the template's function, with inline metadata (PEP 723) at its top.

    Raises:
        BadInput: The box's source would mean something else in a script of its own.
    """
    source = (release.folder / "tools.py").read_text(encoding="utf-8-sig")
    about = pformat(_about(release), width=_WIDTH, sort_dicts=False)
    end = f'_BOXWRIGHT_BOX = {about}\n\nif __name__ == "__main__":\n    {function}(globals(), _BOXWRIGHT_BOX)\n'
    added = "\n\n".join([_pasted("calling"), _pasted(template), end])
    if fault := _fault(source, added):
        raise BadInput(f"box {release.title} cannot be exported as a script: its tools.py {fault}")
    return "\n\n".join([_header(release, dependencies), source.strip() + "\n", added]).encode()


def requirements(release: Release, dependencies: Sequence[str]) -> str:
    """Return what the script needs, as the TOML lines that PEP 723 and `pyproject.toml` share."""
    needed = json.dumps([*dependencies, *release.manifest.dependencies])
    return f"requires-python = {json.dumps(release.manifest.requires_python)}\ndependencies = {needed}\n"


def one_line(text: str) -> str:
    """Return a text with every run of white space and control characters as one space."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split())


def _fault(source: str, added: str) -> str:
    """Return why the box's source would not do in one file with what is added to it, or nothing."""
    if re.search(r"(?m)^# /// script\s*$", source):
        return "holds script metadata (PEP 723) of its own"
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        return f"is none for the Python that runs here: {error}"
    needed = {node.id for node in ast.walk(ast.parse(added)) if isinstance(node, ast.Name)} & set(dir(builtins))
    for node in statements:
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            return "has an `if __name__` of its own, which a script would run"
        if taken := needed & _defined(node):
            return f"gives the name {min(taken)!r}, which is Python's own, another meaning; rename it"
    return ""


def _defined(statement: ast.stmt) -> set[str]:
    """Return the names that a statement at the top of a module gives a meaning, some of them perhaps only inside it."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    found: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _header(release: Release, dependencies: Sequence[str]) -> str:
    metadata = "".join(f"# {line}\n" for line in requirements(release, dependencies).splitlines())
    about = {
        "box": f"{release.title}, {release.digest}",
        "summary": release.manifest.summary,
        "license": release.manifest.license,
        "made": release.origin,
    }
    facts = "".join(f"# {name}: {one_line(value)}\n" for name, value in about.items())
    return (
        f"# /// script\n{metadata}# ///\n#\n{facts}#\n"
        "# THIS RUNS WITHOUT A SANDBOX: the code below has all the rights of whoever starts it.\n"
        "# Exported by Boxwright, which itself runs boxes in a sandbox; read the code before you run it here.\n"
    )


def _about(release: Release) -> dict[str, Any]:
    tools = [{**tool.as_json(), "served": release.served(tool)} for tool in release.tools]
    return {"name": release.name, "version": release.version, "digest": release.digest, "tools": tools}


def _pasted(template: str) -> str:
    return (_TEMPLATES / f"{template}.py").read_text(encoding="utf-8").partition(_MARKER)[2].strip() + "\n"
