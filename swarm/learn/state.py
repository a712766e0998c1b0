"""A peer's training state on disk: whole or not at all, the newest two kept.

A checkpoint is one plain safetensors file, `round-00000012-DIGEST.safetensors`, whose name carries the BLAKE3 of its
content. It is written beside its place, synced, renamed, and its folder synced, so that a crash or a full disk at any
moment leaves the last one whole. Inside: `model/NAME` for each tensor that training changes, `exp_avg/NAME`,
`exp_avg_sq/NAME`, `step/NAME` of AdamW, and the node's own JSON under the metadata key `swarm`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from swarm.bounds import json_of
from swarm.errors import InputError, Refused, ResourceError, StateError
from swarm.learn.root import elements
from swarm.learn.step import MOMENTS, OptimizerState, trainable

if TYPE_CHECKING:
    import torch

VERSION = 1
MODEL = "model/"
_KINDS = {"torch.float64": "F64", "torch.float32": "F32", "torch.bfloat16": "BF16", "torch.float16": "F16"}  # in the order of a packed state
_PLACES = {kind: place for place, kind in enumerate(_KINDS.values())}
_NAME = re.compile(r"round-(\d{8,})-([0-9a-f]{64})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """State after `round` rounds. `optimizer` is None where no step had been taken."""

    round: int
    tensors: dict[str, torch.Tensor]
    optimizer: OptimizerState | None
    meta: dict[str, Any] = field(default_factory=dict)


def tensors_of(model: torch.nn.Module, optimizer: OptimizerState | None) -> dict[str, torch.Tensor]:
    """The whole state as named tensors, for `root.state_root`: `model/NAME` and AdamW's."""
    return {MODEL + name: tensor.detach() for name, tensor in trainable(model).items()} | (optimizer or {})


