"""A judge without a node: an operator that comes by invite, registers, enters the ledger, and does nothing but judge.

    run = seat.take(given, choices, terms, say)         again whenever there is a new invite, or something was cut off
    voting.of_seat(run)                                 who votes there

It stakes nothing in the vault, so no audit draws it and no duty can be missed. What it keeps is a run's folder without a node's process:

    $SWARM_HOME/seats/<swarm>/  run.json recipe.json chain/{chain.json schedule.json voucher} peer-0/{session.bin chain.key node.json}
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm import admission, chainhost, enrolment, joining, keys, launch, runs
from swarm.chain import link
from swarm.chain.client import Chain, Swarm
from swarm.chain.values import amount
from swarm.enrolment import Enrolment
from swarm.errors import IdentityError, InputError, ResourceError
from swarm.identity import Identity
from swarm.invite import Invite
from swarm.launch import Choices
from swarm.recipe import Recipe
from swarm.runs import Info, Run
from swarm.session import Session

Say = Callable[[str], None]

FOLDER = "seats"
WAIT_S = 120.0  # for another process that takes the same seat
NO_CREDITS = "an operator without a voucher gets no credits, so no panel draws it: ask for a new invite, each carries a voucher for one"


@dataclass(frozen=True)
class Terms:
    """What is allowed of the swarm's recipe, and where it comes from. `file`: instead of fetching it from members."""

    file: Path | None = None
    allow_hub: bool = False


def newest() -> Run | None:
    """The seat that was taken last, if there is one."""
    found = [Run.read(file.parent) for file in (runs.home() / FOLDER).glob(f"*/{runs.FILE}")]
    return max(found, key=lambda run: run.info.created, default=None)


def take(given: Invite, choices: Choices, identity: Callable[[], Identity], terms: Terms, say: Say) -> Run:
    """Do what is still to be done for a seat in the swarm of an invite. `identity()` opens the operator's key where it is needed.

    Raises InputError, Refused, ChainError, IdentityError, ResourceError; the next call goes on from there.
    """
    if given.chain is None:
        raise InputError("the swarm of this invite has no chain, so it has no judge market", "ask for the invite of a swarm that has one")
    with _locked(given) as run:
        run.update(boot=list(given.addresses))
        if (session := _session(run)) is None:
            session = _signed(run, choices, identity(), say)
        rules = joining.recipe_of(run, given, terms.file, say)
        admission.admit(rules, choices.allow_code, choices.recipe_folder, terms.allow_hub)
        if not rules.has_market:
            raise InputError(f"the recipe {rules.name} has no judge market", "its judge.profile or proof.profile is none")
        chainhost.joined(run, rules, given, choices)
        _Entry(run, rules, session, choices, identity, say).make()
        return run


def _signed(run: Run, choices: Choices, member: Identity, say: Say) -> Session:
    """A session of the operator, and what a process has to know that fetches the recipe or plays the log."""
    say(f"You judge as {member.name} (operator 0x{member.address.hex()}). Others will see that name and address, your IP address, and your")
    say("votes once they are opened; they will not see files, keys, or anything else of this machine.")
    launch.prepare_fetch(run, choices, member)
    return Session.load(run.peer(0) / "session.bin")


class _Entry:
    """The chain's side of a seat."""

    def __init__(self, run: Run, rules: Recipe, session: Session, choices: Choices, identity: Callable[[], Identity], say: Say):
        self.run, self.rules, self.session, self.choices, self.say = run, rules, session, choices, say
        self.chain = Chain(link.load(run.chain))
        self.swarm = Swarm(self.chain, session.swarm)
        self._identity = identity

    def make(self) -> None:
        """Register and enter the ledger, then see to what credits follow from; nothing is sent that was sent before."""
        session = self.session
        key, mine = self.swarm.key(session.operator, session.peer), keys.address_of(enrolment.session_key(self.run.peer(0)))
        known = self.chain.read("registry", "sessionOf", key)
        if known not in (bytes(20), mine):
            what = f"{session.name} is a member of this swarm already, under another key: perhaps with a node"
            raise InputError(what, "judge where that node runs, without --invite; or take another identity with --identity NAME")
        if known != mine or not self.swarm.has_entered(key, mine):
            self._register(mine)
        if self.swarm.terms.faucet:
            self._say_unknown(session.operator)
        else:
            self._say_deposit()

    def _member(self) -> Identity:
        """The operator with its key. Raises InputError where another identity is given than the seat was taken with."""
        member = self._identity()
        if member.address != self.session.operator:
            raise InputError(f"this seat is {self.session.name}'s, and the identity that is given is {member.name}", "give the same --identity")
        return member

    def _register(self, session: bytes) -> None:
        member = self._member()
        if not self.chain.link.embedded:
            chainhost.require_gas(self.chain, self.swarm.id, [member])
        folder, voucher = self.run.peer(0), chainhost.read_voucher(self.run)
        around = dict(creates=False, invited=voucher, say=lambda text: None)  # what a missing voucher means for a node is no matter here
        Enrolment(self.chain, self.swarm.id, self.rules, self.run.chain, [folder], [member], **around).register(member, session)
        self.say(f"{member.name} is registered on chain {self.chain.link.chain_id} and in the swarm's ledger")

    def _say_unknown(self, operator: bytes) -> None:
        invited = self.chain.read("registry", "inviteOf", self.swarm.id, operator)[0] != bytes(20)
        if not invited and self.swarm.record().creator != operator:
            self.say(f"no voucher counts for this operator: {NO_CREDITS}")

    def _say_deposit(self) -> None:
        """Where stake costs something, credits follow from a deposit."""
        has, least = self.chain.read("anchor", "accountOf", self.swarm.id, self.session.operator).active, self.swarm.terms.minStake
        if has < least:
            how = f"`swarm stake judge deposit {amount(least - has)} --invite INVITE` makes it"
            self.say(f"an operator without stake gets no credits here before it has deposited {amount(least)} credits of the chain: {how}")


@contextlib.contextmanager
def _locked(given: Invite) -> Iterator[Run]:
    """The seat in the swarm of an invite, made where it is missing, for this process alone: judges of one home may come at the same time."""
    folder = runs.home() / FOLDER / given.swarm.hex()[:16]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    end = time.monotonic() + WAIT_S
    while (lock := runs.claim(folder / "taking")) is None:
        if time.monotonic() > end:
            raise ResourceError(f"another process has been taking the seat in {folder} for {WAIT_S:.0f} s", "end it, or wait for it")
        time.sleep(0.2)
    try:
        yield Run.read(folder) if (folder / runs.FILE).exists() else _begun(folder, given)
    finally:
        os.close(lock)


def _begun(folder: Path, given: Invite) -> Run:
    ids = dict(swarm=given.swarm.hex(), recipe_hash=given.recipe_hash.hex(), recipe_blob=given.recipe_blob.hex())
    run = Run(folder, Info(kind="judge", recipe="joined", created=time.time(), **ids))
    run.save()
    return run


def _session(run: Run) -> Session | None:
    """The seat's session, None where there is none that still holds."""
    try:
        return Session.load(run.peer(0) / "session.bin")
    except IdentityError:
        return None
