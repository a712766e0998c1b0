"""Compiles the canonical kernels on this machine: kernels/*.c into one shared object, once per sources, flags and compiler.

    $XDG_CACHE_HOME/openswarm/kernels/<name>-<digest>.so      (~/.cache where it is not set)

A `Build` is a compiler with flags. All builds give the same bits; `NATIVE` is the one that a node uses, the others exist so that tests can
hold them against each other. `CONTRACTED` is the negative control: its compiler may fuse a product with a sum, and its bits differ.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from blake3 import blake3

from swarm.errors import ResourceError

KERNELS = Path(__file__).parent / "kernels"
ALWAYS = ("-std=gnu11", "-fPIC", "-pthread", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi", "-Wno-unknown-pragmas")
EXACT = ("-ffp-contract=off",)
COMPILERS = ("gcc", "cc", "clang")
SECONDS = 600.0
HINT = "install gcc (Debian, Ubuntu: apt install gcc; Fedora: dnf install gcc; macOS: xcode-select --install), or use profile = \"pinned\""


class Unbuilt(ResourceError):
    """The kernels cannot be compiled here: no compiler, or it fails."""


@dataclass(frozen=True)
class Build:
    """A compiler and flags. `needs` are the processor's features (as /proc/cpuinfo names them) without which it cannot be loaded here,
    `machine` the architecture it is for: "" for this one."""

    name: str
    compilers: tuple[str, ...] = COMPILERS
    flags: tuple[str, ...] = ("-O3", *EXACT)
    needs: tuple[str, ...] = ()
    machine: str = ""

    def compiler(self) -> str | None:
        """Path of the first compiler that is there."""
        return next((path for path in map(shutil.which, self.compilers) if path), None)

    @property
    def version(self) -> str:
        """What its compiler calls itself, in one line."""
        compiler = self.compiler()
        return _version(compiler).partition("\n")[0] if compiler else "no compiler"

    @property
    def is_foreign(self) -> bool:
        """Whether it is for another architecture than this machine's."""
        return self.machine not in ("", platform.machine())

    @property
    def loads(self) -> bool:
        """Whether this machine can compile it and run it without an emulator."""
        return not self.is_foreign and set(self.needs) <= _features() and self.compiler() is not None

    @property
    def runs(self) -> bool:
        """Whether it can be compiled and run here, if need be under an emulator."""
        return self.loads or self.is_foreign and None not in (self.compiler(), self.emulator())

    def emulator(self) -> str | None:
        """The program that runs code for its architecture here."""
        return next((path for path in map(shutil.which, (f"qemu-{self.machine}-static", f"qemu-{self.machine}")) if path), None)


AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma")
NATIVE = Build("native", flags=("-O3", "-march=native", *EXACT))
CONTRACTED = Build("contracted", ("gcc", "cc"), ("-O3", "-march=native", "-ffp-contract=fast"))
BUILDS = {
    each.name: each
    for each in (
        NATIVE,
        Build("avx512", flags=("-O3", *EXACT, *AVX512), needs=("avx512f", "avx512bw", "avx512dq", "avx512vl"), machine="x86_64"),
        Build("avx2", flags=("-O3", *EXACT, "-mavx2", "-mfma"), needs=("avx2", "fma"), machine="x86_64"),
        Build("wide16", flags=("-O3", *EXACT, "-mavx2", "-mfma", "-DW=16"), needs=("avx2", "fma"), machine="x86_64"),
        Build("sse2", flags=("-O3", *EXACT, "-msse2"), machine="x86_64"),
        Build("O0", flags=("-O0", *EXACT, "-mavx2", "-mfma"), needs=("avx2", "fma"), machine="x86_64"),
        Build("clang", ("clang",), ("-O3", "-march=native", *EXACT)),
        Build("aarch64", ("aarch64-linux-gnu-gcc",), ("-O3", *EXACT), machine="aarch64"),
        CONTRACTED,
    )
}


