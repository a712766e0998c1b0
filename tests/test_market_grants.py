"""Who gets credits when an epoch begins: what entered for free gets nothing, whatever there is of it."""

from __future__ import annotations

import time
from types import SimpleNamespace

import chains
import pytest

from swarm import keys
from swarm.chain import voucher
from swarm.chain.abi import Event
from swarm.market.facts import ChainFacts, Minted, facts_of
from swarm.market.grants import FAULT, Grants
from swarm.proof.schedule import Schedule

SWARM, OTHER = b"s" * 32, b"o" * 32
MINT = 7


def who(name: str) -> bytes:
    return name.encode().ljust(20, b"\0")


def key(name: str) -> bytes:
    return name.encode().ljust(32, b"\1")


def event(name: str, **said) -> Event:
    return Event(name, said, bytes(20), 1, bytes(32), bytes(32), 0)


def entered(name: str, swarm: bytes = SWARM, peer: str = "") -> Event:
    return event("Entered", key=key(peer or name), swarm=swarm, operator=who(name), peer=bytes(32), session=bytes(20))


def grants(faucet: bool, *events: Event) -> list[bytes]:
    terms = SimpleNamespace(faucet=faucet, minStake=100, maxUnits=50)
    found = Grants(SWARM)
    for each in (event("SwarmCreated", swarm=SWARM, creator=who("carol"), terms=terms), *events):
        found.take(each)
    return found.operators()


def invited(name: str, by: str, number: int = 0, swarm: bytes = SWARM) -> Event:
    return event("Invited", swarm=swarm, operator=who(name), inviter=who(by), number=number)


def settled(name: str, units: int) -> Event:
    return event("Settled", key=key(name), epoch=1, units=units, total=units)


def test_where_stake_is_free_a_free_identity_gets_nothing_and_known_ones_do():
    crowd = [entered(f"free{number}") for number in range(20)]
    staked = [event("Staked", key=key(f"free{number}"), amount=1000, active=1000) for number in range(20)]
    assert grants(True, *crowd, *staked) == []
    assert grants(True, *crowd, invited("ann", "carol"), entered("ann"), entered("carol")) == [who("ann"), who("carol")]
    assert grants(True, invited("ann", "carol", swarm=OTHER), entered("ann")) == [], "a word for another swarm is none for this one"
    assert grants(True, entered("ann", OTHER), settled("ann", 1000)) == []
    assert grants(True, invited("ann", "carol")) == [], "who has not entered is nobody yet"


def test_a_member_vouches_for_one_operator_with_each_epoch_of_verified_work():
    came = (entered("ann"), invited("b0", "ann", 0), entered("b0"), invited("b1", "ann", 1), entered("b1"))
    assert grants(True, *came) == []
    assert grants(True, *came, settled("ann", 49)) == []
    assert grants(True, *came, settled("ann", 49), settled("ann", 1)) == [who("ann"), who("b0")]
    assert grants(True, *came, settled("ann", 100)) == [who("ann"), who("b0"), who("b1")]


def test_fraud_ends_vouchers_and_work_so_far():
    fraud = event("Slashed", key=key("ann"), amount=0, reason=FAULT)
    came = (invited("ann", "carol"), entered("ann"), settled("ann", 60))
    assert grants(True, *came) == [who("ann")]
    assert grants(True, *came, event("Slashed", key=key("ann"), amount=1, reason=b"absence".ljust(32, b"\0"))) == [who("ann")]
    assert grants(True, *came, fraud) == []
    assert grants(True, *came, fraud, settled("ann", 50)) == [who("ann")]


