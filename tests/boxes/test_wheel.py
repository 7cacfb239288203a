"""The built wheel: what it holds, and that the library in it is served."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from boxwright.sandbox.bubblewrap import Bubblewrap

pytestmark = pytest.mark.extended  # builds and installs: seconds that `make test` can spare
ROOT = Path(__file__).parent.parent.parent
PACKAGES = {"boxwright", *(f"boxwright_{name}" for name in ("server", "teacher", "student", "training", "compare"))}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_packages_the_library_and_what_they_read(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == PACKAGES
    for needed in (
        "boxwright/library/game_of_24/1.0.0/tools.py",
        "boxwright/library/game_of_24/1.0.0.record.json",
        "boxwright/pocket/adapter-game24.gguf",
        "boxwright/pocket/pocket-Q8_0.gguf",
        "boxwright/sandbox/trusted.json",
        "boxwright/sandbox/inside/worker.py",
        "boxwright/py.typed",
        "boxwright_teacher/prompts/draft.md",
        "boxwright_training/pocket/domains/boxes.txt",
        "boxwright_training/pocket/template.jinja",
        "boxwright_compare/fixtures/teacher.hand-written.jsonl",
    ):
        assert needed in names


async def test_an_installed_wheel_serves_its_library(wheel: Path, sandbox: Bubblewrap, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    environment = {**os.environ, "PYTHONPATH": str(target)}
    said = subprocess.run(
        [sys.executable, "-m", "boxwright", "boxes", "show", "game_of_24", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=tmp_path,
    )
    assert str(target) in said.stdout, said.stderr
    transport = StdioTransport(sys.executable, ["-m", "boxwright_server"], env=environment, cwd=str(tmp_path))
    async with Client(transport) as client:
        assert (await client.call_tool("game_of_24__solve", {"numbers": [3, 3, 8, 8]})).data == "8 / (3 - 8 / 3)"
