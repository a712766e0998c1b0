"""Commands that `up` and `join` start as child processes: one node, and the fetching of a swarm's recipe.

They parse foreign input, so they hold no operator key, and end in order when their parent is gone.
"""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from swarm.parent import end_with_parent

Folder = Annotated[Path, typer.Option(help="The peer's folder, with node.json in it.")]


def node(folder: Folder) -> None:
    """Run one node until its rounds are done. Started by `swarm up` and `swarm join`.

    Example: `swarm node --folder .swarm/runs/local-1/peer-0`
    """
    _obey_parent()
    from swarm.node import main

    main(folder)


def fetch(folder: Folder) -> None:
    """Fetch the recipe of a swarm into the run folder, or its rows. Started by `swarm join`.

    Example: `swarm fetch --folder .swarm/runs/joined-1/peer-0`
    """
    _obey_parent()
    from swarm import joining

    joining.fetch(folder)


def measure(folder: Folder, questions: Annotated[int | None, typer.Option(help="Held-out questions per task.")] = None) -> None:
    """Print held-out accuracy of a peer's newest state as one line of JSON. Started by `swarm eval`.

    Example: `swarm measure --folder .swarm/runs/local-1/peer-0`
    """
    _obey_parent()
    from swarm.measuring import measure as measured

    typer.echo(json.dumps(measured(folder, questions)))


def replayer(folder: Folder) -> None:
    """Do recorded steps again, one job a line from stdin. Started by a node whose swarm has its steps proved.

    Example: `swarm replayer --folder .swarm/runs/local-1/peer-0`
    """
    _obey_parent()
    from swarm.proof import worker

    worker.main(folder)


def seeder(folder: Folder) -> None:
    """Serve a job's blobs. Started by `swarm job`.

    Example: `swarm seeder --folder .swarm/jobs/3fa9c2e1/peer-0`
    """
    _obey_parent()
    from swarm.jobs import seeder as seeders

    seeders.main(folder)


def finish(folder: Folder) -> None:
    """Check a delivered model and write it out. Started by `swarm job`.

    Example: `swarm finish --folder .swarm/jobs/3fa9c2e1/part-0/0c1d`
    """
    _obey_parent()
    from swarm.jobs import fetch as fetching

    fetching.main(folder)


def _obey_parent() -> None:
    """SIGTERM ends this process like Ctrl-C does; so does the end of its parent."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
