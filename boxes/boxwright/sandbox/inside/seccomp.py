"""Seccomp filters of the worker, as classic BPF built with ctypes. Standard library only; runs inside the sandbox.

Two filters, stacked. `before_import` takes away what neither a worker nor a call ever needs: other processes' memory,
new programs, namespaces, mounts, kernel interfaces with a record of escapes, and sockets other than local ones.
`before_call` takes away what a worker needs and a call does not: new processes, and signals to anyone but itself.

Source: seccomp(2); syscall numbers from the kernel's tables for each machine.
"""

import ctypes
import os
import platform
import socket
import struct

# nr on x86_64, nr on aarch64 (None: the machine has no such call)
_CALLS = {
    "add_key": (248, 217), "bind": (49, 200), "bpf": (321, 280), "chroot": (161, 51), "clone": (56, 220),
    "clone3": (435, 435), "delete_module": (176, 106), "execve": (59, 221), "execveat": (322, 281),
    "fanotify_init": (300, 262), "fcntl": (72, 25), "finit_module": (313, 273), "fork": (57, None),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fsopen": (430, 430), "fspick": (433, 433),
    "init_module": (175, 105), "inotify_init": (253, None), "inotify_init1": (294, 26), "io_setup": (206, 0),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "io_uring_setup": (425, 425), "ioctl": (16, 29),
    "ioprio_set": (251, 30), "kcmp": (312, 272), "kexec_file_load": (320, 294), "kexec_load": (246, 104),
    "keyctl": (250, 219), "kill": (62, 129), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "migrate_pages": (256, 238), "mount": (165, 40), "mount_setattr": (442, 442), "move_mount": (429, 429),
    "move_pages": (279, 239), "mq_open": (240, 180), "msgget": (68, 186), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pivot_root": (155, 41),
    "prctl": (157, 167), "prlimit64": (302, 261), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117),
    "request_key": (249, 218), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "semget": (64, 190), "sendmmsg": (307, 269), "sendmsg": (46, 211),
    "setns": (308, 268), "setpriority": (141, 140), "shmget": (29, 194), "socket": (41, 198),
    "socketpair": (53, 199), "tgkill": (234, 131), "tkill": (200, 130), "umount2": (166, 39), "unshare": (272, 97),
    "userfaultfd": (323, 282), "vfork": (58, None),
}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_NEVER = (
    "add_key", "bpf", "chroot", "delete_module", "execve", "execveat", "fanotify_init", "finit_module", "fsconfig",
    "fsmount", "fsopen", "fspick", "init_module", "inotify_init", "inotify_init1", "io_setup", "io_uring_enter",
    "io_uring_register", "io_uring_setup", "ioprio_set", "kcmp", "kexec_file_load", "kexec_load", "keyctl",
    "memfd_create", "memfd_secret", "migrate_pages", "mount", "mount_setattr", "move_mount", "move_pages",
    "mq_open", "msgget", "name_to_handle_at", "open_by_handle_at", "open_tree", "perf_event_open", "pidfd_getfd",
    "pivot_root", "process_madvise", "process_mrelease", "process_vm_readv", "process_vm_writev", "ptrace",
    "request_key", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "semget", "setns",
    "setpriority", "shmget", "umount2", "unshare", "userfaultfd",
)  # fmt: skip

_CLONE_NEW = 0x7E020080  # every CLONE_NEW… flag: namespaces
_CLONE_THREAD = 0x10000
# F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY: signals sent by way of a descriptor, and holds on files
_OWNER_COMMANDS = (8, 10, 15, 1024, 1026)
# FIOSETOWN, SIOCSPGRP, TIOCSTI, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR: the last two mark files and folders that stay
_OWNER_REQUESTS = (0x8901, 0x8902, 0x5412, 0x40086602, 0x401C5820)

_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_DEATH_SIGNAL, _SIGKILL = 1, 9
_NR, _ARCH, _ARGUMENTS = 0, 4, 16
_OWN = 0x5AFE71D5
"""Stands for a call's own process number until there is one; no other value in the filters is like it."""

_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """The filter cannot be installed here; no box code may run."""


