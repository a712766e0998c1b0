"""Blobs from peer to peer, beside the same payload as a DHT value: how many transfers complete, and how fast.

    python benchmarks/exchange.py                     # the whole table (about ten minutes on 2 cores)
    python benchmarks/exchange.py --peers 8 --sizes 1MB --transfers 1000

Every peer is a process of its own with its own libp2p daemon, on loopback. A round is: all publish one blob, everybody
collects everybody else's; a transfer is one blob at one receiver. Latency is from the publication (the same clock) to
the arrival of the verified blob. The DHT side stores the payload itself as the value of a key, through hivemind's own
`DHTNode` with nothing of ours around it, and a transfer is one `get` that returns it whole.

Simplifications: loopback has no latency and no loss; all peers share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"1KB": 1024, "16KB": 16_384, "64KB": 65_536, "256KB": 262_144, "1MB": 2**20}
ROUND_S = 60.0  # a transfer that takes longer counts as failed


def main() -> None:
    arguments = _arguments()
    if arguments.worker:
        asyncio.run(dht_worker(arguments)) if arguments.worker == "dht" else blob_worker(arguments)
        return
    print(f"{'peers':>5} {'size':>6}   {'blobs: done':>14} {'median s':>9} {'p99 s':>7} {'MB a peer':>9}   {'DHT value: done':>16} {'median s':>9}")
    for peers in arguments.peers:
        for size in arguments.sizes:
            blobs = measure("blobs", peers, SIZES[size], arguments.transfers)
            values = measure("dht", peers, SIZES[size], min(arguments.transfers, arguments.dht_transfers)) if arguments.dht_transfers else None
            print(row(peers, size, blobs, values), flush=True)


def row(peers: int, size: str, blobs: dict[str, Any], values: dict[str, Any] | None) -> str:
    """One line of the table."""
    median, late = (quantile(blobs["seconds"], share) for share in (0.5, 0.99))
    ours = f"{blobs['done']:>6} of {blobs['due']:<5} {median:>8.3f} {late:>7.3f} {blobs['memory_mb']:>9.0f}"
    theirs = f"{values['done']:>7} of {values['due']:<6} {quantile(values['seconds'], 0.5):>8.3f}" if values else ""
    return f"{peers:>5} {size:>6}   {ours}   {theirs}"


def quantile(seconds: list[float], share: float) -> float:
    """That quantile, NaN of nothing."""
    return sorted(seconds)[min(int(share * len(seconds)), len(seconds) - 1)] if seconds else float("nan")


def measure(kind: str, peers: int, size: int, transfers: int) -> dict[str, Any]:
    """Start `peers` workers, let them run enough rounds for `transfers`, and add up what they report."""
    rounds = max(2, -(-transfers // (peers * (peers - 1))))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--worker", kind, "--size", str(size), "--rounds", str(rounds)]
        command += ["--folder", folder, "--peers", str(peers)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HIVEMIND_LOGLEVEL": "ERROR"}
        workers: list[subprocess.Popen[str]] = []
        try:
            for index in range(peers):
                workers.append(subprocess.Popen([*command, "--index", str(index)], stdout=subprocess.PIPE, text=True, env=environment))
            reports = [json.loads((worker.communicate(timeout=ROUND_S * rounds + 300)[0] or "{}").splitlines()[-1]) for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
    seconds = [second for report in reports for second in report["seconds"]]
    memory = statistics.mean(report["memory_mb"] for report in reports)
    return {"done": len(seconds), "due": peers * (peers - 1) * rounds, "seconds": seconds, "memory_mb": memory}


def meet(folder: Path, name: str, index: int, peers: int, text: str = "") -> list[str]:
    """Wait until all workers have come to this point; what each of them wrote there."""
    (folder / f"{name}.{index}.part").write_text(text)
    (folder / f"{name}.{index}.part").rename(folder / f"{name}.{index}")
    while not all((folder / f"{name}.{other}").exists() for other in range(peers)):
        time.sleep(0.01)
    return [(folder / f"{name}.{other}").read_text() for other in range(peers)]


def blob_worker(arguments: argparse.Namespace) -> None:
    """One peer of the blob side. Its blobs start with the time of their publication."""
    sys.path.insert(0, str(ROOT))
    from swarm import recipe
    from swarm.identity import Identity
    from swarm.network import Network, NetworkSettings

    folder, index, peers = Path(arguments.folder), arguments.index, arguments.peers[0]
    task = {"name": "a", "kind": "builtin", "source": "addition"}
    rules = recipe.parse({"name": "bench", "tasks": [task], "answer": {"questions": 64, "max_tokens": 400}})  # room for 1 MB
    session = Identity.open_or_create_local(folder / f"identity{index}").session(bytes(32), 86_400)
    boot = (first_address(folder),) if index else ()
    network = Network(session, folder / f"peer{index}", NetworkSettings(boot=boot, poll=0.5, quota=2**33), rules)
    network.start()
    try:
        if not index:
            (folder / "boot.part").write_text(network.addresses()[0])
            (folder / "boot.part").rename(folder / "boot")
        while len(network.status().heard) < peers - 1:
            time.sleep(0.05)
        seconds = []
        for round in range(arguments.rounds):
            meet(folder, f"round{round}", index, peers)
            began = time.time()
            network.publish("answer", round, began.hex().encode().ljust(64) + os.urandom(arguments.size - 64))
            seconds += collect(network, round, peers - 1)
        meet(folder, "end", index, peers)
        memory = sum(peak_mb(pid) for pid in (os.getpid(), network.daemon_pid) if pid)
    finally:
        network.close()
    print(json.dumps({"seconds": seconds, "memory_mb": memory}))


def peak_mb(pid: int) -> float:
    """Largest resident memory that a process has had, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def collect(network: Any, round: int, due: int) -> list[float]:
    """Seconds from publication to arrival of each blob of `round`, as far as they come in time."""
    seconds: list[float] = []
    end = time.monotonic() + ROUND_S
    while len(seconds) < due and time.monotonic() < end:
        for arrival in network.arrivals():
            if arrival.round == round:
                seconds.append(arrival.at - float.fromhex(arrival.data[:64].decode().strip()))
        time.sleep(0.002)
    return seconds


