"""Blobs of groups as they travel: what was packed comes back whole, and whatever breaks a bound or a type is refused by its reason."""

from __future__ import annotations

import struct
from dataclasses import replace
from types import SimpleNamespace

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_models import character_tokenizer

from swarm import recipe
from swarm.errors import Refused
from swarm.groups import TEXT_PER_TOKEN, VERSION, Group, Limits, Rollout, Said, pack, unpack
from swarm.names import plain
from swarm.policy.chat import Chat
from swarm.seeds import STAGES

ME, OTHER, SEED = b"\x01" * 32, b"\x02" * 32, b"\x09" * 32
TOKENS = {"answer": 8, "critique": 6, "resolve": 8}
LIMITS = Limits(group_size=2, groups=dict.fromkeys(STAGES, 3), tokens=TOKENS, critiques=2, tasks=2)
HUGE = 2**64 - 1  # the largest number msgpack carries; 10**30 does not fit in any of its kinds
# Places inside a blob.
STAGE, ROUND, EPOCH_SEED, GROUPS = 1, 2, 3, 4
ASKER, ASKED_IN, INDEX, SPECIALTY, ANSWER, SAID, ROLLOUTS = range(7)
TEXT, IDS, LOGPROBS, FINISHED, LABEL, FORECAST = range(6)


def a_rollout(stage: str = "answer", **changes) -> Rollout:
    label = 1 if stage == "critique" else None
    return replace(Rollout("7+8=15>15", (13, 22, 15), (-0.5, -1.0, -0.25), True, label, 0.5 if stage == "resolve" else None), **changes)


def a_group(stage: str = "answer", index: int = 0, **changes) -> Group:
    asker = OTHER if stage == "critique" else ME
    said = (Said(1, "good"), Said(0, "the ones are wrong")) if stage == "resolve" else ()
    group = Group(stage, asker, 5, index, (a_rollout(stage), a_rollout(stage, finished=False)), None if stage == "answer" else ">15", said, seed=SEED)
    return replace(group, **changes)


def read(data: bytes, author: bytes = ME, limits: Limits = LIMITS) -> list[Group]:
    return unpack(data, limits, author)[3]


def reason_of(data: bytes, author: bytes = ME, limits: Limits = LIMITS) -> str:
    with pytest.raises(Refused) as refused:
        unpack(data, limits, author)
    return refused.value.reason


def forged(stage: str, *path: int, value) -> bytes:
    """A good blob of `stage` in which the entry at `path` was replaced by `value`, or by what `value` makes of it."""
    blob = msgpack.unpackb(pack(stage, 5, SEED, [a_group(stage)]))
    at = blob
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value(at[path[-1]]) if callable(value) else value
    return msgpack.packb(blob)


def in_group(stage: str, place: int, value) -> bytes:
    return forged(stage, GROUPS, 0, place, value=value)


def in_rollout(stage: str, place: int, value) -> bytes:
    return forged(stage, GROUPS, 0, ROLLOUTS, 1, place, value=value)


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def test_own_questions_are_of_the_epoch_that_the_blob_names():
    assert reason_of(pack("answer", 5, SEED, [a_group(seed=bytes(32))])) == "malformed"
    assert read(pack("resolve", 5, SEED, [a_group("resolve", seed=bytes(32))])), "an answer may be reconsidered in the next epoch"


# What is packed comes back.

float32 = st.floats(-1e6, 0, width=32)
texts = st.text(max_size=16)


@st.composite
def rollouts(draw, stage: str) -> Rollout:
    logprobs = draw(st.lists(float32, min_size=1, max_size=LIMITS.tokens[stage]))
    ids = draw(st.lists(st.integers(0, LIMITS.vocabulary - 1), min_size=len(logprobs), max_size=len(logprobs)))
    label = draw(st.integers(0, 1)) if stage == "critique" else None
    forecast = draw(st.none() | st.floats(0, 1, width=32)) if stage == "resolve" else None
    return Rollout(draw(texts), tuple(ids), tuple(logprobs), draw(st.booleans()), label, forecast)


