"""Boxes that mean harm, against the bubblewrap sandbox: what each got, and that a good box's next call still answers.

Each attack returns a string; "refused: …" is what it reports where the system said no. After each, the same worker has
to answer an ordinary call, or, where the worker was meant to die, a fresh one has to.
"""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from boxwright.box.folder import read_release
from boxwright.errors import ToolFailed, ToolLimitReached, WorkerLost
from boxwright.sandbox.bubblewrap import Bubblewrap
from support.boxes import write_box

GOOD = '\n\ndef good() -> str:\n    """Answers."""\n    return "good"\n'
TRY = """
import ctypes, os, signal, socket, subprocess, sys, threading, time


def attempt(action):
    try:
        return str(action())
    except BaseException as error:
        return f"refused: {type(error).__name__}: {error}"
"""
# name: (source of `attack`, what its result must start with or hold)
REFUSED = {
    "reads a host file": ("attempt(lambda: open('/etc/passwd').read())", "No such file"),
    "reads the home folders": ("attempt(lambda: os.listdir('/home'))", "No such file"),
    "reads the host's processes": ("attempt(lambda: open('/proc/1/environ').read())", "Permission denied"),
    "writes beside the box": ("attempt(lambda: open('/box/tools.py', 'a'))", "refused"),
    "writes into the library": (f"attempt(lambda: open({os.__file__!r}, 'a'))", "refused"),
    "writes to the root": ("attempt(lambda: open('/escape', 'w'))", "Read-only file system"),
    "writes to /dev/shm": ("attempt(lambda: open('/dev/shm/x', 'w'))", "Read-only file system"),
    "writes to the worker's files": ("attempt(lambda: open('/inside/worker.py', 'a'))", "refused"),
    "opens an internet socket": (
        "attempt(lambda: socket.create_connection(('127.0.0.1', 80), 1))",
        "Operation not permitted",
    ),
    "opens a raw socket": (
        "attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))",
        "Operation not permitted",
    ),
    "opens a netlink socket": (
        "attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))",
        "Operation not permitted",
    ),
    "forks": ("attempt(os.fork)", "Operation not permitted"),
    "starts a program": ("attempt(lambda: subprocess.run(['/bin/sh']))", "Operation not permitted"),
    "replaces itself by a program": (
        "attempt(lambda: os.execv(sys.executable, ['python']))",
        "Operation not permitted",
    ),
    "runs a program from memory": (
        "attempt(lambda: os.execve(os.memfd_create('x'), ['x'], {}))",
        "Operation not permitted",
    ),
    "kills its parent": ("attempt(lambda: os.kill(os.getppid(), signal.SIGKILL))", "Operation not permitted"),
    "stops its parent": ("attempt(lambda: os.kill(os.getppid(), signal.SIGSTOP))", "Operation not permitted"),
    "kills everybody": ("attempt(lambda: os.kill(-1, signal.SIGKILL))", "Operation not permitted"),
    "opens its parent's memory": ("attempt(lambda: open(f'/proc/{os.getppid()}/mem', 'r+b'))", "Permission denied"),
    "opens the first process's memory": ("attempt(lambda: open('/proc/1/mem', 'r+b'))", "Permission denied"),
    "reads its parent's descriptors": ("attempt(lambda: os.listdir(f'/proc/{os.getppid()}/fd'))", "Permission denied"),
    "traces its parent": (
        'f"refused: {ctypes.CDLL(None, use_errno=True).ptrace(16, os.getppid(), 0, 0)} {os.strerror(ctypes.get_errno())}"',
        "refused: -1 Operation not permitted",
    ),
    "limits its parent": (
        "attempt(lambda: __import__('resource').prlimit(os.getppid(), __import__('resource').RLIMIT_NOFILE, (0, 0)))",
        "Operation not permitted",
    ),
    "raises its own limits": (
        "attempt(lambda: __import__('resource').setrlimit(__import__('resource').RLIMIT_AS, (-1, -1)))",
        "refused",
    ),
    "makes a namespace": (
        'f"refused: {ctypes.CDLL(None, use_errno=True).unshare(0x10000000)} {os.strerror(ctypes.get_errno())}"',
        "refused: -1 Operation not permitted",
    ),
    "mounts": (
        "f\"refused: {ctypes.CDLL(None, use_errno=True).mount(b'none', b'/tmp', b'tmpfs', 0, None)} {os.strerror(ctypes.get_errno())}\"",
        "refused: -1 Operation not permitted",
    ),
    "sets up io_uring": (
        'f"refused: {ctypes.CDLL(None, use_errno=True).syscall(425, 8, ctypes.create_string_buffer(120))} {os.strerror(ctypes.get_errno())}"',
        "refused: -1 Operation not permitted",
    ),
    "becomes root": ("attempt(lambda: os.setuid(0))", "refused"),
    "signals its parent by a descriptor": (
        "attempt(lambda: __import__('fcntl').fcntl(0, 8, os.getppid()))",
        "Operation not permitted",
    ),
    "writes a kernel setting": ("attempt(lambda: open('/proc/sys/kernel/hostname', 'w').write('x'))", "refused"),
    "fills the scratch folder": ("attempt(lambda: open('/tmp/x', 'wb').write(b'x' * (64 << 20)))", "refused"),
    "makes shared memory": (
        'f"refused: {ctypes.CDLL(None, use_errno=True).shmget(0, 4096, 0o1600)} {os.strerror(ctypes.get_errno())}"',
        "refused: -1 Operation not permitted",
    ),
    "makes a message queue": (
        'f"refused: {ctypes.CDLL(None, use_errno=True).msgget(7, 0o1600)} {os.strerror(ctypes.get_errno())}"',
        "refused: -1 Operation not permitted",
    ),
    "makes memory that is a file": ("attempt(lambda: os.memfd_create('x'))", "Operation not permitted"),
    "outlives its parent": (
        'f"refused: {ctypes.CDLL(None, use_errno=True).prctl(1, 0)} {os.strerror(ctypes.get_errno())}"',
        "refused: -1 Operation not permitted",
    ),
    "opens a hundred files": ("attempt(lambda: [open('/dev/null') for _ in range(100)])", "Too many open files"),
}


