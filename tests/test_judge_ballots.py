"""A judge's votes on disk: written before anything is sent, and never lost, wherever the machine dies."""

from __future__ import annotations

import json
import os
import random
import stat
from functools import partial
from pathlib import Path

import pytest
from courts import Court, address, key
from seats import SLOW, judges, local

from judge import ballots as ballots_module
from judge import court as court_module
from judge import events
from judge.ballots import Ballots, Draft, Place, SaltMissing, Vote, read, recover
from judge.court import LocalCourt, Offline, commit_due, place_of, reveal_due, send_commit, send_reveal
from judge.errors import Refused
from judge.events import ABSTAIN
from judge.panel import commitment
from judge.store import Store
from judge.terms import Terms

PLACE = Place(31337, b"\x07" * 32, 0, 0, address("p4"))
FOUR = ("p0", "p4", "p5", "p6", "p7")


def derive(message: bytes) -> bytes:
    return LocalCourt(Court().log, address("p4"), key("p4")[0]).derive(message)


def test_a_vote_is_a_private_file_with_all_that_its_commitment_needs(tmp_path):
    box = Ballots(tmp_path / "votes")
    vote = box.sign(PLACE, 2, 8000, 6000, note="the second term")
    path = tmp_path / "votes" / f"{'07' * 32}.0.0.{address('p4')[:4].hex()}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    whole = json.loads(path.read_text())
    assert (whole["choice"], whole["sure"], whole["agree"], whole["note"]) == (2, 8000, 6000, "the second term")
    assert (whole["committed"], whole["revealed"]) == (False, False)
    assert len(bytes.fromhex(whole["salt"])) == 32 and list(path.parent.iterdir()) == [path]
    assert commitment(*PLACE, 2, 8000, 6000, bytes.fromhex(whole["salt"])) == vote.commitment(PLACE)
    box.mark(PLACE, committed=True, revealed=True)
    assert Ballots(tmp_path / "votes").load(PLACE).vote == vote and box.load(PLACE).committed and box.load(PLACE).revealed


def test_salts_are_random_without_a_key_and_found_again_with_one(tmp_path):
    one, other = (Ballots(tmp_path / name).sign(PLACE, 1, 7000, 0) for name in "ab")
    assert one.salt != other.salt
    box = Ballots(tmp_path / "c")
    lost = box.sign(PLACE, 1, 7300, 40 * 100, derive)
    box.path(PLACE).unlink()
    assert box.opening(PLACE, lost.commitment(PLACE), 3, derive) == lost == box.load(PLACE).vote
    elsewhere = PLACE._replace(roll=1)
    assert box.sign(elsewhere, 1, 7300, 4000, derive).salt != lost.salt


def test_recovery_finds_every_choice_and_a_later_vote(tmp_path):
    for choice in (0, 3, ABSTAIN):
        vote = Ballots(tmp_path / str(choice)).sign(PLACE, choice, 8000, 10_000, derive)
        assert recover(PLACE, vote.commitment(PLACE), 3, derive) == vote
    box = Ballots(tmp_path / "again")
    first, second = box.sign(PLACE, 0, 8000, 0, derive), box.sign(PLACE, 0, 9000, 0, derive)
    assert first.salt != second.salt and recover(PLACE, second.commitment(PLACE), 3, derive) == second


def test_without_file_and_key_the_salt_is_missing_and_the_sentence_says_what_to_do(tmp_path):
    box, away = Ballots(tmp_path / "here"), Ballots(tmp_path / "there")
    vote = away.sign(PLACE, 1, 8000, 0)
    with pytest.raises(SaltMissing, match="import"):
        box.opening(PLACE, vote.commitment(PLACE), 3, derive)
    with pytest.raises(SaltMissing, match="no salt file"):
        box.take(tmp_path / "nothing.json", PLACE, vote.commitment(PLACE))
    assert box.take(away.path(PLACE), PLACE, vote.commitment(PLACE)) == vote
    assert box.opening(PLACE, vote.commitment(PLACE), 3) == vote


def test_a_replaced_vote_stays_until_the_ledger_has_seen_the_other_one(tmp_path):
    box = Ballots(tmp_path)
    first, second = box.sign(PLACE, 0, 8000, 0), box.sign(PLACE, 1, 8000, 0)
    assert box.opening(PLACE, first.commitment(PLACE), 3) == first
    assert box.opening(PLACE, second.commitment(PLACE), 3) == second
    assert box.sign(PLACE, 1, 8000, 0) == second, "the same vote again is not another one"
    imported = Vote(2, 5000, 0, b"\x01" * 32)
    away = Ballots(tmp_path / "away")
    away._write(PLACE, ballots_module.Ballot(imported))
    box.take(away.path(PLACE), PLACE, imported.commitment(PLACE))
    assert box.load(PLACE).votes == (imported, second, first)


