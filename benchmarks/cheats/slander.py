"""An auditor who slanders: it calls the honest work of others faulty, or says that it cannot be had."""

from __future__ import annotations

from types import SimpleNamespace

from benchmarks.cheats.conduct import AUDITOR, Honest, Honestly, Opinion
from benchmarks.cheats.play import Member, Play
from swarm.chain.values import Verdict


class Slander(Honest):
    """Hopes for a share of a convicted stake."""

    name, role = "slanders", AUDITOR

    def opinion(self, play: Play, me: Member, case: SimpleNamespace, find: Honestly) -> Opinion:
        return Opinion(Verdict.FAULT, case.drawn[0], replayed=False)


class FalseAlarm(Honest):
    """Says that honest data cannot be had."""

    name, role = "says unavailable", AUDITOR

    def opinion(self, play: Play, me: Member, case: SimpleNamespace, find: Honestly) -> Opinion:
        return Opinion(Verdict.UNAVAILABLE, case.drawn[0], case.work.epoch.leaves[case.drawn[0]].batch, replayed=False)
