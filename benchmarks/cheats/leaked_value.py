"""An auditor to whom provers leak the replay-only value, so that it says "ok" without replaying. What they leak about a planted fault is wrong.

Provers leak as a favour, or to be left alone; some of them plant faults. The auditor cannot tell these apart.
"""

from __future__ import annotations

import secrets
from types import SimpleNamespace

from benchmarks.cheats.conduct import AUDITOR, PROVER, Honest, Honestly, Opinion, Work
from benchmarks.cheats.ground import Call, call
from benchmarks.cheats.play import Member, Play, token
from benchmarks.cheats.recorded import Own
from benchmarks.cheats.skipped_steps import SkippedSteps
from swarm.chain.values import Verdict


class LeakedValue(Honest):
    """Repeats what it was told."""

    name, role = "leaked value", AUDITOR

    def opinion(self, play: Play, me: Member, case: SimpleNamespace, find: Honestly) -> Opinion:
        if case.work.forged:
            return Opinion(Verdict.OK, value=token(b"leaked"), replayed=False)
        true = find()  # the prover, who has worked, knows it
        return Opinion(true.kind, true.step, true.value, replayed=False)


class Planter(SkippedSteps):
    """An honest prover that plants a fault in this epoch: promised beforehand, opened after the verdicts."""

    name, role = "planter", PROVER

    def prepare(self, play: Play, me: Member) -> list[Call]:
        self._salt, last = secrets.token_bytes(32), len(me.own.epoch.leaves) - 1
        self._place = (len(me.own.epoch.leaves) - self.steps, last)
        plant = play.chain.read("court", "plantHash", me.key, 0, *self._place, self._salt)
        return [call(me.session, "court", "commitPlant", me.key, plant)]

    def work(self, play: Play, own: Own, number: int) -> Work | None:
        return super().work(play, own, number) if number == 0 else None

    def contest(self, play: Play, me: Member, case: SimpleNamespace) -> list[Call]:
        return [call(me.session, "court", "openPlant", vars(case.header), *self._place, self._salt)]
