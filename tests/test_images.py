"""The three images and the compose file, on a real engine: built without a network, run with the options they ship with."""

import json
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.boxes import SLOW, SLOW_EXAMPLES, write_box
from support.docker_engine import NoEngine, Running
from support.images import COMPOSE, NAMES, ROOT, Images

# The first run on a machine makes the image that the others are built on, which takes minutes.
pytestmark = [pytest.mark.extended, pytest.mark.timeout(1200)]

PROFILE = json.loads((ROOT / "server" / "seccomp.json").read_text(encoding="utf-8"))
TRY_A_BOX = ["boxwright boxes test /opt/boxwright/lib/python3*/site-packages/boxwright/library/calculator/1.0.0"]
RECORDED = f"{ROOT / 'compare' / 'boxwright_compare' / 'fixtures'}:/recorded:ro"
HEALTHY_SECONDS = 60
REFUSED = """
import ctypes, errno, json, socket
libc = ctypes.CDLL(None, use_errno=True)

def said(number, *arguments):
    got = libc.syscall(number, *arguments)
    return errno.errorcode[ctypes.get_errno()] if got == -1 else "done"

def opened(*what):
    try:
        socket.socket(*what).close()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

def written(path):
    try:
        open(path, "w").close()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

USER, NET = 0x10000000, 0x40000000
print(json.dumps({
    "a network of its own": said(272, NET), "a network with a user namespace": said(272, USER | NET),
    "a process in a network of its own": said(56, NET | 17, 0, 0, 0, 0),
    "another's namespace": said(308, 0, 0), "ptrace": said(101, 0, 0, 0, 0), "io_uring": said(425, 1, 0),
    "keys": said(250, 0, 0, 0, 0, 0), "bpf": said(321, 0, 0, 0), "perf": said(298, 0, 0, 0, 0, 0),
    "userfaultfd": said(323, 0), "file handles": said(304, 0, 0, 0),
    "a raw socket": opened(socket.AF_PACKET, socket.SOCK_RAW), "a socket to the hypervisor": opened(40, 1),
    "a socket to the kernel's ciphers": opened(38, 5), "a socket to the packet filter": opened(16, 3, 12),
    "the image": written("/x"), "the code": written("/opt/boxwright/x"), "a kernel setting": written("/proc/sys/kernel/panic"),
    "an internet socket": opened(socket.AF_INET), "a user namespace": said(272, USER),
}))
"""
CALLS = """
import asyncio
from mcp import Client

async def main():
    async with Client("http://server:8765/mcp") as client:
        await client.call_tool("slow__spin", {"seconds": 0})
        slow = asyncio.create_task(client.call_tool("slow__spin", {"seconds": 4}))
        await asyncio.sleep(1)
        print("under way", flush=True)
        print((await slow).structured_content, flush=True)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def images(engine: Running) -> Iterator[Images]:
    """The three images, built on an engine that gives them no network."""
    import docker

    client = docker.APIClient(engine.host, version="auto", timeout=600)
    try:
        found = Images(client, engine)
        try:
            for name in NAMES:
                found.build(name)
            yield found
        finally:
            found.remove()
    except NoEngine as error:
        pytest.skip(str(error))
    finally:
        client.close()


@pytest.fixture
def server(images: Images) -> Iterator[str]:
    """The server as a container that is healthy, alone in a network where it is called `server`."""
    with images.running("server", extra_hosts={"server": "127.0.0.1"}) as container:
        _wait_until(lambda: _health(images, container) == "healthy")
        yield container


def _health(images: Images, container: str) -> str:
    return str(images.client.inspect_container(container)["State"]["Health"]["Status"])


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HEALTHY_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _ask(images: Images, server: str, question: str) -> str:
    command = ["ask", question, "--model", "rules", "--mcp", "mcp.json"]
    said = images.run("student", command, network_mode=f"container:{server}")
    assert said.status == 0, said.text
    return said.text


@pytest.mark.parametrize("command", [["docker", "compose"], ["docker-compose"]], ids=" ".join)
def test_the_compose_file_is_valid(command: list[str]) -> None:
    if not shutil.which(command[0]) or subprocess.run([*command, "version"], capture_output=True).returncode:
        pytest.skip(f"{' '.join(command)} is not installed")
    whole = [*command, "--file", str(COMPOSE), "--profile", "student", "--profile", "teacher", "config"]
    done = subprocess.run(whole, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "127.0.0.1" in done.stdout
    assert "docker.sock" not in done.stdout


@pytest.mark.parametrize("name", ["build", *NAMES])
def test_what_an_image_installs_is_what_the_tests_run_with(name: str) -> None:
    pinned = [re.findall(r"^(\S+==\S+)", _pins(one), re.MULTILINE) for one in (name, "dev")]
    assert len(pinned[0]) > 5
    assert set(pinned[0]) <= set(pinned[1])
    assert "--hash=sha256:" in _pins(name)
    assert "://" not in _pins(name)


def _pins(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_an_image_runs_as_a_user_with_no_way_up_and_holds_its_own_packages_alone(images: Images, name: str) -> None:
    look = "import os; print(os.getuid(), os.popen('ls /opt/boxwright/lib/python3.*/site-packages').read().split())"
    said = images.run(name, ["-c", look], entrypoint=["python"])
    assert said.text.startswith("10001 ")
    ours = {"boxwright", "boxwright_server", "boxwright_student", "boxwright_teacher", "boxwright_compare"}
    packages = {"server": {"boxwright_server"}, "student": {"boxwright_student"}}
    packages["teacher"] = {"boxwright_student", "boxwright_teacher"}
    assert {one for one in ours if f"'{one}'" in said.text} == {"boxwright", *packages[name]}
    probe = "grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; command -v cc gcc make; ls /src"
    said = images.run(name, ["-c", probe], entrypoint=["sh"])
    assert re.search(r"CapEff:\t0+\nCapBnd:\t0+\nNoNewPrivs:\t1\n", said.text)
    assert "bin/gcc" not in said.text
    assert "cannot access '/src'" in said.text


def test_the_student_answers_by_the_servers_tools(images: Images, server: str) -> None:
    assert "67/2" in _ask(images, server, "What is (17.5 * 4 - 3) / 2?")
    assert _health(images, server) == "healthy"


def test_what_the_teacher_publishes_is_served_at_once(images: Images, server: str) -> None:
    command = ["mine", "game24", "--limit", "10", "--teacher", "recorded//recorded/teacher.hand-written.jsonl"]
    mined = images.run("teacher", [*command, "--publish"], binds=[RECORDED], environment={"BOXWRIGHT_LIBRARY": "false"})
    assert mined.status == 0, mined.text
    assert "published game24_solver 1.0.0" in mined.text
    listed = images.inside(server, ["boxwright", "boxes", "list"])
    assert "game24_solver" in listed.text
    assert "game24_solver__" in _ask(images, server, "game24_solver: solve for the numbers 4, 9, 10 and 13")


def test_the_server_cannot_write_to_the_registry(images: Images, server: str) -> None:
    said = images.inside(server, ["touch", "/var/lib/boxwright/registry/x"])
    assert "Read-only file system" in said.text


def test_a_call_under_way_is_answered_when_the_server_is_told_to_stop(images: Images, tmp_path: Path) -> None:
    box = write_box(tmp_path / "slow", SLOW, SLOW_EXAMPLES, name="slow", extra="limits = { seconds = 9 }")
    published = images.run("teacher", ["boxes", "publish", "/box"], binds=[f"{box}:/box:ro"])
    assert published.status == 0, published.text
    with images.running("server", extra_hosts={"server": "127.0.0.1"}) as server:
        _wait_until(lambda: _health(images, server) == "healthy")
        network = f"container:{server}"
        with images.running("student", ["-c", CALLS], entrypoint=["python"], network_mode=network) as client:
            _wait_until(lambda: b"under way" in images.client.logs(client))
            images.client.kill(server, "SIGTERM")
            said = images.ended(client)
        assert "done" in said.text, said.text
        assert images.ended(server).status in (0, 143)


def test_hostile_boxes_get_no_more_in_the_container_than_outside(images: Images) -> None:
    binds = [f"{ROOT / name}:/repo/{name}:ro" for name in ("benchmarks", "tests")]
    said = images.run(
        "server",
        ["/repo/benchmarks/hostile.py"],
        entrypoint=["python"],
        binds=binds,
        seconds=600,
        environment={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert said.status == 0, [line for line in said.text.splitlines() if "NOT HELD" in line] or said.text
    assert said.text.count("\n| ") >= 100


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers of system calls are those of x86-64")
def test_the_container_may_do_little_beside_what_bubblewrap_needs(images: Images) -> None:
    said = images.run("server", ["-c", REFUSED], entrypoint=["python"])
    got = json.loads(said.text)
    assert got.pop("an internet socket") == got.pop("a user namespace") == "done"
    assert {got.pop("the image"), got.pop("the code")} == {"EROFS"}
    assert got.pop("a kernel setting") == "EACCES"
    assert set(got.values()) == {"EPERM"}, got


def _without(*names: str) -> str:
    """Return the profile without the rules that bubblewrap needs for these calls."""
    kept = [rule for rule in PROFILE["syscalls"] if not (rule["names"][0] in names and "bubblewrap" in rule["comment"])]
    assert len(kept) == len(PROFILE["syscalls"]) - len(names)
    return f"seccomp={json.dumps({**PROFILE, 'syscalls': kept})}"


NEEDED = {
    "the system paths": (["no-new-privileges:true", "seccomp:server/seccomp.json"], "mount proc"),
    "the profile": (["no-new-privileges:true", "systempaths=unconfined"], "No permissions to create"),
    **{
        name: (["no-new-privileges:true", "systempaths=unconfined", _without(name)], said)
        for name, said in {
            "clone": "No permissions to create",
            "mount": "make / slave",
            "pivot_root": "pivot_root",
            "sethostname": "set hostname",
            "socket": "NETLINK_ROUTE",
            "umount2": "unmount old root",
            "unshare": "unshare user ns",
        }.items()
    },
}


@pytest.mark.parametrize("part", NEEDED)
def test_each_part_of_the_options_is_needed(images: Images, part: str) -> None:
    options, why = NEEDED[part]
    said = images.run("server", TRY_A_BOX, entrypoint=["sh", "-c"], security_opt=options)
    assert said.status != 0
    assert why in said.text


def test_with_all_of_them_a_box_runs(images: Images) -> None:
    said = images.run("server", TRY_A_BOX, entrypoint=["sh", "-c"])
    assert said.status == 0, said.text
