"""The program inside a sandbox: imports one box, then forks a child for every call. Standard library only.

It is started by path (`python -P -s -S worker.py`), reads JSON lines on descriptor 0 and answers on descriptor 1.
The first line is its configuration; every other one a request with a nonce, which its answer carries back.

* The box's import runs once, here; one release is one trust domain. Calls of it share nothing else: each has a child
  of its own, forked ahead of the call and gone after it, with no descriptor but its request and its reply. A few wait
  in stock, so that a call pays for no fork even when it follows close upon another.
* The child takes limits and a seccomp filter before box code runs; without the filter it answers with an error.
* What is passed between the host and a call goes through pages that are wiped before the next child is forked: a child
  can read all of this process's memory as it was then.
* After a call everything still running in the sandbox is killed and the scratch folder is emptied. Where that fails
  the worker ends, and the host starts another.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import resource
import select
import signal
import stat
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any


def _load(path: str, name: str) -> Any:
    """Import a source file as a module; bytecode beside it, which no digest covers, is never looked at."""
    module = ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    with open(path, "rb") as stream:
        exec(compile(stream.read(), path, "exec"), vars(module))
    return module


HERE = os.path.dirname(os.path.abspath(__file__))
seccomp = _load(os.path.join(HERE, "seccomp.py"), "_boxwright_seccomp")
LONGEST_MESSAGE = 2000
SLACK = 4096
MOST_FILES = 10_000
LOOK_SECONDS = 0.1
MOMENT = 0.05
"""How long a child that closed its reply without one is given to end, so that it is known how."""
AHEAD = 2
"""Children that wait in stock."""
REQUEST_BYTES = (4 << 20) + SLACK
"""The longest line the host sends."""
LARGEST_INTEGER = 10_000  # bits
DEEPEST = 100


def main() -> None:
    """Serve calls until the host closes the pipe."""
    requests, replies = os.dup(0), os.dup(1)
    quiet = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(quiet, standard)
    line = Page(REQUEST_BYTES)
    line.read_line(requests)
    config = json.loads(line.content())
    reply = Page(config["output_bytes"] + 2 * SLACK)
    line.wipe()
    try:
        _settle(config)
        if config["packages"]:
            sys.path.append(config["packages"])
        tools = _load(config["tools"], "tools")
    except BaseException as error:
        _send(replies, {"fault": f"{type(error).__name__}: {error}"[:LONGEST_MESSAGE]})
        return
    gc.collect()
    gc.freeze()
    stock: list[Child] = []
    _sweep(config, stock)
    _send(replies, {"ready": True})
    while True:
        while len(stock) < AHEAD and not _readable(requests):
            stock.append(Child(tools, config))
        if not line.read_line(requests):
            os._exit(0)  # whatever threads the import left
        deadline = time.monotonic() + config["seconds"]
        for again in (True, False):  # a call that somebody else killed is made once more
            child = stock.pop(0) if stock and again else Child(tools, config)
            answered = child.answer(line, reply, replies, deadline, again)
            reply.wipe()
            _sweep(config, stock)
            if answered:
                break
        line.wipe()


class Child:
    """A process forked ahead of its call: it has settled, and waits for one request."""

    def __init__(self, tools: ModuleType, config: dict[str, Any]) -> None:
        self.config = config
        request_read, self.request = os.pipe()
        self.reply, reply_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 70
            try:
                _be_child(request_read, reply_write, tools, config)
                status = 0
            finally:
                os._exit(status)
        os.close(request_read)
        os.close(reply_write)

    def forget(self) -> None:
        """Let go of a child that was ended unused."""
        os.close(self.request)
        os.close(self.reply)

    def answer(self, line: Page, reply: Page, replies: int, deadline: float, again: bool) -> bool:
        """Hand the request over, pass the reply on within the limits, and end the child.

        Returns False, with nothing passed on, where the child was killed from outside and may be tried `again`.
        """
        nonce = line.content(line.find(b" "))
        try:
            line.write_to(self.request)
        except BrokenPipeError:
            pass  # the child is gone; what is read below says how
        os.close(self.request)
        in_time = self._read(reply, deadline)
        whole = in_time and reply.is_one_line_after(nonce + b" ")
        if whole:
            reply.write_to(replies)  # before the child is ended, which takes longer than many a call
        silent = in_time and not reply.length
        by_itself, status = self._end(MOMENT if silent else 0)
        os.close(self.reply)
        if silent and again and by_itself and status == signal.SIGKILL:
            return False
        if not whole:
            _write_all(replies, self._why(nonce, reply, in_time, status))
        return True

    def _end(self, patience: float) -> tuple[bool, int]:
        """End the child; returns whether it ended by itself within the seconds of patience, and how."""
        until = time.monotonic() + patience
        while True:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                return True, status
            if time.monotonic() >= until:
                os.kill(self.pid, signal.SIGKILL)
                return False, os.waitpid(self.pid, 0)[1]
            time.sleep(0.001)

    def _read(self, reply: Page, deadline: float) -> bool:
        """Read up to a newline, the end or the limit; returns False where the deadline came first."""
        while reply.length <= self.config["output_bytes"] + SLACK:
            left = deadline - time.monotonic()
            if left <= 0 or _crowded(self.config):
                return False
            if not select.select([self.reply], [], [], min(left, LOOK_SECONDS))[0]:
                continue
            if not reply.read(self.reply) or reply.find(b"\n") >= 0:
                break
        return True

    def _why(self, nonce: bytes, reply: Page, in_time: bool, status: int) -> bytes:
        seconds = f"{self.config['seconds']:g} seconds"
        if not in_time and _crowded(self.config):
            return _reply(nonce, "limit", f"the call made more than {MOST_FILES} files")
        if not in_time:
            return _reply(nonce, "limit", f"the call ran over its {seconds}")
        if reply.length > self.config["output_bytes"]:
            return _reply(nonce, "limit", f"the result is longer than {self.config['output_bytes']} bytes")
        if reply.length:
            return _reply(nonce, "failed", "the call wrote to its reply pipe and spoilt its answer")
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
            return _reply(nonce, "limit", f"the call ran over its {seconds} of processor time")
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {os.WEXITSTATUS(status)}"
        return _reply(nonce, "failed", f"the call ended without a result ({how})")


class Page:
    """Memory for one line, in one place: nothing of it is left in this process once it is wiped."""

    def __init__(self, size: int) -> None:
        self._memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.length = 0

    def read(self, descriptor: int) -> int:
        """Read some more, as much as there is room for; returns how much, 0 at the end."""
        with memoryview(self._memory) as view, view[self.length :] as room:
            count = os.readv(descriptor, [room])
        self.length += count
        return count

    def read_line(self, descriptor: int) -> bool:
        """Read until a newline; returns False where the end, or the end of the page, comes first."""
        while self.length < len(self._memory) and self.read(descriptor):
            if self._memory[self.length - 1] == 10:  # a newline ends a line, and nothing is sent behind it
                return True
        return False

    def find(self, text: bytes) -> int:
        """Return where the text first stands, or -1."""
        return self._memory.find(text, 0, self.length)

    def content(self, end: int | None = None) -> bytes:
        """Return a copy of what is there, up to `end`; this copy is not wiped."""
        return self._memory[: self.length if end is None else end]

    def is_one_line_after(self, start: bytes) -> bool:
        """Say whether the page holds one whole line, which begins like that."""
        return self._memory[: len(start)] == start and self.find(b"\n") == self.length - 1

    def write_to(self, descriptor: int) -> None:
        """Write all that is there."""
        with memoryview(self._memory) as view:
            left = view[: self.length]
            while left:
                left = left[os.write(descriptor, left) :]
            left.release()

    def wipe(self) -> None:
        """Forget what is there."""
        self._memory[: self.length] = bytes(self.length)
        self.length = 0


def _crowded(config: dict[str, Any]) -> bool:
    """Say whether a call made more files than it may: each takes kernel memory that no other limit counts."""
    if not config["own_processes"]:
        return False
    found = os.statvfs(config["scratch"])
    return found.f_files - found.f_ffree > MOST_FILES


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def _settle(config: dict[str, Any]) -> None:
    """Give up everything a box has no need of, before its code is imported."""
    bound = config["memory_mb"] << 20
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_FSIZE, (config["scratch_bytes"], config["scratch_bytes"]))
    if config["uid"]:  # root: a real other user, since neither a user namespace nor RLIMIT_NPROC holds root's own
        os.setgroups([])
        os.setresgid(config["uid"], config["uid"], config["uid"])
        os.setresuid(config["uid"], config["uid"], config["uid"])
    if config["own_processes"]:
        most = config["processes"] + AHEAD + 2  # this process, the stock, and the call that runs
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    if config["seccomp"]:
        seccomp.die_with_parent()  # again: a change of user clears it
        seccomp.undumpable()
        config["filter"] = seccomp.call_filter()
        seccomp.before_import()
    os.chdir(config["scratch"])


def _be_child(request: int, reply: int, tools: ModuleType, config: dict[str, Any]) -> None:
    if config["own_processes"]:
        os.setsid()
    elif config["seccomp"]:
        seccomp.die_with_parent()
    quiet = os.open(os.devnull, os.O_RDWR)  # of its own: locks and flags belong to the open file, not to the number
    for standard in (0, 1, 2):
        os.dup2(quiet, standard)
    os.dup2(request, 3)
    os.dup2(reply, 4)
    os.closerange(5, 64)
    seconds = int(config["seconds"]) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    refusal = ""
    if config["seccomp"]:
        try:
            seccomp.before_call(config["filter"])
        except seccomp.Unavailable as error:
            refusal = str(error)
    _run(b"", {"op": "call", "tool": "rehearse", "arguments": {}}, _Rehearsal, config["output_bytes"])
    line = Page(REQUEST_BYTES)
    if not line.read_line(3):
        return
    os.close(3)
    nonce, _, body = line.content().partition(b" ")
    if refusal:
        _write_all(4, _reply(nonce, "sandbox", refusal))
        return
    _write_all(4, _run(nonce, json.loads(body), tools, config["output_bytes"]))


def _run(nonce: bytes, request: dict[str, Any], tools: Any, output_bytes: int) -> bytes:
    """Run one request; returns the reply's bytes."""
    try:
        if request["op"] == "describe":
            result = _load(os.path.join(HERE, "schema.py"), "_boxwright_schema").describe(tools)
        else:
            try:
                result = getattr(tools, request["tool"])(**request["arguments"])
            except ValueError as error:
                return _reply(nonce, "refused", str(error) or "the tool refused its input without a reason")
        _finite(result, 0)
        text = json.dumps(result, allow_nan=False)
    except _NotJson as error:
        return _reply(nonce, "result", str(error))
    except MemoryError:
        return _reply(nonce, "limit", "the call ran over its memory")
    except BaseException as error:
        return _reply(nonce, "failed", f"{type(error).__name__}: {error}{_where(error)}")
    if len(text) > output_bytes:
        return _reply(nonce, "limit", f"the result has {len(text)} bytes, and may have {output_bytes}")
    return nonce + b' {"result": ' + text.encode() + b"}\n"


