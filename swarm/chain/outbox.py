"""What must reach the chain, kept on disk until it has: sent once, however often chain or process end in between.

The life of an intent: waiting -> flying (signed and written down, then sent) -> mined -> done, when it is so deep that
no lost second and no re-org takes it away; else it waits again. Whether it is done already is asked of the chain first
(`Goal`), so another process, an earlier life or somebody else may have done it. A flight is given up only when another
transaction has its place, so at most one transaction of an intent is ever mined. Intents of one lane go one after the
other in the order given; lanes of an account are independent. There is no thread here: the owner calls `pump`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from swarm import disk
from swarm.chain.abi import jsonable
from swarm.chain.client import Chain
from swarm.chain.rpc import RpcError
from swarm.chain.sender import Flight, Sender
from swarm.chain.sentences import SETTLED
from swarm.errors import ChainError, ChainRefused, InputError, StateError

MAX_INTENTS = 512
MAX_BYTES = 2**20  # of arguments of one intent
KEPT_OUTCOMES = 128
State = Literal["waiting", "flying", "mined", "done", "dropped"]


class Goal(BaseModel):
    """A view call that tells whether an intent has come about: `field` of its answer (a struct's field, a tuple's number) compared with `value`."""

    model_config = ConfigDict(extra="forbid")

    contract: str
    function: str
    args: list[Any] = []
    field: str = ""
    op: Literal["eq", "ne", "ge", "gt"] = "eq"
    value: Any = True

    _plain = field_validator("args", "value", mode="before")(jsonable)

    def reached(self, chain: Chain) -> bool:
        found = jsonable(chain.read(self.contract, self.function, *self.args))
        if self.field:
            found = found[int(self.field)] if isinstance(found, list) else found[self.field]
        return {"eq": found == self.value, "ne": found != self.value}[self.op] if self.op in ("eq", "ne") else _exceeds(found, self)


class Intent(BaseModel):
    """One transaction that must be. `account` is the 0x address whose key signs it, `deadline` chain time after which it is of no use."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(max_length=200)
    contract: str
    function: str
    args: list[Any] = []
    account: str
    deadline: int
    goal: Goal | None = None
    lane: str = ""
    state: State = "waiting"
    why: str = Field("", description="The newest reason why it is not done.")
    flight: dict[str, Any] | None = None
    block: int = Field(0, description="Block in which it was mined, or seen to be done.")
    transaction: str = ""

    _plain = field_validator("args", mode="before")(jsonable)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    intents: list[Intent] = []
    outcomes: list[Intent] = []


