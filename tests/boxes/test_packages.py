"""Boxes that need packages: pinned with hashes, allowed by name, installed once and read-only. The wheel is made here."""

import base64
import hashlib
import os
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from boxwright.box.folder import read_release
from boxwright.box.requirements import missing_pins, parse_requirements
from boxwright.errors import BoxInvalid, SandboxMissing
from boxwright.registry import Registry, publish
from boxwright.sandbox import ToolRunner
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.sandbox.packages import Packages, pin
from support.boxes import write_box

TOOLS = '''
"""Shouts."""
import shouting


def shout(text: str) -> str:
    """Shout a text.

    Args:
        text: What to shout.
    """
    if not text:
        raise ValueError("text must not be empty")
    return shouting.shout(text)


def spoil(really: bool) -> str:
    """Try to write into the package.

    Args:
        really: Whether to.
    """
    if not really:
        raise ValueError("really must be true")
    try:
        open(shouting.__file__, "a").write("x")
    except OSError as error:
        return f"refused: {error.strerror}"
    return "written"
'''
EXAMPLES = [
    {"tool": "shout", "arguments": {"text": "a"}, "result": "A!"},
    {"tool": "shout", "arguments": {"text": "b"}, "result": "B!"},
    {"tool": "shout", "arguments": {"text": ""}, "raises": "must not be empty"},
    *[{"tool": "spoil", "arguments": {"really": True}, "result": "refused: Permission denied"}] * 2,
    {"tool": "spoil", "arguments": {"really": False}, "raises": "must be true"},
]


def make_wheel(folder: Path, version: str = "1.0", name: str = "shouting") -> str:
    """Write a wheel of a package and return its hash."""
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": 'def shout(text):\n    return text.upper() + "!"\n',
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_record_hash(text)},{len(text)}\n" for path, text in files.items())
    files[f"{about}/RECORD"] = record + f"{about}/RECORD,,\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def _record_hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def wheel_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of wheels as the only index, and the hash of the wheel in it."""
    pytest.importorskip("uv", reason="the extra packages is not installed")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return make_wheel(wheels)


def shouter(folder: Path, requirements: str | None) -> Path:
    write_box(folder, TOOLS, EXAMPLES, name="shouter", extra='dependencies = ["shouting==1.0"]')
    if requirements is not None:
        (folder / "requirements.txt").write_text(requirements)
    return folder


@pytest.fixture
def environments(tmp_path: Path) -> Iterator[Path]:
    """The folder of environments, writable again at the end so that it can be removed."""
    folder = tmp_path / "environments"
    yield folder
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


@pytest.fixture
async def allowing(sandbox: Bubblewrap, environments: Path) -> AsyncIterator[ToolRunner]:
    async with ToolRunner(Bubblewrap(Packages(environments, ["Shouting"]))) as runner:
        yield runner


async def test_a_box_with_packages_is_published_and_called(
    wheel_hash: str, allowing: ToolRunner, environments: Path, tmp_path: Path
) -> None:
    box = shouter(tmp_path / "box", await pin(["shouting==1.0"]))
    registry = Registry(tmp_path / "registry")
    release = await publish(box, registry, allowing)
    assert await allowing.call(release, "shout", {"text": "hi"}) == "HI!"
    (environment,) = [path for path in environments.iterdir() if path.is_dir()]
    assert (environment / "shouting.py").stat().st_mode & 0o222 == 0
    assert (environment / "__pycache__").is_dir(), "compiled when it is installed, since workers write nothing"
    async with ToolRunner(Bubblewrap(Packages(environments))) as strict:
        with pytest.raises(SandboxMissing, match="allow them with BOXWRIGHT_PACKAGES=shouting"):
            await strict.call(release, "shout", {"text": "hi"})


async def test_a_wheel_that_has_another_hash_is_not_installed(
    wheel_hash: str, allowing: ToolRunner, environments: Path, tmp_path: Path
) -> None:
    box = shouter(tmp_path / "box", f"shouting==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(SandboxMissing, match=r"could not be installed[\s\S]*[Hh]ash"):
        await publish(box, Registry(tmp_path / "registry"), allowing)
    assert not [path for path in environments.iterdir() if path.is_dir()], "nothing half-made is left"


@pytest.mark.parametrize(
    ("requirements", "words"),
    [
        (None, "lacks it"),
        ("shouting==2.0 --hash=sha256:" + "0" * 64, "has 2.0"),
        ("shouting==1.0", "has no sha256 hash"),
        ("shouting>=1.0 --hash=sha256:" + "0" * 64, "not pinned to one version"),
        ("shouting==1.* --hash=sha256:" + "0" * 64, "not pinned to one version"),
        ("shouting @ https://elsewhere.example/x.whl --hash=sha256:" + "0" * 64, "not pinned"),
        ("--index-url https://elsewhere.example", "no pin such as"),
        ("-r other.txt", "no pin such as"),
        ("shouting==1.0 --hash=md5:abc", "has no sha256 hash"),
        ("shouting==1.0 --hash=sha256:" + "0" * 64 + " --global-option=x", "no pin such as"),
    ],
)
async def test_pins_that_are_none_are_refused(
    runner: ToolRunner, tmp_path: Path, requirements: str | None, words: str
) -> None:
    with pytest.raises(BoxInvalid, match=words):
        await publish(shouter(tmp_path / "box", requirements), Registry(tmp_path / "registry"), runner)


@pytest.mark.parametrize("trick", ["# \\", "# x \\\n--no-binary evil\n# \\", "--no-binary evil"])
async def test_what_is_installed_is_what_was_understood(
    wheel_hash: str, environments: Path, tmp_path: Path, trick: str
) -> None:
    evil = make_wheel(tmp_path / "wheels", "1.0", "evil")
    text = f"{await pin(['shouting==1.0'])}{trick}\nevil==1.0 --hash=sha256:{evil}\n"
    box = read_release(shouter(tmp_path / "box", text))
    try:
        environment = await Packages(environments, ["shouting"]).environment(box)
    except (BoxInvalid, SandboxMissing):
        return
    assert environment is not None
    assert not (environment / "evil.py").exists()


async def test_settings_of_the_folder_it_runs_in_are_not_followed(
    wheel_hash: str, environments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "uv.toml").write_text('[pip]\nno-binary = ["shouting"]\n')
    monkeypatch.chdir(project)
    box = read_release(shouter(tmp_path / "box", f"shouting==1.0 --hash=sha256:{wheel_hash}\n"))
    environment = await Packages(environments, ["shouting"]).environment(box)
    assert environment is not None
    assert (environment / "shouting.py").stat().st_nlink == 1, "a copy, not a link to uv's cache"


def test_pins_without_dependencies_are_a_fault() -> None:
    packages = parse_requirements("a==1 \\\n    --hash=sha256:" + "0" * 64 + "  # why\n\n# a comment\n")
    assert [(one.name, one.version) for one in packages] == [("a", "1")]
    assert "asks for none" in missing_pins([], packages)[0]


async def test_environments_are_installed_once_by_many_at_once(
    wheel_hash: str, environments: Path, tmp_path: Path
) -> None:
    import asyncio

    release = read_release(shouter(tmp_path / "box", await pin(["shouting==1.0"])))
    packages = [Packages(environments, ["shouting"]) for _ in range(4)]
    found = await asyncio.gather(*(one.environment(release) for one in packages))
    assert len(set(found)) == 1
    assert len([path for path in environments.iterdir() if path.is_dir()]) == 1
