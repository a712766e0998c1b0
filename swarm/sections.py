"""The sections of a recipe: every field with its bounds, its default and a sentence for people. `swarm.recipe` puts them together."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Share = Annotated[float, Field(ge=0, le=1)]
OF_SFT = ("data", "data_digest", "batch")  # keys of [learn] that only rows need
OF_GRPO = ("group_size", "loss", "scale_rewards", "epsilon", "epsilon_high", "beta", "offpolicy")  # and that only rollouts need
SOURCES = r"base|smollm2|hub:[\w.-]+/[\w.-]+|path:.+"
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

    source: str = Field("base", max_length=200, pattern=rf"^({SOURCES})$", description="`base` (shipped), `smollm2` (the packaged SmolLM2-135M-Instruct), `hub:ORG/NAME`, or `path:FOLDER`.")
    revision: str | None = Field(None, max_length=80, pattern=r"^[\w.-]+$", description="Commit of a hub model; pin it, or the swarm changes when the hub does.")
    digest: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="BLAKE3 of the safetensors weights, checked before loading.")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="Type of the weights; float32 on CPUs.")
    max_length: int = Field(512, ge=16, le=32_768, description="Longest prompt plus completion, in tokens; longer prompts are cut in their foreign parts.")
    lora: Lora | None = Field(None, description="Adapters; without this section all weights are trained.")


class BaseTask(Section):
    name: Name = Field(description="The task's name in tables and in summary.json.")
    weight: float = Field(1.0, gt=0, le=1e6, description="How often it is drawn, relative to the others.")
    judged: bool = Field(False, description="No program says which answer is better: the judge market does, and its verdicts are the rewards. A score that the task has all the same is for evaluation only.")


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
    """A task in a Python file of yours: `draw(seed)` and `score(question, answer)`, which a judged task may leave out."""

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
    """One optimizer step a round: of TRL's GRPOTrainer (GRPO: Shao et al. 2024, arXiv 2402.03300), or of its SFTTrainer on given rows."""

    method: Literal["grpo", "sft"] = Field("grpo", description="`grpo`: on rollouts and their rewards; `sft`: on rows of a file of yours (docs/proof.md).")
    data: str | None = Field(None, max_length=120, pattern=r"^\w[\w.-]*\.jsonl$", description="For `sft`: the file with the rows, beside the recipe: prompt and completion, or messages.")
    data_digest: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="BLAKE3 of that file; filled in when the recipe is read. Members hand the file over by it.")
    batch: int = Field(32, ge=1, le=4096, description="For `sft`: rows of a step, drawn by epoch seed, peer and round.")
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
    microbatch: int = Field(64, ge=1, le=65_536, description="Rollouts or rows per forward pass; part of the result, since it changes the bits.")

    @model_validator(mode="after")
    def _rows(self) -> Learn:
        other, unused = ("grpo", OF_GRPO) if self.method == "sft" else ("sft", OF_SFT)
        given = [name for name in unused if getattr(self, name) != type(self).model_fields[name].default]
        if given:
            raise ValueError(f"learn.{given[0]} is set, and only learn.method = {other} uses it")
        if self.method == "sft" and (self.data is None or self.data_digest is None):
            raise ValueError("learn.method = sft needs its rows: learn.data, a .jsonl file, and learn.data_digest, its BLAKE3")
        return self

    @model_serializer(mode="wrap")
    def _as_hashed(self, fields: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Recipes of the other method are written, and so hashed, without what only this one has."""
        said = fields(self)
        return said if self.method == "sft" else {name: value for name, value in said.items() if name not in (*OF_SFT, "method")}


class Average(Section):
    """Averaging of weights among peers of the same model, through hivemind's averager."""

    every: int = Field(0, ge=0, le=100_000, description="Rounds between two averagings; 0 is off.")
    max_change: float = Field(0.05, gt=0, le=10, description="Largest change of a tensor in one averaging, as a share of its own norm; adapters need a larger value, since those of different peers differ more.")
    timeout: float = Field(30.0, ge=1, le=3600, description="Seconds to wait for partners.")


class Proof(Section):
    """Which steps are recorded and audited, and at what stake (design.md, section 6). Times are seconds by the chain's clock."""

    profile: Literal["none", "pinned", "canonical"] = Field("none", description="`canonical`: float32 by this program's own kernels (docs/canonical.md), steps are replayed bit for bit by anyone; `pinned`: stock PyTorch, by others of the same determinism class; `none`: no chain, nothing is proved.")
    epoch: int = Field(600, ge=10, le=604_800, description="Length of an epoch.")
    grace: int = Field(300, ge=5, le=604_800, description="Window after an epoch's end in which its commitment is posted; at least half an epoch.")
    beacon: int = Field(60, ge=3, le=86_400, description="Window after that in which the next randomness is revealed.")
    audit: int = Field(240, ge=5, le=604_800, description="Window in which drawn auditors replay and commit a verdict.")
    reveal: int = Field(60, ge=3, le=86_400, description="Window in which they open it.")
    challenge: int = Field(120, ge=3, le=604_800, description="Window in which anyone may dispute the outcome.")
    drawn: int = Field(2, ge=1, le=10_000, description="q: steps drawn of each commitment.")
    rollouts: int = Field(0, ge=0, le=1_000_000, description="Profile `canonical`: of a drawn step's own rollouts an auditor derives so many again, drawn by the audit beacon; 0: all of them.")
    steps: int = Field(1000, ge=1, le=1_000_000, description="T: most steps a peer may commit in an epoch.")
    units: int = Field(1_000_000, ge=1, le=2**60, description="Work units (MFLOP) in an epoch that earn the full score for work; more earn no more.")
    stake: int = Field(1000, ge=1, le=10**9, description="Credits that stand behind a peer.")
    gain: float = Field(0.01, gt=0, le=1e6, description="g: credits that one forged step could gain at most; the contract wants the stake above what forging is worth.")
    threads: int = Field(1, ge=1, le=256, description="For `pinned`: PyTorch threads of every peer, since sums depend on them. `canonical` takes what each machine has.")
    keep: int = Field(0, ge=0, le=10_000, description="Steps between two stored states; 0 is the root of `steps`, rounded up. A drawn state between is computed again.")

    @property
    def stored_every(self) -> int:
        """Steps between two stored states."""
        return self.keep or math.isqrt(self.steps - 1) + 1

    @property
    def closed_after(self) -> int:
        """Seconds from an epoch's end until its case is closed, if nobody disputes."""
        return self.grace + self.beacon + self.audit + self.reveal + self.challenge


class Judge(Section):
    """The judge market (docs/judging.md). Credits are points without a cash value, minted by these rules."""

    profile: Literal["none", "test", "local", "live", "swarm", "human"] = Field("none", description="How long a market's phases last (`live`: with people at their terminals); `none`: no market. A market needs the chain: with proof.profile = none there is none.")
    credits: int = Field(1000, ge=1, le=10**9, description="Credits that an operator gets at the beginning of an epoch, where the chain knows more of it than its name (docs/judging.md).")
    stake: int = Field(100, ge=20, le=10**9, description="Credits of them that a node stakes, to be drawn as a judge.")
    b0: float = Field(10.0, ge=1, le=10**6, description="Liquidity of a node's markets, in credits: its subsidy is b0 x ln(number of outcomes).")
    opens: int = Field(4, ge=0, le=64, description="Markets that a node opens in a round, at most.")
    open_most: int = Field(8, ge=1, le=64, description="Markets of one operator that may be open at once.")
    kind: Literal["P", "H"] = Field("P", description="Markets on answers to judged tasks: `H` where people sit in the panels, `P` where models do. `human` lasts longer for H.")
    soft: float = Field(0.0, ge=0, le=0.2, description="Share of a verdict's reward that comes from the market's price, without the trades of the answer's own operator.")
    panels: int = Field(0, ge=0, le=16, description="Of the markets a node opens in a round at most so many go to a panel though a scorer could resolve them: they measure judges, and touch no reward.")
    model: str = Field("", max_length=200, pattern=rf"^({SOURCES}|)$", description="Frozen judge that votes in a node's seats, as in model.source; empty: only people vote.")
    model_digest: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="BLAKE3 of the judge's weights, checked before loading; needed where judge.model is set.")

    @model_validator(mode="after")
    def _pinned(self) -> Judge:
        if self.model and self.model_digest is None:
            raise ValueError("judge.model needs judge.model_digest; a vote that nobody can replay is worth nothing")
        if 4 * self.panels > self.opens:
            raise ValueError(f"judge.panels is {self.panels}; it may be at most a quarter of judge.opens = {self.opens}")
        return self


class Evaluate(Section):
    """Greedy evaluation on held-out questions, before and after."""

    questions: int = Field(200, ge=1, le=10_000, description="Held-out questions per task.")
    max_tokens: int | None = Field(None, ge=1, le=16_384, description="Longest answer; answer.max_tokens if not given.")
    every: int = Field(0, ge=0, le=1_000_000, description="Rounds between two evaluations on the way; 0: only before and after.")


class Run(Section):
    """How long one node goes on; not part of the hash."""

    rounds: int = Field(40, ge=1, le=100_000_000, description="Rounds until the node stops by itself.")
    peers: int = Field(3, ge=1, le=64, description="Peers that `swarm up` starts.")
