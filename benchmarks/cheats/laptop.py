"""No cheat: an honest laptop whose lid is shut for 24 hours, with everyone else charging it for whatever it misses."""

from __future__ import annotations

from benchmarks.cheats.conduct import AUDITOR, Honest
from benchmarks.cheats.ground import call
from benchmarks.cheats.play import Member, Play

DAY_S = 24 * 3600
EVERY = 24  # times it is charged over the day


class Laptop(Honest):
    """Commits epoch 0 and is gone; a day later it comes back."""

    name, role, epochs, earns = "laptop, off for 24 h", AUDITOR, 3, False

    def online(self, play: Play) -> bool:
        return False

    def after(self, play: Play, me: Member) -> None:
        for hour in range(1, EVERY + 1):
            play.ground.jump(play.schedule.start + hour * DAY_S // EVERY)
            play.charge(play.schedule.epoch_at(play.ground.now) - 4)
        play.send([call(me.session, "vault", "resume", me.key)])
