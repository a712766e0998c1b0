"""Numeric forgeries are brought to the contract's last move, and lost by whoever forged; a slanderer loses too.

    python -m benchmarks.disputes                 24 games of a tiny Llama and one of the shipped base model (some minutes on one core)
    python -m benchmarks.disputes --games 4 --base 0 --seed 7

Prover and challenger are processes of their own, each with its own trace; they meet only on the embedded local chain. What is forged is drawn
at random: one bit of one word of one operator's result, carried on to the end of the step.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.disputes.town import Town
from swarm.chain.values import Ruling

LIMIT = 10_000_000  # gas of a whole dispute
KINDS = ("weight", "gradient", "moment", "token", "any", "slander")


class Process:
    """A side's process. `ask` waits for its answer."""

    def __init__(self, log: Path):
        self._log = open(log, "wb")  # noqa: SIM115 (closed with the process)
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True)
        self._process = subprocess.Popen([sys.executable, "-m", "benchmarks.disputes.side"], **pipes)

    def ask(self, do: str, **job: Any) -> dict[str, Any]:
        self._process.stdin.write(json.dumps({"do": do, **job}) + "\n")
        self._process.stdin.flush()
        if not (line := self._process.stdout.readline()):
            raise SystemExit(f"a side ended over {do}:\n{Path(self._log.name).read_text()[-2000:]}")
        return json.loads(line)

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._log.close()


@dataclass(frozen=True)
class Game:
    """How one game went. `moves` are (function, gas) of both sides and of the opening."""

    kind: str
    model: str
    operator: str
    place: str
    forger_lost: bool
    moves: list[tuple[str, int]]
    cpu_s: float

    @property
    def gas(self) -> int:
        return sum(gas for _, gas in self.moves)

    @property
    def text(self) -> str:
        end = "lost by the forger" if self.forger_lost else "NOT LOST BY THE FORGER"
        return f"{self.kind:<9} {self.model:<5} {self.operator:<22} {self.place:<34} {len(self.moves):>5} {self.gas:>11,} {self.cpu_s:>7.1f}  {end}"


def draw(kind: str, calls: list[list[Any]], chance: random.Random) -> tuple[int, int, int]:
    """Call, output and element of a lie of a kind."""
    last = max((n for n, (name, _) in enumerate(calls) if name.endswith("backward")), default=0)
    first = next((n for n, (name, _) in enumerate(calls) if name.endswith("backward")), 0)
    optimizer = [n for n, (name, _) in enumerate(calls) if name == "adamw"]
    among = {"weight": optimizer, "moment": optimizer, "gradient": range(first, last + 1)}
    among["token"] = [n for n, (name, _) in enumerate(calls) if name == "drawn"]
    possible = [n for n in among.get(kind, range(len(calls))) if max(calls[n][1]) > 0]
    call = chance.choice(possible)
    output = {"weight": 0, "moment": chance.choice((1, 2))}.get(kind, chance.randrange(len(calls[call][1])))
    size = calls[call][1][output]
    return call, output, 2 if kind == "token" else chance.randrange(size)


def play(town: Town, sides: tuple[Process, Process], kind: str, model: str, chance: random.Random) -> Game:
    """One game from the forgery to the ruling."""
    prover, challenger = sides
    around = dict(model=model, swapped=kind == "token")
    honest = challenger.ask("make", **around, lie=None)
    lie = draw(kind, honest["calls"], chance)
    liar, other = (challenger, prover) if kind == "slander" else (prover, challenger)
    told = liar.ask("make", **around, lie=list(lie))
    committed = other.ask("make", **around, lie=None) if kind == "slander" else told
    header, *members = town.game(bytes.fromhex(committed["root"]), bytes.fromhex(committed["after"]))
    link = town.chain.link.model_dump_json()
    said = {key: value.hex() if isinstance(value, bytes) else value for key, value in vars(header).items()}
    opened = challenger.ask(
        "open", link=link, header=said, secret=members[1].secret.hex(), challenger=members[1].key.hex(), row=committed["row"]
    )

    def run(place: int) -> dict[str, Any]:
        return sides[place].ask("play", link=link, id=opened["id"], secret=members[place].secret.hex(), challenger=place == 1)

    with ThreadPoolExecutor(2) as threads:
        playing = [threads.submit(run, place) for place in (0, 1)]
        for done in as_completed(playing):
            if (error := done.exception()) is not None:  # a side ended: the other would wait for its clock
                prover.kill()
                challenger.kill()
                raise error
    ends = [each.result() for each in playing]
    wanted = Ruling.CHALLENGER_LOST if kind == "slander" else Ruling.PROVER_LOST
    place = f"value {ends[0]['value']}, instruction {ends[0]['position']}, word {ends[0]['element']}"
    moves = [("open", opened["gas"]), *((name, gas) for end in ends for name, gas in end["moves"])]
    spent = honest["cpu_s"] + told["cpu_s"] + sum(end["cpu_s"] for end in ends)
    return Game(kind, model, honest["calls"][lie[0]][0], place, ends[0]["ruling"] == wanted, moves, spent)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.disputes", description=__doc__.split("\n")[0])
    parser.add_argument("--games", type=int, default=24, help="games of the tiny model")
    parser.add_argument("--base", type=int, default=1, help="games of the shipped base model")
    parser.add_argument("--seed", type=int, default=1, help="what is drawn")
    chosen = parser.parse_args(argv)
    games = run(chosen.games, chosen.base, chosen.seed, print)
    most = max(games, key=lambda game: game.gas)
    lost = sum(game.forger_lost for game in games)
    moves = max(len(game.moves) for game in games)
    print(f"\n{lost} of {len(games)} games lost by the forger; most moves {moves}, most gas {most.gas:,} ({most.kind})")
    return 0 if lost == len(games) and most.gas <= LIMIT else 1


def run(tiny: int, base: int, seed: int, say: Any) -> list[Game]:
    """Play them all."""
    chance, games = random.Random(seed), []
    say(f"{'forgery':<9} {'model':<5} {'operator':<22} {'place':<34} {'moves':>5} {'gas':>11} {'CPU-s':>7}")
    with tempfile.TemporaryDirectory() as folder:
        town = Town(Path(folder) / "chain")
        sides = Process(Path(folder) / "prover.txt"), Process(Path(folder) / "challenger.txt")
        try:
            for number in range(tiny + base):
                model = "tiny" if number < tiny else "base"
                games.append(play(town, sides, KINDS[number % len(KINDS)], model, chance))
                say(games[-1].text)
        finally:
            for side in sides:
                side.close()
            town.close()
    return games


if __name__ == "__main__":
    raise SystemExit(main())
