"""A node's own trading, with the real base model, over rooms on real networks on loopback."""

from __future__ import annotations

from dataclasses import replace

import networks
import pytest
from courts import address
from proofs import parts
from test_market_network import rooms, state_of

from judge.market import OPEN, SETTLED
from judge.terms import CREDIT
from swarm import seeds
from swarm.author import Author, Draft
from swarm.groups import Group
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


@pytest.mark.timeout(240)
def test_a_node_opens_markets_about_its_answers_and_another_stakes_bids_learns_and_claims(tmp_path, stages):
    rules = Judge(profile="local", opens=3, open_most=4, stake=100)
    with rooms(tmp_path, "host", "ann") as (all_, _):
        host, ann = all_["host"], all_["ann"]
        asker, bidder = trading(host, stages, "host", rules), trading(ann, stages, "ann", rules)
        networks.until(lambda: address("host") in state_of(host).operators and address("ann") in state_of(ann).operators, 20)
        groups, later = (answers(stages, host.network.peer, address("host"), round, count) for round, count in ((1, 6), (2, 3)))
        asker.ask(replace(group, rollouts=group.rollouts[:1] * 8) for group in groups)
        assert not state_of(host).markets, "nothing to choose between"
        asker.ask(groups)
        networks.until(lambda: len(state_of(ann).markets) == 3, 30, "three markets, as the recipe says, and they reach the other")
        bidder.look()
        asker.look()
        asker.ask(later)
        networks.until(lambda: len(state_of(host).markets) == 4, 30, "no more of its own run at once than the recipe says")
        networks.until(lambda: all(one.phase == SETTLED for one in state_of(ann).markets.values()), 60, "settled by the scorer")
        state = state_of(ann)
        assert bidder.bids and not asker.bids, "nobody bids in its own market"
        assert state.operators[address("ann")].stake == 100 * CREDIT
        seen = [one for one in state.markets.values() if address("ann") in one.forecasts]
        assert seen and all(sum(one.forecasts[address("ann")].chances) == 10_000 for one in seen)
        winning = [one.id for one in state.markets.values() if one.owed(address("ann"))]
        bidder.look()
        assert len(bidder.history) == len(seen)
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
