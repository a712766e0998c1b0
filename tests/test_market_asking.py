"""A market that a person opens: what is refused before anything is handed over, and what the person's node makes of a draft."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import networks
import pytest
from courts import address, key
from markets import DOMAIN
from test_market_network import TERMS, Clock, facts_from, state_of

from judge.terms import CREDIT
from swarm.errors import InputError
from swarm.market.asking import Askings, Draft
from swarm.market.seats import SeatedRoom

TWO = ("By induction.", "By symmetry:\nturn it around.")


def draft(question="Which proof is clearer?", answers=TWO, kind="H", b0=10 * CREDIT) -> Draft:
    return Draft.of(question, answers, kind, DOMAIN, address("host"), b0)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"answers": ("one",)}, "2 to 20 answers, not 1"),
        ({"answers": tuple(f"answer {number}" for number in range(21))}, "2 to 20 answers, not 21"),
        ({"question": "q" * 2**20}, "the question takes text of 1 to 4000 characters, not 1048576"),
        ({"question": ""}, "the question takes text of 1 to 4000"),
        ({"question": "Which \x1b[31mproof?"}, r"the question has the control character U\+001B"),
        ({"answers": ("fine", "not \u202efine")}, r"answer 2 has the control character U\+202E"),
        ({"answers": ("same", "same")}, "two answers are shown as 'same'"),
        ({"answers": ("x" * 200_000, "y")}, "answer 1 takes text"),
        ({"answers": tuple(f"{number}" + "x" * 100_000 for number in range(6))}, "bytes together"),
        ({"answers": ("fine", " ")}, "answer 2 takes text"),
        ({"kind": "V"}, "--kind 'V'"),
    ],
)
def test_bad_drafts_get_one_sentence(said, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        draft(**said)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 200 and refused.value.hint


@contextlib.contextmanager
def host_of(folder, open_most=8):
    clock, net = Clock(), networks.network(folder / "host")
    with networks.started(net):
        facts = facts_from(clock(), host=net.peer)
        terms = dataclasses.replace(TERMS, open_most=open_most)
        around = (net, facts, terms, address("host"), key("host")[0], folder / "market", lambda said, texts: 1)
        room = SeatedRoom(folder / "votes", folder / "openings", *around, now=clock)
        with contextlib.closing(room):
            room.start()
            facts.seen = 2**47
            networks.until(lambda: address("host") in state_of(room).operators, 20)
            yield room
            room.require_alive()


def test_the_node_opens_a_draft_once_says_so_and_keeps_its_own_markets_back(tmp_path):
    with host_of(tmp_path, open_most=1) as room:
        askings, first, second = Askings(tmp_path / "openings"), draft(), draft("Which one is shorter?")
        (tmp_path / "openings").mkdir()
        for name, data in (("a.json", b"{"), ("b.json", b"[]"), ("c.json", json.dumps({"answers": 3}).encode()), ("d.json", bytes(2**21))):
            (tmp_path / "openings" / name).write_bytes(data)
        askings.put(dataclasses.replace(draft("Of somebody else"), operator="11" * 20))
        askings.put(first)
        networks.until(lambda: askings.ended(first.market), 20, "the node took the draft")
        assert askings.ended(first.market).opened
        networks.until(lambda: first.market in state_of(room).markets, 20, "it is in the log")
        one, (said, texts) = state_of(room).markets[first.market], room.texts(first.market)
        assert (one.kind, said.question, texts) == ("H", first.question, TWO)
        assert [label for label, _, _ in one.outcomes][1] == "By symmetry: turn it around."
        askings.put(second)
        networks.until(lambda: room.reserved == 1, 10, "the draft is seen")
        assert askings.ended(second.market) is None, "it waits for a place"
        told = room.told.pages
        askings.put(first)  # as if the node had died before it noted the outcome
        (tmp_path / "openings" / f"{first.market.hex()}.ended").unlink()
        room.terms = dataclasses.replace(room.terms, open_most=8)
        networks.until(lambda: askings.ended(first.market) and askings.ended(second.market), 20)
        assert room.told.pages == told + 1 and sorted(path.suffix for path in (tmp_path / "openings").iterdir()).count(".json") == 5


def test_who_cannot_pay_is_told_so(tmp_path):
    with host_of(tmp_path) as room:
        askings, dear = Askings(tmp_path / "openings"), draft(b0=10**5 * CREDIT)
        askings.put(dear)
        networks.until(lambda: askings.ended(dear.market), 20)
        outcome = askings.ended(dear.market)
        assert not outcome.opened and "it takes 69324.71 credits" in outcome.sentence and "free ones" in outcome.sentence
        assert not state_of(room).markets
