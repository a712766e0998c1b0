"""Pages, facts and people for tests of `swarm.market`. Keys and names are those of `courts`."""

from __future__ import annotations

import hashlib

from courts import address, key, salt

from judge import events, keys, manifest
from judge.events import Entry
from judge.manifest import Manifest
from judge.market import COMMIT, OPEN, REVEAL, Market
from judge.panel import commitment
from judge.terms import CREDIT, Terms, terms_of
from swarm.market import page as pages
from swarm.market.facts import Beacon, Entered, Facts, Minted, domain_of, round_seed
from swarm.market.page import Account, Opening, Page, Phase
from swarm.market.tape import Tape
from swarm.proof.schedule import Schedule

SWARM = bytes(range(32))
DOMAIN = domain_of(31337, SWARM)
START = 1_800_000_000_000
TERMS = terms_of("test", chain_id=DOMAIN, seed="beacon")


class FakeFacts(Facts):
    """Facts that no chain said: people by name, randomness out of a counter."""

    def __init__(self, start: int = START, domain: int = DOMAIN, schedule: Schedule | None = None):
        super().__init__(domain, schedule)
        self.start, self.seen = start, 2**47

    def people(self, *names: str, credits: int = 1000, peers: dict[str, bytes] | None = None) -> None:
        """These came before the start, and epoch 1 gives each `credits`."""
        for name in names:
            self.add(Entered(self.start - 2000, address(name), address(name + " session"), (peers or {}).get(name, b"")))
        self.add(Minted(self.start - 1000, 1, tuple((address(name), credits * CREDIT) for name in sorted(names, key=address))))

    def beacons(self, first: int, last: int, each: int = 1000, delay: int = 0) -> None:
        """Randomness every `each` milliseconds."""
        self.add(*(Beacon(t + delay, t, keys.keccak(b"beacon", t.to_bytes(8, "big"))) for t in range(self.start + first, self.start + last, each)))


def sign(kind: type, name: str, t: int, /, **fields) -> Entry:
    return events.write(kind(actor=address(name), t=t, **fields), DOMAIN, key(name)[0])


def opening(host: str, t: int, nonce: int = 1, kind: str = "V", b0: int = 50, scorer: bytes | None = None, author: str = "author") -> Opening:
    """A market about two answers and none of them."""
    texts = (f"answer one of {nonce}", f"answer two of {nonce}", "")
    outcomes = tuple(
        (f"outcome {i}", hashlib.sha256(text.encode()).digest() if text else b"", (address(author),) if text else ()) for i, text in enumerate(texts)
    )
    scorer = (b"\5" * 32 if kind == "V" else b"") if scorer is None else scorer
    said = {"nonce": nonce, "kind": kind, "question": "Which?", "outcomes": outcomes, "b0": b0 * CREDIT, "scorer": scorer}
    open = sign(events.Open, host, t, **said)
    return pages.opening(open, sign(events.Fund, host, t, market=open.event.market(DOMAIN)), texts, DOMAIN)


def trade(market: bytes, name: str, t: int, outcome: int = 0, amount: int = CREDIT, nonce: int = 1) -> Entry:
    return sign(events.Trade, name, t, market=market, nonce=nonce, side="buy", outcome=outcome, amount=amount)


def phase(host: str, market: bytes, what: str, number: int, entries: list[Entry], seed: bytes = b"", ids: tuple[bytes, ...] | None = None) -> Phase:
    """A page by its host, in the right order unless `ids` says another one."""
    by_id = {entry.id: entry for entry in entries}
    said = Manifest(market, what, number, manifest.order(by_id, what, seed) if ids is None else ids)
    return pages.phase(said, [by_id[id] for id in said.ids], DOMAIN, key(host)[0])


def account(*entries: Entry) -> Account:
    return pages.account(entries, DOMAIN)


class Fair:
    """A tape whose markets are hosted and judged here, page by page; `pages` are all of them, in the order in which they were made.

    `choice(market, name)` is what a judge votes.
    """

    def __init__(self, facts: FakeFacts, terms: Terms = TERMS, scorer=lambda said, texts: 1, choice=lambda market, name: 0):
        self.facts, self.tape, self.pages, self.choice = facts, Tape(terms, facts, scorer), [], choice

    def add(self, page: Page) -> Page:
        self.tape.add(page)
        self.pages.append(page)
        return page

    def market(self, id: bytes) -> Market:
        return self.tape.state.markets[id]

    def run(self, until: int, host: str, orders: dict[bytes, list[Entry]], silent: tuple[str, ...] = ()) -> None:
        """Play to `until`, second by second: what was ordered, and what each market's judges say, becomes a page at each deadline."""
        for now in range(self.facts.start, until, 500):
            self.tape.play(now)
            for one in list(self.tape.state.markets.values()):
                stage = (one.id, *manifest.stage(one)) if one.phase in pages.TAKEN and one.deadline else None
                if stage and now + 500 >= one.deadline and stage not in {page.stage for page in self.pages if isinstance(page, Phase)}:
                    entries = self.said(one, orders, silent)
                    found = self.facts.after(one.deadline)
                    if (entries or one.phase in (COMMIT, REVEAL)) and found:
                        self.add(phase(host, *stage, entries, round_seed(found[1], one.id, one.round) if one.phase == OPEN else b""))
        self.tape.play(until)

    def said(self, one: Market, orders: dict[bytes, list[Entry]], silent: tuple[str, ...]) -> list[Entry]:
        if one.phase == OPEN:
            return orders.get(one.id, []) if one.round == 1 else []
        judges = [name for name in NAMES if one.panel and address(name) in one.panel.seats and name not in silent]
        if one.phase == COMMIT:
            return [commit(one, name, self.choice(one, name)) for name in judges if address(name) not in one.panel.ballots]
        voted = [name for name in judges if address(name) in one.panel.ballots]
        return [reveal(one, name, self.choice(one, name)) for name in voted] if one.phase == REVEAL else []


NAMES = ("ann", "ben", "cleo", "dan", "eve")


def commit(one: Market, name: str, choice: int = 0) -> Entry:
    said = commitment(DOMAIN, one.id, one.level, one.roll, address(name), choice, 8000, 6000, salt(name))
    return sign(events.Commit, name, one.since, market=one.id, level=one.level, roll=one.roll, commit=said)


def reveal(one: Market, name: str, choice: int = 0) -> Entry:
    vote = {"judge": address(name), "choice": choice, "sure": 8000, "agree": 6000, "salt": salt(name)}
    return sign(events.Reveal, name, one.since, market=one.id, level=one.level, roll=one.roll, **vote)
