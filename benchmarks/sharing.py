"""Does sharing help? Own and foreign groups at equal training batch: `python benchmarks/sharing.py` (under an hour on 2 cores).

Two peers play rounds in one process, blobs handed over directly, everything else as in a real swarm. Each cell is I/J groups a step
(I + J = 8) over three seeds. The table shows held-out greedy accuracy (mean over tasks): after the last update, with its standard
deviation over seeds and peers; "curve", its mean over evaluations every eight updates, which tells how soon it rose; and how far both
differ from 8/0 of the same seed. Settings:

all          every peer draws all three tasks, the shipped base model
specialists  one peer draws additions only, the other letters only; both are tested on both
rare         a base model that saw 4 % step-by-step texts, where a peer rarely discovers them alone
mixed        as rare, own and foreign completions of the same question in one group

Finished cells are kept in a file and not run again, so the same command resumes. `--quick` runs one seed and few updates, to try it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RATIOS = ["8/0", "6/2", "4/4", "2/6"]
SETTINGS = {"all": RATIOS, "specialists": RATIOS, "rare": RATIOS, "mixed": ["6/2", "4/4"]}
PEERS = 2
EVERY = 8
SPECIALTIES = [0, 2]  # places of the two tasks in the recipe


def overrides(setting: str, ratio: str, seed: int) -> list[str]:
    own, foreign = ratio.split("/")
    rules = [f"sharing.own={own}", f"sharing.foreign={foreign}", "sharing.operator_share=1.0", f"seed={seed}", "evaluate.questions=100"]
    rules += ["answer.questions=10", "critique.groups=2", "resolve.groups=2"]
    if setting == "specialists":
        rules.append("sharing.specialists=true")
    if setting == "mixed":
        rules += ["sharing.join=mixed", "proof.profile=none"]
    return rules


def play(setting: str, ratio: str, seed: int, updates: int, base: str) -> dict:
    """One cell and seed: accuracy of every peer before and after, and processor seconds."""
    import torch

    from swarm import evaluation, recipe
    from swarm.policy import weights
    from swarm.seeds import STAGES

    torch.set_num_threads(1)
    other = [f"model.source=path:{base}", f"model.digest={weights.digest(Path(base))}"] if base else []
    rules = recipe.load("local", [*overrides(setting, ratio, seed), *other])
    with tempfile.TemporaryDirectory() as folder:
        nodes = [peer(rules, index, Path(folder) / str(index), setting == "specialists") for index in range(PEERS)]
        heldout = nodes[0].stages.mix.heldout(rules.evaluate.questions)
        tasks = [list(heldout)[i] for i in SPECIALTIES] if setting == "specialists" else list(heldout)
        heldout = {task: heldout[task] for task in tasks}
        before = evaluation.accuracy(nodes[0].stages, heldout)
        used, curve = 0.0, []
        for update in range(updates):
            began = time.process_time()
            for node in nodes:
                this = node.play_round()
                for other in nodes:
                    if other is not node:
                        for stage in STAGES:
                            blob = node.journal.blob(this.number, stage)
                            other.pool.take(node.me, node.operator, str(node.me[0]), node.specialty, stage, this.number, blob, time.time())
            used += time.process_time() - began
            if (update + 1) % EVERY == 0 or update + 1 == updates:
                curve.append([evaluation.accuracy(node.stages, heldout) for node in nodes])
        foreign = [node.totals.foreign / max(1, node.totals.foreign + node.totals.own) for node in nodes]
    return {"before": before, "curve": curve, "cpu_s": used / PEERS, "foreign": foreign}


def peer(rules, index: int, folder: Path, specialist: bool):
    """A node without a process or a network around it."""
    from swarm.peer import assemble
    from swarm.policy import model
    from swarm.stages import Stages
    from swarm.tasks.mix import Mix
    from swarm.trainee import Trainee

    folder.mkdir()
    stages = Stages(rules, model.load(rules, folder / "cache", "cpu"), Mix(rules, trusted=True))
    me, specialty = bytes([index + 1]) * 32, SPECIALTIES[index] if specialist else -1
    return assemble(stages, Trainee(stages.policy, rules, folder / "checkpoints"), folder, me, me[:20], specialty=specialty)


def rare_base(folder: Path) -> str:
    """A base model like the shipped one, but with 4 % step-by-step texts; made once (about 6 minutes)."""
    if not (folder / "config.json").exists():
        print("pre-training the base model with few step-by-step texts (once)", flush=True)
        command = [sys.executable, "-m", "swarm.policy.base.pretrain", "--out", str(folder), "--share", "0.04"]
        subprocess.run(command, check=True, env=environment())
    return str(folder)


def environment() -> dict[str, str]:
    quiet = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    return os.environ | quiet | {"PYTHONPATH": str(Path(__file__).parent.parent)}


def run(cell: tuple[str, str, int], updates: int, base: str, kept: Path) -> None:
    """One cell in a process of its own; its result is appended to the file of results."""
    setting, ratio, seed = cell
    command = [sys.executable, __file__, "--cell", setting, ratio, str(seed), "--updates", str(updates), "--base", base]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    if done.returncode:
        raise SystemExit(f"{cell} failed:\n{done.stderr[-2000:]}")
    with open(kept, "a") as file:
        file.write(json.dumps({"cell": [setting, ratio, seed, updates], **json.loads(done.stdout.splitlines()[-1])}) + "\n")
    print(f"done: {setting} {ratio} seed {seed}", flush=True)


def table(rows: list[dict], updates: int) -> None:
    """Print what there is."""
    found = {tuple(row["cell"][:3]): row for row in rows if row["cell"][3] == updates}
    print(f"\n{PEERS} peers, {updates} updates, 8 groups of 8 a step; held-out greedy accuracy, mean over tasks")
    heads = f"{'before':>6} {'after':>6} {'sd':>6} {'- 8/0':>7} {'curve':>6} {'- 8/0':>7} {'foreign':>8} {'CPU-s/peer':>10} {'seeds':>6}"
    print(f"{'setting':<12} {'I/J':<4} {heads}")
    for setting, ratios in SETTINGS.items():
        for ratio in ratios:
            cells = {seed: row for (s, r, seed), row in found.items() if (s, r) == (setting, ratio)}
            if cells:
                print(f"{setting:<12} {ratio:<4} {line(cells, {seed: found.get((BASELINE.get(setting, setting), '8/0', seed)) for seed in cells})}")


def line(cells: dict[int, dict], alone: dict[int, dict | None]) -> str:
    """The figures of one row, over seeds."""
    every = [mean(peer) for row in cells.values() for peer in row["curve"][-1]]
    pairs = [(cells[seed], other) for seed, other in alone.items() if other]
    gains = [statistics.mean(measure(row) - measure(other) for row, other in pairs) if pairs else float("nan") for measure in (last, whole)]
    spread = statistics.stdev(every) if len(every) > 1 else 0.0
    before = statistics.mean(mean(row["before"]) for row in cells.values())
    foreign = statistics.mean(share for row in cells.values() for share in row["foreign"])
    cpu = statistics.mean(row["cpu_s"] for row in cells.values())
    curve = statistics.mean(map(whole, cells.values()))
    accuracy = f"{before:6.3f} {statistics.mean(every):6.3f} {spread:6.3f} {gains[0]:+7.3f} {curve:6.3f} {gains[1]:+7.3f}"
    return f"{accuracy} {foreign:8.2f} {cpu:10.0f} {len(cells):6}"


def last(row: dict) -> float:
    return statistics.mean(mean(peer) for peer in row["curve"][-1])


def whole(row: dict) -> float:
    return statistics.mean(mean(peer) for point in row["curve"] for peer in point)


BASELINE = {"mixed": "rare"}


def mean(values) -> float:
    return statistics.mean(values.values() if isinstance(values, dict) else values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(".swarm/benchmarks"))
    parser.add_argument("--quick", action="store_true", help="one seed, 4 updates")
    parser.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--base", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        setting, ratio, seed = arguments.cell
        print(json.dumps(play(setting, ratio, int(seed), arguments.updates, arguments.base)))
        return
    updates, seeds = (4, 1) if arguments.quick else (arguments.updates, arguments.seeds)
    arguments.out.mkdir(parents=True, exist_ok=True)
    kept = arguments.out / "sharing.jsonl"
    rare = rare_base((arguments.out / "rare-base").absolute())
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    there = {tuple(row["cell"]) for row in rows}
    cells = [(s, r, seed) for seed in range(seeds) for s, ratios in SETTINGS.items() for r in ratios]
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        waiting = [cell for cell in cells if (*cell, updates) not in there]
        list(workers.map(lambda cell: run(cell, updates, rare if cell[0] in ("rare", "mixed") else "", kept), waiting))
    table([json.loads(line) for line in kept.read_text().splitlines()], updates)


if __name__ == "__main__":
    main()
