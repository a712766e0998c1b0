"""`swarm judge`: a person's seat in the judge market of a running swarm. Screens without a verb, plain verbs for scripts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from swarm.cli import court as c
from swarm.cli import options as o
from swarm.cli.opening import open_
from swarm.cli.serve import serve

EXITS = "Exit codes: 0 done, 2 wrong use, 3 wrong phase, 4 no seat or a conflict, 5 nobody reached, 6 key locked, 7 salt missing."
app = typer.Typer(rich_markup_mode="markdown")

Market = Annotated[str, typer.Argument(help="A market's name, such as m-0412, or the beginning of its id.")]
MarketOrAll = Annotated[str, typer.Argument(help="A market's name; all that are due without it.")]
Sure = Annotated[int | None, typer.Option("--sure", min=0, max=100, help="How sure you are, in per cent.")]
Agree = Annotated[int, typer.Option("--agree", min=0, max=100, help="The share of the panel that will agree, in tens of per cent; 0 says nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without this you are told what it would cost.")]


@app.callback(invoke_without_command=True)
def judge(
    context: typer.Context,
    vote: Annotated[str, typer.Option("--vote", help="MARKET=CHOICE, as `swarm judge vote` takes it.")] = "",
    sure: Sure = None,
    agree: Agree = 0,
    yes: Yes = False,
    json: o.Json = False,
    plain: o.Plain = False,
    peer: c.Peer = 0,
    run_dir: o.RunDir = None,
    invite: c.Invited = "",
    identity: c.Name = "",
    passphrase_file: c.Passphrase = None,
    ask: c.Ask = False,
    unencrypted: c.Unencrypted = False,
    recipe: c.RecipeFile = None,
    code: c.AllowCode = None,
    files: c.Files = None,
    hub: c.AllowHub = False,
    rpc: c.Rpc = None,
    unaudited: c.Unaudited = False,
) -> None:
    """Judge what no program can check: read, vote, reveal, dispute, be paid.

    Example: `swarm judge`, on the machine of a run that is on

    Example: `swarm judge --invite os1_k5HE...`, anywhere, without a node; the next time `swarm judge` is enough

    Without a verb these are the screens; with `--plain` or `--json` the list, with `--vote` a vote.

    Needs a swarm whose recipe has a judge market. Votes are kept in $SWARM_HOME/votes and opened by your node too; without a node leave the
    screens open until then, or run `swarm judge reveal`.
    """
    said = c.first(identity, passphrase_file, ask, unencrypted, recipe, code, files, hub, rpc, unaudited)
    context.obj = place = c.Where(peer, run_dir, invite, said)
    if context.invoked_subcommand is not None:
        return
    from judge import verbs

    if vote:
        c.do(lambda court, ballots: verbs.vote(court, ballots, vote, sure, agree, yes), place, json)
    elif json or plain:
        c.do(lambda court, ballots: verbs.list_(court), place, json)
    else:
        _screens(place)


@app.command("list", epilog=EXITS)
def list_(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Settled ones that owe you nothing, too.")] = False,
    peer: c.Peer = 0,
    run_dir: o.RunDir = None,
    invite: c.Invited = "",
    json: o.Json = False,
) -> None:
    """The markets that run, or that owe you something.

    Example: `swarm judge list --json`
    """
    from judge import verbs

    c.do(lambda court, ballots: verbs.list_(court, everything), c.where(context, peer, run_dir, invite), json)


@app.command(epilog=EXITS)
def show(context: typer.Context, market: Market, peer: c.Peer = 0, run_dir: o.RunDir = None, invite: c.Invited = "", json: o.Json = False) -> None:
    """One market: its question, the answers with your numbers for them, the evidence.

    Example: `swarm judge show m-0412`
    """
    from judge import verbs

    c.do(lambda court, ballots: verbs.show(court, market), c.where(context, peer, run_dir, invite), json)


@app.command(epilog=EXITS)
def vote(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="MARKET=CHOICE: a number that `show` prints, `abstain` or `invalid`.")],
    sure: Sure = None,
    agree: Agree = 0,
    note: Annotated[str, typer.Option("--note", help="A note that stays on this machine.")] = "",
    yes: Yes = False,
    peer: c.Peer = 0,
    run_dir: o.RunDir = None,
    invite: c.Invited = "",
    json: o.Json = False,
) -> None:
    """Sign a vote and commit to it. Its salt is on disk before anything is sent.

    Example: `swarm judge vote m-0412=3 --sure 80 --yes`
    """
    from judge import verbs

    c.do(lambda court, ballots: verbs.vote(court, ballots, what, sure, agree, yes, note), c.where(context, peer, run_dir, invite), json)


@app.command(epilog=EXITS)
def reveal(
    context: typer.Context,
    market: MarketOrAll = "",
    salt_file: Annotated[Path | None, typer.Option("--salt-file", help="A copy of the vote's file, from where you voted.")] = None,
    peer: c.Peer = 0,
    run_dir: o.RunDir = None,
    invite: c.Invited = "",
    json: o.Json = False,
) -> None:
    """Reveal a vote, or all that are due. Your node does it too while it is on.

    Example: `swarm judge reveal`
    """
    from judge import verbs

    c.do(lambda court, ballots: verbs.reveal(court, ballots, market, salt_file), c.where(context, peer, run_dir, invite), json)


@app.command(epilog=EXITS)
def dispute(
    context: typer.Context,
    market: Market,
    claim: Annotated[str, typer.Option("--claim", help="What is right instead: a number that `show` prints, or `invalid`.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in at most 280 characters. Its hash is public.")],
    yes: Yes = False,
    peer: c.Peer = 0,
    run_dir: o.RunDir = None,
    invite: c.Invited = "",
    json: o.Json = False,
) -> None:
    """Put up a bond against a verdict: lost if the next, larger panel agrees with it.

    Example: `swarm judge dispute m-0410 --claim 2 --reason "step 3 divides by zero" --yes`
    """
    from judge import verbs

    c.do(lambda court, ballots: verbs.dispute(court, market, claim, reason, yes), c.where(context, peer, run_dir, invite), json)


@app.command(epilog=EXITS)
def claim(
    context: typer.Context, market: MarketOrAll = "", peer: c.Peer = 0, run_dir: o.RunDir = None, invite: c.Invited = "", json: o.Json = False
) -> None:
    """Take what settled markets owe you.

    Example: `swarm judge claim`
    """
    from judge import verbs

    c.do(lambda court, ballots: verbs.claim(court, market), c.where(context, peer, run_dir, invite), json)


@app.command(epilog=EXITS)
def record(context: typer.Context, peer: c.Peer = 0, run_dir: o.RunDir = None, invite: c.Invited = "", json: o.Json = False) -> None:
    """Your epoch as a judge: seats, fees, what was slashed, how well you knew.

    Example: `swarm judge record`
    """
    from judge import verbs

    c.do(lambda court, ballots: verbs.record(court), c.where(context, peer, run_dir, invite), json)


app.command("open", epilog=EXITS)(open_)
app.command("serve", epilog=EXITS)(serve)


# ---- inside


def _screens(place: c.Where) -> None:
    from judge import verbs

    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        typer.echo(verbs.NO_TERMINAL, err=True)
        raise typer.Exit(verbs.USAGE)
    from judge.tui import app as screens
    from swarm import voting

    with c.opened(place, quiet=False) as court:
        code = screens.run(lambda: court, voting.votes())
        left = court.undelivered(c.DELIVER_S)
    for sentence in left:
        typer.echo(f"judge: not sent: {sentence}", err=True)
    raise typer.Exit(code)
