"""Somebody who takes no part reads the market's pages from members, and says when these are not all."""

from __future__ import annotations

import contextlib

import networks
from test_market_network import all_at, facts_from, open_market, rooms

from swarm.market import feeds as feeding
from swarm.market import page as pages
from swarm.market.feeds import Feeds


def test_a_stranger_reads_all_pages_that_members_have_and_keeps_them(tmp_path, monkeypatch):
    with rooms(tmp_path, "host", "ann") as (all_, clock):
        host, ann = all_.values()
        markets = [open_market(host, "host", nonce=n) for n in range(3)]
        networks.until(lambda: all(all_at("OPEN", market, host, ann) for market in markets), 40, "both have the markets")
        facts = facts_from(host.facts.start, host=host.network.peer, ann=ann.network.peer)
        stranger = networks.network(tmp_path / "stranger", tuple(host.network.addresses()[:1]), client=True)
        with networks.started(stranger):
            with contextlib.closing(Feeds(tmp_path / "pages", facts)) as read:
                assert read.read(stranger, 60.0)
                assert {page.market for data in read.pages() if isinstance(page := pages.read(data, facts.domain), pages.Opening)} == set(markets)
            with contextlib.closing(Feeds(tmp_path / "pages", facts)) as again:
                assert len(again.pages()) >= 3
            monkeypatch.setattr(feeding, "MOST", 2)
            with contextlib.closing(Feeds(tmp_path / "few", facts)) as few:
                assert not few.read(stranger, 10.0) and len(few.pages()) == 2


def test_nobody_there_is_not_all_pages(tmp_path):
    alone = networks.network(tmp_path / "alone")
    with networks.started(alone), contextlib.closing(Feeds(tmp_path / "pages", facts_from(10**9))) as read:
        assert not read.read(alone, 1.0) and not read.pages()
