"""The program inside a sandbox: imports one box, then forks a child for every call. Standard library only.

It is started by path (`python -P -s -S worker.py`), reads JSON lines on descriptor 0 and answers on descriptor 1.
The first line is its configuration; every other one a request with a nonce, which its answer carries back.

* The box's import runs once, here; one release is one trust domain. Calls of it share nothing else: each has a child
  of its own, forked ahead of the call and gone after it, with no descriptor but its request and its reply. A few wait
  in stock, so that a call pays for no fork even when it follows close upon another.
* The child takes limits and a seccomp filter before box code runs; without the filter it answers with an error.
* After a call everything still running in the sandbox is killed and the scratch folder is emptied. Where that fails
  the worker ends, and the host starts another.
"""

from __future__ import annotations

import gc
import json
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
AHEAD = 2
"""Children that wait in stock."""
LARGEST_INTEGER = 10_000  # bits
DEEPEST = 100


def main() -> None:
    """Serve calls until the host closes the pipe."""
    requests, replies = os.dup(0), os.dup(1)
    quiet = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(quiet, standard)
    lines = Lines(requests)
    config = json.loads(lines.next())
    try:
        _settle(config)
        if config.get("packages"):
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
        while len(stock) < AHEAD and not lines.waiting():
            stock.append(Child(tools, config))
        line = lines.next()
        if not line:
            return
        child = stock.pop(0) if stock else Child(tools, config)
        child.answer(line, replies)
        _sweep(config, stock)


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

    def answer(self, line: bytes, replies: int) -> None:
        """Hand the request over, pass the reply on within the limits, and end the child."""
        nonce = line[: line.index(b" ")]
        deadline = time.monotonic() + self.config["seconds"]
        try:
            _write_all(self.request, line)
        except BrokenPipeError:
            pass  # the child is gone; what is read below says how
        os.close(self.request)
        reply = self._read(deadline)
        if reply is not None and _is_whole(reply, nonce):
            _write_all(replies, reply)  # before the child is ended, which takes longer than many a call
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.reply)
        _, status = os.waitpid(self.pid, 0)
        if reply is None and _crowded(self.config):
            _write_all(replies, _reply(nonce, "limit", f"the call made more than {MOST_FILES} files"))
        elif reply is None:
            _write_all(replies, _reply(nonce, "limit", f"the call ran over its {self.config['seconds']:g} seconds"))
        elif not _is_whole(reply, nonce):
            _write_all(replies, self._why(nonce, reply, status))

    def _read(self, deadline: float) -> bytes | None:
        """Return the bytes up to a newline, the end or the limit; None where the deadline came first."""
        chunks: list[bytes] = []
        length = 0
        while length <= self.config["output_bytes"] + SLACK:
            left = deadline - time.monotonic()
            if left <= 0 or _crowded(self.config):
                return None
            if not select.select([self.reply], [], [], min(left, LOOK_SECONDS))[0]:
                continue
            chunk = os.read(self.reply, 1 << 16)
            chunks.append(chunk)
            length += len(chunk)
            if not chunk or b"\n" in chunk:
                break
        return b"".join(chunks)

    def _why(self, nonce: bytes, reply: bytes, status: int) -> bytes:
        if len(reply) > self.config["output_bytes"]:
            return _reply(nonce, "limit", f"the result is longer than {self.config['output_bytes']} bytes")
        if reply:
            return _reply(nonce, "failed", "the call wrote to its reply pipe and spoilt its answer")
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
            return _reply(nonce, "limit", f"the call ran over its {self.config['seconds']:g} seconds of processor time")
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {os.WEXITSTATUS(status)}"
        return _reply(nonce, "failed", f"the call ended without a result ({how})")


def _crowded(config: dict[str, Any]) -> bool:
    """Say whether a call made more files than it may: each takes kernel memory that no other limit counts."""
    if not config["own_processes"]:
        return False
    found = os.statvfs(config["scratch"])
    return found.f_files - found.f_ffree > MOST_FILES


def _is_whole(reply: bytes, nonce: bytes) -> bool:
    return reply.endswith(b"\n") and reply.startswith(nonce + b" ") and reply.count(b"\n") == 1


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
    line = Lines(3).next()
    if not line:
        return
    os.close(3)
    nonce, _, body = line.partition(b" ")
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
    moved = 0
    while names := os.listdir(top):
        for name in names:
            path = f"{top}/{name}"
            if not _is_folder(path):
                os.unlink(path)
                continue
            for inner in os.listdir(path):
                if _is_folder(f"{path}/{inner}"):
                    moved += 1
                    os.rename(f"{path}/{inner}", f"{top}/.moved-{moved}")
                else:
                    os.unlink(f"{path}/{inner}")
            os.rmdir(path)
    if os.stat(top).st_uid == os.getuid():
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


class Lines:
    """Lines of bytes from a descriptor, each with its newline."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._kept = bytearray()

    def waiting(self) -> bool:
        """Say whether something is there to be read, without waiting for it."""
        return bool(self._kept) or bool(select.select([self._descriptor], [], [], 0)[0])

    def next(self) -> bytes:
        """Wait for the next line and return it; nothing at the end, whatever is left of a line then."""
        looked = 0
        while (end := self._kept.find(b"\n", looked)) < 0:
            looked = len(self._kept)
            chunk = os.read(self._descriptor, 1 << 16)
            if not chunk:
                return b""
            self._kept += chunk
        line = bytes(self._kept[: end + 1])
        del self._kept[: end + 1]
        return line


def _send(descriptor: int, value: dict[str, Any]) -> None:
    _write_all(descriptor, json.dumps(value).encode() + b"\n")


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main()
