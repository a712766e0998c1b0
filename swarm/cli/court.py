"""How `swarm judge` comes to its court: the options that say whose judge it is, and the court opened for as long as a verb needs it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm import invite as invites
from swarm import keystore, runs
from swarm.cli import options as o
from swarm.errors import ChainError, InputError, NetworkError, SwarmError
from swarm.identity import FILE, Identity
from swarm.invite import Invite
from swarm.launch import Choices

if TYPE_CHECKING:
    from judge.ballots import Ballots
    from judge.verbs import Done
    from swarm.market.voter import RoomCourt
    from swarm.voting import Voter

SEAT = "Without a node of your own"
DELIVER_S = 15.0
IDENTITY = "judge"  # of voters without a node, where none is named

Peer = Annotated[int, typer.Option("--peer", min=0, help="As whose operator, where the run has several peers; they count from 0.")]
Invited = Annotated[str, typer.Option("--invite", help="Judge without a node: the invite's string, or a file with it.", rich_help_panel=SEAT)]
Name = Annotated[str, typer.Option("--identity", envvar="SWARM_IDENTITY", help="Identity to judge as, the first time.", rich_help_panel=SEAT)]
Passphrase = Annotated[Path | None, typer.Option("--passphrase-file", envvar="SWARM_PASSPHRASE_FILE", help="Its passphrase.", rich_help_panel=SEAT)]
Ask = Annotated[bool, typer.Option("--ask-passphrase", help="Ask for it in the terminal.", rich_help_panel=SEAT)]
Unencrypted = Annotated[bool, typer.Option("--unencrypted", help="A new identity may be kept without a passphrase.", rich_help_panel=SEAT)]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="The recipe as a file, instead of fetching it from members.", rich_help_panel=SEAT)]
AllowCode = Annotated[str | None, typer.Option("--allow-code", help="SHA-256 of the Python task that may run here, locked in.", rich_help_panel=SEAT)]
Files = Annotated[Path | None, typer.Option("--files", help="Folder with that task.", rich_help_panel=SEAT)]
AllowHub = Annotated[bool, typer.Option("--allow-hub", help="The recipe's data sets may be downloaded from the hub.", rich_help_panel=SEAT)]
Rpc = Annotated[str | None, typer.Option("--rpc", envvar="SWARM_RPC", help="Another address of the swarm's chain.", rich_help_panel=SEAT)]
Unaudited = Annotated[bool, typer.Option("--i-accept-unaudited", help="Use a chain whose money is real.", rich_help_panel=SEAT)]


@dataclass(frozen=True)
class First:
    """What only the first command with an invite needs."""

    choices: Choices = Choices(trusted=False)
    identity: str = ""
    passphrase_file: Path | None = None
    ask: bool = False
    unencrypted: bool = False
    recipe: Path | None = None
    allow_hub: bool = False


@dataclass(frozen=True)
class Where:
    """Whose judge, as the options before a verb and after it say together."""

    peer: int = 0
    run_dir: Path | None = None
    invite: str = ""
    first: First = field(default_factory=First)

    def and_(self, peer: int, run_dir: Path | None, invite: str) -> Where:
        """With what the verb's own options say."""
        return replace(self, peer=peer or self.peer, run_dir=run_dir or self.run_dir, invite=invite or self.invite)


def first(
    identity: str, passphrase_file: Path | None, ask: bool, unencrypted: bool, recipe: Path | None, code: str | None, files: Path | None,
    hub: bool, rpc: str | None, unaudited: bool,
) -> First:  # fmt: skip
    """The options of a first command with an invite."""
    chain = o.the_chain(rpc, None, "", unaudited)
    choices = Choices(peers=1, chain=chain, allow_code=code, recipe_folder=files.absolute() if files else None, trusted=False)
    return First(choices, identity, passphrase_file, ask, unencrypted, recipe, hub)


def where(context: typer.Context, peer: int, run_dir: Path | None, invite: str) -> Where:
    """Of this command: with what was said before the verb."""
    return context.obj.and_(peer, run_dir, invite)


def do(verb: Callable[[RoomCourt, Ballots], Done], place: Where, json: bool) -> None:
    """Open the court, do one verb, see that what it said gets away, and exit with its code."""
    from judge import verbs
    from judge.ballots import Ballots
    from swarm import voting

    with opened(place, quiet=json) as court:
        done = verb(court, Ballots(voting.votes()))
        left, refused = court.undelivered(DELIVER_S if done.code == verbs.OK else 0.0), court.refusals()
        if done.code == verbs.OK and (left or refused):
            done = verbs.Done(verbs.OFFLINE if left else verbs.PHASE, f"{done.text}\njudge: {'; '.join(refused or left)}", done.value)
    end(done, json)


def end(done: Done, json: bool) -> None:
    """Print what a verb ended with, and exit with its code."""
    from judge import verbs

    typer.echo(verbs.said(done, json), err=done.code != verbs.OK and not json)
    raise typer.Exit(done.code)


@contextlib.contextmanager
def opened(place: Where, quiet: bool) -> Iterator[RoomCourt]:
    """The court of whose judge `place` says. Nobody to reach, or no chain, is exit code 5 here."""
    from judge import verbs
    from swarm import voting

    say = (lambda text: None) if quiet else (lambda text: typer.echo(text, err=True))
    try:
        voter = _voter(place, say)
        say("joining the swarm as a judge (about 10 s)")
        with voting.opened(voter, say) as court:
            yield court
    except (ChainError, NetworkError) as error:
        raise Unreached(verbs.OFFLINE, error) from None


def _voter(place: Where, say: Callable[[str], None]) -> Voter:
    """By invite; else of the run on this machine; else, where no run is on, of the seat that was taken last."""
    from swarm import seat, voting

    if place.invite:
        given = invites.parse(_text(place.invite))
        terms = seat.Terms(place.first.recipe, place.first.allow_hub)
        choices = replace(place.first.choices, network=place.first.choices.network.model_copy(update={"boot": list(given.addresses), "client": True}))
        return voting.of_seat(seat.take(given, choices, lambda: _identity(given, place.first), terms, say))
    taken = seat.newest() if place.run_dir is None and not any(run.on for run in runs.all_runs()[:1]) else None
    return voting.of_seat(taken) if taken is not None else voting.of_run(runs.latest(place.run_dir), place.peer)


def _identity(given: Invite, said: First) -> Identity:
    """The operator's key: unencrypted where the swarm cannot reach beyond this machine and none is named, as `swarm join` has it."""
    if given.local and not said.identity:
        return Identity.open_or_create_local(o.identity_folder(IDENTITY))
    folder = o.identity_folder(said.identity or IDENTITY)
    secret = keystore.passphrase(said.passphrase_file, said.ask, confirm=said.ask and not folder.exists())
    if not (folder / FILE).exists():
        return Identity.create(folder, secret, unencrypted=said.unencrypted)
    return Identity.open(folder, secret)


def _text(invite: str) -> str:
    """The invite's string, or what is in the file of that name. Raises InputError."""
    if invite.strip().startswith(invites.PREFIX):
        return invite
    try:
        with open(invite) as file:
            return file.read(invites.MAX_CHARS + 1)
    except (OSError, ValueError):
        what = f"--invite: {invite[:80]!r} is neither an invite nor a file with one"
        raise InputError(what, "`swarm invite` prints one on a running node") from None


class Unreached(SwarmError):
    """What `swarm judge` ends with where nobody answers."""

    def __init__(self, code: int, error: SwarmError):
        super().__init__(str(error), error.hint or "is the run still on? `swarm status` says so")
        self.exit_code = code
