"""What the tests of other people's clients share: where `tools/interop.sh` put them, and a server of boxes for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from boxwright.sandbox.bubblewrap import Bubblewrap
from interop.clients import CACHE, HERE, Node, serving


@pytest.fixture
def node() -> Node:
    """Node and the packages, or a skip that says how to get them."""
    done = CACHE / "installed.json"
    if not done.is_file() or done.read_bytes() != (HERE / "package.json").read_bytes():
        pytest.skip(f"the clients of tests/interop/package.json are not in {CACHE}; run: sh tools/interop.sh")
    return Node(CACHE)


@pytest.fixture
def boxes_url(sandbox: Bubblewrap) -> Iterator[str]:
    """The address of `boxwright serve --http` over this test's own registry and the library."""
    with serving("boxwright", "serve", "--http", "--port", "0") as url:
        yield url