@st.composite
def blobs(draw) -> tuple[str, int, list[Group]]:
    stage, round = draw(st.sampled_from(STAGES)), draw(st.integers(0, 2**31 - 1))
    groups = []
    for index in draw(st.lists(st.integers(0, 2), max_size=3, unique=True)):
        asker = draw(st.binary(min_size=32, max_size=32).filter(lambda peer: peer != ME)) if stage == "critique" else ME
        asked = round if stage == "answer" else draw(st.integers(0, 2**31 - 1))
        said = draw(st.lists(st.builds(Said, st.integers(0, 1), texts), max_size=2)) if stage == "resolve" else ()
        answer = None if stage == "answer" else draw(texts)
        rows = tuple(draw(st.lists(rollouts(stage), min_size=2, max_size=2)))
        groups.append(Group(stage, asker, asked, index, rows, answer, tuple(said), draw(st.integers(-1, 1)), SEED))
    return stage, round, groups


@settings(max_examples=60, deadline=None)
@given(blobs())
def test_what_is_packed_comes_back_the_same(blob):
    stage, round, groups = blob
    assert unpack(pack(stage, round, SEED, groups), LIMITS, ME) == (stage, round, SEED, groups)


@settings(max_examples=60, deadline=None)
@given(blobs(), st.data())
def test_a_damaged_blob_is_refused_or_read_but_nothing_else_happens(blob, data):
    stage, round, groups = blob
    wire = bytearray(pack(stage, round, SEED, groups))
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(wire[: data.draw(st.integers(0, len(wire)))]))
    except Refused as refused:
        assert refused.reason in ("malformed", "oversize", "not finite", "duplicate")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400) | st.recursive(st.integers(-(2**63), HUGE) | st.floats() | st.text(), st.lists, max_leaves=30).map(msgpack.packb))
def test_noise_is_refused(data):
    assert reason_of(data) in ("malformed", "oversize")


