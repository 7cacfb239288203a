"""Fixtures that every test may use. Each test has a home of its own, and no key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from boxwright.registry import Registry
from boxwright.sandbox import Sandbox, ToolRunner
from boxwright.sandbox.bubblewrap import Bubblewrap, why_missing
from boxwright.sandbox.docker import Docker
from boxwright.settings import Settings
from support.docker_engine import NoEngine, Running, docker_engine

MISSING = why_missing()
SHARED_DATA = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXWRIGHT_HOME", str(tmp_path / "home"))
    for key in ("OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.delenv(key, raising=False)


@pytest.fixture
def settings() -> Settings:
    """The settings of this test's own home."""
    return Settings()


@pytest.fixture
def bubblewrap() -> Bubblewrap:
    """The bubblewrap sandbox, or a skip that says why there is none."""
    if MISSING:
        pytest.skip(MISSING)
    return Bubblewrap()


@pytest.fixture
def sandbox(bubblewrap: Bubblewrap) -> Sandbox:
    """The sandbox of tests that are not about one; others name their own."""
    return bubblewrap


@pytest.fixture(scope="session")
def engine() -> Iterator[Running]:
    """A Docker engine with an image, or a skip that says why there is none."""
    try:
        with docker_engine() as running:
            yield running
    except NoEngine as error:
        pytest.skip(str(error))


@pytest.fixture
def docker(engine: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """The Docker sandbox."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    return Docker(engine.image, tmp_path / "docker-home")


@pytest.fixture
async def runner(sandbox: Sandbox) -> AsyncIterator[ToolRunner]:
    """A runner over the test's sandbox."""
    async with ToolRunner(sandbox) as runner:
        yield runner


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty registry."""
    return Registry(tmp_path / "registry")


@pytest.fixture
def shared_data() -> Path:
    """The public data sets, or a skip where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no public data at {SHARED_DATA}")
    return SHARED_DATA
