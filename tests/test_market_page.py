"""Pages: what a reader takes, and what each kind of hostile page is refused for."""

from __future__ import annotations

import msgpack
import pytest
from courts import address, key
from markets import DOMAIN, START, account, opening, phase, sign, trade

from judge import events, manifest
from judge.errors import Refused
from judge.manifest import Manifest
from judge.terms import CREDIT
from swarm.market import page as pages

MARKET = opening("host", START).market


def refused(reason: str, data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        pages.read(data, DOMAIN)
    assert caught.value.reason == reason, caught.value.sentence
    return caught.value.sentence


def raw(kind: str, *rest) -> bytes:
    return msgpack.packb([1, kind, *rest])


def test_what_is_written_is_read_again():
    made = [opening("host", START), phase("host", MARKET, "OPEN", 1, [trade(MARKET, "ann", START + 1)])]
    made.append(account(sign(events.Stake, "ann", START, amount=CREDIT), sign(events.Claim, "ann", START, market=MARKET)))
    for page in made:
        again = pages.read(page.data, DOMAIN)
        assert type(again) is type(page) and again.digest == page.digest and again.data == page.data
    assert made[0].texts == ("answer one of 1", "answer two of 1", "") and made[1].signer == address("host") and made[2].actor == address("ann")


def test_oversize_comes_before_everything_else():
    assert "at most" in refused("oversize", bytes(pages.PAGE_BYTES + 1))
    refused("oversize", raw("account", [bytes(pages.ACCOUNT_BYTES)]))
    refused("oversize", raw("open", b"", b"", ["x" * pages.OPENING_BYTES]))


@pytest.mark.parametrize("data", [b"", b"\x90", b"\xc1", b"\x94" * 5000, *map(msgpack.packb, ({}, [1], [1, "song", 1], [1, 7, []]))])
def test_what_is_no_page_is_malformed(data):
    refused("malformed", data)


def test_a_page_of_another_version_or_not_canonical_is_malformed():
    page = account(sign(events.Stake, "ann", START, amount=CREDIT))
    value = msgpack.unpackb(page.data)
    refused("malformed", msgpack.packb([2, *value[1:]]))
    refused("malformed", page.data + b"\0")
    refused("malformed", b"\xdc\x00\x03" + page.data[1:])  # the same list, its length in more bytes
    refused("malformed", raw("account", [], []))


def test_a_phase_has_the_entries_of_its_manifest_and_no_others():
    one, other = trade(MARKET, "ann", START + 1), trade(MARKET, "ben", START + 1)
    said = manifest.sign(Manifest(MARKET, "OPEN", 1, (one.id,)), DOMAIN, key("host")[0])
    assert pages.read(raw("phase", said, [one.data]), DOMAIN)
    refused("mismatch", raw("phase", said, [other.data]))
    refused("mismatch", raw("phase", said, [one.data, other.data]))
    refused("mismatch", raw("phase", said, []))
    twice = manifest.sign(Manifest(MARKET, "OPEN", 1, (one.id, one.id)), DOMAIN, key("host")[0])
    refused("duplicate", raw("phase", twice, [one.data, one.data]))


def test_a_phase_with_an_entry_of_another_market_or_kind_is_refused():
    foreign = trade(bytes(32), "ann", START + 1)
    refused("mismatch", raw("phase", manifest.sign(Manifest(MARKET, "OPEN", 1, (foreign.id,)), DOMAIN, key("host")[0]), [foreign.data]))
    claim = sign(events.Claim, "ann", START, market=MARKET)
    refused("malformed", raw("phase", manifest.sign(Manifest(MARKET, "OPEN", 1, (claim.id,)), DOMAIN, key("host")[0]), [claim.data]))
    late = trade(MARKET, "ann", START)
    refused("malformed", raw("phase", manifest.sign(Manifest(MARKET, "REVEAL", 0, (late.id,)), DOMAIN, key("host")[0]), [late.data]))
    clock = events.write(events.Settle(t=START, market=MARKET), DOMAIN)
    refused("malformed", raw("phase", manifest.sign(Manifest(MARKET, "OPEN", 1, (clock.id,)), DOMAIN, key("host")[0]), [clock.data]))


def test_a_phase_that_nobody_signed_is_refused():
    one = trade(MARKET, "ann", START + 1)
    refused("signature", raw("phase", Manifest(MARKET, "OPEN", 1, (one.id,)).payload() + bytes(65), [one.data]))


def test_an_opening_shows_the_texts_that_it_names_and_is_of_one_operator():
    good = opening("host", START)
    open, fund, texts = good.open, good.fund, list(good.texts)
    refused("mismatch", raw("open", open.data, fund.data, ["another answer", *texts[1:]]))
    refused("mismatch", raw("open", open.data, fund.data, [*texts[:2], "none"]))
    refused("malformed", raw("open", open.data, fund.data, texts[:2]))
    refused("mismatch", raw("open", open.data, opening("host", START, nonce=2).fund.data, texts))
    refused("mismatch", raw("open", open.data, sign(events.Fund, "ann", START, market=good.market).data, texts))
    refused("mismatch", raw("open", open.data, sign(events.Fund, "host", START - 1, market=good.market).data, texts))
    long = "x" * (pages.TEXT_BYTES + 1)
    refused("oversize", raw("open", open.data, fund.data, [long, *texts[1:]]))


def test_an_account_page_is_of_one_operator_and_signed():
    stake = sign(events.Stake, "ann", START, amount=CREDIT)
    refused("mismatch", raw("account", [stake.data, sign(events.Stake, "ben", START, amount=CREDIT).data]))
    refused("duplicate", raw("account", [stake.data, stake.data]))
    refused("malformed", raw("account", [trade(MARKET, "ann", START).data]))
    refused("signature", raw("account", [stake.data[:2] + bytes(65) + stake.data[67:]]))


def test_a_page_of_another_swarm_has_other_ids():
    page = phase("host", MARKET, "OPEN", 1, [trade(MARKET, "ann", START + 1)])
    with pytest.raises(Refused):
        pages.read(page.data, DOMAIN + 1)
