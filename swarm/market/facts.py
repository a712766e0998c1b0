"""What the chain says, as the judge market's log needs it: who came, who is jailed, when an epoch began, and the randomness.

    facts = ChainFacts(swarm, schedule, mint)        facts.look() reads the chain; ChainError where it does not answer
    facts.news(n)                                    what changed since change n, for a tape
    facts.after(t)                                   the first randomness that nobody knew at t: (time, 32 bytes), or None

A fact lies at a time of the chain, so it has the same place in everybody's log. R(e) is gathered from `opens` on and fixed by schedule; `t` is
when everybody can have read it (SETTLE_MS later). "Nobody knew it at t" therefore asks for `opens >= t`: once all have shown their
share, a value is known before its window closes.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass

from judge import events
from judge.events import Entry
from judge.keys import keccak
from swarm.chain.abi import Event
from swarm.chain.client import Swarm
from swarm.chain.logs import MAX_EVENTS, Scanner, mark
from swarm.market.grants import EVENTS, Grants
from swarm.proof.schedule import OLDEST_SEED, SETTLE_S, Schedule

SETTLE_MS = SETTLE_S * 1000
VOTES_KEPT = 64  # epochs of which is known who anchored what
MINTS = 1024  # operators of one epoch: as many as an Epoch event names


@dataclass(frozen=True)
class Entered:
    """An operator came, or named another session key, for one of its peers."""

    t: int
    operator: bytes
    session: bytes
    peer: bytes = b""


@dataclass(frozen=True)
class Standing:
    """The chain jailed an operator, or let it out."""

    t: int
    operator: bytes
    jailed: int


@dataclass(frozen=True)
class Minted:
    """Epoch `number` (from 1) began, with these credits."""

    t: int
    number: int
    mints: tuple[tuple[bytes, int], ...]


@dataclass(frozen=True, order=True)
class Beacon:
    """Randomness that nobody knew before `opens` and everybody can know at `t`."""

    t: int
    opens: int
    value: bytes


Fact = Entered | Standing | Minted | Beacon


def domain_of(chain_id: int, swarm: bytes) -> int:
    """The `chain_id` of a swarm's Terms: nothing that is signed for one swarm is worth anything in another."""
    return int.from_bytes(keccak(b"openswarm/1/market", chain_id.to_bytes(32, "big"), swarm), "big")


def round_seed(value: bytes, market: bytes, number: int) -> bytes:
    """What the order of a round follows from, out of randomness that nobody knew at its deadline."""
    return keccak(value, market, b"round", bytes([number]))


def entry_of(fact: Entered | Standing | Minted, domain: int) -> Entry:
    """The log entry that a fact is."""
    if isinstance(fact, Entered):
        return events.write(events.Enter(t=fact.t, operator=fact.operator, session=fact.session), domain)
    if isinstance(fact, Standing):
        return events.write(events.Standing(t=fact.t, operator=fact.operator, jailed=fact.jailed), domain)
    return events.write(events.Epoch(t=fact.t, number=fact.number, mints=fact.mints), domain)


class Beacons:
    """Randomness in the order of time."""

    def __init__(self) -> None:
        self._rows: list[Beacon] = []

    def add(self, beacon: Beacon) -> None:
        insort(self._rows, beacon)

    def drop(self, beacon: Beacon) -> None:
        self._rows.remove(beacon)

    def after(self, t: int) -> tuple[int, bytes] | None:
        """(time, value) of the first that nobody knew at `t`."""
        first = bisect_left(self._rows, t, key=lambda row: row.opens)
        return (self._rows[first].t, self._rows[first].value) if first < len(self._rows) else None

    def until(self, t: int, count: int) -> list[bytes]:
        """The newest `count` values that somebody may have known at `t`."""
        first = bisect_right(self._rows, t, key=lambda row: row.opens)
        return [row.value for row in self._rows[max(0, first - count) : first]]

    def at(self, t: int) -> bytes:
        """The newest value at `t`; zeros where there was none."""
        first = bisect_right(self._rows, t, key=lambda row: row.t)
        return self._rows[first - 1].value if first else bytes(32)


