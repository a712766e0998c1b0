"""The recipe: one TOML file that fixes everything that may change a result; its hash names the swarm's rules.

`load()` reads TOML strictly (an unknown key, a wrong type or an impossible value is one sentence naming key, value and
allowed range), applies `key=value` overrides, pins files it refers to by digest, and returns a frozen `Recipe`.
`Recipe.hash` is BLAKE3 over canonical JSON of every field except `name`, `about` and `[run]`, which only say what
one node calls it and how long that node goes on.
"""

from __future__ import annotations

import functools
import json
import math
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from blake3 import blake3
from pydantic import BaseModel, Field, ValidationError, model_validator

from judge.terms import PROFILES
from swarm.bounds import json_of
from swarm.errors import RecipeError
from swarm.proof.schedule import LONGEST_LAG_MS, SETTLE_S, vote_of
from swarm.sections import (
    Answer,
    AnyTask,
    Average,
    BuiltinTask,
    Critique,
    DatasetTask,
    Evaluate,
    GymTask,
    Judge,
    Learn,
    Model,
    Name,
    Proof,
    PythonTask,
    Resolve,
    Run,
    Sampling,
    Section,
    Sharing,
    VerifiersTask,
)

MAX_BYTES = 65_536
KEPT = 60  # epochs for which a peer's commitments are remembered by those who audit it
DAY_S = 86_400
DATA = 32 * 2**20  # bytes of the file with a recipe's rows
ROWS = "rows"  # the task that its held-out rows are
TRAVEL_S = 3  # that a page takes from its host to everybody
STANDS_S = 60 * DAY_S  # the longest that a judge's stake may have to stay for one market
FOLDER = Path(__file__).resolve().parent.parent / "recipes"