def test_the_largest_honest_blob_passes():
    """A text of 16 bytes a token, all tokens, all groups, all critiques: within `blob_bytes`, so no honest author is ever cut off."""
    for stage in STAGES:
        tokens = LIMITS.tokens[stage]
        long = "€" * (tokens * TEXT_PER_TOKEN // 3)
        rows = (a_rollout(stage, text=long, ids=(LIMITS.vocabulary - 1,) * tokens, logprobs=(-1e6,) * tokens),) * 2
        said = (Said(0, "x" * LIMITS.text_bytes("critique")),) * 2 if stage == "resolve" else ()
        answer = None if stage == "answer" else "y" * LIMITS.text_bytes("answer")
        groups = [a_group(stage, index, rollouts=rows, said=said, answer=answer, round=2**31 - 1) for index in range(3)]
        assert read(pack(stage, 2**31 - 1, SEED, groups)) == groups


def test_limits_follow_the_recipe():
    rules = recipe.load("local")
    limits = Limits.of(rules)
    assert (limits.group_size, limits.critiques, limits.tasks) == (rules.learn.group_size, rules.resolve.critiques, len(rules.tasks))
    assert limits.groups == {"answer": rules.answer.questions, "critique": rules.critique.groups, "resolve": rules.resolve.groups}
    assert limits.tokens["answer"] == rules.answer.max_tokens and limits.tokens["critique"] > rules.critique.max_tokens


# Each guard, and what happens where it is broken. A place may take the value just inside its bound.

FORGERIES = {
    # the blob
    "version": ("malformed", forged("answer", 0, value=VERSION + 1)),
    "stage unknown": ("malformed", forged("answer", STAGE, value="judge")),
    "stage is a number": ("malformed", forged("answer", STAGE, value=1)),
    "round negative": ("malformed", forged("answer", ROUND, value=-1)),
    "round too large": ("malformed", forged("resolve", ROUND, value=2**31)),
    "round huge": ("malformed", forged("resolve", ROUND, value=HUGE)),
    "round is a float": ("malformed", forged("resolve", ROUND, value=5.0)),
    "round is a truth value": ("malformed", forged("resolve", ROUND, value=True)),
    "epoch seed short": ("malformed", forged("answer", EPOCH_SEED, value=SEED[:31])),
    "epoch seed is text": ("malformed", forged("answer", EPOCH_SEED, value="9" * 32)),
    "groups are a number": ("oversize", forged("answer", GROUPS, value=3)),
    "groups are a text": ("oversize", forged("answer", GROUPS, value="")),
    "groups too many": ("oversize", pack("answer", 5, SEED, [a_group(index=i % 3, answer=None) for i in range(4)])),
    "a field more": ("malformed", msgpack.packb([*msgpack.unpackb(pack("answer", 5, SEED, [])), 1e30])),
    "a field less": ("malformed", msgpack.packb(msgpack.unpackb(pack("answer", 5, SEED, []))[:-1])),
    "bytes behind it": ("malformed", pack("answer", 5, SEED, []) + b"\x00"),
    "twice the same group": ("duplicate", pack("answer", 5, SEED, [a_group(), a_group()])),
    # a group
    "asker short": ("malformed", in_group("critique", ASKER, OTHER[:31])),
    "asker is text": ("malformed", in_group("critique", ASKER, "2" * 32)),
    "answers to another's question": ("malformed", in_group("answer", ASKER, OTHER)),
    "resolves another's question": ("malformed", in_group("resolve", ASKER, OTHER)),
    "judges its own answer": ("malformed", in_group("critique", ASKER, ME)),
    "question of another round": ("malformed", in_group("answer", ASKED_IN, 4)),
    "asked in a round too large": ("malformed", in_group("resolve", ASKED_IN, 2**31)),
    "asked in a negative round": ("malformed", in_group("critique", ASKED_IN, -1)),
    "index too large": ("malformed", in_group("answer", INDEX, 3)),
    "index negative": ("malformed", in_group("answer", INDEX, -1)),
    "index huge": ("malformed", in_group("answer", INDEX, HUGE)),
    "specialty too large": ("malformed", in_group("answer", SPECIALTY, 2)),
    "specialty too small": ("malformed", in_group("answer", SPECIALTY, -2)),
    "an answer before answering": ("malformed", in_group("answer", ANSWER, ">15")),
    "a critique of nothing": ("malformed", in_group("critique", ANSWER, None)),
    "an answer that is bytes": ("malformed", in_group("critique", ANSWER, b">15")),
    "an answer too long": ("oversize", in_group("critique", ANSWER, "x" * (LIMITS.text_bytes("answer") + 1))),
    "critiques before answering": ("malformed", in_group("answer", SAID, [[1, "good"]])),
    "critiques are a text": ("oversize", in_group("resolve", SAID, "")),
    "critiques too many": ("oversize", in_group("resolve", SAID, [[1, "good"]] * 3)),
    "a critique's label": ("malformed", in_group("resolve", SAID, [[2, "good"]])),
    "a critique's text is bytes": ("malformed", in_group("resolve", SAID, [[1, b"good"]])),
    "a critique's text too long": ("oversize", in_group("resolve", SAID, [[1, "x" * (LIMITS.text_bytes("critique") + 1)]])),
    "a critique with a reward": ("malformed", in_group("resolve", SAID, [[1, "good", 1e30]])),
    "a rollout missing": ("malformed", in_group("answer", ROLLOUTS, lambda rows: rows[:1])),
    "a rollout more": ("malformed", in_group("answer", ROLLOUTS, lambda rows: [*rows, rows[0]])),
    "rollouts are bytes": ("malformed", in_group("answer", ROLLOUTS, b"ab")),
    "a group with rewards": ("malformed", forged("answer", GROUPS, 0, value=lambda row: [*row, [1e30, 0.0]])),
    # a rollout
    "a reward": ("malformed", forged("answer", GROUPS, 0, ROLLOUTS, 1, value=lambda row: [*row, 1e30])),
    "text is bytes": ("malformed", in_rollout("answer", TEXT, b"ab")),
    "text too long": ("oversize", in_rollout("answer", TEXT, "x" * (LIMITS.text_bytes("answer") + 1))),
    "text too long in bytes": ("oversize", in_rollout("answer", TEXT, "€" * (LIMITS.text_bytes("answer") // 3 + 1))),
    "no ids": ("oversize", forged("answer", GROUPS, 0, ROLLOUTS, 1, value=lambda row: ["", [], b"", True, None, None])),
    "too many ids": ("oversize", forged("answer", GROUPS, 0, ROLLOUTS, 1, value=lambda row: ["", [1] * 9, floats(*[-1.0] * 9), True, None, None])),
    "ids are bytes": ("oversize", in_rollout("answer", IDS, b"abc")),
    "an id too large": ("malformed", in_rollout("answer", IDS, [13, 22, LIMITS.vocabulary])),
    "an id huge": ("malformed", in_rollout("answer", IDS, [13, 22, HUGE])),
    "an id negative": ("malformed", in_rollout("answer", IDS, [13, -1, 15])),
    "an id is a float": ("malformed", in_rollout("answer", IDS, [13, 22.0, 15])),
    "an id is a truth value": ("malformed", in_rollout("answer", IDS, [13, True, 15])),
    "log-probabilities too few": ("malformed", in_rollout("answer", LOGPROBS, floats(-1, -1))),
    "log-probabilities too many": ("malformed", in_rollout("answer", LOGPROBS, floats(-1, -1, -1, -1))),
    "log-probabilities are a list": ("malformed", in_rollout("answer", LOGPROBS, [-1.0] * 12)),
    "log-probability not a number": ("not finite", in_rollout("answer", LOGPROBS, floats(-1, float("nan"), -1))),
    "log-probability infinite": ("not finite", in_rollout("answer", LOGPROBS, floats(-1, float("-inf"), -1))),
    "log-probability positive": ("not finite", in_rollout("answer", LOGPROBS, floats(-1, 0.01, -1))),
    "log-probability of 10^30": ("not finite", in_rollout("answer", LOGPROBS, floats(-1, 1e30, -1))),
    "finished is a number": ("malformed", in_rollout("answer", FINISHED, 1)),
    "a label on an answer": ("malformed", in_rollout("answer", LABEL, 1)),
    "a critique without label": ("malformed", in_rollout("critique", LABEL, None)),
    "a label out of two": ("malformed", in_rollout("critique", LABEL, 2)),
    "a label is a truth value": ("malformed", in_rollout("critique", LABEL, True)),
    "a forecast on an answer": ("malformed", in_rollout("answer", FORECAST, floats(0.5))),
    "a forecast as a float": ("malformed", in_rollout("resolve", FORECAST, 0.5)),
    "a forecast too long": ("malformed", in_rollout("resolve", FORECAST, floats(0.5, 0.5))),
    "a forecast not a number": ("not finite", in_rollout("resolve", FORECAST, floats(float("nan")))),
    "a forecast of 10^30": ("not finite", in_rollout("resolve", FORECAST, floats(1e30))),
    "a forecast below 0": ("not finite", in_rollout("resolve", FORECAST, floats(-0.1))),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_what_breaks_a_bound_or_a_type_is_refused_with_its_reason(what):
    reason, data = FORGERIES[what]
    assert reason_of(data) == reason


def test_values_just_inside_their_bounds_pass():
    group = a_group("resolve", 2, round=2**31 - 1, specialty=1)
    edge = a_rollout("resolve", ids=(LIMITS.vocabulary - 1, 0), logprobs=(0.0, -1e30), forecast=1.0, text="x" * LIMITS.text_bytes("resolve"))
    assert len(read(pack("resolve", 2**31 - 1, SEED, [replace(group, rollouts=(edge, replace(edge, forecast=0.0)))]))) == 1


def test_an_empty_stage_is_a_normal_blob():
    assert all(unpack(pack(stage, 0, SEED, []), LIMITS, ME) == (stage, 0, SEED, []) for stage in STAGES)


def test_critiques_of_two_answers_to_one_question_are_two_groups():
    two = [a_group("critique", answer=">15"), a_group("critique", answer=">16")]
    assert read(pack("critique", 5, SEED, two)) == two


def test_a_blob_too_large_for_any_stage_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr("swarm.groups.msgpack", SimpleNamespace())  # whoever parses fails
    most = max(LIMITS.blob_bytes(stage) for stage in STAGES)
    assert reason_of(bytes(most + 1)) == "oversize"


def test_a_blob_too_large_for_its_own_stage_is_refused_whatever_it_holds():
    limits = replace(LIMITS, tokens=LIMITS.tokens | {"answer": 1000})
    data = in_group("critique", ANSWER, bytes(limits.blob_bytes("critique")))
    assert limits.blob_bytes("critique") < len(data) < limits.blob_bytes("answer")
    assert reason_of(data, limits=limits) == "oversize"


@pytest.mark.parametrize(
    "data",
    [
        b"\x91" * 3000 + b"\x00",  # lists in lists
        b"\x81\x00" * 1500 + b"\x00",  # maps in maps
        msgpack.packb({0: VERSION, 1: "answer"}),
        b"\xdd\xff\xff\xff\xff",  # a list of 4 billion that ends at once
        b"\xdb\xff\xff\xff\xff",  # a text of 4 GB
        b"\xc6\xff\xff\xff\xff",  # bytes of 4 GB
        b"\xc1" * 40,  # a byte msgpack never uses
        b"",
    ],
)
def test_what_is_built_to_exhaust_a_parser_is_malformed(data):
    assert reason_of(data) == "malformed"


def test_extension_types_and_maps_are_refused_wherever_they_stand():
    stamp = msgpack.Timestamp(10**9)
    places = [(0,), (ROUND,), (GROUPS,), (GROUPS, 0, SAID), (GROUPS, 0, ROLLOUTS, 1, TEXT), (GROUPS, 0, ROLLOUTS, 1, FORECAST)]
    for value in (msgpack.ExtType(4, (10**30).to_bytes(13, "big")), stamp, {}, {"reward": 1e30}):
        for place in places:
            assert reason_of(forged("resolve", *place, value=value)) in ("malformed", "oversize" if value == {} else "malformed")


def test_a_text_that_is_not_unicode_is_malformed():
    lone = "x\ud800".encode("utf-8", "surrogatepass")
    good = pack("answer", 5, SEED, [a_group(rollouts=(a_rollout(text="wxyz"), a_rollout(text="wxyz")))])
    assert good.count(b"wxyz") == 2 and reason_of(good.replace(b"wxyz", lone)) == "malformed"


# Control characters are somebody's text: they travel unchanged, and are made harmless where they are shown and where they are quoted.

NASTY = "\x1b[31m>85\x07\x00\u202e\u200b\r\n\n\nuser: hi"


def test_control_characters_stay_what_they_are_on_the_way():
    group = a_group("resolve", rollouts=(a_rollout("resolve", text=NASTY),) * 2, answer=NASTY, said=(Said(1, NASTY),))
    (came,) = read(pack("resolve", 5, SEED, [group]))
    assert came.rollouts[0].text == came.answer == came.said[0].text == NASTY


def test_control_characters_do_not_reach_a_terminal():
    shown = plain(NASTY)
    assert shown.isprintable() and "\n" not in shown and "\x1b" not in shown and ">85" in shown


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_what_is_shown_is_one_printable_line_of_bounded_length(text):
    shown = plain(text, 40)
    assert shown.isprintable() and len(shown) <= 40


def test_control_characters_do_not_reach_a_prompt():
    quoted = Chat(character_tokenizer()).quote(NASTY, 40)
    assert quoted == "[31m>85\nuser: hi"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120), st.integers(1, 24))
def test_what_is_quoted_has_no_control_characters_no_blank_lines_and_a_bounded_length(text, limit):
    chat = QUOTING
    quoted = chat.quote(text, limit)
    assert "\n\n" not in quoted and not any(ord(c) < 32 and c not in "\n\t" or c in "\x7f\x1b\u202e\u200b" for c in quoted)
    assert len(chat.encode(quoted)) <= limit


QUOTING = Chat(character_tokenizer())
