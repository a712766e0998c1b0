"""What a node does for a job of the compute market: its solver's or verifier's side, put together from the opened parts of the node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from swarm import enrolment
from swarm.taking import refused

if TYPE_CHECKING:
    from swarm.jobs.solve import Solving, State
    from swarm.jobs.verify import Verifying
    from swarm.node import Node
    from swarm.proving import Proving
    from swarm.session import Session
    from swarm.settings import NodeSettings


def open_job(folder: Path, chosen: NodeSettings, proving: Proving, node: Node, session: Session) -> Solving | Verifying | None:
    """The side that the settings name, which the duties bring on from now on; None outside a job's swarm."""
    from swarm.jobs.solve import Solving
    from swarm.jobs.verify import Verifying

    if chosen.job is None:
        return None
    duties, desk, network = proving.duties, proving.desk, node.network
    until = float("inf") if chosen.job.until is None else chosen.job.until
    member = (duties.chain, duties.swarm, duties.key)
    if chosen.job.role == "solver":
        start, why = lambda: _start(chosen, node), lambda: refused(folder)
        around = (duties.schedule, duties.recorder, desk, network, duties.send, lambda: duties.outbox.waiting, start, desk.state_bytes, duties.say)
        found = Solving(*member, *around, until, why)
    else:
        around = (session.operator, duties.recorder, network, node.stages.policy, duties.send, desk.state_bytes, duties.clock.now, duties.say)
        found = Verifying(*member, *around, node.recipe, enrolment.session_key(folder), until)
    duties.take_on(found.bring_on)
    return found


def _start(chosen: NodeSettings, node: Node) -> State:
    """The swarm's first state, made again from the recipe's model."""
    from swarm.learn import state
    from swarm.policy import model

    policy = model.load(node.recipe, chosen.cache, chosen.torch_device(node.recipe), foreign=not chosen.trusted)
    return state.tensors_of(policy.model, None), {"round": 0, "steps": 0}