def test_drafts_survive_and_neither_draft_nor_vote_costs_the_other(tmp_path):
    box = Ballots(tmp_path)
    draft = Draft(2, 8000, 6000, "hm", frozenset({"o1", "e" + "ab" * 32}))
    box.draft(PLACE, draft)
    assert Ballots(tmp_path).load(PLACE).draft == draft and box.load(PLACE).vote is None
    vote = box.sign(PLACE, 1, 7000, 0)
    box.draft(PLACE, Draft(0))
    assert box.load(PLACE).vote == vote and box.load(PLACE).draft == Draft(0)


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"salt": 1}', b"\xff" * 40, "another judge", "another chain", "too large", "a bad salt"],
    ids=str,
)
def test_what_is_no_vote_of_this_place_is_put_aside_and_not_overwritten(tmp_path, damage):
    box = Ballots(tmp_path)
    box.sign(PLACE, 1, 8000, 0)
    whole = json.loads(box.path(PLACE).read_text())
    data = (
        damage
        if isinstance(damage, bytes)
        else json.dumps(
            {
                **whole,
                **{
                    "another judge": {"judge": "ab" * 20},
                    "another chain": {"chain_id": 1},
                    "too large": {"note": "x" * 2**21},
                    "a bad salt": {"salt": "ab"},
                }[damage],
            }
        ).encode()
    )
    box.path(PLACE).write_bytes(data)
    assert read(box.path(PLACE), PLACE) is None and box.load(PLACE).vote is None
    box.sign(PLACE, 2, 8000, 0)
    kept = [path for path in tmp_path.iterdir() if path != box.path(PLACE)]
    assert [path.read_bytes() for path in kept] == [data]


def test_nothing_is_sent_before_the_vote_is_on_disk(tmp_path, monkeypatch):
    court, market, me = world()
    order = []
    monkeypatch.setattr(ballots_module, "fsync", lambda file: (order.append("fsync"), os.fsync(file)))
    monkeypatch.setattr(ballots_module, "rename", lambda *names: (order.append("rename"), os.replace(*names)))
    mine, box = local(court, me), Ballots(tmp_path)
    extend = court.log.extend
    monkeypatch.setattr(court.log, "extend", lambda entry: (order.append("send"), extend(entry)))
    place = place_of(mine, mine.view().find(market.id))
    send_commit(mine, box, place, box.sign(place, 1, 8000, 0, mine.derive))
    assert order[:4] == ["fsync", "rename", "fsync", "send"]


def test_votes_wait_while_offline_and_reveal_by_themselves(tmp_path):
    court, market, me = world()
    mine, box = local(court, me), Ballots(tmp_path)
    place = place_of(mine, mine.view().find(market.id))
    commit, mine.commit = mine.commit, offline
    box.sign(place, 1, 8000, 0, mine.derive)
    assert [(one.done, one.sentence) for one in commit_due(mine, box)] == [(False, "no peers")] and address(me) not in market.panel.ballots
    mine.commit = commit
    assert [one.done for one in commit_due(mine, box)] == [True] and commit_due(mine, box) == []
    assert reveal_due(mine, box) == [], "not yet"
    court.t = market.deadline
    assert [one.done for one in reveal_due(mine, box)] == [True] and reveal_due(mine, box) == []
    assert market.panel.ballots[address(me)].choice == 1 and box.load(place).revealed


def test_a_draft_alone_is_never_sent(tmp_path):
    court, _, me = world()
    mine, box = local(court, me), Ballots(tmp_path)
    place = place_of(mine, mine.view().cases[0])
    box.draft(place, Draft(1, 8000))
    assert commit_due(mine, box) == []


def test_a_missing_salt_is_told_and_does_not_stop_the_other_reveals(tmp_path):
    court = Court(FOUR, terms=Terms(machine=SLOW, human=SLOW))
    markets = [court.market("p0") for _ in range(2)]
    for market in markets:
        court.to_panel(market)
    me = next(name for name in FOUR if all(address(name) in market.panel.seats for market in markets))
    mine, box = local(court, me), Ballots(tmp_path)
    court.commit(markets[0], me, 1)  # from another machine: its salt is not here
    place = place_of(mine, mine.view().find(markets[1].id))
    send_commit(mine, box, place, box.sign(place, 0, 8000, 0, mine.derive))
    court.t = max(market.deadline for market in markets)
    sent = {one.case.id: one for one in reveal_due(mine, box)}
    assert sent[markets[0].id].missing and "import" in sent[markets[0].id].sentence and sent[markets[1].id].done


# ---- a hundred kills


class Killed(BaseException):
    """The machine is gone; not an Exception, so nothing catches it."""


def offline(*_: object) -> None:
    raise Offline("no peers")


def world() -> tuple:
    """A market in VOTE with a judge in it."""
    court = Court(FOUR, terms=Terms(machine=SLOW, human=SLOW))
    market = court.market("p0")
    court.to_panel(market)
    return court, market, judges(market)[0]


