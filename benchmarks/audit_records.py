"""What records cost: processor seconds of bookkeeping beside those of training. Part of `benchmarks/audit.py`; alone:

    python benchmarks/audit_records.py                    # the default model and SmolLM2 with adapters: some 8 CPU-minutes
    python benchmarks/audit_records.py --recipe local     # half a minute

The same peer plays the same rounds twice in one process, on states that stay equal bit for bit: once recorded, once not; a partner, not
recorded, shares its groups with both. Every part of the bookkeeping is timed by itself in the recorded node (hashing of states and
gradients, packing, records, leaves, blobs with their fsync); the last column compares the two nodes as a whole, and is as
noisy as the machine. Processor time of this process, one thread; what fsync waits for the disk is no processor time and
is told apart. A round is one optimizer step together with the sampling for it; "of the step" is the optimizer step alone.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarm.node import Node
    from swarm.recipe import Recipe

PARTS = ("begin", "wrote", "stepped", "write", "confirm", "gradient root")
ROUNDS = {"local": 15, "smollm2": 2}
BOUND = 0.03
PEER, PARTNER = b"\x01" * 32, b"\x02" * 32


@dataclass
class Spent:
    """Seconds by name: of the processor, and of the clock beyond them."""

    cpu: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    waits: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextlib.contextmanager
    def on(self, name: str) -> Iterator[None]:
        cpu, clock = time.process_time(), time.perf_counter()
        yield
        used = time.process_time() - cpu
        self.cpu[name] += used
        self.waits[name] += max(0.0, time.perf_counter() - clock - used)

    def wrap(self, owner: Any, method: str, name: str) -> None:
        """Count what a method of one object takes."""
        inner = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.on(name):
                return inner(*args, **kwargs)

        setattr(owner, method, timed)


@dataclass(frozen=True)
class Measured:
    """One recipe's figures: seconds over all rounds."""

    name: str
    rounds: int
    every: int  # steps between two stored states
    state: int  # bytes
    with_records: float
    without: float
    step: float
    spent: Spent

    @property
    def bookkeeping(self) -> float:
        return sum(self.spent.cpu[part] for part in PARTS)

    @property
    def of_round(self) -> float:
        return self.bookkeeping / (self.with_records - self.bookkeeping)

    @property
    def of_step(self) -> float:
        return self.bookkeeping / self.step


def measure(name: str, rounds: int, cache: Path, overrides: list[str] | None = None, every: int = 0) -> Measured:
    """Play `rounds` rounds of a recipe with and without records. Raises RuntimeError where the two come to different states."""
    import torch

    from swarm import recipe
    from swarm.learn import one_step
    from swarm.seeds import STAGES

    torch.set_num_threads(1)
    rules, spent = recipe.load(name, overrides or []), Spent()
    every = every or rules.proof.stored_every
    gradient_root, totals = one_step.gradient_root, defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        nodes = {who: a_node(rules, peer, Path(folder) / who, cache) for who, peer in (("with", PEER), ("without", PEER), ("partner", PARTNER))}
        node, plain, partner = nodes.values()
        record(node, every, Path(folder) / "with")
        for part in ("begin", "wrote", "stepped", "write"):
            spent.wrap(node.scribe, part, part)
        spent.wrap(node.scribe.recorder, "confirm", "confirm")
        spent.wrap(node.trainee, "step", "step")
        counted = _timed(spent, gradient_root)
        for number in range(1, rounds + 1):
            for who, played in sorted(nodes.items(), reverse=number % 2 == 0):  # taking turns, so that what else the machine does falls on both
                one_step.gradient_root = counted if played is node else lambda _: bytes(32)
                begun = time.process_time()
                played.play_round()
                totals[who] += time.process_time() - begun
            for giver, takers in ((partner, (node, plain)), (node, (partner,))):
                for stage in STAGES:
                    blob = giver.journal.blob(number, stage)
                    for taker in takers:
                        taker.pool.take(giver.me, giver.operator, "a peer", -1, stage, number, blob, time.time())
        one_step.gradient_root = gradient_root
        if node.trainee.root != plain.trainee.root:
            raise RuntimeError("recording changed the training")
        state = sum(tensor.nbytes for tensor in node.trainee.tensors.values())
    return Measured(name, rounds, every, state, totals["with"], totals["without"], spent.cpu["step"] - spent.cpu["gradient root"], spent)


