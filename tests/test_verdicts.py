"""Rewards that are verdicts: what the log says of a group, what waits for it and for how long, and steps on it that others replay."""

import contextlib
import dataclasses
import time
from types import SimpleNamespace

import pytest
import torch
from courts import address
from markets import DOMAIN, NAMES, START, Fair, FakeFacts, account, sign, trade
from proofs import a_recorded_node, a_replayer, hand_over, packed_before

from judge import events, scores
from judge.terms import CREDIT, WAD
from swarm import recipe as recipes
from swarm.errors import RecipeError, Refused
from swarm.groups import Group, Limits, Rollout, pack, unpack
from swarm.learn import record as batches
from swarm.learn.record import digest_of
from swarm.market import page as pages
from swarm.market.questions import opening
from swarm.proof.judged import Judged, Judgements, of_row
from swarm.proof.leaf import sealed
from swarm.proof.replay import Fault, Unjudged
from swarm.verdicts import Ruled, Verdicts
from swarm.waiting import FULL, LATE, MOST, VOID, Waiting

QUESTION = SimpleNamespace(prompt="Which is clearer?")
JUDGED = ["tasks.0.judged=true", "tasks.1.judged=true", "tasks.2.judged=true", "critique.groups=0", "resolve.groups=0"]


def a_group(*texts, round=3, index=1):
    rollouts = tuple(Rollout(text, (1,), (0.0,), finished=text != "cut off") for text in texts)
    return Group("answer", b"\x01" * 32, round, index, rollouts)


def ruled_by(choices, group, kind="H", nonce_round=3, soft=0.0, bought=()):
    """The verdicts on a real market about a group, in which judges by name chose these outcomes, and eve bought shares of others."""
    facts = FakeFacts()
    facts.people("host", "ann", "ben", "cleo", "dan", "eve")
    facts.beacons(0, 90_000)
    fair = Fair(facts, choice=lambda one, name: choices[name])
    fair.tape.play(START + 1)
    for name in ("ann", "ben", "cleo", "dan"):
        fair.add(account(sign(events.Stake, name, START + 1, amount=100 * CREDIT)))
    shown = dataclasses.replace(group, round=nonce_round)
    said, texts = opening(shown, QUESTION, address("host"), START + 1000, 10 * CREDIT, b"", judged=kind)
    page = fair.add(opened(said, texts))
    orders = [trade(page.market, "eve", START + 1100, outcome) for outcome in bought]
    fair.run(START + 80_000, "host", {page.market: orders}, silent=tuple(name for name in NAMES if name not in choices))
    room = SimpleNamespace(reading=lambda: contextlib.nullcontext(fair.tape.state), opening=fair.tape.opening, closed=START + 80_000)
    return Verdicts(room, lambda asked: QUESTION, soft), fair.market(page.market)


def opened(said, texts):
    from courts import key

    entry = events.write(said, DOMAIN, key("host")[0])
    return pages.opening(entry, sign(events.Fund, "host", said.t, market=said.market(DOMAIN)), texts, DOMAIN)


def test_a_verdict_is_the_reward_of_the_answers_that_it_is_about():
    group = a_group("short", "with its working", "cut off", "short")
    verdicts, market = ruled_by(dict.fromkeys(("ann", "ben", "cleo", "dan"), 1), group)
    (ruled,) = verdicts.of([(address("host"), group)])
    place = [label for label, _, _ in market.outcomes].index("with its working")
    assert market.verdict.choice == 1 and place == 1
    assert ruled.rewards == (0.0, 1.0, None, 0.0), "an answer that was cut off is not judged"
    assert ruled.final == market.since and ruled.opened == START + 1000 and not ruled.void


def test_a_split_panel_gives_what_the_formula_says():
    group = a_group("short", "with its working")
    verdicts, market = ruled_by({"ann": 1, "ben": 1, "cleo": 1, "dan": 0}, group)
    (ruled,) = verdicts.of([(address("host"), group)])
    said = market.verdict
    ruling = scores.Ruling(said.weights[:2], said.weights[2], said.panel_weight, said.seats, said.revealed)
    assert ruled.rewards == tuple(scores.reward(scores.Completion("H", place), ruling) / WAD for place in (0, 1))


def test_a_part_of_the_reward_may_come_from_the_price():
    group = a_group("short", "with its working")
    choices = dict.fromkeys(("ann", "ben", "cleo", "dan"), 1)
    (hard,), (soft,) = (ruled_by(choices, group, soft=share, bought=(0,))[0].of([(address("host"), group)]) for share in (0.0, 0.2))
    prices = ruled_by(choices, group, bought=(0,))[1].prices()
    assert prices[0] > WAD // 2
    assert soft.rewards == pytest.approx([0.8 * reward + 0.2 * price / WAD for reward, price in zip(hard.rewards, prices, strict=True)])


