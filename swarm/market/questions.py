"""Which of a node's own questions become markets, and what the task's scorer says of a market of kind V.

A market's outcomes are the different answers that its node sampled, the most frequent first, and `none of these`; the winner is the first one
that the scorer calls right. Its nonce says which question it is, so nobody can open two markets on one, and everybody derives the question
again from seeds: a market about any other text has no scorer, and goes to a panel.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from judge.events import QUESTION, Open
from judge.fields import Bad, Text
from swarm.errors import TaskError
from swarm.groups import Group

if TYPE_CHECKING:
    from swarm.stages import Stages
    from swarm.tasks.task import Question

NONE = "none of these"
SHOWN = 3  # different answers
JUDGED = 8  # of a judged task: an answer that is not shown gets no reward
LABEL = 200  # characters
_QUESTION, _LABEL = Text(QUESTION, lines=True), Text(LABEL)


def nonce_of(round: int, index: int, specialty: int) -> int:
    """A question's place as a market's nonce: 32 bits of round, 16 of index, 15 of specialty (or -1)."""
    return round << 31 | index << 15 | (specialty + 1)


def place_of(nonce: int) -> tuple[int, int, int]:
    """(round, index, specialty) of a nonce."""
    return nonce >> 31, nonce >> 15 & 0xFFFF, (nonce & 0x7FFF) - 1


def opening(
    group: Group, question: Question, operator: bytes, t: int, b0: int, scorer: bytes, judged: str | None = None, panel: bool = False
) -> tuple[Open, tuple[str, ...]] | None:
    """The market about an own group of answers, with the full text of every outcome; None where all answers are one, or cannot be shown.

    `t` is milliseconds, `b0` wei, `scorer` the recipe's hash (32 bytes). `judged` is the kind, P or H, of a market on a judged task: there
    the panel has the last word, and an answer is the best one or not; `none of these` is no outcome. `panel`: judges decide though the scorer
    could, which it does where they are too few.
    """
    frequent = Counter(rollout.text for rollout in group.rollouts if rollout.finished and rollout.text.strip())
    answers = [text for text, _ in sorted(frequent.items(), key=lambda item: (-item[1], item[0]))][: JUDGED if judged else SHOWN]
    labels = [label(text) for text in answers]
    if len(answers) < 2 or len({*labels, NONE}) <= len(labels) or not all(_shows(_LABEL, text) for text in labels):
        return None
    if not _shows(_QUESTION, question.prompt):
        return None
    outcomes = [(label, hashlib.sha256(text.encode()).digest(), (operator,)) for label, text in zip(labels, answers, strict=True)]
    said = dict(actor=operator, t=t, nonce=nonce_of(group.round, group.index, group.specialty), question=question.prompt, b0=b0)
    if judged:
        return Open(**said, kind=judged, outcomes=tuple(outcomes)), tuple(answers)
    return Open(**said, kind="P" if panel else "V", outcomes=(*outcomes, (NONE, b"", ())), scorer=scorer), (*answers, "")


def label(text: str) -> str:
    """An answer in one line, cut to what a label may have."""
    line = " ".join(text.split())
    return line if len(line) <= LABEL else line[: LABEL - 3] + "..."


class Scorer:
    """What a market of kind V is resolved by, and one of P or H that names it is checked by afterwards.

    `peers(operator)` are its 32-byte peers, `seeds(t)` the epoch seeds that were usable at `t` ms.
    """

    def __init__(self, stages: Stages, peers: Callable[[bytes], Iterable[bytes]], seeds: Callable[[int], Iterable[bytes]]):
        self.stages, self.peers, self.seeds = stages, peers, seeds

    def __call__(self, said: Open, texts: tuple[str, ...]) -> int | None:
        """The winning outcome; None where no question of the opener is this one, where the scorer fails, or where a panel's question has two."""
        question = self.question(said)
        if question is None or said.scorer != self.stages.recipe.hash or said.outcomes[-1][0] != NONE:
            return None
        try:
            right = [place for place, text in enumerate(texts[:-1]) if self.stages.is_right(question, text)] or [len(texts) - 1]
        except TaskError:
            return None
        return right[0] if said.kind == "V" or len(right) == 1 else None

    def question(self, said: Open) -> Question | None:
        """The question that a market is about, derived again; None where it is not one of its opener's."""
        round, index, specialty = place_of(said.nonce)
        for peer in self.peers(said.actor):
            for seed in self.seeds(said.t):
                try:
                    found = self.stages.question(Group("answer", peer, round, index, (), specialty=specialty, seed=seed))
                except TaskError:
                    continue
                if found.prompt == said.question:
                    return found
        return None


def _shows(codec: Text, text: str) -> bool:
    try:
        codec.pack(text)
    except Bad:
        return False
    return True
