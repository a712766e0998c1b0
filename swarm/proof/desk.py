"""The audit desk: opens the own drawn states and audits the drawn steps of others, in a few threads that share one replayer.

An *opening* makes a drawn state again from a stored one and serves it. An *audit* fetches, into an empty folder, everything that the
commitment on the chain leads to by digest (epoch blob, batch records, stage blobs, states), checks what can be checked without a
model, and hands the steps to the replayer. What is fetched is served on, so that a jury needs no goodwill of the prover. The
network's limits hold here: every size is bounded by the recipe before a byte is read. Nobody waits for another's data with the replayer in
hand: two peers that audit each other would both wait for ever.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from swarm import disk
from swarm.errors import NetworkError, Refused, ResourceError
from swarm.groups import Limits
from swarm.keys import base58_of
from swarm.learn import record as batches
from swarm.names import name_of
from swarm.proof import coherence
from swarm.proof import epoch as epochs
from swarm.proof import leaf as leaves
from swarm.proof.audit import Audit
from swarm.proof.board import Board
from swarm.proof.judged import Judgements
from swarm.proof.leaf import Leaf
from swarm.proof.recorder import Recorder
from swarm.proof.replayer import ReplayerProcess
from swarm.proof.worker import CANNOT, FAULT, OK, write_job
from swarm.recipe import Recipe

UNAVAILABLE = "unavailable"
FETCH_S = 5.0  # for one try of one blob
AGAIN_S = 0.5
AUDITS, FETCHES = 4, 4  # at once; blobs of one audit at once
LONGEST = 10  # audit windows that one job of the replayer may take
PATIENCE = 0.4  # share of the audit window for which a blob was asked for before it is called unavailable; else the auditor was late
TRIES = 3  # of one question about a match
MARGIN_S = 6.0  # before a deadline: a verdict has to be in a block by then


class Fetcher(Protocol):
    """What the desk needs of the network."""

    def fetch(self, digest: bytes, size_limit: int, peers: list[bytes] | None = None, timeout: float = 60.0) -> bytes: ...


@dataclass
class Opening:
    """A drawn state of an own epoch that has to be served."""

    epoch: int
    step: int
    done: bool = False


@dataclass
class Rehearsal:
    """An own step that is replayed before its epoch is committed. `verdict` is None until it is done."""

    epoch: int
    step: int
    verdict: str | None = None
    what: str = ""


@dataclass
class Pleading:
    """A question about a match: what to do next (`board`), or what to open one with (none). `answer` is None until it is there.

    `way` leads from the packed state with digest `state` to the disputed step; all blobs lie in the folder `blobs`.
    """

    way: list[Leaf]
    state: bytes
    blobs: Path
    challenger: bool
    salt: bytes
    board: Board | None = None
    answer: dict[str, Any] | None = None
    tries: int = 0

    @property
    def done(self) -> bool:
        return self.answer is not None


class Late(Exception):
    """A blob did not come by the deadline, having been asked for during `tried_s` seconds."""

    def __init__(self, digest: bytes, tried_s: float):
        super().__init__(f"blob {digest.hex()[:16]}...")
        self.tried_s = tried_s


class Desk:
    """The desk of one node. `now()` is the chain's time."""

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
        self.judgements = Judgements(recipe, self.limits)
        self.audit_cpu_s = 0.0
        self._closing = threading.Event()
        self._bench = threading.Lock()  # the replayer does one job at a time
        self._auditors = ThreadPoolExecutor(AUDITS, "audit")
        self._openers = ThreadPoolExecutor(1, "opening")
        self._at_work = 0
        self._given = 0.0  # monotonic, of the replayer's last job
        self._audits: list[Audit] = []
        self._owed: list[tuple[Opening | Pleading, float]] = []  # with the moment it was asked for
        self._bug: BaseException | None = None

    def start(self) -> None:
        self.replayer.start()

    def close(self) -> None:
        """End the replayer and the threads; a job in hand is lost and asked for again by the chain."""
        self._closing.set()
        self.replayer.close()
        self._auditors.shutdown(wait=True, cancel_futures=True)
        self._openers.shutdown(wait=True, cancel_futures=True)

    def open(self, opening: Opening) -> None:
        """Begin to make a drawn state available."""
        self._owe(opening)
        self._begin(self._openers, self._open, opening)

    def rehearse(self, rehearsal: Rehearsal) -> None:
        """Begin to replay an own step, as an auditor would."""
        self._begin(self._openers, self._rehearse, rehearsal)

    def audit(self, audit: Audit) -> None:
        """Begin an audit; its `verdict` is set when it is done."""
        self._audits = [*(one for one in self._audits if one.verdict is None), audit]
        self._begin(self._auditors, self._audit, audit)

    def plead(self, pleading: Pleading) -> None:
        """Begin to find out what to do in a match."""
        self._owe(pleading)
        self._begin(self._openers, self._plead, pleading)

    def require_alive(self) -> None:
        """A bug in one of the desk's threads must not look like a quiet swarm."""
        if self._bug is not None:
            raise self._bug

    @property
    def urgent(self) -> bool:
        """Whether an own state or move is waited for, or half of an audit's window is gone: then that comes before the own training."""
        half, soon = self.recipe.proof.audit / 2, self.recipe.proof.audit / 8
        if any(not one.done and since + soon < self.now() < since + 2 * half for one, since in self._owed):
            return True
        return any(one.verdict is None and one.deadline - half < self.now() < one.deadline for one in self._audits)

    @property
    def waiting(self) -> int:
        """Audits and openings that are not done yet."""
        return self._at_work

    def _owe(self, piece: Opening | Pleading) -> None:
        self._owed = [*((one, since) for one, since in self._owed if not one.done), (piece, self.now())]

    def _begin(self, threads: ThreadPoolExecutor, work: Callable[[Any], None], piece: Any) -> None:
        self.require_alive()
        self._at_work += 1
        threads.submit(self._do, work, piece)

    def _do(self, work: Callable[[Any], None], piece: Any) -> None:
        """Do one piece of work, again where the replayer died over it."""
        try:
            while not self._closing.is_set():
                try:
                    return work(piece)
                except ResourceError as error:
                    if not self._closing.is_set():
                        self.say(f"replayer: {error}; it starts again")
        except Exception as error:  # kept for the duties' thread, which raises it
            if not self._closing.is_set():
                traceback.print_exception(error)
                self._bug = error
        finally:
            self._at_work -= 1

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

    def _plead(self, pleading: Pleading) -> None:
        """Ask the replayer. A question over which it keeps dying is given up: audits wait behind it, and no deadline would end it."""
        pleading.tries += 1
        if pleading.tries > TRIES:
            pleading.answer = {"fault": f"the replayer died over it {TRIES} times"}
            return
        folder = self._empty(f"match-{pleading.way[-1].epoch}-{pleading.way[-1].step}")
        board = pleading.board and pleading.board.row()
        said = dict(blobs=str(pleading.blobs), challenger=pleading.challenger, salt=pleading.salt.hex(), board=board)
        write_job(folder, pleading.way, state=pleading.state.hex(), **said)
        pleading.answer = self._replayed("plead", folder, float("inf"))
        shutil.rmtree(folder)

    def _rehearse(self, rehearsal: Rehearsal) -> None:
        """Replay an own step from the own blobs."""
        recorder, store = self.recorder, self.recorder.store
        step = next(step for step in recorder.steps(rehearsal.epoch) if step.leaf.step == rehearsal.step)
        if step.leaf.kind != leaves.LEARN:
            rehearsal.verdict = OK
            return
        self._open(Opening(rehearsal.epoch, rehearsal.step))
        folder = self._empty(f"own-{rehearsal.epoch}")
        for digest in {step.state, *step.blobs}:
            os.link(store.folder / digest.hex(), folder / digest.hex())
        seeds = [seed.hex() for seed in self.usable_seeds(rehearsal.epoch)]
        record = batches.unpack(store.get(step.leaf.batch), self.recipe)
        verdicts = self.judgements.rows(step.leaf, record, lambda digest: (folder / digest.hex()).read_bytes())
        write_job(folder, [step.leaf], states=[step.state.hex()], seeds=seeds, operator=recorder.operator.hex(), verdicts=verdicts)
        told = self._replayed("replay", folder, self.now() + self.recipe.proof.audit) or {}
        shutil.rmtree(folder)
        rehearsal.what = told.get("what", "the replay did not end in time")
        rehearsal.verdict = told.get("verdict", CANNOT)

    def _audit(self, audit: Audit) -> None:
        """Look at the drawn steps, then at disputed ones; leaves the verdict in `audit`."""
        look = self._look(replace(audit))
        disputed = sorted({*audit.disputed} - {*audit.drawn})
        if look.verdict == OK and disputed:
            other = self._look(replace(audit, drawn=disputed), "-disputed")
            look = other if other.verdict in (FAULT, UNAVAILABLE) else look
        audit.step, audit.value, audit.missing, audit.told = look.step, look.value, look.missing, look.told
        audit.epoch, audit.folder = look.epoch, look.folder
        audit.verdict = look.verdict

    def _look(self, audit: Audit, part: str = "") -> Audit:
        """Fetch, check, replay; leaves the verdict in `audit`."""
        this = audit.commitment
        folder = self._empty(f"{this.epoch}-{base58_of(this.peer)[:12]}-{audit.level}{part}")
        begun = time.monotonic()
        try:
            self._gather(audit, folder)
        except Late as late:
            verdict = UNAVAILABLE if late.tried_s >= PATIENCE * self.recipe.proof.audit else CANNOT
            audit.step = audit.step if audit.step in audit.drawn else audit.drawn[0]  # a verdict names a drawn step: the court refuses others
            audit.told = {"what": f"{late} could not be had by the deadline, tried for {late.tried_s:.0f} s"}
        except Refused as error:
            verdict, audit.told = FAULT, {"where": "record", "what": str(error)}
            audit.step = audit.step if audit.step in audit.drawn else audit.drawn[0]
        else:
            audit.told = self._replayed(audit.do, folder, audit.deadline - MARGIN_S) or {"what": "the replay did not end in time"}
            verdict = audit.told.get("verdict", CANNOT)
            audit.step = audit.told.get("step", 0) if verdict == FAULT else 0
            audit.value = bytes.fromhex(audit.told.get("value", "")) or bytes(32)
            self.audit_cpu_s += audit.told.get("cpu_s", 0.0)
        audit.told["wall_s"] = round(time.monotonic() - begun, 1)
        audit.verdict = verdict
        disk.replace(folder / "verdict.txt", self._sentence(audit).encode())
        audit.folder = folder
        if verdict != FAULT or self.recipe.proof.profile != "canonical":  # there a fault may be disputed, from these blobs
            for blob in folder.glob("?" * 64):
                blob.unlink(missing_ok=True)
        self.say(self._sentence(audit))
        return audit

    def _gather(self, audit: Audit, folder: Path) -> None:
        """Fetch everything that the drawn steps need into `folder`. Raises Refused for a fault, Late for what cannot be had."""
        this = audit.commitment
        epoch = epochs.unpack(self._fetch(audit, this.data, epochs.max_bytes(this.steps), folder), this.steps)
        audit.epoch = epoch
        coherence.check_header(epoch, this)
        earlier = [epochs.unpack(self._fetch(audit, data, epochs.max_bytes(steps), folder), steps) for steps, data in this.earlier]
        coherence.check_row(epoch, earlier, this.base, self.recorder.restores)
        machine = audit.machine or self.recorder.machine
        if odd := next((leaf for leaf in epoch.leaves if leaf.machine != machine), None):
            raise Refused("class", f"step {odd.step} is of class {odd.machine.hex()[:8]}, its author is registered in {machine.hex()[:8]}")
        learned = [(epoch.leaves[step], epoch.states[step]) for step in audit.drawn if epoch.leaves[step].kind == leaves.LEARN]
        verdicts: list[Any] = []
        with ThreadPoolExecutor(FETCHES, "fetch") as threads:
            for leaf, state in learned:
                audit.step = leaf.step
                record = batches.unpack(self._fetch(audit, leaf.batch, batches.max_bytes(self.recipe), folder), self.recipe)
                wanted = [(digest, self.limits.blob_bytes(stage)) for stage, digest in record.own]
                wanted += [(source.digest, self.limits.blob_bytes(source.stage)) for source in record.sources]
                wanted.append((state, self.state_bytes))
                for done in [threads.submit(self._fetch, audit, digest, limit, folder) for digest, limit in dict(wanted).items()]:
                    done.result()
                fetch = lambda digest, limit: self._fetch(audit, digest, limit, folder)  # noqa: E731
                self.judgements.require_sampled(this, record, [epoch, *earlier], fetch)
                verdicts += self.judgements.rows(leaf, record, lambda digest: (folder / digest.hex()).read_bytes())
        audit.step = 0
        seeds = [seed.hex() for seed in self.usable_seeds(this.epoch)]
        said = dict(states=[state.hex() for _, state in learned], seeds=seeds, operator=this.operator.hex())
        write_job(folder, [leaf for leaf, _ in learned], **said, verdicts=verdicts, beacon=audit.beacon.hex())

    def _fetch(self, audit: Audit, digest: bytes, limit: int, folder: Path) -> bytes:
        """One blob from the prover or from whoever serves it, tried until the deadline; written into `folder` and served on."""
        path, begun = folder / digest.hex(), time.monotonic()
        prover: list[bytes] | None = [audit.commitment.peer]
        while not path.exists():
            left = audit.deadline - MARGIN_S - self.now()
            if left <= 0 or self._closing.is_set():
                audit.missing = digest
                raise Late(digest, time.monotonic() - begun)
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
        """The replayer's answer, or None where it did not come in time. What was begun is left to end: starting anew costs more than that."""
        with self._bench:
            if not self._idle(until):
                return None
            self.replayer.give(do, folder)
            self._given = time.monotonic()
            while (answer := self.replayer.answer()) is None:
                if self.now() > until:
                    return None
                if self._closing.wait(0.05):
                    raise ResourceError("the desk closes")
            return answer

    def _idle(self, until: float) -> bool:
        """Wait until the replayer can take a job; False where that is not so by `until`. A job that never ends is ended with its process."""
        self.replayer.start()
        while not self.replayer.ready:
            if self.replayer.busy and self.replayer.answer() is None and time.monotonic() - self._given > LONGEST * self.recipe.proof.audit:
                self.replayer.close()
                raise ResourceError(f"a job took longer than {LONGEST * self.recipe.proof.audit:.0f} s")
            if self.now() > until:
                return False
            if self._closing.wait(0.1):
                raise ResourceError("the desk closes")
        return True

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
