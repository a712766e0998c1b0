"""The `swarm` command: thin typer commands over `launch`, `supervisor`, `doctor` and `ui`.

Start with `swarm --help`. Nothing here imports PyTorch or hivemind; only `swarm node` (which `up` and `join` start as a
child process) does. Exit codes are those of `swarm.errors`.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import swarm
from swarm import errors, runs
from swarm.cli import (
    audit,
    canonical,
    chain,
    deposit,
    dispute,
    distribution,
    doctor,
    earn,
    evaluate,
    fetch,
    identity,
    invite,
    job,
    join,
    judge,
    model,
    node,
    pause,
    pioneer,
    recipes,
    score,
    snapshot,
    solving,
    stake,
    status,
    submission,
    up,
    web,
    whistle,
)

EXIT_CODES = "Exit codes: 0 done, 1 a bug, 2 bad input, 3 identity, 4 network, 5 resources, 6 damaged state, 7 refused as hostile, 130 interrupted."

app = typer.Typer(
    name="swarm",
    help="Train a language model together with strangers, by reinforcement learning.\n\nExample: `swarm up local --peers 3`",
    epilog=EXIT_CODES,
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up", epilog=EXIT_CODES)(up.up)
app.command("join", epilog=EXIT_CODES)(join.join)
app.command("invite", epilog=EXIT_CODES)(invite.invite)
app.command("status", epilog=EXIT_CODES)(status.status)
app.command("score", epilog=EXIT_CODES)(score.score)
app.command("explain", epilog=EXIT_CODES)(score.explain)
app.command("leaderboard", epilog=EXIT_CODES)(score.leaderboard)
app.command("web", epilog=EXIT_CODES)(web.web)
app.command("doctor", epilog=EXIT_CODES)(doctor.doctor)
app.command("eval", epilog=EXIT_CODES)(evaluate.evaluate)
app.command("audit", epilog=audit.EXITS)(audit.audit)
app.command("challenge", epilog=EXIT_CODES)(audit.challenge)
app.command("pause", epilog=EXIT_CODES)(pause.pause)
app.command("resume", epilog=EXIT_CODES)(pause.resume)
app.add_typer(dispute.app, name="dispute", epilog=EXIT_CODES)
app.add_typer(recipes.app, name="recipes", epilog=EXIT_CODES)
app.add_typer(identity.app, name="identity", epilog=EXIT_CODES)
app.add_typer(chain.app, name="chain", epilog=EXIT_CODES)
stake.app.add_typer(deposit.app, name="judge", epilog=EXIT_CODES)
app.add_typer(stake.app, name="stake", epilog=EXIT_CODES)
app.add_typer(judge.app, name="judge", epilog=judge.EXITS)
job.app.command("submit", epilog=EXIT_CODES)(submission.submit)
job.app.command("fetch", epilog=EXIT_CODES)(fetch.fetch)
job.app.command("challenge", epilog=EXIT_CODES)(whistle.challenge)
app.command("earn", epilog=EXIT_CODES)(earn.earn)
job.app.command("solve", epilog=EXIT_CODES)(solving.solve)
job.app.command("verify", epilog=EXIT_CODES)(solving.verify)
job.app.command("quit", epilog=EXIT_CODES)(solving.quit_)
app.add_typer(job.app, name="job", epilog=EXIT_CODES)
app.add_typer(pioneer.app, name="pioneer", epilog=EXIT_CODES)
app.command("snapshot", epilog=EXIT_CODES)(snapshot.snapshot)
app.command("claim", epilog=EXIT_CODES)(distribution.claim)
app.add_typer(distribution.app, name="distribution", epilog=EXIT_CODES)
app.add_typer(model.app, name="model", epilog=EXIT_CODES)
app.add_typer(canonical.app, name="canonical", epilog=EXIT_CODES)
app.command("node", hidden=True)(node.node)
app.command("fetch", hidden=True)(node.fetch)
app.command("measure", hidden=True)(node.measure)
app.command("replayer", hidden=True)(node.replayer)
app.command("seeder", hidden=True)(node.seeder)
app.command("finish", hidden=True)(node.finish)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"openswarm {swarm.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        up.up()


def main() -> None:
    """Entry point: runs a command inside the one error boundary. Libraries keep their files below $SWARM_HOME as well."""
    for variable, folder in (("HF_HOME", "huggingface"), ("MPLCONFIGDIR", "matplotlib")):
        os.environ.setdefault(variable, str(runs.home() / "cache" / folder))
    with errors.boundary():
        app(args=sys.argv[1:], prog_name="swarm")