async def play(sandbox: Bubblewrap, folder: Path, source: str, *calls: str) -> list[str]:
    """Run the calls on one worker of a box with this source; an error becomes its class and message."""
    folder.mkdir()
    release = read_release(write_box(folder / "box", source + GOOD, [], extra="limits = { seconds = 2 }"))
    found = []
    async with sandbox.worker(release) as worker:
        for call in calls:
            try:
                found.append(str(await worker.call(call, {})))
            except (ToolFailed, ToolLimitReached, WorkerLost) as error:
                found.append(f"{type(error).__name__}: {error}")
    return found


def attack(body: str) -> str:
    """Return a tool `attack` with this body."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return f'{TRY}\n\ndef attack() -> str:\n    """Attacks."""\n{lines}\n'


@pytest.mark.parametrize("name", REFUSED)
async def test_the_system_says_no(sandbox: Bubblewrap, tmp_path: Path, name: str) -> None:
    expression, expected = REFUSED[name]
    result, after = await play(sandbox, tmp_path / "x", attack(f"return {expression}"), "attack", "good")
    assert expected in result
    assert after == "good"


async def test_the_environment_holds_nothing_of_the_hosts(
    sandbox: Bubblewrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "do-not-tell")
    (found,) = await play(sandbox, tmp_path / "x", attack("return repr(sorted(os.environ))"), "attack")
    assert "SECRET" not in found
    assert "HOME" not in found
    assert "PYTHONHASHSEED" in found


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("loops", "while True: pass", "ToolLimitReached: the call ran over its 2 seconds"),
        ("allocates 4 GB", "return str(len(bytearray(4 << 30)))", "ToolLimitReached: the call ran over its memory"),
        ("prints 1 GB", "for _ in range(1024): os.write(1, b'x' * (1 << 20))\nreturn 'printed'", "printed"),
        ("exits", "os._exit(0)", "ToolFailed: the call ended without a result (exit status 0)"),
        (
            "kills itself",
            "os.kill(os.getpid(), signal.SIGKILL)",
            "ToolFailed: the call ended without a result (signal 9)",
        ),
        (
            "writes to descriptors 0 to 20",
            "for fd in range(21):\n    try: os.write(fd, b'spoilt\\n')\n    except OSError: pass\nreturn 'done'",
            "ToolFailed: the call wrote to its reply pipe",
        ),
        (
            "answers another call's nonce",
            "os.write(4, b'0' * 32 + b' {\"result\": \"forged\"}\\n')\nreturn 'done'",
            "ToolFailed: the call wrote to its reply pipe",
        ),
        (
            "starts threads without end",
            "for _ in range(10000): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\nreturn 'x'",
            "ToolFailed: RuntimeError: can't start new thread",
        ),
        ("answers endlessly", "while True: os.write(4, b'x' * 4096)", "ToolLimitReached: the result is longer than"),
        ("recurses", "return attack()", "ToolFailed: RecursionError"),
    ],
)
async def test_a_call_that_will_not_end_well_ends_alone(
    sandbox: Bubblewrap, tmp_path: Path, name: str, body: str, expected: str
) -> None:
    result, after = await play(sandbox, tmp_path / "x", attack(body), "attack", "good")
    assert result.startswith(expected)
    assert after == "good"


async def test_calls_share_no_files_and_no_memory(sandbox: Bubblewrap, tmp_path: Path) -> None:
    body = """
