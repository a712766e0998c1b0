"""The process that averages: hivemind's averager with the DHT process it wants, apart from the node.

Started by `swarm.learn.average.Averager` as `python -m swarm.learn.averager`, only in recipes that average. It reads one
JSON object per line and answers each with one line; end of input ends it.

    {"prefix", "initial_peers", "host_maddrs", "announce_maddrs", "matchmaking", "patience"} -> {"peer", "addresses"}
    {"join": [ADDRESS, ...]} -> {"joined": N}
    {"tensors": FILE, "averaged": FILE, "claim": HEX, "timeout": S}  -> {"members": [[peer, claim], ...]} | {"failed": WHY}

Tensors travel as safetensors files. Nothing here is trusted by the node: it checks the claims and bounds the result.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from functools import partial
from typing import Any

import torch
from hivemind import DHT, DecentralizedAverager
from hivemind.averaging.allreduce import AllreduceException
from hivemind.averaging.matchmaking import MatchmakingException
from hivemind.dht.node import DHTNode
from hivemind.p2p import P2PDaemonError, P2PHandlerError, PeerID
from hivemind.p2p.p2p_daemon_bindings.utils import ControlFailure
from hivemind.utils.multiaddr import Multiaddr
from safetensors.torch import load_file, save_file

GROUP = 8  # peers in one averaging at most, so that traffic does not grow with the swarm
PART_BYTES = 2**18
DIAL_S = 5.0
FAILURES = (AllreduceException, MatchmakingException, P2PDaemonError, P2PHandlerError, asyncio.TimeoutError, asyncio.CancelledError, AssertionError)


def main() -> None:
    """Serve requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    torch.set_num_threads(1)
    setting = json.loads(sys.stdin.readline())
    dht = _dht(setting)
    answers.write(json.dumps({"peer": _raw(dht.peer_id).hex(), "addresses": [str(address) for address in dht.get_visible_maddrs()]}) + "\n")
    averager = None
    try:
        for line in sys.stdin:
            request = json.loads(line)
            if "join" in request:
                answers.write(json.dumps({"joined": dht.run_coroutine(partial(_join, addresses=request["join"]))}) + "\n")
                continue
            tensors = {name: tensor.float() for name, tensor in sorted(load_file(request["tensors"]).items())}
            if averager is None:
                averager = _averager(dht, setting, list(tensors.values()))
            answers.write(json.dumps(_average(averager, tensors, request)) + "\n")
    finally:
        if averager is not None:
            averager.shutdown()
        dht.shutdown()


def _dht(setting: dict[str, Any]) -> DHT:
    dht = DHT(
        initial_peers=setting["initial_peers"],
        host_maddrs=setting["host_maddrs"],
        announce_maddrs=setting["announce_maddrs"],
        nat_port_map=False,
        auto_nat=False,
        start=True,
    )
    os.set_blocking(dht._inner_pipe.fileno(), True)  # non-blocking, a message above 16 KB hangs the caller for good
    return dht


async def _join(_: DHT, node: DHTNode, addresses: list[str]) -> int:
    """Dial others and make the DHT nodes known to each other, each within DIAL_S; how many answered. Runs in the DHT's process."""
    places: dict[str, list[str]] = {}
    for address in addresses:
        place, _, name = address.rpartition("/p2p/")
        places.setdefault(name, []).append(place)
    return sum(await asyncio.gather(*(_meet(node, name, found) for name, found in places.items())))


async def _meet(node: DHTNode, name: str, places: list[str]) -> bool:
    try:
        peer = PeerID.from_base58(name)
        await asyncio.wait_for(node.p2p._client.connect(peer, [Multiaddr(place) for place in places]), DIAL_S)
        return await asyncio.wait_for(node.protocol.call_ping(peer), DIAL_S) is not None
    except (ValueError, LookupError, OSError, TimeoutError, asyncio.IncompleteReadError, ControlFailure):
        return False


def _averager(dht: DHT, setting: dict[str, Any], tensors: list[torch.Tensor]) -> DecentralizedAverager:
    """Peers that fall silent for `patience` seconds while they send are left out; the others go on."""
    return DecentralizedAverager(
        [tensor.clone() for tensor in tensors],
        dht,
        prefix=setting["prefix"],
        target_group_size=GROUP,
        min_matchmaking_time=setting["matchmaking"],
        request_timeout=setting["matchmaking"] / 2,
        part_size_bytes=PART_BYTES,
        next_chunk_timeout=setting["patience"],
        allreduce_timeout=10 * setting["patience"],
        allow_state_sharing=False,
        client_mode=False,
        start=True,
    )


def _average(averager: DecentralizedAverager, tensors: dict[str, torch.Tensor], request: dict[str, Any]) -> dict[str, Any]:
    with averager.get_tensors() as shared:
        for place, tensor in zip(shared, tensors.values(), strict=True):
            place.copy_(tensor)
    try:
        members = averager.step(gather=bytes.fromhex(request["claim"]), timeout=request["timeout"], allow_retries=True)
    except FAILURES as error:
        return {"failed": f"{type(error).__name__}: {error}"[:300]}
    with averager.get_tensors() as shared:
        save_file({name: place.clone() for name, place in zip(tensors, shared, strict=True)}, request["averaged"])
    return {"members": [[_raw(peer).hex(), claim.hex() if isinstance(claim, bytes) else ""] for peer, claim in members.items()]}


def _raw(peer: PeerID) -> bytes:
    """The 32-byte sha256 inside a peer id."""
    return peer.to_bytes()[2:]


if __name__ == "__main__":
    main()
