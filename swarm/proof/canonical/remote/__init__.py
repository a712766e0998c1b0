"""Kernels of another architecture, served by a helper process under an emulator (qemu-user), while Python and PyTorch run natively.

    with native.using(BUILDS["aarch64"]): ...       where this machine is not one

The helper (serve.c) runs the very object that `build` compiles for that architecture. It reads and writes this process's memory by itself as
the kernels touch it, so calls are the same as of a library that is loaded here: function, pointers, sizes. Slow, and exact: it exists
so that one machine can show that another's kernels give the same words, and so that an auditor can be checked against one.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import threading
import weakref
from functools import cache
from pathlib import Path
from typing import Any

from swarm.errors import ResourceError
from swarm.proof.canonical.build import Build, Unbuilt, helper, shared_object

SOURCE = Path(__file__).parent / "serve.c"
INTS, FLOATS = 16, 8
CALL = struct.Struct(f"<64s{INTS}q{FLOATS * 8}sQ")
HINT = "Debian, Ubuntu: apt install qemu-user-static gcc-aarch64-linux-gnu"


class Remote:
    """A build's kernels as a library would have them: attributes are functions, which take `argtypes` as those of ctypes do."""

    def __init__(self, build: Build):
        """Compile and start the helper. Raises Unbuilt where the compiler or the emulator is missing."""
        runs = build.emulator()
        if runs is None:
            raise Unbuilt(f"nothing here runs code for {build.machine} (looked for qemu-{build.machine})", HINT)
        kernels, serve = shared_object(build), helper(build, SOURCE)
        memory = os.open("/proc/self/mem", os.O_RDWR)
        try:
            command = [runs, "-L", str(_system(build)), str(serve), str(kernels), str(memory)]
            pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
            self._process = subprocess.Popen(command, pass_fds=[memory], **pipes)
        finally:
            os.close(memory)
        self._lock = threading.Lock()
        self._functions: dict[str, _Function] = {}
        self.calls = 0
        self._end = weakref.finalize(self, _end, self._process)

    def __getattr__(self, name: str) -> _Function:
        if not name.startswith("canonical_"):
            raise AttributeError(name)
        return self._functions.setdefault(name, _Function(self, name))

    def call(self, name: str, ints: list[int], floats: list[bytes], pointers: int) -> int:
        """Call a function of the helper's; gives what it returns."""
        told = CALL.pack(name.encode(), *ints, *(0,) * (INTS - len(ints)), b"".join(floats), pointers)
        with self._lock:
            try:
                self._process.stdin.write(told)
                answer = self._process.stdout.read(8)
            except OSError:
                answer = b""
            self.calls += 1
        if len(answer) != 8:
            raise ResourceError(f"the kernels' helper ended over {name}", "its last words are on stderr")
        return struct.unpack("<q", answer)[0]

    def close(self) -> None:
        """End the helper."""
        self._end()


class _Function:
    """One function of the helper's. What it gives is a C int."""

    restype: Any = ctypes.c_int
    argtypes: list[Any] = []

    def __init__(self, remote: Remote, name: str):
        self._remote, self._name = remote, name

    def __call__(self, *values: Any) -> int:
        ints: list[int] = []
        floats: list[bytes] = []
        pointers = 0
        for kind, value in zip(self.argtypes, values, strict=True):
            if kind is ctypes.c_float or kind is ctypes.c_double:
                floats.append(struct.pack("<f4x" if kind is ctypes.c_float else "<d", value))
                continue
            if not isinstance(value, int | None):  # a struct; ctypes too hands over where it lies
                value = ctypes.cast(value, ctypes.c_void_p).value
            pointers |= (kind is ctypes.c_void_p and bool(value)) << len(ints)
            ints.append(value or 0)
        return ctypes.c_int(self._remote.call(self._name, ints, floats, pointers)).value


def _end(process: subprocess.Popen[bytes]) -> None:
    process.stdin.close()
    process.stdout.close()
    process.kill()
    process.wait()


@cache
def _system(build: Build) -> Path:
    """The folder above the other architecture's libraries, as its compiler knows it."""
    loader = f"ld-linux-{build.machine}.so.1"
    said = subprocess.run([build.compiler() or "", f"-print-file-name={loader}"], capture_output=True, text=True, timeout=60).stdout.strip()
    if not Path(said).is_file():
        raise Unbuilt(f"the C library for {build.machine} is missing ({loader})", HINT)
    return Path(said).resolve().parent.parent