class _Rehearsal:
    """Stands in for a box while a child waits: a call touches memory that fork shares, and copying it takes time."""

    @staticmethod
    def rehearse() -> Any:
        return json.loads('{"numbers": [1, 2.5, true, null, "text"]}')


class _NotJson(Exception):
    """A result that is not finite JSON."""


def _finite(value: Any, depth: int) -> None:
    """Refuse what is not finite JSON: json.dumps would turn tuples into lists and keys into strings."""
    if depth > DEEPEST:
        raise _NotJson(f"the result is nested more than {DEEPEST} deep")
    kind = type(value)
    if kind is list:
        for one in value:
            _finite(one, depth + 1)
    elif kind is dict:
        for key, one in value.items():
            if type(key) is not str:
                raise _NotJson(f"the result has the key {key!r}; keys are strings")
            _finite(key, depth + 1)
            _finite(one, depth + 1)
    elif kind in _SCALARS:
        if fault := _SCALARS[kind](value):
            raise _NotJson(f"the result holds {fault}")
    elif value is not None:
        raise _NotJson(f"the result holds a {kind.__name__}; results are None, bool, int, float, str, list and dict")


def _float_fault(value: float) -> str:
    return "" if value - value == 0 else f"{value!r}; results are finite numbers"


def _int_fault(value: int) -> str:
    bits = value.bit_length()
    return f"an integer of {bits} bits; at most {LARGEST_INTEGER}" if bits > LARGEST_INTEGER else ""


