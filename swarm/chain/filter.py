"""What others may ask the local chain, and how much of it: reading, sending what they signed, and gas to start with.

anvil obeys a hundred other methods that rewrite the chain. So a call passes only if its method is listed here and its
arguments have the form named beside it; it is then written anew from what was understood.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

MAX_LOG_BLOCKS = 10_000
MAX_GAS = 30_000_000  # of one call that only reads: a tenth of a second or two
MAX_DATA = 2 * 131_072 + 2  # hex digits of a signed transaction or of a call's data
FUND = "swarm_fund"  # [address]: our own, see proxy.py

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,16}")
_WORDS = ("latest", "pending", "safe", "finalized", "earliest")
_CALL = {"from", "to", "data", "input", "value", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "nonce", "type", "chainId"}


class NotAllowed(ValueError):
    """A call that does not pass; the text says why, for its sender."""


def check(method: Any, params: Any, height: Callable[[], int]) -> list[Any]:
    """The arguments to pass on. `height` is asked only for ranges that end at a word. Raises NotAllowed."""
    if type(method) is not str or method not in _FORMS:
        raise NotAllowed("this method is not served here: only reading and eth_sendRawTransaction")
    if type(params) is not list:
        raise NotAllowed("params must be a list")
    form, least = _FORMS[method]
    if not least <= len(params) <= len(form):
        raise NotAllowed(f"{method} takes {least} to {len(form)} parameters here, not {len(params)}")
    if not all(fits(value) for fits, value in zip(form, params, strict=False)):
        raise NotAllowed(f"a parameter of {method} has another form than is served here")
    if method == "eth_getLogs":
        _check_range(params[0], height)
    return params


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and pattern.fullmatch(value) is not None


_address, _hash, _number = _matches(_ADDRESS), _matches(_HASH), _matches(_NUMBER)


def _block(value: Any) -> bool:
    return type(value) is str and (value in _WORDS or _number(value))


def _flag(value: Any) -> bool:
    return type(value) is bool


def _data(value: Any) -> bool:
    return type(value) is str and len(value) <= MAX_DATA and re.fullmatch(r"0x(?:[0-9a-fA-F]{2})*", value) is not None


def _call(value: Any) -> bool:
    if type(value) is not dict or not value.keys() <= _CALL:
        return False
    addresses = all(value.get(key) is None or _address(value[key]) for key in ("from", "to"))
    datas = all(value.get(key) is None or _data(value[key]) for key in ("data", "input"))
    numbers = all(value.get(key) is None or _word(value[key]) for key in _CALL - {"from", "to", "data", "input"})
    return addresses and datas and numbers and (value.get("gas") is None or int(value["gas"], 16) <= MAX_GAS)


def _word(value: Any) -> bool:
    return type(value) is str and re.fullmatch(r"0x[0-9a-fA-F]{1,64}", value) is not None


def _logs(value: Any) -> bool:
    if type(value) is not dict or not value.keys() <= {"fromBlock", "toBlock", "address", "topics", "blockHash"}:
        return False
    who, topics = value.get("address", []), value.get("topics", [])
    whose = [who] if type(who) is str else who
    good = type(whose) is list and len(whose) <= 16 and all(map(_address, whose)) and type(topics) is list and len(topics) <= 4
    return good and all(map(_topic, topics)) and all(_block(value[key]) for key in ("fromBlock", "toBlock") if key in value) and _by_hash(value)


def _by_hash(value: dict[str, Any]) -> bool:
    return "blockHash" not in value or (_hash(value["blockHash"]) and "fromBlock" not in value and "toBlock" not in value)


def _topic(value: Any) -> bool:
    return value is None or _hash(value) or (type(value) is list and len(value) <= 64 and all(map(_hash, value)))


def _check_range(value: dict[str, Any], height: Callable[[], int]) -> None:
    if "blockHash" in value:
        return
    first, last = (_height(value.get(key, "latest"), height) for key in ("fromBlock", "toBlock"))
    if last - first >= MAX_LOG_BLOCKS:
        raise NotAllowed(f"eth_getLogs over {last - first + 1} blocks; at most {MAX_LOG_BLOCKS} at once")


def _height(value: str, height: Callable[[], int]) -> int:
    return int(value, 16) if value.startswith("0x") else 0 if value == "earliest" else height()


def _blocks(value: Any) -> bool:
    return (_number(value) and int(value, 16) <= 64) or (type(value) is int and 0 < value <= 64)


def _shares(value: Any) -> bool:
    return value is None or (type(value) is list and len(value) <= 8 and all(type(share) in (int, float) and 0 <= share <= 100 for share in value))


# method: (form of each parameter, how many there must be)
_FORMS: dict[str, tuple[tuple[Callable[[Any], bool], ...], int]] = {
    "eth_chainId": ((), 0),
    "eth_blockNumber": ((), 0),
    "eth_gasPrice": ((), 0),
    "eth_maxPriorityFeePerGas": ((), 0),
    "net_version": ((), 0),
    "web3_clientVersion": ((), 0),
    "eth_getBlockByNumber": ((_block, _flag), 1),
    "eth_getBlockByHash": ((_hash, _flag), 1),
    "eth_call": ((_call, _block), 1),  # no third: it would be state overrides
    "eth_estimateGas": ((_call, _block), 1),
    "eth_getLogs": ((_logs,), 1),
    "eth_getTransactionReceipt": ((_hash,), 1),
    "eth_getTransactionByHash": ((_hash,), 1),
    "eth_getTransactionCount": ((_address, _block), 1),
    "eth_getBalance": ((_address, _block), 1),
    "eth_getCode": ((_address, _block), 1),
    "eth_feeHistory": ((_blocks, _block, _shares), 2),
    "eth_sendRawTransaction": ((_data,), 1),
    FUND: ((_address,), 1),
}
METHODS = frozenset(_FORMS)
