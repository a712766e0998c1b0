"""The public records of a swarm's epochs: what lies on this machine, and what its members hand over.

A record is found by the digest that stands on the chain, so it does not matter where it comes from. What is not here is asked for over
the network under an identity made for the moment; what comes is kept for the next time. Used by `swarm score` and its sisters.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from swarm import disk, witness
from swarm.errors import NetworkError
from swarm.identity import Identity

if TYPE_CHECKING:
    from swarm.network import Network

SESSION_S = 3_600
AT_ONCE = 8  # records asked for at the same time
FIRST_S, AGAIN_S = 2.0, 5.0  # for one record, at first and later: what nobody has must not hold up the others
NOBODY = "no peer of this swarm is on here, and there is no --invite to ask others with"
NOT_ASKED = "nobody was asked for them (--wait 0)"

Wanted = tuple[bytes, int]  # digest, most bytes


class Archive:
    """Records by digest, for one swarm (32 bytes). `why` says why those that `find` does not have could not be had.

    `folders` hold blobs by name, `kept` is where those of others are kept, `place` a folder that is there only during a visit. `boot`
    are multiaddresses of members.
    """

    def __init__(self, swarm: bytes, folders: list[Path], kept: Path, place: Path, boot: list[str], say: Callable[[str], None] = lambda text: None):
        self.swarm, self.kept, self.place, self.boot, self.say = swarm, kept, place, boot, say
        self.find = witness.in_folders([*folders, kept])
        self.why = NOT_ASKED if boot else NOBODY
        self._open = contextlib.ExitStack()
        self._network: Network | None = None

    def visit(self, wait_s: float) -> Network:
        """A network that only dials, in touch with a member; the same one until `close`. Raises NetworkError."""
        if self._network is None:
            self._network = self._open.enter_context(self._dialled(wait_s))
        return self._network

    def close(self) -> None:
        """End the visit."""
        self._open.close()
        self._network = None

    def gather(self, wanted: Iterable[Wanted], wait_s: float) -> None:
        """Ask members for what is not here, again and again for about `wait_s` seconds once in touch with them. Raises ResourceError."""
        lacking = self._lacking(wanted)
        if not lacking or not self.boot or not wait_s:
            return
        self.say(f"asking members for what is not here, records: {len(lacking)} (loading hivemind first, 10 s)")
        try:
            network = self.visit(wait_s)
            with ThreadPoolExecutor(AT_ONCE) as pool:
                end, patience = time.monotonic() + wait_s, FIRST_S
                while lacking and time.monotonic() < end:
                    list(pool.map(functools.partial(self._ask, network, patience, end), lacking))
                    lacking, patience = self._lacking(lacking), AGAIN_S
            self.why = f"no member that could be reached handed them over (--wait {wait_s:g} s)"
        except NetworkError as error:
            self.why = f"no member could be reached ({error})"

    def _lacking(self, wanted: Iterable[Wanted]) -> list[Wanted]:
        return [one for one in dict.fromkeys(wanted) if self.find(*one) is None]

    def _ask(self, network: Network, patience_s: float, end: float, one: Wanted) -> None:
        left = min(patience_s, end - time.monotonic())
        if left > 0 and (data := witness.over_network(network, left)(*one)) is not None:
            digest = one[0]
            self.kept.mkdir(parents=True, exist_ok=True)
            disk.replace(self.kept / digest.hex(), data)

    @contextlib.contextmanager
    def _dialled(self, wait_s: float) -> Iterator[Network]:
        from swarm.network import Network, NetworkSettings

        shutil.rmtree(self.place, ignore_errors=True)
        session = Identity.open_or_create_local(self.place / "identity").session(self.swarm, SESSION_S)
        network = Network(session, self.place / "network", NetworkSettings(boot=tuple(self.boot), client=True, boot_patience=wait_s))
        try:
            network.start()
            yield network
        finally:
            network.close()
            shutil.rmtree(self.place, ignore_errors=True)
