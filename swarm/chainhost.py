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

from swarm import disk
from swarm.chain import deploy, link
from swarm.chain.anvil import WEI, Anvil
from swarm.chain.client import Chain
from swarm.chain.link import ChainLink
from swarm.chain.proxy import Proxy
from swarm.enrolment import Enrolment
from swarm.errors import ChainError, StateError
from swarm.identity import Identity
from swarm.launch import Choices
from swarm.recipe import Recipe
from swarm.runs import Run

FOLDER = "chain"
DOOR = "door.port"
GAS = 100 * WEI
WATCH_S = 1.0

Say = Callable[[str], None]


class LocalChain:
    """anvil, its door, and the contracts on it. `start` before use; `watch` runs in a thread until `stop`."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", say: Say = lambda text: None):
        self.folder, self.say = folder, say
        self.anvil = Anvil(folder)
        port = folder / DOOR
        self.door = Proxy(self.anvil.url, host, int(port.read_text()) if port.exists() else 0, fund=lambda who, wei: self.anvil.fund(who, wei))
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
        if run.info.kind == "up":
            local = LocalChain(run.chain, say=say)
            found = local.start()
            stack.callback(local.stop)
        else:
            found = link.load(run.chain)
        chain = Chain(found)
        swarm = bytes.fromhex(run.info.swarm)
        around = dict(creates=run.info.kind == "up", fund=local.fund if local else lambda address: None, say=say)
        enrolment = Enrolment(chain, swarm, recipe, run.chain, peers, members, **around)
        stack.callback(enrolment.close)
        enrolment.start()
        yield


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
