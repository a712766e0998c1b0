"""What a node shows of itself while it works: it keeps the heartbeat file fresh, at most twice a second."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from swarm.heartbeat import GroupCounts, Heartbeat, Reach
from swarm.limits import give_back_memory, own_cpu_s
from swarm.names import plain

if TYPE_CHECKING:
    from swarm.judging import Judging
    from swarm.network.host import Network
    from swarm.network.pool import Pool
    from swarm.proving import Proving
    from swarm.told import Totals

OFTEN_S = 0.5
PULSE_S = 3.0


class Presence:
    """The heartbeat of one peer."""

    def __init__(self, path: Path, beat: Heartbeat):
        self.path, self.beat, self._cpu_before = path, beat, 0.0
        self._written, self._entered = 0.0, time.monotonic()
        self._usual: dict[str, float] = {}
        self._tokens = 0
        self._twin_shown = False
        self.proving: Proving | None = None
        self.judging: Judging | None = None
        self._lock = threading.Lock()

    @property
    def stage(self) -> str:
        return self.beat.stage

    @property
    def cpu_s(self) -> float:
        """Processor seconds used so far, over all starts of this peer."""
        return self._cpu_before + own_cpu_s()

    def state(self, state: str, waits_for: str = "") -> None:
        """Say what the process is doing as a whole, at once."""
        self.beat.state, self.beat.waits_for, self.beat.stage = state, waits_for, ""
        self._write()

    def resumed(self, round: int, cpu_s: float) -> None:
        """Earlier starts of this peer did `round` rounds in `cpu_s` processor seconds."""
        self.beat.round, self._cpu_before = round, cpu_s

    def begin(self) -> None:
        """A round begins."""
        self.beat.state, self.beat.waits_for = "running", ""

    def enter(self, stage: str) -> None:
        """A stage begins; how long it took before tells how long it will take."""
        now = time.monotonic()
        if self.beat.stage:
            self._usual[self.beat.stage] = now - self._entered
        self._entered, self.beat.stage = now, stage
        self.progress(0.0)

    def keep_fresh(self) -> None:
        """From now on the file is written every `PULSE_S` by a thread too: a long optimizer step must not look like a dead process."""
        threading.Thread(target=self._pulse, name="presence", daemon=True).start()

    def progress(self, share: float) -> None:
        """`share` of the stage (0 to 1) is done."""
        spent = time.monotonic() - self._entered
        usual = self._usual.get(self.beat.stage)
        self.beat.stage_done = min(1.0, share)
        self.beat.stage_eta_s = spent / share - spent if share > 0.05 else max(0.0, usual - spent) if usual else None
        self._write_sometimes()

    def pausing(self, why: str) -> None:
        """The owner's limits hold the node back for a moment."""
        self.beat.waits_for = why
        self._write_sometimes()

    def warn(self, text: str, consequence: str) -> None:
        """Show something that went wrong, and what follows from it. `text` may be foreign."""
        self.beat.warn(plain(text, 400), consequence)
        print(f"warning: {plain(text, 400)}: {consequence}", flush=True)

    def note(self, text: str) -> None:
        """Show something that happened. `text` may be foreign."""
        with self._lock:
            self.beat.note(plain(text, 400))
        print(plain(text, 400), flush=True)
        self._write_sometimes()

    def network(self, network: Network | None, pool: Pool) -> None:
        """Take over what the network says of itself."""
        if network is None:
            return
        status = network.status()
        if status.twin and not self._twin_shown:
            self._twin_shown = True
            self.warn("this identity also runs somewhere else, started later", "others follow that one: stop one, or take another identity")
        refused = Counter(status.dropped) + pool.refused
        counts = dict(refused.most_common(20))
        self.beat.peers_heard, self.beat.addresses = len(status.heard), network.addresses()
        self.beat.network = Reach(
            reachable=status.reachable,
            why=status.why,
            restarts=status.restarts,
            bytes_in=status.bytes_in,
            bytes_out=status.bytes_out,
            dropped=counts,
        )
        self._write_sometimes()

    def round_row(self, started: float, tokens: int, dropped: Counter[str]) -> dict[str, Any]:
        """What the process can tell of a round that began at `started` (monotonic); `tokens` were sampled, or of rows, since the process began."""
        seconds, sampled = time.monotonic() - started, tokens - self._tokens
        self._tokens = tokens
        give_back_memory()
        return {
            "heard": self.beat.peers_heard,
            "dropped": dict(dropped),
            "refused": dict(self.beat.network.dropped),
            "seconds": round(seconds, 3),
            "cpu_s": round(self.cpu_s, 2),
            "tokens_per_s": round(sampled / seconds, 1),
            "memory_mb": _memory_mb(),
            "time": round(time.time(), 3),
        }

    def accuracy(self, before: dict[str, float], now: dict[str, float]) -> None:
        """Held-out accuracy by task."""
        self.beat.accuracy_before, self.beat.accuracy = before, now
        self._write()

    def round_done(self, row: dict[str, Any], totals: Totals) -> None:
        """A round is saved."""
        beat = self.beat
        beat.round, beat.reward, beat.loss, beat.tokens_per_s = row["round"], row["reward"], row["learn"]["loss"], row["tokens_per_s"]
        beat.groups = GroupCounts(own=totals.own, used=totals.foreign, dropped=dict(totals.dropped))
        self._write()

    def _pulse(self) -> None:
        while True:
            time.sleep(PULSE_S)
            spent, usual = time.monotonic() - self._entered, self._usual.get(self.beat.stage)
            if self.beat.stage == "learn" and usual:  # the trainer reports nothing on the way: as far as it was last time
                self.beat.stage_done, self.beat.stage_eta_s = min(0.95, spent / usual), max(0.0, usual - spent)
            self._write()

    def _write_sometimes(self) -> None:
        if time.monotonic() - self._written >= OFTEN_S:
            self._write()

    def _write(self) -> None:
        with self._lock:
            self._written = time.monotonic()
            self.beat.memory_mb = _memory_mb()
            self.beat.cpu_s = round(self.cpu_s, 2)
            if self.proving is not None and self.beat.proved is not None:
                self.proving.show(self.beat.proved)
            if self.judging is not None and self.beat.judged is not None:
                self.judging.show(self.beat.judged)
            self.beat.write(self.path)


def _memory_mb() -> float:
    """Resident memory of this process, MiB."""
    return round(psutil.Process().memory_info().rss / 2**20, 1)