class _Filter:
    """A list of BPF instructions that grows rule by rule; the syscall number stays in the accumulator between rules."""

    def __init__(self) -> None:
        machine = platform.machine()
        if machine not in _MACHINES:
            raise Unavailable(f"no seccomp table for the machine {machine!r}")
        self.column, arch = _MACHINES[machine]
        self.code = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NR)]
        if machine == "x86_64":  # the x32 table would go round every number below
            self.code += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]

    def refuse(self, name: str, errno: int = _EPERM) -> None:
        """Refuse the call whatever its arguments."""
        self._rule(name, [(_RETURN, 0, 0, _ERRNO | errno)])

    def only(self, name: str, argument: int, values: tuple[int, ...]) -> None:
        """Refuse the call unless the argument is one of the values."""
        body = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
        body += [(_EQUAL, len(values) - position, 0, value) for position, value in enumerate(values)]
        self._rule(name, [*body, (_RETURN, 0, 0, _ERRNO | _EPERM), (_LOAD, 0, 0, _NR)])

    def unless(self, name: str, argument: int, values: tuple[int, ...]) -> None:
        """Refuse the call if the argument is one of the values."""
        body = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
        for value in values:
            body += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ERRNO | _EPERM)]
        self._rule(name, [*body, (_LOAD, 0, 0, _NR)])

    def keeps(self, name: str, first: int, second: int) -> None:
        """Refuse the call if its first argument is `first` and its second anything but `second`."""
        body = [(_LOAD, 0, 0, _ARGUMENTS), (_EQUAL, 0, 3, first), (_LOAD, 0, 0, _ARGUMENTS + 8)]
        body += [(_EQUAL, 1, 0, second), (_RETURN, 0, 0, _ERRNO | _EPERM), (_LOAD, 0, 0, _NR)]
        self._rule(name, body)

    def bits(self, name: str, argument: int, mask: int, refuse_when_set: bool) -> None:
        """Refuse the call if any bit of the mask is set in the argument, or if none is."""
        skip = (0, 1) if refuse_when_set else (1, 0)
        body = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), (_ANY_BIT, *skip, mask), (_RETURN, 0, 0, _ERRNO | _EPERM)]
        self._rule(name, [*body, (_LOAD, 0, 0, _NR)])

    def packed(self) -> bytes:
        """Return the filter as the kernel reads it."""
        return b"".join(struct.pack("=HBBI", *one) for one in [*self.code, (_RETURN, 0, 0, _ALLOW)])

    def _rule(self, name: str, body: list[tuple[int, int, int, int]]) -> None:
        number = _CALLS[name][self.column]
        if number is not None:
            self.code += [(_EQUAL, 0, len(body), number), *body]


def before_import() -> None:
    """Install the filter that a worker takes before it imports a box.

    Raises:
        Unavailable: The kernel or the machine has no seccomp filters.
    """
    rules = _Filter()
    for name in _NEVER:
        rules.refuse(name)
    rules.refuse("clone3", _ENOSYS)  # its flags lie in memory, out of a filter's sight; libc falls back to clone
    rules.bits("clone", 0, _CLONE_NEW, refuse_when_set=True)
    rules.keeps("prctl", _DEATH_SIGNAL, _SIGKILL)  # it may not outlive the one that started it
    rules.only("socket", 0, (socket.AF_UNIX,))
    rules.only("socketpair", 0, (socket.AF_UNIX,))
    _install(rules.packed())


def call_filter() -> bytes:
    """Return the filter for a call, for `before_call`: made once, since making it takes longer than a fork.

    Raises:
        Unavailable: The machine has no table of system calls here.
    """
    rules = _Filter()
    # a socket with a name, or on its way inside another, can outlive its call
    for name in ("fork", "vfork", "pidfd_open", "pidfd_send_signal", "bind", "sendmsg", "sendmmsg"):
        rules.refuse(name)
    rules.bits("clone", 0, _CLONE_THREAD, refuse_when_set=False)
    for name in ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "tkill"):
        rules.only(name, 0, (_OWN,))
    rules.only("prlimit64", 0, (0, _OWN))
    rules.unless("fcntl", 1, _OWNER_COMMANDS)
    rules.unless("ioctl", 1, _OWNER_REQUESTS)
    return rules.packed()


def before_call(filter_: bytes) -> None:
    """Install the filter that a call takes before box code runs in it.

    Raises:
        Unavailable: The kernel has no seccomp filters.
    """
    _install(filter_.replace(struct.pack("=I", _OWN), struct.pack("=I", os.getpid())))


def undumpable() -> None:
    """Close this process's memory to others of its user: no ptrace, no /proc/<pid>/mem.

    Raises:
        Unavailable: The kernel refused.
    """
    _prctl(4, 0)  # PR_SET_DUMPABLE


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it dies.

    Raises:
        Unavailable: The kernel refused.
    """
    _prctl(_DEATH_SIGNAL, _SIGKILL)


def _install(code: bytes) -> None:
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    _prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    _prctl(22, 2, program)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def _prctl(option: int, value: int, pointer: bytes | None = None) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), pointer, 0, 0) != 0:
        raise Unavailable(f"prctl({option}, {value}) failed: {os.strerror(ctypes.get_errno())}")
