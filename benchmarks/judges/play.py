"""One run: a population judges its tasks, one market after the other, before the real ledger.

A market is opened, funded, traded in once (120 credits at 5 %: 2.9 credits of fees for its seats), judged by panels of 7, 15 and 31 by its
course, and settled. Epochs are of 10 markets; the gold answers of one are opened when the next has begun, so weights are learnt from the past
only. When an epoch ends, everybody brings its stake back to what it was, so the attackers' share stays what the cell says.

Appeals: one watcher, who owns no stake, disputes a wrong verdict with chance `wrong` (and says what is right) and a right one with chance
`right` (and says the distractor); a coalition's purse disputes every verdict that is not its lie. Where both would, a coin says who is first.
"""

from __future__ import annotations

import dataclasses
import math
import random
import statistics
from dataclasses import dataclass, field

from benchmarks.judges.people import ATTACKS, Judge, population, seen
from benchmarks.judges.room import MINTED, Person, Room
from benchmarks.judges.tasks import EPOCH, OUTCOMES, Task, drawn
from judge import events, gold, tree
from judge.keys import keccak
from judge.market import CHALLENGE, CLOSED, COMMIT, FINAL, SETTLED, VOID, Market
from judge.panel import weights_of
from judge.terms import CREDIT, WAD, terms_of

B0, FEE_BPS, SPENT = 400 * CREDIT, 500, 120 * CREDIT


@dataclass(frozen=True)
class Setting:
    """What a cell of a table is about. `wrong` and `right`: odds that a watcher disputes such a verdict; without `appeals` nobody does."""

    attack: str = "always"
    share: float = 0.0
    appeals: bool = True
    wrong: float = 0.9
    right: float = 0.05
    coalition: float = 1.0  # odds that a coalition disputes a verdict that is not its lie
    judges: int = 72
    split: int = 3
    gold: int = 10
    tasks: int = 400
    signed: bool = False
    clear: bool = False  # the lie is never the distractor


@dataclass
class Tally:
    """What the seats of one side got."""

    seats: int = 0
    decided: int = 0  # seats of markets that did not end VOID
    coherent: int = 0
    credits: float = 0.0
    gold_votes: float = 0.0  # a judge, at the end
    weight: float = 0.0  # a judge's seat, at the end

    @property
    def coherence(self) -> float:
        """+1 a coherent seat, -1 an incoherent one."""
        return (2 * self.coherent - self.decided) / self.decided if self.decided else 0.0

    @property
    def pay(self) -> float:
        """Credits per seat: fees and shares of slashes, less own slashes."""
        return self.credits / self.seats if self.seats else 0.0


@dataclass
class Result:
    """One run. Shares are of the measured tasks: those that are not gold and, for a coalition on target, those that it cares about."""

    measured: int = 0
    right: float = 0.0  # FINAL is the truth; VOID is not
    void: float = 0.0
    first: float = 0.0  # the heaviest choice of the first panel is the truth, whatever came after
    last: float = 0.0  # the heaviest choice of the last panel is, majority or not
    stands: float = 0.0  # as `right`, were the verdict before it to stand where the last panel has no majority
    late: float = 0.0  # as `right`, of the second half of the run
    panels: float = 0.0  # a market
    purse: float = 0.0  # credits a market that the coalition's appeals cost it
    honest: Tally = field(default_factory=Tally)
    attackers: Tally = field(default_factory=Tally)
    root: str = ""  # of the final state


@dataclass(frozen=True)
class Gold:
    """A gold answer, committed to before its epoch."""

    market: bytes
    answer: int
    salt: bytes

    @property
    def leaf(self) -> bytes:
        return gold.leaf(self.market, self.answer, self.salt)


