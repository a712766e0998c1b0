"""`swarm recipes`: what ships, and a recipe with every key explained."""

from __future__ import annotations

import json as codec
from typing import Annotated

import typer

from swarm import recipe as recipes
from swarm.cli import options as o
from swarm.ui import toml

app = typer.Typer(help="Recipes: list them, or show one with every key explained.", no_args_is_help=False, rich_markup_mode="markdown")


@app.callback(invoke_without_command=True)
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show_list()


@app.command("list")
def show_list(json: o.Json = False) -> None:
    """List the shipped recipes.

    Example: `swarm recipes list`
    """
    found = [recipes.load(path) for path in recipes.shipped()]
    if json:
        typer.echo(codec.dumps([{"name": r.name, "about": r.about, "hash": r.hash.hex(), "model": r.model.source} for r in found], indent=1))
        return
    for recipe in found:
        typer.echo(f"{recipe.name:<16}{recipe.about}")


@app.command()
def show(
    recipe_and_settings: Annotated[list[str], typer.Argument(help="A recipe's name or file, and settings such as learn.lr=1e-5.")],
    json: o.Json = False,
) -> None:
    """Print a recipe as it is resolved, every key with what it means; the output is a recipe again.

    Example: `swarm recipes show local learn.lr=1e-5`
    """
    source, overrides = o.source(recipe_and_settings)
    found = recipes.load(source, overrides)
    if json:
        typer.echo(codec.dumps({"hash": found.hash.hex(), "recipe": codec.loads(found.canonical)}, indent=1))
        return
    typer.echo(f"# hash {found.hash.hex()}\n\n{toml.document(found)}", nl=False)
