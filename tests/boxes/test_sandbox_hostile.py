"""Boxes that mean harm, against each real sandbox: what each got, and that an ordinary call still answers after it.

The attacks are a table in `support/hostile_attacks.py`; `benchmarks/hostile.py` prints what each of them got.
"""

import re
import sys
from pathlib import Path

import pytest

from boxwright.box.folder import read_release
from boxwright.errors import ToolLimitReached, WorkerLost
from boxwright.sandbox import Sandbox
from boxwright.sandbox.bubblewrap import Bubblewrap
from support.boxes import write_box
from support.hostile import ATTACKS, SECRET, Attack, attack_tool, play, run_attack
from support.sandboxes import BOTH


@pytest.fixture(params=BOTH)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each real sandbox."""
    found: Sandbox = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
async def test_an_attack_gets_no_more_than_it_may_and_the_next_call_answers(
    attack: Attack, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxwright.sandbox.lines.START_SECONDS", 8.0)
    monkeypatch.setenv("SECRET", SECRET)
    outcome = await run_attack(sandbox, tmp_path / "x", attack)
    assert re.search(attack.may_get(sandbox.name), outcome.got), outcome.got
    assert outcome.after == "good"
    assert SECRET not in outcome.got


def test_the_attacks_are_many_and_each_has_a_name_of_its_own() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 100


@pytest.mark.parametrize("body", ["NaN", "1e999", "[" * 900 + "]" * 900, '"\\\\ud800"'])
async def test_a_reply_that_a_call_forges_for_itself_is_checked_again(
    sandbox: Sandbox, tmp_path: Path, body: str
) -> None:
    forge = (
        f"nonce = sys._getframe(1).f_locals['nonce']\nos.write(4, nonce + b' {{\"result\": {body}}}\\n')\nos._exit(0)"
    )
    (result,) = await play(sandbox, tmp_path / "x", attack_tool(forge), ("attack", {}))
    assert result.startswith(("WorkerLost", "[")), result


@pytest.mark.parametrize("line", ["5", '"fault"', "[" * 50_000, "{}", "null"])
async def test_an_import_that_spoils_the_first_line_is_told_and_leaves_nothing(
    sandbox: Sandbox, tmp_path: Path, line: str
) -> None:
    source = f"import os\nos.write(4, b'{line}\\n')\n"
    (result,) = await play(sandbox, tmp_path / "x", source, ("good", {}))
    assert "broke its protocol" in result


async def test_bytecode_beside_the_source_is_never_run(sandbox: Sandbox, tmp_path: Path) -> None:
    import importlib._bootstrap_external as bootstrap

    folder = write_box(tmp_path / "box", attack_tool("return 'source'"), [])
    planted = compile("def attack():\n    return 'bytecode'\n", "tools.py", "exec")
    cache = folder / "__pycache__"
    cache.mkdir(mode=0o755)
    code = bootstrap._code_to_hash_pyc(planted, b"\0" * 8, False)  # type: ignore[attr-defined]  # unchecked by hash
    (cache / f"tools.{sys.implementation.cache_tag}.pyc").write_bytes(code)
    async with sandbox.worker(read_release(folder)) as worker:
        assert await worker.call("attack", {}) == "source"


async def test_a_call_under_way_is_told_that_the_workers_memory_ran_out(
    bubblewrap: Bubblewrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxwright.sandbox.local.memory_bound", lambda limits: 48 << 20)
    source = attack_tool("kept = b'x' * (64 << 20)\ntime.sleep(5)\nreturn 'kept it'")
    release = read_release(write_box(tmp_path / "box", source, [], extra="limits = { seconds = 9 }"))
    async with bubblewrap.worker(release) as worker:
        with pytest.raises(ToolLimitReached, match="took more than .* MB together"):
            await worker.call("attack", {})
        assert not worker.alive


async def test_memory_that_processes_share_is_counted_once(bubblewrap: Bubblewrap, tmp_path: Path) -> None:
    # Three processes of 200 MB of which all but a little is shared: far over the bound of 576 MB, were it added up.
    source = attack_tool("time.sleep(1.5)\nreturn str(len(kept) >> 20)", "kept = b'x' * (200 << 20)")
    (result,) = await play(bubblewrap, tmp_path / "x", source, ("attack", {}), limits="seconds = 9, memory_mb = 256")
    assert result == "200"


async def test_a_failed_import_says_what_the_worker_lost(sandbox: Sandbox, tmp_path: Path) -> None:
    release = read_release(write_box(tmp_path / "box", "raise RuntimeError('no luck')", []))
    with pytest.raises(WorkerLost, match="could not be imported: RuntimeError: no luck"):
        await sandbox.start(release)