class Facts:
    """The facts that are known, and every change of them in order. Safe to use from any thread."""

    def __init__(self, domain: int, schedule: Schedule | None = None):
        self.domain, self.schedule = domain, schedule
        self.finals: dict[int, bytes] = {}  # the market's root by epoch, where the chain says that it is final
        self.seen = 0  # milliseconds: everything up to this time of the chain is known
        self._lock = threading.Lock()
        self._known: set[Fact] = set()
        self._changes: list[tuple[bool, Fact]] = []
        self._beacons = Beacons()
        self._speak: dict[bytes, set[bytes]] = {}  # operator -> addresses that ever spoke for it
        self._peers: dict[bytes, list[bytes]] = {}  # operator or session address -> peers

    def look(self) -> None:
        """Read what is new. Here: nothing."""

    def add(self, *facts: Fact) -> None:
        """These are known now."""
        self.become(self._known.union(facts))

    def become(self, facts: Iterable[Fact]) -> None:
        """Exactly these are known now: a chain that was re-organised can take some back."""
        new = set(facts)
        with self._lock:
            gone, came = self._known - new, new - self._known
            self._changes += [(False, fact) for fact in sorted(gone, key=_place)] + [(True, fact) for fact in sorted(came, key=_place)]
            self._known = new
            for fact in gone:
                if isinstance(fact, Beacon):
                    self._beacons.drop(fact)
            for fact in came:
                self._take(fact)

    def news(self, after: int) -> list[tuple[bool, Fact]]:
        """Changes beyond the first `after` ones: (True, a fact that came) or (False, one that was taken back)."""
        with self._lock:
            return self._changes[after:]

    def after(self, t: int) -> tuple[int, bytes] | None:
        """(time, value) of the first randomness that nobody knew at `t`; None while it is not known."""
        with self._lock:
            return self._beacons.after(t)

    def seeds(self, t: int) -> list[bytes]:
        """The epoch seeds under which a question of the time `t` may have been drawn; while there is none the recipe's hash is."""
        with self._lock:
            return [keccak(b"seed", value) for value in self._beacons.until(t, OLDEST_SEED + 1)]

    def voters(self, epoch: int, head: bytes) -> set[bytes]:
        """The peers that anchored this root of the market. Here: nobody."""
        return set()

    def speaks(self, operator: bytes, address: bytes | None) -> bool:
        """Whether an address may have signed for an operator that came to this swarm. The log decides whether it might at that time."""
        with self._lock:
            return address is not None and address in self._speak.get(operator, ())

    def peers(self, address: bytes) -> list[bytes]:
        """The peers of an operator, or of a session key, the latest first."""
        with self._lock:
            return self._peers.get(address, [])[::-1]

    def _take(self, fact: Fact) -> None:
        if isinstance(fact, Beacon):
            self._beacons.add(fact)
        elif isinstance(fact, Entered):
            self._speak.setdefault(fact.operator, {fact.operator}).add(fact.session)
            for address in (fact.operator, fact.session):
                if fact.peer and fact.peer not in (peers := self._peers.setdefault(address, [])):
                    peers.append(fact.peer)