class Run:
    """A setting with a seed, being played."""

    def __init__(self, setting: Setting, seed: int):
        self.setting, self.attack = setting, ATTACKS[setting.attack]
        self.rng = random.Random(f"run/{seed}")
        self.tasks = drawn(seed, setting.tasks, setting.gold, setting.clear)
        self.room = Room(terms_of("test"), seed, setting.signed)
        self.opener, self.trader, self.watcher, self.purse = (self.room.person(name) for name in ("opener", "trader", "watcher", "purse"))
        self.judges = {self.room.person(one.name): one for one in population(seed, setting.share, setting.judges, setting.split)}
        self.by_address = {person.address: person for person in self.judges}
        self.room.mint([self.opener, self.trader, self.watcher, self.purse, *self.judges])
        self.result = Result()
        self.measured: list[tuple] = []  # (number of the task, right, void, first, last, stands)

    def play(self) -> Result:
        """All tasks, epoch by epoch. Raises AssertionError where a credit was lost or made."""
        room, waiting = self.room, []
        for begin in range(0, len(self.tasks), EPOCH):
            tasks = {self._opening(task): task for task in self.tasks[begin : begin + EPOCH]}
            answers = self._gold(tasks)
            if answers:
                room.due(events.GoldRoot, number=room.state.epoch + 1, root=tree.root([one.leaf for one in answers]), count=len(answers))
            room.due(events.Epoch, number=room.state.epoch + 1)
            self._open_gold(waiting)
            waiting = answers
            self._restake()
            for opening, task in tasks.items():
                self._judge(opening, task)
            assert room.state.balance() == room.state.minted, "the accounting identity does not hold"
        return self._counted()

    # ---- an epoch

    def _opening(self, task: Task) -> events.Open:
        labels = tuple((f"answer {index}", b"", ()) for index in range(OUTCOMES))
        question = {"kind": "P", "question": f"question {task.number}", "outcomes": labels, "b0": B0, "fee_bps": FEE_BPS}
        return events.Open(actor=self.opener.address, t=self.room.t, nonce=task.number, **question)

    def _gold(self, tasks: dict[events.Open, Task]) -> list[Gold]:
        chain = self.room.terms.chain_id
        return [Gold(opening.market(chain), task.truth, keccak(b"salt", opening.market(chain))) for opening, task in tasks.items() if task.gold]

    def _open_gold(self, answers: list[Gold]) -> None:
        leaves = [one.leaf for one in answers]
        for index, one in enumerate(answers):
            place = {"index": index, "path": tuple(tree.proof(leaves, index))}
            self.room.due(events.GoldOpen, number=self.room.state.epoch - 1, market=one.market, answer=one.answer, salt=one.salt, **place)

    def _restake(self) -> None:
        """Bring stakes back to everybody's units, and half a unit more: then a few slashes cost nobody a unit before the epoch is over."""
        self.room.t += 1
        for person, judge in self.judges.items():
            lacks = judge.units * self.room.terms.unit - self.room.state.operators[person.address].stake
            if lacks > 0:
                self.room.say(events.Stake, person, amount=lacks + self.room.terms.unit // 2)

    # ---- a market

    def _judge(self, opening: events.Open, task: Task) -> None:
        room = self.room
        room.take(dataclasses.replace(opening, t=room.t), self.opener)
        market = room.state.markets[opening.market(room.terms.chain_id)]
        room.say(events.Fund, self.opener, market=market.id)
        bet = {"side": events.SPEND, "outcome": self.rng.randrange(OUTCOMES), "amount": SPENT}
        room.say(events.Trade, self.trader, market=market.id, nonce=task.number, **bet)
        room.wait(market)
        room.due(events.RoundEnd, market=market.id, seed=room.state.head)
        while market.phase not in (FINAL, VOID):
            self._step(market, task)
        while market.phase != SETTLED:
            room.due(events.Settle, market=market.id)
        if market.owed(self.trader.address):
            room.say(events.Claim, self.trader, market=market.id)
        self._count(market, task)

    def _step(self, market: Market, task: Task) -> None:
        room = self.room
        if market.phase == CLOSED or (market.phase == COMMIT and not market.panel.drawn):
            room.due(events.Draw, market=market.id, seed=room.state.head)
        elif market.phase == COMMIT:
            room.vote(market, {self.by_address[seat]: self._choice(self.by_address[seat], task) for seat in market.panel.seats})
        elif market.phase == CHALLENGE and not self._appealed(market, task):
            room.wait(market)
            room.due(events.Expire, market=market.id)

    def _choice(self, person: Person, task: Task) -> int:
        judge, sight = self.judges[person], seen(self.judges[person], task, self.rng)
        return self.attack.vote(task, sight, self.rng) if judge.attacks else sight

    def _appealed(self, market: Market, task: Task) -> bool:
        """Whether somebody disputes the verdict."""
        verdict, setting = market.verdict.choice, self.setting
        if not setting.appeals or market.level + 1 == len(self.room.terms.seats):
            return False
        claims = []
        if self.rng.random() < (setting.right if verdict == task.truth else setting.wrong):
            claims.append((self.watcher, task.distractor if verdict == task.truth else task.truth))
        if setting.share and self.attack.league(task) and verdict != task.lie and self.rng.random() < setting.coalition:
            claims.append((self.purse, task.lie))
        if not claims:
            return False
        person, claimed = self.rng.choice(claims)
        bond = self.room.terms.dispute_bond(market.level)
        self.room.say(events.Dispute, person, market=market.id, level=market.level, claimed=claimed, bond=bond, reason=bytes(32))
        return True

    # ---- counting

    def _count(self, market: Market, task: Task) -> None:
        final = None if market.void_reason else market.verdict.choice
        self.result.panels += len(market.panels) / self.setting.tasks
        for panel in market.panels:
            for seat, ballot in panel.ballots.items():
                side = self._side(self.judges[self.by_address[seat]])
                side.seats += panel.seats[seat]
                side.decided += panel.seats[seat] * (final is not None)
                side.coherent += panel.seats[seat] * (ballot.choice == final)
        if not task.gold and (not self.setting.share or self.attack.measured(task)):
            first, last = (weights_of(panel, market.n) for panel in (market.panels[0], market.panels[-1]))
            heaviest = [weights.index(max(weights)) == task.truth for weights in (first, last)]
            stood = market.verdict.choice if market.verdict else None
            self.measured.append((task.number, final == task.truth, final is None, *heaviest, stood == task.truth))

    def _side(self, judge: Judge) -> Tally:
        return self.result.attackers if judge.attacks else self.result.honest

    def _counted(self) -> Result:
        state, found = self.room.state, self.result
        for person, judge in self.judges.items():
            side, one = self._side(judge), state.operators[person.address]
            many = sum(other.attacks == judge.attacks for other in self.judges.values())
            side.credits += (one.free + one.stake + one.locked) / CREDIT - MINTED
            side.gold_votes += one.gold_votes / many
            side.weight += gold.weight(one, OUTCOMES, self.room.terms) / WAD / many
        found.purse = (MINTED - state.operators[self.purse.address].free / CREDIT) / self.setting.tasks
        found.measured = len(self.measured)
        _, *columns = zip(*self.measured, strict=True)
        found.right, found.void, found.first, found.last, found.stands = (statistics.fmean(column) for column in columns)
        late = [right for number, right, *_ in self.measured if 2 * number >= self.setting.tasks]
        found.late = statistics.fmean(late) if late else math.nan
        found.root = state.root().hex()
        return found


def play(setting: Setting, seed: int) -> Result:
    """A run from its beginning. The same arguments give the same result, to the bytes of the final state."""
    return Run(setting, seed).play()
