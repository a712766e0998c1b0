"""A node's critiques as evidence: what it said of an answer that a market shows goes there, while the market is open.

What a piece claims (which outcome, wrong or right) is the label that the node's model chose most often of its critiques; the text is for
people. A piece stakes a credit, and counts where it turns a wrong first answer (see `swarm.market.tape`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from judge import events
from judge.errors import Refused
from judge.fields import Bad, Text
from judge.market import OPEN, Market
from swarm.market import questions

if TYPE_CHECKING:
    from swarm.groups import Group
    from swarm.market.questions import Scorer
    from swarm.market.room import Room

KEPT = 256  # critiqued questions that are remembered
LATEST_MS = 300  # before a market's deadline
_PIECE = Text(events.PIECE, lines=True)


class Critique(NamedTuple):
    """What this node says of one answer."""

    says: int  # events.WRONG or RIGHT
    text: str


class Testimony:
    """One node's critiques, by question and answer. `words` are the recipe's labels: wrong, right."""

    def __init__(self, room: Room, scorer: Scorer, words: tuple[str, str]):
        self.room, self.scorer, self.words = room, scorer, words
        self.brought = 0
        self._said: OrderedDict[tuple[bytes, int, int], dict[str, Critique]] = OrderedDict()  # by (asker, round, index), then by answer
        self._done: set[tuple[bytes, int]] = set()  # (market, outcome)

    def hear(self, groups: Iterable[Group]) -> None:
        """Remember critiques that this node wrote."""
        for group in groups:
            labels = [rollout.label or 0 for rollout in group.rollouts]
            right = 2 * sum(labels) > len(labels)
            text = next((rollout.text for rollout in group.rollouts if (rollout.label or 0) == right and rollout.text.strip()), "")
            self._said.setdefault((group.asker, group.round, group.index), {})[group.answer or ""] = Critique(int(right), text)
        while len(self._said) > KEPT:
            self._said.popitem(last=False)

    def bring(self, free: int) -> None:
        """Send what fits an open market of somebody else, as far as `free` credits (wei) stake it."""
        for market, about, piece in list(self._fitting()):
            free -= self.room.terms.piece_stake
            if free < 0:
                return
            self._done.add((market, about))
            try:
                self.room.send(self.room.sign(events.Evidence, market=market, text=piece.text, about=about, says=piece.says))
            except Refused:  # its round is over by now; nothing is lost
                continue
            self.brought += 1

    def _fitting(self) -> Iterator[tuple[bytes, int, Critique]]:
        """(market, outcome, critique) of everything that was not brought."""
        with self.room.reading() as state:
            open = [one.id for one in state.markets.values() if self._takes(one)]
        for market in open if self._said else ():
            found = self.room.texts(market)
            if found is None:
                continue
            said, texts = found
            round, index, _ = questions.place_of(said.nonce)
            for peer in self.scorer.peers(said.actor):
                about = self._said.get((peer, round, index), {})
                for outcome, answer in enumerate(texts):
                    if answer in about and answer and (market, outcome) not in self._done:
                        yield market, outcome, self._piece(about[answer], said.outcomes[outcome][0])

    def _takes(self, one: Market) -> bool:
        return one.phase == OPEN and one.kind == "V" and one.creator != self.room.actor and self.room.now() + LATEST_MS < one.deadline

    def _piece(self, critique: Critique, label: str) -> Critique:
        """The critique with its claim in words before it; without its text where that is none to show."""
        claim = f"{label}: {self.words[critique.says]}"
        whole = f"{claim}. {critique.text}"[: events.PIECE]
        try:
            return critique._replace(text=_PIECE.pack(whole) if critique.text else claim)
        except Bad:
            return critique._replace(text=claim)
