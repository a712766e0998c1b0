"""The chain of a run, from the side that holds keys: the local chain with its door, or somebody else's; and the enrolment of members.

    run/chain/  anvil.json purse.key state.json (of the local chain)  chain.json (how nodes reach it)  schedule.json

A local chain is one process of this run: it is started with the run and stopped after it, and its state stays in the folder. Nodes
and other members reach it through a door (`swarm.chain.proxy`) that lets nothing through which only the owner may do.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack

from swarm import addresses, disk, keystore, runs
from swarm.chain import deploy, link, voucher
from swarm.chain.anvil import WEI, Anvil
from swarm.chain.client import Chain, Swarm
from swarm.chain.link import ChainLink
from swarm.chain.proxy import Proxy
from swarm.chain.voucher import Voucher
from swarm.enrolment import Enrolment, schedule_of, write_schedule
from swarm.errors import ChainError, InputError, Refused, StateError
from swarm.identity import Identity
from swarm.invite import Invite
from swarm.launch import Choices
from swarm.recipe import Recipe
from swarm.runs import Run

FOLDER = "chain"
DOOR = "door.port"
VOUCHER = "voucher"
VOUCHER_S = 7 * 86_400
GAS = 100 * WEI
WATCH_S = 1.0

Say = Callable[[str], None]


class LocalChain:
    """anvil, its door, and the contracts on it. `start` before use; `watch` runs in a thread until `stop`."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", port: int = 0, say: Say = lambda text: None):
        """The door listens on `host`; `port` 0 takes the one of the last time, else any."""
        self.folder, self.say = folder, say
        self.anvil = Anvil(folder)
        known = folder / DOOR
        port = port or (int(known.read_text()) if known.exists() else 0)
        self.door = Proxy(self.anvil.url, host, port, fund=lambda who, wei: self.anvil.fund(who, wei))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="local chain", daemon=True)

    def start(self) -> ChainLink:
        """Start everything, deploy what is missing, write chain.json; the link as nodes of this machine use it."""
        self.anvil.start()
        try:
            found = deploy.deploy(self.anvil.rpc, self.anvil.purse, first=0, embedded=True)
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
        self.door.stop()
        self.anvil.stop()

    def fund(self, address: bytes) -> None:
        """Gas for an account of this run."""
        self.anvil.fund(address, GAS)

    def _watch(self) -> None:
        while not self._closing.wait(WATCH_S):
            try:
                if (said := self.anvil.watch(time.monotonic())) is not None:
                    self.say(said)
            except (ChainError, StateError) as error:
                self.say(f"{error} ({error.hint}): the nodes train on, nothing can be proved until it is back")
                return


@contextlib.contextmanager
def hosted(run: Run, recipe: Recipe, choices: Choices, members: list[Identity], say: Say) -> Iterator[None]:
    """What a run's chain needs from the supervising process while the run is on: the local chain itself where it is ours, and enrolment."""
    peers = [run.peer(index) for index in range(len(members))]
    with contextlib.ExitStack() as stack:
        local = None
        found = choices.chain.link(run.chain)
        if found is None and run.info.kind == "up":
            local = LocalChain(run.chain, "127.0.0.1" if _loopback(choices) else "0.0.0.0", choices.chain.port, say)
            found = local.start()
            stack.callback(local.stop)
        elif found is None:
            found = link.load(run.chain)
        chain = Chain(found)
        if local is None:
            chain.check()
            found.save(run.chain)
        if not found.embedded and choices.chain.stake is None:
            say("nothing is staked on this chain (--stake AMOUNT): without stake no epoch can be committed and nobody is drawn")
        swarm = bytes.fromhex(run.info.swarm)
        around = dict(creates=run.info.kind == "up", invited=read_voucher(run), stake=choices.chain.stake, say=say)
        enrolment = Enrolment(chain, swarm, recipe, run.chain, peers, members, fund=local.fund if local else lambda address: None, **around)
        stack.callback(enrolment.close)
        enrolment.start()
        yield


def joined(run: Run, given: Invite, choices: Choices) -> None:
    """Take up the chain of an invite: check that it is there, that the contracts are ours and that the swarm is the one of the invite."""
    found = choices.chain.link(run.chain) or given.chain
    if found is None:
        raise InputError("the recipe wants its steps proved, and the invite names no chain", "ask for a new one, or give --rpc URL --contracts FILE")
    link.check_unaudited(found.chain_id, choices.chain.accept_unaudited)
    chain = Chain(found)
    chain.check()
    swarm = Swarm(chain, given.swarm)
    record = swarm.record()
    if record.recipe != given.recipe_hash:
        what = f"on this chain the swarm has recipe {record.recipe.hex()[:16]}, the invite names {given.recipe_hash.hex()[:16]}"
        raise Refused("recipe hash", what, "ask for a new invite")
    found.save(run.chain)
    write_schedule(run.chain, schedule_of(swarm.terms))
    if given.voucher is not None:
        keystore.write_private(run.chain / VOUCHER, msgpack.packb(given.voucher.compact()))


def read_voucher(run: Run) -> Voucher | None:
    """The voucher with which a run joined, if there was one."""
    path = run.chain / VOUCHER
    return Voucher.from_compact(msgpack.unpackb(path.read_bytes())) if path.exists() else None


def as_others_see(run: Run, address: str) -> ChainLink | None:
    """The link to a run's chain for somebody who reaches the run under a multiaddress; None where nothing is proved."""
    if not (run.chain / link.FILE).exists():
        return None
    found, port = link.load(run.chain), run.chain / DOOR
    return found.at(f"http://{_bracketed(addresses.host_port(address)[0])}:{int(port.read_text())}") if port.exists() else found


def voucher_of(run: Run, chain: ChainLink) -> Voucher | None:
    """A new voucher by the run's first operator, None where its key is locked or somebody else created the swarm."""
    if run.info.kind != "up" or not chain.embedded or not run.info.identities:
        return None
    member = Identity.open(runs.home() / "identities" / run.info.identities[0])
    return voucher.issue(chain, bytes.fromhex(run.info.swarm), member.secret, member.peer, int(time.time()) + VOUCHER_S)


def _loopback(choices: Choices) -> bool:
    return all(addresses.scope(one + "/p2p/x") == "loopback" for one in choices.network.listen)


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
