"""A model's files on disk: which are read at all, how large they may be, and the digest of the weights.

Only safetensors weights and JSON (or a jinja chat template) are ever opened: no pickles, no code.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

from blake3 import blake3

from swarm.bounds import json_of
from swarm.errors import Refused

MEGABYTE = 2**20
# Every file that may be read besides the weights, with its largest size in bytes.
TEXTS = {
    "config.json": MEGABYTE,
    "generation_config.json": MEGABYTE,
    "tokenizer.json": 64 * MEGABYTE,
    "tokenizer_config.json": 8 * MEGABYTE,
    "special_tokens_map.json": MEGABYTE,
    "chat_template.jinja": 65_536,
    "model.safetensors.index.json": 16 * MEGABYTE,
}
NEEDED = ("config.json", "tokenizer.json")
HEADER = 16 * MEGABYTE
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def check(folder: Path, most_bytes: int) -> None:
    """Refuse a folder with a file missing or too large, before any of them is read. Raises Refused("model files")."""
    for name in NEEDED:
        if not (folder / name).is_file():
            raise _refused(f"{folder} has no {name}")
    for name, limit in TEXTS.items():
        if (folder / name).is_file() and (folder / name).stat().st_size > limit:
            raise _refused(f"{name} has {(folder / name).stat().st_size} bytes; at most {limit} are read")
    total = sum(path.stat().st_size for path in shards(folder))
    if total > most_bytes:
        raise _refused(f"the weights have {total / 1e9:.1f} GB; this machine could hold {most_bytes / 1e9:.1f} GB")


def shards(folder: Path) -> list[Path]:
    """The safetensors files of a model, by name. Raises Refused("model files") where there are none."""
    names = [SINGLE]
    if not (folder / SINGLE).is_file() and (folder / INDEX).is_file():
        index = json_object((folder / INDEX).read_bytes(), INDEX)
        chosen = index.get("weight_map")
        if not isinstance(chosen, dict) or not all(isinstance(name, str) for name in chosen.values()):
            raise _refused(f"{INDEX} has no weight_map")
        names = sorted(set(chosen.values()))
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors") or not (folder / name).is_file():
            raise _refused(f"{folder} has no weights {name[:80]!r}; only safetensors are read")
    return [folder / name for name in names]


def digest(folder: Path) -> str:
    """BLAKE3 of the weights, hex: of the one file, or of the shards' digests in order of their names."""
    digests = [blake3(max_threads=blake3.AUTO).update_mmap(path).digest() for path in shards(folder)]
    return (digests[0] if len(digests) == 1 else blake3(b"".join(digests)).digest()).hex()


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors, from the files' headers alone. Raises Refused("model files") for a header that lies."""
    found: dict[str, tuple[int, ...]] = {}
    for path in shards(folder):
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
            if length > HEADER:
                raise _refused(f"{path.name}: a header of {length} bytes; at most {HEADER} are read")
            header = json_object(file.read(length), path.name)
        header.pop("__metadata__", None)
        room = path.stat().st_size - 8 - length
        for name, entry in header.items():
            found[name] = _shape(path.name, name, entry, room)
    return found


def _shape(file: str, name: str, entry: Any, room: int) -> tuple[int, ...]:
    """The shape of one tensor, whose place must fit its shape and lie within the `room` bytes after the header."""
    entry = entry if isinstance(entry, dict) else {}
    shape, place, kind = entry.get("shape"), entry.get("data_offsets"), entry.get("dtype")
    if not _naturals(shape) or len(shape) > 8 or not _naturals(place) or len(place) != 2 or kind not in BYTES:
        raise _refused(f"{file}: {name[:80]!r} has no shape, place or known type")
    if place[1] - place[0] != math.prod(shape) * BYTES[kind] or place[1] > room:
        raise _refused(f"{file}: {name[:80]!r} claims more than the file holds")
    return tuple(shape)


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**62 for n in value)


def json_object(data: bytes, name: str) -> dict[str, Any]:
    """A JSON object from bytes already bounded. Raises Refused("model files") for anything else."""
    try:
        value = json_of(data)
    except ValueError:
        raise _refused(f"{name} is damaged") from None
    if not isinstance(value, dict):
        raise _refused(f"{name} is damaged")
    return value


def _refused(why: str) -> Refused:
    return Refused("model files", why, "get the model again, or choose another one")
