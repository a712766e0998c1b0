"""Transactions of one account: signed here, sent, followed until they are in a block, and never doubled.

A `Flight` is one place in the account's row of transactions (its nonce) with the signed bytes that may fill it. Only one
of them can ever be mined, so sending them again, also after a restart of the chain or of this process, is safe. A new
flight for the same purpose is begun only when something else has filled the place. `launch` signs, the caller stores
the flight if it must survive, `broadcast` sends; `look` says where it stands.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from swarm import keys
from swarm.chain.abi import raw
from swarm.chain.rpc import Rpc, RpcError
from swarm.chain.values import amount
from swarm.errors import ChainError, ChainRefused

GWEI = 10**9
GAS_SHARE, GAS_MORE = 1.25, 10_000  # over the estimate: other transactions of the same block change what one costs
MAX_FEE = 2_000 * GWEI  # a price of gas beyond it is a mistake or a trick of whoever answers
FEE_STEP = 1.25  # a replacement must pay 10 % more at least
AGAIN_S = 2.0  # between two sendings of the same bytes
BUMP_S = 30.0  # without being mined, then it pays more
GAP_S = 4.0  # behind a gap of lost transactions, then the gap is filled
MAX_BUMPS = 8
PASSED_BLOCKS, PASSED_S = 2, 60.0  # without a receipt after the account's count has passed a flight: then something else took its place
SEND_S = 90.0
KNOWN = ("already known", "already imported", "known transaction", "already exists")
TAKEN = ("nonce too low", "nonce is too low", "replacement transaction underpriced", "transaction underpriced", "replacement fee too low")
CHEAP = ("less than block base fee", "fee cap less than", "fee too low", "below the minimum", "gas price too low")
Receipt = dict[str, Any]


@dataclass
class Flight:
    """A place in the account's row, and what may fill it. All plain values, so it can be kept as JSON."""

    nonce: int
    to: str
    data: str
    value: int
    gas: int
    fee: int
    tip: int | None  # None: the chain knows only one price
    raws: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    signed_at: float = 0.0  # wall clock of the last signature
    sent_at: float = 0.0
    gap_since: float = 0.0
    passed_at: int = 0  # height at which the account's count was first seen beyond it, without a receipt
    passed_since: float = 0.0


