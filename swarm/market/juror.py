"""The frozen judge: what a recipe's judge model says of a market, as a pure function of its weights and the market's texts.

    juror = juror.load(rules, mix, cache)               the model of `[judge]`, a copy of its own; None where the recipe names none
    opinion = juror(said, texts)                        of a market's opening and the full texts of its outcomes
    replayed(juror, said, texts, choice, sure)          whether a revealed vote is what this judge says

The probability that an answer is right is that of the label `right` beside `wrong` after the recipe's critique prompt and cue; no text is ever
parsed. Each answer is read alone, so neither the order of outcomes nor what else a market shows counts. `none of these` has the
probability that the best answer leaves. The choice is the greatest of these (of equal ones the first), `sure` its share of their sum in whole per
cents, which is what a lost ballot can be found again from. Question and answers are foreign text: quoted, bounded, special tokens split.
Another kind of processor may add up in another order, so a vote is replayed to within a per cent, and a tie to within a part in a million.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.market.questions import NONE
from swarm.sections import Model

if TYPE_CHECKING:
    from judge.events import Open
    from swarm.recipe import Recipe
    from swarm.stages import Stages
    from swarm.tasks.mix import Mix

PERCENT = 100  # bps
CLOSE = 1e-6  # two machines' sums


@dataclass(frozen=True)
class Opinion:
    """What a judge says of a market: a probability per outcome (they sum to 1), the outcome it votes for, and how sure it is in bps."""

    chances: tuple[float, ...]

    @property
    def choice(self) -> int:
        return self.chances.index(max(self.chances))

    @property
    def sure(self) -> int:
        return round(self.chances[self.choice] * 100) * PERCENT


class Juror:
    """A judge that stands on `stages` (templates, and a policy that nobody trains). Its passes run one at a time, whoever asks."""

    def __init__(self, stages: Stages):
        self.stages = stages
        self._lock = threading.Lock()

    @property
    def digest(self) -> str:
        """BLAKE3 (hex) of its weights."""
        return self.stages.policy.digest

    def __call__(self, said: Open, texts: tuple[str, ...]) -> Opinion | None:
        """Its opinion; None where there is no number, or nothing to choose from."""
        answers = [text or label for text, (label, _, _) in zip(texts, said.outcomes, strict=True)]
        none = [place for place, (label, digest, _) in enumerate(said.outcomes) if label == NONE and not digest]
        with self._lock:
            right = {place: self.right(said.question, answer) for place, answer in enumerate(answers) if place not in none}
        weights = [right.get(place, 1 - max(right.values(), default=0.0)) for place in range(len(answers))]
        whole = math.fsum(weights)  # whatever their order
        return Opinion(tuple(weight / whole for weight in weights)) if right and whole > 0 and math.isfinite(whole) else None

    def right(self, question: str, answer: str) -> float:
        """The probability of `right` beside `wrong`."""
        from swarm.policy import labels

        chosen = labels.choose(self.stages.policy.model, [self.prefix(question, answer)], self.stages.labels, pad=self.stages.policy.pad)
        return math.exp(chosen[0].logprobs[1])

    def prefix(self, question: str, answer: str) -> list[int]:
        """The tokens after which a label says whether `answer` is right. A question gets at most half of what the judge can read."""
        from swarm.tasks.task import Question

        recipe = self.stages.recipe
        quoted = self.stages.chat.quote(question, recipe.model.max_length // 2)
        return self.stages.check(Question("", "", quoted, ""), answer)


def load(rules: Recipe, mix: Mix, cache: Path, *, foreign: bool = False) -> Juror | None:
    """The recipe's frozen judge, on the processor; None where it names none. `cache` and `foreign` as of `swarm.policy.model.load`."""
    from swarm.policy import model
    from swarm.stages import Stages

    if not rules.judge.model:
        return None
    own = Model(source=rules.judge.model, digest=rules.judge.model_digest, max_length=rules.model.max_length)
    recipe = rules.model_copy(update={"model": own})
    policy = model.load(recipe, cache, foreign=foreign)
    policy.model.requires_grad_(False)
    return Juror(Stages(recipe, policy, mix))


def replayed(juror: Juror, said: Open, texts: tuple[str, ...], choice: int, sure: int) -> bool:
    """Whether a vote (choice and sure as they were revealed) is what this judge says of a market."""
    opinion = juror(said, texts)
    if opinion is None or not 0 <= choice < len(opinion.chances):
        return False
    best = max(opinion.chances)
    return opinion.chances[choice] >= best - CLOSE and abs(opinion.chances[choice] * 100 * PERCENT - sure) <= PERCENT
