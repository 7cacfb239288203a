"""Rules about the code's shape that no tool checks for us."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMPONENTS = ("server", "teacher", "student", "compare")
PACKAGES = [
    "boxes/boxwright",
    *(f"{name}/boxwright_{name}" for name in COMPONENTS),
    "student/boxwright_training",
]
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_nobody_imports_a_command_module() -> None:
    for path in MODULES:
        if path.parent.name != "cli" and path.name != "__main__.py":
            assert not [name for name in imports(path) if name.startswith("boxwright") and ".cli" in name], path


@pytest.mark.parametrize("image", COMPONENTS[:3])
def test_an_image_has_every_folder_that_the_wheel_is_made_of(image: str) -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    docker = (ROOT / image / "Dockerfile").read_text(encoding="utf-8")
    for folder in build["targets"]["wheel"]["force-include"]:
        assert f"mkdir -p {folder}" in docker or f"COPY {folder.split('/')[0]} " in docker, folder


@pytest.mark.parametrize("heavy", ["torch", "transformers", "litellm", "scipy", "docker"])
def test_heavy_dependencies_are_imported_only_where_they_are_used(heavy: str) -> None:
    for path in MODULES:
        if "boxwright_training" in path.parts:  # imported by who trains, and by nobody else
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = getattr(node, "module", None) or ""
            assert heavy not in [name.split(".")[0] for name in (*names, module)], path


def test_every_module_opens_with_what_it_is_for() -> None:
    for path in MODULES:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text, path


def test_code_that_runs_in_the_sandbox_is_standard_library_only() -> None:
    import sys

    for path in (ROOT / "boxes/boxwright/sandbox/inside").glob("*.py"):
        assert {name.split(".")[0] for name in imports(path)} <= {*sys.stdlib_module_names, ""}, path
