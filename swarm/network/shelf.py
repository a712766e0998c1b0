"""The own shelf: what this peer offers, on disk so that neither a crash nor a restart takes anything off it."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from swarm.identity import Session
from swarm.network.store import BlobStore
from swarm.records import Entry, Origin, Shelf, write
from swarm.seeds import AVERAGE, SHELVED


class OwnShelf:
    """The latest `Shelf.ENTRIES` blobs of this peer. `add` may be called from any thread.

    Sequence and expiry only ever grow, over restarts too: the DHT keeps the later expiry, readers the higher sequence.
    """

    def __init__(self, session: Session, file: Path, store: BlobStore):
        self._session, self._file, self._store = session, file, store
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._sequence = self._expires = 0
        self._load()
        self._pin()

    def add(self, stage: str, round: int, data: bytes) -> bytes:
        """Store a blob and put it on the shelf; its digest. Addresses of an averager replace earlier ones. Raises OSError where the disk is full."""
        digest = self._store.put(data)
        with self._lock:
            kept = [entry for entry in self._entries if entry.stage != stage or (entry.round != round and stage != AVERAGE)]
            kept.append(Entry(stage, round, digest, len(data)))
            kept.sort(key=lambda entry: (entry.round, SHELVED.index(entry.stage)))
            self._entries = kept[-Shelf.ENTRIES :]
            self._pin()
            self._save()
        return digest

    def wire(self, now: float, lifetime: float) -> tuple[bytes, Shelf]:
        """The signed shelf, valid until `now` + `lifetime` (unix seconds by the swarm's clock), and how others read it."""
        with self._lock:
            self._sequence = max(self._sequence + 1, int(time.time() * 1000))
            self._expires = max(self._expires + 1, int(now + lifetime))
            if self._expires > now + 2 * lifetime:  # our clock was ahead when we last looked; nobody waits for that
                self._expires = int(now + lifetime)
            shelf = Shelf(round=max((entry.round for entry in self._entries), default=0), entries=tuple(self._entries))
            who, given = self._session, self._session.delegation
            expires = min(self._expires, given.expires)
            data = write(shelf, who, sequence=self._sequence, expires=expires)
            self._save()
        return data, replace(shelf, origin=Origin(who.swarm, who.peer, who.operator, who.address, given.issued, self._sequence, expires))

    def _pin(self) -> None:
        self._store.pin({entry.digest for entry in self._entries})

    def _save(self) -> None:
        rows = [[entry.stage, entry.round, entry.digest.hex(), entry.size] for entry in self._entries]
        value = {"swarm": self._session.swarm.hex(), "sequence": self._sequence, "expires": self._expires, "entries": rows}
        write_json(self._file, value)

    def _load(self) -> None:
        """What an earlier run left; a file that is damaged or of another swarm only costs the shelf, not the run."""
        value = read_json(self._file)
        try:
            if value["swarm"] != self._session.swarm.hex():
                return
            entries = [Entry(str(stage), int(round), bytes.fromhex(digest), int(size)) for stage, round, digest, size in value["entries"]]
            self._sequence, self._expires = int(value["sequence"]), int(value["expires"])
            self._entries = [entry for entry in entries if self._store.get(entry.digest) is not None]
        except (KeyError, TypeError, ValueError):
            return


def write_json(path: Path, value: Any) -> None:
    """Replace a small JSON file in one step."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value))
    os.replace(part, path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a small JSON file, {} where there is none or it is damaged."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
