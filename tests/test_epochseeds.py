"""Epoch seeds: what a round is played under, what others may name, and what an audit of long ago has to know."""

from swarm.epochseeds import KEPT, EpochSeeds, PastSeeds
from swarm.errors import ChainError
from swarm.proof.schedule import Clock, Schedule

HASH = b"r" * 32


def seed(epoch: int) -> bytes:
    return epoch.to_bytes(32, "big")


def test_the_newest_seed_is_played_under_and_survives_a_restart(tmp_path):
    seeds = EpochSeeds(tmp_path / "seeds", HASH, lambda: 3)
    assert seeds.newest == HASH and seeds.usable == {HASH} and not seeds.fresh(HASH)
    for epoch in range(1, 4):
        seeds.learn(epoch, seed(epoch))
    again = EpochSeeds(tmp_path / "seeds", HASH, lambda: 3)
    assert again.newest == seed(3) and again.known == 3 and seed(2) in again.usable


def test_a_step_counts_under_a_seed_at_most_two_epochs_old(tmp_path):
    now = 0
    seeds = EpochSeeds(tmp_path / "seeds", HASH, lambda: now)
    seeds.learn(1, seed(1))
    for now in range(5):  # noqa: B007 the clock above reads it
        assert seeds.fresh(seed(1)) == (1 <= now <= 3) and seeds.fresh(HASH) == (now <= 2)


def test_only_the_last_epochs_are_remembered_and_audits_ask_the_chain_for_the_others(tmp_path):
    seeds = EpochSeeds(tmp_path / "seeds", HASH, lambda: 20)
    for epoch in range(1, 21):
        seeds.learn(epoch, seed(epoch))
    assert len(seeds.usable) == KEPT and seed(2) not in seeds.usable
    past = PastSeeds(HASH, seed, print)
    assert past.of(range(0, 3)) == {HASH, seed(1), seed(2)}, "an audit under a forgotten seed would call honest work a fault"


def test_a_chain_that_does_not_answer_is_asked_again():
    answers = [ChainError("down"), None, seed(5)]

    def ask(epoch):
        answer = answers.pop(0)
        if isinstance(answer, ChainError):
            raise answer
        return answer

    said: list[str] = []
    assert PastSeeds(HASH, ask, said.append, sleep=lambda seconds: None).of(range(5, 6)) == {seed(5)}
    assert len(said) == 1 and not answers


def test_the_schedule_tells_windows_and_the_clock_follows_the_chain():
    plan = Schedule(100, 60, 40, 10, 30, 10, 5)
    assert [plan.epoch_at(now) for now in (0, 100, 159, 160)] == [0, 0, 0, 1]
    assert (plan.end(1), plan.commit_until(1), plan.beacon_until(1), plan.audit_until(1), plan.closed_at(1)) == (220, 260, 270, 300, 315)
    assert list(plan.seeds_for(0)) == [0] and list(plan.seeds_for(5)) == [3, 4, 5]
    clock = Clock(local=lambda: 1000.0)
    clock.observe(998)
    assert clock.now() == 1000.0, "clocks as close as a block is long are taken for equal"
    clock.observe(500)
    assert clock.now() == 500.0
