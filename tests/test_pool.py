"""What others shared, as a node holds it: fresh, bounded, handed out once per use, and there again after a restart."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import msgpack
import pytest

from swarm.groups import Group, Limits, Rollout, pack
from swarm.network.pool import AUTHORS, Pool
from swarm.seeds import STAGES

ME, SEED, OLD_SEED = b"\x01" * 32, b"\x09" * 32, b"\x08" * 32
FRESHNESS = 3
LIMITS = Limits(group_size=2, groups=dict.fromkeys(STAGES, 4), tokens=dict.fromkeys(STAGES, 8), critiques=2, tasks=2)


def a_pool(**changes) -> Pool:
    return Pool(**{"me": ME, "freshness": FRESHNESS, "limits": LIMITS, "epoch_seeds": {SEED, OLD_SEED}, **changes})


def author(number: int) -> bytes:
    return number.to_bytes(32, "big")


def groups(
    stage: str, peer: bytes, round: int, count: int = 2, asker: bytes = ME, specialty: int = -1, answer: str = ">15", seed: bytes = SEED
) -> list[Group]:
    """`count` groups of `peer`; critiques are of `asker`'s answers."""
    row = Rollout(">15", (24, 7, 11), (-1.0,) * 3, True, label=1 if stage == "critique" else None)
    asker = asker if stage == "critique" else peer
    said = None if stage == "answer" else answer
    return [Group(stage, asker, round, index, (row, row), said, specialty=specialty, seed=seed) for index in range(count)]


def give(pool: Pool, peer: int, round: int, stage: str = "answer", made: list[Group] | None = None, seed: bytes = SEED, specialty: int = -1) -> int:
    """Hand the pool a blob of author number `peer`; how many groups it took."""
    made = groups(stage, author(peer), round, seed=seed) if made is None else made
    return pool.take(author(peer), author(peer)[:20], f"peer {peer}", specialty, stage, round, pack(stage, round, seed, made), 100.0 + round)


def rounds(pool: Pool, use: str = "learn") -> list[int]:
    return sorted({shared.round for shared in pool.fresh(use)})


def test_a_group_arrives_with_who_made_it():
    pool = a_pool()
    assert give(pool, 7, 2) == 2
    shared = pool.fresh("learn")[0]
    assert (shared.author, shared.operator, shared.name, shared.round) == (author(7), author(7)[:20], "peer 7", 2)
    assert shared.group == groups("answer", author(7), 2)[0] and pool.name_of(author(7)) == "peer 7"


def test_the_card_says_whose_a_blob_is():
    pool, card = a_pool(), SimpleNamespace(peer=author(7), operator=b"\x07" * 20, name="amber-otter", specialty=-1)
    assert pool.add(card, "answer", 1, pack("answer", 1, SEED, groups("answer", author(7), 1))) == 2
    assert (pool.fresh("learn")[0].operator, pool.fresh("learn")[0].name) == (b"\x07" * 20, "amber-otter")
    assert pool.add(card, "answer", 1, pack("answer", 1, SEED, groups("answer", author(8), 1))) == 0
    assert pool.refused == {"malformed": 1}, "groups of another author under this one's card"


# Freshness: the latest rounds of each author, by that author's own count.


def test_only_the_latest_rounds_of_an_author_are_offered():
    pool = a_pool()
    for round in range(1, 7):
        give(pool, 7, round)
    assert rounds(pool) == [4, 5, 6]


def test_each_author_has_its_own_clock():
    pool = a_pool()
    give(pool, 7, 500)
    give(pool, 8, 1)
    assert rounds(pool) == [1, 500] and not pool.refused


def test_what_comes_too_late_is_stale_and_counted():
    pool = a_pool()
    give(pool, 7, 6)
    assert give(pool, 7, 3) == 0 and give(pool, 7, 4) == 2
    assert pool.refused == {"stale": 1} and rounds(pool) == [4, 6]


def test_stages_of_a_round_stand_beside_each_other():
    pool = a_pool()
    for stage in STAGES:
        give(pool, 7, 1, stage)
    assert Counter(shared.group.stage for shared in pool.fresh("learn")) == dict.fromkeys(STAGES, 2)
    assert {shared.group.stage for shared in pool.fresh("learn", "critique")} == {"critique"}


# Bounds.


def test_the_author_heard_longest_ago_makes_room():
    pool = a_pool()
    for peer in range(AUTHORS):
        give(pool, 100 + peer, 1)
    give(pool, 100, 2)  # heard again
    give(pool, 999, 1)
    present = {shared.author for shared in pool.fresh("learn")}
    assert len(present) == AUTHORS and author(999) in present and author(100) in present and author(101) not in present


