"""One node: the whole story of a round, top to bottom. Runs as a process of its own, started by `swarm up` and `swarm join`.

A round is: answer own questions, judge answers of others, answer again with the judgements received, and take one optimizer step
on own and shared groups; recipes may add an averaging of weights. Each stage publishes its groups and uses what is fresh from others;
nobody is waited for. Where a recipe has rows (`learn.method = "sft"`) a round is one step on some of them, and nothing is sampled. State on
disk is whole at the end of every round, and the blobs of a round that was cut off are used again, so the same command carries on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm import seeds, told
from swarm.author import Author, Draft
from swarm.errors import TaskError
from swarm.groups import Group, Said, pack
from swarm.learn.batch import Batch, Scored, select
from swarm.learn.record import Source, digest_of
from swarm.learn.rows_record import of_rows
from swarm.lessons import Lessons
from swarm.network.pool import Pool, Shared
from swarm.stages import Stages

if TYPE_CHECKING:
    import torch

    from swarm.averaging import Averaging
    from swarm.epochseeds import EpochSeeds
    from swarm.journal import Journal
    from swarm.learn.step import StepResult
    from swarm.limits import Governor
    from swarm.market.trading import Trading
    from swarm.metrics import Metrics
    from swarm.network import Network
    from swarm.presence import Presence
    from swarm.proof.scribe import Found, Scribe
    from swarm.trainee import Trainee
    from swarm.waiting import Waiting

WAIT_S = 0.2
MANY = 8  # candidates looked at for each foreign group that is wanted: bounds a round's work whatever the swarm's size


@dataclass
class Round:
    """What one round has made and seen so far; `row` becomes its line in metrics.jsonl."""

    number: int
    started: float = field(default_factory=time.monotonic)
    own: list[Scored] = field(default_factory=list)
    foreign: dict[int, Shared] = field(default_factory=dict)  # by id(group): where a foreign group that was looked at came from
    dropped: Counter[str] = field(default_factory=Counter)
    row: dict[str, Any] = field(default_factory=dict)


@dataclass
class Node:
    """A peer at work. Everything it stands on comes in, so a round can also be played without a process or a network around it."""

    me: bytes  # 32-byte peer
    operator: bytes  # 20-byte address
    specialty: int  # index of the only task it draws, -1 for all
    stages: Stages
    trainee: Trainee
    pool: Pool
    network: Network | None
    journal: Journal
    metrics: Metrics
    presence: Presence
    governor: Governor
    folder: Path
    evaluate: Callable[[], dict[str, float]] | None = None  # held-out accuracy by task, asked every `evaluate.every` rounds
    averaging: Averaging | None = None  # where the recipe averages and there is a network
    scribe: Scribe | None = None  # where the recipe has its steps proved
    epoch_seeds: EpochSeeds | None = None  # where a chain supplies them
    trading: Trading | None = None  # where the recipe has a judge market
    waiting: Waiting | None = None  # where verdicts of that market are rewards

    def __post_init__(self) -> None:
        self.recipe = self.stages.recipe
        self.author = Author(self.stages, seeds.author(self.operator, self.me))
        self.totals = told.Totals.of(self.trainee.notes.get("totals", {}))
        self.lessons = Lessons(self.stages) if self.recipe.learn.method == "sft" else None
        self.studied = 0  # tokens of rows learned from since the process began

    def run(self, rounds: int, enough: Callable[[], bool] = lambda: False) -> None:
        """Play rounds until `rounds` are done, counting those of earlier starts, or until `enough()`."""
        while self.trainee.round < rounds and not enough():
            self.play_round()

    def go_on_from(self, tensors: dict[str, torch.Tensor], scalars: dict[str, int]) -> None:
        """Take up another state, with its round: what was played after that round does not count."""
        self.journal.forget_after(scalars["round"])
        self.metrics.forget_after(scalars["round"])
        self.trainee.replace(tensors, scalars)
        if self.scribe is not None:
            self.scribe.rebase()

    def play_round(self) -> Round:
        """One round."""
        this = Round(self.trainee.round + 1)
        self.presence.begin()
        self.begin(this)
        self.hear()
        if self.lessons is not None:
            self.study(this, self.lessons)
        else:
            self.sample(this)
            self.learn(this)
        self.average(this)
        self.keep(this)
        return this

    def sample(self, this: Round) -> None:
        """The three stages in which rollouts are drawn, shared and scored."""
        self.stage(this, "answer", self.own_questions)
        self.hear()
        self.stage(this, "critique", self.answers_of_others)
        self.hear()
        self.stage(this, "resolve", self.criticised_answers)
        self.hear()

    def begin(self, this: Round) -> None:
        """Settle under which epoch seed the whole round is played (a round that was cut off keeps its own), and take down where it starts."""
        if self.epoch_seeds is not None:
            self.stages.epoch_seed = self.journal.epoch_seed(this.number) or self.epoch_seeds.newest
            self.pool.epoch_seeds = self.epoch_seeds.usable
        self.await_room()
        if self.scribe is not None:
            self.scribe.begin(this.number)

    def await_room(self) -> None:
        """Where only verdicts are rewards: wait while as many own answers as may have none so far, or no market could be opened about more."""
        while self.waiting is not None and self.trading is not None and self.stages.mix.all_judged and not self.can_ask():
            self.presence.pausing("verdicts on its answers")
            time.sleep(WAIT_S)
            self.hear()

    def can_ask(self) -> bool:
        """Whether further answers could be judged, and the swarm keeps up with judging those that were given."""
        return self.trading.can_open and self.waiting.unruled(self.me) < self.recipe.judge.open_most

    def hear(self) -> None:
        """Take in what arrived from others since the last look, and bid in markets that are open."""
        self.governor.pause_if_needed(self.presence.stage)
        if self.presence.proving is not None:
            self.presence.proving.come_first(self.presence)
        for arrival in self.network.arrivals() if self.network else ():
            if self.averaging is not None and arrival.stage == seeds.AVERAGE:
                self.averaging.hear(arrival, self.pool.refused)
            else:
                self.pool.add(arrival.card, arrival.stage, arrival.round, arrival.data, arrival.at, arrival.shelf)
        self.put_aside()
        if self.trading is not None:
            self.trading.look()
        self.presence.network(self.network, self.pool)

    def put_aside(self) -> None:
        """Groups of others whose rewards are verdicts wait for those, and are no candidates before."""
        if self.waiting is None:
            return
        judged = [shared for shared in self.pool.fresh("learn") if self.judged(shared.group)]
        together: dict[tuple[bytes, int], list[Shared]] = {}
        for shared in judged:
            if shared.group.stage == "answer":
                together.setdefault((shared.author, shared.round), []).append(shared)
            else:
                self.pool.refused["no verdict is made on it"] += 1
        for (author, round), of_one in together.items():
            sources = [self.pool.source(shared) for shared in of_one]
            blob, shelf, _ = sources[0]
            self.waiting.add(author, of_one[0].operator, round, shelf, blob, [place for _, _, place in sources])
        self.pool.use("learn", judged)

    def stage(self, this: Round, name: str, draft: Callable[[Round], list[Draft]]) -> None:
        """Write one stage's groups (or take them from the journal of a round that was cut off), share them, score them."""
        self.presence.enter(name)
        began, tokens = time.monotonic(), self.author.tokens
        groups = self.journal.groups(this.number, name)
        if groups is None:
            groups = self.author.write(draft(this), this.number, self.presence.progress)
            self.journal.keep(this.number, name, pack(name, this.number, self.stages.epoch_seed, groups))
        if groups and self.network:
            self.network.publish(name, this.number, self.journal.blob(this.number, name))
        if self.scribe is not None:
            self.scribe.wrote(name, groups, self.journal.blob(this.number, name))
        judged = [place for place, group in enumerate(groups) if self.judged(group)]
        scored = [found for place, group in enumerate(groups) if place not in judged and (found := self.scored(group, self.me, self.operator))]
        this.own += scored
        if name == "answer":
            self.journal.keep_rewards(this.number, scored)
            self.ask(this, groups, judged)
        elif name == "critique" and self.trading is not None:
            self.trading.testify(groups)
        this.row[name] = told.stage(name, scored, time.monotonic() - began, self.author.tokens - tokens, self.journal)

    def ask(self, this: Round, groups: list[Group], judged: list[int]) -> None:
        """Open markets about own answers; those to a judged task then wait for their verdict."""
        asked = self.trading.ask(groups) if self.trading is not None else []
        if self.waiting is not None and judged:
            places = [place for place in judged if place in asked]
            self.waiting.add(self.me, self.operator, this.number, b"", self.journal.blob(this.number, "answer"), places)
            this.dropped["no market opened"] += len(judged) - len(places)

    def own_questions(self, this: Round) -> list[Draft]:
        """Answer: this round's own questions."""
        seed = self.stages.epoch_seed
        return [self.draft("answer", self.me, this.number, index, self.specialty, seed=seed) for index in range(self.recipe.answer.questions)]

    def answers_of_others(self, this: Round) -> list[Draft]:
        """Critique: fresh answers of others, one of each group's rollouts."""
        draw = self.choice(this, "critique")
        fresh = [shared for shared in self.pool.fresh("critique", "answer") if not self.judged(shared.group)]
        taken = draw.sample(fresh, min(self.recipe.critique.groups, len(fresh)))
        self.pool.use("critique", taken)
        return [self._critique_of(s.group, draw.choice(s.group.rollouts).text) for s in taken]

    def criticised_answers(self, this: Round) -> list[Draft]:
        """Resolve: own answers on which critiques arrived, with some of the critiques."""
        draw = self.choice(this, "resolve")
        received: dict[tuple[int, int, str], list[Shared]] = {}
        for shared in self.pool.about_me("resolve"):
            about = shared.group
            mine = self.journal.answer(about.round, about.index)
            if mine is None:
                self.pool.refuse("critique too late", "resolve", shared)
            elif about.seed != mine.seed or about.answer not in [rollout.text for rollout in mine.rollouts]:
                self.pool.refuse("not my answer", "resolve", shared)
            else:
                received.setdefault((about.round, about.index, about.answer), []).append(shared)
        drafts = []
        for round, index, answer in draw.sample(sorted(received), min(self.recipe.resolve.groups, len(received))):
            critics = received[round, index, answer]
            self.pool.use("resolve", critics)
            said = [Said(r.label or 0, r.text) for shared in critics for r in shared.group.rollouts]
            shown = tuple(draw.sample(said, min(self.recipe.resolve.critiques, len(said))))
            seed = critics[0].group.seed  # checked with the rest: it is that of the answer in the journal
            drafts.append(self.draft("resolve", self.me, round, index, self.specialty, answer=answer, said=shown, seed=seed))
        return drafts

    def learn(self, this: Round) -> None:
        """Choose I own and J foreign groups, and take one optimizer step on them."""
        self.presence.enter("learn")
        batch = self.choose(this)
        self.governor.pause_if_needed("learn")
        groups = [self.stages.for_training(scored, self.me) for scored in batch.groups]
        result = self.trainee.step(groups, seeds.derive("step", self.stages.epoch_seed, self.me, this.number))
        self.trainee.round = this.number
        if batch.groups:
            self.look_whether_applied(result)
        if self.scribe is not None:
            self.scribe.stepped(batch, result, lambda group: self.source(this, group), self.stages.epoch_seed)
        this.row |= told.learned(batch, result, self.pool.name_of, self.me)

    def study(self, this: Round, lessons: Lessons) -> None:
        """Where the recipe has rows: take one optimizer step on those that are drawn for this round."""
        self.presence.enter("learn")
        seed = self.stages.epoch_seed
        rows = lessons.drawn(seed, seeds.author(self.operator, self.me), this.number)
        self.governor.pause_if_needed("learn")
        result = self.trainee.step_on_rows([lessons.tokens(row) for row in rows], seeds.derive("step", seed, self.me, this.number))
        self.trainee.round, self.studied = this.number, self.studied + result.tokens
        self.look_whether_applied(result)
        if self.scribe is not None:
            self.scribe.taught(of_rows(this.number, seed, lessons.rows.digest, rows), result)
        this.row |= told.studied(len(rows), result)

    def average(self, this: Round) -> None:
        """In recipes that average, every few rounds: move towards the mean of the peers that average now."""
        if self.averaging is not None:
            self.presence.enter("average")
            this.row |= self.averaging.after_step(this.number, self.trainee, self.journal)

    def choose(self, this: Round) -> Batch:
        """The batch: candidates of others are scored and checked here, then own and foreign groups are drawn by the same rules."""
        draw, sharing = self.choice(this, "learn"), self.recipe.sharing
        fresh = self.pool.fresh("learn")
        candidates = draw.sample(fresh, min(MANY * sharing.foreign, len(fresh)))
        this.foreign = {id(s.group): s for s in candidates}
        scored = {s.key: found for s in candidates if (found := self.scored(s.group, s.author, s.operator))}
        ruled = self.ruled(this)
        theirs = [*scored.values(), *(found for found in ruled if found.author != self.me)]
        worth = [found for found in theirs if found.has_advantage]
        wide = sharing.model_copy(update={"own": 0, "foreign": 2 * sharing.foreign, "operator_share": 1.0, "join": "groups"})
        checked = [self.stages.checked(found, this.dropped) for found in select([], worth, wide, draw).groups]
        own = [*this.own, *(found for found in ruled if found.author == self.me)]
        own += self.echoes(checked, this) if sharing.join == "mixed" else []
        batch = select(own, checked, sharing, draw)
        this.dropped += batch.dropped + Counter({"no advantage": len(theirs) - len(worth)})
        spent = [found.group for found in (*checked, *batch.groups, *(found for found in (*theirs, *own) if not found.has_advantage))]
        self.pool.use("learn", [s for s in candidates if id(s.group) in set(map(id, spent))])
        if self.waiting is not None:
            self.waiting.done(spent)
        return batch

    def ruled(self, this: Round) -> list[Scored]:
        """Own and foreign answers on which a verdict is closed by now, with the rewards that follow from it."""
        if self.waiting is None:
            return []
        found = self.waiting.ready(this.number, self.me)
        this.dropped += self.waiting.taken()
        this.row |= told.ruled(found, len(self.waiting))
        return found

    def echoes(self, foreign: list[Scored], this: Round) -> list[Scored]:
        """Own answers to the questions of foreign groups, for batches in which both stand in one group; they are not shared."""
        answers = [found.group for found in foreign if found.group.stage == "answer"][: self.recipe.sharing.foreign]
        drafts = [Draft(replace(group, rollouts=()), self.stages.question(group)) for group in answers]
        groups = self.author.write(drafts, this.number, purpose="mixed")
        return [found for group in groups if (found := self.scored(group, self.me, self.operator))]

    def keep(self, this: Round) -> None:
        """Save everything that a restart needs, then say what the round was."""
        if self.evaluate and self.recipe.evaluate.every and this.number % self.recipe.evaluate.every == 0:
            this.row["accuracy"] = accuracy = self.evaluate()
            self.presence.accuracy(self.presence.beat.accuracy_before, accuracy)
        self.presence.enter("save")
        made = self.presence.round_row(this.started, self.author.tokens + self.studied, this.dropped)
        this.row = {"round": this.number, "reward": this.row.get("answer", {}).get("reward")} | this.row | made
        self.totals.add(this.row)
        self.pool.save(self.folder / "pool.msgpack")
        self.record(this)
        if self.waiting is not None:
            self.waiting.save()
        self.trainee.save({"totals": self.totals.as_dict(), "cpu_s": self.presence.cpu_s})
        if self.scribe is not None:
            self.scribe.recorder.confirm()
        self.journal.forget_before(this.number)
        self.metrics.write(this.row)
        self.presence.round_done(this.row, self.totals)

    def record(self, this: Round) -> None:
        """Write the step record, just before the state it leads to is saved."""
        if self.scribe is not None:
            step = self.scribe.write(paid=self.epoch_seeds is None or self.epoch_seeds.fresh(self.stages.epoch_seed))
            if self.waiting is not None:
                self.waiting.recorded(self.me, this.number, step.leaf.epoch, self.scribe.recorder.store.get(step.leaf.batch))
            this.row["proof"] = {"epoch": step.leaf.epoch, "step": step.leaf.step, "units": step.leaf.units}

    def scored(self, group: Group, author: bytes, operator: bytes) -> Scored | None:
        """A group with its rewards, recomputed here; None (shown and counted) where the scorer failed."""
        try:
            return Scored(group, tuple(self.stages.rewards(group, self.stages.question(group))), operator, author)
        except TaskError as error:
            self.pool.refused["scorer failed"] += 1
            self.presence.warn(str(error), "the group is left out")
            return None

    def judged(self, group: Group) -> bool:
        """Whether the judge market, and no scorer, says what a group is worth."""
        try:
            return self.waiting is not None and self.stages.judged(group)
        except TaskError:  # it is refused where it would be scored
            return False

    def source(self, this: Round, group: Group) -> Found | None:
        """Where a trained group lies that is not of this round's own blobs."""
        if self.waiting is not None and (found := self.waiting.source(group)) is not None:
            return found
        shared = this.foreign.get(id(group))
        if shared is None:
            return None
        blob, shelf, place = self.pool.source(shared)
        return Source(shared.author, shared.operator, group.stage, shared.round, digest_of(blob), shelf), place, [blob]

    def look_whether_applied(self, result: StepResult) -> None:
        if not result.applied:
            self.presence.warn("the gradient was not finite", "no step was taken this round")

    def _critique_of(self, group: Group, answer: str) -> Draft:
        return self.draft("critique", group.asker, group.round, group.index, group.specialty, answer=answer, seed=group.seed)

    def draft(self, stage: str, asker: bytes, round: int, index: int, specialty: int, **context: Any) -> Draft:
        group = Group(stage, asker, round, index, (), specialty=specialty, **context)
        return Draft(group, self.stages.question(group))

    def choice(self, this: Round, purpose: str) -> Any:
        """The generator for one choice among candidates, fixed by epoch seed, peer and round."""
        return seeds.choice(self.stages.epoch_seed, self.me, this.number, purpose)


def main(folder: Path) -> None:
    """Run the node whose settings lie in `folder`, until its rounds are done: the entry of the node process."""
    from swarm.errors import boundary
    from swarm.peer import open_peer

    with boundary(folder / "log.txt"), open_peer(folder) as peer:
        peer.work()
