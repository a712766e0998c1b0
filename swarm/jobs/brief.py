"""The brief of a job: what people and nodes have to know of it beside the contract's figures.

    msgpack [version, name, about, recipe blob, addresses, [[role, path, digest, size], ...], [sampled, trained, memory, disk]]

It travels in the event `Posted`, written by a stranger: `parse` bounds and types it, and nothing in it is believed that the contract or a
digest can tell. Recipe and files are fetched by digest from the addresses (later from any member); the recipe's hash is the swarm's on
chain. The last list is the submitter's estimate, for `swarm earn` only: whoever claims works it out again from the recipe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgpack

from swarm import addresses as grammar
from swarm.errors import InputError, Refused
from swarm.names import plain

VERSION = 1
MAX_BYTES = 4_096
MAX_ADDRESSES, MAX_FILES = 8, 16
NAME, ABOUT = 60, 400  # characters
LARGEST_FILE = 2**36
ROLES = ("data", "model", "code")
_PATH = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*){0,7}", re.ASCII)
LONGEST_PATH = 120


@dataclass(frozen=True)
class File:
    """A blob that the job's members need beside the recipe: `path` is where the recipe names it, relative; `digest` is its BLAKE3."""

    role: str
    path: str
    digest: bytes
    size: int

    def __post_init__(self) -> None:
        if self.role not in ROLES or len(self.path) > LONGEST_PATH or not _PATH.fullmatch(self.path):
            raise InputError(f"{ascii(self.path[:80])} cannot be a file of a job", "a path beside the recipe, of letters, digits, - _ and dots")
        if len(self.digest) != 32 or not 0 < self.size <= LARGEST_FILE:
            raise InputError(f"{self.path}: a file of a job has 1 byte to 64 GiB, and a digest of 32 bytes", "is the file empty?")


@dataclass(frozen=True)
class Estimate:
    """What the submitter says a step takes: MFLOP of sampling and of training, and bytes of memory and disk of one machine."""

    sampled: int = 0
    trained: int = 0
    memory: int = 0
    disk: int = 0


@dataclass(frozen=True)
class Brief:
    """A checked brief; texts are safe to show. `recipe` is the digest under which members serve the recipe's bytes."""

    name: str
    about: str
    recipe: bytes
    addresses: tuple[str, ...]
    files: tuple[File, ...] = ()
    estimate: Estimate = Estimate()

    def pack(self) -> bytes:
        """The bytes that are posted. Raises InputError where they are too many."""
        about = self.about[:ABOUT]
        files = [[file.role, file.path, file.digest, file.size] for file in self.files]
        numbers = [self.estimate.sampled, self.estimate.trained, self.estimate.memory, self.estimate.disk]
        data = msgpack.packb([VERSION, self.name[:NAME], about, self.recipe, list(self.addresses[:MAX_ADDRESSES]), files, numbers])
        if len(self.files) > MAX_FILES or len(data) > MAX_BYTES:
            raise InputError(f"the brief has {len(self.files)} files and {len(data)} bytes", f"at most {MAX_FILES} and {MAX_BYTES}: merge files")
        return data


def parse(data: bytes) -> Brief:
    """A brief from anyone. Raises Refused("oversize" | "malformed" | "version")."""
    if len(data) > MAX_BYTES:
        raise Refused("oversize", f"a brief of {len(data)} bytes; at most {MAX_BYTES} are read")
    try:
        value = msgpack.unpackb(data, max_array_len=32, max_map_len=0, max_ext_len=0)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        raise Refused("malformed", "the brief does not parse") from None
    if type(value) is not list or not value or value[0] != VERSION or type(value[0]) is not int:
        raise Refused("version", "the brief is of another version", "update the program")
    try:
        return _typed(value)
    except (InputError, TypeError, ValueError, IndexError) as error:
        raise Refused("malformed", f"the brief is damaged: {plain(str(error))}") from None


def _typed(value: list[Any]) -> Brief:
    _, name, about, recipe, found, files, numbers = value
    _all((name, about), str, "a text")
    if type(recipe) is not bytes or len(recipe) != 32:
        raise ValueError("its recipe is not 32 bytes")
    if type(found) is not list or len(found) > MAX_ADDRESSES or type(files) is not list or len(files) > MAX_FILES or type(numbers) is not list:
        raise ValueError("its lists are none, or too long")
    _all(found, str, "an address")
    _all(numbers, int, "a number")
    if len(numbers) != 4 or not all(0 <= number < 2**63 for number in numbers):
        raise ValueError("its estimate is out of bounds")
    dialable = tuple(grammar.dialable(address) for address in found)
    kept = tuple(_file(row) for row in files)
    if len({file.path for file in kept}) != len(kept):
        raise ValueError("two files under one path")
    return Brief(plain(name, NAME).strip() or "unnamed", plain(about, ABOUT), recipe, dialable, kept, Estimate(*numbers))


def _file(row: Any) -> File:
    if type(row) is not list or [type(entry) for entry in row] != [str, str, bytes, int]:
        raise ValueError("a file is not [role, path, digest, size]")
    return File(*row)


def _all(values: Any, form: type, what: str) -> None:
    if not all(type(value) is form for value in values):
        raise ValueError(f"{what} is no {form.__name__}")
