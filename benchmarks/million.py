"""A million trained models on the embedded chain: `python benchmarks/million.py` (some four minutes on one core).

    --models 20000     fewer          --peers 10000 --gwei 0.02     what the day at the end is computed for

First a few members train for real: their epochs go through commitments, audits and settlement of the real contracts, which gives the gas
of a peer's epoch and some models that the chain itself bears out. Then a million leaves (the real ones and made-up ones, 24 epochs of each
peer in a row) are registered as any peer would: `Waiting` seals batches of 1,000, each is posted in one transaction. A reader that has
nothing but events and lists makes its index and is asked for random models. The leaves and their lists, roots and transactions are real;
of the made-up trainings the index is told the ledger's events as if they had been on the chain, since a million commitments would only
measure anvil. The exit status is 1 where a model costs more than 60 gas or a lineage takes longer than 50 ms of processor time in the median
(the wall time beside it is also that of whatever else the machine does).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import million_day
import psutil
from blake3 import blake3
from million_day import BASE, RECIPE, Day

from swarm import keys, modelbook
from swarm.chain.abi import Event, raw
from swarm.chain.values import Kind
from swarm.models.index import Index
from swarm.models.lineage import lineage
from swarm.models.model import ROW, Model
from swarm.models.waiting import Batch, Waiting
from swarm.witness import in_folders

EACH = 1_000  # models of a batch
EPOCHS = 24  # of a made-up peer
CHUNK = 50_000
ASKED = 200
MOST_GAS, MOST_MS = 60, 50
FIND, LINEAGE, ASK = "find a model and check its path", "lineage back to the base, all paths checked", "what `verify` adds: the contract asked"
SWARM = keys.keccak(b"a made-up swarm")


class Clock:
    """Wall and processor seconds of this process since it was made, and those of the chain's."""

    def __init__(self, chain: psutil.Process):
        self._chain = chain
        self._wall, self._cpu, self._theirs = time.perf_counter(), time.process_time(), self._used()

    def _used(self) -> float:
        used = self._chain.cpu_times()
        return used.user + used.system

    def __str__(self) -> str:
        wall, cpu, theirs = time.perf_counter() - self._wall, time.process_time() - self._cpu, self._used() - self._theirs
        return f"{wall:8.1f} s {cpu:8.1f} CPU-s {theirs:8.1f} CPU-s of anvil"


def state(peer: int, epoch: int) -> bytes:
    """The state that a made-up peer's epoch ended with; before epoch 0 everyone has the same."""
    return BASE if epoch < 0 else blake3(b"%d %d" % (peer, epoch)).digest()


def key_of(peer: int) -> bytes:
    return blake3(b"key %d" % peer).digest()


