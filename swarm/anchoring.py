"""The judge market on the chain: once an epoch every member anchors the root of its log, and together they make it final.

    anchor_from(e)   anchor the own root of e, as late as is safe: pages have had time to travel       (`_vote`)
    half of the rest bring members onto the roll that have weight and did not anchor                   (`_refresh`)
    window is over   make final what more than half of the roll anchored, taking turns                 (`_finish`)
    it is final      carry out its slashes                                                             (`_claim`)

Credits of the market are points without a cash value, so nobody's token moves because points were won or lost: half of the weight
could take honest judges' money by outvoting them. What a deposit stands good for is what signatures prove, the faults of a market's host; each
costs a tenth of the swarm's least stake. Nobody earns from it: the pot goes to the swarm's treasury. There is no gold set's root, since
panels are checked by the tasks' own scorers.

An epoch for which no half agrees stays undecided, without harm: the next final root is over the same log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarm import keys
from swarm.chain.client import Chain, Swarm
from swarm.chain.outbox import Goal
from swarm.chain.tally import Entry, Tally
from swarm.market.facts import ChainFacts
from swarm.market.history import Root
from swarm.proof.schedule import RECENT, Schedule

TURN_S = 4  # between two members that may send the same
FAULT_PART = 10  # a host's fault costs this part of the least stake
EACH = 64  # members looked at for the roll in one epoch
GOLD = bytes(32)


class Anchoring:
    """The anchors of member `key`. `root(epoch)` is its room's, `send` puts a transaction into the duties' outbox, in their thread."""

    def __init__(
        self,
        chain: Chain,
        swarm: Swarm,
        key: bytes,
        schedule: Schedule,
        facts: ChainFacts,
        root: Callable[[int], Root | None],
        send: Callable[..., bool],
        say: Callable[[str], None],
    ):
        self.chain, self.swarm, self.key, self.schedule, self.facts = chain, swarm, key, schedule, facts
        self.root, self.send, self.say = root, send, say
        self._voted: set[int] = set()
        self._rolled: set[int] = set()
        self._done: set[int] = set()  # epochs that are over for this member: final and carried out, or undecided

    def bring_on(self, now: int) -> None:
        """Do what is due of the last epochs. Raises ChainError where the chain does not answer."""
        latest = self.schedule.epoch_at(now)
        for epoch in range(max(1, latest - 2 * RECENT), latest):
            if self.schedule.anchor_from(epoch) <= now <= self.schedule.commit_until(epoch):
                self._vote(epoch)
                self._refresh(epoch, now)
            elif now > self.schedule.commit_until(epoch) and epoch not in self._done:
                self._finish(epoch, now)

    def tally(self, epoch: int, root: Root) -> Tally:
        """What an epoch takes from deposits, by its root."""
        return Tally.of_faults(self.swarm.id, epoch, root.faults, self.swarm.terms.minStake // FAULT_PART)

    def _vote(self, epoch: int) -> None:
        root = self.root(epoch)
        if epoch in self._voted or root is None or root.head == bytes(32):
            return
        self._voted.add(epoch)
        if self.chain.read("vault", "weightAt", self.key, epoch - 1):  # else it has no say
            args = [self.key, epoch, root.head, GOLD, self.tally(epoch, root).root]
            goal = Goal(contract="anchor", function="voterOf", args=[self.key], field="1", op="gt", value=epoch)
            self.send(f"anchor {epoch}", "anchor", "anchor", args, self.schedule.commit_until(epoch), goal)

    def _refresh(self, epoch: int, now: int) -> None:
        """Whoever has weight counts, anchoring or not: else the few that anchor would be a majority of themselves."""
        middle = (self.schedule.anchor_from(epoch) + self.schedule.commit_until(epoch)) // 2
        if epoch in self._rolled or now < middle:
            return
        self._rolled.add(epoch)
        voters = sorted(self.facts.anchored(epoch))
        for key in self._of_roll(epoch, voters):
            weight = self.chain.read("vault", "weightAt", key, epoch - 1)
            if weight != self.chain.read("anchor", "voterOf", key)[0]:
                goal = Goal(contract="anchor", function="voterOf", args=[key], field="0", value=weight)
                self.send(f"roll {epoch} {key.hex()}", "refresh", "anchor", [key], self.schedule.commit_until(epoch), goal)

    def _of_roll(self, epoch: int, voters: list[bytes]) -> list[bytes]:
        """Members that did not anchor and are this one's to look at: itself, and a share of the others where it anchored."""
        own = [] if self.key in voters else [self.key]
        if own:
            return own
        count = self.chain.read("vault", "memberCount", self.swarm.id)
        first = int.from_bytes(keys.keccak(epoch.to_bytes(4, "big"))[:4], "big") % max(1, count)
        places = [(first + step) % count for step in range(min(EACH, count))]
        mine = [place for place in places if place % len(voters) == voters.index(self.key)]
        found = [self.chain.read("vault", "memberAt", self.swarm.id, place) for place in mine]
        return [key for key in found if key not in voters]

    def _finish(self, epoch: int, now: int) -> None:
        """Make an epoch final whose window is over, or see that it is, or that no half agreed."""
        if epoch in self.facts.finals:
            return self._claim(epoch, now)
        if self.facts.seen <= self.schedule.commit_until(epoch) * 1000:
            return None  # votes may be there that were not read yet
        anchored = self.facts.anchored(epoch)
        winner = next((roots for roots in set(anchored.values()) if self._has_half(epoch, roots)), None)
        if winner is None:
            self._done.add(epoch)
            if anchored:
                self.say(f"epoch {epoch} of the judge market stays undecided: {len(anchored)} members anchored, and no half of the weight agreed")
            return None
        if now > self.schedule.commit_until(epoch) + TURN_S * self._turn(epoch):
            _, _, expires = self.chain.read("anchor", "timesOf", self.swarm.id, epoch)
            goal = Goal(contract="anchor", function="roundOf", args=[self.swarm.id, epoch], field="expires", op="gt", value=0)
            self.send(f"final {epoch}", "finalize", "anchor", [self.swarm.id, epoch, *winner], expires, goal)
        return None

    def _claim(self, epoch: int, now: int) -> None:
        """Take what a final tally takes; nobody is paid by it."""
        root = self.root(epoch)
        if root is None:
            return
        tally = self.tally(epoch, root)
        if root.head != self.facts.finals[epoch] or not self._stands(tally):
            self._done.add(epoch)  # another history is final: its tally is not known here; or there is nothing to take
        elif now > self.schedule.commit_until(epoch) + TURN_S * (2 + self._turn(epoch)):
            for entry in tally.entries:
                self._take(tally, entry)
            self._done.add(epoch)

    def _take(self, tally: Tally, entry: Entry) -> None:
        where: list[Any] = [self.swarm.id, tally.epoch, entry.operator]
        goal = Goal(contract="anchor", function="claimOf", args=where, field="known")
        args = [*where, entry.earned, entry.slashed, tally.proof(entry)]
        round = self.chain.read("anchor", "roundOf", self.swarm.id, tally.epoch)
        self.send(f"slash {tally.epoch} {entry.operator.hex()}", "claim", "anchor", args, round.expires, goal)

    def _stands(self, tally: Tally) -> bool:
        """Whether any of the operators has a deposit."""
        accounts = [self.chain.read("anchor", "accountOf", self.swarm.id, entry.operator) for entry in tally.entries]
        return any(account.active or account.unbonding for account in accounts)

    def _has_half(self, epoch: int, roots: tuple[bytes, bytes, bytes]) -> bool:
        votes, total = self.chain.read("anchor", "votesOf", self.swarm.id, epoch, *roots)
        return 2 * votes > total

    def _turn(self, epoch: int) -> int:
        """This member's place in the order in which they send what one of them has to; those that anchored come first."""
        order = sorted(self.facts.anchored(epoch), key=lambda key: keys.keccak(key, epoch.to_bytes(4, "big")))
        return order.index(self.key) if self.key in order else len(order)
