"""`swarm up`: a local swarm, one process and one operator per peer, supervised."""

from __future__ import annotations

from typing import Annotated

import typer

from swarm import chainhost, doctor, launch, plan, recipe, runs, supply
from swarm.cli import options as o
from swarm.cli import solving
from swarm.cli.running import run_to_the_end
from swarm.launch import Choices
from swarm.proof.canonical import build
from swarm.recipe import Recipe
from swarm.ui import tracker

Peers = Annotated[int | None, typer.Option(envvar="SWARM_PEERS", min=1, max=64, help="Peers on this machine; the recipe says otherwise.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="A recipe's name or file, and settings such as learn.lr=1e-5.")]
Alone = Annotated[bool, typer.Option("--alone/--no-alone", help="Afterwards train one peer alone, same seed and CPU time (not with verdicts).")]


def up(
    recipe_and_settings: Overrides = None,
    peers: Peers = None,
    run_dir: o.RunDir = None,
    seed: o.Seed = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin a new run even where one could be carried on.")] = False,
    device: o.Device = "auto",
    dry_run: o.DryRun = False,
    json: o.Json = False,
    alone: Alone = True,
    plain: o.Plain = False,
    report_to: o.ReportTo = "",
    max_cpu: o.MaxCpu = "",
    max_memory: o.MaxMemory = "",
    max_disk: o.MaxDisk = "",
    max_upload: o.MaxUpload = "",
    only_idle: o.OnlyIdle = False,
    listen: o.Listen = None,
    announce: o.Announce = None,
    port: o.Port = 0,
    boot: o.Boot = None,
    relay: o.Relay = True,
    trusted_relay: o.TrustedRelay = None,
    client: o.Client = False,
    ban: o.Ban = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    stake: o.Stake = "",
    i_accept_unaudited: o.Unaudited = False,
    chain_port: o.ChainPort = 0,
    roles: Annotated[str, typer.Option(help="Work for jobs of the compute market instead: solver, verifier, or both with a comma.")] = "",
) -> None:
    """Start a swarm on this machine, or carry on with the unfinished one of the same recipe.

    Example: `swarm up local --peers 3 learn.lr=1e-4`

    The run's folder holds models, metrics.jsonl, summary.json and curves.png. Ctrl-C stops it; the same command resumes.
    """
    if roles:
        limits = {"--max-cpu": max_cpu, "--max-memory": max_memory, "--max-disk": max_disk, "--max-upload": max_upload, "--stake": stake}
        chosen = {"--device": device if device != "auto" else "", "--rpc": rpc, "--contracts": contracts} | limits
        solving.roles(roles, [*(f"{name}={value}" for name, value in chosen.items() if value), *(["--only-idle"] if only_idle else [])])
        return
    source, overrides = o.source(recipe_and_settings or [])
    chosen = _computable(source, [*overrides, *([f"seed={seed}"] if seed is not None else [])])
    names = launch.devices(device)
    choices = Choices(
        peers=peers or (len(names) if len(names) > 1 else chosen.run.peers),
        devices=names,
        limits=o.the_limits(max_cpu, max_memory, max_disk, max_upload, only_idle),
        network=o.the_network(listen, announce, port, boot, relay, trusted_relay, client, ban),
        chain=o.the_chain(rpc, contracts, stake, i_accept_unaudited, chain_port),
        recipe_folder=launch.folder_of(source),
    )
    tracker.check(report_to)
    if dry_run:
        typer.echo(plan.text(chosen, choices, json))
        return
    doctor.require(chosen, choices)
    chainhost.require(chosen, choices)
    run, note = runs.for_recipe(chosen, run_dir, fresh)
    supply.from_beside(run, chosen, choices.recipe_folder)
    run_to_the_end(run, chosen, choices, launch.identities(run, choices), note, alone=alone and choices.peers > 1, plain=plain, report_to=report_to)


def _computable(source: str, overrides: list[str]) -> Recipe:
    """The recipe; with stock numerics where it wants canonical ones, was not told so here, and this machine cannot compile them."""
    chosen = recipe.load(source, overrides)
    told = any(text.partition("=")[0].strip() == "proof.profile" for text in overrides)
    if chosen.proof.profile != "canonical" or told or build.NATIVE.compiler() is not None:
        return chosen
    typer.echo("there is no C compiler for canonical kernels: taking proof.profile=pinned, which only machines like this one can audit", err=True)
    typer.echo(f"  to have the recipe as it is: {build.HINT.partition(', or')[0]}", err=True)
    return recipe.load(source, [*overrides, "proof.profile=pinned"])
