"""Pioneer programs as those who take part see them: rules, applications, an operator's verified history, and what the council says.

Everything is read from the chain. A program asks for bars, one for each tier; what an operator has is counted here by the rules of
contracts/src/PioneerProgram.sol, which counts again. Texts (statements, reasons) stay off chain: only their keccak256 goes there, and they are
kept in `$SWARM_HOME/texts` for whoever wants to show them. Used by `swarm pioneer`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from swarm import disk, keys
from swarm.calls import Call, Calls
from swarm.chain import typed
from swarm.chain.abi import Event
from swarm.chain.book import Book
from swarm.chain.client import Chain
from swarm.chain.logs import Scanner
from swarm.chain.values import Reason, Verdict
from swarm.errors import ChainRefused, InputError

FIELDS = [
    ("program", "bytes32"),
    ("operator", "address"),
    ("statement", "bytes32"),
    ("keys", "bytes32[]"),
    ("number", "uint32"),
    ("expires", "uint64"),
]
APPLY_GAS, KEY_GAS = 110_000, 15_000  # an application, which cannot be tried before it is signed, and each key of it
VALID_S = 3_600  # an application that was signed may be brought for so long
MAX_DUTIES = 64
MAX_TEXT = 65_536
RIGHT = {
    Reason.NONE: Verdict.OK,
    Reason.LONELY_CLASS: Verdict.OK,
    Reason.FAULTY: Verdict.FAULT,
    Reason.WITHHELD: Verdict.UNAVAILABLE,
}


@dataclass(frozen=True)
class Record:
    """What is verified of an operator: work units, own clean epochs, and right verdicts as a drawn auditor (key, epoch, level, roll, own key)."""

    keys: tuple[bytes, ...]  # rising
    units: int
    epochs: int
    duties: tuple[tuple[bytes, int, int, int, bytes], ...]


@dataclass
class Program:
    """One program (32 bytes) and what happened in it, in the chain's order."""

    id: bytes
    swarm: bytes
    council: bytes  # 20 bytes, zeros: none
    delay: int
    answer: int
    bars: list[SimpleNamespace]
    creator: bytes
    text: bytes
    events: list[Event] = field(default_factory=list)

    @property
    def has_council(self) -> bool:
        return any(self.council)

    def of(self, operator: bytes) -> list[Event]:
        """What happened to one operator."""
        return [event for event in self.events if event.values.get("operator") == operator]

    def named(self, operator: bytes) -> tuple[bytes, ...] | None:
        """The member keys of an operator's newest application, None where there is none."""
        return next((tuple(event.values["keys"]) for event in reversed(self.of(operator)) if event.name == "Applied"), None)

    @cached_property
    def operators(self) -> list[bytes]:
        """Everyone who applied, in the order in which they did first."""
        return list(dict.fromkeys(event.values["operator"] for event in self.events if event.name == "Applied"))


def programs(chain: Chain, swarm: bytes | None = None) -> list[Program]:
    """Every program on the chain's contracts, or those of one swarm, the oldest first."""
    found: dict[bytes, Program] = {}
    scanner = Scanner(chain, ("pioneer",))
    while new := scanner.scan().new:
        for event in new:
            said = event.values
            if event.name == "ProgramStarted":
                rules = said["rules"]
                made = (rules.swarm, rules.council, rules.delay, rules.answer, said["bars"], said["creator"], said["text"])
                found[said["program"]] = Program(said["program"], *made)
            elif said.get("program") in found:
                found[said["program"]].events.append(event)
    return [each for each in found.values() if swarm in (None, each.swarm)]


def choose(found: list[Program], text: str) -> Program:
    """The one program whose id begins with `text`. Raises InputError where there is none, or where there are several."""
    chosen = [each for each in found if each.id.hex().startswith(text.lower().removeprefix("0x"))]
    names = ", ".join(each.id.hex()[:12] for each in found[:8])
    if not found:
        raise InputError("no program was started for this swarm", "anyone may start one: `swarm pioneer start --help`")
    if not chosen:
        raise InputError(f"no program's id begins with {text!r}", f"there are {names}")
    if len(chosen) > 1:
        raise InputError(f"there are {len(chosen)} programs: {names}", "say which with --program")
    return chosen[0]


