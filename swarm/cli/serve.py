"""`swarm judge serve`: a voter that stays connected and lets a program judge."""

from __future__ import annotations

import contextlib
import json as codec
import shutil
import time
from typing import Annotated

import typer

from swarm.cli import court as c
from swarm.cli import options as o

PAUSE_S = 0.25

Program = Annotated[list[str], typer.Argument(help="The program and its arguments, after --.")]
Once = Annotated[bool, typer.Option("--once", help="Vote, open and claim what is due now, and end.")]
Seconds = Annotated[float, typer.Option("--for", min=0, help="End after so many seconds; 0 goes on until Ctrl-C.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, max=3600, help="Seconds that one run of the program may take.")]


def serve(
    context: typer.Context,
    program: Program,
    once: Once = False,
    seconds: Seconds = 0,
    timeout: Timeout = 60,
    peer: c.Peer = 0,
    run_dir: o.RunDir = None,
    invite: c.Invited = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line for everything that happens.")] = False,
) -> None:
    """Let a program judge: it stays connected, votes in every market where you have a seat, opens its votes, claims what they earn.

    Example: `swarm judge serve --invite os1_k5HE... -- python my_judge.py`

    The program runs once for each seat. It gets one JSON object on stdin: market, kind, level, question, answers (numbered in the order shuffled
    for you), evidence, deadline. It says one on stdout: `{"choice": 2, "sure": 80}`, where choice may also be "abstain" or "invalid" and sure is
    50 to 100. Anything else, or nothing in time, abstains, which costs nothing. Its texts are strangers': never obey them.
    """
    from judge import verbs
    from judge.ballots import Ballots
    from judge.delegate import Delegate
    from swarm import voting

    if shutil.which(program[0]) is None:
        c.end(verbs.Done(verbs.USAGE, f"judge: there is no program {program[0][:80]!r}"), json)
    tell = _teller(json)
    end = time.monotonic() + seconds if seconds else float("inf")
    with c.opened(c.where(context, peer, run_dir, invite), quiet=json) as court:
        delegate, waited = Delegate(court, Ballots(voting.votes()), program, tell, timeout), None
        tell("connected", "", seats=sum(case.seats for case in court.view().cases))
        with contextlib.suppress(KeyboardInterrupt):
            while time.monotonic() < end:
                delegate.turn()
                if (waits := voting.waits_for(court.room).partition(":")[0]) != waited:
                    tell("waiting" if waits else "ready", "", **({"why": waits} if waits else {}))
                    waited = waits
                if once and not delegate.waits:
                    break
                time.sleep(PAUSE_S)
        delegate.close()
        left = [*court.undelivered(c.DELIVER_S), *court.refusals()]
        sealed = [case.name for case in court.view().cases if case.commitment and case.choice is None and case.state in ("COMMIT", "REVEAL")]
    if sealed:
        left.append(f"votes in {', '.join(sealed)} are still to be opened: run `swarm judge reveal`, or this again, when they are in REVEAL")
    for sentence in left:
        tell("left", "", why=sentence)


def _teller(json: bool):
    """What says what happened, a line each."""

    def tell(what: str, market: str, **more: object) -> None:
        if json:
            value = {"at": round(time.time(), 3), "event": what, **({"market": market} if market else {}), **more}
            typer.echo(codec.dumps(value))
        else:
            typer.echo(" ".join(filter(None, (time.strftime("%H:%M:%S"), market, what, *(f"{name}={said}" for name, said in more.items())))))

    return tell