def made_up(count: int) -> Iterator[Model]:
    """So many models of made-up peers, epoch by epoch as a swarm would post them."""
    peers = -(-count // EPOCHS)
    for number in range(count):
        epoch, peer = divmod(number, peers)
        ends = state(peer, epoch)
        yield Model(Kind.EPOCH, ends, state(peer, epoch - 1), RECIPE, key_of(peer)[:20], key_of(peer), epoch, blake3(ends).digest())


def told(count: int) -> Iterator[Event]:
    """What the registry and the ledger would have said of the made-up trainings."""
    event = lambda name, **said: Event(name, said, bytes(20), 1, bytes(32), bytes(32), 0)  # noqa: E731
    yield event("SwarmCreated", swarm=SWARM, recipe=RECIPE, base=BASE)
    for model in made_up(count):
        key, number = model.training, model.number
        if number == 0:
            yield event("Entered", key=key, swarm=SWARM, operator=model.operator, peer=key, session=key[12:])
        yield event("Committed", key=key, epoch=number, first=model.parent, last=model.model, root=model.proof, late=False)
        yield event("Settled", key=key, epoch=number)


def chunks(events: Iterator[Event]) -> Iterator[list[Event]]:
    while part := list(itertools.islice(events, CHUNK)):
        yield part


def register(day: Day, folder: Path, count: int) -> tuple[list[Batch], float]:
    """Let everything wait, seal and post it; the batches, and gas of a model."""
    secret, gas, done = day.account("poster"), 0, []
    with contextlib.closing(Waiting(folder)) as waiting:
        waiting.register_all(leaf for leaf, _ in day.models)
        waiting.register_all(made_up(count - len(waiting)))
        while batch := waiting.seal(EACH):
            receipt = day.chain.send(secret, "models", "post", batch.fields)
            waiting.posted(batch, raw(receipt["transactionHash"]))
            gas += int(receipt["gasUsed"], 16)
            done.append(batch)
    return done, gas / count


def prove(day: Day, index: Index) -> int:
    """Have the contract itself record one of the real models; gas."""
    leaf, header = day.models[-1]
    (entry,) = index.of(leaf.model)
    assert entry.holds and entry.model == leaf
    batch = dict(zip(("root", "count", "list"), entry.batch.fields, strict=True))
    return day.send(day.account("anyone"), "models", "prove", batch, entry.place, vars(leaf), list(entry.path), header)


class Watch:
    """Wall and processor milliseconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return 1e3 * (time.perf_counter() - self._wall), 1e3 * (time.process_time() - self._cpu)


def ask(book: modelbook.ModelBook, count: int, peers: int, draw: random.Random) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of three questions about random models, each checked."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in (FIND, LINEAGE, ASK)}
    for _ in range(ASKED):
        number = draw.randrange(count // 2, count)
        digest, watch = state(number % peers, number // peers), Watch()
        model, entry = book.find(digest.hex())
        assert entry is not None and entry.holds
        times[FIND].append(watch.read())
        watch = Watch()
        found = lineage(book.index, model, entry)
        assert found.is_whole and all(step.entry is not None and step.entry.holds for step in found.steps)
        assert len(found.steps) == number // peers + 1
        times[LINEAGE].append(watch.read())
        watch = Watch()
        assert book.troubles(found) == []
        times[ASK].append(watch.read())
    return times


def sizes(folder: Path) -> tuple[int, int]:
    """Bytes of an index, and of the lists."""
    return (folder / "index.sqlite").stat().st_size, sum(file.stat().st_size for file in (folder / "lists").iterdir())


def million(folder: Path, count: int, peers: int, gwei: float) -> int:
    """Everything; the exit status."""
    day = Day(folder / "real", 1)
    try:
        anvil = psutil.Process(day.anvil.pid)
        clock = Clock(anvil)
        spent = day.play("small", 6, 2)
        real = len(day.models)
        print(f"{real:,} real epochs of 6 members                          {clock}", flush=True)
        clock = Clock(anvil)
        batches, gas = register(day, folder / "poster", count)
        print(f"{count:,} models sealed and posted, {len(batches):,} batches   {clock}", flush=True)
        place = modelbook.place_of(folder / "reader", day.chain.link)
        clock = Clock(anvil)
        with contextlib.closing(Index(place, day.chain)) as index:
            index.refresh()
            index.read_lists(in_folders([folder / "poster" / "lists"]))
            assert index.counts() == {"read": count, "missing": 0, "refused": 0}
            print(f"index from events and lists                            {clock}", flush=True)
            index.compact()
            size, lists = sizes(place)
            clock = Clock(anvil)
            for part in chunks(told(count - real)):
                index.take(part)
            print(f"the ledger's events of {count - real:,} trainings           {clock}", flush=True)
            index.compact()
            with_truth, _ = sizes(place)
            proved = prove(day, index)
            (entry,) = index.of(day.models[0][0].model)
        with modelbook.opened(folder / "reader", day.chain) as book:
            made = count - real
            times = ask(book, made, -(-made // EPOCHS), random.Random(1))
        print(f"\ngas of a model: {gas:.1f} (limit {MOST_GAS}); the contract's own record of one (`prove`): {proved:,}")
        print(f"index: {size / 2**20:.1f} MiB, with the ledger's records {with_truth / 2**20:.1f} MiB; lists: {lists / 2**20:.1f} MiB")
        print(f"proof of a model: {ROW} bytes of leaf and {32 * len(entry.path)} of path")
        print(f"\n{'milliseconds of ' + str(ASKED) + ' random models':<43}{'wall: median':>14}{'99 %':>8}{'processor: median':>20}{'99 %':>8}")
        for name, each in times.items():
            wall, cpu = (sorted(one[which] for one in each) for which in (0, 1))
            last = int(0.99 * len(each))
            print(f"{name:<43}{statistics.median(wall):>14.1f}{wall[last]:>8.1f}{statistics.median(cpu):>20.1f}{cpu[last]:>8.1f}")
        million_day.table(spent, 6, 2, peers, gwei, gas)
        slow = statistics.median(cpu for _, cpu in times[LINEAGE]) > MOST_MS
        return 1 if gas > MOST_GAS or slow else 0
    finally:
        day.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=1_000_000)
    parser.add_argument("--peers", type=int, default=10_000)
    parser.add_argument("--gwei", type=float, default=0.02)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(million(Path(folder), given.models, given.peers, given.gwei))


if __name__ == "__main__":
    main()
