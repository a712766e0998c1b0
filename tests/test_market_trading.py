"""A node's own trading, with the real base model, over rooms on real networks on loopback."""

from __future__ import annotations

from dataclasses import replace

import networks
import pytest
from courts import address
from proofs import parts
from test_market_network import rooms, state_of

from judge.market import OPEN, RUNNING, SETTLED
from judge.terms import CREDIT
from swarm import seeds
from swarm.author import Author, Draft
from swarm.groups import Group, Rollout
from swarm.market import questions
from swarm.market.questions import Scorer
from swarm.market.trading import Trading
from swarm.sections import Judge


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    return parts(tmp_path_factory.mktemp("stages"))[0]


def answers(stages, peer: bytes, operator: bytes, round: int, count: int) -> list[Group]:
    """Groups that the base model wrote under the recipe's hash as its epoch seed."""
    stages.epoch_seed = stages.recipe.hash
    groups = [Group("answer", peer, round, index, (), specialty=0, seed=stages.epoch_seed) for index in range(count)]
    return Author(stages, seeds.author(operator, peer)).write([Draft(group, stages.question(group)) for group in groups], round)


def trading(room, stages, name: str, rules: Judge) -> Trading:
    scorer = Scorer(stages, room.facts.peers, lambda t: [stages.recipe.hash])
    room._tape._scorer = scorer  # the rooms of these tests were made before there was a model
    return Trading(room, stages, scorer, address(name), rules)


def critiques(room, host) -> list[Group]:
    """That the first answer of every market of `host` is wrong, as most of three critiques say."""
    with room.reading() as state:
        shown = [room.texts(market) for market in state.markets]
    said = [Rollout(text, (1,), (0.0,), True, label) for text, label in (("", 1), ("look at\x1b the carry", 0), ("look at the carry", 0))]
    places = [(questions.place_of(opening.nonce), texts[0]) for opening, texts in shown]
    about = [Group("critique", host.network.peer, round, index, tuple(said), answer=first, specialty=0) for (round, index, _), first in places]
    return [*about, replace(about[0], answer="what no market shows"), replace(about[0], asker=bytes(32))]


@pytest.mark.timeout(240)
def test_a_node_opens_markets_about_its_answers_and_another_stakes_bids_learns_and_claims(tmp_path, stages):
    rules = Judge(profile="local", opens=4, open_most=5, panels=1, stake=100, model="base", model_digest="0" * 64)
    with rooms(tmp_path, "host", "ann") as (all_, _):
        host, ann = all_["host"], all_["ann"]
        asker, bidder = trading(host, stages, "host", rules), trading(ann, stages, "ann", rules)
        networks.until(lambda: address("host") in state_of(host).operators and address("ann") in state_of(ann).operators, 20)
        groups, later = (answers(stages, host.network.peer, address("host"), round, count) for round, count in ((1, 6), (2, 3)))
        asker.ask(replace(group, rollouts=group.rollouts[:1] * 8) for group in groups)
        assert not state_of(host).markets, "nothing to choose between"
        asker.ask(groups)
        networks.until(lambda: len(state_of(ann).markets) == 4, 30, "four markets, as the recipe says, and they reach the other")
        by_panel = [one.id for one in state_of(ann).markets.values() if one.kind == "P"]
        assert len(by_panel) == 1, "a quarter of them for a panel"
        bidder.testify(critiques(ann, host))
        bidder.look()
        asker.look()
        asker.ask(later)
        networks.until(lambda: len(state_of(host).markets) > 4, 30, "another one")
        assert sum(one.phase in RUNNING for one in state_of(host).markets.values()) <= 5, "no more of its own run at once than the recipe says"
        networks.until(lambda: all(one.phase == SETTLED for one in state_of(ann).markets.values()), 60, "settled by the scorer")
        state = state_of(ann)
        assert bidder.bids and not asker.bids, "nobody bids in its own market"
        assert state.operators[address("ann")].stake == 100 * CREDIT
        seen = [one for one in state.markets.values() if address("ann") in one.forecasts]
        assert seen and all(sum(one.forecasts[address("ann")].chances) == 10_000 for one in seen)
        for one in state.markets.values():
            turned = {one.pieces[id].status for id in one.pieces} == {"accepted"}
            assert not one.pieces or turned == (one.verdict.choice != 0), "the first answer was called wrong"
            assert not any(piece.stake for piece in one.pieces.values()) and (not one.pieces or one.id not in by_panel)
        assert sum(len(one.pieces) for one in state.markets.values()) == bidder.testimony.brought == 3
        judged = state.markets[by_panel[0]]
        assert address("ann") in judged.forecasts and address("ann") not in judged.traders, "who trades cannot judge"
        assert judged.verdict.by == "code", "there were too few judges"
        winning = [one.id for one in state.markets.values() if one.owed(address("ann"))]
        bidder.look()
        assert len(bidder.history) == len([one for one in seen if one.id not in by_panel])
        networks.until(lambda: not any(state_of(ann).markets[id].owed(address("ann")) for id in winning), 30, "what was won is claimed")
        networks.until(lambda: state_of(host).root() == state_of(ann).root(), 30, "both have the same state")


@pytest.mark.timeout(120)
def test_a_node_without_credits_opens_nothing_and_one_that_knows_nobody_bids_nothing(tmp_path, stages):
    rules = Judge(profile="local", b0=100_000)
    with rooms(tmp_path, "host") as (all_, _):
        host = all_["host"]
        asker = trading(host, stages, "host", rules)
        asker.look()
        networks.until(lambda: address("host") in state_of(host).operators, 20)
        asker.ask(answers(stages, host.network.peer, address("host"), 1, 3))
        assert not host._store.pages() and not any(one.phase == OPEN for one in state_of(host).markets.values())
