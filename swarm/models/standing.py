"""Where a model stands, in a word and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from swarm.models.model import Model


class State(StrEnum):
    """Whether a model counts as trained."""

    TRAINED = "trained"  # its proof closed clean
    OPEN = "open"  # it has not closed yet
    LOST = "lost"  # it closed otherwise
    FALSE = "false"  # the chain's records say otherwise, or nothing at all


@dataclass(frozen=True)
class Standing:
    """State, why where it is not trained, and the transaction (32 bytes) that last said something about the training, as far as it is known."""

    state: State
    why: str = ""
    tx: bytes = b""


def compared(model: Model, true: Model, standing: Standing) -> Standing:
    """Where a leaf of anyone stands, beside the leaf that the chain's records make of the same training."""
    wrong = [name for name, value in vars(true).items() if value != getattr(model, name)]
    if not wrong:
        return standing
    return Standing(State.FALSE, f"the chain's record of this training has another {', another '.join(wrong)}", standing.tx)
