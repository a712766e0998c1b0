"""One contract's ABI: bytes of calls, values of answers, errors and events.

In Python an address is 20 bytes, a struct is a namespace with the fields' names (a mapping, namespace or sequence when
given), an array a list. Text beginning with 0x is taken for bytes, so arguments can be kept as JSON. The coding itself
is eth_abi's.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from swarm import keys
from swarm.errors import InputError

Entry = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """A decoded log. `index` is its place in the block."""

    name: str
    values: dict[str, Any]
    address: bytes
    block: int
    block_hash: bytes
    tx: bytes
    index: int


class Abi:
    """The ABI of one contract, as its compiler wrote it."""

    def __init__(self, entries: list[Entry]):
        self.entries = entries
        self._functions = [entry for entry in entries if entry["type"] == "function"]
        self.errors = {selector(entry): entry for entry in entries if entry["type"] == "error"}
        self.events = {topic(entry): entry for entry in entries if entry["type"] == "event"}

    def call(self, name: str, args: tuple[Any, ...] | list[Any]) -> bytes:
        """Selector and arguments. Raises InputError where they do not fit."""
        entry = self.function(name, len(args))
        return selector(entry) + encode(entry["inputs"], args, name)

    def result(self, name: str, count: int, data: bytes) -> Any:
        """What the function (of `count` parameters) returned: nothing, a value, or a tuple of values. Raises ValueError for other bytes."""
        values = tuple(decode(self.function(name, count)["outputs"], data))
        return None if not values else values[0] if len(values) == 1 else values

    def function(self, name: str, count: int) -> Entry:
        """The function of this name with so many parameters. Raises InputError."""
        named = [entry for entry in self._functions if entry["name"] == name]
        for entry in named:
            if len(entry["inputs"]) == count:
                return entry
        known = " or ".join(str(len(entry["inputs"])) for entry in named)
        raise InputError(f"no function {name} takes {count} arguments", f"it takes {known}" if named else "see the ABI in contracts/artifacts")

    def constructor(self) -> list[Entry]:
        """The constructor's parameters."""
        return next((entry["inputs"] for entry in self.entries if entry["type"] == "constructor"), [])

    def topic(self, name: str) -> str:
        """First topic of the logs of an event, as hex."""
        return next("0x" + key.hex() for key, entry in self.events.items() if entry["name"] == name)

    def event(self, log: dict[str, Any]) -> Event | None:
        """A log as its chain gave it, decoded; None where it is none of this contract's. Raises ValueError where it is damaged."""
        topics = [raw(text) for text in log["topics"]]
        if not topics or (entry := self.events.get(topics[0])) is None:
            return None
        indexed = [each for each in entry["inputs"] if each["indexed"]]
        others = [each for each in entry["inputs"] if not each["indexed"]]
        if len(topics) != 1 + len(indexed):
            raise ValueError(f"a log of {entry['name']} with {len(topics)} topics")
        found = {each["name"]: decode([each], data)[0] for each, data in zip(indexed, topics[1:], strict=True)}
        found |= dict(zip((each["name"] for each in others), decode(others, raw(log["data"])), strict=True))
        values = {each["name"]: found[each["name"]] for each in entry["inputs"]}
        place = (raw(log["address"]), int(log["blockNumber"], 16), raw(log["blockHash"]), raw(log["transactionHash"]), int(log["logIndex"], 16))
        return Event(entry["name"], values, *place)


def selector(entry: Entry) -> bytes:
    """The 4 bytes that name a function or an error."""
    return topic(entry)[:4]


def topic(entry: Entry) -> bytes:
    """keccak256 of the signature."""
    return keys.keccak(f"{entry['name']}({','.join(map(kind, entry['inputs']))})".encode())


def kind(parameter: Entry) -> str:
    """A parameter's type as signatures have it."""
    if not parameter["type"].startswith("tuple"):
        return parameter["type"]
    return f"({','.join(map(kind, parameter['components']))}){parameter['type'][5:]}"


def encode(parameters: list[Entry], values: tuple[Any, ...] | list[Any], what: str) -> bytes:
    """ABI bytes of values. Raises InputError naming `what` where one does not fit its type."""
    import eth_abi
    from eth_abi.exceptions import EncodingError

    try:
        given = [_given(parameter, value) for parameter, value in zip(parameters, values, strict=True)]
        return eth_abi.encode([kind(parameter) for parameter in parameters], given)
    except (EncodingError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise InputError(f"the arguments of {what} do not fit: {error}", f"it takes {', '.join(map(_shown, parameters))}") from None


def decode(parameters: list[Entry], data: bytes) -> list[Any]:
    """Values of ABI bytes. Raises ValueError where they are not that."""
    import eth_abi
    from eth_abi.exceptions import DecodingError

    try:
        values = eth_abi.decode([kind(parameter) for parameter in parameters], data)
    except (DecodingError, ValueError, OverflowError) as error:
        raise ValueError(f"not the bytes of ({', '.join(map(kind, parameters))}): {error}") from None
    return [_taken(parameter, value) for parameter, value in zip(parameters, values, strict=True)]


def raw(text: Any) -> bytes:
    """Bytes of 0x-hex from a chain. Raises ValueError."""
    if type(text) is not str or not text.startswith("0x"):
        raise ValueError("not 0x-hex")
    return bytes.fromhex(text[2:])


def jsonable(value: Any) -> Any:
    """A value as JSON has it: bytes become 0x-hex, structs objects, tuples lists."""
    if isinstance(value, (bytes, bytearray)):
        return "0x" + bytes(value).hex()
    if isinstance(value, SimpleNamespace):
        return {name: jsonable(each) for name, each in vars(value).items()}
    if isinstance(value, dict):
        return {name: jsonable(each) for name, each in value.items()}
    return [jsonable(each) for each in value] if isinstance(value, (list, tuple)) else value


def _given(parameter: Entry, value: Any) -> Any:
    form = parameter["type"]
    if form.endswith("]"):
        inner = parameter | {"type": form[: form.rindex("[")]}
        return [_given(inner, each) for each in value]
    if form == "tuple":
        if not isinstance(value, (list, tuple)):
            fields = value if isinstance(value, dict) else vars(value)
            value = [fields[component["name"]] for component in parameter["components"]]
        return tuple(_given(component, each) for component, each in zip(parameter["components"], value, strict=True))
    if form.startswith("bytes") and isinstance(value, str):
        value = raw(value)
    if form.startswith("bytes") and form != "bytes" and len(value) != int(form[5:]):
        raise ValueError(f"{parameter['name'] or form} has {len(value)} bytes")
    if form == "address" and not isinstance(value, str) and len(value) != 20:
        raise ValueError(f"{parameter['name'] or form} has {len(value)} bytes")
    return value


def _taken(parameter: Entry, value: Any) -> Any:
    form = parameter["type"]
    if form.endswith("]"):
        inner = parameter | {"type": form[: form.rindex("[")]}
        return [_taken(inner, each) for each in value]
    if form == "tuple":
        pairs = zip(parameter["components"], value, strict=True)
        return SimpleNamespace(**{component["name"]: _taken(component, each) for component, each in pairs})
    return bytes.fromhex(value[2:]) if form == "address" else value


def _shown(parameter: Entry) -> str:
    return f"{kind(parameter)} {parameter['name']}".strip()