def test_a_pool_does_not_grow_over_rounds():
    pool, sizes = a_pool(), []
    for round in range(1, 30):
        for peer in (7, 8):
            for stage in STAGES:
                give(pool, peer, round, stage)
        pool.use("learn", pool.fresh("learn"))
        pool.use("critique", pool.fresh("critique", "answer"))
        sizes.append(len(msgpack.packb(sorted(map(str, (pool._used, pool._authors))))))
    assert max(sizes[10:]) <= 1.05 * sizes[5]


# Handing out.


def test_no_group_is_offered_twice_for_one_use():
    pool, draw, seen = a_pool(), random.Random(0), Counter()
    for round in range(1, 20):
        for peer in (7, 8, 9):
            give(pool, peer, round)
        fresh = pool.fresh("learn")
        taken = draw.sample(fresh, min(4, len(fresh)))
        seen.update(shared.key for shared in taken)
        pool.use("learn", taken)
    assert len(seen) == 76 and set(seen.values()) == {1}


def test_uses_are_independent():
    pool = a_pool()
    give(pool, 7, 1)
    pool.use("learn", pool.fresh("learn"))
    assert pool.fresh("learn") == [] and len(pool.fresh("critique")) == 2


def test_a_blob_that_comes_again_is_not_offered_again():
    pool = a_pool()
    give(pool, 7, 1)
    pool.use("learn", pool.fresh("learn"))
    give(pool, 7, 1)
    assert pool.fresh("learn") == []


def test_the_order_of_arrival_does_not_matter():
    arrivals = [(peer, round, stage) for peer in (7, 8, 9) for round in (1, 2) for stage in STAGES]
    offered = []
    for seed in range(3):
        pool = a_pool()
        for peer, round, stage in random.Random(seed).sample(arrivals, len(arrivals)):
            give(pool, peer, round, stage)
        offered.append([shared.key for shared in pool.fresh("learn")])
    assert offered[0] == offered[1] == offered[2] and len(offered[0]) == 2 * len(arrivals)


def test_critiques_of_own_answers_are_told_from_others():
    pool = a_pool()
    give(pool, 7, 1, "critique", [*groups("critique", author(7), 1, 1), *groups("critique", author(7), 1, 1, asker=author(8))])
    give(pool, 7, 1, "answer")
    assert [shared.group.asker for shared in pool.about_me("resolve")] == [ME]
    pool.refuse("not my answer", "resolve", pool.about_me("resolve")[0])
    assert pool.about_me("resolve") == [] and pool.refused == {"not my answer": 1}
    assert len(pool.fresh("learn", "critique")) == 2, "refused for one use only"


# Refusals.


def test_a_foreign_epoch_is_refused():
    pool = a_pool()
    assert give(pool, 7, 1, seed=b"x" * 32) == 0 and give(pool, 7, 1, seed=OLD_SEED) == 2
    assert pool.refused == {"epoch seed": 1}


def test_a_group_about_a_question_of_an_unknown_epoch_is_refused():
    pool, about = a_pool(), groups("critique", author(7), 1, seed=b"x" * 32)
    assert give(pool, 7, 1, "critique", about) == 0
    assert pool.refused == {"epoch seed": 1}


@pytest.mark.parametrize("said", [("critique", 1), ("answer", 2)])
def test_what_was_announced_as_something_else_is_refused(said):
    pool, data = a_pool(), pack("answer", 1, SEED, [])
    assert pool.take(author(7), b"\x07" * 20, "", -1, *said, data, 0.0) == 0
    assert pool.refused == {"announced otherwise": 1} and pool.fresh("learn") == []


def test_a_blob_is_taken_whole_or_not_at_all():
    pool = a_pool()
    good, bad = groups("answer", author(7), 1)
    assert give(pool, 7, 1, made=[good, replace(bad, rollouts=bad.rollouts[:1])]) == 0
    assert pool.fresh("learn") == [] and pool.refused == {"malformed": 1}


def test_a_refused_blob_does_not_age_what_is_there():
    pool = a_pool()
    give(pool, 7, 1)
    give(pool, 7, 10, seed=b"x" * 32)
    assert rounds(pool) == [1]


def test_nobody_has_a_specialty_where_the_recipe_knows_none():
    pool = a_pool()
    assert give(pool, 7, 1, made=groups("answer", author(7), 1, specialty=1)) == 0
    assert give(pool, 7, 1, "critique", groups("critique", author(7), 1, specialty=1)) == 0
    assert pool.refused == {"specialty": 2}


