"""The session: all that a node process holds of an identity.

A fresh key that the operator key and the peer key both vouch for, for one swarm and a limited time. The supervisor mints
it (`Identity.session`) and saves it to a file; the process that parses foreign input loads that file and nothing else.
"""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from swarm import keys, keystore
from swarm.errors import IdentityError, Refused
from swarm.names import name_of
from swarm.records import Card, Delegation, delegation_of, read, signing_digest

FORMAT = "openswarm session 1"
_LOST = "start the node with `swarm up` or `swarm join`, which mint its session"


@dataclass(frozen=True)
class Session:
    """A session key with the word of the operator and of the peer. Satisfies `records.Signer`."""

    secret: bytes = field(repr=False)
    swarm: bytes  # 32
    peer: bytes  # 32
    delegation: Delegation
    card: bytes  # the signed Card as it travels
    peer_key_path: Path

    @property
    def operator(self) -> bytes:
        return self.delegation.operator

    @property
    def name(self) -> str:
        return name_of(self.operator, self.peer)

    @property
    def address(self) -> bytes:
        """The 20-byte address of the session key: what a Revocation names."""
        return keys.address_of(self.secret)

    def sign(self, payload: bytes) -> bytes:
        """65-byte signature over a record's payload."""
        return keys.sign_digest(self.secret, signing_digest(payload))

    def claim(self) -> AbstractContextManager[None]:
        """Hold the identity while the node runs. Raises IdentityError where another process runs it."""
        return keystore.claim(self.peer_key_path.parent)

    def save(self, path: Path) -> None:
        """Write to a file that only its owner can read."""
        value = {
            "format": FORMAT,
            "secret": self.secret.hex(),
            "swarm": self.swarm.hex(),
            "card": self.card.hex(),
            "peer_key": str(self.peer_key_path.resolve()),
        }
        keystore.write_private(path, json.dumps(value).encode())

    @classmethod
    def load(cls, path: Path, now: float | None = None) -> Session:
        """Read a saved session and check it as another peer would. Raises IdentityError: lost, corrupt, expired."""
        value = keystore.read_json(path, FORMAT, _LOST)
        try:
            secret, swarm, card = (bytes.fromhex(value[key]) for key in ("secret", "swarm", "card"))
            said = read(card, swarm, time.time() if now is None else now, kind=Card)
            session = cls(secret, swarm, said.peer, delegation_of(card), card, Path(value["peer_key"]))
            mine = said.origin is not None and said.origin.session == session.address
        except Refused as error:
            why = "has expired" if error.reason == "expired" else f"is damaged ({error.reason})"
            raise IdentityError(f"the session in {path} {why}", _LOST) from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise IdentityError(f"the session in {path} is damaged", _LOST) from None
        if not mine:
            raise IdentityError(f"the session in {path} is damaged: its card is of another one", _LOST)
        return session
