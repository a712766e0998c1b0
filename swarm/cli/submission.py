"""`swarm job submit`: what a job would cost, then posting it, and serving it until it is done."""

from __future__ import annotations

import json as codec
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm import addresses, launch, recipe, stake, times
from swarm.chain.values import amount
from swarm.cli import job as j
from swarm.cli import options as o
from swarm.errors import InputError
from swarm.jobs import files as served
from swarm.jobs import guidance as guides
from swarm.jobs import offer as offers
from swarm.jobs.brief import Estimate
from swarm.jobs.guidance import Costs, Guidance, Work
from swarm.jobs.offer import Offer, Wish
from swarm.launch import ChainChoice, Choices
from swarm.settings import NetworkChoice

if TYPE_CHECKING:
    from swarm.chain.client import Chain
    from swarm.jobs.submit import Posting, Submission
    from swarm.recipe import Recipe


Recipes = Annotated[list[str], typer.Argument(help="A recipe's name or file, and settings such as learn.lr=1e-5.")]
Budget = Annotated[str, typer.Option("--budget", help="Credits for everything: solvers, verifiers, the rest comes back.")]
Deadline = Annotated[str, typer.Option("--deadline", help="Time from posting until the work is done: 30m, 2h, 1d.")]
Steps = Annotated[int | None, typer.Option("--steps", help="Optimizer steps of each solver (of all, with --split); else the recipe's rounds.")]
Solvers = Annotated[int, typer.Option("--solvers", help="Solvers that may work on it; each trains a model of its own.")]
Split = Annotated[bool, typer.Option("--split", help="The solvers share the steps instead of each doing all.")]
Segments = Annotated[int | None, typer.Option("--segments", help="Steps that are drawn of each epoch and replayed by two verifiers.")]
Multiple = Annotated[float | None, typer.Option("--stake-multiple", help="A solver's stake, in pays of an epoch; else one that makes forging lose.")]
Target = Annotated[float | None, typer.Option("--target", help="Score that the model has to reach for a fifth of the pay, 0 to 1.")]
Evaluation = Annotated[Path | None, typer.Option("--evaluation", help="Its file: JSON lines with question and answer; hidden until then.")]
Cloud = Annotated[float | None, typer.Option("--cloud-price", min=0, help="What an hour of such a machine costs you elsewhere, to compare.")]
AnyClass = Annotated[bool, typer.Option("--any-class", help="Machines of another kind than this one may solve it too: a weaker promise.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show everything and post nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Post it. Without this you are shown what it costs.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin another job even where one of this recipe is under way here.")]
Once = Annotated[bool, typer.Option("--until-open", help="End when two members have seeded and it can be claimed, instead of serving to the end.")]


@dataclass(frozen=True)
class Draft:
    """What would be posted, and what is known about it."""

    recipe: Recipe
    told: list[str]
    work: Work
    offer: Offer
    guidance: Guidance
    costs: Costs
    files: tuple[Any, ...]
    folder: Path
    salt: bytes
    evaluation: Path | None

    def lines(self, cloud: float | None) -> list[str]:
        from swarm.ui import job as ui

        shown = ui.posting(self.recipe.name, self.work, self.offer.steps, self.guidance, self.costs)
        if cloud is not None:
            shown.append(ui.cloud(cloud, self.work, self.offer.steps, self.costs.total))
        return [*shown, *self.told]

    def value(self, cloud: float | None) -> dict[str, Any]:
        tflop, hours = self.work.tflop(self.offer.steps), self.work.step_s * self.offer.steps / 3600
        return {
            "recipe": self.recipe.name,
            "recipe_hash": self.recipe.hash.hex(),
            "steps": self.offer.steps,
            "tflop": tflop,
            "step_s": self.work.step_s,
            "guidance": amount(self.guidance.price(tflop)),
            "costs": {what: credits for what, credits, _ in self.costs.rows()},
            "gas": amount(self.costs.gas),
            "verification_share": self.costs.share,
            "solver_stake": amount(self.offer.solverStake),
            "cloud": None if cloud is None else cloud * hours,
            "told": self.told,
        }

    @property
    def posting(self) -> Posting:
        from swarm.jobs.submit import Posting

        estimate = Estimate(self.work.sampled, self.work.trained, self.work.memory, self.work.disk)
        return Posting(self.offer, self.files, estimate, self.folder, self.salt, self.evaluation and self.evaluation.absolute())


def submit(
    recipe_and_settings: Recipes,
    budget: Budget,
    deadline: Deadline,
    steps: Steps = None,
    solvers: Solvers = 1,
    split: Split = False,
    segments: Segments = None,
    stake_multiple: Multiple = None,
    target: Target = None,
    evaluation: Evaluation = None,
    cloud_price: Cloud = None,
    any_class: AnyClass = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    fresh: Fresh = False,
    until_open: Once = False,
    identity: j.Name = "",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    listen: o.Listen = None,
    announce: o.Announce = None,
    port: o.Port = 0,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    i_accept_unaudited: o.Unaudited = False,
    json: o.Json = False,
) -> None:
    """Have a model trained: shows what it costs and what it is worth, posts it with --yes, and serves it until the model is here.

    Example: `swarm job submit local --budget 10 --deadline 30m --yes`

    The same command goes on where it was interrupted; nothing is posted or paid twice.
    """
    from swarm.jobs import place

    source, overrides = o.source(recipe_and_settings)
    chosen = recipe.load(source, overrides)
    digest, salt = _committed(evaluation)
    wish = Wish(stake.wei_of(budget), times.seconds(deadline, "--deadline"), steps, solvers, split, segments, stake_multiple, target, digest)
    choice = o.the_chain(rpc, contracts, "", i_accept_unaudited)
    say = j.teller(json) if json else typer.echo
    with place.opened(choice, say) as chain:
        draft = drafted(chosen, wish, launch.folder_of(source), chain, salt, evaluation)
        if dry_run or not yes:
            typer.echo(codec.dumps(draft.value(cloud_price), indent=1) if json else "\n".join(draft.lines(cloud_price)))
            if not json:
                typer.echo("nothing was posted" + (" (--dry-run)" if dry_run else ": add --yes to post it"))
            return
        for line in draft.lines(cloud_price):
            say(line)
        mine = _begun(draft, fresh, chain, say)
        host = "127.0.0.1" if chain.link.embedded else "0.0.0.0"
        network = o.the_network(listen, announce, port, None, True, None, False, None, host)
        choices = _choices(chain, network, choice, identity, passphrase_file, ask_passphrase)
        work(mine, chain, choices, say, any_class=any_class, until_open=until_open)


