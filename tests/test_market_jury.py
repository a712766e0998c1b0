"""Seats of the frozen judge, with the real base model in rooms on real networks on loopback: votes, appeals, watchers; a person comes first."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import networks
import pytest
from courts import address, key
from markets import DOMAIN
from proofs import parts
from test_market_juror import market
from test_market_network import TERMS, Clock, facts_from, root, state_of

from judge import events
from judge.ballots import Ballots, Place
from judge.market import SETTLED
from judge.terms import CREDIT
from swarm.market import juror, seats, watcher
from swarm.market.juror import Opinion, replayed
from swarm.market.jury import CERTAIN, Jury
from swarm.market.seats import SeatedRoom
from swarm.market.watcher import Heard, Rates, Watcher

NAMES = ("host", "ann", "ben")


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jury")
    stages = parts(folder)[0]
    return juror.load(stages.recipe, stages.mix, folder)


@contextlib.contextmanager
def seated(folder, frozen, scorer):
    """Rooms of three judges of one home, each with the frozen judge in its seats."""
    clock = Clock()
    with contextlib.ExitStack() as stack:
        first = networks.network(folder / NAMES[0])
        stack.enter_context(networks.started(first))
        nets = {name: networks.network(folder / name, tuple(first.addresses()[:1])) for name in NAMES[1:]}
        stack.enter_context(networks.started(*nets.values()))
        nets[NAMES[0]] = first
        facts = facts_from(clock(), **{name: net.peer for name, net in nets.items()})
        rooms = {}
        for name in NAMES:
            around = (nets[name], facts, TERMS, address(name), key(name)[0], folder / name / "market", scorer)
            rooms[name] = SeatedRoom(folder / "votes", folder / "openings", *around, now=clock)
            rooms[name].appoint(frozen, scorer)
            stack.callback(rooms[name].close)
            rooms[name].start()
        facts.seen = 2**47
        yield rooms
        for one in rooms.values():
            one.require_alive()


@pytest.mark.timeout(240)
def test_models_vote_where_no_person_did_and_a_wrong_verdict_is_disputed_and_turned_by_the_scorer(tmp_path, frozen, monkeypatch):
    truths: dict[str, int] = {}
    monkeypatch.setattr(seats, "PERSON_MS", 0)  # a person has half of the time, here two seconds
    monkeypatch.setattr(watcher, "LATE_MS", 0)
    monkeypatch.setattr(Watcher, "watches", lambda self, market, level: self.room.actor == address("host"))
    with seated(tmp_path, frozen, lambda said, texts: truths[said.question]) as rooms:
        host, ann, ben = rooms.values()
        for one in rooms.values():
            one.send(one.sign(events.Stake, amount=60 * CREDIT))
        networks.until(lambda: sum(who.stake > 0 for who in state_of(host).operators.values()) == 3, 30, "all have staked")
        said, texts = market()
        said = replace(said, actor=address("host"), t=host.now(), scorer=b"\5" * 32, outcomes=tuple((*row[:2], ()) for row in said.outcomes))
        opinion = frozen(said, texts)
        persons, truths[said.question] = sorted({0, 1, 2, 3} - {opinion.choice})[:2]
        id = host.open(said, texts)
        for roll in range(3):
            Ballots(tmp_path / "votes").sign(Place(DOMAIN, id, 0, roll, address("ben")), persons, 7000, 0)
        networks.until(lambda: id in state_of(ben).markets and state_of(ben).markets[id].phase == SETTLED, 120, "it was judged, disputed and settled")
        networks.until(lambda: root(host) == root(ann) == root(ben), 20, "the roots are equal")
        one = state_of(ann).markets[id]
        first, appeal = one.panels
        votes = {who: (ballot.choice, ballot.sure) for who, ballot in first.ballots.items()}
        assert votes.pop(address("ben"), (persons, 7000)) == (persons, 7000), "a person comes first"
        assert votes and set(votes.values()) == {(opinion.choice, opinion.sure)}
        assert all(replayed(frozen, *ann.texts(id), *vote) for vote in votes.values())
        assert one.verdicts[0].choice in (persons, opinion.choice) and one.challenges[0].outcome == "upheld"
        assert one.verdict.choice == truths[said.question] and address("host") not in appeal.seats
        assert {ballot.choice for ballot in appeal.ballots.values()} == {truths[said.question]}
        networks.until(lambda: all(room.watcher.rates.wrong for room in rooms.values()), 20, "every node counts what became of verdicts")
        assert all(room.watcher.rates == Rates(1, 1, 1, 0) for room in rooms.values()), "the first verdict, and that of the appeal"
        assert (host.watcher.judged, host.watcher.disputed, ann.watcher.judged) == (2, 1, 0), "the verdict of the appeal is right"


class FakeRoom:
    """Texts of one market, and nothing else."""

    actor = address("ann")
    terms = TERMS

    def texts(self, id):
        return market()


def jury_of(opinion: Opinion | None, truth: int | None) -> Jury:
    said, _ = market()
    found = Jury(FakeRoom(), lambda said, texts: opinion, lambda said, texts: truth)
    found._opinions[b"m"] = opinion
    found.room.texts = lambda id: (type(said)(**{**said.__dict__, "scorer": b"\5" * 32}), ("",) * 4)
    return found


def test_in_the_first_panel_the_frozen_judge_votes_and_on_appeal_a_scorer_where_there_is_one():
    opinion = Opinion((0.2, 0.7, 0.1, 0.0))
    assert jury_of(opinion, 3).choice(b"m", "P", 0) == jury_of(opinion, None).choice(b"m", "P", 1) == (1, 7000)
    assert jury_of(opinion, 3).choice(b"m", "P", 1) == jury_of(opinion, 3).choice(b"m", "V", 0) == (3, CERTAIN)
    assert jury_of(None, None).choice(b"m", "H", 0) is None


@pytest.mark.parametrize(
    ("chances", "truth", "verdict", "claimed"),
    [
        ((0.9, 0.05, 0.05, 0.0), 1, 0, 1),  # the scorer says otherwise, whatever the model holds
        ((0.05, 0.9, 0.05, 0.0), 0, 0, None),
        ((0.9, 0.05, 0.05, 0.0), 1, 4, 1),  # INVALID
        ((0.05, 0.9, 0.05, 0.0), None, 0, 1),
        ((0.15, 0.8, 0.05, 0.0), None, 0, None),  # not that improbable
        ((0.05, 0.55, 0.4, 0.0), None, 0, None),  # not that sure of another
        ((0.05, 0.9, 0.05, 0.0), None, 4, None),  # a model is no judge of INVALID
        (None, None, 0, None),
    ],
)
def test_a_watcher_disputes_by_its_rule(chances, truth, verdict, claimed):
    found = Watcher(FakeRoom(), jury_of(Opinion(chances) if chances else None, truth), b"s" * 32).objection(Heard(b"m", 0, 4, verdict, CREDIT))
    assert (found and found[0]) == claimed


def test_a_watcher_judges_a_tenth_that_nobody_without_its_key_can_tell():
    mine, other = (Watcher(FakeRoom(), jury_of(None, None), secret) for secret in (b"s" * 32, b"t" * 32))
    drawn = [[one.watches(number.to_bytes(32, "big"), 0) for number in range(4000)] for one in (mine, other)]
    assert all(320 < sum(row) < 480 for row in drawn) and sum(map(int.__and__, *drawn)) < 80
    assert drawn[0] != [mine.watches(number.to_bytes(32, "big"), 1) for number in range(4000)]


class Purse(FakeRoom):
    """A room in which one verdict is to be disputed, and what was sent."""

    def __init__(self):
        self.entries: list = []

    def sign(self, kind, **fields):
        return fields

    def send(self, entry):
        self.entries.append(entry)

    def say(self, text):
        pass


def test_a_bond_is_at_most_what_is_left_of_the_purse():
    room = Purse()
    watching = Watcher(room, jury_of(None, 1), b"s" * 32)
    watching.watches = lambda market, level: True
    heard = Heard(b"m", 0, 4, 0, 12 * CREDIT)
    assert watching._judge(heard, 11 * CREDIT) == 0 and not room.entries and watching.judged == 1
    assert watching._judge(heard, 12 * CREDIT) == 12 * CREDIT and room.entries[0]["claimed"] == 1 and watching.disputed == 1