class Hazard:
    """Kills at the n-th dangerous call from now: fsync, rename, and what goes to the ledger; before it or after it."""

    def __init__(self, monkeypatch):
        self.left, self.after, self.calls = None, False, 0
        for module, name in ((ballots_module, "fsync"), (ballots_module, "rename"), (Store, "extend")):
            monkeypatch.setattr(module, name, self.dangerous(getattr(module, name)))
        for name in ("commit", "reveal"):
            monkeypatch.setattr(court_module.LocalCourt, name, self.dangerous(getattr(court_module.LocalCourt, name)))

    def dangerous(self, real):
        def call(*args, **kwargs):
            self.calls += 1
            if self.left is not None:
                self.left -= 1
            if self.left != 0:
                return real(*args, **kwargs)
            self.left = None
            if self.after:
                real(*args, **kwargs)
            raise Killed

        return call


class Person:
    """A voter's machine: all that it knows is on disk. Without `derived` salts a lost file is a lost vote."""

    def __init__(self, entries: list[bytes], terms: Terms, me: str, home: Path, t: int, derived: bool):
        self.terms, self.me, self.home, self.t, self.derived = terms, me, home, t, derived
        home.mkdir()
        with Store(home / "log", terms) as store, store.together():
            for data in entries:
                store.extend(events.read(data, terms.chain_id))
        self.start()

    def start(self) -> None:
        """What a new process does."""
        self.store = Store(self.home / "log", self.terms)
        self.court = LocalCourt(self.store, address(self.me), key(self.me)[0], now=lambda: self.t)
        self.box = Ballots(self.home / "votes")
        self.node()

    def node(self) -> None:
        commit_due(self.court, self.box)
        reveal_due(self.court, self.box)

    @property
    def place(self) -> Place:
        return place_of(self.court, self.court.view().cases[0])

    def draft(self, choice: int) -> None:
        self.box.draft(self.place, Draft(choice, 8000, note="n" * choice))

    def vote(self, choice: int) -> None:
        vote = self.box.sign(self.place, choice, 8000, 0, self.court.derive if self.derived else None)
        send_commit(self.court, self.box, self.place, vote)

    def wait(self) -> None:
        case = self.court.view().cases[0]
        if case.state == "COMMIT":
            self.t = case.deadline
        self.court.tick()

    def reveal(self) -> None:
        case = self.court.view().cases[0]
        if case.need == "reveal":
            send_reveal(self.court, self.box, case)

    def session(self) -> list[partial]:
        """What the person does: a vote, another one instead, and a reveal. Who saw no confirmation does it again."""
        return [partial(self.draft, 0), partial(self.vote, 0), partial(self.draft, 1), partial(self.vote, 1), self.wait, self.reveal]


def test_a_hundred_kills_lose_no_vote(tmp_path, monkeypatch):
    rng, killed, points = random.Random(4), 0, 0
    court, market, me = world()
    court.commit(market, judges(market)[1], 1)  # so that REVEAL lasts until its deadline, and COMMIT too
    assert len(judges(market)) > 2
    hazard = Hazard(monkeypatch)
    number = 0
    while killed < 100:
        number += 1
        person = Person(court.log.entries, court.terms, me, tmp_path / str(number), court.t, derived=number % 3 > 0)
        hazard.calls = 0
        if points:
            hazard.left, hazard.after = rng.randint(1, points), rng.random() < 0.5
        todo = person.session()
        while todo:
            try:
                if person.store is None:
                    person.start()
                todo[0]()
                todo.pop(0)
            except Killed:
                killed += 1
                if person.store:
                    person.store.close()
                person.store = None
                hazard.left = rng.randint(1, 6) if rng.random() < 0.3 else None  # some die again while they come back
        points = points or hazard.calls  # of a session without a kill
        hazard.left = None
        panel = person.store.state.markets[market.id].panel
        ballot = panel.ballots.get(address(me))
        assert ballot is not None and ballot.choice == 1, f"machine {number} lost its vote"
        assert address(me) not in panel.dropped
        person.store.close()
    assert points > 20


def test_without_the_order_of_disk_and_network_a_kill_does_lose_a_vote(tmp_path, monkeypatch):
    court, market, me = world()
    person = Person(court.log.entries, court.terms, me, tmp_path / "home", court.t, derived=False)
    sign = Ballots.sign

    def careless(self, place, *args):
        vote = sign(self, place, *args)
        self.path(place).unlink()  # what a crash leaves of a file that was not synced
        return vote

    monkeypatch.setattr(Ballots, "sign", careless)
    monkeypatch.setattr(Ballots, "mark", lambda *args, **flags: None)
    person.vote(0)
    person.store.close()
    person.start()
    person.wait()
    assert [one.missing for one in reveal_due(person.court, person.box)] == [True]
    person.store.close()


def test_the_ledger_refuses_what_the_file_does_not_open(tmp_path):
    court, market, me = world()
    mine, box = local(court, me), Ballots(tmp_path)
    place = place_of(mine, mine.view().find(market.id))
    send_commit(mine, box, place, box.sign(place, 1, 8000, 0, mine.derive))
    court.t = market.deadline
    mine.tick()
    with pytest.raises(Refused) as refused:
        mine.reveal(market.id, 0, 0, Vote(1, 8000, 0, bytes(32)))
    assert refused.value.reason == "mismatch"
