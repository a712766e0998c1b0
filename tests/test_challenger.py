"""A challenge in two transactions on a real chain: its salt lies on disk before the first, an interruption is gone on from, nobody copies it."""

from __future__ import annotations

import json
import stat

import pytest
from chains import running

from swarm import keys
from swarm.chain.values import WEI, Phase, Verdict
from swarm.challenger import SALTS, Challenger
from swarm.errors import ChainRefused


@pytest.fixture(scope="module")
def disputed(tmp_path_factory):
    """A commitment whose two auditors said ok, in its challenge window; and two members who were not drawn."""
    with running(tmp_path_factory.mktemp("challenger")) as world:
        swarm = world.swarm(faucet=False, challenge=600, ring=64, unbonding=7200)
        members = [world.member(swarm) for _ in range(5)]
        header, seats = world.audited(swarm, members[0], members, (int(Verdict.OK), 0, keys.keccak(b"value"), bytes(32)))
        assert swarm.case(header.key, 0).phase == Phase.CHALLENGE
        yield world, swarm, header, [member for member in members[1:] if member not in seats]


def test_a_challenge_survives_an_interruption_and_nobody_opens_it_for_another(disputed, tmp_path, monkeypatch):
    world, swarm, header, (mine, other) = disputed
    challenger = Challenger(world.chain, mine.key, mine.session, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(challenger, "_pass", lambda block: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            challenger.challenge(header, 0)
    path = tmp_path / SALTS
    salt = bytes.fromhex(json.loads(path.read_bytes())[f"{header.key.hex()}:0:0"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    bond = world.chain.read("court", "bondOf", swarm.id)
    assert swarm.stake(mine.key).active == 200 * WEI - bond and not swarm.case(header.key, 0).challenged
    with pytest.raises(ChainRefused) as refused:  # the salt is seen in a waiting transaction: it fits nobody else
        world.chain.send(other.session, "court", "challenge", vars(header), other.key, salt)
    assert refused.value.name == "ChallengeUnknown"
    Challenger(world.chain, mine.key, mine.session, tmp_path).challenge(header, 0)
    assert swarm.case(header.key, 0).challenged and swarm.stake(mine.key).active == 200 * WEI - bond
    (tmp_path / "other").mkdir()
    Challenger(world.chain, other.key, other.session, tmp_path / "other").challenge(header, 0)
    assert world.chain.read("vault", "claimable", world.chain.address("credit"), other.address) == bond