def _timed(spent: Spent, function: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    def timed(gradients: Any) -> bytes:
        with spent.on("gradient root"):
            return function(gradients)

    return timed


def a_node(rules: Recipe, peer: bytes, folder: Path, cache: Path) -> Node:
    """A node without a process or a network around it."""
    from swarm.peer import assemble
    from swarm.policy import model
    from swarm.stages import Stages
    from swarm.tasks.mix import Mix
    from swarm.trainee import Trainee

    folder.mkdir(parents=True)
    stages = Stages(rules, model.load(rules, cache, "cpu"), Mix(rules, trusted=True))
    return assemble(stages, Trainee(stages.policy, rules, folder / "checkpoints"), folder, peer, peer[:20])


def record(node: Node, every: int, folder: Path, swarm: bytes = b"\x07" * 32, machine: bytes = b"\x0c" * 32, epoch: int = 0) -> None:
    """From now on the node's steps are recorded, all of them in one epoch."""
    from swarm.network.store import BlobStore
    from swarm.proof.recorder import Recorder
    from swarm.proof.scribe import Scribe

    store = BlobStore(folder / "blobs", 2**34)
    recorder = Recorder(folder / "proof", swarm, node.me, node.operator, machine, store, lambda: epoch)
    node.scribe = Scribe(recorder, node.trainee, every, time.time)
    node.scribe.resume()


def table(rows: list[Measured]) -> None:
    """Print the shares, then the parts."""
    print("\nbookkeeping, processor seconds a round (bound: 3 % of a training step)")
    heads = f"{'with':>8} {'without':>8} {'records':>9} {'of the round':>13} {'of the step':>12} {'with/without':>13}"
    print(f"{'recipe':<10}{'rounds':>7} {'state':>8} {'stored':>9} {heads}")
    for row in rows:
        each = f"{row.with_records / row.rounds:8.3f} {row.without / row.rounds:8.3f} {row.bookkeeping / row.rounds:9.4f}"
        shares = f"{row.of_round:13.2%} {row.of_step:12.2%} {row.with_records / row.without:13.3f}"
        print(f"{row.name:<10}{row.rounds:>7} {row.state / 2**20:5.1f} MB {'1 in ' + str(row.every):>9} {each} {shares}")
    print(f"\n{'milliseconds a round':<22}" + "".join(f"{part:>15}" for part in PARTS) + f"{'waits for disk':>16}")
    for row in rows:
        parts = "".join(f"{1000 * row.spent.cpu[part] / row.rounds:15.2f}" for part in PARTS)
        print(f"{row.name:<22}{parts}{1000 * sum(row.spent.waits[part] for part in PARTS) / row.rounds:16.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=[*ROUNDS, "both"], default="both")
    parser.add_argument("--cache", type=Path, default=Path(".swarm/cache"), help="where the converted SmolLM2 is kept")
    options = parser.parse_args()
    names = list(ROUNDS) if options.recipe == "both" else [options.recipe]
    table([run(name, options.cache) for name in names])


def run(name: str, cache: Path) -> Measured:
    """The full size of one recipe. So few rounds of SmolLM2 fit a measurement that each of its states is stored: an upper bound."""
    from swarm.learn import trainer  # noqa: F401  (its import takes ten seconds, which are no training)

    return measure(name, ROUNDS[name], cache, every=1 if name == "smollm2" else 0)


if __name__ == "__main__":
    main()
