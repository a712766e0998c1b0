"""The chain of a run, from the side that holds keys: the local chain with its door, or somebody else's; and the enrolment of members.

    run/chain/  anvil.json purse.key state.json (of the local chain)  chain.json (how nodes reach it)  schedule.json

A local chain is one process of this run: it is started with the run and stopped after it, and its state stays in the folder. Nodes
and other members reach it through a door (`swarm.chain.proxy`) that lets nothing through which only the owner may do.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import msgpack

from swarm import addresses, disk, keys, keystore, runs
from swarm.chain import deploy, link, voucher
from swarm.chain.anvil import FILE, KEPT, PURSE, STATE, WEI, Anvil, free_port
from swarm.chain.client import Chain, Swarm
from swarm.chain.link import ChainLink
from swarm.chain.proxy import Proxy
from swarm.chain.voucher import Voucher
from swarm.enrolment import ONION, Enrolment, read_schedule, schedule_of, session_key, terms, write_schedule
from swarm.errors import ChainError, ChainRefused, InputError, Refused, StateError
from swarm.identity import Identity
from swarm.invite import Invite
from swarm.launch import Choices
from swarm.proof.onion import Onion
from swarm.recipe import Recipe
from swarm.runs import Run

FOLDER = "chain"
DOOR = "door.port"
VOUCHER = "voucher"
COPIED = (FILE, PURSE, STATE, KEPT)
VOUCHER_S = 7 * 86_400
GAS = 100 * WEI
WATCH_S = 1.0
LOOK_S = 2.0  # that a look at the chain may take
ONE_HOST = "this chain is one process on one member's machine, which could rewrite it: among strangers use a public chain (--rpc)"

Say = Callable[[str], None]


class LocalChain:
    """anvil, its door, and the contracts on it. `start` before use; `watch` runs in a thread until `stop`."""

    def __init__(self, folder: Path, hosts: list[str] | None = None, port: int = 0, say: Say = lambda text: None):
        """The door listens on `hosts`, this machine's own address among them; `port` 0 takes the one of the last time, else any."""
        self.folder, self.say = folder, say
        self.anvil = Anvil(folder)
        known = folder / DOOR
        self._port = port or (int(known.read_text()) if known.exists() else free_port())
        self._hosts = hosts or ["127.0.0.1"]
        self.door: Proxy | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="local chain", daemon=True)

    def start(self) -> ChainLink:
        """Start everything, deploy what is missing, write chain.json; the link as nodes of this machine use it."""
        self.anvil.start()  # on another port than last time, where that is taken: the door is made afterwards
        self.door = Proxy(self.anvil.url, self._hosts, self._port, fund=lambda who, wei: self.anvil.fund(who, wei))
        try:
            found = self._deployed()
            self.door.start()
        except BaseException:
            self.anvil.stop()
            raise
        disk.replace(self.folder / DOOR, str(self.door.port).encode())
        reached = found.at(f"http://127.0.0.1:{self.door.port}")
        reached.save(self.folder)
        self._thread.start()
        return reached

    def stop(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(15.0)
        if self.door is not None:
            self.door.stop()
        self.anvil.stop()

    def _deployed(self) -> ChainLink:
        """The contracts, put back where a kill in the chain's first second took them away."""
        return deploy.deploy(self.anvil.rpc, self.anvil.purse, first=0, embedded=True)

    def fund(self, address: bytes) -> None:
        """Gas for an account of this run."""
        self.anvil.fund(address, GAS)

    def _watch(self) -> None:
        while not self._closing.wait(WATCH_S):
            try:
                if (said := self.anvil.watch(time.monotonic())) is not None:
                    self.say(said)
                    self._deployed()
            except (ChainError, StateError) as error:
                self.say(f"{error} ({error.hint}): the nodes train on, nothing can be proved until it is back")
                return


@contextlib.contextmanager
def hosted(run: Run, recipe: Recipe, choices: Choices, members: list[Identity], say: Say) -> Iterator[None]:
    """What a run's chain needs from the supervising process while the run is on: the local chain itself where it is ours, and enrolment."""
    peers = [run.peer(index) for index in range(len(members))]
    for folder in peers:  # before two processes would each make their own
        session_key(folder)
        Onion(folder / ONION)
    with contextlib.ExitStack() as stack:
        local = None
        found = choices.chain.link(run.chain) if run.info.kind == "up" else link.load(run.chain)
        if found is None:
            local = LocalChain(run.chain, _hosts(choices.network.listen), choices.chain.port, say)
            found = local.start()
            stack.callback(local.stop)
        chain, swarm = Chain(found), bytes.fromhex(run.info.swarm)
        if local is None:
            chain.check()
            found.save(run.chain)
        if not found.embedded:
            require_gas(chain, swarm, members)
        if not found.embedded and choices.chain.stake is None and choices.taking is None:
            say("nothing is staked without --stake AMOUNT: without stake a peer's capacity is 0, so no epoch can be committed and nobody is drawn")
        around = dict(creates=run.info.kind == "up", invited=read_voucher(run), stake=choices.chain.stake, say=say)
        if choices.taking is not None:
            around |= dict(least=choices.taking.stake, then=choices.taking.bound_to(chain, say))
        enrolment = Enrolment(chain, swarm, recipe, run.chain, peers, members, fund=local.fund if local else lambda address: None, **around)
        stack.callback(enrolment.close)
        enrolment.start()
        yield


def require(recipe: Recipe, choices: Choices) -> None:
    """Look at a chain that `up` was told to use, before anything is written. Raises InputError, ChainRefused, ChainError."""
    chosen = choices.chain
    if recipe.proof.profile == "none":
        if chosen.rpc or chosen.contracts:
            raise InputError("--rpc and --contracts are of no use: this recipe's steps are not proved", "leave them out, or proof.profile=canonical")
        return
    if (found := chosen.link(None)) is not None:
        Chain(found).check()


def joined(run: Run, recipe: Recipe, given: Invite, choices: Choices) -> None:
    """Take up the chain of an invite: check that it is there, that the contracts are ours and that the swarm is the one of the invite."""
    found = choices.chain.link(run.chain, given.chain)
    if found is None:
        raise InputError("the recipe wants its steps proved, and the invite names no chain", "ask for a new one, or give --rpc URL --contracts FILE")
    try:
        swarm = _checked(found, recipe, given)
        schedule = schedule_of(swarm.terms)
    except ChainRefused:
        raise
    except ChainError as error:
        hint = "is the peer on that gave the invite? Ask for a new one, or give --rpc URL"
        raise ChainError(f"the swarm's chain cannot be used: {error}", hint) from None
    found.save(run.chain)
    write_schedule(run.chain, schedule)
    if given.voucher is not None:
        keystore.write_private(run.chain / VOUCHER, msgpack.packb(given.voucher.compact()))


def _checked(found: ChainLink, recipe: Recipe, given: Invite) -> Swarm:
    """The swarm of an invite on its chain. Raises Refused where it is another one, or under other terms than its recipe's."""
    chain = Chain(found)
    chain.check()
    swarm = Swarm(chain, given.swarm)
    record = swarm.record()
    if record.creator == bytes(20):
        what = f"there is no swarm {given.swarm.hex()[:8]} on chain {found.chain_id} yet"
        raise ChainRefused(what, "try again in a minute, or check --rpc", "SwarmUnknown")
    if record.recipe != given.recipe_hash:
        what = f"on this chain the swarm has recipe {record.recipe.hex()[:16]}, the invite names {given.recipe_hash.hex()[:16]}"
        raise Refused("recipe hash", what, "ask for a new invite")
    there = swarm.terms
    places = found.contracts.places
    for name, value in terms(recipe.proof, places["credit"], places["beacon"], there.faucet, there.start, recipe.longest_market).items():
        if getattr(there, name) != value:
            shown = [each.hex() if isinstance(each, bytes) else each for each in (getattr(there, name), value)]
            raise Refused("terms", f"on this chain the swarm's {name} is {shown[0]}, by its recipe it is {shown[1]}", "ask for a new invite")
    return swarm


def require_gas(chain: Chain, swarm: bytes, members: list[Identity]) -> None:
    """Raise ChainRefused where an operator who is yet to register has no coin to pay for it."""
    for member in members:
        key = Swarm(chain, swarm).key(member.address, member.peer)
        where = keys.checksum(member.address)
        if chain.read("registry", "sessionOf", key) == bytes(20) and not int(chain.rpc.call("eth_getBalance", where, "latest"), 16):
            what = f"operator {where} ({member.name}) has none of the coin of chain {chain.link.chain_id}, and pays for gas"
            raise ChainRefused(what, f"send some to {where}, then run the same command again", "BalanceTooLow")


def read_voucher(run: Run) -> Voucher | None:
    """The voucher with which a run joined, if there was one."""
    path = run.chain / VOUCHER
    return Voucher.from_compact(msgpack.unpackb(path.read_bytes())) if path.exists() else None


def as_others_see(run: Run, there: list[str]) -> ChainLink | None:
    """The link to a run's chain for somebody who reaches the run under these multiaddresses; None where nothing is proved.

    The door of a local chain is on the host of the first of them that leads here and not through a relay. What an address of another
    chain has behind its host may be a key of this user's, and stays here.
    """
    if run.recipe().proof.profile == "none" or not (run.chain / link.FILE).exists():
        return None
    found, port = link.load(run.chain), run.chain / DOOR
    if not found.embedded:
        parts = urlsplit(found.url)
        return found.at(f"{parts.scheme}://{_bracketed(parts.hostname or '')}" + (f":{parts.port}" if parts.port else ""))
    if not port.exists():
        return found
    direct = next((address for address in there if "/p2p-circuit" not in address), there[0])
    return found.at(f"http://{_bracketed(addresses.host_port(direct)[0])}:{int(port.read_text())}")


def voucher_of(run: Run, chain: ChainLink, passphrase: str | None = None) -> Voucher | None:
    """A new voucher by the run's first operator; None where somebody else created the swarm or vouchers mean nothing in it.

    Raises IdentityError where the operator's key is locked and `passphrase` does not open it.
    """
    if run.info.kind != "up" or not chain.embedded or not run.info.identities:
        return None
    member = Identity.open(runs.home() / "identities" / run.info.identities[0], passphrase)
    return voucher.issue(chain, bytes.fromhex(run.info.swarm), member.secret, member.peer, int(time.time()) + VOUCHER_S)


@dataclass(frozen=True)
class Standing:
    """Where a run's chain stands: `why` it does not answer, else its height and the epoch that runs by its clock."""

    chain: str
    chain_id: int
    embedded: bool
    why: str = ""
    height: int = 0
    epoch: int | None = None
    market: int | None = None  # the newest epoch whose judge market's root is final

    def line(self) -> str:
        """`chain 127.0.0.1:8545 (id 1500000001): height 120, epoch 3; one process on ...`"""
        epoch = "its swarm is not created yet" if self.epoch is None else f"epoch {self.epoch}"
        epoch += "" if self.market is None else f", judge market final up to epoch {self.market}"
        found = f"does not answer ({self.why})" if self.why else f"height {self.height}, {epoch}"
        return f"chain {self.chain} (id {self.chain_id}): {found}" + (f"; {ONE_HOST}" if self.embedded else "")


def standing(run: Run) -> Standing | None:
    """Where the chain of a run stands; None where it has none (yet)."""
    if not (run.chain / link.FILE).exists():
        return None
    found, schedule = link.load(run.chain), read_schedule(run.chain)
    chain = Chain(found, timeout_s=LOOK_S)
    about = Standing(chain.rpc.name, found.chain_id, found.embedded)
    if not run.on and (run.chain / DOOR).exists():
        return replace(about, why="it runs while the run is on")
    try:
        head = chain.head()
        made = schedule is not None and run.recipe().has_market
        market = Swarm(chain, bytes.fromhex(run.info.swarm)).market_final(head.time) if made else None
    except ChainError as error:
        return replace(about, why=str(error))
    return replace(about, height=head.number, epoch=None if schedule is None else schedule.epoch_at(head.time), market=market)


def _hosts(listen: list[str]) -> list[str]:
    """Where the door listens: where the peers do, and on this machine's own address, by which they reach it."""
    hosts = {addresses.host_port(one)[0] for one in listen}
    if "0.0.0.0" in hosts:
        return ["0.0.0.0", *sorted(host for host in hosts if ":" in host)]
    return sorted({*hosts, "127.0.0.1"} - {"localhost"})


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[Chain]:
    """A run's chain for questions only, whether or not the run is on: a local chain that is off is started for the time being."""
    found = link.load(folder)
    chain = Chain(found)
    try:
        chain.head()
    except ChainError:
        if not found.embedded or not (folder / "anvil.json").exists():
            raise
        local = LocalChain(folder)
        try:
            yield Chain(local.start())
        finally:
            local.stop()
        return
    yield chain


@contextlib.contextmanager
def looking(folder: Path) -> Iterator[Chain]:
    """As `reading`, and nothing of the run is touched: a local chain that is off is started from a copy, so that the run may start meanwhile."""
    chain = Chain(link.load(folder))
    try:
        chain.head()
    except ChainError:
        with tempfile.TemporaryDirectory(prefix="swarm-chain-") as copy:
            for name in (link.FILE, *COPIED):
                if (folder / name).exists():
                    shutil.copyfile(folder / name, Path(copy) / name)
            with reading(Path(copy)) as chain:
                yield chain
        return
    yield chain