@pytest.mark.parametrize(
    "stake", [event("Staked", key=key("ann"), amount=100, active=100), event("Deposited", swarm=SWARM, operator=who("ann"), amount=100, active=100)]
)
def test_where_stake_costs_something_it_is_what_counts(stake):
    anchored = stake.name == "Deposited"
    place = dict(swarm=SWARM, operator=who("ann")) if anchored else dict(key=key("ann"))
    taken = event("Claimed", epoch=1, earned=0, slashed=50, owed=0, **place) if anchored else event("Slashed", amount=50, reason=FAULT, **place)
    assert grants(False, invited("ann", "carol"), entered("ann"), entered("carol"), settled("ann", 1000)) == []
    assert grants(False, entered("ann"), stake) == [who("ann")]
    assert grants(False, entered("ann"), stake, taken) == [who("ann")], "a slash does not stop the credits at once"
    assert grants(False, entered("ann"), stake, taken, event("Unbonding", amount=1, **place)) == []
    assert grants(False, entered("ann"), event("Claimed", token=bytes(20), account=who("ann"), amount=10), stake) == [who("ann")]


def test_stakes_of_an_operator_count_together_and_less_than_the_least_does_not():
    parts = (event("Staked", key=key("ann"), amount=60, active=60), event("Deposited", swarm=SWARM, operator=who("ann"), amount=40, active=40))
    assert grants(False, entered("ann"), *parts) == [who("ann")]
    assert grants(False, entered("ann"), parts[0]) == grants(False, entered("ann"), parts[1]) == []
    other = event("Deposited", swarm=OTHER, operator=who("ann"), amount=100, active=100)
    assert grants(False, entered("ann"), other) == []


def test_an_epoch_mints_to_those_who_were_known_before_it_began():
    schedule = Schedule(100, 10, 5, 3, 5, 3, 3)
    terms = SimpleNamespace(faucet=True, minStake=100, maxUnits=50)
    told = [(100_000, event("SwarmCreated", swarm=SWARM, creator=who("carol"), terms=terms)), (101_000, entered("carol"))]
    told += [(109_000, invited("ann", "carol")), (110_000, entered("ann"))]
    minted = [fact for fact in facts_of(told, SWARM, schedule, 125, MINT) if isinstance(fact, Minted)]
    assert [(fact.t, fact.number, fact.mints) for fact in minted] == [
        (110_000, 1, ((who("carol"), MINT),)),
        (120_000, 2, ((who("ann"), MINT), (who("carol"), MINT))),
    ]


def test_on_a_real_chain_a_voter_by_invite_and_one_by_deposit_get_their_credits(tmp_path):
    with chains.running(tmp_path) as world:
        creator = world.account()
        free, costly = world.swarm(creator, minStake=100 * chains.WEI), world.swarm(faucet=False, minStake=100 * chains.WEI)
        first, guest, judge = (
            chains.Member(secret, world.account(), bytes([number]) * 32) for number, secret in enumerate((creator, world.account(), world.account()))
        )
        send = world.chain.send
        with world.at_once():
            send(creator, "registry", "register", free.id, first.peer, first.agent)
            word = voucher.issue(world.link, free.id, creator, first.peer, int(time.time()) + 10**6)
            send(guest.secret, "registry", "registerInvited", free.id, guest.peer, guest.agent, word.shown_by(world.link, free.id, guest.address))
            send(guest.secret, "ledger", "enter", free.id, guest.address, guest.peer)
            for each in (free, costly):
                world.member(each, stake=0)
            send(judge.secret, "registry", "register", costly.id, judge.peer, judge.agent)
            send(judge.secret, "ledger", "enter", costly.id, judge.address, judge.peer)
            send(judge.secret, "credit", "faucet", 100 * chains.WEI)
            send(judge.secret, "credit", "approve", world.chain.address("anchor"), 100 * chains.WEI)
            send(judge.secret, "anchor", "deposit", costly.key(judge.address, judge.peer), 100 * chains.WEI)
        world.skip(70)
        assert minted(free) == {guest.address: MINT}
        assert minted(costly) == {judge.address: MINT}
        assert keys.address_of(creator) == free.record().creator


def minted(swarm) -> dict[bytes, int]:
    terms = swarm.terms
    schedule = Schedule(terms.start, terms.epoch, terms.grace, terms.beacon, terms.audit, terms.reveal, terms.challenge)
    facts = ChainFacts(swarm, schedule, MINT)
    facts.look()
    (found,) = [fact for _, fact in facts.news(0) if isinstance(fact, Minted) and fact.number == 1]
    return dict(found.mints)
