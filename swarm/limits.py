"""Hardware on its owner's terms: what a run may use at most, and the governor that makes a node keep to it.

`--max-cpu` holds by affinity (whole cores) and by pauses (fractions): the governor compares processor seconds used with
those allowed and sleeps the difference off between batches. `--only-idle` lowers the scheduling class at once and pauses
between batches while programs of others are busy; processes of the same run count as own. `--max-memory` and `--max-disk`
are watched by the supervisor, `--max-upload` by the network.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import time
from collections.abc import Callable

import psutil
from pydantic import BaseModel, ConfigDict, Field

from swarm.errors import InputError

BURST_S = 2.0  # processor seconds that may be used ahead of the allowance
BUSY_CORES = 0.25  # more than this used by others counts as busy
QUIET_S = 3.0  # for how long others must have been quiet before work goes on
LOOK_S = 1.0  # seconds between two looks at what others use

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


class Limits(BaseModel):
    """What may be used at most; None is no limit. Sizes in bytes, `max_cpu` in cores, `max_upload` in bytes a second."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_cpu: float | None = Field(None, gt=0)
    max_memory: int | None = Field(None, gt=0)
    max_disk: int | None = Field(None, gt=0)
    max_upload: int | None = Field(None, gt=0)
    only_idle: bool = False

    def share(self, peers: int) -> Limits:
        """The part of one among `peers` equal peers of this machine."""
        whole = {name: value // peers or 1 for name in ("max_memory", "max_disk", "max_upload") if (value := getattr(self, name)) is not None}
        return self.model_copy(update={**whole, "max_cpu": self.max_cpu / peers if self.max_cpu else None})


def size(text: str, flag: str) -> int:
    """Bytes of `500M`, `2 GB` or `1.5GiB`. Raises InputError naming the flag."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?(?:/s)?\s*", text.lower())
    if not match or float(match[1]) <= 0:
        raise InputError(f"{flag} {text!r} is not a size", f"for example {flag} 500MB or {flag} 2GB")
    return int(float(match[1]) * _UNITS[match[2] or ""])


def cores(text: str, flag: str = "--max-cpu") -> float:
    """Cores of `1.5` (cores) or `50%` (of the whole machine). Raises InputError naming the flag."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", text)
    machine = os.cpu_count() or 1
    value = float(match[1]) * (machine / 100 if match[2] else 1) if match else 0.0
    if not 0 < value <= machine:
        raise InputError(f"{flag} {text!r} is not a number of cores", f"give 0.1 to {machine} (cores) or 1% to 100% (of this machine)")
    return value


class Governor:
    """Keeps one node process within its limits; the node calls `pause_if_needed` between stages and batches.

    `clock` (s) and `sleep` come in for tests; `family` is the process whose descendants count as own (the supervisor).
    """

    def __init__(
        self,
        limits: Limits,
        *,
        family: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        on_pause: Callable[[str], None] = lambda why: None,
    ):
        self.limits = limits
        self.paused_s = 0.0
        self._family = family or os.getppid()
        self._clock, self._sleep, self._on_pause = clock, sleep, on_pause
        self._start, self._start_cpu = clock(), own_cpu_s()
        self._looked: tuple[float, float, dict[tuple[int, float], float]] | None = None

    def apply(self, cores_of_run: float | None = None) -> None:
        """Lower priority and affinity of this process. `cores_of_run`: cores the whole run may use, if limited."""
        process = psutil.Process()
        if self.limits.only_idle:
            process.nice(19)
            if hasattr(os, "SCHED_IDLE"):
                with contextlib.suppress(OSError):  # a container may forbid it; niceness and pauses remain
                    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        if cores_of_run is not None and hasattr(process, "cpu_affinity"):
            allowed = process.cpu_affinity()
            process.cpu_affinity(allowed[: max(1, -int(-cores_of_run // 1))])

    def pause_if_needed(self, stage: str) -> float:
        """Sleep until work may go on; returns the seconds slept. `stage` says in the heartbeat what is being held up."""
        before = self.paused_s
        if self.limits.only_idle:
            self._wait_for_quiet(stage)
        if self.limits.max_cpu is not None:
            self._sleep_off(self.limits.max_cpu, stage)
        return self.paused_s - before

    def _sleep_off(self, allowed: float, stage: str) -> None:
        """Sleep the processor seconds used beyond `allowed` cores; unused allowance is not saved up."""
        now, used = self._clock(), own_cpu_s() - self._start_cpu
        ahead = used - allowed * (now - self._start)
        if ahead < 0:
            self._start, self._start_cpu = now, own_cpu_s()
        elif ahead > BURST_S * min(1.0, allowed):
            self._pause(ahead / allowed, f"{stage}: keeping to --max-cpu")

    def _wait_for_quiet(self, stage: str) -> None:
        quiet_since = None
        if self._others_cores() <= BUSY_CORES:
            return
        while quiet_since is None or self._clock() - quiet_since < QUIET_S:
            self._pause(LOOK_S, f"{stage}: other programs are busy (--only-idle)")
            busy = self._others_cores() > BUSY_CORES
            quiet_since = None if busy else quiet_since or self._clock()

    def _pause(self, seconds: float, why: str) -> None:
        self._on_pause(why)
        self._sleep(seconds)
        self.paused_s += seconds

    def _others_cores(self) -> float:
        """Cores used since the last look by processes outside this run; the first look measures over `LOOK_S`."""
        if self._looked is None:
            self._looked = self._look()
            self._sleep(LOOK_S)
        then, busy_then, own_then = self._looked
        now, busy, own = self._look()
        if now - then < LOOK_S / 2:
            return 0.0
        self._looked = (now, busy, own)
        mine = sum(used - own_then.get(key, 0.0) for key, used in own.items())
        return max(0.0, (busy - busy_then - mine) / (now - then))

    def _look(self) -> tuple[float, float, dict[tuple[int, float], float]]:
        times = psutil.cpu_times()
        busy = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        return self._clock(), busy, _cpu_of_family(self._family)


def give_back_memory() -> None:
    """Return freed pages to the system (glibc keeps them otherwise), so that a node's memory does not creep up over rounds."""
    with contextlib.suppress(OSError, AttributeError):  # another C library, which has no such call
        ctypes.CDLL(None).malloc_trim(0)


def own_cpu_s() -> float:
    """Processor seconds of this process and of its living and reaped children."""
    process = psutil.Process()
    times = process.cpu_times()
    total = times.user + times.system + getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):  # gone meanwhile: its time is then in the children's sum
            used = child.cpu_times()
            total += used.user + used.system
    return total


def _cpu_of_family(pid: int) -> dict[tuple[int, float], float]:
    """Processor seconds by (pid, start time) of a process and its descendants."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        family = [psutil.Process()]
    found = {}
    for process in family:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            found[(process.pid, process.create_time())] = times.user + times.system
    return found