def _text_fault(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return f"text that is not Unicode: {error.reason}"
    return ""


_SCALARS: dict[type, Callable[[Any], str]] = {
    bool: lambda _: "",
    float: _float_fault,
    int: _int_fault,
    str: _text_fault,
}


def _where(error: BaseException) -> str:
    """Return the line of tools.py that raised, for the box's author."""
    trace, line = error.__traceback__, None
    while trace:
        if trace.tb_frame.f_code.co_filename.endswith("tools.py"):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (tools.py, line {line})" if line else ""


def _sweep(config: dict[str, Any], stock: list[Child]) -> None:
    """Kill whatever is left in the sandbox but the stock, and empty its scratch folder; or end this worker."""
    try:
        if config["own_processes"] and _strangers(stock):
            _kill_all()
            for child in stock:
                child.forget()
            stock.clear()
        _wipe(config["scratch"])
    except BaseException:
        os._exit(71)


def _strangers(stock: list[Child]) -> bool:
    """Say whether a process runs in the sandbox that is not ours. A call can start none, but an import can."""
    ours = {"1", str(os.getpid()), *(str(child.pid) for child in stock)}
    return any(name.isdigit() and name not in ours for name in os.listdir("/proc"))


def _kill_all() -> None:
    assert 1 in (os.getpid(), os.getppid())  # elsewhere the next line would end a user's whole session
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        while True:  # until every one of them is gone, not only told to go
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def _wipe(top: str) -> None:
    """Empty a folder, whatever modes and depth a call gave to what is in it: what lies deeper is moved up first."""
    while names := os.listdir(top):
        for name in names:
            path = f"{top}/{name}"
            if not _is_folder(path):
                os.unlink(path)
                continue
            for inner in os.listdir(path):
                if _is_folder(f"{path}/{inner}"):
                    os.rename(f"{path}/{inner}", f"{top}/.{os.urandom(8).hex()}")
                else:
                    os.unlink(f"{path}/{inner}")
            os.rmdir(path)
    if os.stat(top).st_uid == os.getuid():
        if hasattr(os, "listxattr"):
            for name in os.listxattr(top):  # ACLs too
                os.removexattr(top, name)
        os.chmod(top, 0o700)
        os.utime(top, (0, 0))


def _is_folder(path: str) -> bool:
    """Say whether the path is a folder and no link to one; if so, it may be changed from here on."""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        return False
    os.chmod(path, 0o700)
    return True


def _reply(nonce: bytes, kind: str, message: str) -> bytes:
    text = message[:LONGEST_MESSAGE].encode("utf-8", "backslashreplace").decode()
    body = json.dumps({"error": kind, "message": text})
    return nonce + b" " + body.encode() + b"\n"


def _send(descriptor: int, value: dict[str, Any]) -> None:
    _write_all(descriptor, json.dumps(value).encode() + b"\n")


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main()
