"""A child process that ends when the process that started it is gone, however that one ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

PARENT = "SWARM_SUPERVISOR"  # environment variable: process id of whoever started this process


def end_with_parent(check_s: float = 1.0, sleep: Callable[[float], None] = time.sleep) -> None:
    """End this process in order when the supervisor that started it is gone; runs in a thread of the node."""
    parent = int(os.environ.get(PARENT) or os.getppid())  # told, not asked: it may be gone before this line is reached
    while os.getppid() == parent:
        sleep(check_s)
    os.kill(os.getpid(), signal.SIGTERM)
