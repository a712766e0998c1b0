"""What a contract's refusal means: revert data become a `ChainRefused` with a sentence and a hint."""

from __future__ import annotations

from typing import Any

from swarm import keys
from swarm.chain.abi import Abi, decode
from swarm.chain.sentences import BUG, SENTENCES
from swarm.chain.values import JobPhase, Outcome, Phase, Stage, Verdict, amount
from swarm.errors import ChainRefused

_ENUMS = {"phase": Phase, "verdict": Verdict, "outcome": Outcome, "stage": JobPhase, "match": Stage}
_PANICS = {0x01: "an assertion", 0x11: "an overflow", 0x12: "a division by zero", 0x32: "an index out of range", 0x41: "too much memory"}


class _Shown:
    """An argument inside a template."""

    def __init__(self, value: Any):
        self.value = value

    def __format__(self, form: str) -> str:
        if form == "credits":
            return amount(self.value)
        if (known := _ENUMS.get(form)) is not None:
            return known(self.value).name.lower() if self.value in list(known) else str(self.value)
        if form == "name":
            return self.value.rstrip(b"\0").decode("ascii", "replace")
        if isinstance(self.value, bytes):
            return keys.checksum(self.value) if len(self.value) == 20 else f"{self.value.hex()[:12]}…" if len(self.value) > 6 else self.value.hex()
        return str(self.value)[:80]


def explain(data: bytes, abis: list[Abi], what: str = "") -> ChainRefused:
    """The refusal that a contract's revert data means; `what` names the call."""
    head = f"{what}: " if what else ""
    for abi in abis:
        if (entry := abi.errors.get(data[:4])) is None:
            continue
        try:
            values = dict(zip((each["name"] for each in entry["inputs"]), decode(entry["inputs"], data[4:]), strict=True))
        except ValueError:
            break
        text, hint = SENTENCES.get(entry["name"], (entry["name"], BUG))
        shown = {name: _Shown(value) for name, value in values.items()}
        return ChainRefused(head + text.format_map(shown), hint, entry["name"], values)
    return ChainRefused(head + _plain(data), "check that --contracts names this version's contracts", "Reverted")


def _plain(data: bytes) -> str:
    """Solidity's own two errors, Error(string) and Panic(uint256), and what is neither."""
    try:
        if data[:4] == bytes.fromhex("08c379a0"):
            return f"the contract says: {decode([{'type': 'string'}], data[4:])[0][:200]!r}"
        if data[:4] == bytes.fromhex("4e487b71"):
            return f"the contract broke off: {_PANICS.get(decode([{'type': 'uint256'}], data[4:])[0], 'an internal error')}"
    except ValueError:
        pass
    return f"the contract refuses with an error unknown here (0x{data[:4].hex()})" if data else "the contract refuses without a reason"
