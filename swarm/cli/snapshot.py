"""`swarm snapshot`: what everyone had done when an epoch was over, as a Merkle root that anyone computes alike."""

from __future__ import annotations

import json as codec
from pathlib import Path
from typing import Annotated, Any

import typer

from swarm.cli import options as o
from swarm.cli.audit import Invited
from swarm.cli.pioneer import Sender, Which, sender_of
from swarm.cli.score import Wait
from swarm.cli.stake import DryRun

FOLDER = "snapshots"
SHOWN = 8  # roots of others: anyone may post as many as they like
Post = Annotated[bool, typer.Option("--post", help="Put the root on the chain, where it is not there yet. Anyone may.")]


def snapshot(
    epoch: Annotated[int, typer.Argument(min=0, max=2**32 - 1, help="The last epoch that counts.")],
    post: Post = False,
    program: Which = "",
    identity: Sender = "",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    run_dir: o.RunDir = None,
    invite: Invited = None,
    wait: Wait = 15.0,
    dry_run: DryRun = False,
    json: o.Json = False,
) -> None:
    """Compute the snapshot of an epoch from the chain and public records, compare it with what others posted, and post it with --post.

    Example: `swarm snapshot 3 --post --dry-run`

    The list of operators, scores, units and tiers is kept in $SWARM_HOME/snapshots; `swarm claim` takes it from there.
    """
    from swarm import freeze, keystore, pioneer, runs, stake
    from swarm import snapshot as snapshots
    from swarm.calls import Call, Calls
    from swarm.cli import sending
    from swarm.cli.score import opened

    with opened(run_dir, invite, wait, json) as (book, archive, market):
        chain = book.swarm.chain
        chosen = pioneer.choose(pioneer.programs(chain, book.swarm.id), program)
        made = freeze.take(chain, book, chosen, epoch, archive.find, market)
        path = made.save(runs.home() / FOLDER)
        value = _value(made, snapshots.posted(chosen, epoch), chain.read("pioneer", "frozenTotal", chosen.id, epoch), path)
        done: dict[str, Any] | None = None
        if post and not value["posted"]:
            sender, folder = sender_of(identity)
            what = f"post the root of epoch {epoch} for program {chosen.id.hex()[:12]}"
            plan = Calls(chain, sender, [Call("pioneer", "post", (chosen.id, epoch, made.root, len(made.leaves), made.digest), what)])
            done = sending.carry_out(plan, lambda: stake.secret(folder, sender, keystore.passphrase(passphrase_file, ask_passphrase)), dry_run)
            value["posted"] = done["sent"]
    if json:
        typer.echo(codec.dumps(value | (done or {}), indent=1))
        return
    _print(value)
    if done:
        sending.tell(done)
    elif not value["posted"]:
        typer.echo("nobody has posted this root: `--post` does, and anyone may")


def _value(made: Any, events: list[Any], total: int, path: Path) -> dict[str, Any]:
    from swarm.keys import checksum
    from swarm.score import UNIT

    def row(leaf: Any) -> dict[str, Any]:
        share = leaf.units * 1_000_000 // total if total else 0
        return {"operator": checksum(leaf.operator), "score": leaf.score / UNIT, "units": leaf.units, "tier": leaf.tier, "share_ppm": share}

    others = [event for event in events if event.values["root"] != made.root]
    return {
        "program": made.program.hex(),
        "epoch": made.epoch,
        "root": made.root.hex(),
        "list": made.digest.hex(),
        "file": str(path),
        "units": total,
        "leaves": [row(leaf) for leaf in made.leaves],
        "posted": len(others) < len(events),
        "others": [{"root": event.values["root"].hex(), "poster": checksum(event.values["poster"])} for event in others],
    }


def _print(value: dict[str, Any]) -> None:
    said = "posted" if value["posted"] else "not posted"
    typer.echo(f"epoch {value['epoch']} of program {value['program'][:12]}: root {value['root']} ({said}), {value['units']:,} units in all")
    for leaf in sorted(value["leaves"], key=lambda leaf: -leaf["units"]):
        share = f"{leaf['units']:>14,} units  {leaf['share_ppm'] / 10_000:8.4f} %"
        typer.echo(f"  {leaf['operator']}  tier {leaf['tier']}  {share}  score {leaf['score']:,.3f}")
    typer.echo(f"the list is in {value['file']} (blake3 {value['list'][:16]})")
    for each in value["others"][:SHOWN]:
        typer.echo(f"ANOTHER root was posted by {each['poster']}: {each['root']}; it pays nobody what the chain does not say")
    if more := value["others"][SHOWN:]:
        typer.echo(f"and {len(more)} more")
