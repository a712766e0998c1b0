"""An observer: audits a commitment of a swarm from outside, with an identity made for the moment and nothing believed.

It needs the chain (where the commitment lies) and one member to dial; recipe, records, states and rollouts come from members by digest into
an empty folder. It stakes nothing and votes on nothing: what it finds is for whoever asked. Used by `swarm audit`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from swarm import admission, recipe, supply
from swarm.chain.client import Chain, Swarm
from swarm.chain.logs import Scanner
from swarm.chain.values import header_of
from swarm.enrolment import schedule_of
from swarm.epochseeds import EpochSeeds
from swarm.errors import InputError, Refused, ResourceError
from swarm.identity import Identity
from swarm.keys import base58_of, checksum
from swarm.names import name_of
from swarm.proof.audit import Audit, Commitment
from swarm.proof.schedule import OLDEST_SEED
from swarm.recipe import Recipe

if TYPE_CHECKING:
    from swarm.proof.desk import Desk

SESSION_S = 86_400
LOAD_S = 300.0


@dataclass(frozen=True)
class Target:
    """A commitment on the chain, and who made it."""

    header: SimpleNamespace
    operator: bytes
    peer: bytes
    late: bool
    earlier: tuple[tuple[int, bytes], ...] = ()  # steps and data of its commitments just before, in whose epochs the same seeds were usable

    @property
    def name(self) -> str:
        return name_of(self.operator, self.peer)


def find(swarm: Swarm, peer: str, epoch: int) -> Target:
    """The commitment of a peer (its two-word name, peer id or operator address) for an epoch. Raises InputError saying what there is."""
    members: dict[bytes, tuple[bytes, bytes]] = {}
    found: list[Target] = []
    for event in Scanner(swarm.chain, ("ledger",)).scan().new:
        values = event.values
        if event.name == "Entered" and values["swarm"] == swarm.id:
            members[values["key"]] = (values["operator"], values["peer"])
        elif event.name == "Committed" and values["key"] in members:
            found.append(Target(header_of(values), *members[values["key"]], values["late"]))
    mine = [one for one in found if peer in (one.name, base58_of(one.peer), checksum(one.operator), "0x" + one.operator.hex())]
    if not mine:
        known = ", ".join(sorted({one.name for one in found})) or "nobody yet"
        raise InputError(f"no commitment of {peer} is on the chain", f"these have committed: {known}")
    chosen = next((one for one in mine if one.header.epoch == epoch), None)
    if chosen is None:
        epochs = ", ".join(str(one.header.epoch) for one in mine[-12:])
        raise InputError(f"{peer} has not committed epoch {epoch}", f"it has committed epochs {epochs}")
    before = [one.header for one in mine if not one.late and one.header.key == chosen.header.key and epoch - OLDEST_SEED <= one.header.epoch < epoch]
    return replace(chosen, earlier=tuple((header.steps, header.data) for header in before))


def admitted(data: bytes, swarm: Swarm) -> Recipe:
    """A recipe that came over the network, checked against the chain. Raises Refused."""
    rules = recipe.from_bytes(data)
    admission.admit(rules, tables=True)
    if swarm.record().recipe != rules.hash:
        raise Refused("recipe hash", "the recipe that members serve is not the one the swarm was created with", "ask for a new invite")
    return rules


class Observer:
    """Replays drawn steps. `fetch(digest, limit, peers, timeout)` is a network's; `folder` holds only what this audit needs."""

    def __init__(self, folder: Path, chain: Chain, swarm: Swarm, rules: Recipe, network: object, say: Callable[[str], None]):
        self.folder, self.chain, self.swarm, self.rules, self.network, self.say = folder, chain, swarm, rules, network, say
        self.machine = bytes(32)

    def audit(self, target: Target, steps: list[int] | None, timeout_s: float, do: str = "replay") -> Audit:
        """Replay the drawn steps (or `steps`) of a commitment, or only "derive" their own rollouts, which a machine of another class can do
        too; the audit with its verdict. Raises InputError, ResourceError."""
        if do == "derive" and self.rules.learn.method == "sft":
            raise InputError("this swarm learns from rows: its steps have no rollouts", "leave --rollouts out")
        with self.at_work(do) as audit:
            return audit(target, steps, timeout_s)

    @contextlib.contextmanager
    def at_work(self, do: str = "replay") -> Iterator[Callable[[Target, list[int] | None, float], Audit]]:
        """`audit`, for several commitments one after the other: the model is loaded once, then `machine` is the class of this machine."""
        from swarm.network.store import BlobStore
        from swarm.proof.desk import Desk
        from swarm.proof.recorder import Recorder
        from swarm.proof.replayer import ReplayerProcess

        with contextlib.closing(ReplayerProcess(self.folder)) as replayer:
            replayer.start()
            self.machine = self._machine(replayer)
            store, epoch = BlobStore(self.folder / "blobs", 0), [0]
            recorder = Recorder(self.folder / "proof", self.swarm.id, bytes(32), bytes(20), self.machine, store, lambda: epoch[0])
            desk = Desk(self.folder / "audits", self.rules, recorder, replayer, self.network, _largest(self.rules), self._seeds, time.time, self.say)
            desk.start()

            def audit(target: Target, steps: list[int] | None, timeout_s: float) -> Audit:
                epoch[0] = target.header.epoch
                return self._audited(desk, target, steps, timeout_s, do)

            yield audit
            desk.close()

    def _audited(self, desk: Desk, target: Target, steps: list[int] | None, timeout_s: float, do: str) -> Audit:
        header = target.header
        theirs = self.chain.read("vault", "classAt", header.key, header.epoch)
        beacon = b"" if steps is not None else self.swarm.audit_beacon(header.epoch) or b""  # of steps named by hand all is looked at
        drawn = steps if steps is not None else self._drawn(header)
        audit = Audit(self._said(target), drawn, time.time() + timeout_s, beacon=beacon, do=do, machine=theirs if do == "derive" else b"")
        if do == "replay" and theirs != self.machine:
            audit.verdict = "cannot"
            audit.told = {"what": f"{target.name} works in class {theirs.hex()[:8]}, this machine is of class {self.machine.hex()[:8]}: bits differ"}
            return audit
        desk.audit(audit)
        while audit.verdict is None:
            desk.require_alive()
            time.sleep(0.1)
        return audit

    def _drawn(self, header: SimpleNamespace) -> list[int]:
        if self.swarm.audit_beacon(header.epoch) is None:
            what = f"the draw about epoch {header.epoch} is not known yet"
            raise InputError(what, "wait until its randomness is revealed, or name steps with --step")
        return self.swarm.drawn_steps(header.key, header.epoch, header.steps)

    def _machine(self, replayer: object) -> bytes:
        end = time.monotonic() + LOAD_S
        while not replayer.ready:
            if time.monotonic() > end:
                raise ResourceError(f"the replayer did not load within {LOAD_S:.0f} s", f"its log is {self.folder / 'replayer.txt'}")
            time.sleep(0.1)
        return bytes.fromhex(replayer.hello["class"])

    def _said(self, target: Target) -> Commitment:
        around = dict(swarm=self.swarm.id, cap=self.swarm.terms.maxUnits, earlier=target.earlier, base=self.swarm.base)
        return Commitment(**vars(target.header), peer=target.peer, operator=target.operator, **around)

    def _seeds(self, epoch: int) -> set[bytes]:
        schedule = schedule_of(self.swarm.terms)
        seeds = EpochSeeds(self.folder / "seeds.json", self.rules.hash, lambda: epoch)
        for one in schedule.seeds_for(epoch):
            if one and (seed := self.swarm.epoch_seed(one)) is not None:
                seeds.learn(one, seed)
        return seeds.of(schedule.seeds_for(epoch))


