"""Run folders: where a run's recipe, peers and results lie, and which of them the same command carries on with.

    $SWARM_HOME/runs/<recipe>-<n>/
        run.json  recipe.json  summary.json  curves.png
        peer-<i>/  node.json session.bin heartbeat.json metrics.jsonl result.json log.txt checkpoints/ blobs/ model/
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Literal, Self

from blake3 import blake3
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm import recipe as recipes
from swarm import seeds
from swarm.ending import Machine
from swarm.errors import InputError, ResourceError, StateError
from swarm.recipe import Recipe

FILE = "run.json"
RECIPE = "recipe.json"
MAX_BYTES = 65_536


def home() -> Path:
    """Where all state lies: `$SWARM_HOME`, or `.swarm` in the current folder."""
    return Path(os.environ.get("SWARM_HOME") or ".swarm").absolute()


class Info(BaseModel):
    """`run.json`: what stays the same when a run is carried on."""

    model_config = ConfigDict(extra="ignore")

    version: Literal[1] = 1
    kind: Literal["up", "join", "judge", "job"] = "up"
    role: str = Field("", description="Of a run that takes a job: solver or verifier.")
    recipe: str
    recipe_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    recipe_blob: str = Field("0" * 64, pattern=r"^[0-9a-f]{64}$", description="BLAKE3 of recipe.json as the swarm serves it.")
    swarm: str = Field(pattern=r"^[0-9a-f]{64}$")
    seed: int = 0
    identities: list[str] = []
    boot: list[str] = []
    created: float = 0.0
    finished: float | None = None
    supervisor: int | None = Field(None, description="Process id while the run is on; left behind when it was killed.")
    machine: Machine | None = Field(None, description="The kernel's counters when the run was started last.")


class Run:
    """One run folder. `lock()` before changing anything in it."""

    def __init__(self, folder: Path, info: Info):
        self.folder, self.info = folder, info
        self._lock: int | None = None
        self._reserved: list[int] = []

    @classmethod
    def create(cls, folder: Path, info: Info) -> Self:
        """A new run in `folder`, which may exist but hold no run."""
        folder.mkdir(parents=True, exist_ok=True)
        run = cls(folder, info.model_copy(update={"created": time.time()}))
        run.lock()
        run.save()
        return run

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The run in `folder`. Raises InputError where there is none, StateError where its file is damaged."""
        try:
            with open(folder / FILE, "rb") as file:
                return cls(folder, Info.model_validate_json(file.read(MAX_BYTES)))
        except FileNotFoundError:
            raise InputError(f"{folder} is not a run folder", "`swarm status` lists the runs there are") from None
        except ValidationError as error:
            what = f"{folder / FILE} is damaged: {error.errors()[0]['msg']}"
            raise StateError(what, "start anew with --fresh; the peers' models and checkpoints are still in their folders") from None

    def save(self) -> None:
        _write(self.folder / FILE, self.info.model_dump_json(indent=1).encode())

    def update(self, **changes: object) -> None:
        self.info = self.info.model_copy(update=changes)
        self.save()

    def try_lock(self) -> bool:
        """Claim the folder for this process until it ends; False where another one has it."""
        if self._lock is None:
            self._lock = claim(self.folder / "lock")
        return self._lock is not None

    def lock(self) -> None:
        """Claim the folder for this process until it ends. Raises ResourceError where another one has it."""
        if not self.try_lock():
            what = f"the run in {self.folder} is on already (process {self.info.supervisor})"
            raise ResourceError(what, "stop that one, or start another with --fresh or --run-dir")

    def reserve(self, identity: Path) -> bool:
        """Keep an identity's folder for this run as long as it is locked; False where another run has it."""
        if (lock := claim(identity / "reserved")) is None:
            return False
        self._reserved.append(lock)
        return True

    def unlock(self) -> None:
        """Let go of the folder and of the identities."""
        for lock in [*self._reserved, *([] if self._lock is None else [self._lock])]:
            os.close(lock)
        self._lock, self._reserved = None, []

    @property
    def on(self) -> bool:
        """Whether a process has the folder locked now."""
        if self._lock is not None:
            return True
        if (lock := claim(self.folder / "lock")) is None:
            return True
        os.close(lock)
        return False

    def peer(self, index: int) -> Path:
        """Folder of a peer, made where it is missing."""
        folder = self.folder / f"peer-{index}"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def peers(self) -> list[Path]:
        """Folders of all peers that there are, in order."""
        return sorted(self.folder.glob("peer-*"), key=lambda path: int(path.name.removeprefix("peer-")))

    @property
    def recipe_path(self) -> Path:
        return self.folder / RECIPE

    @property
    def chain(self) -> Path:
        """Folder of the swarm's chain: how to reach it, and the local chain's own files."""
        folder = self.folder / "chain"
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder

    def write_recipe(self, recipe: Recipe) -> None:
        _write(self.recipe_path, recipe.canonical)

    def keep_recipe(self, recipe: Recipe) -> None:
        """Write the recipe into the folder and note its digest."""
        self.write_recipe(recipe)
        self.update(recipe_blob=blake3(recipe.canonical).hexdigest())

    def recipe(self) -> Recipe:
        """The recipe this run follows, checked against the hash in `run.json`."""
        try:
            recipe = recipes.from_bytes(self.recipe_path.read_bytes())
        except FileNotFoundError:
            raise StateError(f"{self.recipe_path} is missing", "start anew with --fresh") from None
        if recipe.hash.hex() != self.info.recipe_hash:
            what = f"{self.recipe_path} has hash {recipe.hash.hex()[:16]}, {FILE} says {self.info.recipe_hash[:16]}"
            raise StateError(what, "one of the two files was changed; start anew with --fresh")
        return recipe


