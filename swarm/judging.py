"""All that a node needs to take part in the judge market: what the chain says, the room, the node's own trading, opened and closed together.

The room also sends and reveals what its operator voted on this machine (`swarm.market.seats`), so that `swarm judge` can be closed, and
has the recipe's frozen judge vote where nobody does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.anchoring import Anchoring
from swarm.errors import ChainError
from swarm.heartbeat import Judged

if TYPE_CHECKING:
    from judge.terms import Durations, Terms
    from swarm.market.facts import ChainFacts
    from swarm.market.questions import Scorer
    from swarm.market.seats import SeatedRoom
    from swarm.market.trading import Trading
    from swarm.network import Network
    from swarm.node import Node
    from swarm.presence import Presence
    from swarm.proof.schedule import Schedule
    from swarm.proving import Proving
    from swarm.recipe import Recipe
    from swarm.session import Session
    from swarm.settings import NodeSettings
    from swarm.stages import Stages
    from swarm.waiting import Waiting

FOLDER = "market"
VOTES = "votes"  # of the home: ballots of all its judges
OPENINGS = "openings"  # of the home: markets that its people ask their nodes to host
CREDIT = 10**18


@dataclass
class Judging:
    """The opened parts that the node and its peer talk to."""

    room: SeatedRoom
    trading: Trading
    waiting: Waiting | None = None

    def show(self, judged: Judged) -> None:
        """Fill in what the heartbeat says of the market."""
        told = self.room.told
        judged.open, judged.settled, judged.hosted, judged.traded = told.open, told.settled, told.hosted, told.traded
        judged.bids, judged.credits, judged.stake = self.trading.bids, told.free / CREDIT, told.stake / CREDIT
        judged.trouble, judged.final = (told.trouble or told.dissent)[:400], told.final
        judged.votes, judged.evidence = self.room.model_votes, self.trading.testimony.brought
        if (watcher := self.room.watcher) is not None:
            judged.watched, judged.disputed = watcher.judged, watcher.disputed
            for name, count in asdict(watcher.rates).items():
                setattr(judged, name, count)

    def attach(self, node: Node, proving: Proving) -> None:
        """From now on the node opens markets, bids, and learns from verdicts where its recipe says so; its audits know of verdicts."""
        if self.waiting is not None:
            known = proving.desk.judgements
            known.verdicts, known.committed, known.closed = self.waiting.verdicts.of, proving.duties.committed, lambda: self.room.closed
        node.trading, node.waiting = self.trading, self.waiting
        node.presence.beat.judged = Judged()
        node.presence.judging = self
        self.room.start()
        duties = proving.duties
        around = (duties.chain, duties.swarm, duties.key, duties.schedule, self.room.facts, self.room.root, duties.send, duties.say)
        duties.take_on(Anchoring(*around).bring_on)


def terms_of(rules: Recipe, schedule: Schedule, domain: int) -> Terms:
    """The terms of a swarm's market: the recipe's profile, and the longest wait for randomness that its chain's schedule makes."""
    from judge.terms import PROFILES, Terms
    from swarm.market.facts import SETTLE_MS

    pace: Durations = PROFILES[rules.judge.profile]
    waiting = replace(pace, seed=(schedule.epoch + schedule.beacon) * 1000 + SETTLE_MS)
    return Terms(chain_id=domain, machine=waiting, human=waiting, seed="beacon", open_most=rules.judge.open_most)


def facts_of(rules: Recipe, chain: Path, swarm: bytes) -> tuple[ChainFacts, Terms]:
    """What the chain of a run says (nothing was read yet), and the terms of its market. The schedule has to be known."""
    from swarm import enrolment
    from swarm.chain import link
    from swarm.chain.client import Chain, Swarm
    from swarm.market.facts import ChainFacts

    schedule = enrolment.read_schedule(chain)
    assert schedule is not None  # a node's proving waits for it, and so does everything else
    facts = ChainFacts(Swarm(Chain(link.load(chain)), swarm), schedule, rules.judge.credits * CREDIT)
    return facts, terms_of(rules, schedule, facts.domain)


def scorer_of(rules: Recipe, stages: Stages, facts: ChainFacts) -> Scorer:
    """What markets of kind V are resolved by."""
    from swarm.market.questions import Scorer

    return Scorer(stages, facts.peers, lambda t: [*facts.seeds(t), rules.hash])


@contextlib.contextmanager
def open_judging(
    folder: Path, chosen: NodeSettings, rules: Recipe, session: Session, stages: Stages, network: Network, presence: Presence
) -> Iterator[Judging | None]:
    """Put everything together; nothing works before `attach`. None where the recipe has no market."""
    from swarm import enrolment, runs
    from swarm.market import juror
    from swarm.market.seats import SeatedRoom
    from swarm.market.trading import Trading

    if not rules.has_market or chosen.chain is None:
        yield None
        return
    facts, terms = facts_of(rules, chosen.chain, session.swarm)
    with contextlib.suppress(ChainError):  # the room looks again
        facts.look()
    scorer = scorer_of(rules, stages, facts)
    (folder / FOLDER).mkdir(exist_ok=True)
    around = (network, facts, terms, session.operator, enrolment.session_key(folder), folder / FOLDER, scorer, presence.note)
    room = SeatedRoom(runs.home() / VOTES, runs.home() / OPENINGS, *around)
    if (frozen := juror.load(rules, stages.mix, chosen.cache, foreign=not chosen.trusted)) is not None:
        room.appoint(frozen, scorer)
    trading = Trading(room, stages, scorer, session.operator, rules.judge)
    with contextlib.closing(room):
        yield Judging(room, trading, _waiting(folder, rules, room, stages))


def _waiting(folder: Path, rules: Recipe, room: SeatedRoom, stages: Stages) -> Waiting | None:
    """What waits for verdicts, for two market durations at most, each with the wait for its epoch's root; None where no reward is one."""
    from swarm.groups import Limits
    from swarm.verdicts import Verdicts
    from swarm.waiting import Waiting

    if not rules.has_judged:
        return None
    patience = 2 * (room.terms.durations(rules.judge.kind).whole + 1000 * (rules.proof.epoch + rules.proof.grace))
    return Waiting(folder / "waiting.msgpack", Limits.of(rules), patience, Verdicts(room, stages.question, rules.judge.soft), room.now)
