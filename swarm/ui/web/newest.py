"""What takes seconds to look at: looked at now and then in a thread, while somebody asks, and shown in between as it was.

    newest = Newest(take, Picture)
    newest.of(run, (folder, ...), on=True)      the newest look, or None while the first one is being taken

A look that fails leaves the one before it, with the reason and its age.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from swarm.errors import SwarmError

OFTEN_S = 15.0  # between two looks at what is on
SHARE = 10.0  # and so many times as long as one took
AGAIN_S = 30.0  # after one that failed
FIRST_S = 5.0  # a page waits so long for the first one


@dataclass(frozen=True)
class Look:
    """`taken` in unix seconds, 0: never. `trouble` says why it is old, or empty."""

    taken: float = 0.0
    seconds: float = 0.0
    trouble: str = ""
    hint: str = ""


L = TypeVar("L", bound=Look)
Subject = TypeVar("Subject")


class Newest(Generic[Subject, L]):
    """The newest look at one subject at a time. Safe to use from any thread. `nothing` makes an empty look."""

    def __init__(self, take: Callable[[Subject], L], nothing: Callable[..., L], name: str):
        self._take, self._nothing = take, nothing
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._key: tuple[Hashable, Hashable] | None = None
        self._newest: L | None = None
        self._taking: Future[L] | None = None
        self._ended = 0.0  # when the last look came back, whatever it brought

    def of(self, subject: Subject, whose: Hashable, mark: Hashable, on: bool) -> L | None:
        """`whose` says which subject it is, `mark` changes when another look is due at once; what is not `on` changes in no other way."""
        with self._lock:
            self._collect()
            if self._key != (whose, mark):
                self._newest = self._newest if self._key is not None and self._key[0] == whose else None
                self._key, self._taking = (whose, mark), self._worker.submit(self._look, subject)
            elif self._taking is None and self._is_old(on):
                self._taking = self._worker.submit(self._look, subject)
            taking, newest = self._taking, self._newest
        if newest is None and taking is not None:
            wait([taking], FIRST_S)
            with self._lock:
                self._collect()
                newest = self._newest
        return newest

    def close(self) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _is_old(self, on: bool) -> bool:
        if self._newest is None:
            return True
        age = time.time() - self._ended
        if self._newest.trouble:
            return age > AGAIN_S
        return on and age > max(OFTEN_S, SHARE * self._newest.seconds)

    def _collect(self) -> None:
        """Take over a look that is ready."""
        if self._taking is None or not self._taking.done():
            return
        new, old, self._taking, self._ended = self._taking.result(), self._newest, None, time.time()
        self._newest = replace(old, trouble=new.trouble, hint=new.hint) if new.trouble and old is not None and old.taken else new

    def _look(self, subject: Subject) -> L:
        began = time.time()
        try:
            return replace(self._take(subject), taken=time.time(), seconds=time.time() - began)
        except SwarmError as error:
            return self._nothing(trouble=str(error), hint=error.hint)
