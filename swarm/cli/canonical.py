"""`swarm canonical check`: whether this machine's kernels give the canonical bits."""

from __future__ import annotations

import json as codec
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli import options as o
from swarm.errors import InputError, SwarmError

if TYPE_CHECKING:
    from swarm.proof.canonical.build import Build

app = typer.Typer(help="Canonical numerics: the same bits on every machine (docs/canonical.md).", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """A command of one verb so far."""


@app.command("check")
def check(
    build: Annotated[str, typer.Option("--build", help="A build of the kernels; the one that nodes here use otherwise.")] = "native",
    all_builds: Annotated[bool, typer.Option("--all-builds", help="Every build that this machine can compile and run.")] = False,
    definition: Annotated[str, typer.Option("--definition", help="Only the cases of one operator.")] = "",
    step: Annotated[bool, typer.Option("--step/--no-step", help="End with a whole training step, which loads the trainer.")] = True,
    list_: Annotated[bool, typer.Option("--list", help="Only name builds and operators.")] = False,
    json: o.Json = False,
) -> None:
    """Run the conformance suite; names the first differing operator of each build.

    Example: `swarm canonical check --all-builds`

    Exit code 1 where something differs, 5 where there is no compiler.
    """
    from swarm.proof.canonical import check as suite
    from swarm.proof.canonical.build import BUILDS

    if list_:
        return _list(json)
    if build not in BUILDS:
        raise InputError(f"no build is named {build!r}", f"one of {', '.join(BUILDS)}")
    found = {}
    for each in suite.builds() if all_builds else [BUILDS[build]]:
        started = None if json else _started(each)
        found[each.name] = list(suite.checked(each, definition, step, started))
        if started:
            _end(found[each.name])
    if json:
        told = [_class(BUILDS[name]) | {"differences": [vars(one) for one in differences]} for name, differences in found.items()]
        typer.echo(codec.dumps(told, indent=1))
    if any(found.values()):
        name, first = next((name, differences[0]) for name, differences in found.items() if differences)
        hint = "do not train with profile = \"canonical\" on this machine; please report it with its compiler"
        raise SwarmError(f"build {name} is not canonical: {first.operator} differs ({first.case}: {first.where})", hint)


def _started(build: Build):
    """Say what is checked; gives what shows the case under way."""
    typer.echo(", ".join(f"{key} {value}" for key, value in _class(build).items()))
    if not sys.stderr.isatty():
        return lambda case: None
    return lambda case: typer.echo(f"\r\x1b[K{case}", nl=False, err=True)


def _end(differences: list) -> None:
    if sys.stderr.isatty():
        typer.echo("\r\x1b[K", nl=False, err=True)
    if not differences:
        typer.echo("  passes: every word is the canonical one")
    for each in differences:
        typer.echo(f"  {each.operator} differs in {each.case}: {each.where}")


def _class(build: Build) -> dict[str, str]:
    """What this machine computes with, in words."""
    from swarm.proof.canonical import VERSION, native, vectors
    from swarm.proof.machine import processor

    with native.using(build):
        width = native.width()
    told = {"definition": f"canonical {VERSION} ({vectors.conformance()[:12]})", "processor": processor(), "build": build.name}
    return told | {"compiler": build.version, "vectors": f"of {width} floats"}


def _list(json: bool) -> None:
    from swarm.proof.canonical import check as suite
    from swarm.proof.canonical.build import BUILDS
    from swarm.proof.canonical.cases import families

    operators = {name: sorted({case.operator for case in cases}) for name, cases in families().items()}
    here = {build.name: build in suite.builds() for build in BUILDS.values()}
    if json:
        return typer.echo(codec.dumps({"builds": here, "operators": operators}, indent=1))
    typer.echo("builds: " + ", ".join(name if runs else f"{name} (not on this machine)" for name, runs in here.items()))
    for family, names in operators.items():
        typer.echo(f"{family}: {', '.join(names)}")
