"""A thread that does something again and again beside the node's own. What it raises ends it and is kept for whoever asks.

A bug that ended such a thread must not look like a quiet chain or market: the node's thread calls `require_alive` between its stages.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable


class Beat(threading.Thread):
    """Calls `work` every `pause` seconds, the first time after one pause, until it is stopped."""

    def __init__(self, name: str, pause: float, work: Callable[[], None]):
        super().__init__(name=name, daemon=True)
        self._pause, self._work, self._closing = pause, work, threading.Event()
        self._bug: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._closing.wait(self._pause):
                self._work()
        except Exception as error:  # kept for the node's thread, which raises it
            traceback.print_exception(error)
            self._bug = error

    def stop(self) -> None:
        """Do not begin again."""
        self._closing.set()

    def await_end(self, seconds: float) -> None:
        """Wait for what is under way, at most so long."""
        if self.is_alive():
            self.join(seconds)

    def require_alive(self) -> None:
        """Raise what ended the thread, if anything did."""
        if self._bug is not None:
            raise self._bug
