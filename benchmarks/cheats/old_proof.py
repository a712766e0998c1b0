"""Submits last epoch's proof again. It goes back to the start state on the chain first (`adopt`), so that the old records continue it."""

from __future__ import annotations

from benchmarks.cheats import forgery
from benchmarks.cheats.conduct import Honest, Work
from benchmarks.cheats.ground import Call, call
from benchmarks.cheats.play import Member, Play
from benchmarks.cheats.recorded import Own


class OldProof(Honest):
    """Works epoch 0 honestly and hands it in again for the next ones, as long as its epoch seed is young enough."""

    name, epochs = "last epoch's proof", 2

    def work(self, play: Play, own: Own, number: int) -> Work:
        return Work(own.epoch) if number == 0 else forgery.relabelled(own, epoch=number)

    def before_commit(self, play: Play, me: Member, number: int) -> list[Call]:
        return [call(me.session, "ledger", "adopt", me.key, bytes(32))] if number else []