class ChainFacts(Facts):
    """The facts of one swarm on its chain. `mint`: wei that an operator gets at the beginning of each epoch, where `Grants` knows it by then."""

    def __init__(self, swarm: Swarm, schedule: Schedule, mint: int):
        super().__init__(domain_of(swarm.chain.link.chain_id, swarm.id), schedule)
        self.swarm, self.chain, self.schedule, self.mint = swarm, swarm.chain, schedule, mint
        self._scanner = Scanner(self.chain, ("registry", "ledger", "vault", "anchor"))
        self._events: dict[str, tuple[int, Event]] = {}  # by mark: (time in ms, event)
        self._anchors: dict[str, Event] = {}  # by mark
        self._members: dict[bytes, bytes] = {}  # key -> peer
        self._times: dict[int, int] = {}
        self._random: dict[int, Beacon] = {}
        self._shape = (-1, 0)  # epochs and values that were made into facts

    def look(self) -> None:
        """Read what is new. Raises ChainError; the next look goes on from there."""
        head = self.chain.head()
        found = self._scanner.scan()
        for event in found.new:
            if event.name in EVENTS or event.name in ("SessionChanged", "Paused", "Resumed"):
                self._events[mark(event)] = (self._time(event.block), event)
            if event.name == "Entered" and event.values["swarm"] == self.swarm.id:
                self._members[event.values["key"]] = event.values["peer"]
        for each in found.gone:
            self._events.pop(each, None)
        self._learn_anchors(found.new, found.gone, self.schedule.epoch_at(head.time))
        self._learn_randomness(head.time)
        if len(found.new) < MAX_EVENTS:  # else there is more to read before anything can be said of the present
            if found.new or found.gone or self._shape != (self.schedule.epoch_at(head.time), len(self._random)):
                told = sorted(self._events.values(), key=lambda row: (row[1].block, row[1].index))
                self.become({*facts_of(told, self.swarm.id, self.schedule, head.time, self.mint), *self._random.values()})
                self._shape = self.schedule.epoch_at(head.time), len(self._random)
            self.seen = head.time * 1000

    def anchored(self, epoch: int) -> dict[bytes, tuple[bytes, bytes, bytes]]:
        """Roots of log, gold set and tally that members (keys) anchored for a recent epoch."""
        with self._lock:
            found = [event.values for event in self._anchors.values() if event.name == "Anchored" and event.values["epoch"] == epoch]
        return {said["key"]: (said["logRoot"], said["goldRoot"], said["tallyRoot"]) for said in found}

    def voters(self, epoch: int, head: bytes) -> set[bytes]:
        return {self._members[key] for key, roots in self.anchored(epoch).items() if roots[0] == head}

    def _learn_anchors(self, new: list[Event], gone: list[str], epoch: int) -> None:
        with self._lock:
            for event in new:
                ours = event.name == "Anchored" and event.values["key"] in self._members
                if ours or (event.name == "Finalized" and event.values["swarm"] == self.swarm.id):
                    self._anchors[mark(event)] = event
            for each in gone:
                self._anchors.pop(each, None)
            old = [each for each, event in self._anchors.items() if event.name == "Anchored" and event.values["epoch"] < epoch - VOTES_KEPT]
            for each in old:
                del self._anchors[each]
            finals = [event.values for event in self._anchors.values() if event.name == "Finalized"]
        self.finals = {said["epoch"]: said["logRoot"] for said in finals}

    def _learn_randomness(self, now: int) -> None:
        for epoch in range(1, self.schedule.epoch_at(now) + 1):
            fixed = self.schedule.beacon_until(epoch - 1)
            if epoch in self._random or now < fixed:
                continue
            value, ready = self.chain.read("beacon", "value", self.swarm.id, epoch)
            if ready:
                self._random[epoch] = Beacon(fixed * 1000 + SETTLE_MS, self.schedule.commit_until(epoch - 1) * 1000, value)

    def _time(self, block: int) -> int:
        if block not in self._times:
            self._times[block] = int(self.chain.rpc.call("eth_getBlockByNumber", hex(block), False)["timestamp"], 16) * 1000
        return self._times[block]


def facts_of(told: Iterable[tuple[int, Event]], swarm: bytes, schedule: Schedule, now: int, mint: int) -> list[Fact]:
    """The facts that the chain's events amount to, in order of (time in ms, event); `now` is chain time in seconds.

    An operator is jailed while one of its peers is out of the draws for a duty that it missed.
    """
    facts: list[Fact] = []
    members: dict[bytes, tuple[bytes, bytes]] = {}  # key -> (operator, peer)
    lapsed: dict[bytes, set[bytes]] = {}
    grants, minted = Grants(swarm), 0
    running = schedule.epoch_at(now) if now >= schedule.start else 0

    def mint_until(t: int) -> None:
        """The epochs that began at `t` or before."""
        nonlocal minted
        while minted < running and (begins := (schedule.start + (minted + 1) * schedule.epoch) * 1000) <= t:
            minted += 1
            there = sorted(grants.operators()[:MINTS])
            facts.append(Minted(begins, minted, tuple((operator, mint) for operator in there)))

    for t, event in told:
        values = event.values
        mint_until(t)
        grants.take(event)
        if event.name == "Entered" and values["swarm"] == swarm:
            members[values["key"]] = (values["operator"], values["peer"])
            facts.append(Entered(t, values["operator"], values["session"], values["peer"]))
        elif values.get("key") not in members:
            continue
        elif event.name == "SessionChanged":
            operator, peer = members[values["key"]]
            facts.append(Entered(t, operator, values["session"], peer))
        elif event.name in ("Paused", "Resumed"):
            facts += _standing(t, members[values["key"]][0], values["key"], event.name == "Paused" and values["lapsed"], lapsed)
    mint_until(now * 1000)
    return facts


def _standing(t: int, operator: bytes, key: bytes, out: bool, lapsed: dict[bytes, set[bytes]]) -> list[Fact]:
    keys = lapsed.setdefault(operator, set())
    before = bool(keys)
    (keys.add if out else keys.discard)(key)
    return [Standing(t, operator, int(out))] if before != bool(keys) else []


def _place(fact: Fact) -> tuple[int, str, bytes]:
    return fact.t, type(fact).__name__, getattr(fact, "operator", b"")
