"""The compiled kernels as Python calls.

    neg = Kernel("canonical_neg", "wpp")         w a walk, p a pointer, n int64, i int32, f float32, d float64; gives nothing
    neg.call(walk, out.data_ptr(), a.data_ptr())

The first call compiles and loads (`build.NATIVE`). `using(build)` puts another build in its place, for tests; one for another architecture is
served by a helper process under an emulator (remote/).
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.proof.canonical.build import NATIVE, Build, Unbuilt, shared_object

if TYPE_CHECKING:
    from swarm.proof.canonical.remote import Remote

TYPES = {"w": ctypes.c_void_p, "p": ctypes.c_void_p, "n": ctypes.c_int64, "i": ctypes.c_int32, "f": ctypes.c_float, "d": ctypes.c_double}

_kernels: list[Kernel] = []
_loaded: dict[Build, ctypes.CDLL | Remote] = {}
_library: ctypes.CDLL | Remote | None = None


class Kernel:
    """A function of the kernels. `call` is the function itself once they are loaded: look it up at every call."""

    __slots__ = ("call", "letters", "name")

    def __init__(self, name: str, letters: str):
        self.name, self.letters = name, letters
        self.call: Callable[..., Any] = self._first
        _kernels.append(self)
        if _library is not None:
            self.bind(_library)

    def bind(self, found: ctypes.CDLL | Remote) -> None:
        self.call = getattr(found, self.name)
        self.call.argtypes, self.call.restype = [TYPES[letter] for letter in self.letters], None

    def _first(self, *values: Any) -> Any:
        library()
        return self.call(*values)


def library() -> ctypes.CDLL | Remote:
    """The kernels in use, loaded on the first call. Raises Unbuilt."""
    return _library if _library is not None else _use(_load(NATIVE))


@contextlib.contextmanager
def using(build: Build) -> Iterator[None]:
    """Another build's kernels serve this process meanwhile."""
    before = library()
    _use(_load(build))
    try:
        yield
    finally:
        _use(before)


def width() -> int:
    """Floats in a vector of the kernels in use."""
    return library().canonical_width()


def threads(count: int) -> None:
    """How many threads the kernels work with; torch's number until it is set."""
    library().canonical_threads(count)


def _use(found: ctypes.CDLL | Remote) -> ctypes.CDLL | Remote:
    global _library
    _library = found
    for kernel in _kernels:
        kernel.bind(found)
    return found


def _load(build: Build) -> ctypes.CDLL | Remote:
    if build not in _loaded:
        import torch

        found = _served(build) if build.is_foreign else _opened(shared_object(build))
        found.canonical_threads.argtypes, found.canonical_threads.restype = [ctypes.c_int64], None
        found.canonical_threads(torch.get_num_threads())
        _loaded[build] = found
    return _loaded[build]


def _opened(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise Unbuilt(f"the canonical kernels do not load: {error}", f"delete {path} and try again") from None


def _served(build: Build) -> Remote:
    from swarm.proof.canonical.remote import Remote

    return Remote(build)
