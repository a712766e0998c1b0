"""The tape: pages and facts, in whatever order they come, become one log and one state, the same for everybody who has the same ones.

    tape.add(page)          a page; Refused where it can have no place
    tape.play(until)        go on to `until` (ms); what came late for a place already passed makes it begin again from before that place
    tape.state              after everything up to there

Every item has a place (time, rank, key): facts of the chain, account entries and openings at their own time, and each market's steps at the
times that follow from its durations and the randomness. A step takes the page of its phase, if there is one, then writes what is due
(grades, RoundEnd, Draw, ...): clock events come from here and never from peers. Two follow from nobody's choice: a Check wherever the task's
own scorer knows the answer of a market that a panel settled, and an epoch's Bonus once there is randomness that nobody knew at its end.
Without a page nothing happened in a round or a challenge window. A panel's phases end with their page only, an empty one if need be:
judges whose host is gone lose nothing, T_max gives all back. What lies before a final root (`history`) is closed: a page for it is refused.

Hostile hosts: entries that the log refuses at their place are skipped and counted. A page may name any order, played is the one that
follows from the seed. Of two pages of one phase the smaller digest is played, until somebody's Fault makes the market VOID; the proofs of
both are in `binder.faults`.
"""

from __future__ import annotations

import heapq
import pickle
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from judge import bonus, events, ledger, manifest
from judge.errors import Refused
from judge.events import BROKEN, Entry, Event, Open
from judge.keys import keccak
from judge.ledger import State
from judge.market import CHALLENGE, CLOSED, COMMIT, FINAL, OPEN, REVEAL, RUNNING, SETTLED, VOID, Market
from judge.terms import WAD, Terms
from swarm.market.binder import Binder
from swarm.market.facts import Beacon, Beacons, Facts, Minted, entry_of, round_seed
from swarm.market.history import History, Place
from swarm.market.page import Account, Opening, Page, Phase, Stage

CHAIN, ACCOUNT, OPENING, MARKET, BONUS = range(5)  # ranks of items at one time
MARK_EVERY = 64  # log entries between two snapshots
MARKS = 32  # snapshots; beyond, every second of the older half goes
DEEP = 5000  # log entries that may be played again at any time; deeper ones once in DEEP_MS
DEEP_MS = 30_000

# of an opening with its market's present kind. Where a panel decides: None unless exactly one outcome is right
Scorer = Callable[[Open, tuple[str, ...]], int | None]


@dataclass
class _Mark:
    """A snapshot after everything up to and at `place`."""

    place: Place
    count: int
    packed: bytes