def first_address(folder: Path) -> str:
    while not (folder / "boot").exists():
        time.sleep(0.05)
    return (folder / "boot").read_text()


async def dht_worker(arguments: argparse.Namespace) -> None:
    """One peer of the DHT side: the payload itself is the value."""
    from hivemind.dht.node import DHTNode
    from hivemind.utils import get_dht_time

    folder, index, peers = Path(arguments.folder), arguments.index, arguments.peers[0]
    quiet = {"host_maddrs": ["/ip4/127.0.0.1/tcp/0"], "nat_port_map": False, "auto_nat": False, "use_relay": False}
    node = await DHTNode.create(initial_peers=[await asyncio.to_thread(first_address, folder)] if index else None, **quiet)
    if not index:
        (folder / "boot.part").write_text(str((await node.get_visible_maddrs())[0]))
        (folder / "boot.part").rename(folder / "boot")
    seconds = []
    for round in range(arguments.rounds):
        await asyncio.to_thread(meet, folder, f"round{round}", index, peers)
        began = time.time()
        value = began.hex().encode().ljust(64) + os.urandom(arguments.size - 64)
        await node.store(f"{round}/{index}", value, get_dht_time() + 600)
        others = [other for other in range(peers) if other != index]
        got = await asyncio.gather(*(dht_get(node, f"{round}/{other}") for other in others))
        seconds += [second for second in got if second is not None]
    await asyncio.to_thread(meet, folder, "end", index, peers)
    print(json.dumps({"seconds": seconds, "memory_mb": peak_mb(os.getpid())}), flush=True)
    await node.shutdown()


async def dht_get(node: Any, key: str, patience: float = 15.0) -> float | None:
    """Seconds from the storing of a value to its arrival, None where it does not come."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            found = await asyncio.wait_for(node.get(key), patience)
        except TimeoutError:
            return None
        if found is not None:
            return time.time() - float.fromhex(found.value[:64].decode().strip())
        await asyncio.sleep(0.05)
    return None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["1KB", "64KB", "1MB"])
    parser.add_argument("--transfers", type=int, default=200, help="at least this many of each kind")
    parser.add_argument("--dht-transfers", type=int, default=112, help="of the DHT side, where each may take long; 0 leaves it out")
    for name, kind in (("worker", str), ("folder", str), ("index", int), ("size", int), ("rounds", int)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
