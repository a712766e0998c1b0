"""Own entries on their way: orders and votes to the host of their market until there is a receipt, account entries onto a page of one's own.

What has a receipt is watched until its phase's page is here. A host that left it out, published two pages or another order is reported by a
Fault, the proof on an account page: the market is VOID then, and half of the host's bond is the reporter's. Members take turns at reporting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

from judge import errors, events, keys, manifest
from judge.events import Entry
from judge.ledger import State
from judge.market import ARCHIVED, RUNNING, SETTLED, Market
from swarm.errors import NetworkError, Refused
from swarm.market import page as pages
from swarm.market import post
from swarm.market.binder import BUCKET_MS, GROUP
from swarm.market.facts import Facts
from swarm.market.house import House
from swarm.market.page import ACCOUNT_BYTES, ACCOUNT_ENTRIES, OWN, Page, Stage
from swarm.market.store import Sent, Store
from swarm.market.tape import Tape
from swarm.network import Network

POSTING = 4  # entries at once
AGAIN = ("unknown", "early", "phase")  # the host's tape may not have come as far as ours
TURNS = 6  # members that report one fault, one after the other
TELL_S = 5.0
OWN_MS = 2 * BUCKET_MS // GROUP  # between two own pages: half as many as have a place on the tape


class Outbox:
    """One room's outgoing entries. `reading()` gives the state while nobody plays, `publish(page)` is the room's."""

    def __init__(
        self,
        network: Network,
        store: Store,
        house: House,
        facts: Facts,
        tape: Tape,
        reading: Callable[[], AbstractContextManager[State]],
        publish: Callable[[Page], None],
        sign: Callable[..., Entry],
        now: Callable[[], int],
        patience: int,
    ):
        """`patience`: milliseconds between two members that may report the same fault."""
        self.network, self.store, self.house, self.facts, self.tape = network, store, house, facts, tape
        self._reading, self._publish, self._sign, self._now, self._patience = reading, publish, sign, now, patience
        self._pool = ThreadPoolExecutor(POSTING, thread_name_prefix="market post")
        self._posting: dict[bytes, Future] = {}
        self._reported: dict[Stage, int] = {}  # when this member's turn to report is
        self._published = 0  # when the last own page was

    def turn(self) -> None:
        """Send what waits, without waiting for the network; publish what is ours; report what can be proved."""
        for id, posting in list(self._posting.items()):
            if posting.done():
                del self._posting[id]
                posting.result()
        waiting = [(sent, events.read(sent.data, self.facts.domain)) for sent in self.store.sending("waiting")]
        self._publish_own([(sent, entry) for sent, entry in waiting if isinstance(entry.event, OWN)])
        for sent, entry in waiting:
            if isinstance(entry.event, OWN) or sent.id in self._posting:
                continue
            if self._now() >= sent.until:
                self.store.settle(sent.id, "late", sent.sentence or "its host could not be reached before the deadline")
            elif len(self._posting) < 4 * POSTING:
                self._posting[sent.id] = self._pool.submit(self._post, sent)
        self._watch()
        self._report()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    # ---- to the host

    def _post(self, sent: Sent) -> None:
        with self._reading() as state:
            one = state.markets.get(sent.market)
            host = (one.host_key, one.creator) if one is not None else None
        if host is None:
            return
        if host[0] == self.house.address:
            self._hand(sent, host[0], lambda: self.house.take(sent.data, self._now()))
            return
        for peer in self.facts.peers(host[0]) or self.facts.peers(host[1]):
            if self._hand(sent, host[0], lambda peer=peer: post.post(lambda message: self.network.tell(peer, message, TELL_S), sent.data)):
                return

    def _hand(self, sent: Sent, host: bytes, give: Callable[[], bytes]) -> bool:
        """Whether this entry is done with: it has its receipt, or a no that stays one."""
        try:
            receipt = give()
            self._check(sent, host, receipt)
        except errors.Refused as no:
            again = no.reason in AGAIN
            self.store.settle(sent.id, "waiting" if again else "refused", no.sentence)
            return not again
        except (NetworkError, Refused) as error:
            self.store.settle(sent.id, "waiting", f"its host does not answer: {error}")
            return False
        self.store.settle(sent.id, "receipt", receipt=receipt)
        return True

    def _check(self, sent: Sent, host: bytes, receipt: bytes) -> None:
        said = manifest.read_receipt(receipt)
        if (said.market, said.id) != (sent.market, sent.id) or manifest.signer(receipt, self.facts.domain, manifest.Receipt) != host:
            raise Refused("signature", "a receipt that its host did not sign for this entry")

    # ---- on a page of one's own

    def _publish_own(self, own: list[tuple[Sent, Entry]]) -> None:
        urgent = any(isinstance(entry.event, events.Fault) for _, entry in own)
        if not own or (self._now() - self._published < OWN_MS and not urgent):
            return
        self._published = self._now()
        for batch in _batches(own):
            self._put(batch)

    def _put(self, batch: list[tuple[Sent, Entry]]) -> None:
        """Publish a page. Where it has no place its entries go one by one, and one that belongs into a closed epoch stays out."""
        try:
            self._publish(pages.account([entry for _, entry in batch], self.facts.domain))
        except errors.Refused as why:
            if len(batch) > 1:
                for each in batch:
                    self._put([each])
            elif why.reason not in AGAIN:
                self.store.settle(batch[0][0].id, "late" if why.reason == "late" else "refused", why.sentence)
            return
        for sent, _ in batch:
            self.store.settle(sent.id, "included")

    # ---- what hosts owe

    def _watch(self) -> None:
        """See each receipt end in a page."""
        for sent in [*self.store.sending("receipt"), *self.store.sending("gone")]:  # a host can come back
            said = manifest.read_receipt(sent.receipt)
            stage = (said.market, said.phase, said.number)
            with self._reading() as state:
                one, found = state.markets.get(sent.market), self.tape.pages(stage)
                if found and any(said.id in page.manifest.ids for page in found):
                    self.store.settle(sent.id, "included")
                elif found and one is not None and sent.state == "receipt":
                    if self._prove(state, one, "omitted", sent.receipt, found[0].said) or one.phase not in RUNNING:
                        self.store.settle(sent.id, "omitted", "its host gave a receipt and left it out")
                elif one is not None and one.phase == SETTLED and sent.state == "receipt":
                    self.store.settle(sent.id, "gone", "its host published nothing of that phase: nothing was executed")
                elif one is not None and one.phase == ARCHIVED:
                    self.store.settle(sent.id, "lost", "its host published nothing of that phase")

    def _report(self) -> None:
        """Report what the tape can prove, when it is this member's turn and nobody did."""
        with self._reading() as state:
            for stage, fault in list(self.tape.binder.faults.items()):
                one = state.markets.get(stage[0])
                turn = keys.keccak(self.house.address, stage[0])[0] % TURNS
                due = self._reported.setdefault(stage, self._now() + turn * self._patience)
                if one is not None and self._now() >= due and self._prove(state, one, *fault):
                    self._reported[stage] = 2**62

    def _prove(self, state: State, one: Market, kind: str, first: bytes, second: bytes) -> bool:
        """Send a Fault where the log would take it."""
        fault = self._sign(events.Fault, market=one.id, fault=kind, first=first, second=second)
        if one.phase not in RUNNING or fault.event.actor == one.creator:
            return False
        try:
            manifest.prove(state, one, kind, first, second)
        except errors.Refused:
            return False
        self.store.send(fault.id, fault.data, one.id, 2**62)
        return True


def _batches(own: list[tuple[Sent, Entry]]) -> Iterator[list[tuple[Sent, Entry]]]:
    """Account entries by page: in order, within the bounds of one."""
    batch: list[tuple[Sent, Entry]] = []
    size = 0
    for sent, entry in own:
        if batch and (len(batch) == ACCOUNT_ENTRIES or size + len(entry.data) > ACCOUNT_BYTES - 4096):
            yield batch
            batch, size = [], 0
        batch.append((sent, entry))
        size += len(entry.data)
    if batch:
        yield batch
