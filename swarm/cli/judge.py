"""`swarm judge`: a person's seat in the judge market of a running swarm. Screens without a verb, plain verbs for scripts."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli import options as o
from swarm.errors import ChainError, NetworkError, SwarmError

if TYPE_CHECKING:
    from judge.ballots import Ballots
    from judge.verbs import Done
    from swarm.market.voter import RoomCourt

DELIVER_S = 15.0

EXITS = "Exit codes: 0 done, 2 wrong use, 3 wrong phase, 4 no seat or a conflict, 5 nobody reached, 6 key locked, 7 salt missing."
app = typer.Typer(rich_markup_mode="markdown")

Market = Annotated[str, typer.Argument(help="A market's name, such as m-0412, or the beginning of its id.")]
MarketOrAll = Annotated[str, typer.Argument(help="A market's name; all that are due without it.")]
Sure = Annotated[int | None, typer.Option("--sure", min=0, max=100, help="How sure you are, in per cent.")]
Agree = Annotated[int, typer.Option("--agree", min=0, max=100, help="The share of the panel that will agree, in tens of per cent; 0 says nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without this you are told what it would cost.")]
Peer = Annotated[int, typer.Option("--peer", min=0, help="As whose operator, where the run has several peers; they count from 0.")]


@app.callback(invoke_without_command=True)
def judge(
    context: typer.Context,
    vote: Annotated[str, typer.Option("--vote", help="MARKET=CHOICE, as `swarm judge vote` takes it.")] = "",
    sure: Sure = None,
    agree: Agree = 0,
    yes: Yes = False,
    json: o.Json = False,
    plain: o.Plain = False,
    peer: Peer = 0,
    run_dir: o.RunDir = None,
) -> None:
    """Judge what no program can check: read, vote, reveal, dispute, be paid.

    Example: `swarm judge`

    Without a verb these are the screens; with `--plain` or `--json` the list, with `--vote` a vote.

    Needs a running swarm whose recipe has a judge market. Votes are kept in $SWARM_HOME/votes and revealed by your node too.
    """
    if context.invoked_subcommand is not None:
        return
    from judge import verbs

    if vote:
        _do(lambda court, ballots: verbs.vote(court, ballots, vote, sure, agree, yes), peer, run_dir, json)
    elif json or plain:
        _do(lambda court, ballots: verbs.list_(court), peer, run_dir, json)
    else:
        _screens(peer, run_dir)


@app.command("list", epilog=EXITS)
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Settled ones that owe you nothing, too.")] = False,
    peer: Peer = 0,
    run_dir: o.RunDir = None,
    json: o.Json = False,
) -> None:
    """The markets that run, or that owe you something.

    Example: `swarm judge list --json`
    """
    from judge import verbs

    _do(lambda court, ballots: verbs.list_(court, everything), peer, run_dir, json)


@app.command(epilog=EXITS)
def show(market: Market, peer: Peer = 0, run_dir: o.RunDir = None, json: o.Json = False) -> None:
    """One market: its question, the answers with your numbers for them, the evidence.

    Example: `swarm judge show m-0412`
    """
    from judge import verbs

    _do(lambda court, ballots: verbs.show(court, market), peer, run_dir, json)


@app.command(epilog=EXITS)
def vote(
    what: Annotated[str, typer.Argument(help="MARKET=CHOICE: a number that `show` prints, `abstain` or `invalid`.")],
    sure: Sure = None,
    agree: Agree = 0,
    note: Annotated[str, typer.Option("--note", help="A note that stays on this machine.")] = "",
    yes: Yes = False,
    peer: Peer = 0,
    run_dir: o.RunDir = None,
    json: o.Json = False,
) -> None:
    """Sign a vote and commit to it. Its salt is on disk before anything is sent.

    Example: `swarm judge vote m-0412=3 --sure 80 --yes`
    """
    from judge import verbs

    _do(lambda court, ballots: verbs.vote(court, ballots, what, sure, agree, yes, note), peer, run_dir, json)


@app.command(epilog=EXITS)
def reveal(
    market: MarketOrAll = "",
    salt_file: Annotated[Path | None, typer.Option("--salt-file", help="A copy of the vote's file, from where you voted.")] = None,
    peer: Peer = 0,
    run_dir: o.RunDir = None,
    json: o.Json = False,
) -> None:
    """Reveal a vote, or all that are due. Your node does it too while it is on.

    Example: `swarm judge reveal`
    """
    from judge import verbs

    _do(lambda court, ballots: verbs.reveal(court, ballots, market, salt_file), peer, run_dir, json)


@app.command(epilog=EXITS)
def dispute(
    market: Market,
    claim: Annotated[str, typer.Option("--claim", help="What is right instead: a number that `show` prints, or `invalid`.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in at most 280 characters. Its hash is public.")],
    yes: Yes = False,
    peer: Peer = 0,
    run_dir: o.RunDir = None,
    json: o.Json = False,
) -> None:
    """Put up a bond against a verdict: lost if the next, larger panel agrees with it.

    Example: `swarm judge dispute m-0410 --claim 2 --reason "step 3 divides by zero" --yes`
    """
    from judge import verbs

    _do(lambda court, ballots: verbs.dispute(court, market, claim, reason, yes), peer, run_dir, json)


@app.command(epilog=EXITS)
def claim(market: MarketOrAll = "", peer: Peer = 0, run_dir: o.RunDir = None, json: o.Json = False) -> None:
    """Take what settled markets owe you.

    Example: `swarm judge claim`
    """
    from judge import verbs

    _do(lambda court, ballots: verbs.claim(court, market), peer, run_dir, json)


@app.command(epilog=EXITS)
def record(peer: Peer = 0, run_dir: o.RunDir = None, json: o.Json = False) -> None:
    """Your epoch as a judge: seats, fees, what was slashed, how well you knew.

    Example: `swarm judge record`
    """
    from judge import verbs

    _do(lambda court, ballots: verbs.record(court), peer, run_dir, json)


# ---- inside


def _do(verb: Callable[[RoomCourt, Ballots], Done], peer: int, run_dir: Path | None, json: bool) -> None:
    """Open the court, do one verb, see that what it said gets away, and exit with its code."""
    from judge import verbs
    from judge.ballots import Ballots
    from swarm import voting

    with _opened(peer, run_dir, json) as court:
        done = verb(court, Ballots(voting.votes()))
        left, refused = court.undelivered(DELIVER_S if done.code == verbs.OK else 0.0), court.refusals()
        if done.code == verbs.OK and (left or refused):
            done = verbs.Done(verbs.OFFLINE if left else verbs.PHASE, f"{done.text}\njudge: {'; '.join(refused or left)}", done.value)
    typer.echo(verbs.said(done, json), err=done.code != verbs.OK and not json)
    raise typer.Exit(done.code)


def _screens(peer: int, run_dir: Path | None) -> None:
    from judge import verbs

    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        typer.echo(verbs.NO_TERMINAL, err=True)
        raise typer.Exit(verbs.USAGE)
    from judge.tui import app as screens
    from swarm import voting

    with _opened(peer, run_dir, quiet=False) as court:
        code = screens.run(lambda: court, voting.votes())
        left = court.undelivered(DELIVER_S)
    for sentence in left:
        typer.echo(f"judge: not sent: {sentence}", err=True)
    raise typer.Exit(code)


@contextlib.contextmanager
def _opened(peer: int, run_dir: Path | None, quiet: bool) -> Iterator[RoomCourt]:
    """The court of the newest run, or of `run_dir`. Nobody to reach, or no chain, is exit code 5 here."""
    from judge import verbs
    from swarm import runs, voting

    say = (lambda text: None) if quiet else (lambda text: typer.echo(text, err=True))
    voter = voting.of_run(runs.latest(run_dir), peer)
    say("joining the swarm as a judge (about 10 s)")
    try:
        with voting.opened(voter, say) as court:
            yield court
    except (ChainError, NetworkError) as error:
        raise _Unreached(verbs.OFFLINE, error) from None


class _Unreached(SwarmError):
    """What `swarm judge` ends with where nobody answers."""

    def __init__(self, code: int, error: SwarmError):
        super().__init__(str(error), error.hint or "is the run still on? `swarm status` says so")
        self.exit_code = code
