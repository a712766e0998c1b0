"""An auditor who always says "ok" without replaying: it has to name a value that only replay yields, and guesses."""

from __future__ import annotations

from types import SimpleNamespace

from benchmarks.cheats.conduct import AUDITOR, Honest, Honestly, Opinion
from benchmarks.cheats.play import Member, Play, token
from swarm.chain.values import Verdict


class LazyAuditor(Honest):
    """Takes the fee and spares the work."""

    name, role = "always says ok", AUDITOR

    def opinion(self, play: Play, me: Member, case: SimpleNamespace, find: Honestly) -> Opinion:
        return Opinion(Verdict.OK, value=token(me.key), replayed=False)
