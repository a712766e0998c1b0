"""The local market chain belongs to nobody: whoever is left goes on with it, at the same address and with the same state."""

from __future__ import annotations

import time

import pytest

from swarm import keys
from swarm.chain.values import WEI
from swarm.errors import ChainRefused, StateError
from swarm.jobs.place import Keeper


def wait(condition, timeout_s=30.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_next_keeper_takes_the_chain_over_with_its_address_and_its_state(tmp_path):
    first, second = Keeper(tmp_path / "market", print), Keeper(tmp_path / "market", print)
    first.start()
    try:
        chain, secret = first.ready(), keys.new_secret()
        chain.send(secret, "credit", "faucet", 3 * WEI)  # the door gives it gas
        second.start()
        assert second.ready().link == chain.link and not second.hosting
        first.stop()
        assert chain.head().number > 0, "a command waits for the change of hands"
        wait(lambda: second.hosting)
        assert second.ready().link.url == chain.link.url
        assert chain.read("credit", "balanceOf", keys.address_of(secret)) == 3 * WEI
    finally:
        first.stop()
        second.stop()
    assert not second.hosting


def test_a_market_of_another_version_is_named_and_not_touched(tmp_path, monkeypatch):
    def refused(*args, **more):
        raise ChainRefused("the contract at 0x12 (market) is another version than this program's", "", "OtherCode")

    monkeypatch.setattr("swarm.chainhost.deploy.deploy", refused)
    keeper = Keeper(tmp_path / "market", print)
    keeper.start()
    try:
        with pytest.raises(StateError, match="is of another version of this program") as found:
            keeper.ready()
        assert "move that folder away" in found.value.hint
    finally:
        keeper.stop()


def test_a_chain_that_cannot_be_hosted_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr("swarm.chain.anvil.BINARY", tmp_path / "none")
    monkeypatch.setenv("PATH", "")
    keeper = Keeper(tmp_path / "market", print)
    keeper.start()
    try:
        with pytest.raises(Exception, match="anvil, the local chain, is not installed"):
            keeper.ready()
    finally:
        keeper.stop()
