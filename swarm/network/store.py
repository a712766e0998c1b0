"""Own blobs on disk, named by their BLAKE3, so that a restart forgets nothing that was announced.

Only what this peer made is stored; what others made is handed to the node and not kept here.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from blake3 import blake3


def digest_of(data: bytes) -> bytes:
    """32 bytes: the BLAKE3-256 by which a blob is announced and asked for."""
    return blake3(data).digest()


class BlobStore:
    """A folder of blobs with a byte limit; the oldest that nobody pinned go first. Safe to use from any thread."""

    def __init__(self, folder: Path, limit: int):
        self.folder, self._limit = folder, limit
        self._lock = threading.Lock()
        self._pinned: set[bytes] = set()
        self._kept: set[bytes] = set()
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob("*.part"):  # of a write that was cut short
            leftover.unlink(missing_ok=True)
        files = sorted(self._files(), key=lambda path: path.stat().st_mtime)
        self._sizes = {bytes.fromhex(path.name): path.stat().st_size for path in files}  # oldest first

    def put(self, data: bytes) -> bytes:
        """Store `data` whole or not at all and return its digest. Raises OSError where the disk is full."""
        digest = digest_of(data)
        path = self._path(digest)
        part = path.with_suffix(f".{threading.get_ident()}.part")
        try:
            with open(part, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        with self._lock:
            self._sizes.pop(digest, None)
            self._sizes[digest] = len(data)
            self._trim(digest)
        return digest

    def get(self, digest: bytes) -> bytes | None:
        """The blob of this digest, or None where it is not here or its file was damaged (then it is removed)."""
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError:
            return None
        if digest_of(data) == digest:
            return data
        with self._lock:
            self._forget(digest)
        return None

    def pin(self, digests: set[bytes]) -> None:
        """These are kept whatever the limit, and what was pinned before no longer is."""
        with self._lock:
            self._pinned = set(digests)

    def keep(self, digest: bytes) -> None:
        """Keep this one for as long as the process runs."""
        with self._lock:
            self._kept.add(digest)

    def release(self, digests: set[bytes]) -> None:
        """Take back `keep`: these go once the limit is reached, unless they are pinned."""
        with self._lock:
            self._kept -= digests

    def drop(self, digest: bytes) -> None:
        """Remove a blob that nothing pins or keeps."""
        with self._lock:
            if digest not in self._pinned | self._kept:
                self._forget(digest)

    def has(self, digest: bytes) -> bool:
        """Whether the blob is here (its content is checked when it is read)."""
        return digest in self._sizes

    def size(self, digest: bytes) -> int:
        """Bytes of a blob, 0 where it is not here."""
        return self._sizes.get(digest, 0)

    def _trim(self, newest: bytes) -> None:
        kept = self._pinned | self._kept | {newest}
        total = sum(self._sizes.values())
        for digest in [digest for digest in self._sizes if digest not in kept]:
            if total <= self._limit:
                return
            total -= self._sizes[digest]
            self._forget(digest)

    def _forget(self, digest: bytes) -> None:
        self._sizes.pop(digest, None)
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: bytes) -> Path:
        return self.folder / digest.hex()

    def _files(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if len(path.name) == 64 and not path.name.strip("0123456789abcdef")]