class Outbox:
    """The intents in one file. `secrets` are the keys of the accounts that sign."""

    def __init__(self, path: Path, chain: Chain, secrets: Iterable[bytes]):
        self.path, self.chain = path, chain
        self.trouble = ""  # why the last pump could not finish; "" where it could
        self._senders: dict[str, Sender] = {sender.address: sender for sender in map(chain.sender, secrets)}
        self._file = _read(path)
        self._moved: list[Intent] = []

    @property
    def waiting(self) -> list[Intent]:
        """What is not settled yet, in order."""
        return [intent for intent in self._file.intents if intent.state != "mined"]

    @property
    def outcomes(self) -> list[Intent]:
        """The last ones that ended, done or dropped, with why; the newest last."""
        return list(self._file.outcomes)

    def add(self, intent: Intent) -> bool:
        """Keep an intent; False where one of this id is known already. Raises InputError where it can never be sent."""
        if any(intent.id == known.id for known in (*self._file.intents, *self._file.outcomes)):
            return False
        if intent.account not in self._senders:
            raise InputError(f"no key for account {intent.account}", "this node signs for " + ", ".join(self._senders))
        if len(self.chain.calldata(intent.contract, intent.function, intent.args)) > MAX_BYTES or len(self._file.intents) >= MAX_INTENTS:
            raise InputError(f"the outbox takes {MAX_INTENTS} intents of {MAX_BYTES} bytes at most", "is the chain reachable? see `swarm status`")
        self._file.intents.append(intent)
        self._save()
        return True

    def pump(self) -> list[Intent]:
        """Bring every lane one step on; returns the intents whose state changed. Never waits for a block.

        Where the chain cannot be reached nothing is lost: `trouble` says so, and the next call goes on.
        """
        self._moved, self.trouble = [], ""
        try:
            head = self.chain.head()
            for intent in self._heads():
                try:
                    self._step(intent, head.number, head.time)
                except ChainRefused as error:  # of this account, such as an empty balance: the others go on
                    self.trouble = f"{error} ({error.hint})"
        except ChainError as error:  # no answer: it would be the same for the others
            self.trouble = str(error)
        return self._moved

    def _heads(self) -> list[Intent]:
        """Everything that is mined and watched, and the first of each lane that is not."""
        heads, lanes = [], set()
        for intent in list(self._file.intents):
            lane = (intent.account, intent.lane)
            if intent.state == "mined" or lane not in lanes:
                heads.append(intent)
            if intent.state != "mined":
                lanes.add(lane)
        return heads

    def _step(self, intent: Intent, height: int, now: int) -> None:
        if intent.state == "mined":
            self._watch(intent, height)
        elif intent.state == "flying":
            self._follow(intent, height)
        else:
            self._begin(intent, height, now)

    def _begin(self, intent: Intent, height: int, now: int) -> None:
        if intent.goal is not None and intent.goal.reached(self.chain):
            return self._move(intent, "mined", "it was done already", block=height)
        if now > intent.deadline:
            return self._move(intent, "dropped", f"not done by chain time {intent.deadline}; {intent.why or 'the chain was not reached before'}")
        sender = self._senders.get(intent.account)
        if sender is None:
            return self._move(intent, "dropped", f"this node no longer has the key of {intent.account}")
        try:
            self.chain.simulate(intent.contract, intent.function, intent.args, intent.account)
            data = self.chain.calldata(intent.contract, intent.function, intent.args)
            flight = sender.launch(self.chain.address(intent.contract), data)
        except ChainRefused as error:
            if error.name == "BalanceTooLow":
                raise
            return self._move(intent, "dropped" if error.name in SETTLED else "waiting", str(error))
        except RpcError as error:  # what was allowed a moment ago no longer is
            return self._move(intent, "waiting", str(self.chain.refusal(error, intent.function)))
        self._move(intent, "flying", "", flight=dataclasses.asdict(flight))  # on disk before it is sent
        self._send(sender, intent, flight)

    def _send(self, sender: Sender, intent: Intent, flight: Flight) -> None:
        sender.broadcast(flight)
        self._keep(intent, flight)

    def _follow(self, intent: Intent, height: int) -> None:
        sender = self._senders.get(intent.account)
        if sender is None:
            return self._move(intent, "dropped", f"this node no longer has the key of {intent.account}")
        flight = Flight(**(intent.flight or {}))
        found = sender.look(flight, lambda: self._keep(intent, flight))
        intent.flight = dataclasses.asdict(flight)  # when it was sent last, and such: needs not be on disk
        if found is False:
            return self._move(intent, "waiting", "another transaction of the account took its place", flight=None)
        if found is True:
            return None
        if int(found["status"], 16) == 1:
            return self._move(intent, "mined", "", block=int(found["blockNumber"], 16), transaction=found["transactionHash"])
        return self._move(intent, "waiting", "it was refused in the block: the chain had changed since it was tried", flight=None)

    def _watch(self, intent: Intent, height: int) -> None:
        """A mined intent is done when it is deep enough, and waits again where it is gone."""
        if intent.flight is not None and intent.account in self._senders:
            receipt = self._senders[intent.account].receipt(Flight(**intent.flight))
            there, block = receipt is not None, intent.block if receipt is None else int(receipt["blockNumber"], 16)
        else:
            there, block = intent.goal is not None and intent.goal.reached(self.chain), intent.block
        if not there or height < block:
            return self._move(intent, "waiting" if intent.flight is None else "flying", "the chain has lost it", block=0, transaction="")
        intent.block = block
        if height - block >= self.chain.depth:
            self._move(intent, "done", intent.why)
        return None

    def _keep(self, intent: Intent, flight: Flight) -> None:
        intent.flight = dataclasses.asdict(flight)
        self._save()

    def _move(self, intent: Intent, state: State, why: str, **changes: Any) -> None:
        if (intent.state, intent.why) == (state, why) and not changes:
            return
        before = intent.state
        intent.state, intent.why = state, why
        for name, value in changes.items():
            setattr(intent, name, value)
        if state in ("done", "dropped"):
            self._file.intents.remove(intent)
            self._file.outcomes = [*self._file.outcomes, intent.model_copy(update={"flight": None})][-KEPT_OUTCOMES:]
        self._save()
        if before != state:
            self._moved.append(intent)

    def _save(self) -> None:
        disk.replace(self.path, self._file.model_dump_json().encode())


def _exceeds(found: Any, goal: Goal) -> bool:
    return found > goal.value or (goal.op == "ge" and found == goal.value)


def _read(path: Path) -> _File:
    try:
        return _File.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return _File()
    except (ValueError, ValidationError):
        raise StateError(f"{path} is damaged", "move it away: what it held is sent no more") from None
