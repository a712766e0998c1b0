"""The audit desk: a thread that opens the own drawn states and replays the drawn steps of others, one after the other.

An *opening* makes a drawn state again from a stored one and serves it. An *audit* fetches, into an empty folder, everything that the
commitment on the chain leads to by digest (epoch blob, batch records, stage blobs, states), checks what can be checked without a
model, and hands the steps to the replayer. What is fetched is served on, so that a jury needs no goodwill of the prover. The
network's limits hold here: every size is bounded by the recipe before a byte is read.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from swarm import disk
from swarm.errors import NetworkError, Refused, ResourceError
from swarm.groups import Limits
from swarm.keys import base58_of
from swarm.learn import record as batches
from swarm.names import name_of
from swarm.proof import epoch as epochs
from swarm.proof import leaf as leaves
from swarm.proof.epoch import Epoch
from swarm.proof.recorder import Recorder
from swarm.proof.replayer import ReplayerProcess
from swarm.proof.worker import CANNOT, FAULT, OK, write_job
from swarm.recipe import Recipe

UNAVAILABLE = "unavailable"
FETCH_S = 5.0  # for one try of one blob
AGAIN_S = 0.5
MARGIN_S = 6.0  # before a deadline: a verdict has to be in a block by then


class Fetcher(Protocol):
    """What the desk needs of the network."""

    def fetch(self, digest: bytes, size_limit: int, peers: list[bytes] | None = None, timeout: float = 60.0) -> bytes: ...


@dataclass(frozen=True)
class Commitment:
    """What the chain says of an epoch that is to be audited. Roots and digests are 32 bytes."""

    key: bytes
    swarm: bytes
    peer: bytes
    operator: bytes
    epoch: int
    steps: int
    units: int
    root: bytes
    first: bytes
    last: bytes
    data: bytes
    cap: int = 2**64  # work units that an epoch can earn


@dataclass
class Audit:
    """One audit. `verdict` is None until it is done; then `told` says what the replay said."""

    commitment: Commitment
    drawn: list[int]  # steps
    deadline: float  # chain time by which a verdict is needed
    level: int = 0
    verdict: str | None = None
    step: int = 0
    value: bytes = bytes(32)
    missing: bytes = bytes(32)  # digest of what could not be had
    told: dict[str, Any] = field(default_factory=dict)


@dataclass
class Opening:
    """A drawn state of an own epoch that has to be served."""

    epoch: int
    step: int
    done: bool = False


class Desk:
    """Works on openings first, then on the audit whose deadline is nearest. `now()` is the chain's time."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        recorder: Recorder,
        replayer: ReplayerProcess,
        network: Fetcher,
        state_bytes: int,
        usable_seeds: Callable[[int], set[bytes]],
        now: Callable[[], float],
        say: Callable[[str], None] = print,
    ):
        """`state_bytes` bounds a packed state; `usable_seeds(epoch)` are those that steps of an epoch may have used."""
        self.folder, self.recipe, self.recorder, self.replayer, self.network = folder, recipe, recorder, replayer, network
        self.state_bytes, self.usable_seeds, self.now, self.say = state_bytes, usable_seeds, now, say
        self.limits = Limits.of(recipe)
        self.audit_cpu_s = 0.0
        self._openings: list[Opening] = []
        self._audits: list[Audit] = []
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="audits", daemon=True)
        self._bug: BaseException | None = None

    def start(self) -> None:
        self.replayer.start()
        self._thread.start()

    def close(self) -> None:
        """End the replayer and the thread; a job in hand is lost and asked for again by the chain."""
        self._closing.set()
        self.replayer.close()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def open(self, opening: Opening) -> None:
        self.require_alive()
        with self._lock:
            self._openings.append(opening)

    def audit(self, audit: Audit) -> None:
        self.require_alive()
        with self._lock:
            self._audits.append(audit)

    def require_alive(self) -> None:
        """A bug that ended the desk's thread must not look like a quiet swarm."""
        if self._bug is not None:
            raise self._bug

    @property
    def waiting(self) -> int:
        """Audits not done yet."""
        return len(self._audits)

    def _work(self) -> None:
        try:
            while not self._closing.is_set():
                self.replayer.start()
                if not self.replayer.ready or not self._next():
                    self._closing.wait(0.1)
        except Exception as error:  # kept for the duties' thread, which raises it
            if not self._closing.is_set():
                traceback.print_exception(error)
                self._bug = error

    def _next(self) -> bool:
        """Do the most urgent piece of work; False where there is none."""
        with self._lock:
            opening = self._openings.pop(0) if self._openings else None
            audit = min(self._audits, key=lambda a: a.deadline, default=None) if opening is None else None
        try:
            if opening is not None:
                self._open(opening)
            elif audit is not None:
                self._audit(audit)
                self._audits.remove(audit)
        except ResourceError as error:  # the replayer died or was killed: it starts again, and the work is done again
            if self._closing.is_set():
                return False
            self.say(f"replayer: {error}")
            if opening is not None:
                self._openings.append(opening)
        return (opening or audit) is not None

    def _open(self, opening: Opening) -> None:
        """Make a drawn state again, unless it is stored, and serve it."""
        way = self.recorder.way_to(opening.epoch, opening.step)
        store, wanted = self.recorder.store, way[-1].state
        if not store.has(wanted):
            folder = self._empty(f"opening-{opening.epoch}-{opening.step}")
            write_job(folder, [step.leaf for step in way], state=way[0].state.hex(), blobs=str(store.folder))
            answer = self._replayed("open", folder, float("inf"))
            if answer is None or answer["digest"] != wanted.hex():
                raise RuntimeError(f"the state before step {opening.step} of epoch {opening.epoch} came out as another one")
            store.keep(store.put((folder / answer["digest"]).read_bytes()))
            shutil.rmtree(folder)
        opening.done = True

    def _audit(self, audit: Audit) -> None:
        """Fetch, check, replay; leaves the verdict in `audit`."""
        this = audit.commitment
        folder = self._empty(f"{this.epoch}-{base58_of(this.peer)[:12]}-{audit.level}")
        begun = time.monotonic()
        try:
            leaves_of = self._gather(audit, folder)
        except NetworkError:
            audit.verdict = UNAVAILABLE
            audit.told = {"what": f"blob {audit.missing.hex()[:16]}... could not be had by the deadline"}
        except Refused as error:
            audit.verdict, audit.told = FAULT, {"where": "record", "what": str(error)}
            audit.step = audit.step if audit.step in audit.drawn else audit.drawn[0]
        else:
            answer = self._replayed("replay", folder, audit.deadline - MARGIN_S) if leaves_of is not None else None
            audit.told = answer or {"what": "the replay did not end in time"}
            audit.verdict = audit.told.get("verdict", CANNOT)
            audit.step = audit.told.get("step", 0) if audit.verdict == FAULT else 0
            audit.value = bytes.fromhex(audit.told["value"]) if audit.verdict == OK else bytes(32)
            self.audit_cpu_s += audit.told.get("cpu_s", 0.0)
        audit.told["wall_s"] = round(time.monotonic() - begun, 1)
        disk.replace(folder / "verdict.txt", self._sentence(audit).encode())
        for blob in folder.glob("?" * 64):
            blob.unlink(missing_ok=True)
        self.say(self._sentence(audit))

    def _gather(self, audit: Audit, folder: Path) -> list[leaves.Leaf] | None:
        """Fetch everything that the drawn steps need into `folder`. Raises Refused for a fault, NetworkError for what cannot be had."""
        this = audit.commitment
        epoch = epochs.unpack(self._fetch(audit, this.data, epochs.max_bytes(this.steps), folder), this.steps)
        check(epoch, this)
        chosen = [epoch.leaves[step] for step in audit.drawn]
        machine = self.recorder.machine
        if odd := next((leaf for leaf in epoch.leaves if leaf.machine != machine), None):
            audit.step = odd.step
            raise Refused("class", f"step {odd.step} is of class {odd.machine.hex()[:8]}, its author is registered in {machine.hex()[:8]}")
        for leaf, state in zip(chosen, (epoch.states[step] for step in audit.drawn), strict=True):
            if leaf.kind != leaves.LEARN:
                continue
            audit.step = leaf.step
            record = batches.unpack(self._fetch(audit, leaf.batch, batches.max_bytes(self.recipe), folder), self.recipe)
            for stage, digest in [*record.own, *((source.stage, source.digest) for source in record.sources)]:
                self._fetch(audit, digest, self.limits.blob_bytes(stage), folder)
            self._fetch(audit, state, self.state_bytes, folder)
        audit.step = 0
        learned = [(leaf, epoch.states[leaf.step]) for leaf in chosen if leaf.kind == leaves.LEARN]
        seeds = [seed.hex() for seed in self.usable_seeds(this.epoch)]
        write_job(folder, [leaf for leaf, _ in learned], states=[state.hex() for _, state in learned], seeds=seeds)
        return chosen

    def _fetch(self, audit: Audit, digest: bytes, limit: int, folder: Path) -> bytes:
        """One blob from the prover or from whoever serves it, tried until the deadline; written into `folder` and served on."""
        path, audit.missing = folder / digest.hex(), digest
        prover: list[bytes] | None = [audit.commitment.peer]
        while not path.exists():
            left = audit.deadline - MARGIN_S - self.now()
            if left <= 0 or self._closing.is_set():
                raise NetworkError("the deadline is here")
            try:
                data = self.network.fetch(digest, limit, prover, timeout=min(FETCH_S, max(0.5, left)))
            except (NetworkError, Refused):
                prover = None if prover else [audit.commitment.peer]
                self._closing.wait(AGAIN_S)
                continue
            disk.replace(path, data)
            if self.recorder.store.size(digest) == 0:
                self.recorder.store.put(data)
        return path.read_bytes()

    def _replayed(self, do: str, folder: Path, until: float) -> dict[str, Any] | None:
        """The replayer's answer, or None where it did not come in time (the replayer is then ended: it starts anew)."""
        self.replayer.give(do, folder)
        while (answer := self.replayer.answer()) is None:
            if self.now() > until:
                self.replayer.close()
                return None
            if self._closing.wait(0.05):
                raise ResourceError("the desk closes")
        return answer

    def _empty(self, name: str) -> Path:
        folder = self.folder / name
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder

    @staticmethod
    def _sentence(audit: Audit) -> str:
        this, told = audit.commitment, audit.told
        who = f"epoch {this.epoch} of {name_of(this.operator, this.peer)}"
        steps = ", ".join(map(str, audit.drawn))
        more = f": {told['what']}" if "what" in told else f", {told.get('cpu_s', 0):.1f} CPU-s replayed"
        return f"audit of {who}, step {steps} of {this.steps}: {audit.verdict}{more}"


def check(epoch: Epoch, said: Commitment) -> None:
    """An epoch blob must be what the chain's header commits to. Raises Refused("header") naming what differs."""
    found = {
        "swarm": (epoch.swarm, said.swarm),
        "peer": (epoch.peer, said.peer),
        "operator": (epoch.operator, said.operator),
        "epoch": (epoch.number, said.epoch),
        "number of steps": (len(epoch.leaves), said.steps),
        "root": (epoch.root, said.root),
        "first state": (epoch.first, said.first),
        "last state": (epoch.last, said.last),
        "work units": (min(epoch.units, said.cap), said.units),
    }
    for name, (there, chain) in found.items():
        if there != chain:
            raise Refused("header", f"the {name} of the epoch's records is not what was committed")
    rounds = [leaf.round for leaf in epoch.leaves if leaf.kind == leaves.LEARN]
    if any(later <= earlier for earlier, later in zip(rounds, rounds[1:], strict=False)):
        raise Refused("header", "a round is counted twice")
