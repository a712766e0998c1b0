"""Lock the current process in, for good: no network, no writing, no other processes, and reading from a short list only.

Two mechanisms of Linux that need no privilege and bind root as well:

- seccomp with an allow-list of system calls (everything else fails with EPERM): no sockets, no programs, no signals to
  others, no file opened for writing;
- Landlock (Linux 5.13 and later) for what may be read: the interpreter's libraries and the system's.

Neither is believed: `leaks()` tries what must fail. Elsewhere (macOS, an older kernel, another processor)
`lock()` raises OSError, and whoever wanted a locked process refuses. Both calls bind the calling *thread* and what it
starts later, so `lock()` has to come before any library that starts threads. The module stands alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import resource
import socket
import struct
import sys
import sysconfig
from pathlib import Path

MEMORY = 3 * 2**30  # bytes of address space
CPU_SECONDS = 3600  # in the whole life of the process; its owner starts a new one after that
FILES = 64  # open files

SECCOMP, LANDLOCK = "seccomp", "Landlock"
_LIBC = ctypes.CDLL(None, use_errno=True)
_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

# Plain system calls: x86-64 and the generic table of aarch64, in the order of `_NAMES` where both have them.
_PLAIN = {
    # read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64 readv writev sched_yield mremap
    # mincore madvise dup dup3 nanosleep setitimer getpid exit uname getcwd gettimeofday getrlimit getrusage sysinfo times getuid getgid
    # geteuid getegid getppid sigaltstack statfs fstatfs gettid futex sched_getaffinity getdents64 set_tid_address restart_syscall fadvise64
    # clock_gettime clock_getres clock_nanosleep exit_group newfstatat readlinkat faccessat pselect6 ppoll set_robust_list epoll_pwait
    # epoll_ctl epoll_create1 eventfd2 pipe2 getcpu getrandom membarrier statx rseq faccessat2
    "x86_64": (
        [0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20, 24, 25, 27, 28, 32, 292, 35, 38, 39, 60, 63, 79, 96, 97, 98, 99, 100, 102, 104]
        + [107, 108, 110, 131, 137, 138, 186, 202, 204, 217, 218, 219, 221, 228, 229, 230, 231, 262, 267, 269, 270, 271, 273, 281, 233, 291, 290]
        + [293, 309, 318, 324, 332, 334, 439]
        # only there: stat lstat poll access pipe select dup2 readlink arch_prctl time epoll_wait
        + [4, 6, 7, 21, 22, 23, 33, 89, 158, 201, 232]
    ),
    "aarch64": (
        [63, 64, 57, 80, 62, 222, 226, 215, 214, 134, 135, 139, 67, 65, 66, 124, 216, 232, 233, 23, 24, 101, 103, 172, 93, 160, 17, 169, 163, 165]
        + [179, 153, 174, 176, 175, 177, 173, 132, 43, 44, 178, 98, 123, 61, 96, 128, 223, 113, 114, 115, 94, 79, 78, 48, 72, 73, 99, 22, 21, 20]
        + [19, 59, 168, 278, 283, 291, 293, 439]
    ),
}
# System calls whose arguments decide; `open` is absent from aarch64.
_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_OPEN = {"x86_64": 2}
_OPENAT = {"x86_64": 257, "aarch64": 56}
_CLONE = {"x86_64": 56, "aarch64": 220}
_FCNTL = {"x86_64": 72, "aarch64": 25}
_IOCTL = {"x86_64": 16, "aarch64": 29}
_PRLIMIT = {"x86_64": 302, "aarch64": 261}
_TGKILL = {"x86_64": 234, "aarch64": 131}
_UNKNOWN = [435, 437]  # clone3, openat2: "no such call" makes the C library fall back to the older ones, which are checked
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_THREAD = 0x10000  # clone flag: a thread, not a process
_FCNTL_COMMANDS = [0, 1, 2, 3, 4, 1030]  # duplicate, flags; not F_SETOWN, with which a pipe can signal another process
_IOCTL_COMMANDS = [0x5401, 0x5421, 0x5450, 0x5451]  # is it a terminal, blocking, close on exec


def lock() -> None:
    """Apply limits, Landlock and seccomp to this thread, in that order. Raises OSError where one is not to be had."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _ARCH or struct.calcsize("P") != 8:
        raise OSError(errno.ENOSYS, f"no sandbox for {sys.platform} on {machine}")
    _limit()
    _call("prctl", _LIBC.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    _landlock([*_libraries()])
    _seccomp(_program(machine, os.getpid()))


def leaks(canary: str, parent: int) -> list[str]:
    """What is still possible though it must not be: empty in a locked process.

    `canary` is a readable file outside the list, `parent` the process that started this one.
    """
    attempts = {
        "reading a file of the user": lambda: open(canary, "rb").close(),
        "reading the environment of the parent": lambda: open(f"/proc/{parent}/environ", "rb").close(),
        "listing the home folder": lambda: os.listdir(Path(canary).parent),
        "writing beside it": lambda: open(canary + ".written", "wb").close(),
        "writing to the temporary folder": lambda: open(f"/tmp/openswarm-{os.getpid()}", "wb").close(),
        "writing to shared memory": lambda: open(f"/dev/shm/openswarm-{os.getpid()}", "wb").close(),
        "removing it": lambda: os.rename(canary, canary + ".moved"),
        "changing its mode": lambda: os.chmod(canary, 0o600),
        "an internet socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
        "an internet socket (IPv6)": lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close(),
        "a local socket": lambda: socket.socket(socket.AF_UNIX).close(),
        "a signal to the parent": lambda: os.kill(parent, 0),
        "another process": _fork,
        "another program": lambda: os.posix_spawn("/bin/sh", ["sh", "-c", "exit"], {}),
    }
    return [name for name, attempt in attempts.items() if _succeeds(attempt)]


def _succeeds(attempt) -> bool:
    try:
        attempt()
    except OSError as error:
        return error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EAFNOSUPPORT, errno.ENOENT)
    return True


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _limit() -> None:
    limits = {"CORE": 0, "FSIZE": 0, "AS": MEMORY, "CPU": CPU_SECONDS, "NOFILE": FILES}
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _libraries() -> set[Path]:
    """What may be read: the standard library, installed packages, the system's shared libraries and time zones."""
    paths = {Path(path) for name, path in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {Path(sys.base_prefix) / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"}
    paths |= {Path(path) for path in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo")}
    paths |= {Path(path) for path in ("/etc/ld.so.cache", "/dev/null", "/dev/urandom")}
    shared = sysconfig.get_config_var("LIBDIR")
    return paths | ({Path(shared)} if shared else set())


def _landlock(readable: list[Path]) -> None:
    """Allow reading below `readable` and no other use of the file system that Landlock knows."""
    abi = _call(LANDLOCK, _LIBC.syscall(444, None, 0, 1))
    rights = 13 + (abi >= 2) + (abi >= 3) + (abi >= 5)  # one bit each; later versions know more rights
    attributes = struct.pack("<QQQ", 2**rights - 1, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    rules = _call(LANDLOCK, _LIBC.syscall(444, attributes, size, 0))
    read_file, read_folder = 4, 8
    for path in readable:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            allowed = read_file | (read_folder if path.is_dir() else 0)
            _call(LANDLOCK, _LIBC.syscall(445, rules, 1, struct.pack("<Qi", allowed, handle), 0))
            os.close(handle)
    _call(LANDLOCK, _LIBC.syscall(446, rules, 0))
    os.close(rules)


def _program(machine: str, pid: int) -> list[tuple[int, int, int, int]]:
    """The filter in classic BPF (Linux: seccomp(2)): one block per system call; what matches none gets EPERM."""
    program = [_load(4), _if_equal(_ARCH[machine], 1, 0), _give(_KILL), _load(0)]
    for number in _PLAIN[machine]:
        program += [_if_equal(number, 0, 1), _give(_ALLOW)]
    for number in _UNKNOWN:
        program += [_if_equal(number, 0, 1), _give(_ERRNO | errno.ENOSYS)]
    opens = [(table[machine], argument) for table, argument in ((_OPEN, 1), (_OPENAT, 2)) if machine in table]
    for number, argument in opens:
        program += _block(number, [_load(_low(argument)), _if_bits(_WRITING, 1, 0), _give(_ALLOW)])
    program += _block(_CLONE[machine], [_load(_low(0)), _if_bits(_THREAD, 0, 1), _give(_ALLOW)])
    for table, commands in ((_FCNTL, _FCNTL_COMMANDS), (_IOCTL, _IOCTL_COMMANDS)):
        tests = [step for command in commands for step in (_if_equal(command, 0, 1), _give(_ALLOW))]
        program += _block(table[machine], [_load(_low(1)), *tests])
    program += _block(_TGKILL[machine], [_load(_low(0)), _if_equal(pid, 0, 1), _give(_ALLOW)])
    zero = [step for word in (_low(0), _low(2), _low(2) + 4) for step in (_load(word), _if_equal(0, 1, 0), _give(_ERRNO | errno.EPERM))]
    program += _block(_PRLIMIT[machine], [*zero, _give(_ALLOW)])  # asking for one's own limits, not setting any
    return [*program, _give(_ERRNO | errno.EPERM)]


def _block(number: int, body: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """`body` runs for system call `number` only, and ends in EPERM where it decides nothing."""
    body = [*body, _give(_ERRNO | errno.EPERM)]
    return [_if_equal(number, 0, len(body)), *body]


def _low(argument: int) -> int:
    """Offset of the lower 32 bits of an argument in `struct seccomp_data` (little-endian machines)."""
    return 16 + 8 * argument


def _load(offset: int) -> tuple[int, int, int, int]:
    return (0x20, 0, 0, offset)


def _if_equal(value: int, yes: int, no: int) -> tuple[int, int, int, int]:
    return (0x15, yes, no, value)


def _if_bits(mask: int, yes: int, no: int) -> tuple[int, int, int, int]:
    return (0x45, yes, no, mask)


def _give(result: int) -> tuple[int, int, int, int]:
    return (0x06, 0, 0, result)


def _seccomp(program: list[tuple[int, int, int, int]]) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in program))
    header = struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(code))
    _call(SECCOMP, _LIBC.prctl(_SET_SECCOMP, _FILTER, header, 0, 0))


def _call(what: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
