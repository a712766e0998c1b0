"""Invites: round trip, and every way in which a hostile one is refused with a sentence."""

import base64
import dataclasses

import msgpack
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from swarm import addresses, invite
from swarm.chain.link import NAMES, ChainLink, Contracts
from swarm.chain.voucher import Voucher
from swarm.errors import InputError

PEER = "QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt"
HERE = f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}"
GOOD = invite.Invite(b"s" * 32, b"r" * 32, b"b" * 32, (HERE,))


def coded(value) -> str:
    body = value if isinstance(value, bytes) else msgpack.packb(value)
    return invite.PREFIX + base64.urlsafe_b64encode(body + blake3(body).digest(length=4)).decode()


def test_an_invite_survives_its_text():
    many = invite.Invite(
        b"s" * 32,
        b"r" * 32,
        b"b" * 32,
        (HERE, f"/ip6/2001:db8::1/udp/4001/quic-v1/p2p/{PEER}", f"/dns4/peer.example.org/tcp/443/p2p/{PEER}/p2p-circuit/p2p/{PEER}"),
    )
    assert invite.parse(many.text()) == many
    assert invite.parse(f"  {GOOD.text()}\n") == GOOD
    assert len(GOOD.text()) < 300


LINK = ChainLink(
    url="http://127.0.0.1:8545",
    chain_id=1_500_000_001,
    contracts=Contracts(**{name: "0x" + f"{place:02x}" * 20 for place, name in enumerate(NAMES, 1)}),
    embedded=True,
)
VOUCHER = Voucher(b"i" * 20, b"p" * 32, b"t" * 32, 1_900_000_000, b"v" * 65)


def test_chain_and_voucher_travel_along():
    whole = dataclasses.replace(GOOD, chain=LINK, voucher=VOUCHER)
    assert invite.parse(whole.text()) == whole and len(whole.text()) < 900


def test_the_longest_invite_is_read():
    longest = f"/dns4/{'x' * 100}.example/tcp/65535/p2p/{PEER}/p2p-circuit/p2p/{PEER}"
    longest = longest.replace("x" * 100, "x" * (100 + addresses.LONGEST - len(longest)))
    link = LINK.at("https://" + "x" * 504)
    whole = dataclasses.replace(GOOD, addresses=(longest,) * invite.MAX_ADDRESSES, chain=link, voucher=VOUCHER)
    assert len(longest) == addresses.LONGEST and invite.parse(whole.text()) == whole


ANY = st.none() | st.integers(-5, 5) | st.binary(max_size=140) | st.text(max_size=40) | st.booleans()


@given(st.recursive(ANY, lambda inner: st.lists(inner, max_size=6), max_leaves=8))
def test_hostile_chains_and_vouchers_get_one_sentence(value):
    for parts in ([value, None], [None, value], [LINK.compact(), value], [value, VOUCHER.compact()]):
        try:
            parsed = invite.parse(coded([2, b"s" * 32, b"r" * 32, b"b" * 32, [HERE], *parts]))
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert value is None and parsed.swarm == b"s" * 32


def test_a_chain_elsewhere_than_http_is_refused():
    for url in ("file:///etc/passwd", "http://a b", "javascript:1", "http://127.0.0.1:99999", "x" * 5000):
        with pytest.raises(InputError):
            invite.parse(coded([2, b"s" * 32, b"r" * 32, b"b" * 32, [HERE], [url, *LINK.compact()[1:]], None]))


