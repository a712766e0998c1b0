"""`swarm audit`: replay somebody's committed steps here, or derive their rollouts again; `swarm challenge`: dispute a finished audit."""

from __future__ import annotations

import json as codec
import shutil
import sys
from enum import IntEnum
from pathlib import Path
from typing import Annotated

import typer

from swarm import heartbeat, runs
from swarm.cli import options as o
from swarm.errors import InputError

PeerName = Annotated[str, typer.Argument(help="Two-word name, peer id or operator address, as `swarm leaderboard` shows them.")]
EpochNumber = Annotated[int, typer.Argument(min=0, help="Epoch, from 0.")]
Steps = Annotated[list[int] | None, typer.Option("--step", min=0, help="This step instead of the drawn ones; may be given more than once.")]
Rollouts = Annotated[bool, typer.Option("--rollouts", help="Only derive the steps' own rollouts again, from one pass: on any machine.")]
Invited = Annotated[str | None, typer.Option("--invite", envvar="SWARM_INVITE", help="The swarm's invite, where no run of it is on this machine.")]
Wait = Annotated[float, typer.Option(min=1, help="Seconds to wait for data.")]
Keep = Annotated[bool, typer.Option("--keep", help="Leave what was fetched and written in place.")]


class Exit(IntEnum):
    """Exit codes of `swarm audit`."""

    REPRODUCED = 0
    COULD_NOT = 1
    DISAGREED = 2


COUNTS = ("rollouts", "tokens", "near", "widest")  # of --rollouts
EXITS = "Exit codes: 0 reproduced, 1 could not audit (it says why), 2 disagreed (it says where)."


def audit(
    peer: PeerName,
    epoch: EpochNumber,
    step: Steps = None,
    rollouts: Rollouts = False,
    invite: Invited = None,
    wait: Wait = 120.0,
    keep: Keep = False,
    run_dir: o.RunDir = None,
    json: o.Json = False,
) -> None:
    """Fetch a peer's drawn steps of an epoch from the swarm, do them again here, and compare every bit.

    Example: `swarm audit keen-fox 3`

    Example: `swarm audit keen-fox 3 --step 2 --rollouts`

    With --rollouts it asks only whether every token follows from weights, question and seed, and names the first that does not. Outside
    the profile `canonical` a token that is nearly tied with another cannot be told: it is counted, and is no disagreement.

    Uses the run of this machine that is on, or any swarm with `--invite`. Nothing is staked and nothing is said to anyone.
    """
    from swarm import observer

    say = (lambda text: None) if json else (lambda text: typer.echo(text, err=not sys.stdout.isatty()))
    place = runs.home() / "audits" / f"{epoch}-{peer[:16]}"
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    chain, swarm, boot, rules, blob = _joined(invite) if invite else _own(run_dir)
    target = observer.find(observer.Swarm(chain, swarm), peer, epoch)
    say(f"epoch {epoch} of {target.name}: {target.header.steps} steps, root {target.header.root.hex()[:16]}..., loading the model and its tasks")
    try:
        with observer.opened(place, chain, swarm, boot, rules, blob, runs.home() / "cache", say) as opened:
            found = opened.audit(target, step, wait, "derive" if rollouts else "replay")
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)
    code = {"ok": Exit.REPRODUCED, "fault": Exit.DISAGREED}.get(found.verdict or "", Exit.COULD_NOT)
    if json:
        told = {key: found.told.get(key) for key in ("where", "what", "tensor", "cpu_s", *(COUNTS if rollouts else ()))}
        value = {"peer": target.name, "epoch": epoch, "steps": found.drawn, "verdict": found.verdict, "value": found.value.hex(), **told}
        typer.echo(codec.dumps(value | {"step": found.step if code == Exit.DISAGREED else None}, indent=1))
    else:
        well = "every rollout follows" if rollouts else "reproduced bit for bit"
        typer.echo({0: well, 1: "could not audit", 2: "DISAGREED"}[code] + _more(found))
    raise typer.Exit(int(code))


def challenge(peer: PeerName, epoch: EpochNumber, run_dir: o.RunDir = None, dry_run: o.DryRun = False) -> None:
    """Dispute the outcome of a finished audit: a jury looks again. Costs a bond from this machine's stake, lost where the jury agrees with it.
    Goes in two transactions, a block apart, so that nobody copies it.

    Example: `swarm challenge keen-fox 3 --dry-run`
    """
    from swarm import enrolment, observer
    from swarm.chain.values import amount
    from swarm.challenger import Challenger

    run = runs.latest(run_dir)
    chain, swarm = _own(run_dir)[:2]
    there = observer.Swarm(chain, swarm)
    target = observer.find(there, peer, epoch)
    state, bond = there.case(target.header.key, epoch), chain.read("court", "bondOf", swarm)
    typer.echo(f"epoch {epoch} of {target.name} is in phase {state.phase}; a challenge takes {amount(bond)} credits of this peer's stake as a bond")
    if dry_run:
        typer.echo("nothing was sent (--dry-run)")
        return
    from swarm.session import Session

    folder = run.peer(0)
    session = Session.load(folder / "session.bin")
    key = there.key(session.operator, session.peer)
    sent = Challenger(chain, key, enrolment.session_key(folder), folder).challenge(target.header, state.level)
    typer.echo(f"challenged in transaction {sent}")


def _more(found: object) -> str:
    told = found.told
    steps = ", ".join(map(str, found.drawn))
    if what := told.get("what"):
        return f": step {steps}: {what}"
    count = f", {told['rollouts']} rollouts of {told['tokens']} tokens" if "rollouts" in told else ""
    near = f"; {told['near']} tokens cannot be told, none by more than {told['widest']:.1g}" if told.get("near") else ""
    return f": step {steps}{count}, {told.get('cpu_s', 0):.1f} CPU-seconds{near}"


def _own(run_dir: Path | None) -> tuple:
    """Chain, swarm, addresses, recipe and its blob of a run of this machine that is on."""
    from swarm.chain import link
    from swarm.chain.client import Chain

    run = runs.latest(run_dir)
    rules = run.recipe()
    if rules.proof.profile == "none":
        raise InputError(f"the steps of the run in {run.folder} are not proved (proof.profile = none)", "there is nothing to audit")
    beats = [heartbeat.read(folder / heartbeat.FILE) for folder in run.peers]
    addresses = [address for beat in beats if beat is not None for address in beat.addresses]
    if not addresses:
        raise InputError(f"no peer of the run in {run.folder} is on", "somebody must serve the data: start the run again, or use --invite")
    return Chain(link.load(run.chain)), bytes.fromhex(run.info.swarm), addresses, rules, run.info.recipe_blob


def _joined(text: str) -> tuple:
    """The same of an invite; the recipe is fetched from members."""
    from swarm import invite
    from swarm.chain.client import Chain

    given = invite.parse(text)
    if given.chain is None:
        raise InputError("this invite names no chain: the steps of its swarm are not proved", "there is nothing to audit")
    chain = Chain(given.chain)
    chain.check()
    return chain, given.swarm, list(given.addresses), None, given.recipe_blob.hex()