class Recipe(Section):
    """A whole recipe."""

    name: Name = Field(description="What people call it.")
    about: str = Field("", max_length=2000, description="One or two sentences for people.")
    seed: int = Field(0, ge=0, lt=2**63, description="Another seed is another swarm: other questions, other samples.")
    model: Model = Model()
    tasks: list[AnyTask] = Field([], max_length=64)
    sampling: Sampling = Sampling()
    answer: Answer = Answer()
    critique: Critique = Critique()
    resolve: Resolve = Resolve()
    sharing: Sharing = Sharing()
    learn: Learn = Learn()
    average: Average = Average()
    proof: Proof = Proof()
    judge: Judge = Judge()
    evaluate: Evaluate = Evaluate()
    run: Run = Run()

    @model_validator(mode="after")
    def _coherent(self) -> Recipe:
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError("tasks: two tasks have the same name; names must differ")
        if self.learn.method == "sft":
            self._taught(names)
        elif not names:
            raise ValueError("`tasks` is missing: there is nothing to ask")
        if self.sharing.own + self.sharing.foreign < 1:
            raise ValueError("sharing.own + sharing.foreign is 0; at least one group must be trained")
        self._provable()
        self._judgeable()
        self._anchorable()
        self._stakeable()
        longest = max(self.answer.max_tokens, self.critique.max_tokens, self.resolve.max_tokens)
        if longest >= self.model.max_length:
            raise ValueError(f"max_tokens of a stage is {longest}; it must be below model.max_length = {self.model.max_length}")
        return self

    def _taught(self, names: list[str]) -> None:
        """Rows are learned from as they are: nobody answers, so there is nothing to share, to judge or to specialise in."""
        if ROWS in names:
            raise ValueError(f"tasks: `{ROWS}` is the name under which learn.data is evaluated; take another")
        if self.judge.profile != "none" or any(task.judged for task in self.tasks):
            raise ValueError("learn.method = sft makes no answers that could be judged: set judge.profile = none, and no task judged")
        if self.sharing.specialists:
            raise ValueError("sharing.specialists and learn.method = sft are both set; all peers draw from the same rows")

    def _provable(self) -> None:
        proof = self.proof
        if proof.profile == "none":
            return
        if self.average.every:
            raise ValueError("average.every and proof.profile are both set; an averaging cannot be replayed yet, so set one of them off")
        if self.sharing.join == "mixed":
            raise ValueError("sharing.join = mixed cannot be replayed yet; take groups, or proof.profile = none")
        if proof.profile == "canonical" and self.model.dtype != "float32":
            raise ValueError(f"model.dtype is {self.model.dtype}; canonical numerics are float32: set it so, or proof.profile = pinned")
        if 2 * proof.grace < proof.epoch:
            raise ValueError(f"proof.grace is {proof.grace}; it must be at least half of proof.epoch = {proof.epoch}")
        if proof.stake < 100 * proof.steps * proof.gain:
            raise ValueError(f"proof.stake is {proof.stake}; it must be at least 100 x steps x gain = {100 * proof.steps * proof.gain:g}")

    def _judgeable(self) -> None:
        judged = [task.name for task in self.tasks if task.judged]
        if not judged:
            return
        if not self.has_market:
            raise ValueError(f"task {judged[0]} is judged, and there is no market to judge it: set judge.profile, and proof.profile = canonical")
        if not self.judge.opens:
            raise ValueError(f"task {judged[0]} is judged, and judge.opens is 0: no market would ever be opened about an answer")
        if self.sharing.join == "mixed":
            raise ValueError("sharing.join = mixed puts own answers into foreign groups, and nobody judges those; take groups with a judged task")
        pace = PROFILES[self.judge.profile]
        wait = 2 * (pace.whole / 1000 + pace.rounds * (self.proof.epoch + self.proof.beacon) + self.proof.epoch + self.proof.grace)
        if wait > KEPT * self.proof.epoch:
            least = math.ceil(2 * pace.whole / 1000 / (KEPT - 4 * pace.rounds - 4))
            what = f"answers may wait {wait:.0f} s for a verdict ({self.judge.profile}), and records of their rounds are kept for {KEPT} epochs"
            raise ValueError(f"{what}: set proof.epoch to {least} or more")

    def _stakeable(self) -> None:
        if self.longest_market <= STANDS_S:
            return
        judge, proof, pace = self.judge, self.proof, PROFILES[self.judge.profile]
        most = (STANDS_S - 4 * pace.whole // 1000) // (4 * pace.rounds) - proof.beacon - SETTLE_S
        what = f"a market of judge.profile = {judge.profile} can take {self.longest_market / DAY_S:.0f} days with proof.epoch = {proof.epoch}"
        raise ValueError(f"{what}, and stakes have to stay until it ends, {STANDS_S // DAY_S} days at most: set proof.epoch to {most} or less")

    def _anchorable(self) -> None:
        """What a market's host publishes of an epoch's last moment has to be there before the epoch's root is voted on."""
        if not self.has_market:
            return
        lag = min(LONGEST_LAG_MS, PROFILES[self.judge.profile].shortest // 3) / 1000
        travel, before = math.ceil(1.5 * lag) + TRAVEL_S, self.proof.grace - vote_of(self.proof.grace)
        if before < travel:
            least = next(grace for grace in range(self.proof.grace, 1000) if grace - vote_of(grace) >= travel)
            what = f"pages of judge.profile = {self.judge.profile} need {travel} s to travel before an epoch's root is voted on"
            raise ValueError(f"{what}, and proof.grace = {self.proof.grace} leaves {before} s: set it to {least} or more")

    @property
    def longest_market(self) -> int:
        """Seconds that a market can take (T_max), with its waits for randomness; 0 without a market."""
        if not self.has_market:
            return 0
        waiting = replace(PROFILES[self.judge.profile], seed=1000 * (self.proof.epoch + self.proof.beacon + SETTLE_S))
        return -(-waiting.most // 1000)

    @property
    def has_judged(self) -> bool:
        """Whether rewards of some task come from verdicts."""
        return any(task.judged for task in self.tasks)

    @property
    def has_market(self) -> bool:
        """Whether there is a judge market: it stands on the chain, so steps have to be proved too."""
        return self.judge.profile != "none" and self.proof.profile != "none"

    @functools.cached_property
    def canonical(self) -> bytes:
        """The bytes that travel: canonical JSON of the whole recipe (UTF-8, sorted keys, no spaces)."""
        return canonical_json(self.model_dump(mode="json"))

    @functools.cached_property
    def hash(self) -> bytes:
        """32 bytes: BLAKE3 over canonical JSON without `name`, `about` and `run`."""
        return blake3(b"openswarm/recipe/1" + canonical_json(self.model_dump(mode="json", exclude={"name", "about", "run"}))).digest()


def canonical_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def load(source: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe by file path or by the name of a shipped one, with `key=value` overrides.

    Local files a recipe names (a Python task, a data file) are found beside it and pinned by digest.
    Raises RecipeError with one sentence a person can act on.
    """
    path = _find(source)
    try:
        data = tomllib.loads(path.read_bytes().decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid TOML: {error}", "check the line named above") from None
    for override in overrides or []:
        _override(data, override)
    _pin_files(data, path.parent)
    return parse(data, str(path))


def parse(data: dict[str, Any], where: str = "recipe") -> Recipe:
    """Validate recipe data. Raises RecipeError naming the first wrong key, its value and what is allowed."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"{where}: {_sentence(error)}", "`swarm recipes show local` prints a whole recipe with every key explained") from None


def from_bytes(data: bytes) -> Recipe:
    """A recipe received over the network (canonical JSON). Bounded and strict; what it *may name* is checked on join."""
    if len(data) > MAX_BYTES:
        raise RecipeError(f"recipe of {len(data)} bytes; at most {MAX_BYTES} are read", "ask the sender for a smaller one")
    try:
        value = json_of(data)
    except ValueError:
        raise RecipeError("the received recipe is not JSON", "ask the sender for a new invite") from None
    if not isinstance(value, dict):
        raise RecipeError("the received recipe is not a table", "ask the sender for a new invite")
    return parse(value, "received recipe")


def shipped() -> list[Path]:
    """The recipes in the repository, by name."""
    return sorted(FOLDER.glob("*.toml"))


def _find(source: str | Path) -> Path:
    path = Path(source)
    if path.suffix != ".toml" and (FOLDER / f"{path}.toml").is_file():
        path = FOLDER / f"{path}.toml"
    if not path.is_file():
        names = ", ".join(p.stem for p in shipped())
        raise RecipeError(f"no recipe {source}", f"give a .toml file or one of: {names}")
    if path.stat().st_size > MAX_BYTES:
        raise RecipeError(f"{path} has {path.stat().st_size} bytes; a recipe has at most {MAX_BYTES}", "is this the right file?")
    return path


def _override(data: dict[str, Any], override: str) -> None:
    """Apply `learn.lr=1e-5`, `tasks.0.weight=2` or `model.lora.rank=8`; the value is TOML, else a string."""
    key, sign, text = override.partition("=")
    if not sign or not key.strip():
        raise RecipeError(f"override `{override}` is not key=value", "for example: learn.lr=1e-5")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *path, last = key.strip().split(".")
    node: Any = data
    for part in path:
        if isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, dict):
            node = node.setdefault(part, {})
        else:
            node = None
        if not isinstance(node, dict | list):
            raise RecipeError(f"override `{key}`: there is no section `{part}`", "`swarm recipes show local` lists every key")
    if isinstance(node, list):
        if not last.isdigit() or int(last) >= len(node):
            raise RecipeError(f"override `{key}`: no entry {last} in a list of {len(node)}", "entries count from 0")
        node[int(last)] = value
    else:
        node[last] = value


def _pin_files(data: dict[str, Any], folder: Path) -> None:
    """Fill in the digests of local files that tasks name, so that the hash covers their content."""
    import hashlib

    tasks = data.get("tasks")
    _pin_rows(data.get("learn"), folder)
    for task in tasks if isinstance(tasks, list) else []:
        if not isinstance(task, dict) or not isinstance(task.get("source"), str):
            continue
        if task.get("kind") == "python":
            file, new = folder / task["source"], hashlib.sha256
        elif task.get("kind") == "dataset" and task["source"].startswith("path:"):
            file, new = folder / task["source"].removeprefix("path:"), blake3
        else:
            continue
        if not file.is_file():
            raise RecipeError(f"task {task.get('name')}: no file {file}", "paths are relative to the recipe")
        digest = new(file.read_bytes()).hexdigest()
        if task.setdefault("digest", digest) != digest:
            what = f"task {task.get('name')}: {file} has digest {digest}, the recipe says {task['digest']}"
            raise RecipeError(what, "get the right file, or remove the digest")


def _pin_rows(learn: Any, folder: Path) -> None:
    """Fill in `learn.data_digest`. A file that is not here is fetched by its digest, where the recipe says that."""
    name = learn.get("data") if isinstance(learn, dict) else None
    if not isinstance(name, str) or Path(name).name != name:  # the field's pattern refuses it
        return
    if not (folder / name).is_file():
        if "data_digest" in learn:
            return
        raise RecipeError(f"learn.data: no file {folder / name}", "put it beside the recipe, or name its digest")
    if (size := (folder / name).stat().st_size) > DATA:
        raise RecipeError(f"learn.data: {folder / name} has {size} bytes; at most {DATA} are read", "use a part of it")
    digest = blake3((folder / name).read_bytes()).hexdigest()
    if learn.setdefault("data_digest", digest) != digest:
        what = f"learn.data: {folder / name} has digest {digest}, the recipe says {learn['data_digest']}"
        raise RecipeError(what, "get the right file, or remove the digest")


def _sentence(error: ValidationError) -> str:
    """The first validation error as one sentence: key, value, what is allowed."""
    first = error.errors(include_url=False)[0]
    kinds = {"builtin", "gym", "dataset", "python", "verifiers"}
    key = ".".join(str(part) for part in first["loc"] if part not in kinds)
    match first["type"]:
        case "extra_forbidden":
            return f"unknown key `{key}` (allowed: {', '.join(_allowed(first['loc']))})"
        case "missing":
            return f"`{key}` is missing"
        case "value_error":
            return str(first["ctx"]["error"])
        case _:
            shown = repr(first["input"])
            shown = shown if len(shown) <= 80 else shown[:77] + "..."
            return f"`{key}` = {shown}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _allowed(location: tuple[Any, ...]) -> list[str]:
    node: Any = Recipe
    union = {"builtin": BuiltinTask, "gym": GymTask, "dataset": DatasetTask, "python": PythonTask, "verifiers": VerifiersTask}
    for part in location[:-1]:
        if part in union:
            node = union[part]
        elif isinstance(part, str) and part in getattr(node, "model_fields", {}):
            annotation = node.model_fields[part].annotation
            node = next((a for a in (annotation, *getattr(annotation, "__args__", ())) if isinstance(a, type) and issubclass(a, BaseModel)), node)
    return sorted(getattr(node, "model_fields", {}))