def test_a_specialist_asks_from_the_task_on_its_card():
    pool = a_pool(specialists=True)
    mine = groups("answer", author(7), 1, specialty=1)
    assert give(pool, 7, 1, made=mine, specialty=0) == 0 and give(pool, 7, 1, made=mine, specialty=1) == 2
    assert give(pool, 7, 1, made=groups("answer", author(7), 1), specialty=1) == 0
    assert pool.refused == {"specialty": 2}


def test_a_specialist_judges_answers_of_other_tasks():
    pool = a_pool(specialists=True)
    assert give(pool, 7, 1, "critique", groups("critique", author(7), 1, specialty=0), specialty=1) == 2


# Restarts.


def filled() -> Pool:
    pool = a_pool()
    for peer in (7, 8):
        for round in (1, 2):
            for stage in STAGES:
                give(pool, peer, round, stage)
    pool.use("learn", pool.fresh("learn")[::3])
    pool.use("critique", pool.fresh("critique", "answer")[1:])
    return pool


def test_a_saved_pool_comes_back_as_it_was(tmp_path):
    pool, again = filled(), a_pool()
    pool.save(tmp_path / "pool")
    again.load(tmp_path / "pool")
    for use in ("learn", "critique", "resolve"):
        assert [s.key for s in again.fresh(use)] == [s.key for s in pool.fresh(use)]
    assert again.fresh("learn") == pool.fresh("learn") and not again.refused
    assert again.name_of(author(8)) == "peer 8"


def test_the_order_in_which_authors_were_heard_survives(tmp_path):
    pool, again = a_pool(), a_pool()
    for peer in range(AUTHORS):
        give(pool, 100 + peer, 1)
    give(pool, 100, 2)
    pool.save(tmp_path / "pool")
    again.load(tmp_path / "pool")
    give(again, 999, 1)
    present = {shared.author for shared in again.fresh("learn")}
    assert author(100) in present and author(101) not in present


def test_a_blob_saved_under_other_rules_is_refused_when_it_comes_back(tmp_path):
    filled().save(tmp_path / "pool")
    again = a_pool(epoch_seeds={OLD_SEED})
    again.load(tmp_path / "pool")
    assert again.fresh("learn") == [] and again.refused == {"epoch seed": 12}


def test_no_file_is_an_empty_pool(tmp_path):
    pool = a_pool()
    pool.load(tmp_path / "nothing")
    assert pool.fresh("learn") == [] and not pool.refused


@pytest.mark.parametrize("data", [b"", b"not a pool", b"\xc1" * 50, msgpack.packb([1, [], {}]), bytes(32) + msgpack.packb([[], {}])])
def test_a_file_of_something_else_is_counted_and_left_out(tmp_path, data):
    (tmp_path / "pool").write_bytes(data)
    pool = a_pool()
    pool.load(tmp_path / "pool")
    assert pool.refused == {"damaged pool file": 1} and pool.fresh("learn") == []
    assert give(pool, 7, 1) == 2


def test_a_file_cut_off_or_with_a_changed_byte_is_damaged(tmp_path):
    filled().save(tmp_path / "pool")
    whole, draw = (tmp_path / "pool").read_bytes(), random.Random(0)
    for turn in range(100):
        data = bytearray(whole if turn % 2 else whole[: draw.randrange(len(whole))])
        if turn % 2:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        (tmp_path / "pool").write_bytes(bytes(data))
        pool = a_pool()
        pool.load(tmp_path / "pool")
        assert pool.refused == {"damaged pool file": 1} and pool.fresh("learn") == []


# One author, two stories.


def test_the_first_blob_of_a_stage_stands():
    """Whoever signs two blobs for one stage of a round would get more groups looked at than its share."""
    pool = a_pool()
    give(pool, 7, 1, "critique", groups("critique", author(7), 1, 1))
    pool.use("learn", pool.fresh("learn"))
    assert give(pool, 7, 1, "critique", groups("critique", author(7), 1, 1, answer=">16")) == 0
    assert pool.fresh("learn") == [] and pool.refused == {"changed": 1}


def test_telling_two_stories_leaves_nothing_behind():
    pool = a_pool()
    for story in range(50):
        give(pool, 7, 1, "critique", groups("critique", author(7), 1, 1, answer=f">{story}"))
        pool.use("learn", pool.fresh("learn"))
    give(pool, 7, 1 + FRESHNESS)
    assert pool._used["learn"] == set()