def test_a_market_that_ends_void_gives_no_reward():
    group = a_group("short", "with its working")
    verdicts, market = ruled_by({}, group)
    (ruled,) = verdicts.of([(address("host"), group)])
    assert market.void_reason and ruled.void


def test_a_verdict_says_nothing_before_a_final_root_has_closed_it():
    group = a_group("short", "with its working")
    verdicts, market = ruled_by(dict.fromkeys(("ann", "ben", "cleo", "dan"), 1), group)
    verdicts.room.closed = market.since - 1
    assert verdicts.of([(address("host"), group)]) == [None]
    verdicts.room.closed = market.since
    assert verdicts.of([(address("host"), group)])[0].rewards == (0.0, 1.0)


def test_nothing_is_said_of_another_question_another_author_or_another_round():
    group = a_group("short", "with its working")
    verdicts, _ = ruled_by(dict.fromkeys(("ann", "ben", "cleo"), 1), group)
    other = dataclasses.replace(group, round=4)
    assert verdicts.of([(address("ann"), group), (address("host"), other)]) == [None, None]


# ---- what waits


class FakeVerdicts:
    """Verdicts by (operator, round)."""

    def __init__(self):
        self.ruled = {}

    def of(self, wanted):
        return [self.ruled.get((operator, group.round)) for operator, group in wanted]


@pytest.fixture
def hall(tmp_path):
    rules = recipes.load("local", ["learn.group_size=2", *JUDGED])
    clock, said = SimpleNamespace(t=1000), FakeVerdicts()
    make = lambda: Waiting(tmp_path / "waiting.msgpack", Limits.of(rules), 500, said, lambda: clock.t)  # noqa: E731
    return SimpleNamespace(clock=clock, said=said, make=make)


def a_blob(round, author=b"\x01" * 32, groups=2):
    made = [dataclasses.replace(a_group("a", "b", round=round, index=index), asker=author) for index in range(groups)]
    return pack("answer", round, bytes(32), made)


def test_groups_wait_for_their_verdict_over_restarts_and_own_ones_for_the_next_round(hall):
    waiting, me = hall.make(), b"\x01" * 32
    waiting.add(me, b"m" * 20, 1, b"", a_blob(1), [0, 1])
    waiting.add(me, b"m" * 20, 1, b"", a_blob(1), [0, 1])
    waiting.recorded(me, 1, 7, b"record")
    hall.said.ruled[b"m" * 20, 1] = Ruled((1.0, 0.0), 900, 1100)
    assert waiting.ready(1, me) == [], "a round trains on nothing that it wrote"
    waiting.save()
    again = hall.make()
    (first, second) = again.ready(2, me)
    assert first.rewards == (1.0, 0.0) and len(again) == 2
    source, place, blobs = again.source(first.group)
    assert (source.author, source.digest, source.shelf, place) == (me, digest_of(a_blob(1)), (7).to_bytes(4, "big"), 0)
    assert blobs == [a_blob(1), b"record"]
    again.done([first.group])
    assert len(again) == 1 and again.ready(2, me)[0].group.index == second.group.index


def test_own_groups_without_a_verdict_are_counted_until_it_is_too_late_for_one(hall):
    waiting, me = hall.make(), b"\x01" * 32
    waiting.add(me, b"m" * 20, 1, b"", a_blob(1), [0, 1])
    waiting.add(me, b"m" * 20, 2, b"", a_blob(2), [1])
    waiting.add(b"\x02" * 32, b"o" * 20, 1, b"shelf", a_blob(1, b"\x02" * 32), [0])
    assert waiting.unruled(me) == 3
    hall.said.ruled[b"m" * 20, 1] = Ruled((1.0, 0.0), 900, 1100)
    assert waiting.unruled(me) == 1
    hall.clock.t += 501
    assert waiting.unruled(me) == 0


def test_late_and_void_groups_are_dropped_and_counted(hall):
    waiting = hall.make()
    for round in (1, 2, 3):
        waiting.add(b"\x02" * 32, b"o" * 20, round, b"shelf", a_blob(round, b"\x02" * 32), [0, 1])
    hall.said.ruled[b"o" * 20, 1] = Ruled((None, None), 900, 1100)
    hall.said.ruled[b"o" * 20, 2] = Ruled((1.0, 0.0), 900, 1100)
    hall.clock.t += 501
    assert len(waiting.ready(9, b"")) == 2, "a verdict that came in time is not late because it was looked at late"
    assert waiting.taken() == {VOID: 2, LATE: 2} and len(waiting) == 2 and not waiting.taken()


