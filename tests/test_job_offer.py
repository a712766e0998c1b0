"""Offers and briefs: what a job costs, what makes one impossible, and what a stranger's brief may hold."""

from __future__ import annotations

import msgpack
import pytest

from swarm import recipe, times
from swarm.chain.values import WEI
from swarm.errors import InputError, RecipeError, Refused
from swarm.jobs import brief, files, submit
from swarm.jobs import offer as offers
from swarm.jobs.brief import Brief, Estimate, File
from swarm.jobs.exam import Exam
from swarm.jobs.guidance import FIRST_RATE, Guidance, Work
from swarm.jobs.offer import Offer, Wish

PEER = "QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt"
HERE = f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}"
RULES = recipe.load("local")
WORK = Work.of(RULES, 1.0)
FREE = Guidance((), ())
ROOT = b"\2" * 32
GOOD = Brief("local", "About it.", b"\1" * 32, (HERE,), (File("data", "sums.jsonl", b"\2" * 32, 10),), Estimate(1, 2, 3, 4))


def made(budget=10 * WEI, deadline_s=3600, **wish):
    asked = Wish(budget, deadline_s, **wish)
    rules, told = offers.fitted(RULES, asked, WORK)
    return rules, Offer.of(rules, asked), told


def test_a_default_job_has_a_tenth_of_its_steps_replayed_and_costs_no_more_than_its_budget():
    for budget in (WEI // 10, 10 * WEI, 12_345_678_901_234_567_890):
        for wish in ({}, dict(solvers=3), dict(solvers=3, split=True), dict(segments=4, steps=97)):
            rules, offer, _ = made(budget, **wish)
            costs = offer.costs(rules)
            assert 0.98 * budget < costs.total <= budget
            assert costs.share <= 0.1 or offer.stepsEach < offers.SHARE * rules.proof.drawn
    asked = Wish(10 * WEI, 3600, steps=20)
    few, told = offers.fitted(recipe.load("local", ["proof.drawn=2"]), asked, WORK)
    assert Offer.of(few, asked).costs(few).share <= 0.1 and any("1 instead of 2 steps" in line for line in told)


def test_the_stake_makes_forging_a_step_lose_and_the_swarm_can_be_created_with_it():
    rules, offer, _ = made()
    costs = offer.costs(rules)
    assert costs.stake * costs.drawn / costs.least > costs.training / costs.steps * offers.open_epochs(rules)
    gain = int(rules.proof.gain * WEI)
    assert offer.solverStake * 50 // 10_000 // gain >= rules.proof.steps  # byAbsence of Schedule.capacityFor


def test_what_a_job_cannot_have_is_off_and_said():
    rules, _, told = made()
    assert not rules.has_market and rules.proof.profile == RULES.proof.profile and any("judge market" in line for line in told)
    judged = RULES.model_copy(update={"tasks": [RULES.tasks[0].model_copy(update={"judged": True})]})
    with pytest.raises(InputError, match="is judged, and a job has no judge market"):
        offers.fitted(judged, Wish(WEI, 60), WORK)


def test_jobs_that_cannot_be_met_are_refused_with_the_reason():
    rules, offer, _ = made(deadline_s=60)
    with pytest.raises(InputError, match="a deadline of 60 s cannot be met: 40 steps") as refused:
        offers.check(offer, rules, WORK, FREE, 10 * WEI)
    assert "--deadline" in refused.value.hint
    rules, offer, _ = made(budget=10**6)
    with pytest.raises(InputError, match="nobody does .* TFLOP for under") as refused:
        offers.check(offer, rules, WORK, FREE, 10**6)
    assert "a budget of" in refused.value.hint
    with pytest.raises(RecipeError, match="unknown key `learn.speed`"):
        recipe.load("local", ["learn.speed=3"])
    for wish, words in (
        (dict(solvers=0), "--solvers 0"),
        (dict(split=True), "--split with one solver"),
        (dict(target=2.0, evaluation=b"\1" * 32), "--target 2.0"),
        (dict(target=0.5), "--target and --evaluation"),
        (dict(steps=0), "--steps 0"),
        (dict(segments=65), "--segments 65"),
        (dict(stake_multiple=0), "--stake-multiple 0"),
    ):
        with pytest.raises(InputError, match=words):
            Wish(WEI, 60, **wish)
    for text in ("", "30", "0m", "-1m", "99999d", "1.5h", "9" * 30 + "s"):
        with pytest.raises(InputError, match="--deadline .* is not a length of time"):
            times.seconds(text, "--deadline")
    assert times.seconds("2h", "--deadline") == 7200
    assert [times.span(each) for each in (0, 250, 3540, 183_600)] == ["0 s", "4 min 10 s", "59 min", "2 d 3 h"]


def test_a_budget_under_the_floor_is_named_in_a_way_that_then_works():
    with pytest.raises(InputError) as refused:
        offers.check(made(budget=10**10)[1], RULES, WORK, FREE, 10**10)
    budget = int(float(refused.value.hint.split()[3]) * WEI)
    rules, offer, _ = made(budget)
    offers.check(offer, rules, WORK, FREE, budget)


def test_guidance_goes_by_what_was_paid_before_what_is_offered():
    assert Guidance((30, 10, 20), (1,)).rate == 20 and Guidance((), (4, 6)).rate == 5 and FREE.rate == FIRST_RATE
    assert FREE.price(WORK.tflop(40)) > FREE.floor(WORK.tflop(40)) > 0
    dear = Guidance((), (10**6 * FIRST_RATE,))  # an offer that nobody means keeps no honest job out
    assert dear.floor(WORK.tflop(40)) == FREE.floor(WORK.tflop(40))


def test_files_that_members_could_not_get_or_check_are_refused():
    rows = recipe.load("sft")
    [(file, _)] = files.served(rows, recipe.FOLDER)
    assert (file.role, file.path, file.digest.hex()) == ("data", "sums.jsonl", rows.learn.data_digest)
    assert files.served(RULES, recipe.FOLDER) == []
    table = {"name": "sums", "kind": "dataset", "digest": file.digest.hex(), "source": "path:sums.jsonl"}
    assert files.served(recipe.parse(RULES.model_dump(mode="json") | {"tasks": [table]}), recipe.FOLDER) == [(file, recipe.FOLDER / "sums.jsonl")]
    for changes, words in (
        ({"tasks": [table | {"source": "path:sums.parquet"}]}, "members open only text files"),
        ({"tasks": [table | {"source": "path:../sums.jsonl"}]}, "members open only text files"),
        ({"tasks": [table | {"source": "org/data", "digest": None}]}, "neither commit nor digest"),
        ({"tasks": [{"name": "own", "kind": "verifiers", "source": "gsm8k"}]}, "verifiers package"),
        ({"model": {"source": "path:/tmp/x"}}, "which nobody else has"),
        ({"model": {"source": "hub:org/name"}}, "neither digest nor commit, so nobody could start"),
    ):
        with pytest.raises(InputError, match=words):
            files.served(recipe.parse(RULES.model_dump(mode="json") | changes), recipe.FOLDER)


def test_a_brief_comes_back_as_it_was_posted():
    assert brief.parse(GOOD.pack()) == GOOD
    with pytest.raises(InputError, match="17 files"):
        Brief("x", "", bytes(32), (), tuple(File("data", f"f{n}", b"\2" * 32, 1) for n in range(17))).pack()


def hostile():
    good = msgpack.unpackb(GOOD.pack())
    yield b"", "malformed"
    yield b"\xc1", "malformed"
    yield b"\x91" * 4096, "malformed"
    yield b"\0" * 4097, "oversize"
    yield msgpack.packb({"version": 1}), "malformed"
    yield msgpack.packb([2, *good[1:]]), "version"
    yield msgpack.packb([True, *good[1:]]), "version"
    yield msgpack.packb(good[:-1]), "malformed"
    for place, value in (
        (1, 7), (2, b"bytes"), (3, b"short"), (3, "1" * 32), (4, ["http://x"]), (4, [HERE] * 9), (4, "no list"), (5, [None]),
        (5, [["data", "../x", ROOT, 1]]), (5, [["data", "/etc/passwd", ROOT, 1]]), (5, [["run", "x", ROOT, 1]]), (5, [["data", "x", b"\2", 1]]),
        (5, [["data", "x", ROOT, 0]]), (5, [["data", "x", ROOT, True]]), (5, [["data", "x", ROOT, 1]] * 2),
        (6, [1, 2, 3]), (6, [1, 2, 3, -1]), (6, [1, 2, 3, 1.5]),
    ):  # fmt: skip
        yield msgpack.packb([*good[:place], value, *good[place + 1 :]]), "malformed"


@pytest.mark.parametrize("data, reason", hostile())
def test_a_hostile_brief_is_refused_before_anything_of_it_is_used(data, reason):
    with pytest.raises(Refused) as refused:
        brief.parse(data)
    assert refused.value.reason == reason


def test_texts_of_a_brief_cannot_move_the_cursor_or_pass_for_more_than_a_line():
    shown = brief.parse(Brief("a\x1b[2Jb\nc" + "d" * 100, "\u202e" * 10, bytes(32), ()).pack())
    assert "\x1b" not in shown.name and "\n" not in shown.name and len(shown.name) <= brief.NAME and "\u202e" not in shown.about
    assert brief.parse(Brief("", "", bytes(32), ()).pack()).name == "unnamed"


def test_an_evaluation_is_read_line_by_line_and_scored_by_its_own_scorers(tmp_path):
    exam = Exam.read(b'{"question": "2+3", "answer": "5", "scorer": "numeric"}\n\n{"question": "say hi", "answer": "hi"}\n')
    sums, word = exam.questions
    assert exam.score(sums, "so it is 5.0") == 1 and exam.score(sums, "6") == 0 and exam.score(word, " hi ") == 1 and exam.score(word, "hi!") == 0
    for data, reason in (
        (b"", "malformed"),
        (b"{}\n", "malformed"),
        (b"[1]\n", "malformed"),
        (b"[" * 500_000, "malformed"),
        (b'{"question": "a", "answer": 5}', "malformed"),
        (b'{"question": "a", "answer": "b", "scorer": "eval"}', "malformed"),
        (b'{"question": "a", "answer": "b", "code": "x"}', "malformed"),
        (b'{"question": "a", "answer": "b"}\n' * 2_001, "malformed"),
        (b" " * (2**20 + 1), "oversize"),
    ):
        with pytest.raises(Refused) as refused:
            Exam.read(data)
        assert refused.value.reason == reason
    (tmp_path / "bad.jsonl").write_text('{"question": "a"}\n')
    with pytest.raises(InputError, match="line 1 of the evaluation"):
        submit.evaluation_of(tmp_path / "bad.jsonl")
