"""Every cheat of the benchmark at small size: it loses, or gains nothing, and the honest peers beside it lose nothing."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are no installed package

from benchmarks.cheats.arena import INVITED, opened  # noqa: E402
from benchmarks.cheats.catalogue import CHEATS  # noqa: E402
from benchmarks.cheats.ledger import Row, table  # noqa: E402
from swarm.chain.values import Verdict  # noqa: E402

STEPS = 3  # all forged, so that whatever is drawn is a forged one; the ulp, one step, is played in an epoch of its own
PLAYS = {"lazy": 3, "leak": 3, "slander": 3, "alarm": 3}  # auditors that are drawn by chance; the others: 2
FAILS = {"class", "sybils"}  # abuses that cost nothing and gain nothing


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("cheats"), STEPS) as arena:
        yield arena


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [name for name in CHEATS if CHEATS[name].recipe == "local"])
def test_cheat_loses_and_the_honest_do_not(arena, name):
    around = {"identities": 40} if name == "sybils" else {}
    found = list(arena.plays(CHEATS[name], PLAYS.get(name, 2), STEPS, plant_every=1, **around))
    row = Row(CHEATS[name].name, found)
    told = table([row], f"{STEPS} steps, all forged") + f"\n{found}"
    assert row.total("honest_lost") == 0 and row.total("unpaid") == 0, told
    if name == "ulp":  # one of three steps: caught with odds 1/3, and by stake where it is
        assert all(each.lost == (1000 if each.caught else 0) and each.gained <= 0.05 for each in found), told
    elif name == "laptop":
        assert 0 < row.total("lost") <= 0.01 * 1000 * len(found), told
    elif name in FAILS:
        assert row.total("gained") == row.total("units") == 0, told
    elif CHEATS[name].role == "auditor":
        assert row.total("units") == 0 and all(each.net < 0 for each in found if each.caught), told
    else:
        assert all(each.caught and each.net < 0 and each.units == 0 for each in found), told


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whoever_learns_from_other_rows_loses_its_stake(tmp_path):
    """`pytest -m slow tests/test_cheats.py -k other_rows`: half a minute."""
    with opened(tmp_path, STEPS, "sft") as arena:
        found = list(arena.plays(CHEATS["rows"], 2, STEPS))
        verdicts = [seat.opinion for case in arena.last.closed for seat in case.seats.values() if seat.opinion.kind == Verdict.FAULT]
    assert all(each.caught and each.lost == 1000 and each.units == 0 and each.honest_lost == 0 for each in found), found
    assert verdicts and {each.step for each in verdicts} <= set(range(STEPS))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["lazy", "slander", "alarm", "leak"])
def test_auditor_that_is_seated_is_caught(arena, name):
    """Plays go on until it sits in a panel that can tell."""
    for _ in range(12):
        (found,) = arena.plays(CHEATS[name], 1, STEPS, plant_every=1)
        if found.caught:
            break
    assert found.caught and found.net < 0 and found.honest_lost == 0


def test_members_of_the_arena_can_fill_the_panels(arena):
    assert INVITED >= 5, "among three operators one auditor's word stands against another's"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("cheat", ["rewards", "rows", "lazy", "slander"])
def test_cheat_in_a_live_swarm(cheat, tmp_path, monkeypatch):
    from benchmarks.cheats import live

    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    found = live.play(cheat)
    liar, *honest = found.standings
    assert liar.slashed > liar.rewarded, found.text
    assert all(one.slashed == 0 and one.units > 0 for one in honest), found.text