def test_what_waits_is_bounded_and_a_damaged_file_is_said(hall, tmp_path):
    waiting = hall.make()
    for round in range(MOST + 3):
        hall.clock.t += 1
        waiting.add(b"\x02" * 32, b"o" * 20, round, b"", a_blob(round, b"\x02" * 32, groups=1), [0])
    assert len(waiting) == MOST and waiting.taken() == {FULL: 3}
    waiting.save()
    whole = bytearray((tmp_path / "waiting.msgpack").read_bytes())
    whole[40] ^= 1
    (tmp_path / "waiting.msgpack").write_bytes(whole)
    assert len(again := hall.make()) == 0 and sum(again.taken().values()) == 1


# ---- in a round, and done again


class FakeLiking:
    """Verdicts of a panel that likes long answers, `rounds` of its author's rounds after they were given."""

    def __init__(self):
        self.newest, self.at = {}, time.time_ns() // 10**6 - 2000

    def of(self, wanted):
        found = []
        for operator, group in wanted:
            longest = max(len(rollout.text) for rollout in group.rollouts)
            rewards = tuple(float(len(rollout.text) == longest) if rollout.finished else None for rollout in group.rollouts)
            found.append(Ruled(rewards, self.at, self.at) if self.newest[operator] > group.round else None)
        return found


class FakeTrading:
    """Opens a market about every group, in no market."""

    can_open = True

    def ask(self, groups):
        return list(range(len(groups)))

    def testify(self, groups):
        pass

    def look(self):
        pass


