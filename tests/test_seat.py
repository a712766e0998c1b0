"""A judge without a node: it registers and enters, stakes nothing in the vault, gets credits by its voucher, and takes its seat once."""

from __future__ import annotations

import dataclasses

import pytest
import test_chainhost
from test_chainhost import RULES, begun, enrolled, invitation, vouched

from swarm import recipe, runs, seat, voting
from swarm.chain import link
from swarm.chain.client import Chain, Swarm
from swarm.chain.logs import Scanner
from swarm.cli import court
from swarm.errors import InputError, Refused
from swarm.identity import Identity
from swarm.invite import Invite
from swarm.judging import CREDIT
from swarm.launch import Choices
from swarm.market.grants import Grants

members, home, local = test_chainhost.members, test_chainhost.home, test_chainhost.local


def take(given: Invite, member: Identity | None, rules: recipe.Recipe = RULES) -> tuple[runs.Run, list[str]]:
    """Take a seat whose recipe was fetched before; without a member nothing may ask for the operator's key."""
    folder, said = runs.home() / seat.FOLDER / given.swarm.hex()[:16], []
    folder.mkdir(parents=True, exist_ok=True)
    (folder / runs.RECIPE).write_bytes(rules.canonical)

    def identity() -> Identity:
        assert member is not None, "the operator's key was asked for"
        return member

    return seat.take(given, Choices(trusted=False), identity, seat.Terms(), said.append), said


def chain_of(run: runs.Run) -> Swarm:
    return Swarm(Chain(link.load(run.chain)), bytes.fromhex(run.info.swarm))


def person(folder) -> Identity:
    return Identity.open_or_create_local(folder / "person")


def test_a_seat_by_invite_is_in_the_ledger_in_no_draw_and_gets_its_credits(local, members, home, tmp_path):
    member = person(tmp_path)
    run, said = take(vouched(local, members[0]), member)
    assert said[0].startswith(f"You judge as {member.name}") and any("is registered on chain" in each for each in said)
    assert "voucher" not in "".join(said)
    swarm = chain_of(run)
    key = swarm.key(member.address, member.peer)
    assert swarm.member(key).operator == member.address
    assert swarm.chain.read("registry", "inviteOf", swarm.id, member.address)[0] == members[0].address
    assert key not in swarm.members() and swarm.stake(key).active == 0, "whoever only judges is in no audit's draw"
    again, said = take(vouched(local, members[0]), None)
    assert said == [] and again.info.created == run.info.created and again.info.boot
    voter = voting.of_seat(seat.newest())
    assert voter.stake == RULES.judge.stake * CREDIT and not voter.trusted and voter.swarm == swarm.id
    grants, scanner = Grants(swarm.id), Scanner(swarm.chain, ("registry", "ledger", "vault", "anchor"))
    for event in scanner.scan().new:
        grants.take(event)
    assert member.address in grants.operators()
    (run.peer(0) / "session.bin").unlink()
    with pytest.raises(InputError) as lost:
        voting.of_seat(run)
    assert "signs a new session" in lost.value.hint


def test_without_a_voucher_it_is_said_that_no_credits_come(local, home, tmp_path):
    run, said = take(invitation(local), person(tmp_path))
    assert any("gets no credits" in each and "ask for a new invite" in each for each in said), said


def test_the_operator_of_a_node_is_not_taken_from_it(local, members, home):
    node = begun("join", bytes.fromhex(local.info.swarm), "node")
    given = vouched(local, members[0])
    test_chainhost.chainhost.joined(node, RULES, given, Choices())
    enrolled(node, members[1:])
    swarm = chain_of(node)
    before = swarm.chain.read("registry", "sessionOf", swarm.key(members[1].address, members[1].peer))
    with pytest.raises(InputError, match="is a member of this swarm already") as refused:
        take(given, members[1])
    assert "--identity" in refused.value.hint
    assert swarm.chain.read("registry", "sessionOf", swarm.key(members[1].address, members[1].peer)) == before


def test_a_recipe_is_checked_before_anything_of_it_is_obeyed(local, members, home, tmp_path):
    given, member = vouched(local, members[0]), person(tmp_path)
    with pytest.raises(Refused, match="the invite names"):
        take(given, member, recipe.load("local", ["sampling.rows=64"]))
    none = recipe.load("local", ["judge.profile=none", "judge.panels=0"])
    with pytest.raises(InputError, match="no judge market"):
        take(dataclasses.replace(given, recipe_hash=none.hash, swarm=b"n" * 32), member, none)
    with pytest.raises(InputError, match="has no chain"):
        take(dataclasses.replace(given, chain=None), member)
    assert not (runs.home() / seat.FOLDER / given.swarm.hex()[:16] / "chain" / link.FILE).exists()
    with pytest.raises(InputError, match="neither an invite nor a file"):
        court._text("no such file")
    (tmp_path / "invite").write_text(given.text() + "\n")
    assert court._text(str(tmp_path / "invite")).strip() == given.text()
