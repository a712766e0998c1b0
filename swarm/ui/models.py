"""Models in a terminal and as JSON: one model, a step of a lineage, a batch."""

from __future__ import annotations

from typing import Any

from swarm.keys import checksum
from swarm.models.index import Entry, Posted
from swarm.models.lineage import Lineage, Step
from swarm.models.model import Model
from swarm.models.standing import Standing

WHERE = {
    "base": "the state that its swarm began with",
    "circle": "comes out of itself: leaves of this row are false",
    "unknown": "a state of which neither the chain nor any list that is here knows where it came from",
}


def model(model: Model, standing: Standing, entry: Entry | None) -> dict[str, Any]:
    """All of one model."""
    value: dict[str, Any] = {
        "model": model.model.hex(),
        "kind": model.kind.name.lower(),
        "standing": standing.state.value,
        **({"why": standing.why} if standing.why else {}),
        "parent": model.parent.hex(),
        "recipe": model.recipe.hex(),
        "operator": checksum(model.operator),
        "training": model.training.hex(),
        "number": model.number,
        "proof": model.proof.hex(),
        **({"settled_in": "0x" + standing.tx.hex()} if standing.tx else {}),
    }
    if entry is None:
        return value | {"registered": "in no list that is here"}
    path = [node.hex() for node in entry.path]
    place = {"root": entry.batch.root.hex(), "place": entry.place, "of": entry.batch.count, "posted_in": "0x" + entry.batch.tx.hex()}
    return value | {"registered": place | {"path": path, "path_bytes": 32 * len(path), "holds": entry.holds}}


def batch(batch: Posted, why: str) -> dict[str, Any]:
    """A batch; `why` says why lists that are not here could not be had."""
    said = {"read": "here", "missing": f"unavailable: {why}", "refused": f"refused: {batch.why}"}[batch.state]
    place = {"root": batch.root.hex(), "models": batch.count, "block": batch.block, "transaction": "0x" + batch.tx.hex()}
    return place | {"list": said, "list_digest": batch.list.hex(), "poster": checksum(batch.poster)}


def step(step: Step) -> dict[str, Any]:
    """One training of a lineage."""
    return {
        "model": step.model.model.hex(),
        "kind": step.model.kind.name.lower(),
        "standing": step.standing.state.value,
        "why": step.standing.why,
        "operator": checksum(step.model.operator),
        "number": step.model.number,
        "root": step.entry.batch.root.hex() if step.entry else None,
    }


def line(found: Step) -> str:
    """The same in a line."""
    value = step(found)
    where = f"under {value['root'][:12]}" if value["root"] else "not registered"
    why = f" ({value['why']})" if value["why"] else ""
    return f"{value['model'][:16]}  {value['kind']} {value['number']:>5} by {value['operator'][:10]}  {value['standing']}{why}, {where}"


def end(found: Lineage) -> str:
    """Where a lineage ends."""
    return f"{found.state.hex()[:16]}  {WHERE[found.ends]}"


def lines(value: dict[str, Any]) -> list[str]:
    """A JSON object for people."""
    return [f"{name:<12} {_flat(each)}" for name, each in value.items()]


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(part)}" for key, part in value.items())
    return f"{len(value)} nodes" if isinstance(value, list) else str(value)
