"""Why a node process ended: from its exit code, its last words, and what the kernel counts.

The kernel does not tell an unprivileged parent that a child was killed for lack of memory, but it counts such kills in
`/proc/vmstat`: a counter that rose between start and end names the cause. Where it cannot be read, that is said.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import BaseModel

VMSTAT = Path("/proc/vmstat")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LOG_TAIL = 8192  # bytes of a log that are read for the last words

PERMANENT = {2, 3, 5, 6, 7}  # exit codes of errors that a restart cannot mend (see errors.py)


class Machine(BaseModel):
    """The kernel's identity and counters at one moment; None where the system does not say."""

    boot_id: str | None = None
    oom_kills: int | None = None

    @classmethod
    def now(cls) -> Machine:
        return cls(boot_id=_text(BOOT_ID), oom_kills=_counter(VMSTAT, "oom_kill"))


@dataclass(frozen=True)
class Ending:
    """How a process ended, in one sentence, and whether starting it again can help."""

    cause: str
    done: bool = False
    restart: bool = False
    code: int = 1  # exit code of the error, where the process named one


def explain(code: int, before: Machine, now: Machine, log: Path) -> Ending:
    """The ending of a child with this return code (negative: a signal's number), in words."""
    if code == 0:
        return Ending("finished", done=True)
    if code < 0:
        return Ending(_by_signal(-code, before, now), restart=True)
    words = last_words(log) or f"it says nothing; its log is {log}"
    return Ending(f"ended with code {code}: {words}", restart=code not in PERMANENT, code=code)


def explain_previous(before: Machine | None, supervisor: int | None, now: Machine) -> str | None:
    """Why the whole run stopped last time, told at the next start; None where it was stopped in order."""
    if supervisor is None or before is None:
        return None
    if before.boot_id and now.boot_id and before.boot_id != now.boot_id:
        return "last time the run was cut off: the machine was restarted since"
    if before.oom_kills is not None and now.oom_kills is not None and now.oom_kills > before.oom_kills:
        rose = now.oom_kills - before.oom_kills
        return f"last time the run was cut off: since it began the kernel has killed {rose} process(es) for lack of memory"
    return "last time the run was cut off: killed, or its terminal was closed; the system names no cause"


def last_words(log: Path) -> str:
    """The last `error:` line of a log (with its hint), else its last line; empty where there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_TAIL))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return ""
    for place in range(len(lines) - 1, -1, -1):
        if lines[place].startswith("error: "):
            hint = [line.removeprefix("hint: ") for line in lines[place + 1 : place + 2] if line.startswith("hint: ")]
            return "; ".join([lines[place].removeprefix("error: "), *hint])[:400]
    return lines[-1][:400] if lines else ""


def _by_signal(number: int, before: Machine, now: Machine) -> str:
    name = signal.Signals(number).name if number in signal.Signals._value2member_map_ else f"signal {number}"
    if number != signal.SIGKILL:
        return f"ended by {name}"
    if before.oom_kills is None or now.oom_kills is None:
        return "was killed (SIGKILL): by someone, or by the kernel for lack of memory; this system does not say which"
    if now.oom_kills > before.oom_kills:
        return f"was killed by the kernel for lack of memory (its counter rose; {_free()})"
    return "was killed by someone (SIGKILL; not by the kernel for lack of memory)"


def _free() -> str:
    return f"{psutil.virtual_memory().available / 2**30:.1f} GiB are free now"


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _counter(path: Path, name: str) -> int | None:
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return None