def record(chain: Chain, book: Book, operator: bytes, named: tuple[bytes, ...] | None = None) -> Record:
    """The verified history of an operator of the book's swarm, as the contracts have it now: of all its peers, or of the `named` ones."""
    own = tuple(sorted(member.key for member in book.operators.get(operator, []))) if named is None else named
    units = sum(chain.read("ledger", "unitsOf", key) for key in own)
    epochs = sum(chain.read("ledger", "cleanCount", key) for key in own)
    return Record(own, units, epochs, tuple(_duties(book, set(own))))


def missing(bar: SimpleNamespace, has: Record, endorsed: int, tier: int) -> list[str]:
    """What an operator lacks for the bar of `tier` (from 1), in words."""
    counts = (("verified units", has.units, bar.units), ("clean epochs", has.epochs, bar.epochs), ("right verdicts", len(has.duties), bar.verdicts))
    found = [f"{most - now:,} more {name} ({now:,} of {most:,})" for name, now, most in counts if now < most]
    return found + (["the council's word"] if bar.judged and endorsed < tier else [])


def application(chain: Chain, program: Program, has: Record, operator: bytes, statement: bytes) -> dict[str, Any]:
    """The fields of an application that is to be signed now."""
    if not has.keys:
        what = f"operator {keys.checksum(operator)} has no peer in swarm {program.swarm.hex()[:8]}, so it has no history there"
        raise InputError(what, "take part first: `swarm up` or `swarm join`")
    number = chain.read("pioneer", "pioneerOf", program.id, operator).applications
    expires = chain.head().time + VALID_S
    return {"program": program.id, "operator": operator, "statement": statement, "keys": list(has.keys), "number": number, "expires": expires}


def signed(chain: Chain, wanted: dict[str, Any], secret: bytes) -> bytes:
    """The operator's EIP-712 signature under an application."""
    message = wanted | {"operator": keys.checksum(wanted["operator"])}
    place = (chain.link.chain_id, chain.address("pioneer"))
    return typed.sign("OpenSwarm PioneerProgram", *place, "Application", FIELDS, message, secret)


def admission(chain: Chain, program: Program, has: Record, operator: bytes, sender: bytes) -> Calls:
    """Admit an operator to the highest tier that it has reached. Raises ChainRefused saying what is missing."""
    now = chain.read("pioneer", "pioneerOf", program.id, operator)
    who = keys.checksum(operator)
    if not now.applications:
        raise ChainRefused(f"operator {who} has not applied to program {program.id.hex()[:12]}", "`swarm pioneer apply` does", "ApplicationUnknown")
    if now.tier >= len(program.bars):
        raise ChainRefused(f"operator {who} has tier {now.tier}, and there is none above it", "nothing to do", "BarMissed")
    if lacks := missing(program.bars[now.tier], has, now.endorsed, now.tier + 1):
        raise ChainRefused(f"tier {now.tier + 1} takes {'; '.join(lacks)}", "`swarm pioneer status` shows the rest", "BarMissed")
    most = min(MAX_DUTIES, max(bar.verdicts for bar in program.bars))
    duties = sorted((_packed(has, duty) for duty in has.duties[:most]), key=lambda packed: keys.keccak(*map(_word, packed)))
    args = (program.id, operator, list(has.keys), duties)
    return Calls(chain, sender, [Call("pioneer", "admit", args, f"admit {who} to the highest tier it has reached")])


def decision(chain: Chain, program: Program, operator: bytes, tier: int, code: str, text: bytes, council: bytes) -> Calls:
    """The council's word about an operator, which counts after the program's delay."""
    word = code.encode()
    if not word or len(word) > 32:
        raise InputError(f"--code {code!r} is not a reason's code", "1 to 32 characters, such as judging-record")
    who = keys.checksum(operator)
    what = f"speak for tiers up to {tier} of {who}" if tier else f"refuse {who}"
    args = (program.id, operator, tier, word.ljust(32, b"\0"), text)
    note = f"it counts once `swarm pioneer settle` carries it out, {program.delay} s from now"
    return Calls(chain, council, [Call("pioneer", "decide", args, what)], note)


def settlement(chain: Chain, program: Program, operator: bytes, sender: bytes) -> Calls:
    """Whatever is due about an operator: a decision whose delay is over, or an appeal that nobody answered."""
    now, time = chain.read("pioneer", "pioneerOf", program.id, operator), chain.head().time
    who = keys.checksum(operator)
    if now.due and time >= now.due:
        return Calls(chain, sender, [Call("pioneer", "carryOut", (program.id, operator), f"let the decision about {who} count")])
    if now.answerBy and time > now.answerBy:
        return Calls(chain, sender, [Call("pioneer", "grant", (program.id, operator), f"grant the appeal of {who}, which was not answered")])
    waits = [f"a decision counts in {now.due - time} s"] if now.due else []
    waits += [f"an appeal is won in {now.answerBy - time + 1} s unless it is answered"] if now.answerBy else []
    raise ChainRefused(f"nothing about {who} is due: {' and '.join(waits) or 'no decision and no appeal is on its way'}", "", "NothingDecided")


