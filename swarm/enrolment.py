"""Enrolment: the operator's transactions that create a swarm on its chain and make peers members of it.

Runs where operator keys may be: in the supervising process, in a thread, while the nodes load and begin to train. Every step looks
first whether it is done, so a start that was cut off, or repeated, goes on where it was. A node tells its determinism class and
the root of the start state in `hello.json`; it is told the swarm's schedule in `schedule.json`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace

from swarm import disk, keys, keystore
from swarm.calls import Call
from swarm.chain import check, voucher
from swarm.chain.client import Chain, Swarm
from swarm.chain.values import amount
from swarm.chain.voucher import Voucher
from swarm.errors import ChainError, ChainRefused
from swarm.identity import Identity
from swarm.proof.onion import Onion
from swarm.proof.schedule import Schedule
from swarm.recipe import Recipe
from swarm.sections import Proof
from swarm.stake import adding, supplying

HELLO, SCHEDULE, SESSION_KEY, ONION = "hello.json", "schedule.json", "chain.key", "onion.key"
CREDIT = 10**18  # wei
UNBONDING_EPOCHS = 20
TAIL_EPOCHS = 4  # from a market's end until its slashes are carried out, as in JudgeAnchor
ABSENCE_BPS, CONCEDE_BPS = 50, 100  # a missed beacon and a missed duty cost 1 % together
AUDIT_FEE, TREASURY = CREDIT // 10, 1000 * CREDIT
VOUCHER_S = 600
WITHOUT_VOUCHER = "it has no weight and is in no draw until work of its own is verified; that work is audited and scored like everybody's"
SESSION_GAS = 30_000_000  # what a session's account holds where gas is paid for: about fifty epochs of commitments and audits
AGAIN_S = 2.0


@dataclass(frozen=True)
class Hello:
    """What a node's replayer found out about its machine: determinism class and root of the start state, 32 bytes each."""

    machine: bytes
    base: bytes

    def write(self, folder: Path) -> None:
        disk.replace(folder / HELLO, json.dumps({"class": self.machine.hex(), "base": self.base.hex()}).encode())

    @classmethod
    def read(cls, folder: Path) -> Hello | None:
        try:
            value = json.loads((folder / HELLO).read_bytes())
        except FileNotFoundError:
            return None
        return cls(bytes.fromhex(value["class"]), bytes.fromhex(value["base"]))


def session_key(folder: Path) -> bytes:
    """The peer's hot key on the chain (32 bytes), made at the first use. It can commit, reveal and vote; it can move nothing."""
    path = folder / SESSION_KEY
    if not path.exists():
        keystore.write_private(path, keys.new_secret())
    return path.read_bytes()


def terms(proof: Proof, token: str, beacon: str, faucet: bool, start: int = 0, market: int = 0) -> dict[str, object]:
    """`ISwarmRegistry.Terms` of a recipe; `start` 0 is the moment of creation, `market` the seconds that a market can take."""
    level = proof.audit + proof.reveal + proof.challenge
    longest = proof.grace + proof.beacon + 2 * (proof.audit + proof.reveal) + 4 * level
    return {
        "start": start,
        "epoch": proof.epoch,
        "grace": proof.grace,
        "beacon": proof.beacon,
        "audit": proof.audit,
        "reveal": proof.reveal,
        "challenge": proof.challenge,
        "unbonding": max(UNBONDING_EPOCHS * proof.epoch, longest + 2 * proof.epoch, market + TAIL_EPOCHS * proof.epoch if market else 0),
        "segments": proof.drawn,
        "maxSteps": proof.steps,
        "maxUnits": proof.units,
        "ring": longest // proof.epoch + 3,
        "absenceBps": ABSENCE_BPS,
        "concedeBps": CONCEDE_BPS,
        "gain": int(proof.gain * CREDIT),
        "minStake": proof.stake * CREDIT,
        "fee": AUDIT_FEE,
        "token": token,
        "faucet": faucet,
        "randomness": beacon,
    }


def schedule_of(found: SimpleNamespace) -> Schedule:
    """The schedule in a swarm's terms."""
    return Schedule(found.start, found.epoch, found.grace, found.beacon, found.audit, found.reveal, found.challenge)


