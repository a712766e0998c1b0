"""A class of one: a determinism class that nobody else has, so that nobody can audit what it makes up."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.cheats.conduct import Work
from benchmarks.cheats.ground import Call, call
from benchmarks.cheats.play import Member, Play
from benchmarks.cheats.recorded import Own
from benchmarks.cheats.skipped_steps import SkippedSteps
from swarm.keys import keccak

INVENTED = keccak(b"an invented class")


class LonelyClass(SkippedSteps):
    """Makes steps up in a class of its own."""

    name = "a class of one"

    def prepare(self, play: Play, me: Member) -> list[Call]:
        return [call(me.session, "vault", "setClass", me.key, INVENTED)]

    def work(self, play: Play, own: Own, number: int) -> Work:
        made = super().work(play, own, number)
        leaves = tuple(replace(leaf, machine=INVENTED) for leaf in made.epoch.leaves)
        return replace(made, epoch=replace(made.epoch, leaves=leaves))