def test_scope_says_who_can_dial():
    assert addresses.scope(HERE) == "loopback" and GOOD.local
    assert addresses.scope(f"/ip4/192.168.1.4/tcp/1/p2p/{PEER}") == "private"
    assert addresses.scope(f"/ip4/9.9.9.9/tcp/1/p2p/{PEER}") == "public"
    assert addresses.scope(f"/dns4/example.org/tcp/1/p2p/{PEER}") == "public"
    assert addresses.host_port(HERE) == ("127.0.0.1", 4001)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "does not start with"),
        ("https://example.org/join", "does not start with"),
        (invite.PREFIX + "A" * 9000, "at most 8192"),
        (invite.PREFIX + "!!!!", "characters"),
        (invite.PREFIX + "ä", "characters"),
        (GOOD.text()[:-3], "checksum"),
        (GOOD.text()[:30] + ("A" if GOOD.text()[30] != "A" else "B") + GOOD.text()[31:], "checksum"),
        (coded(b"\xc1"), "does not parse"),
        (coded(b"\x91" * 3000 + b"\x01"), "version|parse|at most"),
        (coded([3, b"s" * 32, b"r" * 32, b"b" * 32, [HERE]]), "version 3"),
        (coded([True, b"s" * 32, b"r" * 32, b"b" * 32, [HERE]]), "version"),
        (coded("hello"), "version unknown"),
        (coded([2, b"s" * 32]), "form"),
        (coded([2, b"s" * 32, b"r" * 32, b"b" * 32, [1], None, None]), "form"),
        (coded([2, b"s" * 31, b"r" * 32, b"b" * 32, [HERE], None, None]), "swarm is not 32 bytes"),
        (coded([2, "s" * 32, b"r" * 32, b"b" * 32, [HERE], None, None]), "swarm is not 32 bytes"),
        (coded([2, b"s" * 32, b"r" * 32, b"b" * 32, [], None, None]), "0 addresses"),
        (coded([2, b"s" * 32, b"r" * 32, b"b" * 32, [HERE] * 17, None, None]), "17 addresses"),
        (coded([2, b"s" * 32, b"r" * 32, b"b" * 32, ["/unix/etc/passwd"], None, None]), "not an address"),
        (coded([2, b"s" * 32, b"r" * 32, b"b" * 32, ["\x1b[2J" + HERE], None, None]), "not an address"),
        (coded([2, b"s" * 32, b"r" * 32, b"b" * 32, [HERE.replace("4001", "70000")], None, None]), "not an address"),
        (coded([2, b"s" * 32, b"r" * 32, b"b" * 32, [HERE.replace("127.0.0.1", "999.0.0.1")], None, None]), "not an address"),
        (coded([2, b"s" * 32, b"r" * 32, b"b" * 32, [HERE + "/" + "x" * 400], None, None]), "not an address"),
    ],
)
def test_a_hostile_invite_gets_one_sentence(text, says):
    with pytest.raises(InputError, match=says) as caught:
        invite.parse(text)
    assert caught.value.hint and "\n" not in str(caught.value) and str(caught.value).isprintable()


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_escape_as_another_error(data):
    with pytest.raises(InputError):
        invite.parse(coded(data))


SCALARS = st.none() | st.integers(-5, 5) | st.binary(max_size=40) | st.text(max_size=20)


@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=7), max_leaves=12))
def test_arbitrary_values_never_escape_as_another_error(value):
    with pytest.raises(InputError):
        invite.parse(coded([2, b"s" * 32, b"r" * 32, b"b" * 32, value, None, None]))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0", "/ip4/0.0.0.0/tcp/0"),
        ("203.0.113.7:4001", "/ip4/203.0.113.7/tcp/4001"),
        ("[::1]:4001", "/ip6/::1/tcp/4001"),
        ("peer.example.org:4001", "/dns4/peer.example.org/tcp/4001"),
        ("/ip4/0.0.0.0/tcp/7", "/ip4/0.0.0.0/tcp/7"),
    ],
)
def test_short_addresses_become_multiaddresses(text, address):
    assert addresses.listening(text, "--listen") == address


@pytest.mark.parametrize("text", ["", "1.2.3", "::1", "0.0.0.0:70000", "/ip4/0.0.0.0", "a b:1", "/unix/x", "\x1b[2J"])
def test_a_wrong_listening_address_is_named(text):
    with pytest.raises(InputError, match="--listen"):
        addresses.listening(text, "--listen")
