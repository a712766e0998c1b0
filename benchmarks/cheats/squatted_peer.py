"""Submits another peer's proof under that peer's own id, which it has registered with its own operator key: the records fit to the last bit."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.cheats.conduct import Honest, Work
from benchmarks.cheats.ground import Call, call
from benchmarks.cheats.play import Member, Play
from benchmarks.cheats.recorded import Own


class SquattedPeer(Honest):
    """Only the operator's name in the epoch's blob is another. The victim may be another identity of the same person."""

    name = "a squatted peer id"

    def prepare(self, play: Play, me: Member) -> list[Call]:
        self.peer = self.recorded.members[0].epoch.peer
        me.key = play.swarm.key(me.operator, self.peer)
        stake, vault = play.swarm.terms.minStake, play.chain.address("vault")
        return [
            call(me.secret, "registry", "register", play.swarm.id, self.peer, play.account(me)),
            call(me.secret, "ledger", "enter", play.swarm.id, me.operator, self.peer),
            call(me.secret, "credit", "faucet", stake),
            call(me.secret, "credit", "approve", vault, stake),
            call(me.secret, "vault", "stake", me.key, stake, self.recorded.machine),
        ]

    def work(self, play: Play, own: Own, number: int) -> Work:
        epoch = self.recorded.members[0].epoch
        return Work(replace(epoch, operator=own.identity.address), {}, frozenset(range(len(epoch.leaves))))
