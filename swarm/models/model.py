"""A model's leaf: what a training ended with, as `IModelRegistry.Model` has it.

Its digest is keccak256 over the ABI encoding, eight words; in a list it is a row of ROW bytes, the same fields without padding.
"""

from __future__ import annotations

from dataclasses import dataclass

from swarm.chain.values import Kind
from swarm.errors import Refused
from swarm.keys import keccak

ROW = 185
_PAD = bytes(31)


@dataclass(frozen=True)
class Model:
    """One trained model. Digests, roots and keys are 32 bytes.

    Of an epoch `model` and `parent` are the state roots after and before it, `training` is the member's key, `number` the epoch and `proof`
    the root over its step records. Of a job `model` is the digest that its delivery names, `parent` the state root that the job began with,
    `training` the job's id, `number` the part, and `proof` the state root that its last accepted epoch ended with.
    """

    kind: Kind
    model: bytes
    parent: bytes
    recipe: bytes  # hash
    operator: bytes  # 20 bytes
    training: bytes
    number: int
    proof: bytes

    def encoded(self) -> bytes:
        """The ABI encoding, 256 bytes."""
        head = _PAD + bytes([self.kind]) + self.model + self.parent + self.recipe + _PAD[:12] + self.operator
        return head + self.training + self.number.to_bytes(32, "big") + self.proof

    @property
    def digest(self) -> bytes:
        """32 bytes, under which the model stands in its batch's tree."""
        return keccak(self.encoded())

    def row(self) -> bytes:
        """The fields one after the other, ROW bytes."""
        head = bytes([self.kind]) + self.model + self.parent + self.recipe + self.operator
        return head + self.training + self.number.to_bytes(4, "big") + self.proof


def digest_of_row(row: bytes) -> bytes:
    """The digest of the model in a row, without taking it apart."""
    return keccak(_PAD, row[:97], _PAD[:12], row[97:149], _PAD[:28], row[149:])


def of_row(row: bytes) -> Model:
    """The model in a row of anyone. Raises Refused("malformed")."""
    if len(row) != ROW or row[0] > max(Kind):
        raise Refused("malformed", "a row of a list of models has another form")
    return Model(
        Kind(row[0]), row[1:33], row[33:65], row[65:97], row[97:117], row[117:149], int.from_bytes(row[149:153], "big"), row[153:185]
    )  # fmt: skip


def of_fields(values: object) -> Model:
    """A model as the contract's events and views give it (a namespace)."""
    found = vars(values)
    return Model(Kind(found["kind"]), *(found[name] for name in ("model", "parent", "recipe", "operator", "training", "number", "proof")))