def claim(path: Path) -> int | None:
    """An exclusive lock on `path`, as a file descriptor to close; None where another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def all_runs() -> list[Run]:
    """Every readable run, the newest first."""
    found = [Run.read(file.parent) for file in (home() / "runs").glob(f"*/{FILE}")]
    return sorted(found, key=lambda run: run.info.created, reverse=True)


def latest(run_dir: Path | None) -> Run:
    """The run in `run_dir`, or the newest one. Raises InputError where there is none."""
    if run_dir is not None:
        return Run.read(run_dir)
    runs = all_runs()
    if not runs:
        raise InputError(f"there is no run in {home() / 'runs'}", "start one with `swarm up`")
    return runs[0]


def for_recipe(recipe: Recipe, run_dir: Path | None, fresh: bool) -> tuple[Run, str]:
    """The run that `up` carries on or begins, locked, and a sentence that says which.

    Without `fresh` that is the unfinished run of the same recipe hash, else a new folder.
    Raises InputError where `run_dir` holds the run of another recipe.
    """
    if run_dir is not None and (run_dir / FILE).exists() and not fresh:
        return _carry_on(Run.read(run_dir), recipe)
    mine = [run for run in all_runs() if run.info.recipe_hash == recipe.hash.hex() and run.info.kind == "up"]
    unfinished = [run for run in mine if run.info.finished is None]
    if run_dir is None and unfinished and not fresh:
        return _carry_on(unfinished[0], recipe)
    if fresh and run_dir is not None and (run_dir / FILE).exists():
        raise InputError(f"{run_dir} holds a run already", "name another folder, or leave --fresh out to carry on with it")
    folder = run_dir or next_folder(recipe.name)
    run = Run.create(folder.absolute(), begin(recipe))
    run.keep_recipe(recipe)
    again = "the last run of this recipe is finished; " if mine and not fresh and run_dir is None else ""
    return run, f"{again}new run in {folder}"


def begin(recipe: Recipe) -> Info:
    """A new swarm under `recipe`: its id is random, so that two swarms of one recipe never mix by accident."""
    swarm = seeds.derive("swarm", recipe.hash, os.urandom(16))
    return Info(recipe=recipe.name, recipe_hash=recipe.hash.hex(), swarm=swarm.hex(), seed=recipe.seed)


def _carry_on(run: Run, recipe: Recipe) -> tuple[Run, str]:
    if run.info.recipe_hash != recipe.hash.hex():
        what = f"{run.folder} follows recipe {run.info.recipe_hash[:16]}, this is {recipe.hash.hex()[:16]}"
        raise InputError(what, "use the recipe and the overrides the run was started with, or another --run-dir")
    run.lock()
    run.keep_recipe(recipe)  # name, about and run may differ: they are not part of the hash
    return run, f"carrying on with the run in {run.folder}"


def next_folder(name: str) -> Path:
    """The first `<name>-<n>` below the runs that does not exist."""
    taken = {path.name for path in (home() / "runs").glob(f"{name}-*")}
    number = next(n for n in range(1, len(taken) + 2) if f"{name}-{n}" not in taken)
    return home() / "runs" / f"{name}-{number}"


def _write(path: Path, data: bytes) -> None:
    """Replace a file whole."""
    part = path.with_suffix(".part")
    part.write_bytes(data)
    os.replace(part, path)
