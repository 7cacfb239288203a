"""The Docker engine as blocking calls, for threads: what a worker's container may do, and its whole life.

The engine has to be on this machine, behind a Unix socket: it binds the box's files into the container. The socket
itself is never shown to a container.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwright.box.manifest import Limits
from boxwright.errors import ExtraMissing, SandboxMissing
from boxwright.sandbox.rules import ENVIRONMENT, PYTHON_OPTIONS, SCRATCH_BYTES, memory_bound

LABEL = "boxwright.owner"
USUAL_HOST = "unix:///var/run/docker.sock"
ANSWER_SECONDS = 30
"""How long one request to the engine may take."""
MOST_FILES = 8192
"""In a worker's scratch folder: each takes kernel memory."""
_KILLED = 137
"""The status of a container whose first process was killed."""
# An image's variables, and those that the engine adds, are not the box's; a program that starts over loses them.
_ONLY_OURS = "import json, os, sys; os.execve(sys.executable, [sys.executable, *sys.argv[2:]], json.loads(sys.argv[1]))"


@dataclass(frozen=True)
class Container:
    """A running container, and the connection to its standard streams."""

    id: str
    socket: socket.socket


class Engine:
    """A connection to the Docker engine that `DOCKER_HOST` names, or else the one in the usual place.

    Raises:
        SandboxMissing: There is none, or the package to talk to it is missing.
    """

    def __init__(self) -> None:
        try:
            import docker
        except ImportError:
            raise SandboxMissing(str(ExtraMissing("the Docker sandbox", "docker"))) from None
        host = os.environ.get("DOCKER_HOST") or USUAL_HOST
        if not host.startswith("unix://") or not hasattr(socket, "AF_UNIX"):
            raise SandboxMissing(
                f"the Docker engine has to be behind a Unix socket of this machine, and DOCKER_HOST is {host!r}; "
                "set it to unix:///path/to/docker.sock (on Windows, run Boxwright inside WSL)"
            )
        try:
            with socket.socket(socket.AF_UNIX) as probe:  # docker-py would leave its own unclosed
                probe.connect(host.removeprefix("unix://"))
            self._api = docker.APIClient(host, version="auto", timeout=ANSWER_SECONDS)
        except (docker.errors.DockerException, OSError) as error:
            raise SandboxMissing(
                f"no Docker engine answers at {host} ({error}); start it, or set DOCKER_HOST"
            ) from error

    def close(self) -> None:
        """Let go of the connection."""
        self._api.close()

    def image(self, name: str) -> str:
        """Return the image's id, which stays the same whatever the name stands for later.

        Raises:
            SandboxMissing: The engine does not have it, or it declares volumes.
        """
        import docker

        try:
            found = self._api.inspect_image(name)
        except docker.errors.ImageNotFound:
            raise SandboxMissing(f"the image {name} is not here; run: docker pull {name}") from None
        except (docker.errors.DockerException, OSError) as error:
            raise SandboxMissing(
                f"the image {name} cannot be looked at ({error}); set BOXWRIGHT_DOCKER_IMAGE"
            ) from error
        if found["Config"].get("Volumes"):
            raise SandboxMissing(
                f"the image {name} declares volumes, which calls could write to; set BOXWRIGHT_DOCKER_IMAGE to another"
            )
        return str(found["Id"])

    def launch(
        self, image: str, arguments: list[str], *, uid: int, limits: Limits, shown: dict[str, Path], owner: str
    ) -> Container:
        """Start the image's Python with these arguments and the files and folders `shown`, as nobody but itself.

        Raises:
            OSError: The engine would not; the container, if there was one, is gone.
        """
        import docker

        options = self._api.create_host_config(
            **_hardened(limits),
            mounts=[docker.types.Mount(target, str(path), "bind", read_only=True) for target, path in shown.items()],
            ulimits=[docker.types.Ulimit(name=name, soft=most, hard=most) for name, most in _ULIMITS.items()],
            log_config=docker.types.LogConfig(type="none"),
        )
        with _as_os_error():
            made = self._api.create_container(
                image,
                entrypoint=["python3", "-I", "-S", "-c", _ONLY_OURS, json.dumps(ENVIRONMENT), *PYTHON_OPTIONS],
                command=arguments,
                host_config=options,
                user=f"{uid}:{uid}",
                hostname="box",
                working_dir="/",
                stdin_open=True,  # and closed for good when we go
                healthcheck={"test": ["NONE"]},
                network_disabled=True,
                labels={LABEL: owner},
                use_config_proxy=False,
            )["Id"]
        with ExitStack() as undone, _as_os_error():
            undone.callback(self.remove, made)
            attached = undone.enter_context(self._attach(made))
            self._api.start(made)
            undone.pop_all()
        return Container(made, attached)

    def _attach(self, container: str) -> socket.socket:
        """Return a connection of our own, so that docker-py's pool can take back or close what it has."""
        stream = self._api.attach_socket(container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        try:
            own = stream._sock.dup()  # there is no public way to the socket, nor to the response that holds it
        finally:
            stream._response.close()
        own.setblocking(False)
        return own  # type: ignore[no-any-return]  # docker-py is untyped

    def remove(self, container: str) -> None:
        """Kill the container and wait until it is gone; nothing is done where it is gone already."""
        import docker

        try:
            self._api.remove_container(container, force=True, v=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError:
            self._gone(container)  # the engine is removing it

    def killed(self, container: str) -> bool:
        """Wait for a container that has ended; says whether the kernel killed it, as it does for want of memory."""
        return self._gone(container) == _KILLED

    def _gone(self, container: str) -> int:
        import docker

        try:
            return int(self._api.wait(container, timeout=ANSWER_SECONDS, condition="removed")["StatusCode"])
        except (docker.errors.DockerException, OSError):
            return -1

    def remove_all_of(self, owner: str) -> None:
        """Remove every container of an owner that is gone."""
        with _as_os_error():
            for container in self._api.containers(all=True, filters={"label": f"{LABEL}={owner}"}):
                self.remove(container["Id"])


_ULIMITS = {"nofile": 64, "fsize": SCRATCH_BYTES, "core": 0}


def _hardened(limits: Limits) -> dict[str, Any]:
    """Return what holds any worker's container; the engine's own seccomp filter stays too, since none is named."""
    return {
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "ipc_mode": "none",
        "pids_limit": limits.processes + 16,
        "mem_limit": memory_bound(limits),
        "memswap_limit": memory_bound(limits),
        "nano_cpus": 10**9,
        "oom_score_adj": 1000,
        "tmpfs": {
            "/tmp": f"rw,noexec,nosuid,nodev,size={SCRATCH_BYTES},nr_inodes={MOST_FILES}",  # noqa: S108  # its own
            # Over the engine's own file system of message queues, where one call could leave them for another.
            "/dev/mqueue": "ro,noexec,nosuid,nodev,size=4k",
        },
        "auto_remove": True,
    }


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Turn what docker-py raises into `OSError`, with what the engine said."""
    import docker

    try:
        yield
    except docker.errors.APIError as error:
        raise OSError(str(error.explanation or error)) from error
    except docker.errors.DockerException as error:
        raise OSError(str(error)) from error
