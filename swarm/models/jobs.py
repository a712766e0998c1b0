"""What the market says of jobs: the leaf that a delivery makes, and whether it counts as trained.

A job's part is an unbroken chain of epochs that closed clean, which is what the market accepts; its delivery counts once the seeders, or the
submitter, have said that the file holds the last accepted state. The market keeps both for ever, so its views are asked each time.
"""

from __future__ import annotations

from swarm.chain.client import Chain
from swarm.chain.values import JobPhase, Kind
from swarm.models.model import Model
from swarm.models.standing import Standing, State, compared

MOST_PARTS = 256


class Jobs:
    """The jobs of a chain's market."""

    def __init__(self, chain: Chain):
        self._chain = chain

    def standing(self, model: Model) -> Standing:
        """Where a leaf of anyone stands that says it is a job's. Raises ChainError."""
        found = self.of_part(model.training, model.number) if model.number < MOST_PARTS else None
        if found is None:
            return Standing(State.FALSE, "the market of this chain has no such job, or nothing was delivered for this part of it")
        return compared(model, *found)

    def of_part(self, job: bytes, part: int) -> tuple[Model, Standing] | None:
        """The leaf that a part's newest delivery makes; None where there is none. Raises ChainError."""
        phase = JobPhase(self._chain.read("market", "phaseOf", job))
        delivered = self._chain.read("delivery", "deliveryOf", job, part)
        if phase == JobPhase.UNKNOWN or delivered.model == bytes(32):
            return None
        done, swarm = self._chain.read("market", "partOf", job, part), self._chain.read("registry", "swarmOf", job)
        model = Model(Kind.JOB, delivered.model, swarm.base, swarm.recipe, done.operator, job, part, done.root)
        if self._chain.read("delivery", "isDelivered", job, part):
            return model, Standing(State.TRAINED)
        if phase == JobPhase.SETTLED:
            return model, Standing(State.LOST, "its seeders did not say that the delivered file holds the accepted state")
        return model, Standing(State.OPEN, "its seeders have not said yet that the delivered file holds the accepted state")

    def parts(self, job: bytes) -> int:
        """How many parts a job has; 0 where this is none."""
        return self._chain.read("market", "offerOf", job).parts if self._chain.read("market", "phaseOf", job) else 0
