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
from pathlib import Path
from typing import Annotated, Any, Literal

from blake3 import blake3
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from swarm.bounds import json_of
from swarm.errors import RecipeError

MAX_BYTES = 65_536
FOLDER = Path(__file__).resolve().parent.parent / "recipes"

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Scalar = bool | int | float | str
# A finite JSON value for the configuration of a task from a library; depth is bounded by MAX_BYTES.
Config = dict[str, Scalar | list[Scalar]]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class Lora(Section):
    """Train low-rank adapters (Hu et al. 2021, arXiv 2106.09685) instead of all weights."""

    rank: int = Field(16, ge=1, le=512, description="Rank of every adapter.")
    alpha: float = Field(32.0, gt=0, le=1024, description="Scale; adapters count alpha / rank.")
    targets: list[str] = Field(["q_proj", "k_proj", "v_proj", "o_proj"], description="Names of the linear layers that get an adapter.")


class Model(Section):
    """Which weights the swarm starts from."""

    source: str = Field("base", max_length=200, pattern=r"^(base|smollm2|hub:[\w.-]+/[\w.-]+|path:.+)$", description="`base` (shipped), `smollm2` (the packaged SmolLM2-135M-Instruct), `hub:ORG/NAME`, or `path:FOLDER`.")
    revision: str | None = Field(None, max_length=80, pattern=r"^[\w.-]+$", description="Commit of a hub model; pin it, or the swarm changes when the hub does.")
    digest: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="BLAKE3 of the safetensors weights, checked before loading.")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="Type of the weights; float32 on CPUs.")
    max_length: int = Field(512, ge=16, le=32_768, description="Longest prompt plus completion, in tokens; longer prompts are cut in their foreign parts.")
    lora: Lora | None = Field(None, description="Adapters; without this section all weights are trained.")


class BaseTask(Section):
    name: Name = Field(description="The task's name in tables and in summary.json.")
    weight: float = Field(1.0, gt=0, le=1e6, description="How often it is drawn, relative to the others.")


class BuiltinTask(BaseTask):
    """A task of the shipped base model: addition, maximum or letters."""

    kind: Literal["builtin"]
    source: Literal["addition", "maximum", "letters"] = Field(description="Which one.")


class GymTask(BaseTask):
    """A data set of reasoning-gym, by its name there."""

    kind: Literal["gym"]
    source: Name = Field(description="The data set's name in reasoning-gym.")
    config: Config = Field({}, description="Arguments of the data set's configuration.")


class DatasetTask(BaseTask):
    """A Hugging Face `datasets` data set."""

    kind: Literal["dataset"]
    source: str = Field(max_length=200, pattern=r"^[\w.-]+(/[\w.-]+)?$|^path:.+\.(jsonl|csv|parquet)$", description="Hub id, or `path:FILE` (jsonl, csv, parquet).")
    config: str | None = Field(None, max_length=80, description="The data set's configuration name.")
    revision: str | None = Field(None, max_length=80, pattern=r"^[\w.-]+$", description="Commit of a hub data set.")
    digest: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="BLAKE3 of a local file; filled in when the recipe is read.")
    split: str = Field("train", max_length=80, description="Split to draw from.")
    question: str = Field("question", max_length=80, description="Column with the question.")
    answer: str = Field("answer", max_length=80, description="Column with the reference.")
    scorer: Literal["exact", "numeric", "regex"] = Field("exact", description="How an answer is compared with the reference.")
    pattern: str | None = Field(None, max_length=200, description="For `regex`: its first group is compared with the reference.")
    reference_pattern: str | None = Field(None, max_length=200, description="Regex whose first group is the reference inside the answer column (GSM8K: `#### (.+)`).")


class PythonTask(BaseTask):
    """A task in a Python file of yours: `draw(seed)` and `score(question, answer)`."""

    kind: Literal["python"]
    source: str = Field(max_length=200, pattern=r"^[\w./-]+\.py$", description="The file, relative to the recipe.")
    digest: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file; filled in when the recipe is read.")


class VerifiersTask(BaseTask):
    """A single-turn environment of the `verifiers` package, where that is installed."""

    kind: Literal["verifiers"]
    source: str = Field(max_length=200, pattern=r"^[\w./-]+$", description="The environment's id.")
    config: Config = Field({}, description="Arguments of the environment.")


AnyTask = Annotated[BuiltinTask | GymTask | DatasetTask | PythonTask | VerifiersTask, Field(discriminator="kind")]


class Sampling(Section):
    """How tokens are drawn, in every stage."""

    temperature: float = Field(1.0, gt=0, le=10, description="Softmax temperature of rollouts; evaluation is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus: smallest set of tokens with at least this probability.")
    rows: int = Field(64, ge=1, le=4096, description="Rollouts in a batch of generation; changes speed and memory, and sums by rounding.")


class Answer(Section):
    """Stage 1: answer own questions."""

    questions: int = Field(8, ge=1, le=4096, description="Own questions a round.")
    max_tokens: int = Field(64, ge=1, le=16_384, description="Longest answer, in tokens.")
    prompt: str = Field("{question}", max_length=4000, description="User turn; `{question}` is replaced.")


