"""Whether the contracts at a link's addresses are the ones this program was made for, wired to each other and to nothing else.

A contract's code on chain equals the compiled one but for its immutables (the addresses of the other contracts). What
those must be is found by letting the chain run the constructor once more, as a call that leaves nothing behind.
"""

from __future__ import annotations

from swarm.chain import contracts
from swarm.chain.abi import raw
from swarm.chain.link import NAMES, ChainLink
from swarm.chain.rpc import Rpc, RpcError
from swarm.errors import ChainRefused

_PUSH32 = 0x7F
_HINT = "check the file given with --contracts; `swarm chain deploy` puts this version's contracts on a chain"


def check(rpc: Rpc, link: ChainLink) -> str:
    """The kind of the beacon, all contracts being right. Raises ChainRefused naming what is wrong with which address."""
    if (found := int(rpc.call("eth_chainId"), 16)) != link.chain_id:
        raise ChainRefused(f"the chain at {rpc.name} is {found}, expected {link.chain_id}", "check --rpc and --contracts", "WrongChain")
    places = {name: bytes.fromhex(getattr(link.contracts, name)[2:]) for name in NAMES}
    kind = ""
    for role in NAMES:
        code = raw(rpc.call("eth_getCode", getattr(link.contracts, role), "latest"))
        if not code:
            raise ChainRefused(f"there is no contract at {getattr(link.contracts, role)} ({role})", _HINT, "NoCode")
        if role == "beacon":
            kind = next((each for each in contracts.BEACONS if _same(contracts.artifact(contracts.BEACONS[each]).runtime, code)), "")
        if role == "credit" and not _same(contracts.artifact("Credit").runtime, code):
            continue  # any ERC-20 may stand in its place
        if role == "beacon" and kind == "drand":
            continue  # its constructor's arguments are not known here: its public key is read and shown instead
        _check(rpc, link, role, kind, places, code)
    return kind


def _check(rpc: Rpc, link: ChainLink, role: str, kind: str, places: dict[str, bytes], code: bytes) -> None:
    where = getattr(link.contracts, role)
    if role == "beacon" and not kind or not _same(contracts.artifact(contracts.kind_of(role, kind)).runtime, code):
        raise ChainRefused(f"the contract at {where} ({role}) is another version than this program's", _HINT, "OtherCode")
    shipped = contracts.artifact(contracts.kind_of(role, kind)).runtime
    if not (spots := immutables(shipped)):
        return
    try:
        data = "0x" + contracts.creation(role, places, kind).hex()
        expected = raw(rpc.call("eth_call", {"data": data}, "latest"))
    except RpcError as error:
        raise ChainRefused(f"the contract at {where} ({role}) cannot be checked: the chain says {error}", _HINT, "Unchecked") from None
    own = _own(places[role], link.chain_id, [expected[at : at + 32] for at in spots])
    if any(code[at : at + 32] not in (expected[at : at + 32], *own) for at in spots):
        raise ChainRefused(f"the contract at {where} ({role}) is wired to other contracts than the link names", _HINT, "OtherWiring")


def immutables(runtime: bytes) -> list[int]:
    """Where compiled code leaves 32 zero bytes after a PUSH32, to be filled in by the constructor."""
    found, at = [], 0
    while at < len(runtime):
        if runtime[at] == _PUSH32 and runtime[at + 1 : at + 33] == bytes(32):
            found.append(at + 1)
        at += 1 + (runtime[at] - 0x5F if 0x60 <= runtime[at] <= _PUSH32 else 0)
    return found


def _same(shipped: bytes, code: bytes) -> bool:
    """Whether code on chain is the shipped one, immutables aside."""
    if len(shipped) != len(code):
        return False
    blank = bytearray(code)
    for at in immutables(shipped):
        blank[at : at + 32] = bytes(32)
    return bytes(blank) == shipped


def _own(address: bytes, chain_id: int, words: list[bytes]) -> list[bytes]:
    """Immutables that depend on the contract's own address: that address, and its EIP-712 domain separator over any two of its words."""
    from swarm import keys

    domain = keys.keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    tail = chain_id.to_bytes(32, "big") + address.rjust(32, b"\0")
    return [address.rjust(32, b"\0"), *(keys.keccak(domain, one, two, tail) for one in set(words) for two in set(words))]
