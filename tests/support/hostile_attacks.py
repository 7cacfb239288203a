"""The attacks themselves: numbers of system calls are those of x86-64, where the tests run them."""

from __future__ import annotations

from dataclasses import dataclass

NO = "Operation not permitted"


@dataclass(frozen=True)
class Attack:
    """One hostile box."""

    name: str
    body: str
    """Of its tool `attack`; HOST_FOLDER is a folder of this machine with a secret, HOST_SERVICE a socket's name."""
    got: str
    """A pattern: what it may get at most."""
    docker: str = ""
    """The same in Docker, where that differs."""
    imports: str = ""
    """What runs at import."""
    words: tuple[str, ...] = ("",)
    """The argument of each call."""
    limits: str = "seconds = 2"

    def may_get(self, sandbox: str) -> str:
        """Return the pattern for the sandbox of this name."""
        return (self.docker if sandbox == "docker" else "") or self.got


def _try(name: str, expression: str, got: str, docker: str = "") -> Attack:
    return Attack(name, f"return attempt(lambda: {expression})", got, docker)


def _system(name: str, call: str, got: str = NO, docker: str = "") -> Attack:
    return Attack(name, f"return system({call})", f"^refused: {got}", docker and f"^refused: {docker}")


READS = [
    _try("reads a host file", "open('HOST_FOLDER/secret').read()", "No such file"),
    _try("lists a host folder", "os.listdir('HOST_FOLDER')", "No such file"),
    _try("climbs out of its folder", "open('/box/../../../../..HOST_FOLDER/secret').read()", "No such file"),
    Attack(
        "follows a link out of its scratch folder",
        "os.symlink('HOST_FOLDER/secret', '/tmp/link')\nreturn attempt(lambda: open('/tmp/link').read())",
        "No such file",
    ),
    _try("reads the first process's environment", "open('/proc/1/environ').read()", "Permission denied"),
    _try("goes through the first process's root", "os.listdir('/proc/1/root/')", "Permission denied"),
    _try("opens its parent's memory", "open(f'/proc/{os.getppid()}/mem', 'r+b')", "Permission denied"),
    _try("opens the first process's memory", "open('/proc/1/mem', 'r+b')", "Permission denied"),
    _try("reads its parent's descriptors", "os.listdir(f'/proc/{os.getppid()}/fd')", "Permission denied"),
    _try("reads the machine's memory", "[open(p, 'rb').read(1) for p in ('/dev/mem', '/proc/kcore')]", "refused"),
    _try(
        "reads the machine's disks",
        "[open(p, 'rb') for p in glob.glob('/dev/[svn][dv]*')] or os.open('/dev/vda', 0)",
        "refused",
    ),
    _try("reads the kernel's log", "open('/dev/kmsg').read()", "refused"),
    _system("asks for the kernel's log", "103, 3, ctypes.create_string_buffer(9999), 9999"),
    Attack(
        "reads the environment",
        "return repr(sorted(os.environ)) + attempt(lambda: open('/proc/self/environ').read())",
        r"^\['LANG', 'MALLOC_ARENA_MAX', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS',( 'PWD',)? 'PYTHONHASHSEED', 'TZ'\]refused",
    ),
    Attack(
        "looks for the engine's socket",
        "return str([p for p in ('/var/run/docker.sock', '/run/docker.sock') if os.path.exists(p)])",
        r"^\[\]$",
    ),
    Attack(
        "counts the host's processes",
        "return str(max(int(p) for p in os.listdir('/proc') if p.isdigit()) < 1000)",
        "^True$",
    ),
    Attack(
        "reads the call before from its frames",
        "frame, seen = sys._getframe(), ''\nwhile frame:\n    seen += repr(frame.f_locals)\n    frame = frame.f_back\n"
        "return 'found it' if 'word-of-the-first' + '-call' in seen else 'nothing'",
        "^nothing$",
        words=("word-of-the-first-call", ""),
    ),
    Attack(
        "looks for the call before in its memory",
        "wanted = re.compile(b'word-of-[t]he-[f]irst-call')\nfor line in open('/proc/self/maps'):\n"
        "    start, end = (int(x, 16) for x in line.split()[0].split('-'))\n"
        "    if ' rw-p ' in line and 'stack' not in line and wanted.search(ctypes.string_at(start, end - start)) and not word:\n"
        "        return 'found it'\nreturn 'nothing'",
        "^nothing$",
        words=("word-of-the-first-call " * 40, "", "", ""),
    ),
    Attack(
        "watches who opens the shared library folders",
        "libc = ctypes.CDLL(None, use_errno=True)\nwatch = libc.inotify_init1(0)\n"
        "if watch < 0: return 'refused: ' + os.strerror(ctypes.get_errno())\n"
        "return f'watches {libc.inotify_add_watch(watch, os.path.dirname(os.__file__).encode(), 0x20)}'",
        NO,
    ),
]
WRITES = [
    _try("writes beside the box", "open('/box/tools.py', 'a')", "refused"),
    _try("makes its own files writable", "os.chmod('/box/tools.py', 0o777)", "refused"),
    _try("takes its own files away", "os.rename('/box/tools.py', '/tmp/x')", "refused"),
    _try("writes into the library", "open(os.__file__, 'a')", "refused"),
    _try("writes to the worker's files", "open('/inside/worker.py', 'a')", "refused"),
    _try("writes to the root", "open('/escape', 'w')", "Read-only file system"),
    _try("writes to /dev/shm", "open('/dev/shm/x', 'w')", "Read-only file system", "refused"),
    Attack(
        "looks for any folder it may write to",
        "found = []\nfor folder, below, _ in os.walk('/', onerror=None):\n"
        "    if folder == '/': below[:] = [n for n in below if n not in ('proc', 'sys')]\n"
        "    try: open(folder + '/.probe', 'w').close()\n    except OSError: continue\n    found.append(folder)\nreturn str(found)",
        r"^\['/tmp'\]$",
        limits="seconds = 30",
    ),
    _try("writes a kernel setting", "open('/proc/sys/kernel/hostname', 'w').write('x')", "refused"),
    _try("asks the kernel to reboot by its trigger", "open('/proc/sysrq-trigger', 'w').write('b')", "refused"),
    _try(
        "hides itself from the out-of-memory killer", "open('/proc/self/oom_score_adj', 'w').write('-1000')", "refused"
    ),
    _try("makes a device", "os.mknod('/tmp/disk', 0o60666, os.makedev(254, 0))", NO),
    _try("links a box's file where it may write", "os.link('/box/tools.py', '/tmp/x')", "refused"),
    _try("makes shared memory that is a file", "os.memfd_create('x')", NO),
    _system("makes shared memory", "29, 0, 4096, 0o1600"),
    _system("makes a message queue", "68, 7, 0o1600"),
    _system("makes a POSIX message queue", "240, b'x', 0o102, 0o600, 0"),
    _system("stores a key in the kernel", "248, b'user', b'name', b'value', 5, -3"),
]
REACHES = [
    _try("opens an internet socket", "socket.create_connection(('127.0.0.1', 80), 1)", NO),
    _try("opens a raw socket", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", NO),
    _try("opens a netlink socket", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", NO),
    _try("opens a socket to the hypervisor", "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)", NO),
    _try("opens a socket to the kernel's ciphers", "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)", NO),
    _try(
        "calls a service of the host by its abstract name",
        "socket.socket(socket.AF_UNIX).connect('\\x00HOST_SERVICE')",
        "Connection refused",
    ),
    _try("forks", "os.fork()", NO),
    _try("starts a program", "subprocess.run(['/bin/sh'])", NO),
    _try("replaces itself by a program", "os.execv(sys.executable, ['python'])", NO),
    _system("runs a program from a descriptor", "322, os.open(sys.executable, os.O_RDONLY), b'', 0, 0, 0x1000"),
    _try("kills its parent", "os.kill(os.getppid(), signal.SIGKILL)", NO),
    _try("stops its parent", "os.kill(os.getppid(), signal.SIGSTOP)", NO),
    _try("kills everybody", "os.kill(-1, signal.SIGKILL)", NO),
    _system("opens a handle of its parent", "434, os.getppid(), 0"),
    _try("signals its parent by a descriptor", "fcntl.fcntl(0, 8, os.getppid())", NO),
    _system("traces its parent", "101, 16, os.getppid(), 0, 0"),
    _system("reads its parent's memory by a call", "310, os.getppid(), 0, 0, 0, 0, 0"),
    _try("limits its parent", "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (0, 0))", NO),
    _system("makes a user namespace", "272, 0x10000000"),
    _system("forks into a user namespace", "56, 0x10000011, 0, 0, 0, 0"),
    _system("forks by the newer call", "435, 0, 0", "Function not implemented"),
    _try("enters the first process's namespace", "system(308, os.open('/proc/1/ns/mnt', os.O_RDONLY), 0)", "refused"),
    _system("mounts", "165, b'none', b'/tmp', b'tmpfs', 0, 0"),
    _system("unmounts its box", "166, b'/box', 2"),
    _system("changes its root", "161, b'/tmp'"),
    _system("opens a file by its number on the disk", "304, 3, ctypes.create_string_buffer(64), 0"),
    _system("loads a kernel module", "175, ctypes.create_string_buffer(64), 64, b''"),
    _system("loads a program into the kernel", "321, 5, ctypes.create_string_buffer(128), 128"),
    _system("sets up io_uring", "425, 8, ctypes.create_string_buffer(120)"),
    _system("handles page faults itself", "323, 1"),
    _system("counts events of the processor", "298, ctypes.create_string_buffer(128), 0, -1, -1, 0"),
    _system("sets the clock", "227, 0, struct.pack('qq', 0, 0)"),
    _system("names the machine", "170, b'mine', 4"),
    _system("reboots", "169, 0xfee1dead, 672274793, 0x1234567, 0"),
    _system("takes the processor's ports", "172, 3", "Function not implemented|Operation not permitted"),
    _try("becomes root", "os.setuid(0)", "refused"),
    Attack(
        "calls the kernel by the 32-bit table",
        "code = mmap.mmap(-1, 4096, prot=7)\ncode.write(bytes.fromhex('b814000000cd80c3'))\n"
        "return str(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))())",
        r"^ToolFailed: the call ended without a result \(signal 31\)",
    ),
    Attack("calls the kernel by the x32 table", "return system(0x40000000 + 39)", r"^ToolFailed: .*\(signal 31\)"),
    _system("outlives its parent", "157, 1, 0, 0, 0, 0"),
    _system("types into a terminal", "16, 0, 0x5412, b'x'"),
]
STARVES = [
    Attack("loops", "while True: pass", "^ToolLimitReached: the call ran over its 2 seconds"),
    Attack(
        "sleeps on a thread that holds on",
        "import _thread\n_thread.allocate_lock().acquire()\nwhile True: time.sleep(1)",
        "^ToolLimitReached",
    ),
    Attack(
        "ignores what would end it",
        "for n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
        "^ToolLimitReached: the call ran over its 2 seconds",
    ),
    Attack("allocates 4 GB", "return str(len(bytearray(4 << 30)))", "^ToolLimitReached: the call ran over its memory"),
    Attack(
        "prints 1 GB",
        "for _ in range(1024): os.write(1, b'x' * (1 << 20))\nreturn 'printed to nowhere'",
        "^printed to nowhere$",
    ),
    Attack("answers endlessly", "while True: os.write(4, b'x' * 4096)", "^ToolLimitReached: the result is longer than"),
    Attack(
        "starts threads without end",
        "for _ in range(10000): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\nreturn 'x'",
        "^ToolFailed: RuntimeError: can't start new thread",
    ),
    _try("opens a hundred files", "[open('/dev/null') for _ in range(100)]", "Too many open files"),
    _try(
        "fills the scratch folder",
        "[open(f'/tmp/{n}', 'wb').write(b'x' * (8 << 20)) for n in range(20)]",
        "No space left",
    ),
    _try("writes one large file", "open('/tmp/x', 'wb').write(b'x' * (64 << 20))", "refused"),
    _try(
        "makes a file with a hole of 1 TB",
        "os.truncate('/tmp/x', 1 << 40) if open('/tmp/x', 'w') else 0",
        "refused|ToolFailed",
    ),
    Attack(
        "makes files without end",
        "try:\n    for n in range(10**9): os.symlink('/', f'/tmp/{n}')\nexcept OSError as error: return f'refused: {error}'",
        "^ToolLimitReached: the call (made more than|ran over)",
        "^refused: .*No space left",
    ),
    Attack("recurses", "return attack()", "^ToolFailed: RecursionError"),
    Attack(
        "raises its own limits", "return attempt(lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)))", "refused"
    ),
    _system("goes before everybody else", "144, 0, 1, struct.pack('i', 50)"),
    _try("is nicer to itself", "os.setpriority(os.PRIO_PROCESS, 0, -20)", "refused"),
    _system("picks its processor", "203, 0, 8, struct.pack('Q', 1)"),
    Attack(
        "locks its memory",
        "kept = mmap.mmap(-1, 64 << 20)\nwhere = ctypes.addressof(ctypes.c_char.from_buffer(kept))\nreturn system(149, ctypes.c_void_p(where), ctypes.c_size_t(64 << 20))",
        "refused",
    ),
    Attack(
        "makes pipes as large as they get",
        "made = 0\ntry:\n    while True:\n        r, w = os.pipe()\n        fcntl.fcntl(w, 1031, 1 << 20)\n        made += os.write(w, b'x' * (1 << 20))\n"
        "except OSError as error: return f'refused: {error} after {made >> 20} MB'",
        r"^refused: .* after ([0-9]|[1-3][0-9]) MB",
    ),
    Attack(
        "an import that forks without end",
        "return str(made)",
        r"^\d\d?$",
        imports="made = 0\ntry:\n    for made in range(10000):\n        if os.fork() == 0: time.sleep(60)\nexcept OSError: pass",
    ),
    Attack(
        "an import whose processes each take what they may",
        "return f'imported, {len(ended)} of its processes killed'",
        "^WorkerLost: the worker of box .* did not start: the box's processes took more than 320 MB together",
        r"^imported, [1-9]\d* of its processes killed|^WorkerLost",
        imports="ended = []\ndef fill():\n    kept = b'x' * (80 << 20)\n    time.sleep(30)\n"
        "for _ in range(16):\n    if os.fork() == 0:\n        try: fill()\n        finally: os._exit(0)\n"
        "until = time.monotonic() + 2\nwhile time.monotonic() < until:\n    pid, status = os.waitpid(-1, os.WNOHANG)\n"
        "    if pid and os.WIFSIGNALED(status): ended.append(pid)\n    time.sleep(0.05)",
        limits="seconds = 2, memory_mb = 128",
    ),
    Attack(
        "an import that never ends",
        "return 'imported'",
        "^WorkerLost: .* did not start: no answer within",
        imports="while True: pass",
    ),
]
OTHER_CALLS = [
    Attack("exits", "os._exit(0)", r"^ToolFailed: the call ended without a result \(exit status 0\)"),
    Attack(
        "kills itself",
        "os.kill(os.getpid(), signal.SIGKILL)",
        r"^ToolFailed: the call ended without a result \(signal 9\)",
    ),
    Attack(
        "writes to descriptors 0 to 20",
        "for fd in range(21):\n    try: os.write(fd, b'spoilt\\n')\n    except OSError: pass\nreturn 'done'",
        "^ToolFailed: the call wrote to its reply pipe",
    ),
    Attack(
        "answers another call's nonce",
        "os.write(4, b'0' * 32 + b' {\"result\": \"forged\"}\\n')\nreturn 'done'",
        "^ToolFailed: the call wrote to its reply pipe",
    ),
    Attack(
        "answers and goes on",
        "nonce = sys._getframe(1).f_locals['nonce']\nos.write(4, nonce + b' {\"result\": \"answered\"}\\n')\nopen('/tmp/left', 'w').close()\nwhile True: pass",
        "^answered$",
        words=("", ""),
    ),
    Attack(
        "leaves a thread to answer the next call",
        "def late():\n    time.sleep(0.05)\n    os.write(4, b'{\"result\": \"late\"}\\n')\nthreading.Thread(target=late, daemon=True).start()\nreturn 'in time'",
        "^in time$",
        words=("", ""),
    ),
    Attack(
        "leaves files and values to the next call",
        "global kept\nfound = repr((sorted(os.listdir('/tmp')), globals().get('kept')))\nkept = 'x'\nos.makedirs('/tmp/a/b')\n"
        "os.chmod('/tmp/a', 0)\nopen('/tmp/secret', 'w').write('of the first call')\nreturn found",
        r"^\(\[\], None\)$",
        words=("", ""),
    ),
    Attack(
        "leaves a service to the next call",
        "served = socket.socket(socket.AF_UNIX)\ntry: served.connect('\\0left')\nexcept OSError as error:\n"
        "    return attempt(lambda: served.bind('\\0left'))\nreturn 'reached the first call'",
        "^refused: .*Operation not permitted",
        words=("", ""),
    ),
    Attack(
        "leaves a lock to the next call",
        "held = os.open('/box/tools.py', os.O_RDONLY)\nfcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)\nos.set_inheritable(held, True)\nreturn 'locked'",
        "^locked$",
        words=("", ""),
    ),
    Attack(
        "buries a file too deep to reach",
        "found = os.listdir('/tmp')\nos.chdir('/tmp')\nfor _ in range(900):\n    os.mkdir('d')\n    os.chdir('d')\n    open('f', 'w').close()\nreturn str(found)",
        r"^\[\]$",
        words=("", ""),
    ),
    Attack(
        "leaves pipes, links and closed folders",
        "found = os.listdir('/tmp')\nos.mkfifo('/tmp/f'); os.symlink('/box', '/tmp/l'); os.mkdir('/tmp/d'); os.chmod('/tmp/d', 0)\nreturn str(found)",
        r"^\[\]$",
        words=("", ""),
    ),
    Attack(
        "an import that leaves a process",
        "return str(len([p for p in os.listdir('/proc') if p.isdigit()]) < 12 and not glob.glob('/tmp/alive'))",
        "^True$",
        imports="if os.fork() == 0:\n    os.setsid()\n    while True:\n        open('/tmp/alive', 'w').close()\n        time.sleep(0.01)",
    ),
    Attack(
        "an import that answers for the worker",
        "return 'x'",
        "^WorkerLost",
        imports="for fd in range(21):\n    try: os.write(fd, b'{\"ready\": true}\\n')\n    except OSError: pass",
    ),
    Attack(
        "an import that ends the worker",
        "return 'x'",
        "^WorkerLost: .* did not start: the worker ended",
        imports="os._exit(0)",
    ),
    Attack(
        "an import that kills the first process",
        "return 'imported'",
        "^imported$|^WorkerLost",
        imports="try: os.kill(1, signal.SIGKILL)\nexcept OSError: pass",
    ),
    Attack(
        "forges a result that is no JSON",
        "nonce = sys._getframe(1).f_locals['nonce']\nos.write(4, nonce + b' {\"result\": NaN}\\n')\nos._exit(0)",
        "^WorkerLost: .* broke its protocol",
    ),
]
ATTACKS = [*READS, *WRITES, *REACHES, *STARVES, *OTHER_CALLS]