class Critique(Section):
    """Stage 2: judge answers of other peers right or wrong, with a text."""

    groups: int = Field(4, ge=0, le=4096, description="Foreign answers judged a round; 0 skips the stage.")
    max_tokens: int = Field(64, ge=0, le=16_384, description="Longest critique before its label, in tokens.")
    prompt: str = Field(
        "A student was asked:\n{question}\n\nThe student answered:\n{answer}\n\nIs the answer right? Check it in one or two sentences.",
        max_length=4000,
        description="User turn; `{question}` and `{answer}` are replaced.",
    )
    cue: str = Field("\nVerdict:", max_length=200, description="Put after the text; the label follows it and is chosen by log-probability.")
    right: str = Field(" right", min_length=1, max_length=40, description="Label of a right answer.")
    wrong: str = Field(" wrong", min_length=1, max_length=40, description="Label of a wrong answer.")


class Resolve(Section):
    """Stage 3: answer own questions again with the critiques received."""

    groups: int = Field(4, ge=0, le=4096, description="Own questions resolved a round; 0 skips the stage.")
    max_tokens: int = Field(64, ge=1, le=16_384, description="Longest final answer, in tokens.")
    critiques: int = Field(3, ge=1, le=16, description="Critiques shown at most.")
    prompt: str = Field(
        "{question}\n\nOne proposed answer was:\n{answer}\n\nReviewers said:\n{critiques}\n\nGive your final answer to the question.",
        max_length=4000,
        description="User turn; `{question}`, `{answer}` and `{critiques}` are replaced.",
    )
    critique_line: str = Field("- {label}: {text}\n", max_length=400, description="One critique inside `{critiques}`; `{label}` and `{text}` are replaced.")


class Sharing(Section):
    """What enters a training batch from others (SAPO, Amico et al. 2025, arXiv 2509.08721)."""

    own: int = Field(6, ge=0, le=4096, description="I: own groups a step, over all stages.")
    foreign: int = Field(2, ge=0, le=4096, description="J: groups of others a step, over all stages.")
    join: Literal["groups", "mixed"] = Field("groups", description="`groups`: whole foreign groups (the paper's); `mixed`: own and foreign completions of the same question in one group.")
    freshness: int = Field(4, ge=1, le=1000, description="How many of its author's latest rounds a shared group stays usable for.")
    operator_share: float = Field(1 / 3, gt=0, le=1, description="Largest part of a batch that may come from one foreign operator.")
    min_logprob: float = Field(-6.0, ge=-100, le=0, description="Foreign rollouts with a mean log-probability per token below this, over the whole rollout or any four tokens in a row, under the own model, are dropped.")
    length_ratio: float = Field(4.0, ge=1, le=1000, description="Foreign rollouts longer than this many times their group's median length are dropped.")
    filter: bool = Field(True, description="Whether the two rules above are applied; off only to measure what they do.")
    specialists: bool = Field(False, description="Each peer draws one task of the list (announced in its signed card) instead of all.")


class Learn(Section):
    """One optimizer step of TRL's GRPOTrainer a round (GRPO: Shao et al. 2024, arXiv 2402.03300)."""

    group_size: int = Field(8, ge=2, le=256, description="G: rollouts of one question, the same in every stage.")
    lr: float = Field(1e-5, gt=0, le=1, description="Learning rate of AdamW.")
    warmup: int = Field(0, ge=0, le=100_000, description="Rounds over which the learning rate rises linearly from 0.")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Decay rates of AdamW's two moments.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Decoupled weight decay.")
    max_grad_norm: float = Field(1.0, gt=0, le=1e6, description="Gradient norm to which a step is clipped.")
    loss: Literal["grpo", "dapo", "bnpo", "dr_grpo"] = Field("dapo", description="TRL's loss_type.")
    scale_rewards: Literal["group", "batch", "none"] = Field("group", description="Standard deviation by which advantages are divided.")
    epsilon: float = Field(0.2, gt=0, lt=1, description="Lower clip of the ratio.")
    epsilon_high: float = Field(0.28, gt=0, le=10, description="Upper clip of the ratio (DAPO, arXiv 2503.14476).")
    beta: float = Field(0.0, ge=0, le=10, description="Weight of the KL term against the start model; 0 loads no reference model.")
    offpolicy: Literal["none", "ratio"] = Field("none", description="Foreign groups: `none` treats them as own (the paper's); `ratio` weights by the author's log-probabilities.")
    microbatch: int = Field(64, ge=1, le=65_536, description="Rollouts per forward pass; part of the result, since it changes the bits.")


class Average(Section):
    """Averaging of weights among peers of the same model, through hivemind's averager."""

    every: int = Field(0, ge=0, le=100_000, description="Rounds between two averagings; 0 is off.")
    max_change: float = Field(0.05, gt=0, le=10, description="Largest change of a tensor in one averaging, as a share of its own norm; adapters need a larger value, since those of different peers differ more.")
    timeout: float = Field(30.0, ge=1, le=3600, description="Seconds to wait for partners.")


