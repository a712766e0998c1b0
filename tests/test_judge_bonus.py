"""The peer bonus: agreement beyond what strangers agree by, paid behind the gold gate, the same in every process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

from judge import scores
from judge.scores import INVALID, WAD, agreement, correlated, peer_bonus

SEED = b"\x05" * 32


def judges(count: int) -> list[bytes]:
    return [bytes([number]) * 20 for number in range(1, count + 1)]


def reports_of(styles: list[str], markets: int, chance: random.Random) -> dict[bytes, dict[bytes, int]]:
    """Four labels, truth skewed as in the simulation of 2.3; `honest` judges are right three times in four."""
    made = {}
    for market in range(markets):
        truth = chance.choices(range(4), (0.4, 0.2, 0.2, 0.2))[0]
        given = {}
        for judge, style in zip(judges(len(styles)), styles, strict=True):
            honest = truth if chance.random() < 0.75 else chance.randrange(4)
            given[judge] = {"honest": honest, "constant": 0, "random": chance.randrange(4)}[style]
        made[market.to_bytes(32, "big")] = given
    return made


def test_lazy_judges_agree_no_more_than_strangers_do():
    chance = random.Random(2)
    styles = ["honest"] * 5 + ["constant", "constant", "random"]
    reports = reports_of(styles, 150, chance)
    pairs = correlated(reports)
    means = []
    for judge in judges(len(styles)):
        found = [agreement(judge, reports, pairs, number.to_bytes(32, "big")) for number in range(10)]
        means.append(float(sum(found) / len(found)))
    assert min(means[:5]) > 0.15
    assert max(abs(mean) for mean in means[5:]) < 0.05


def test_when_all_are_lazy_nobody_earns():
    reports = reports_of(["constant"] * 4, 20, random.Random(1))
    assert correlated(reports) == frozenset()
    assert peer_bonus(10**18, reports, dict.fromkeys(judges(4), WAD), SEED) == {}


def test_agreement_needs_eight_shared_markets():
    reports = reports_of(["honest"] * 3, 8, random.Random(3))
    judge = judges(1)[0]
    pairs = correlated(reports)
    assert agreement(judge, reports, pairs, SEED) is not None
    alone = min(reports)
    assert agreement(judge, reports | {alone: {judge: 0}}, pairs, SEED) is None  # a market without a peer is not shared
    assert agreement(judge, {m: reports[m] for m in list(reports)[1:]}, pairs, SEED) is None


def test_agreement_is_capped_at_a_half():
    one, two = judges(2)
    reports = {number.to_bytes(32, "big"): {one: number, two: number} for number in range(40)}  # a new label each time: always against never
    pairs = correlated(reports)
    assert agreement(one, reports, pairs, SEED) == Fraction(1, 2)


def test_labels_that_go_together_count_even_when_they_differ():
    one, two = judges(2)
    swapped = {number.to_bytes(32, "big"): {one: number % 2, two: 1 - number % 2} for number in range(12)}
    assert correlated(swapped) == {(0, 1), (1, 0)}


def test_every_report_counts_once_whatever_its_panel():
    """Forty judges of one market and pairs of many others: counting pairs, the large panel would decide alone."""
    many, (one, two) = judges(40), judges(2)
    panel = {judge: place % 2 for place, judge in enumerate(many)}  # 0 and 1 mixed at random: together
    small = {bytes([number]) * 32: {one: number % 2, two: number % 2} for number in range(60)}
    assert correlated(small | {b"\xff" * 32: panel}) == {(0, 0), (1, 1)}
    opposed = {market: {one: given[one], two: 1 - given[one]} for market, given in small.items()}
    assert correlated(opposed | {b"\xff" * 32: {judge: INVALID for judge in many}}) >= {(0, 1), (1, 0)}


def test_who_judged_alone_says_nothing_about_labels():
    reports = reports_of(["honest"] * 3, 20, random.Random(7))
    alone = {bytes([number]) * 32: {judges(1)[0]: 0} for number in range(200, 250)}
    assert correlated(reports | alone | {b"\xff" * 32: {}}) == correlated(reports) != correlated(alone) == frozenset()


def test_draws_follow_from_the_seed_alone():
    reports = reports_of(["honest"] * 6, 30, random.Random(4))
    judge, pairs = judges(1)[0], correlated(reports)
    turned = {market: dict(reversed(given.items())) for market, given in reversed(reports.items())}
    random.seed(1)
    first = agreement(judge, reports, pairs, SEED)
    random.seed(2)
    assert first == agreement(judge, turned, pairs, SEED)
    assert peer_bonus(10**18, reports, dict.fromkeys(judges(6), WAD), SEED) == peer_bonus(10**18, turned, dict.fromkeys(judges(6), WAD), SEED)
    assert len({agreement(judge, reports, pairs, number.to_bytes(32, "big")) for number in range(10)}) > 1


def test_two_processes_pay_the_same_bonus():
    """The order of a set of bytes differs between processes."""
    program = """
import random
from test_judge_bonus import SEED, WAD, judges, peer_bonus, reports_of
print(peer_bonus(10**18, reports_of(["honest"] * 6, 30, random.Random(4)), dict.fromkeys(judges(6), WAD), SEED))
"""
    path = os.pathsep.join((str(Path(scores.__file__).parents[1]), str(Path(__file__).parent)))
    ran = [
        subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": seed}, capture_output=True, text=True)
        for seed in ("1", "2")
    ]
    assert ran[0].stdout == ran[1].stdout != "" and "{b" in ran[0].stdout


def test_the_bonus_follows_agreement_and_the_gold_gate():
    styles = ["honest"] * 4 + ["random"]
    reports, everyone = reports_of(styles, 60, random.Random(5)), judges(5)
    gates = dict.fromkeys(everyone, WAD)
    pool = 7 * WAD + 3
    paid = peer_bonus(pool, reports, gates, SEED)
    assert pool - len(everyone) <= sum(paid.values()) <= pool
    pairs = correlated(reports)
    share = {judge: max(Fraction(0), agreement(judge, reports, pairs, SEED)) for judge in everyone}
    for judge, amount in paid.items():
        assert amount == int(pool * share[judge] / sum(share.values()))
    halved = peer_bonus(pool, reports, gates | {everyone[0]: WAD // 50}, SEED)
    assert halved[everyone[0]] < paid[everyone[0]] // 30 and halved[everyone[1]] > paid[everyone[1]]
    assert everyone[0] not in peer_bonus(pool, reports, {judge: WAD for judge in everyone[1:]}, SEED)


def test_disagreement_pays_nothing_and_costs_nothing():
    one, two, three = judges(3)
    chance = random.Random(6)
    reports = {}
    for number in range(40):
        truth = chance.randrange(2)
        reports[number.to_bytes(32, "big")] = {one: truth, two: truth, three: chance.randrange(2)}
    contrary = {market: given | {three: 1 - given[one] if chance.random() < 0.6 else given[one]} for market, given in reports.items()}
    paid = peer_bonus(1000, contrary, dict.fromkeys((one, two, three), WAD), SEED)
    assert agreement(three, contrary, correlated(contrary), SEED) < 0 and three not in paid
    assert 998 <= sum(paid.values()) <= 1000
