"""The official Inspector's command line against boxes, both eras, over HTTP and stdio."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from subprocess import CompletedProcess
from typing import Any

import pytest

from boxwright.sandbox.bubblewrap import Bubblewrap
from interop.clients import STDIO, Node, serving

pytestmark = pytest.mark.extended  # needs what tools/interop.sh installs
Inspect = Callable[..., CompletedProcess[str]]
REFUSED = 5
"""The exit code of a call that fails, and of one of a tool that is not there."""


@pytest.fixture(params=["http", "stdio"])
def target(request: pytest.FixtureRequest, sandbox: Bubblewrap) -> Iterator[list[str]]:
    """The Inspector's arguments for a server of boxes."""
    if request.param == "http":
        with serving("boxwright", "serve", "--http", "--port", "0") as url:
            yield [url, "--transport", "http"]
    else:
        known = [f"{name}={os.environ[name]}" for name in ("BOXWRIGHT_HOME", "PYTHONPATH") if name in os.environ]
        yield [*STDIO, "--transport", "stdio", *[word for one in known for word in ("-e", one)]]


@pytest.fixture(params=["legacy", "modern"])
def inspect(request: pytest.FixtureRequest, node: Node, target: list[str]) -> Inspect:
    """Runs the Inspector once, for a method and its options."""
    common = [*target, "--protocol-era", request.param, "--format", "json"]

    def run(method: str, *options: str) -> CompletedProcess[str]:
        launcher = "inspector/clients/launcher/build/index.js"
        return node.run(node.package(launcher, "--cli", *common, "--method", method, *options))

    return run


def result(done: CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)["result"]


def test_the_inspector_lists_and_calls(inspect: Inspect) -> None:
    listed = inspect("tools/list", "--strict")  # strict: exits with 6 where a schema is not portable
    assert listed.returncode == 0, listed.stderr
    assert {"dates__weekday", "game_of_24__solve"} <= {tool["name"] for tool in result(listed)["tools"]}
    called = inspect("tools/call", "--tool-name", "game_of_24__solve", "--tool-arg", "numbers=[3,3,8,8]")
    assert called.returncode == 0, called.stderr
    assert result(called)["structuredContent"] == {"result": "8 / (3 - 8 / 3)"}


def test_the_inspector_tells_a_refused_call_and_an_unknown_tool(inspect: Inspect) -> None:
    refused = inspect("tools/call", "--tool-name", "dates__weekday", "--tool-arg", "day=2001-13-11")
    assert refused.returncode == REFUSED, refused.stderr
    assert "day must be a real date as YYYY-MM-DD, got '2001-13-11'" in result(refused)["content"][0]["text"]
    unknown = inspect("tools/call", "--tool-name", "dates__weekdy", "--tool-arg", "day=2001-09-11")
    assert (unknown.returncode, unknown.stdout) == (REFUSED, "")
    assert "'dates__weekdy' not found" in unknown.stderr