def serve(
    text: str, choice: ChainChoice, network: NetworkChoice, identity: str, passphrase_file: Path | None, ask_passphrase: bool
) -> None:
    """`swarm job show ID --serve`: go on with a job that was posted from here."""
    from swarm.jobs import place
    from swarm.jobs.book import Book

    say = typer.echo
    with place.opened(choice, say) as chain:
        mine = j.posting_of(Book(chain).job(text))
        work(mine, chain, _choices(chain, network, choice, identity, passphrase_file, ask_passphrase), say)


def work(
    mine: Submission, chain: Chain, choices: Choices, say: Callable[[str], None], *, any_class: bool = False, until_open: bool = False
) -> None:
    """Everything from a submission in its folder to a settled job, from wherever it is."""
    from swarm.chain.values import JobPhase
    from swarm.jobs.book import Book
    from swarm.jobs.watch import Watch
    from swarm.supervisor import interruptible

    posted = False
    try:
        with interruptible():
            mine.bind(chain)
            member = mine.identity(choices)
            mine.prepare(choices, member)
            if mine.phase(chain) == JobPhase.UNKNOWN:
                hello = mine.measure(say)
                mine.decide(hello, any_class)
                found = mine.announce(say)
                if not chain.link.embedded and all(addresses.scope(address) != "public" for address in found):
                    say("its addresses lead to this machine or network only: others need --listen 0.0.0.0 and --announce HOST:PORT")
                mine.create(chain, member, hello, say)
                mine.post(chain, member, found, say)
            posted = True
            watch = Watch(mine, Book(chain), member, say)
            watch.run(until_open)
            if watch.over():
                if watch.job.named("Delivered"):
                    say(f"the model: `swarm job fetch {mine.short} --out FOLDER`")
                if watch.register():
                    say("it waits for the model registry: `swarm model post` puts it on the chain with the next batch")
                mine.finish()
    except KeyboardInterrupt:
        if posted:
            say(f"job {mine.short} stays posted; `swarm job show {mine.short} --serve` goes on serving it, `swarm job cancel {mine.short}` ends it")
        raise
    finally:
        mine.close()


def drafted(chosen: Recipe, wish: Wish, folder: Path, chain: Chain, salt: bytes, evaluation: Path | None) -> Draft:
    """The job of a recipe and a wish, checked. Raises InputError with the first thing that makes it impossible."""
    from swarm.jobs.book import Book

    found = tuple(served.served(chosen, folder))
    guess = Work.of(chosen, float(chosen.proof.threads))
    fitted, told = offers.fitted(chosen, wish, guess)
    offer = Offer.of(fitted, wish)
    guidance = guides.guidance(chain, Book(chain))
    offers.check(offer, fitted, guess, guidance, wish.budget)
    gas = sum(guides.POST_GAS.values()) * int(chain.rpc.call("eth_gasPrice"), 16)
    return Draft(fitted, told, guess, offer, guidance, offer.costs(fitted, gas), found, folder, salt, evaluation)


def _committed(evaluation: Path | None) -> tuple[bytes, bytes]:
    """The commitment to an evaluation, and its salt."""
    from swarm.jobs import submit as submissions

    if evaluation is None:
        return bytes(32), bytes(32)
    digest, salt = submissions.evaluation_of(evaluation)
    return submissions.commitment(digest, salt), salt


def _begun(draft: Draft, fresh: bool, chain: Chain, say: Callable[[str], None]) -> Submission:
    """The submission of this recipe that is under way, or a new one. Raises InputError where the one under way offers something else."""
    from swarm.chain.values import JobPhase
    from swarm.jobs.submit import Submission

    mine = None if fresh else Submission.find(recipe=draft.recipe)
    if mine is not None and mine.belongs(chain) and mine.phase(chain) == JobPhase.SETTLED:
        mine.finish()
        mine = None
    if mine is None:
        return Submission.begin(draft.recipe, draft.posting)
    if replace(mine.posting.offer, machine=bytes(32), evaluation=bytes(32)) != replace(draft.offer, evaluation=bytes(32)):
        what = f"job {mine.short} of this recipe is under way here, with another offer"
        raise InputError(what, f"`swarm job show {mine.short} --serve` goes on with it, --fresh begins another")
    say(f"going on with the submission in {mine.run.folder} (--fresh begins another)")
    return mine


def _choices(chain: Chain, network: NetworkChoice, choice: ChainChoice, identity: str, file: Path | None, ask: bool) -> Choices:
    choices = Choices(network=network, chain=choice)
    return o.as_identity(choices, identity or None, file, ask, False, local=chain.link.embedded)
