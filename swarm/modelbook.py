"""The models of one chain, as this machine knows them: the index, what waits to be posted, and the posting.

    $SWARM_HOME/models/CHAIN-REGISTRY/   index.sqlite  cursor.json  waiting.sqlite  lists/DIGEST

    register(home, link, model)          a delivered model waits for the next batch; whoever posts one takes it along
    with opened(home, chain) as book:    everything else

A list travels as a blob of the poster's swarm: it lies in the folders of the poster's peers before the transaction is sent, and two other
operators that the list's digest draws fetch it and keep it (swarm.keeping).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swarm import disk
from swarm.chain.abi import raw
from swarm.chain.client import Chain
from swarm.chain.link import ChainLink
from swarm.errors import ChainRefused, InputError, NetworkError, Refused, ResourceError
from swarm.models.index import Entry, Index
from swarm.models.lineage import Lineage
from swarm.models.listing import size_of
from swarm.models.model import Model
from swarm.models.standing import State
from swarm.models.waiting import Batch, Waiting

if TYPE_CHECKING:
    from swarm.archive import Archive
    from swarm.network import Network

HOLDERS = 2  # operators other than us that have to hold a list
LEAST_DIGITS = 8  # of a digest in hex
ASK_S = 3.0  # for one peer to hand over a list

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trouble:
    """Why a model does not count as trained with all its ancestors; `is_final`: that will not change."""

    why: str
    is_final: bool


class ModelBook:
    """Index and waiting models of the registry of `chain`, below `home`."""

    def __init__(self, home: Path, chain: Chain):
        self.chain = chain
        self.index = Index(place_of(home, chain.link), chain)
        self.waiting = Waiting(place_of(home, chain.link))

    def close(self) -> None:
        self.index.close()
        self.waiting.close()

    def bring_up(self, archive: Archive, wait_s: float) -> None:
        """Everything that the chain says, and the lists that are here or that members hand over within `wait_s` seconds."""
        self.index.refresh()
        if self.index.missing():
            archive.gather(self.index.missing(), wait_s)
            self.index.read_lists(archive.find)

    def find(self, text: str) -> tuple[Model, Entry | None]:
        """The model of a digest's first hex digits: registered, trained ones first, or known to the chain only.

        Raises InputError for what is no digest, fits several or is nowhere, ResourceError where it may be in a list that is missing.
        """
        digits = text.lower().removeprefix("0x")
        if not LEAST_DIGITS <= len(digits) <= 64 or digits.strip("0123456789abcdef"):
            raise InputError(f"{text!r} is no digest", f"{LEAST_DIGITS} to 64 hex digits, as `swarm model lineage` prints them")
        entries = self.index.find(digits)
        digests = sorted({entry.model.model.hex()[:20] for entry in entries})
        if len(digests) > 1:
            raise InputError(f"{text} fits {len(digests)} models", f"give more digits: {', '.join(digests[:4])}")
        if entries:
            best = min(entries, key=lambda entry: (not self._is_trained(entry.model), entry.batch.number, entry.place))
            return best.model, best
        if len(digits) == 64 and (known := self.index.truth.ending_with(bytes.fromhex(digits))):
            return known[0][0], None
        if lacking := self.index.counts()["missing"]:
            what = f"no model {text} in the lists that are here; {lacking} models are in lists that nobody handed over"
            raise ResourceError(what, "try a longer --wait, or --invite of the swarm that posted them")
        raise InputError(f"no model {text} is registered on this chain", "`swarm model list` shows what is, `swarm model add` adds")

    def troubles(self, found: Lineage) -> list[Trouble]:
        """What keeps a model from being trained with all its ancestors. Every path is checked, that of the model itself by the contract too."""
        out = [] if found.steps[0].entry else [Trouble("it is on no list that is here, so under no root", False)]
        for step in found.steps:
            if step.entry is not None and not (step.entry.holds and (step is not found.steps[0] or self._is_listed(step.entry))):
                out.append(Trouble(f"{step.model.model.hex()[:16]} is not under the root that it claims", True))
        if (step := found.first_trouble) is not None:
            whose = "it" if step is found.steps[0] else f"its ancestor {step.model.model.hex()[:16]}"
            out.append(Trouble(f"{whose} is {step.standing.state}: {step.standing.why}", step.standing.state != State.OPEN))
        elif found.ends != "base":
            out.append(Trouble(f"where state {found.state.hex()[:16]} came from is not known here", found.ends == "circle"))
        return out

    def add(self, key: bytes, number: int) -> bool:
        """Let the model of a member's epoch wait for the next batch; False where it waits or is registered. Raises InputError saying why not."""
        found = self.index.truth.of_epoch(key, number)
        if found is None:
            raise InputError(f"epoch {number} of this peer is not on the chain", "`swarm score` lists the epochs that are")
        model, standing = found
        if standing.state != State.TRAINED:
            hint = "try again when it has closed" if standing.state == State.OPEN else "only what closed clean counts as trained"
            raise InputError(f"the model of epoch {number} is {standing.state}: {standing.why}", hint)
        return self._new(model) and self.waiting.register(model) == 1

    def add_all(self, swarm: bytes, keys: set[bytes] | None = None) -> int:
        """Let every trained model of these members (None: of all of the swarm's) wait that is not registered; how many are new."""
        found = (model for model in self.index.truth.trained(swarm) if keys is None or model.training in keys)
        return self.waiting.register_all([model for model in found if self._new(model)])

    def add_job(self, job: bytes) -> int:
        """Let the delivered models of a job wait that count as trained; how many are new."""
        found = [self.index.truth.jobs.of_part(job, part) for part in range(self.index.truth.jobs.parts(job))]
        trained = [model for model, standing in filter(None, found) if standing.state == State.TRAINED and self._new(model)]
        return self.waiting.register(*trained)

    def post(self, secret: bytes, folders: list[Path], say: Say) -> list[Batch]:
        """Put everything that waits on the chain, sent and paid by the account of `secret`. `folders` are those that our peers serve blobs from.

        What an earlier call sealed and did not see on the chain goes first. Raises ChainError, ChainRefused; then the same call goes on.
        """
        done = []
        while batches := self.waiting.sealed() or [made for made in [self.waiting.seal()] if made]:
            for batch in batches:
                self._serve(batch, folders)
                tx, gas = self._send(secret, batch)
                self.waiting.posted(batch, tx)
                done.append(batch)
                cost = f"{gas} gas, {gas / batch.count:.1f} a model" if gas else "it was there already"
                say(f"batch {batch.root.hex()[:16]} of {batch.count} models is on the chain: {cost}")
        return done

    def holders(self, network: Network, swarm: bytes, digest: bytes, count: int, but: set[bytes], patience_s: float) -> set[bytes]:
        """Operators other than `but` that hand over a list now; asks on until there are enough or the time is over."""
        peers = {peer: operator for _, operator, peer in self.index.truth.members(swarm) if operator not in but}
        found: set[bytes] = set()
        end = time.monotonic() + patience_s
        while True:
            for peer, operator in peers.items():
                if operator not in found and _hands_over(network, peer, digest, count):
                    found.add(operator)
            if len(found) >= min(HOLDERS, len(set(peers.values()))) or time.monotonic() > end:
                return found
            time.sleep(1.0)

    def _is_listed(self, entry: Entry) -> bool:
        return self.chain.read("models", "isListed", entry.batch.fields, entry.place, vars(entry.model), list(entry.path))

    def _is_trained(self, model: Model) -> bool:
        return self.index.truth.standing(model).state == State.TRAINED

    def _new(self, model: Model) -> bool:
        return all(entry.model != model for entry in self.index.of(model.model))

    def _serve(self, batch: Batch, folders: list[Path]) -> None:
        """Lay the list where our peers serve blobs from, before anybody can ask for it."""
        data = (self.waiting.lists / batch.list.hex()).read_bytes()
        for folder in folders:
            if not (folder / batch.list.hex()).exists():
                disk.replace(folder / batch.list.hex(), data)

    def _send(self, secret: bytes, batch: Batch) -> tuple[bytes, int]:
        try:
            receipt = self.chain.send(secret, "models", "post", batch.fields)
        except ChainRefused as error:
            if error.name != "BatchTaken":
                raise
            self.index.refresh()
            return next((each.tx for each in self.index.batches() if each.list == batch.list), b""), 0
        return raw(receipt["transactionHash"]), int(receipt["gasUsed"], 16)


@contextlib.contextmanager
def opened(home: Path, chain: Chain) -> Iterator[ModelBook]:
    """The book of a chain's models. Raises StateError."""
    book = ModelBook(home, chain)
    try:
        yield book
    finally:
        book.close()


def register(home: Path, link: ChainLink, *models: Model) -> int:
    """Let models wait for the next batch of their chain's registry; how many were new. Needs neither chain nor network."""
    with contextlib.closing(Waiting(place_of(home, link))) as waiting:
        return waiting.register(*models)


def place_of(home: Path, link: ChainLink) -> Path:
    """The folder of a registry."""
    return home / "models" / f"{link.chain_id}-{link.contracts.models[2:10].lower()}"


def _hands_over(network: Network, peer: bytes, digest: bytes, count: int) -> bool:
    try:
        network.fetch(digest, size_of(count), [peer], ASK_S)
    except (NetworkError, Refused):
        return False
    return True