global kept
found = repr((sorted(os.listdir('/tmp')), globals().get('kept')))
kept = 'something'
os.makedirs('/tmp/a/b')
os.chmod('/tmp/a', 0)
open('/tmp/secret', 'w').write('of the first call')
return found
"""
    assert await play(sandbox, tmp_path / "x", attack(body), "attack", "attack") == ["([], None)"] * 2


@pytest.mark.parametrize(
    "body",
    [
        "os.chdir('/tmp')\nfor _ in range(900):\n    os.mkdir('d')\n    os.chdir('d')\n    open('f', 'w').close()\nreturn 'deep'",
        "for n in range(10**9): os.symlink('/', f'/tmp/{n}')",
        "os.mkfifo('/tmp/f'); os.symlink('/box', '/tmp/l'); os.mkdir('/tmp/d'); os.chmod('/tmp/d', 0); return 'odd'",
    ],
)
async def test_whatever_a_call_leaves_in_the_scratch_folder_is_gone_for_the_next(
    sandbox: Bubblewrap, tmp_path: Path, body: str
) -> None:
    source = attack(body) + '\n\ndef look() -> list[str]:\n    """Looks."""\n    return os.listdir("/tmp")\n'
    _, after, again = await play(sandbox, tmp_path / "x", source, "attack", "look", "good")
    assert (after, again) == ("[]", "good")


async def test_a_daemon_that_an_import_leaves_is_killed(sandbox: Bubblewrap, tmp_path: Path) -> None:
    source = TRY + "if os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\n    os._exit(0)\n"
    source += attack("return str([p for p in os.listdir('/proc') if p.isdigit()])")
    found, after = await play(sandbox, tmp_path / "x", source, "attack", "good")
    alive = [int(one) for one in eval(found)]
    assert len(alive) <= 3  # bubblewrap's own first process where there is one, the worker, this call
    assert after == "good"


async def test_an_import_that_forks_without_end_is_bounded(sandbox: Bubblewrap, tmp_path: Path) -> None:
    source = (
        TRY
        + "made = 0\ntry:\n    for made in range(10000):\n        if os.fork() == 0: time.sleep(60)\nexcept OSError: pass\n"
    )
    result, after = await play(sandbox, tmp_path / "x", source + attack("return str(made)"), "attack", "good")
    assert int(result) < 100
    assert after == "good"


async def test_an_import_that_answers_for_the_worker_answers_only_for_itself(
    sandbox: Bubblewrap, tmp_path: Path
) -> None:
    source = TRY + "for fd in range(21):\n    try: os.write(fd, b'{\"ready\": true}\\n')\n    except OSError: pass\n"
    (result,) = await play(sandbox, tmp_path / "x", source + attack("return 'x'"), "attack")
    assert result.startswith("WorkerLost")


@pytest.mark.parametrize("body", ["NaN", "1e999", "[" * 900 + "]" * 900, '"\\\\ud800"'])
async def test_a_reply_that_a_call_forges_for_itself_is_checked_again(
    sandbox: Bubblewrap, tmp_path: Path, body: str
) -> None:
    forge = (
        f"nonce = sys._getframe(1).f_locals['nonce']\nos.write(4, nonce + b' {{\"result\": {body}}}\\n')\nos._exit(0)"
    )
    (result,) = await play(sandbox, tmp_path / "x", attack(forge), "attack")
    assert result.startswith(("WorkerLost", "[")), result


@pytest.mark.parametrize("line", ["5", '"fault"', "[" * 50_000, "{}", "null"])
async def test_an_import_that_spoils_the_first_line_is_told_and_leaves_nothing(
    sandbox: Bubblewrap, tmp_path: Path, line: str
) -> None:
    source = f"import os\nos.write(4, b'{line}\\n')\n"
    with pytest.raises(WorkerLost, match="broke its protocol"):
        await play(sandbox, tmp_path / "x", source, "good")


async def test_bytecode_beside_the_source_is_never_run(sandbox: Bubblewrap, tmp_path: Path) -> None:
    import importlib._bootstrap_external as bootstrap

    folder = write_box(tmp_path / "box", attack("return 'source'"), [])
    planted = compile("def attack():\n    return 'bytecode'\n", "tools.py", "exec")
    cache = folder / "__pycache__"
    cache.mkdir(mode=0o755)
    code = bootstrap._code_to_hash_pyc(planted, b"\0" * 8, False)  # type: ignore[attr-defined]  # unchecked by hash
    (cache / f"tools.{sys.implementation.cache_tag}.pyc").write_bytes(code)
    async with sandbox.worker(read_release(folder)) as worker:
        assert await worker.call("attack", {}) == "source"


async def test_a_worker_may_be_closed_twice_at_once_and_during_a_call(sandbox: Bubblewrap, tmp_path: Path) -> None:
    worker = await sandbox.start(read_release(write_box(tmp_path / "box", attack("time.sleep(60)"), [])))
    call = asyncio.create_task(worker.call("attack", {}))
    await asyncio.sleep(0.1)
    await asyncio.gather(worker.close(), worker.close())
    with pytest.raises(WorkerLost):
        await call
    assert not worker.alive


async def test_nothing_is_left_when_a_worker_is_closed(sandbox: Bubblewrap, tmp_path: Path) -> None:
    await play(sandbox, tmp_path / "x", attack("return 'x'"), "attack")
    commands = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                commands.append((process / "cmdline").read_bytes())
            except OSError:
                continue
    assert not [command for command in commands if str(tmp_path).encode() in command]
