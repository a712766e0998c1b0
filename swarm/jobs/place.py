"""Where the market is: the chain of --contracts, or one local chain for everybody on this machine, under $SWARM_HOME/market/.

    with place.opened(choice, say) as chain: ...

The local chain belongs to nobody: every command that needs it holds a `Keeper`, the first of them hosts the chain, and when that one ends
the next takes over, with the same state and behind the same port. So it is on while any of them is, whichever is interrupted or killed;
what others see of a change of hands is a chain that does not answer for a few seconds: every node bears that, and commands wait for it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from swarm import runs
from swarm.chain import link
from swarm.chain.client import Chain
from swarm.chainhost import LocalChain
from swarm.errors import ChainError, ChainRefused, ResourceError, StateError
from swarm.launch import ChainChoice

FOLDER = "market"
LOCK = "host"
LOOK_S = 0.5
READY_S = 60.0

Say = Callable[[str], None]


def folder() -> Path:
    """The local market's folder; `chain.json` in it is the link, once somebody hosted it."""
    return runs.home() / FOLDER


@contextlib.contextmanager
def opened(choice: ChainChoice, say: Say = lambda text: None) -> Iterator[Chain]:
    """The market's chain, checked, for as long as it is needed. Raises ChainRefused, ChainError, InputError."""
    found = choice.link(None)
    if found is not None:
        chain = Chain(found)
        chain.check()
        chain.rpc.patience_s = READY_S
        yield chain
        return
    keeper = Keeper(folder(), say)
    keeper.start()
    try:
        yield keeper.ready()
    finally:
        keeper.stop()


class Keeper:
    """Hosts the local chain of a folder while nobody else does. `start`, then `ready`, then `stop`."""

    def __init__(self, folder: Path, say: Say, hosts: list[str] | None = None, port: int = 0):
        """`hosts` and `port`: where the chain's door listens if this process hosts it; this machine alone by default."""
        self.folder, self.say = folder, say
        self._hosts, self._port = hosts, port
        self._local: LocalChain | None = None
        self._trouble: ChainError | ResourceError | StateError | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="market chain", daemon=True)

    @property
    def hosting(self) -> bool:
        return self._local is not None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._thread.start()

    def ready(self, timeout_s: float = READY_S) -> Chain:
        """The chain once it answers, whoever hosts it. Raises ChainError, ResourceError or StateError saying why it does not."""
        end = time.monotonic() + timeout_s
        while True:
            if self._trouble is not None:
                raise self._trouble
            with contextlib.suppress(ChainError):
                if self.hosting or (self.folder / link.FILE).exists():
                    chain = Chain(link.load(self.folder))
                    chain.check()
                    chain.rpc.patience_s = READY_S
                    return chain
            if time.monotonic() > end:
                raise ChainError(f"the local chain in {self.folder} does not answer", "another process may be stuck with it: see its log.txt")
            time.sleep(0.1)

    def stop(self) -> None:
        """Let go of the chain; another process that needs it goes on with it."""
        self._closing.set()
        self._thread.join(30.0)

    def _keep(self) -> None:
        while not self._closing.is_set():
            if (lock := runs.claim(self.folder / LOCK)) is not None:
                try:
                    self._host()
                finally:
                    os.close(lock)
            self._closing.wait(LOOK_S)

    def _host(self) -> None:
        local = LocalChain(self.folder, self._hosts, self._port, self.say)
        try:
            local.start()
        except ChainRefused as error:
            what = f"the local market in {self.folder} is of another version of this program: {error}"
            self._trouble = StateError(what, "move that folder away to begin a new one; what is staked and in escrow in the old one stays there")
            self._closing.wait(LOOK_S)
            return
        except (ChainError, ResourceError, StateError) as error:
            self._trouble = error
            self._closing.wait(LOOK_S)
            return
        self._local, self._trouble = local, None
        try:
            self._closing.wait()
        finally:
            self._local = None
            local.stop()
