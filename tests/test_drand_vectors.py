"""The drand rounds recorded in contracts/test, checked with an implementation that shares nothing with the contract (py-ecc).

The Solidity tests are the only place where the recorded values stand; this file reads them there, so a wrong digit fails here even
where the contract would agree with it.
"""
import re
from hashlib import sha256
from pathlib import Path

import pytest
from py_ecc.bls.g2_primitives import subgroup_check
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import decompress_G1, decompress_G2
from py_ecc.optimized_bls12_381 import FQ2, G2, neg, normalize, pairing

TAG = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
CONTRACTS = Path(__file__).parent.parent / "contracts"
VECTORS = (CONTRACTS / "test" / "DrandVectors.t.sol").read_text()
RECORD = re.compile(r'round: (\d+),\s*compressed: hex"(\w+)",\s*randomness: 0x(\w+),\s*point: ((?:hex"\w+"\s*)+)')
KEY = re.compile(r'Compressed: (\w+)\s*/// (\w+)\s*bytes internal constant (\w+)_KEY =\s*((?:hex"\w+"\s*)+)')


def joined(literals: str) -> bytes:
    return bytes.fromhex("".join(re.findall(r'hex"(\w+)"', literals)))


def encoded(point) -> bytes:
    """`point` as the precompiles of EIP-2537 want it: each number of the base field in 64 bytes."""
    numbers = [number for half in normalize(point) for number in (half.coeffs if isinstance(half, FQ2) else (half,))]
    return b"".join(int(number).to_bytes(64, "big") for number in numbers)


def keys() -> dict[str, tuple[bytes, bytes]]:
    """Per network the public key compressed and uncompressed."""
    return {name: (bytes.fromhex(x1 + x0), joined(point)) for x1, x0, name, point in KEY.findall(VECTORS)}


def rounds() -> list[tuple[str, int, bytes, bytes, bytes]]:
    """Network, round, compressed signature, randomness, uncompressed signature."""
    quicknet, walkthrough = VECTORS.split("function walkthrough()")
    return [(network, int(number), bytes.fromhex(signature), bytes.fromhex(randomness), joined(point))
            for network, text in (("QUICKNET", quicknet), ("WALKTHROUGH", walkthrough))
            for number, signature, randomness, point in RECORD.findall(text)]


def key_point(compressed: bytes):
    return decompress_G2((int.from_bytes(compressed[:48], "big"), int.from_bytes(compressed[48:], "big")))


def test_vectors_are_all_read():
    assert sorted(keys()) == ["QUICKNET", "WALKTHROUGH"]
    assert len(rounds()) == VECTORS.count("randomness: ") == 8


@pytest.mark.parametrize("network", ["QUICKNET", "WALKTHROUGH"])
def test_public_key_is_a_point_of_the_subgroup(network):
    compressed, point = keys()[network]
    assert subgroup_check(key_point(compressed))
    assert encoded(key_point(compressed)) == point


def test_documented_quicknet_key_is_the_recorded_one():
    text = (CONTRACTS / "src" / "beacon" / "DrandBeacon.sol").read_text()
    documented = re.findall(r"///\s+([0-9a-f]{96})\n", text)
    compressed, point = keys()["QUICKNET"]
    assert "".join(documented[:2]) == compressed.hex()
    assert [number.rjust(128, "0") for number in documented[2:]] == [point[at:at + 64].hex() for at in (128, 192)]


@pytest.mark.parametrize("network, number, signature, randomness, point", rounds(), ids=lambda value: str(value)[:12])
def test_recorded_round_is_genuine(network, number, signature, randomness, point):
    sigma = decompress_G1(int.from_bytes(signature, "big"))
    message = hash_to_G1(sha256(number.to_bytes(8, "big")).digest(), TAG, sha256)
    assert subgroup_check(sigma)
    assert pairing(key_point(keys()[network][0]), message) == pairing(G2, sigma)
    assert encoded(sigma) == point
    assert sha256(signature).digest() == randomness


def test_expected_hashes_to_the_curve():
    text = (CONTRACTS / "test" / "DrandBls.t.sol").read_text()
    expected = re.findall(r'_expectHash\(\s*"(\w*)",\s*((?:hex"\w+"\s*)+)', text)
    assert len(expected) == 2
    for message, point in expected:
        assert encoded(hash_to_G1(message.encode(), TAG, sha256)) == joined(point)


def test_negated_generator_of_the_contract():
    text = (CONTRACTS / "src" / "lib" / "Bls12381.sol").read_text()
    halves = re.findall(r"[xy][01]: Fp\(0x(\w{32}), 0x(\w{64})\)", text)
    assert "".join(hi.rjust(64, "0") + lo for hi, lo in halves) == encoded(neg(G2)).hex()