class Proof(Section):
    """Which steps are recorded and audited, and at what stake (design.md, section 6). Times are seconds by the chain's clock."""

    profile: Literal["none", "pinned"] = Field("none", description="`pinned`: stock PyTorch, steps are replayed bit for bit by others of the same determinism class; `none`: no chain, nothing is proved.")
    epoch: int = Field(600, ge=10, le=604_800, description="Length of an epoch.")
    grace: int = Field(300, ge=5, le=604_800, description="Window after an epoch's end in which its commitment is posted; at least half an epoch.")
    beacon: int = Field(60, ge=3, le=86_400, description="Window after that in which the next randomness is revealed.")
    audit: int = Field(240, ge=5, le=604_800, description="Window in which drawn auditors replay and commit a verdict.")
    reveal: int = Field(60, ge=3, le=86_400, description="Window in which they open it.")
    challenge: int = Field(120, ge=3, le=604_800, description="Window in which anyone may dispute the outcome.")
    drawn: int = Field(2, ge=1, le=10_000, description="q: steps drawn of each commitment.")
    steps: int = Field(1000, ge=1, le=1_000_000, description="T: most steps a peer may commit in an epoch.")
    units: int = Field(1_000_000, ge=1, le=2**60, description="Work units (MFLOP) in an epoch that earn the full score for work; more earn no more.")
    stake: int = Field(1000, ge=1, le=10**9, description="Credits that stand behind a peer.")
    gain: float = Field(0.01, gt=0, le=1e6, description="g: credits that one forged step could gain at most; the contract wants the stake above what forging is worth.")
    threads: int = Field(1, ge=1, le=256, description="PyTorch threads of every peer: sums depend on them.")
    keep: int = Field(0, ge=0, le=10_000, description="Steps between two stored states; 0 is the root of `steps`, rounded up. A drawn state between is computed again.")

    @property
    def stored_every(self) -> int:
        """Steps between two stored states."""
        return self.keep or math.isqrt(self.steps - 1) + 1

    @property
    def closed_after(self) -> int:
        """Seconds from an epoch's end until its case is closed, if nobody disputes."""
        return self.grace + self.beacon + self.audit + self.reveal + self.challenge


class Evaluate(Section):
    """Greedy evaluation on held-out questions, before and after."""

    questions: int = Field(200, ge=1, le=10_000, description="Held-out questions per task.")
    max_tokens: int | None = Field(None, ge=1, le=16_384, description="Longest answer; answer.max_tokens if not given.")
    every: int = Field(0, ge=0, le=1_000_000, description="Rounds between two evaluations on the way; 0: only before and after.")


class Run(Section):
    """How long one node goes on; not part of the hash."""

    rounds: int = Field(40, ge=1, le=100_000_000, description="Rounds until the node stops by itself.")
    peers: int = Field(3, ge=1, le=64, description="Peers that `swarm up` starts.")


class Recipe(Section):
    """A whole recipe."""

    name: Name = Field(description="What people call it.")
    about: str = Field("", max_length=2000, description="One or two sentences for people.")
    seed: int = Field(0, ge=0, lt=2**63, description="Another seed is another swarm: other questions, other samples.")
    model: Model = Model()
    tasks: list[AnyTask] = Field(min_length=1, max_length=64)
    sampling: Sampling = Sampling()
    answer: Answer = Answer()
    critique: Critique = Critique()
    resolve: Resolve = Resolve()
    sharing: Sharing = Sharing()
    learn: Learn = Learn()
    average: Average = Average()
    proof: Proof = Proof()
    evaluate: Evaluate = Evaluate()
    run: Run = Run()

    @model_validator(mode="after")
    def _coherent(self) -> Recipe:
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError("tasks: two tasks have the same name; names must differ")
        if self.sharing.own + self.sharing.foreign < 1:
            raise ValueError("sharing.own + sharing.foreign is 0; at least one group must be trained")
        self._provable()
        longest = max(self.answer.max_tokens, self.critique.max_tokens, self.resolve.max_tokens)
        if longest >= self.model.max_length:
            raise ValueError(f"max_tokens of a stage is {longest}; it must be below model.max_length = {self.model.max_length}")
        return self

    def _provable(self) -> None:
        proof = self.proof
        if proof.profile == "none":
            return
        if self.average.every:
            raise ValueError("average.every and proof.profile are both set; an averaging cannot be replayed yet, so set one of them off")
        if self.sharing.join == "mixed":
            raise ValueError("sharing.join = mixed cannot be replayed yet; take groups, or proof.profile = none")
        if 2 * proof.grace < proof.epoch:
            raise ValueError(f"proof.grace is {proof.grace}; it must be at least half of proof.epoch = {proof.epoch}")
        if proof.stake < 100 * proof.steps * proof.gain:
            raise ValueError(f"proof.stake is {proof.stake}; it must be at least 100 x steps x gain = {100 * proof.steps * proof.gain:g}")

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
            raise RecipeError(f"task {task.get('name')}: {file} has digest {digest}, the recipe says {task['digest']}", "get the right file, or remove the digest")


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
