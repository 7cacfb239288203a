"""The official conformance suite, both eras, over HTTP: its fixtures are boxes where a box can be one.

Served `stateless`, as the product serves boxes, all of 2026-07-28 passes, and of 2025-11-25 all but what asks the client
back; with `sessions` all of that passes too. `expected-failures` lists what may fail, each check with its reason, and a
listed check that passes fails the test. What a revision does not score is run too: of that only `UNSCORED` may fail.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from boxwright.sandbox.bubblewrap import Bubblewrap
from interop.clients import HERE, Node, serving

pytestmark = pytest.mark.extended  # needs what tools/interop.sh installs
RUNS = [("stateless", "2026-07-28"), ("stateless", "2025-11-25"), ("sessions", "2025-11-25")]
UNSCORED = {
    "server-sse-polling",  # takes up a broken stream again; a box answers in one piece
    "json-schema-2020-12",  # FastMCP writes what a $ref names in its place and drops $defs; boxes' schemas have neither
    *(f"tasks-{what}" for what in ("lifecycle", "capability-negotiation", "wire-fields", "request-state-removal")),
    *(f"tasks-{what}" for what in ("mrtr-input", "request-headers", "dispatch-and-envelope", "required-task-error")),
    "tasks-mrtr-composition",  # as all of tasks: an extension for work of hours; a box's call lasts seconds
}


@pytest.mark.parametrize(("how", "revision"), RUNS)
def test_the_suite_passes(how: str, revision: str, node: Node, sandbox: Bubblewrap, tmp_path: Path) -> None:
    out, expected = tmp_path / "out", HERE / "expected-failures" / f"{how}-{revision}.yml"
    options = ["--requirements", revision, "--expected-failures", str(expected), "--output-dir", str(out)]
    with serving("support.conformance.server", how) as url:
        done = node.run(node.package("conformance/dist/index.js", "server", "--url", url, *options))
    said = done.stdout[done.stdout.find("=== SUMMARY") :]
    assert done.returncode == 0, said + done.stderr
    checks, required = read_checks(out), required_scenarios(node, revision)
    assert required
    assert required <= checks.keys()
    failed = {name for name in checks.keys() - required if checks[name]["FAILURE"]}
    assert failed <= UNSCORED
    print(f"{how} {revision}: {dict(sum((checks[name] for name in required), Counter()))}")  # noqa: T201


def required_scenarios(node: Node, revision: str) -> set[str]:
    """Return the names of the scenarios that a revision requires of a server."""
    path = node.folder / "node_modules/@modelcontextprotocol/conformance/requirements" / f"{revision}.yaml"
    section = path.read_text(encoding="utf-8").partition("\nserver:\n")[2].partition("\nclient:\n")[0]
    return {line.removeprefix("  - ") for line in section.splitlines() if line.startswith("  - ")}


def read_checks(out: Path) -> dict[str, Counter[str]]:
    """Return how many checks of each scenario came out how."""
    found: dict[str, Counter[str]] = {}
    for path in out.glob("server-*/checks.json"):
        name = path.parent.name.removeprefix("server-")[: -len("-2026-01-01T00-00-00-000Z")]
        found[name] = Counter(check["status"] for check in json.loads(path.read_text(encoding="utf-8")))
    return found
