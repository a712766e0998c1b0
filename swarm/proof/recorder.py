"""The recorder: writes a step record for every optimizer step, closes epochs, and keeps what an audit may ask for.

    proof/leaves/00000012.leaf   the twelfth change of state: [leaf, salt, digest of the state before, digests of its blobs, stored]
    proof/epochs/00000003.epoch  the blob of a closed epoch
    proof/notes.json             last closed epoch, last root that was put into an epoch, last epoch of a way that was left

A leaf is on disk before the checkpoint of its round, and counts once that checkpoint is there: a process killed between the
two plays the round again and writes the leaf anew. Blobs lie in the network's store and are kept until their epoch's case is
closed. Used by the node's thread (`add`, `confirm`) and by that of its duties (`close`, `forget`): one lock.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgpack

from swarm import disk
from swarm.network.store import BlobStore, digest_of
from swarm.proof import epoch as epochs
from swarm.proof import leaf as leaves
from swarm.proof.epoch import HEARD, Epoch
from swarm.proof.leaf import Leaf

SALT = 32


@dataclass(frozen=True)
class Step:
    """A recorded step. `state` is the digest of the packed state before it, `stored` whether that state lies in the store."""

    leaf: Leaf
    salt: bytes
    state: bytes
    blobs: tuple[bytes, ...]  # the batch record's, own ones, sources
    stored: bool

    def pack(self) -> bytes:
        return msgpack.packb([self.leaf.row(), self.salt, self.state, list(self.blobs), self.stored])

    @classmethod
    def unpack(cls, data: bytes) -> Step:
        row, salt, state, blobs, stored = msgpack.unpackb(data)
        return cls(leaves.leaf_of(row), salt, state, tuple(blobs), stored)


class Recorder:
    """Records of one peer in one swarm. `epoch_now()` is the epoch by the chain's clock."""

    def __init__(
        self,
        folder: Path,
        swarm: bytes,
        peer: bytes,
        operator: bytes,
        machine: bytes,
        store: BlobStore,
        epoch_now: Callable[[], int],
        limit: int = 2**20,
        restores: bool = True,
    ):
        """`machine` is the determinism class, `limit` the most steps of an epoch. `restores`: an older state that was taken up is recorded as
        such; where steps are paid one by one it must not be, and `rebase` comes instead."""
        self.limit, self.restores = limit, restores
        self.swarm, self.peer, self.operator, self.machine, self.store, self.epoch_now = swarm, peer, operator, machine, store, epoch_now
        self._leaves, self._epochs, self._notes = folder / "leaves", folder / "epochs", folder / "notes.json"
        for one in (self._leaves, self._epochs):
            one.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._steps = {int(path.stem): Step.unpack(path.read_bytes()) for path in sorted(self._leaves.glob("*.leaf"))}
        self._confirmed, self._begun = -1, False
        notes = json.loads(self._notes.read_bytes()) if self._notes.exists() else {}
        self.closed, self.last_root = notes.get("closed", -1), bytes.fromhex(notes.get("last_root", ""))
        self.left = notes.get("left", -1)  # records up to this epoch lead elsewhere than where this peer goes on
        self._held: set[bytes] = set()
        for digest in self._needed():
            store.keep(digest)

    def resume(self, round: int, root: bytes, time: int) -> None:
        """Take up after a restart at the state after `round`, whose root is `root`.

        Leaves of rounds whose checkpoint was never finished go, since those rounds are played again. Where an older state was taken up than
        the last one in a closed epoch, a `restore` leaf says so: it earns nothing and keeps the roots continuous.
        """
        with self._lock:
            while self._steps and (last := self._steps[max(self._steps)].leaf).round > round and last.epoch > self.closed:
                number = max(self._steps)
                self._path(number).unlink(missing_ok=True)
                del self._steps[number]
            before = self.head
            if before and before != root and self.restores:
                self._write(Step(self._restore(before, root, round, time), secrets.token_bytes(SALT), bytes(32), (), False))
            self._confirmed = max(self._steps, default=-1)

    def add(self, leaf: Leaf, gradient: bytes, state: bytes, blobs: list[bytes], stored: bool) -> Step:
        """Write the leaf of a step (its epoch, place and seal are filled in here) and keep its blobs. Durable when it returns."""
        with self._lock:
            salt = secrets.token_bytes(SALT)
            epoch, place = self._place()
            whole = replace(leaf, epoch=epoch, step=place, gradient=leaves.sealed(salt, gradient))
            step = Step(whole, salt, state, tuple(blobs), stored)
            for digest in [*blobs, *([state] if stored else [])]:
                self.store.keep(digest)
            self._write(step)
            self._begun = True
        return step

    def confirm(self) -> None:
        """The checkpoint of the last leaf's round is on disk: it counts."""
        with self._lock:
            self._confirmed = max(self._steps, default=-1)

    @property
    def committed_round(self) -> int:
        """The last round that stands in a closed epoch, 0 where there is none."""
        return max((step.leaf.round for step in self._steps.values() if self.left < step.leaf.epoch <= self.closed), default=0)

    @property
    def head(self) -> bytes:
        """The state root that the next record has to begin at; empty before the first one."""
        newest = self._steps.get(max(self._steps, default=0))
        return newest.leaf.after if newest is not None and newest.leaf.epoch > self.left else self.last_root

    def since(self, epoch: int) -> list[Step]:
        """The records of later epochs than `epoch`, on the way that is not left, in order."""
        return [step for step in self.all_steps if step.leaf.epoch > max(epoch, self.left)]

    def abandon(self, committed: set[int]) -> None:
        """Records that are not on the chain will never be: those of unclosed epochs go, closed ones but the `committed` are not sent."""
        with self._lock:
            for number in [number for number, step in self._steps.items() if step.leaf.epoch > self.closed]:
                self._path(number).unlink(missing_ok=True)
                del self._steps[number]
            self._confirmed = max(self._steps, default=-1)
        for epoch in set(self.unsettled) - committed:
            self.posted(epoch)
            self.settled(epoch)

    def rebase(self, root: bytes) -> None:
        """Go on from `root`, to which no record leads. The records so far stay as they are, for those who audit them."""
        with self._lock:
            self.left, self.last_root, self._begun = self.closed, root, False
            self._save_notes()

    def hold(self, digest: bytes) -> None:
        """Keep a blob of the store as long as this process runs, whatever becomes of the records that name it."""
        self._held.add(digest)
        self.store.keep(digest)

    def let_go(self, digest: bytes) -> None:
        """Take back `hold`."""
        with self._lock:
            self._held.discard(digest)
            if digest not in self._needed():
                self.store.release({digest})
                self.store.drop(digest)

    @property
    def pending(self) -> bool:
        """Whether a leaf waits for its checkpoint: its epoch cannot be closed yet."""
        return any(number > self._confirmed for number in self._steps)

    def close(self, number: int, heard: list[bytes]) -> Epoch | None:
        """Close epoch `number` for good and return it; None where it has no steps. Asked again it gives the same bytes."""
        with self._lock:
            path = self._epochs / f"{number:08d}.epoch"
            if path.exists():
                return self.epoch(number)
            steps = self.steps(number)
            made = None
            if steps:
                seen = tuple(sorted(set(heard))[:HEARD])
                made = Epoch(self.swarm, self.peer, self.operator, number, tuple(s.leaf for s in steps), tuple(s.state for s in steps), seen)
                self.store.keep(self.store.put(made.pack()))
                disk.replace(path, made.pack())
                self.last_root = made.last
            self.closed = max(self.closed, number)
            self._save_notes()
            return made

    @property
    def unposted(self) -> list[int]:
        """Closed epochs whose commitment was not handed over for sending yet: a kill came between."""
        return sorted(int(path.stem) for path in self._epochs.glob("*.epoch") if not path.with_suffix(".posted").exists())

    def posted(self, number: int) -> None:
        """The commitment of an epoch lies in the outbox."""
        disk.replace(self._epochs / f"{number:08d}.posted", b"")

    @property
    def unsettled(self) -> list[int]:
        """Closed epochs whose case is not known to be over: their data may still be asked for."""
        return sorted(int(path.stem) for path in self._epochs.glob("*.epoch") if not path.with_suffix(".settled").exists())

    def settled(self, number: int) -> None:
        """The case of an epoch is over, or there is none since it was committed too late."""
        disk.replace(self._epochs / f"{number:08d}.settled", b"")

    @property
    def all_steps(self) -> list[Step]:
        """Every step that is kept, in order."""
        return [step for _, step in sorted(self._steps.items())]

    def epoch(self, number: int) -> Epoch | None:
        """A closed epoch, or None where it had no steps or was forgotten."""
        try:
            return epochs.unpack((self._epochs / f"{number:08d}.epoch").read_bytes(), 2**20)
        except FileNotFoundError:
            return None

    def steps(self, number: int) -> list[Step]:
        """The confirmed steps of an epoch, in order."""
        return [step for place, step in sorted(self._steps.items()) if step.leaf.epoch == number and place <= self._confirmed]

    def way_to(self, number: int, place: int) -> list[Step]:
        """The steps from the nearest stored state up to step `place` of epoch `number` (that one last): what its opening is made from."""
        target = next(step for step in self.steps(number) if step.leaf.step == place)
        way: list[Step] = []
        for _, step in sorted(self._steps.items()):
            way = [step] if step.stored else [*way, step]
            if step is target:
                return way
        raise LookupError(f"step {place} of epoch {number} has no stored state before it")

    def stored(self, round: int, every: int) -> bool:
        """Whether the state before `round` is to be stored: every few rounds, and for the first one of a process."""
        return not self._begun or (round - 1) % every == 0

    def forget(self, before: int) -> None:
        """Release what belongs to epochs before `before` alone: their cases are closed. Their epoch blobs stay, they are small."""
        with self._lock:
            first = next((number for number, step in sorted(self._steps.items()) if step.leaf.epoch >= before), None)
            if first is None:
                return
            base = max((number for number, step in self._steps.items() if number <= first and step.stored), default=first)
            old = self._needed()
            for number in [number for number in self._steps if number < base]:
                self._path(number).unlink(missing_ok=True)
                del self._steps[number]
            gone = old - self._needed()
            self.store.release(gone)
            for digest in gone:
                self.store.drop(digest)

    @property
    def disk(self) -> int:
        """Bytes that the kept blobs take."""
        return sum(self.store.size(digest) for digest in self._needed())

    def _restore(self, before: bytes, after: bytes, round: int, time: int) -> Leaf:
        none, (epoch, place) = bytes(32), self._place()
        head = (self.swarm, self.peer, epoch, none, place, leaves.RESTORE, round, time)
        return Leaf(*head, before, none, none, none, self.machine, 0, 0, 0, 0, none, after)

    def _place(self) -> tuple[int, int]:
        """Epoch of a leaf that is written now, and its place there. Steps beyond what an epoch may hold count for the next one."""
        last = max((step.leaf.epoch for step in self._steps.values()), default=0)
        epoch = max(self.epoch_now(), self.closed + 1, last)
        place = sum(step.leaf.epoch == epoch for step in self._steps.values())
        return (epoch, place) if place < self.limit else (epoch + 1, 0)

    def _needed(self) -> set[bytes]:
        kept = {digest for step in self._steps.values() for digest in (*step.blobs, *([step.state] if step.stored else []))}
        return kept | self._held | {digest_of(path.read_bytes()) for path in self._epochs.glob("*.epoch")}

    def _write(self, step: Step) -> None:
        number = max(self._steps, default=0) + 1
        disk.replace(self._path(number), step.pack())
        self._steps[number] = step

    def _path(self, number: int) -> Path:
        return self._leaves / f"{number:08d}.leaf"

    def _save_notes(self) -> None:
        disk.replace(self._notes, json.dumps({"closed": self.closed, "last_root": self.last_root.hex(), "left": self.left}).encode())