def folder() -> Path:
    """Where compiled kernels are kept: they are made anew when they are gone."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openswarm" / "kernels"


def shared_object(build: Build = NATIVE) -> Path:
    """The compiled kernels, compiled on the first call; callers of other processes wait for the first one. Raises Unbuilt."""
    compiler = build.compiler()
    if compiler is None:
        raise Unbuilt(f"no C compiler for the canonical kernels (looked for {', '.join(build.compilers)})", HINT)
    return _made(f"{build.name}-{_digest(build, compiler)}.so", lambda room: _linked(build, compiler, room))


def helper(build: Build, source: Path) -> Path:
    """A program of one source file for a build's machine, compiled on the first call. Raises Unbuilt."""
    compiler = build.compiler()
    if compiler is None:
        raise Unbuilt(f"no C compiler for {build.name} (looked for {', '.join(build.compilers)})", HINT)
    digest = blake3("\0".join([_version(compiler), source.read_text()]).encode()).hexdigest()[:24]
    program = [compiler, "-std=gnu11", "-O2", str(source), "-ldl"]
    return _made(f"{source.stem}-{build.name}-{digest}", lambda room: _compiled(program, room / source.stem))


def _made(name: str, make: Callable[[Path], Path]) -> Path:
    """What is compiled once; callers of other processes wait for the first one."""
    place = folder() / name
    if place.is_file():
        return _own(place.parent, place)
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _own(place.parent)
        with open(place.with_suffix(".lock"), "w") as lock, tempfile.TemporaryDirectory(dir=place.parent) as room:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.is_file():
                print(f"compiling the canonical kernels ({name.rpartition('-')[0]}), once", file=sys.stderr, flush=True)
                _put(make(Path(room)), place)
    except OSError as error:
        raise Unbuilt(f"the canonical kernels cannot be kept: {error}", "let XDG_CACHE_HOME name a folder that can be written") from None
    return _own(place.parent, place)


def _own(*places: Path) -> Path:
    """The last of them. Raises Unbuilt where another account may write one: its code would run here."""
    for each in places:
        found = each.stat()
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Unbuilt(f"others can write {each}, where compiled kernels are kept", "delete it, or let XDG_CACHE_HOME name a folder of your own")
    return places[-1]


def _put(whole: Path, place: Path) -> None:
    """Into the same file system's place, with its content on disk first."""
    with open(whole, "rb") as file:
        os.fchmod(file.fileno(), 0o755)
        os.fsync(file.fileno())
    os.replace(whole, place)


def _linked(build: Build, compiler: str, room: Path) -> Path:
    """A shared object of all sources, as many compiled at once as there are processors."""
    objects = {source: room / f"{source.stem}.o" for source in _sources(".c")}
    command = [compiler, *ALWAYS, *build.flags]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda source: _compiled([*command, "-c", str(source)], objects[source]), objects))
    return _compiled([*command, "-shared", *map(str, objects.values()), "-lm"], room / "kernels.so")


def _compiled(command: list[str], place: Path) -> Path:
    try:
        done = subprocess.run(
            [*command, "-o", str(place)], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unbuilt(f"{command[0]} did not finish the canonical kernels: {error}", HINT) from None
    if done.returncode != 0:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[-200:])
        raise Unbuilt(f"{command[0]} does not compile the canonical kernels: {said}", HINT)
    return place


def _sources(suffix: str) -> list[Path]:
    return sorted(path for path in KERNELS.iterdir() if path.suffix == suffix)


def _digest(build: Build, compiler: str) -> str:
    """Of all that may change what comes out; "native" flags mean the processor too."""
    told = [*ALWAYS, *build.flags, _version(compiler), platform.machine(), *sorted(_features())]
    told += [text for path in _sources(".h") + _sources(".c") for text in (path.name, path.read_text())]
    return blake3("\0".join(told).encode()).hexdigest()[:24]


@cache
def _version(compiler: str) -> str:
    try:
        return subprocess.run([compiler, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unbuilt(f"{compiler} does not answer: {error}", HINT) from None


@cache
def _features() -> frozenset[str]:
    """Of this processor; empty where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "").split())
