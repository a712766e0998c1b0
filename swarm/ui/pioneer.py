"""Programs and standings as JSON values and as text."""

from __future__ import annotations

from typing import Any

from swarm import keys, pioneer
from swarm.chain.abi import Event, jsonable
from swarm.chain.client import Chain
from swarm.names import plain
from swarm.pioneer import Program, Record
from swarm.times import span

DECISIONS = ("Proposed", "Decided", "Appealed", "Admitted")


def program(found: Program, standings: list[dict[str, Any]]) -> dict[str, Any]:
    """A program with everyone in it."""
    return {
        "program": found.id.hex(),
        "swarm": found.swarm.hex(),
        "creator": keys.checksum(found.creator),
        "council": keys.checksum(found.council) if found.has_council else None,
        "delay_s": found.delay,
        "answer_s": found.answer,
        "text": found.text.hex(),
        "tiers": [jsonable(bar) for bar in found.bars],
        "pioneers": standings,
    }


def standing(chain: Chain, found: Program, operator: bytes) -> dict[str, Any]:
    """Where an applicant stands, with every decision about it."""
    now = chain.read("pioneer", "pioneerOf", found.id, operator)
    return {
        "operator": keys.checksum(operator),
        "tier": now.tier,
        "applications": now.applications,
        "statement": now.statement.hex(),
        "endorsed": now.endorsed,
        "decision_due": now.due or None,
        "appeal_until": now.answerBy or None,
        "history": [_event(event) for event in found.of(operator) if event.name in DECISIONS],
    }


def status(chain: Chain, found: Program, operator: bytes, has: Record) -> dict[str, Any]:
    """Where an operator stands, what is verified of it, and what the next tier takes."""
    value = standing(chain, found, operator)
    tier = value["tier"]
    lacks = pioneer.missing(found.bars[tier], has, value["endorsed"], tier + 1) if tier < len(found.bars) else []
    record = {"peers": len(has.keys), "units": has.units, "clean_epochs": has.epochs, "right_verdicts": len(has.duties)}
    head = {"program": found.id.hex(), "chain_time": chain.head().time}
    return head | value | {"record": record, "tiers": len(found.bars), "next": lacks, "next_step": _step(value, lacks, len(found.bars))}


def program_text(value: dict[str, Any]) -> str:
    council = "no council: the contract decides"
    if value["council"]:
        council = f"council {value['council']} (its word counts after {span(value['delay_s'])})"
    lines = [f"program {value['program'][:12]} of swarm {value['swarm'][:8]}: {council}"]
    for index, bar in enumerate(value["tiers"], 1):
        judged = ", and the council's word" if bar["judged"] else ""
        asked = f"{bar['units']:,} verified units, {bar['epochs']} clean epochs, {bar['verdicts']} right verdicts{judged}"
        lines.append(f"  tier {index}: {asked}")
    for each in value["pioneers"]:
        lines.append(f"  {each['operator']}  " + (f"tier {each['tier']}" if each["tier"] else "applied"))
        lines += [f"    {_said(event)}" for event in each["history"]]
    return "\n".join(lines if value["pioneers"] else [*lines, "  nobody has applied yet"])


def status_text(value: dict[str, Any]) -> str:
    has, now = value["record"], value["chain_time"]
    rows = {
        "tier": f"{value['tier']} of {value['tiers']}" + ("" if value["applications"] else " (has not applied)"),
        "verified": f"{has['units']:,} units, {has['clean_epochs']} clean epochs, {has['right_verdicts']} right verdicts, by {has['peers']} peers",
    }
    if value["next"]:
        rows["next tier takes"] = "; ".join(value["next"])
    if value["decision_due"]:
        rows["decision"] = f"counts in {span(max(0, value['decision_due'] - now))}"
    if value["appeal_until"]:
        rows["appeal"] = f"to be answered in {span(max(0, value['appeal_until'] - now))}"
    rows["next"] = value["next_step"]
    head = f"{value['operator']} in program {value['program'][:12]}"
    return "\n".join([head, *(f"  {name:<17}{said}" for name, said in rows.items()), *(f"    {_said(event)}" for event in value["history"])])


def _step(value: dict[str, Any], lacks: list[str], tiers: int) -> str:
    if not value["applications"]:
        return "`swarm pioneer apply`"
    if value["tier"] == tiers:
        return "nothing: there is no higher tier"
    return "work on" if lacks else "`swarm pioneer admit`"


def _event(event: Event) -> dict[str, Any]:
    said = {name: jsonable(each) for name, each in event.values.items() if name not in ("program", "operator")}
    if "code" in event.values:
        said["code"] = plain(event.values["code"].rstrip(b"\0").decode("ascii", "replace"), 32)
    return {"event": event.name.lower(), **said, "transaction": "0x" + event.tx.hex()}


def _said(event: dict[str, Any]) -> str:
    what = {
        "proposed": "the council is to speak for tier {tier}: {code}",
        "decided": "the council's word: tier {tier}: {code}",
        "appealed": "appealed",
        "admitted": "admitted to tier {tier}: {code}",
    }[event["event"]]
    return what.format_map(event) + f" ({event['transaction']})"
