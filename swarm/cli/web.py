"""`swarm web`: the swarm on a web page of this machine, to read only."""

from __future__ import annotations

from typing import Annotated

import typer

from swarm.cli import options as o

PORT = 8040
HOST = "127.0.0.1"

Port = Annotated[int, typer.Option("--port", envvar="SWARM_WEB_PORT", min=0, max=65_535, help="TCP port; 0 takes any.")]
Host = Annotated[str, typer.Option("--host", envvar="SWARM_WEB_HOST", help="Address to listen on; another one than 127.0.0.1 shows it to others.")]


def web(port: Port = PORT, host: Host = HOST, run_dir: o.RunDir = None, rpc: o.Rpc = None, contracts: o.Contracts = None) -> None:
    """Show the swarm on a web page: peers, leaderboard, judge markets, jobs, every peer's history, curves. Nothing can be changed there.

    Example: `swarm web`, then open http://127.0.0.1:8040/

    It shows the newest run, whether or not it is on, and the jobs of this machine's market (else of --rpc and --contracts), until Ctrl-C. No member
    is asked for anything: `swarm leaderboard` fetches the records of others that are missing.
    """
    from swarm.ui.web import server
    from swarm.ui.web.site import Site

    site = Site(run_dir, o.the_chain(rpc, contracts, "", False).link(None))
    if not server.is_loopback(host):
        typer.echo(f"warning: whoever reaches {host} can read these pages: there is no password, and nothing is encrypted", err=True)
    server.serve(host, port, site, lambda address: typer.echo(f"{address}  (read-only; Ctrl-C ends it)"))
