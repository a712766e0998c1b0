"""All that a node needs to have its steps proved: clock, seeds, records, replayer, desk and duties, opened and closed together."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swarm import enrolment
from swarm.epochseeds import EpochSeeds, PastSeeds
from swarm.errors import ChainError, ResourceError
from swarm.heartbeat import Proved
from swarm.proof.schedule import Clock

if TYPE_CHECKING:
    from swarm.duties import Duties
    from swarm.network import Network
    from swarm.node import Node
    from swarm.presence import Presence
    from swarm.proof.desk import Desk
    from swarm.proof.replayer import ReplayerProcess
    from swarm.proof.scribe import Scribe
    from swarm.recipe import Recipe
    from swarm.session import Session
    from swarm.settings import NodeSettings
    from swarm.trainee import Trainee

START_S = 180.0  # for the replayer to load and the swarm to be created
FOLDER = "proof"


@dataclass
class Proving:
    """The opened parts that the node and its peer talk to."""

    scribe: Scribe
    seeds: EpochSeeds
    desk: Desk
    duties: Duties

    def come_first(self, presence: Presence) -> None:
        """Hold the own training back while an audit or a move in a match is due soon: to be late costs more than to learn a little later."""
        self.duties.require_alive()
        while self.desk.urgent:
            presence.pausing("an audit or a dispute that is due soon")
            time.sleep(0.1)
            self.duties.require_alive()

    def show(self, proved: Proved) -> None:
        """Fill in what the heartbeat says of the chain."""
        told = self.duties.told
        proved.epoch, proved.trouble = self.duties.recorder.epoch_now(), told.trouble[:400]
        proved.commitments, proved.audits, proved.agreed = told.commitments, told.audits, told.agreed
        proved.settled, proved.units = told.settled, told.units
        proved.audit_cpu_s, proved.disk = round(self.desk.audit_cpu_s, 1), self.duties.recorder.disk

    def attach(self, node: Node) -> None:
        """From now on the node's rounds are recorded and played under the chain's seeds."""
        self.scribe.resume()
        node.scribe, node.epoch_seeds = self.scribe, self.seeds
        node.presence.beat.proved = Proved()
        node.presence.proving = self
        self.desk.start()
        self.duties.start()


@contextlib.contextmanager
def started_replayer(folder: Path, rules: Recipe, chosen: NodeSettings) -> Iterator[ReplayerProcess | None]:
    """The replayer, loading while the node loads; None where nothing is proved."""
    from swarm.proof.replayer import ReplayerProcess

    if rules.proof.profile == "none" or chosen.alone or chosen.chain is None:
        yield None
        return
    with contextlib.closing(ReplayerProcess(folder)) as replayer:
        replayer.start()
        yield replayer


@contextlib.contextmanager
def open_proving(
    folder: Path,
    chosen: NodeSettings,
    rules: Recipe,
    session: Session,
    trainee: Trainee,
    network: Network,
    presence: Presence,
    replayer: ReplayerProcess,
) -> Iterator[Proving]:
    """Wait for the replayer and the swarm's schedule, and put everything together; nothing works before `attach`."""
    from swarm.advocate import Advocate
    from swarm.chain import link
    from swarm.chain.client import Chain, Swarm
    from swarm.duties import Duties
    from swarm.learn import state
    from swarm.proof.desk import Desk
    from swarm.proof.onion import Onion
    from swarm.proof.recorder import Recorder
    from swarm.proof.scribe import Scribe

    assert chosen.chain is not None
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        presence.state("starting", "the replayer, which finds out this machine's class")
        _until(lambda: replayer.ready, "the replayer", folder)
        hello = enrolment.Hello(bytes.fromhex(replayer.hello["class"]), bytes.fromhex(replayer.hello["base"]))
        hello.write(folder)
        presence.state("starting", "the swarm to be created on its chain")
        schedule = _until(lambda: enrolment.read_schedule(chosen.chain), "the swarm's schedule", folder)
        clock = Clock()
        chain = Chain(link.load(chosen.chain))
        with contextlib.suppress(ChainError):  # the duties say so, again and again; the node trains on
            clock.observe(chain.head().time)

        def epoch_now() -> int:
            return schedule.epoch_at(clock.now())

        swarm = Swarm(chain, session.swarm)
        seeds = EpochSeeds(place / "seeds.json", rules.hash, epoch_now)
        about = (session.swarm, session.peer, session.operator, hello.machine)
        recorder = Recorder(place, *about, network.store, epoch_now, rules.proof.steps, restores=chosen.job is None)
        scribe = Scribe(recorder, trainee, rules.proof.stored_every, clock.now)
        weights = [tensor for name, tensor in trainee.tensors.items() if name.startswith(state.MODEL)]
        largest = sum(3 * tensor.numel() * tensor.element_size() + 1024 for tensor in weights) + 65_536  # with two moments, and their names
        past = PastSeeds(rules.hash, swarm.epoch_seed, presence.note)
        usable = lambda epoch: past.of(schedule.seeds_for(epoch))  # noqa: E731
        desk = Desk(folder / "audits", rules, recorder, replayer, network, largest, usable, clock.now, presence.note)
        stack.callback(desk.close)
        key, secret = swarm.key(session.operator, session.peer), enrolment.session_key(folder)
        onion = Onion(folder / enrolment.ONION)
        heard = lambda: [one.peer for one in network.status().heard]  # noqa: E731
        duties = Duties(chain, swarm, key, secret, schedule, clock, recorder, seeds, desk, onion, place, heard, presence.note)
        if rules.proof.profile == "canonical":
            advocate = Advocate(chain, swarm, key, desk, place, duties.send, presence.note)
            duties.accuse = advocate.charge
            duties.take_on(advocate.bring_on)
        stack.push(lambda kind, error, trace: duties.close(leaves=kind in (None, KeyboardInterrupt)))
        yield Proving(scribe, seeds, desk, duties)


def _until(condition, what: str, folder: Path):
    """The first true answer of `condition`. Raises ResourceError where it does not come."""
    end = time.monotonic() + START_S
    while not (found := condition()):
        if time.monotonic() > end:
            raise ResourceError(f"{what} did not come within {START_S:.0f} s", f"look into {folder}/replayer.txt and the notes of `swarm up`")
        time.sleep(0.1)
    return found
