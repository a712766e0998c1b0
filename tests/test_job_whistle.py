"""A whistleblower on a real chain: it stakes without a duty, challenges what its replay contradicts, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from chains import CLASS, running

from swarm import keys
from swarm.chain.values import WEI, Outcome, Phase, Verdict
from swarm.errors import ChainError
from swarm.identity import Identity
from swarm.jobs.whistle import FAULT, OK, Whistle, disagrees


def test_only_a_replay_contradicts_an_outcome():
    verdicts = (OK, FAULT, "unavailable", "cannot", None)
    contradicted = {(verdict, outcome.name) for verdict in verdicts for outcome in Outcome if disagrees(verdict, outcome)}
    assert contradicted == {(FAULT, "CLEAN"), (FAULT, "UNAUDITED"), (OK, "FAULT"), (OK, "WITHHELD")}


@pytest.fixture(scope="module")
def passed(tmp_path_factory):
    """A swarm with a commitment that its auditors passed, in its challenge window."""
    with running(tmp_path_factory.mktemp("whistle")) as world:
        swarm = world.swarm(faucet=False, challenge=600, ring=64, unbonding=7200)
        members = [world.member(swarm) for _ in range(4)]
        header, _ = world.audited(swarm, members[0], members, (int(Verdict.OK), 0, keys.keccak(b"value"), bytes(32)))
        yield world, swarm, header


def whistle(world, swarm, folder, said):
    member = Identity.create(folder / "identity", None, unencrypted=True)
    world.anvil.fund(member.address, 10 * WEI)
    (folder / "whistle").mkdir()
    made = Whistle(SimpleNamespace(chain=world.chain, swarm=swarm, rules=None, machine=CLASS), member, folder / "whistle", said.append)
    world.anvil.fund(keys.address_of(made.challenger.secret), 10 * WEI)
    with world.at_once():
        made.enrol(100 * WEI)
    return made


def no_block(block):
    raise ChainError("no block came", "")


def test_what_the_auditors_passed_and_a_replay_does_not_is_challenged_once(passed, tmp_path, monkeypatch):
    world, swarm, header = passed
    said, replays = [], []

    def replay(target, steps, timeout_s):
        replays.append(target.header.root)
        return SimpleNamespace(verdict=verdict, step=3)

    verdict = OK
    agreeing = whistle(world, swarm, tmp_path, said)
    stake = swarm.stake(agreeing.key)
    assert stake.active == 100 * WEI and stake.paused and agreeing.key not in swarm.panel(header.key, 0)
    [target] = list(agreeing.open_targets())
    assert vars(target.header) == vars(header)
    agreeing.look(target, replay, 1.0)
    assert not swarm.case(header.key, 0).challenged and "reproduced" in said[-1]
    verdict = FAULT
    (tmp_path / "second").mkdir()
    right = whistle(world, swarm, tmp_path / "second", said)
    [target] = list(right.open_targets())
    right.look(target, replay, 1.0, silent=True)
    assert "not sent (--dry-run)" in said[-1] and not swarm.case(header.key, 0).challenged
    right.challenged.clear()
    with monkeypatch.context() as patch, pytest.raises(ChainError, match="no block came"):
        patch.setattr(right.challenger, "_pass", no_block)
        right.look(target, replay, 1.0)
    assert not swarm.case(header.key, 0).challenged, "promised, and not opened yet: that would cost the bond"
    right.see_through(target, replay, 1.0)
    case = swarm.case(header.key, 0)
    assert case.challenged and case.phase == Phase.CHALLENGE and "WRONG in step 3" in " ".join(said)
    told = len(said)
    right.look(target, replay, 1.0)
    assert len(said) == told and len(replays) == 2  # each replays once, and challenges once
