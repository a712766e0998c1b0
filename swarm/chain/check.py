"""Whether the contracts at a link's addresses are the ones this program was made for, wired to each other and to nothing else.

A contract's code on chain equals the compiled one but for its immutables, the addresses of the other contracts. What
those must be is found by letting the chain run the constructor once more, as a call that leaves nothing behind. Where
a constructor checks its own address, which differs in such a call, all places of one immutable must hold the same
value, and what the contract shows of them must be the link's addresses.
"""

from __future__ import annotations

from swarm import keys
from swarm.chain import contracts
from swarm.chain.abi import decode, encode, raw, selector
from swarm.chain.contracts import Artifact
from swarm.chain.link import NAMES, ChainLink
from swarm.chain.rpc import Rpc, RpcError
from swarm.errors import ChainRefused

_HINT = "check the file given with --contracts; `swarm chain deploy` puts this version's contracts on a chain"
_DOMAIN = keys.keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_ANY = "0x" + "00" * 20


def check(rpc: Rpc, link: ChainLink) -> str:
    """The kind of the beacon, all contracts being right. Raises ChainRefused naming what is wrong with which address."""
    if (found := int(rpc.call("eth_chainId"), 16)) != link.chain_id:
        raise ChainRefused(f"the chain at {rpc.name} is {found}, expected {link.chain_id}", "check --rpc and --contracts", "WrongChain")
    codes = {role: raw(rpc.call("eth_getCode", getattr(link.contracts, role), "latest")) for role in NAMES}
    for role, code in codes.items():
        if not code:
            raise ChainRefused(f"there is no contract at {getattr(link.contracts, role)} ({role})", _HINT, "NoCode")
    kind = next((each for each, name in contracts.BEACONS.items() if _same(contracts.artifact(name), codes["beacon"])), "")
    for role, code in codes.items():
        if role == "credit" and not _same(contracts.artifact("Credit"), code):
            continue  # any ERC-20 may stand in its place
        made = contracts.artifact(contracts.kind_of(role, kind or "commit-reveal"))
        if not _same(made, code):
            what = f"the contract at {getattr(link.contracts, role)} ({role}) is another version than this program's"
            raise ChainRefused(what, _HINT, "OtherCode")
        if made.immutables and not _wired(rpc, link, role, kind, code):
            what = f"the contract at {getattr(link.contracts, role)} ({role}) is wired to other contracts than the link names"
            raise ChainRefused(what, _HINT, "OtherWiring")
    return kind


def is_credit(rpc: Rpc, link: ChainLink) -> bool:
    """Whether the token is this version's Credit, which gives to all who ask: stake in it is not scarce."""
    return _same(contracts.artifact("Credit"), raw(rpc.call("eth_getCode", link.contracts.credit, "latest")))


def _same(made: Artifact, code: bytes) -> bool:
    """Whether code on chain is the shipped one, immutables aside."""
    if len(made.runtime) != len(code):
        return False
    blank = bytearray(code)
    for at in _places(made):
        blank[at : at + 32] = bytes(32)
    return bytes(blank) == made.runtime


def _wired(rpc: Rpc, link: ChainLink, role: str, kind: str, code: bytes) -> bool:
    made, places = contracts.artifact(contracts.kind_of(role, kind)), link.contracts.places
    if any(len({code[at : at + 32] for at in group}) != 1 for group in made.immutables):
        return False
    if not _shown(rpc, link, role, made):
        return False
    if role == "beacon" and kind == "drand":
        return True  # its public key is a choice, not a part of the link
    try:
        data = "0x" + contracts.creation(role, places, kind).hex()
        expected = raw(rpc.call("eth_call", {"data": data}, "latest"))
    except RpcError:  # the constructor checks its own address
        return all(code[at : at + 32][12:] in places.values() for at in _places(made))
    own = _own(places[role], link.chain_id, [expected[at : at + 32] for at in _places(made)])
    return all(code[at : at + 32] in (expected[at : at + 32], *own) for at in _places(made))


def _shown(rpc: Rpc, link: ChainLink, role: str, made: Artifact) -> bool:
    """Whether every address of another contract that this one shows is the link's."""
    for entry in made.abi.entries:
        if entry["type"] == "function" and entry["name"] in NAMES and not entry["inputs"]:
            data = "0x" + (selector(entry) + encode([], [], entry["name"])).hex()
            answer = raw(rpc.call("eth_call", {"from": _ANY, "to": getattr(link.contracts, role), "data": data}, "latest"))
            if decode(entry["outputs"], answer)[0] != link.contracts.places[entry["name"]]:
                return False
    return True


def _places(made: Artifact) -> list[int]:
    return [at for group in made.immutables for at in group]


def _own(address: bytes, chain_id: int, words: list[bytes]) -> list[bytes]:
    """Immutables that depend on the contract's own address: that address, and its EIP-712 domain separator over any two of its words."""
    tail = chain_id.to_bytes(32, "big") + address.rjust(32, b"\0")
    return [address.rjust(32, b"\0"), *(keys.keccak(_DOMAIN, one, two, tail) for one in set(words) for two in set(words))]
