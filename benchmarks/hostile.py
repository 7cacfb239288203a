"""What each hostile box of the tests got, in each sandbox that works here, as a table.

Run it with `python benchmarks/hostile.py`; the exit status is 1 where any got more than it may.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from boxwright.sandbox import Sandbox
from boxwright.sandbox.bubblewrap import Bubblewrap, why_missing
from boxwright.sandbox.docker import Docker
from support.docker_engine import NoEngine, docker_engine
from support.hostile import ATTACKS, Attack, Outcome, run_attack

SHOWN = 90


def held(attack: Attack, sandbox: str, outcome: Outcome) -> bool:
    """Say whether the attack got no more than it may, and an ordinary call was answered then."""
    return bool(re.search(attack.may_get(sandbox), outcome.got)) and outcome.after == "good"


def _cell(attack: Attack, sandbox: str, outcome: Outcome) -> str:
    mark = "" if held(attack, sandbox, outcome) else "**NOT HELD** "
    after = "" if outcome.same else " (new worker)"
    return mark + outcome.got.replace("|", "\\|").replace("\n", " ")[:SHOWN] + after


async def table(sandboxes: list[Sandbox], folder: Path) -> int:
    """Print the table; returns how many attacks got more than they may."""
    print("| # | the box | " + " | ".join(one.name for one in sandboxes) + " |")
    print("| --- " * (2 + len(sandboxes)) + "|")
    broken = 0
    for number, attack in enumerate(ATTACKS, start=1):
        cells = []
        for sandbox in sandboxes:
            outcome = await run_attack(sandbox, folder / f"{number}-{sandbox.name}", attack)
            broken += not held(attack, sandbox.name, outcome)
            cells.append(_cell(attack, sandbox.name, outcome))
        print(f"| {number} | {attack.name} | " + " | ".join(cells) + " |", flush=True)
    return broken


def main() -> int:
    """Run all attacks in all sandboxes."""
    sandboxes: list[Sandbox] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        if missing := why_missing():
            print(missing, file=sys.stderr)
        else:
            sandboxes.append(Bubblewrap())
        try:
            engine = stack.enter_context(docker_engine())
            os.environ["DOCKER_HOST"] = engine.host
            sandboxes.append(Docker(engine.image, folder / "home"))
        except NoEngine as error:
            print(error, file=sys.stderr)
        return int(asyncio.run(table(sandboxes, folder)) > 0)


if __name__ == "__main__":
    sys.exit(main())