def write_schedule(folder: Path, schedule: Schedule) -> None:
    disk.replace(folder / SCHEDULE, json.dumps(asdict(schedule)).encode())


def read_schedule(folder: Path) -> Schedule | None:
    """The swarm's schedule, None while the swarm is not created."""
    try:
        return Schedule(**json.loads((folder / SCHEDULE).read_bytes()))
    except FileNotFoundError:
        return None


class Enrolment:
    """Enrols members one after the other. `folder` is the run's chain folder, `peers` the peers' folders."""

    def __init__(
        self,
        chain: Chain,
        swarm: bytes,
        recipe: Recipe,
        folder: Path,
        peers: list[Path],
        members: list[Identity],
        *,
        creates: bool,
        invited: Voucher | None = None,
        stake: int | None = None,
        least: int = 0,
        then: Callable[[Identity, Path], bool] = lambda member, folder: True,
        fund: Callable[[bytes], None] = lambda address: None,
        say: Callable[[str], None] = print,
    ):
        """`creates`: the first member creates the swarm and vouches for the others. `invited` is a joiner's voucher. `stake` (wei) None takes
        the least on a local chain and nothing elsewhere, but never less than `least`. `fund(address)` gives an account gas where that is ours
        to give. `then(member, folder)` comes after that of a member, until it says that it is done."""
        self.least, self.then = least, then
        self.chain, self.swarm, self.recipe, self.folder, self.peers, self.members = chain, Swarm(chain, swarm), recipe, folder, peers, members
        self.creates, self.invited, self.stake, self.fund, self.say = creates, invited, stake, fund, say
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="enrolment", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        """Enrol everyone; a chain that does not answer is asked again, what a contract refuses is said and left."""
        waiting, enrolled = list(zip(self.peers, self.members, strict=True)), set()
        while waiting and not self._closing.is_set():
            folder, member = waiting[0]
            try:
                if (hello := Hello.read(folder)) is not None:
                    if folder not in enrolled:
                        self.enrol(folder, member, hello)
                        enrolled.add(folder)
                    if self.then(member, folder):
                        waiting.pop(0)
                        continue
                    self._closing.wait(AGAIN_S)
            except ChainRefused as error:
                self.say(f"{member.name} cannot take part on the chain: {error} ({error.hint})")
                waiting.pop(0)
                continue
            except ChainError as error:
                self.say(f"enrolment waits: {error}")
                self._closing.wait(AGAIN_S)
            self._closing.wait(0.2)

    def enrol(self, folder: Path, member: Identity, hello: Hello) -> None:
        """Everything that one member needs, step by step."""
        session = keys.address_of(session_key(folder))
        for address in (member.address, session):
            self.fund(address)
        if not self.chain.link.embedded:
            self._supply(member, session)
        if self.creates and member is self.members[0]:
            self._create(member, hello)
        write_schedule(self.folder, schedule_of(self.swarm.terms))
        self.register(member, session)
        self._stake(member, Onion(folder / ONION), hello.machine)

    def _create(self, member: Identity, hello: Hello) -> None:
        if self.swarm.record().creator != bytes(20):
            return
        places = self.chain.link.contracts
        faucet = check.is_credit(self.chain.rpc, self.chain.link)
        wanted = terms(self.recipe.proof, places.credit, places.beacon, faucet, market=self.recipe.longest_market)
        self.chain.send(member.secret, "registry", "createSwarm", self.swarm.id, self.recipe.hash, hello.base, wanted, b"")
        self.say(f"swarm {self.swarm.id.hex()[:8]} is on chain {self.chain.link.chain_id}: epochs of {self.recipe.proof.epoch} s")
        seats, needed = self.chain.read("registry", "panelSizes")
        self.say(f"panels of {', '.join(map(str, seats))} seats are full with {', '.join(map(str, needed))} operators of one class")

    def _supply(self, member: Identity, session: bytes) -> None:
        """Let the session's account have gas, from its operator's: on a chain where nobody gives any."""
        rpc = self.chain.rpc
        price, has = int(rpc.call("eth_gasPrice"), 16), int(rpc.call("eth_getBalance", keys.checksum(session), "latest"), 16)
        if has < (wanted := SESSION_GAS * price) // 2:
            self.chain.sender(member.secret).run(keys.checksum(session), b"", wanted - has)
            self.say(f"{member.name} gave its node's account {keys.checksum(session)} {amount(wanted - has)} of the chain's coin for gas")

    def register(self, member: Identity, session: bytes) -> None:
        """Register, with a voucher where there is one, and bring the ledger up to date. `session`: the address of the member's hot key."""
        chain, key = self.chain, self.swarm.key(member.address, member.peer)
        known = chain.read("registry", "sessionOf", key)
        if not self._register_invited(member, session, key, new=known == bytes(20)) and known != session:
            chain.send(member.secret, "registry", "register", self.swarm.id, member.peer, session)
        if known != session or not self.swarm.has_entered(key, session):
            chain.send(member.secret, "ledger", "enter", self.swarm.id, member.address, member.peer)

    def _register_invited(self, member: Identity, session: bytes, key: bytes, new: bool) -> bool:
        """Register with a voucher; False where there is none to use: the work counts all the same, only draws have to be earned."""
        if not self.swarm.terms.faucet or self.swarm.record().creator == member.address:
            return False
        if self.chain.read("registry", "inviteOf", self.swarm.id, member.address)[0] != bytes(20):
            return False
        try:
            shown = self._voucher(member)
            if shown is None:
                raise ChainRefused("the invite carries none", name="InviteMissing")
            invite = shown.shown_by(self.chain.link, self.swarm.id, member.address)
            self.chain.send(member.secret, "registry", "registerInvited", self.swarm.id, member.peer, session, invite)
        except ChainRefused as error:
            if not error.name.startswith(("Invite", "Signer", "ECDSA")):
                raise
            if new:
                self.say(f"no voucher counts for {member.name} ({error}): {WITHOUT_VOUCHER}")
            return False
        if not new:
            self.chain.send(member.secret, "vault", "refresh", key)
        return True

    def _voucher(self, member: Identity) -> Voucher | None:
        first = self.members[0]
        if not self.creates:
            return self.invited
        if member is first:
            return None
        return voucher.issue(self.chain.link, self.swarm.id, first.secret, first.peer, self.chain.head().time + VOUCHER_S)

    def _stake(self, member: Identity, onion: Onion, machine: bytes) -> None:
        """Commit to the chain of hashes, then stake: from the faucet on a faucet swarm, else only what was asked for."""
        chain, key, found = self.chain, self.swarm.key(member.address, member.peer), self.swarm.terms
        if chain.beacon_kind == "commit-reveal" and chain.read("beacon", "chainOf", key).current == bytes(32):
            chain.send(member.secret, "beacon", "setTip", key, onion.tip)
        now = self.swarm.stake(key)
        free = chain.link.embedded and check.is_credit(chain.rpc, chain.link)
        wanted = max(self.least, self.stake if self.stake is not None else found.minStake if free and found.faucet else 0)
        missing = max(0, wanted - now.active)
        if missing and now.active < max(found.minStake, self.least):
            self._send(member, adding(chain, member.address, key, missing, machine, found.faucet or free, member.name))
        elif now.active and getattr(now, "class") != machine:
            chain.send(member.secret, "vault", "setClass", key, machine)
        if now.paused:
            chain.send(member.secret, "vault", "resume", key)
        if found.faucet and self.creates and member is self.members[0] and chain.read("vault", "treasuryOf", self.swarm.id) == 0:
            self._send(member, supplying(chain, member.address, TREASURY, found.faucet, member.name))
            chain.send(member.secret, "vault", "fund", self.swarm.id, TREASURY)

    def _send(self, member: Identity, calls: list[Call]) -> None:
        for call in calls:
            self.chain.send(member.secret, call.role, call.function, *call.args)

    def wait(self, timeout_s: float) -> bool:
        """Whether everyone is enrolled within `timeout_s`; for tests."""
        end = time.monotonic() + timeout_s
        while self._thread.is_alive() and time.monotonic() < end:
            time.sleep(0.1)
        return not self._thread.is_alive()