def restore(model: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Copy stored tensors (plain names) into `model`. Raises StateError where names, shapes or types differ."""
    import torch

    own = trainable(model)
    if odd := sorted(own.keys() ^ tensors.keys()):
        raise StateError(f"the stored state is of another model: {len(odd)} tensors differ, first {odd[0]}", "start with --fresh")
    for name, tensor in own.items():
        if (tensor.shape, tensor.dtype) != (tensors[name].shape, tensors[name].dtype):
            raise StateError(f"the stored {name} is {tuple(tensors[name].shape)}, the model's {tuple(tensor.shape)}", "start with --fresh")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def require_moments(model: torch.nn.Module, moments: dict[str, torch.Tensor]) -> None:
    """Raise StateError unless `moments` is empty or AdamW's state of exactly the trained tensors of `model`, in float32."""
    import torch

    if not moments:
        return
    own = trainable(model)
    expected = {f"{moment}/{name}": torch.Size() if moment == "step" else tensor.shape for name, tensor in own.items() for moment in MOMENTS}
    if moments.keys() != expected.keys():
        raise StateError("the stored optimizer state is of another model", "start with --fresh")
    for name, tensor in moments.items():
        like = torch.float32 if name.startswith("step/") else own[name.partition("/")[2]].dtype
        if tensor.shape != expected[name] or tensor.dtype != like:
            raise StateError(f"the stored {name} has another shape or type than the model's", "start with --fresh")


def pack(tensors: dict[str, torch.Tensor], scalars: dict[str, int]) -> bytes:
    """A whole state as one safetensors file whose bytes follow from its content: what an opening carries.

    `tensors` as from `tensors_of`, all of them floating point. The scalars lie under one metadata key, since the order of several is not fixed.
    """
    return b"".join(_parts(tensors, scalars))


def packed_digest(tensors: dict[str, torch.Tensor], scalars: dict[str, int]) -> bytes:
    """32 bytes: BLAKE3 of what `pack` gives, without making it. A state is named in every step record, but few are stored."""
    hasher = blake3()
    for part in _parts(tensors, scalars):
        hasher.update(part)
    return hasher.digest()


def _parts(tensors: dict[str, torch.Tensor], scalars: dict[str, int]) -> Iterator[Any]:
    """The file in pieces: length of the head, head, elements of one tensor after the other. Wide types come first, then by name, as the
    safetensors library has it; written here, so that a digest does not hang on that library's version."""
    kinds = {name: _KINDS[str(tensor.dtype)] for name, tensor in tensors.items()}
    names = sorted(tensors, key=lambda name: (_PLACES[kinds[name]], name.encode()))
    head, at = {"__metadata__": {"swarm": json.dumps(scalars, sort_keys=True)}}, 0
    for name in names:
        end = at + tensors[name].nbytes
        head[name] = {"dtype": kinds[name], "shape": list(tensors[name].shape), "data_offsets": [at, end]}
        at = end
    said = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    said += b" " * (-len(said) % 8)
    yield len(said).to_bytes(8, "little") + said
    for name in names:
        yield elements(tensors[name])


def unpack(data: bytes) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
    """The tensors and scalars of a packed state; its size was bounded and its digest checked before. Raises Refused("malformed")."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        head = json_of(data[8 : 8 + int.from_bytes(data[:8], "little")])
        scalars = json_of(head["__metadata__"]["swarm"].encode())
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise Refused("malformed", f"the state does not parse ({type(error).__name__})") from None
    if not isinstance(scalars, dict) or not all(type(value) is int for value in scalars.values()):
        raise Refused("malformed", "the state's scalars are no whole numbers")
    return tensors, scalars


class Checkpoints:
    """The checkpoints of one peer in one folder."""

    def __init__(self, folder: Path, keep: int = 2):
        if keep < 1:
            raise InputError(f"keep = {keep}: at least one checkpoint is kept")
        self.folder, self.keep = Path(folder), keep
        self.folder.mkdir(parents=True, exist_ok=True)

    def save(self, round: int, tensors: dict[str, torch.Tensor], optimizer: OptimizerState | None, meta: dict[str, Any]) -> Path:
        """Write the state after `round` (plain tensor names, as from `step.trainable`), then drop all but the newest.

        Raises ResourceError where the disk cannot take it; what was there before is still whole then.
        """
        part = self.folder / "writing.part"
        try:
            self._write(part, round, tensors, optimizer, meta)
            path = self.folder / f"round-{round:08d}-{_digest(part)}.safetensors"
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        _sync(self.folder)
        for old in [old for old in self._files() if old != path][max(0, self.keep - 1) :]:
            old.unlink(missing_ok=True)
        return path

    def load(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint (None: there is none), and a sentence for each damaged one that was passed over.

        A damaged file is renamed to `*.damaged`, so that it is neither tried again nor counted as kept.
        """
        warnings = []
        for path in self._files():
            try:
                return _read(path), warnings
            except StateError as error:
                os.replace(path, path.with_suffix(".damaged"))
                warnings.append(f"{error}; it is set aside and an older one is used")
        if warnings:
            warnings[-1] = warnings[-1].replace("an older one is used", "there is no older one: training starts again")
        return None, warnings

    def forget_after(self, round: int) -> None:
        """Drop the states after later rounds: an earlier one was taken up instead."""
        for path in self._files():
            if int(_NAME.fullmatch(path.name)[1]) > round:
                path.unlink()
        _sync(self.folder)

    def _files(self) -> list[Path]:
        """Checkpoints by name, newest round first; within a round the one written last."""
        found = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: (int(_NAME.fullmatch(path.name)[1]), path.stat().st_mtime_ns), reverse=True)

    def _write(self, part: Path, round: int, tensors: dict[str, torch.Tensor], optimizer: OptimizerState | None, meta: dict[str, Any]) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        named = {MODEL + name: tensor for name, tensor in tensors.items()} | (optimizer or {})
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}
        note = json.dumps({"version": VERSION, "round": round, "meta": meta}, sort_keys=True, allow_nan=False)
        try:
            save_file(whole, part, metadata={"swarm": note})
        except SafetensorError as error:  # safetensors wraps what the system said about the file
            what = f"the state of round {round} could not be written to {self.folder}: {error}"
            raise ResourceError(what, "free some space and start again: the round before is whole") from error
        with open(part, "rb+") as file:
            os.fsync(file.fileno())


def _read(path: Path) -> Checkpoint:
    from safetensors import safe_open

    round, expected = _NAME.fullmatch(path.name).groups()
    try:
        actual = _digest(path)
    except OSError as error:
        raise StateError(f"the checkpoint of round {int(round)} cannot be read ({error.strerror})") from error
    if actual != expected:
        raise StateError(f"the checkpoint of round {int(round)} is damaged (digest {actual[:8]}, expected {expected[:8]})")
    with safe_open(path, framework="pt") as file:
        note = json.loads((file.metadata() or {}).get("swarm", "{}"))
        if note.get("version") != VERSION:
            raise StateError(f"the checkpoint of round {int(round)} has version {note.get('version')}, this program reads {VERSION}")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping, only keys())
    optimizer = {name: tensor for name, tensor in tensors.items() if name.partition("/")[0] in MOMENTS}
    model = {name.removeprefix(MODEL): tensor for name, tensor in tensors.items() if name.startswith(MODEL)}
    return Checkpoint(int(round), model, optimizer or None, note["meta"])


def _digest(path: Path) -> str:
    return blake3().update_mmap(path).hexdigest()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