def statement(program: Program, has: Record, operator: bytes, chain_time: int) -> Text:
    """The text that an application without one of its own signs: what is verified, and nothing about a person."""
    value = {
        "program": program.id.hex(),
        "operator": keys.checksum(operator),
        "peers": [key.hex() for key in has.keys],
        "units": has.units,
        "clean_epochs": has.epochs,
        "right_verdicts": len(has.duties),
        "chain_time": chain_time,
    }
    return Text(json.dumps(value, indent=1).encode())


@dataclass(frozen=True)
class Text:
    """A statement or a reason, of which the chain has the digest only. An empty one has none: zeros."""

    data: bytes

    @property
    def digest(self) -> bytes:
        return keys.keccak(self.data) if self.data else bytes(32)

    def keep(self, folder: Path) -> None:
        """Write it down for whoever wants to see what was signed."""
        if self.data:
            folder.mkdir(parents=True, exist_ok=True)
            disk.replace(folder / f"{self.digest.hex()}.txt", self.data)

    @classmethod
    def read(cls, path: Path) -> Text:
        """The text in a file. Raises InputError."""
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_TEXT + 1)
        except OSError as error:
            raise InputError(f"--text {path}: {error.strerror}", "a file with the text") from None
        if not 0 < len(data) <= MAX_TEXT:
            raise InputError(f"--text {path} is empty or has more than {MAX_TEXT} bytes", "a file with the text")
        return cls(data)


def address(text: str) -> bytes:
    """An operator's or council's 0x address. Raises InputError."""
    digits = text.removeprefix("0x")
    if len(digits) != 40 or any(each not in "0123456789abcdefABCDEF" for each in digits):
        raise InputError(f"{text!r} is not an address", "0x and 40 hex digits")
    return bytes.fromhex(digits)


def bar(text: str) -> dict[str, Any]:
    """A tier's bar, such as `units=100000,epochs=3,verdicts=2,judged`. Raises InputError."""
    found: dict[str, Any] = {"units": 0, "epochs": 0, "verdicts": 0, "judged": False}
    for part in filter(None, text.replace(" ", "").split(",")):
        name, _, number = part.partition("=")
        if name == "judged" and not number:
            found["judged"] = True
        elif name in ("units", "epochs", "verdicts") and number.isdigit() and len(number) < 30:
            found[name] = int(number)
        else:
            raise InputError(f"--tier {text!r}: {part!r} is not a rule", "units=N, epochs=N, verdicts=N or judged, with commas between them")
    return found


def start(chain: Chain, sender: bytes, salt: bytes, rules: dict[str, Any], bars: list[dict[str, Any]], text: bytes) -> Calls:
    """Start a program; its id is that of `sender` and `salt`. `rules` are those of IPioneerProgram.Rules."""
    name = chain.read("pioneer", "programOf", sender, salt).hex()[:12]
    what = f"start program {name} for swarm {rules['swarm'].hex()[:8]}, with rules that nobody can change"
    return Calls(chain, sender, [Call("pioneer", "start", (salt, rules, bars, text), what)])


def _duties(book: Book, own: set[bytes]) -> list[tuple[bytes, int, int, int, bytes]]:
    """Verdicts of these keys that the end of their case agreed with."""
    found = []
    for made in book.commitments.values():
        right = RIGHT.get(made.ending.reason) if made.ending is not None else None
        votes = [vote for vote in made.votes.values() if vote.auditor in own and right is not None and vote.verdict == right]
        found += [(made.member.key, made.epoch, vote.level, vote.roll, vote.auditor) for vote in votes]
    return found


def _packed(has: Record, duty: tuple[bytes, int, int, int, bytes]) -> tuple[Any, ...]:
    """A duty as the contract takes it: the auditor by its place among the keys."""
    return (*duty[:4], has.keys.index(duty[4]))


def _word(value: Any) -> bytes:
    return value if isinstance(value, bytes) else value.to_bytes(32, "big")
