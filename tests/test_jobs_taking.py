"""Which jobs and parts a machine takes: what may be had, in which order, and what it must not verify."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from swarm.chain.values import WEI, JobPhase
from swarm.errors import InputError
from swarm.jobs import worker
from swarm.jobs.brief import Brief, Estimate
from swarm.runs import Info, Run
from swarm.taking import can_be_had

OFFER = SimpleNamespace(patience=100, stepsEach=8, steps=8, price=8 * WEI, solverStake=50 * WEI)
ADDRESS = "/ip4/127.0.0.1/tcp/4001/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"


def a_part(key: bytes = bytes(32), steps: int = 0, checkpoint: bytes = bytes(32), moved: int = 0) -> SimpleNamespace:
    return SimpleNamespace(key=key, steps=steps, checkpoint=checkpoint, moved=moved)


@pytest.mark.parametrize(
    ("part", "now", "had"),
    [
        (a_part(), 0, True),
        (a_part(key=b"\x01" * 32, moved=50), 150, False),
        (a_part(key=b"\x01" * 32, moved=50), 151, True),  # its solver did not move
        (a_part(steps=8, checkpoint=b"\x02" * 32), 0, False),  # complete
        (a_part(steps=4, checkpoint=b"\x02" * 32), 0, True),
        (a_part(steps=4), 0, False),  # nobody could go on from a state that is not named
    ],
)
def test_a_part_can_be_had_that_is_free_or_idle_and_has_steps_left(part, now, had):
    assert can_be_had(part, OFFER, now) == had


def a_job(id: int, price: int = 8, phase: JobPhase = JobPhase.WORKING, seeders: int = 2, memory: int = 0, trained: int = 0, embedded: bool = True):
    brief = Brief("job", "", bytes(32), (ADDRESS,), (), Estimate(0, trained, memory, 0))
    offer = SimpleNamespace(**vars(OFFER) | {"price": price * WEI})
    terms = SimpleNamespace(epoch=30, minStake=20 * WEI)
    chain = SimpleNamespace(link=SimpleNamespace(embedded=embedded))
    state, swarm = SimpleNamespace(seeders=seeders), SimpleNamespace(terms=terms)
    around = dict(offer=offer, brief=brief, phase=phase, state=state, swarm=swarm, chain=chain)
    return SimpleNamespace(id=bytes([id]), short=f"{id:02x}", posted=id, why="", parts=[a_part()], **around)


def test_a_solver_takes_the_best_paid_step_that_its_machine_can_do():
    jobs = [a_job(1, price=2), a_job(2, price=9, memory=2**60), a_job(3, price=5), a_job(4, price=9, phase=JobPhase.OVER)]
    assert [job.id[0] for job in worker.to_solve(jobs, gpu=False, now=0)] == [3, 1]
    heavy = a_job(5, trained=10**9)
    assert worker.to_solve([heavy], gpu=False, now=0) == [] and worker.to_solve([heavy], gpu=True, now=0) == [heavy]


def test_a_verifier_takes_first_what_needs_seeders_and_never_what_this_machine_solves():
    jobs = [a_job(1), a_job(2, phase=JobPhase.SEEDING, seeders=0), a_job(3), a_job(4, phase=JobPhase.SETTLED)]
    assert [job.id[0] for job in worker.to_verify(jobs, gpu=False, solved={bytes([3])})] == [2, 1]


def test_stake_is_what_the_offer_asks_for_and_costs_nothing_unasked_where_it_is_worth_something():
    assert worker.stake_of(a_job(1), "solver", None) == 50 * WEI and worker.stake_of(a_job(1), "verifier", None) == 20 * WEI
    assert worker.stake_of(a_job(1, embedded=False), "solver", 70 * WEI) == 70 * WEI
    for asked in (None, 49 * WEI):
        with pytest.raises(InputError, match="stakes 50 credits"):
            worker.stake_of(a_job(1, embedded=False), "solver", asked)


def test_a_job_that_was_cut_off_comes_first_and_one_that_is_finished_or_on_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    for id, more in ((1, {}), (2, {"finished": 1.0}), (3, {"role": "verifier"}), (4, {}), (5, {})):
        info = dict(kind="job", role="solver", recipe="joined", recipe_hash="0" * 64, recipe_blob="0" * 64, swarm=f"{id:064x}") | more
        run = Run.create(tmp_path / "runs" / str(id), Info(**info))
        if id != 5:
            run.unlock()
    jobs = [a_job(id, phase=JobPhase.SETTLED if id == 4 else JobPhase.WORKING) for id in range(1, 7)]
    for job in jobs:
        job.id = job.id.rjust(32, b"\0")
    assert [job.id[-1] for job in worker.begun(jobs, "solver")] == [1]
    assert [job.id[-1] for job in worker.begun(jobs, "verifier")] == [3]