@contextlib.contextmanager
def opened(
    folder: Path, chain: Chain, swarm: bytes, boot: list[str], rules: Recipe | None, recipe_blob: str, cache: Path, say: Callable[[str], None]
) -> Iterator[Observer]:
    """An observer in an empty folder: a throwaway identity, a network that only dials, the recipe from members where it is not known here."""
    from swarm.network import Network, NetworkSettings
    from swarm.settings import NodeSettings

    folder.mkdir(parents=True)
    session = Identity.open_or_create_local(folder / "identity").session(swarm, SESSION_S)
    session.save(folder / "session.bin")
    network = Network(session, folder / "network", NetworkSettings(boot=tuple(boot), client=True), rules)
    network.start()
    try:
        trusted = rules is not None
        if rules is None:
            rules = admitted(network.fetch(bytes.fromhex(recipe_blob), recipe.MAX_BYTES), Swarm(chain, swarm))
        (folder / "recipe.json").write_bytes(rules.canonical)
        if not supply.is_there(folder / "recipe.json", rules):
            supply.fetch(network, folder / "recipe.json", rules)
        if not trusted:
            supply.fetch_tables(network, folder / "recipe.json", rules)
        where = dict(recipe_folder=None if trusted else supply.tables_folder(folder / "recipe.json"))
        where |= dict(recipe=folder / "recipe.json", recipe_blob=recipe_blob, session=folder / "session.bin", swarm=swarm.hex(), rounds=1)
        NodeSettings(**where, trusted=trusted, cache=cache).save(folder)
        yield Observer(folder, chain, Swarm(chain, swarm), rules, network, say)
    finally:
        network.close()


def _largest(rules: Recipe) -> int:
    """Bytes that a packed state may have: weights and two moments, from the plan's arithmetic where the model is known."""
    from swarm import plan

    shape = plan.shape(rules)
    return 12 * 2 * shape.weights + 2**20 if shape is not None else 2**33