ROUNDS = 4


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("judged")
    members = [a_recorded_node(folder / str(number), number, *JUDGED) for number in (1, 2)]
    liking = FakeLiking()
    for node, _ in members:
        node.trading = FakeTrading()
        node.waiting = Waiting(node.folder / "waiting.msgpack", Limits.of(node.recipe), 60_000, liking, lambda: time.time_ns() // 10**6)
    rows = []
    for round in range(1, ROUNDS + 1):
        for node, session in members:
            liking.newest[node.operator] = round
            rows.append(node.play_round().row)
            hand_over(node, session, [other for other, _ in members if other is not node], round)
    return [node for node, _ in members], a_replayer(folder / "auditor", *JUDGED), liking, rows


def verdicts_of(liking, leaf, record, node):
    judgements = Judgements(node.recipe, Limits.of(node.recipe))
    judgements.verdicts = liking.of
    return dict(map(of_row, judgements.rows(leaf, record, node.scribe.recorder.store.get)))


def a_step(judged, peer=0, place=ROUNDS - 1):
    nodes, replayer, liking, _ = judged
    node = nodes[peer]
    step = node.scribe.recorder.steps(0)[place]
    record = batches.unpack(node.scribe.recorder.store.get(step.leaf.batch), node.recipe)
    return node, replayer, step, packed_before(node, place, replayer), record, liking


def test_verdicts_are_trained_on_in_a_later_round_own_and_foreign(judged):
    rows = judged[3]
    assert rows[0]["trained"]["groups"] == 0 and rows[0]["verdicts"]["waiting"] > 0
    assert rows[-1]["trained"]["own"] > 0 and rows[-1]["trained"]["foreign"] > 0
    assert all(row["answer"]["reward"] is None for row in rows), "an answer has no reward before its verdict"


def test_steps_on_verdicts_are_replayed_bit_for_bit_by_who_knows_the_verdicts(judged):
    for place in range(ROUNDS):
        node, replayer, step, packed, record, liking = a_step(judged, place=place)
        verdicts = verdicts_of(liking, step.leaf, record, node)
        replayed = replayer.replay(step.leaf, packed, node.scribe.recorder.store.get, {node.stages.epoch_seed}, node.operator, verdicts)
        assert step.leaf.gradient == sealed(step.salt, replayed.gradient)
    assert {source.author == node.me for source in record.sources} == {True, False}


def test_a_missing_verdict_is_no_guilt_and_another_one_is(judged):
    node, replayer, step, packed, record, liking = a_step(judged)
    store, seeds = node.scribe.recorder.store.get, {node.stages.epoch_seed}
    with pytest.raises(Unjudged):
        replayer.replay(step.leaf, packed, store, seeds, node.operator, {})
    verdicts = verdicts_of(liking, step.leaf, record, node)
    place, known = next(iter(verdicts.items()))
    forged = verdicts | {place: Judged(tuple(None if r is None else 1 - r for r in known.rewards), known.opened)}
    with pytest.raises(Fault) as fault:
        replayer.replay(step.leaf, packed, store, seeds, node.operator, forged)
    assert fault.value.where == "rewards"


def test_a_round_that_trains_on_what_it_wrote_itself_is_seen(judged):
    node, replayer, step, packed, record, liking = a_step(judged)
    store = node.scribe.recorder.store.get
    own = unpack(store(dict(record.own)["answer"]), Limits.of(node.recipe), node.me)[3][0]
    rewards = (1.0,) + (0.0,) * (len(own.rollouts) - 1)
    rows = tuple((rollout.digest, reward, 0.0) for rollout, reward in zip(own.rollouts, rewards, strict=True))
    mine = next(place for place, trained in enumerate(record.trained) if trained.author == node.me)
    trained = [dataclasses.replace(t, source=-1, place=0, rollouts=rows) if place == mine else t for place, t in enumerate(record.trained)]
    forged = dataclasses.replace(record, trained=tuple(trained))
    blob = forged.pack()
    leaf = dataclasses.replace(step.leaf, batch=digest_of(blob), rollouts=forged.rollout_root, rewards=forged.reward_root)
    verdicts = verdicts_of(liking, step.leaf, record, node) | {(node.me, leaf.round, 0): Judged(rewards, time.time())}
    with pytest.raises(Fault, match="another round than their verdict allows"):
        replayer.replay(leaf, packed, lambda d: blob if d == leaf.batch else store(d), {node.stages.epoch_seed}, node.operator, verdicts)


def test_where_history_is_closed_a_verdict_that_is_not_there_never_was(judged):
    node, replayer, step, packed, record, liking = a_step(judged)
    judgements = Judgements(node.recipe, Limits.of(node.recipe))
    judgements.verdicts = lambda asked: [None] * len(asked)
    rows = lambda: judgements.rows(step.leaf, record, node.scribe.recorder.store.get)  # noqa: E731
    judgements.closed = lambda: step.leaf.time * 1000 - 1
    assert rows() == []
    judgements.closed = lambda: step.leaf.time * 1000
    with pytest.raises(Fault) as fault:
        replayer.replay(step.leaf, packed, node.scribe.recorder.store.get, {node.stages.epoch_seed}, node.operator, dict(map(of_row, rows())))
    assert fault.value.where == "verdict"


def test_a_verdict_that_was_final_only_after_the_step_does_not_count(judged):
    node, _, step, _, record, liking = a_step(judged)
    early = dataclasses.replace(step.leaf, time=step.leaf.time - 60)
    assert verdicts_of(liking, step.leaf, record, node) and not verdicts_of(liking, early, record, node)


def test_own_answers_that_waited_must_be_those_that_their_round_recorded(judged):
    from types import SimpleNamespace as Simple

    from swarm.proof.epoch import Epoch

    node, _, step, _, record, _ = a_step(judged)
    recorder = node.scribe.recorder
    steps = recorder.steps(0)
    epoch = Epoch(recorder.swarm, node.me, node.operator, 0, tuple(s.leaf for s in steps), tuple(s.state for s in steps), ())
    this = Simple(peer=node.me, epoch=0, key=b"k" * 32)
    judgements = Judgements(node.recipe, Limits.of(node.recipe))
    fetch = lambda digest, most: recorder.store.get(digest)  # noqa: E731
    judgements.require_sampled(this, record, [epoch], fetch)
    mine = next(source for source in record.sources if source.author == node.me)
    for changed, what in (
        ({"digest": b"\x09" * 32}, "other answers"),
        ({"round": 77}, "does not hold"),
        ({"shelf": (5).to_bytes(4, "big")}, "did not commit"),
    ):
        forged = dataclasses.replace(record, sources=tuple(dataclasses.replace(s, **changed) if s is mine else s for s in record.sources))
        with pytest.raises(Refused, match=what):
            judgements.require_sampled(this, forged, [epoch], fetch)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (["judge.profile=none"], "no market to judge it"),
        (["judge.opens=0"], "judge.opens is 0"),
        (["judge.profile=human"], "proof.epoch"),
        (["proof.profile=none"], "no market to judge it"),
    ],
)
def test_a_recipe_whose_verdicts_cannot_come_is_refused(settings, what):
    with pytest.raises(RecipeError, match=what):
        recipes.load("open-answers", settings)