class Tape:
    """One node's tape. Not safe for use by two threads."""

    def __init__(self, terms: Terms, facts: Facts, scorer: Scorer):
        self.terms, self.facts, self._scorer = terms, facts, scorer
        self.history = History(facts.schedule)
        self.binder = Binder(terms)
        self.rewinds = 0
        self.log: list[bytes] = []
        self._inputs: list[tuple[Place, tuple[Entry, ...]]] = []
        self._beacons = Beacons()
        self._begins: dict[int, int] = {}  # epochs -> when they began
        self._bonuses: list[Place] = []  # of each epoch's peer bonus, ascending
        self._changes = 0
        self._marks: list[_Mark] = []
        self._late: Place | None = None
        self._deep = -DEEP_MS
        self._until = -1  # how far it was played
        self._scores: dict[tuple[bytes, str], int] = {}  # by market and its kind
        self._pieces: dict[bytes, events.Evidence] = {}
        self._played: dict[Stage, Place] = {}
        self._reset(State(terms), {}, {}, Counter(), (-1, 0, b""))

    # ---- what there is

    def add(self, page: Page) -> list[bytes]:
        """Take a page. Returns digests of pages that had to give way. Raises Refused: of an unknown market, of a full group, by another key."""
        if page.digest in self.binder:
            return []
        shut = max(self.history.closed, self.history.held)
        gone = self.binder.room(page, lambda other: self.begins(other) <= shut)
        self.history.check(self.begins(page))
        for digest in gone:
            self.drop(digest)
        self.binder.add(page)
        self._place(page)
        return gone

    def drop(self, digest: bytes) -> None:
        """Take a page away."""
        self._place(self.binder.remove(digest), remove=True)

    def begins(self, page: Page) -> int:
        """The time of the first thing that a page changes. A phase that was not played yet lies ahead."""
        if isinstance(page, Phase):
            played = self._played.get(page.stage)
            return played[0] if played is not None else 2**62
        return page.t if isinstance(page, Opening) else min(entry.event.t for entry in page.entries)

    def digests(self, until: int) -> list[bytes]:
        """Pages that change something at or before `until`."""
        return [page.digest for page in self.binder if self.begins(page) <= until]

    @property
    def is_behind(self) -> bool:
        """Whether something came that lies where the tape was already, or may."""
        ahead = self._ahead()
        return self._late is not None or bool(self.facts.news(self._changes)) or (ahead is not None and ahead[0] <= self._until)

    def opening(self, market: bytes) -> Opening | None:
        """The page that opened a market."""
        return self.binder.opening(market)

    def piece(self, id: bytes) -> str | None:
        """The text of a piece of evidence that was played."""
        said = self._pieces.get(id)
        return said.text if said is not None else None

    def pages(self, stage: Stage) -> list[Phase]:
        """The pages of one phase by the market's present host."""
        one = self.state.markets.get(stage[0])
        return self.binder.phases(stage, one.host_key) if one is not None else []

    def _place(self, page: Page, remove: bool = False) -> None:
        """Put a page where it belongs, or take it away; what was played from there on is played again."""
        if isinstance(page, Phase):
            self._touch_late(self._played.get(page.stage))
            if page.stage[0] in self.state.markets:
                self._schedule(self.state.markets[page.stage[0]])
        elif isinstance(page, Opening):
            self._input((page.t, OPENING, page.market + page.digest), (page.open, page.fund), remove)
        elif isinstance(page, Account):
            for entry in page.entries:
                self._input((entry.event.t, ACCOUNT, entry.id + page.digest), (entry,), remove)

    def _input(self, place: Place, entries: tuple[Entry, ...], remove: bool = False) -> None:
        if remove:
            self._inputs = [row for row in self._inputs if row[0] != place]
        else:
            insort(self._inputs, (place, entries), key=lambda row: row[0])
        self._touch_late(place)
        self._next_input = bisect_right(self._inputs, self._at, key=lambda row: row[0])

    def _touch_late(self, place: Place | None) -> None:
        if place is not None and place <= self._at and (self._late is None or place < self._late):
            self._late = place

    def _learn(self) -> None:
        """Take over what changed among the facts."""
        news = self.facts.news(self._changes)
        self._changes += len(news)
        for came, fact in news:
            if isinstance(fact, Beacon):
                (self._beacons.add if came else self._beacons.drop)(fact)
                self._touch_late((fact.t, -1, b""))
            else:
                if isinstance(fact, Minted):
                    self._begins.pop(fact.number, None) if not came else self._begins.update({fact.number: fact.t})
                entry = entry_of(fact, self.terms.chain_id)
                self._input((fact.t, CHAIN, bytes([entry.event.KIND]) + entry.id), (entry,), remove=not came)
        if any(isinstance(fact, Beacon) for _, fact in news):
            self._schedule_all()
        if news:
            dues = ((self._random(t), number) for number, t in self._begins.items())
            self._bonuses = sorted((due, BONUS, number.to_bytes(8, "big")) for due, number in dues if due is not None)

    # ---- playing

    def play(self, until: int) -> None:
        """Play everything up to and at `until`."""
        self._learn()
        if self._late is not None:
            self._rewind(until)
        while (place := self._ahead()) is not None and place[0] <= until:
            self.history.come_to(place, self.state.head)
            self._at = place
            if place[1] == MARKET:
                self._step(self.state.markets[place[2]], place[0])
            elif place[1] == BONUS:
                self._pay_bonus(int.from_bytes(place[2], "big"), place[0])
            else:
                self._take(self._inputs[self._next_input][1])
                self._next_input += 1
            if self.state.count >= (self._marks[-1].count if self._marks else 0) + MARK_EVERY:
                self._snapshot()
        self.history.pass_to(until, self.state.head)
        self._until = max(self._until, until)

    def _ahead(self) -> Place | None:
        """The next place."""
        while self._heap and self._dues.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        market = (self._heap[0][0], MARKET, self._heap[0][1]) if self._heap else None
        given = self._inputs[self._next_input][0] if self._next_input < len(self._inputs) else None
        paid = bisect_right(self._bonuses, self._at)
        split = self._bonuses[paid] if paid < len(self._bonuses) else None
        return min((place for place in (market, given, split) if place is not None), default=None)

    def _take(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            market = entry.event.market(self.terms.chain_id) if isinstance(entry.event, Open) else getattr(entry.event, "market", None)
            if self._apply(entry) and market is not None:
                self._floors[market] = max(self._floors.get(market, 0), self._at[0])
                self._schedule(self.state.markets[market])

    def _apply(self, entry: Entry) -> bool:
        """Whether the log took an entry."""
        try:
            ledger.apply(self.state, entry)
        except Refused as why:
            self.refused[why.reason] += 1
            return False
        self.log.append(entry.data)
        if isinstance(entry.event, events.Fault):
            self.history.fault(self._at, self.state.markets[entry.event.market].creator)
        return True

    def _due(self, event: Event) -> None:
        """Write a clock event. One that is refused is a bug: the tape computed that it is due."""
        entry = events.write(event, self.terms.chain_id)
        ledger.apply(self.state, entry)
        self.log.append(entry.data)

    # ---- a market's steps

    def _schedule(self, one: Market) -> None:
        """Note when a market's next step is."""
        due = self._when(one)
        if one.phase in RUNNING and (due is None or due >= one.ends):
            due = one.ends
        if due is None:
            self._dues.pop(one.id, None)
            return
        due = max(due, self._floors.get(one.id, 0))
        if self._dues.get(one.id) != due:
            self._dues[one.id] = due
            heapq.heappush(self._heap, (due, one.id))

    def _schedule_all(self) -> None:
        for one in self.state.markets.values():
            self._schedule(one)

    def _when(self, one: Market) -> int | None:
        """When the next step of a market is due; None where it waits for randomness, or nothing comes any more."""
        floor = self._floors.get(one.id, 0)
        if one.phase == OPEN:
            return self._random(one.deadline)
        if one.phase == CLOSED:
            return self._random(floor + 1) if self._waits.get(one.id) == one.since else floor
        if one.phase == COMMIT and not one.panel.drawn:
            return self._random(floor + 1)  # after the step that called for seats, or the draw that found none
        if one.phase == CHALLENGE and one.level + 1 >= len(self.terms.seats):
            return floor
        if one.phase in (COMMIT, REVEAL):
            stage = (one.id, *manifest.stage(one))
            self._played[stage] = (max(one.deadline, floor), MARKET, one.id)  # where a page that comes late belongs
            return one.deadline if self.pages(stage) else None
        if one.phase in (CHALLENGE, SETTLED):
            return one.deadline
        return floor if one.phase in (FINAL, VOID) else None

    def _random(self, t: int) -> int | None:
        found = self._beacons.after(t)
        return found and found[0]

    def _step(self, one: Market, t: int) -> None:
        if one.phase in RUNNING and t >= one.ends:
            self._due(events.Timeout(t=t, market=one.id))
        else:
            _STEPS[one.phase](self, one, t)
        self._floors[one.id] = t
        self._schedule(one)

    def _end_round(self, one: Market, t: int) -> None:
        found = self._beacons.after(one.deadline)
        assert found is not None
        seed = round_seed(found[1], one.id, one.round)
        self._play_page(one, seed)
        self._grade(one, t)
        self._due(events.RoundEnd(t=t, market=one.id, seed=seed))

    def _grade(self, one: Market, t: int) -> None:
        """Where code resolves, a piece is worth 1 if it calls the first outcome wrong, which its host saw most often, and the scorer agrees.

        Pieces of other markets get no mark, and their stake back: a model's sums are not the same on every machine.
        """
        waiting = [id for id, piece in one.pieces.items() if piece.status == "pending" and not piece.marks and id in self._pieces]
        if one.kind != "V" or not waiting or (outcome := self._score(one)) == BROKEN:
            return
        for id in waiting:
            said = self._pieces[id]
            turned = (said.about, said.says) == (0, events.WRONG) and outcome != 0
            self._due(events.Grade(t=t, market=one.id, piece=id, marks=(turned * WAD,)))

    def _close(self, one: Market, t: int) -> None:
        if one.kind == "V" and not one.by_panel:
            self._due(events.Resolve(t=t, market=one.id, outcome=self._score(one)))
        else:
            self._draw(one, t)

    def _score(self, one: Market) -> int:
        """What the scorer says of a market as it is now: one that found no judges has become kind V, where the first of two right outcomes wins."""
        asked = one.id, one.kind
        if asked not in self._scores:
            opening = self.opening(one.id)
            said = self._scorer(replace(opening.open.event, kind=one.kind), opening.texts) if opening is not None else None
            if said is None or not 0 <= said < one.n:
                return BROKEN
            self._scores[asked] = said
        return self._scores[asked]

    def _draw(self, one: Market, t: int) -> None:
        roll = one.roll if one.phase == COMMIT else 0
        seed = keccak(self._beacons.at(t), one.id, b"draw", bytes([one.level, roll]))
        if not self._apply(events.write(events.Draw(t=t, market=one.id, seed=seed), self.terms.chain_id)):
            self._waits[one.id] = one.since  # the judges' stakes are in other panels: again with the next randomness

    def _end_commit(self, one: Market, t: int) -> None:
        if not one.panel.drawn:
            self._draw(one, t)
            return
        self._play_page(one)
        self._due(events.Close(t=t, market=one.id))

    def _end_reveal(self, one: Market, t: int) -> None:
        self._play_page(one)
        self._due(events.Tally(t=t, market=one.id))

    def _end_challenge(self, one: Market, t: int) -> None:
        self._play_page(one)
        if one.phase == CHALLENGE:
            self._due(events.Expire(t=t, market=one.id))

    def _settle(self, one: Market, t: int) -> None:
        self._due(events.Settle(t=t, market=one.id))
        if one.phase == SETTLED and one.scorer and one.kind != "V" and not one.void_reason and (answer := self._score(one)) != BROKEN:
            self._due(events.Check(t=t, market=one.id, answer=answer))

    def _pay_bonus(self, number: int, t: int) -> None:
        """Split the pool at the beginning of epoch `number` by the panels since it was split last; where nobody earns a part it stays."""
        if self.state.bonus and self.state.bonus_epoch < number <= self.state.epoch:
            seed = keccak(self._beacons.at(t), b"bonus", number.to_bytes(8, "big"))
            weights = bonus.weights(self.state, number, seed)
            if weights:
                self._due(events.Bonus(t=t, number=number, weights=weights))

    def _sweep(self, one: Market, t: int) -> None:
        self._due(events.Sweep(t=t, market=one.id))

    def _play_page(self, one: Market, seed: bytes = b"") -> None:
        """The entries of this phase, in the order that follows from the seed, whatever the host said."""
        stage = (one.id, *manifest.stage(one))
        self._played[stage] = self._at
        pages = self.pages(stage)
        if not pages:
            return
        page = pages[0]
        ids = manifest.order(page.manifest.ids, one.phase, seed)
        if ids != page.manifest.ids:
            self.binder.faults.setdefault(stage, ("order", page.said, b""))
        entries = {entry.id: entry for entry in page.entries}
        for id in ids:
            event = entries[id].event
            if self._apply(entries[id]) and isinstance(event, events.Evidence):
                self._pieces[id] = event

    # ---- beginning again

    def _reset(self, state: State, floors: dict[bytes, int], waits: dict[bytes, int], refused: Counter[str], at: Place) -> None:
        self.state, self._floors, self._waits, self.refused, self._at = state, floors, waits, refused, at
        self._played = {stage: place for stage, place in self._played.items() if place <= at}
        self.history.go_back(at)
        self._dues: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []
        self._next_input = bisect_right(self._inputs, at, key=lambda row: row[0])
        del self.log[state.count :]
        self._schedule_all()

    def _snapshot(self) -> None:
        packed = pickle.dumps((self.state, self._floors, self._waits, self.refused), pickle.HIGHEST_PROTOCOL)
        self._marks.append(_Mark(self._at, self.state.count, packed))
        closed = bisect_right(self._marks, self.history.closed, key=lambda mark: mark.place[0])
        self._marks = self._marks[max(0, closed - 1) :]  # nothing begins again before what is closed, unless the chain itself does
        if len(self._marks) > MARKS:
            older = self._marks[: MARKS // 2]
            self._marks = older[::2] + self._marks[MARKS // 2 :]

    def _rewind(self, until: int) -> None:
        """Go back to before the first late place."""
        kept = [mark for mark in self._marks if mark.place < self._late]
        if self.state.count - (kept[-1].count if kept else 0) > DEEP:
            if until - self._deep < DEEP_MS:
                return
            self._deep = until
        self._marks, self._late = kept, None
        self.rewinds += 1
        if kept:
            self._reset(*pickle.loads(kept[-1].packed), kept[-1].place)
        else:
            self._reset(State(self.terms), {}, {}, Counter(), (-1, 0, b""))


_STEPS: dict[str, Callable[[Tape, Market, int], None]] = {
    OPEN: Tape._end_round,
    CLOSED: Tape._close,
    COMMIT: Tape._end_commit,
    REVEAL: Tape._end_reveal,
    CHALLENGE: Tape._end_challenge,
    FINAL: Tape._settle,
    VOID: Tape._settle,
    SETTLED: Tape._sweep,
}