class Sender:
    """Signs for one key on one chain. `fund` asks somebody for gas, and says whether there may be some now."""

    def __init__(self, rpc: Rpc, chain_id: int, secret: bytes, fund: Callable[[str], bool] | None = None):
        self.rpc, self.chain_id, self._secret, self._fund = rpc, chain_id, secret, fund
        self.address = keys.checksum(keys.address_of(secret))

    def launch(self, to: str, data: bytes, value: int = 0, gas: int | None = None, nonce: int | None = None) -> Flight:
        """A signed flight at the next free place; not sent yet. `to` is "" where a contract is created.

        Raises ChainRefused where the account cannot pay for it, RpcError where the chain refuses the call itself.
        """
        call = {"from": self.address, "data": "0x" + data.hex(), "value": hex(value)} | ({"to": to} if to else {})
        gas = gas or int(int(self.rpc.call("eth_estimateGas", call), 16) * GAS_SHARE) + GAS_MORE
        fee, tip = self._fees()
        self._require(gas * fee + value)
        place = self.count("pending") if nonce is None else nonce
        return self._sign(Flight(place, to, "0x" + data.hex(), value, gas, fee, tip))

    def broadcast(self, flight: Flight) -> None:
        """Send the newest bytes; again is no error. Raises ChainError, or ChainRefused where the chain will not have it."""
        flight.sent_at = time.time()
        try:
            self.rpc.call("eth_sendRawTransaction", flight.raws[-1])
        except RpcError as error:
            words = error.message.lower()
            if any(known in words for known in (*KNOWN, *TAKEN)):
                return  # `look` finds out whether it was this one
            if any(cheap in words for cheap in CHEAP):
                flight.signed_at = 0.0  # gas has become dearer: the next `look` pays more
                return
            if "insufficient funds" in words:
                self._require(flight.gas * flight.fee + flight.value)
                return  # there is gas now; it is sent again soon
            raise ChainRefused(f"the chain refuses the transaction: {error.message}", "try again; if it stays, report it", "Unsendable") from None

    def look(self, flight: Flight, keep: Callable[[], None] = lambda: None) -> Receipt | bool:
        """The receipt, True while it is on its way (sent again, or for more, where that helps), False when something else took its place.

        `keep` is called between a new signature and its sending, for flights that must survive this process.
        """
        if (receipt := self.receipt(flight)) is not None:
            return receipt
        now = time.time()
        if self.count("latest") > flight.nonce:
            return self.receipt(flight) or self._undecided(flight, now)
        flight.passed_at = 0
        if now - flight.sent_at >= AGAIN_S:
            self._fill_gap(flight, now)
            if now - flight.signed_at >= BUMP_S and len(flight.raws) <= MAX_BUMPS:
                self._sign(self._dearer(flight))
                keep()
            self.broadcast(flight)
        return True

    def receipt(self, flight: Flight) -> Receipt | None:
        """The receipt of whichever of the flight's transactions was mined."""
        for each in flight.hashes:
            found = self.rpc.call("eth_getTransactionReceipt", each)
            if isinstance(found, dict) and found.get("blockNumber"):
                return found
        return None

    def run(self, to: str, data: bytes, value: int = 0, timeout_s: float = SEND_S, poll_s: float = 0.25) -> Receipt:
        """Launch, send and wait for the receipt. Raises ChainError where it is not mined in time (it may be later)."""
        flight = self.launch(to, data, value)
        self.broadcast(flight)
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            found = self.look(flight)
            if isinstance(found, dict):
                return found
            if found is False:
                flight = self.launch(to, data, value)
                self.broadcast(flight)
            time.sleep(poll_s)
        raise ChainError(f"transaction {flight.hashes[-1]} is not mined after {timeout_s:.0f} s", "it may be later: look before you send it again")

    def count(self, block: str) -> int:
        """How many transactions of the account were mined ("latest"), or wait as well ("pending")."""
        return int(self.rpc.call("eth_getTransactionCount", self.address, block), 16)

    def _fees(self) -> tuple[int, int | None]:
        base = self.rpc.call("eth_getBlockByNumber", "latest", False).get("baseFeePerGas")
        try:
            tip = None if base is None else int(self.rpc.call("eth_maxPriorityFeePerGas"), 16)
        except RpcError:
            tip = GWEI
        fee = int(self.rpc.call("eth_gasPrice"), 16) if tip is None else 2 * int(base, 16) + tip
        if fee > MAX_FEE:
            what = f"gas costs {fee // GWEI} gwei on chain {self.chain_id}, more than the {MAX_FEE // GWEI} that are paid at most"
            raise ChainRefused(what, "wait, or use another --rpc: this one may be lying", "FeeTooHigh")
        return fee, tip

    def _require(self, wei: int) -> None:
        if (has := self._balance()) >= wei or (self._fund and self._fund(self.address) and (has := self._balance()) >= wei):
            return
        what = f"account {self.address} has {amount(has)} of the coin of chain {self.chain_id} and needs {amount(wei)} for gas"
        raise ChainRefused(what, f"send some to {self.address}; a test chain has a faucet for it", "BalanceTooLow", {"has": has, "needs": wei})

    def _balance(self) -> int:
        return int(self.rpc.call("eth_getBalance", self.address, "latest"), 16)

    def _undecided(self, flight: Flight, now: float) -> bool:
        """Whether the flight may still turn out to be mined: a busy chain counts a transaction a while before it shows its receipt."""
        height = int(self.rpc.call("eth_blockNumber"), 16)
        if not flight.passed_at:
            flight.passed_at, flight.passed_since = max(1, height), now
        return height < flight.passed_at + PASSED_BLOCKS and now - flight.passed_since < PASSED_S

    def _fill_gap(self, flight: Flight, now: float) -> None:
        """A restarted chain may have lost earlier transactions that nobody sends again: empty ones take their places."""
        if (pending := self.count("pending")) >= flight.nonce:
            flight.gap_since = 0.0
        elif not flight.gap_since:
            flight.gap_since = now
        elif now - flight.gap_since >= GAP_S:
            self.broadcast(self._sign(Flight(pending, self.address, "0x", 0, 21_000, flight.fee, flight.tip)))

    def _dearer(self, flight: Flight) -> Flight:
        fee, tip = self._fees()
        flight.fee = max(fee, int(flight.fee * FEE_STEP) + 1)
        flight.tip = None if flight.tip is None else max(tip or 0, int(flight.tip * FEE_STEP) + 1)
        return flight

    def _sign(self, flight: Flight) -> Flight:
        from eth_account import Account

        price = {"gasPrice": flight.fee} if flight.tip is None else {"maxFeePerGas": flight.fee, "maxPriorityFeePerGas": flight.tip, "type": 2}
        fields = {"nonce": flight.nonce, "gas": flight.gas, "value": flight.value, "data": raw(flight.data), "chainId": self.chain_id, **price}
        signed = Account.sign_transaction(fields | ({"to": flight.to} if flight.to else {}), self._secret)
        flight.raws.append("0x" + bytes(signed.raw_transaction).hex())
        flight.hashes.append("0x" + bytes(signed.hash).hex())
        flight.signed_at = time.time()
        return flight
