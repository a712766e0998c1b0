"""`swarm chain`: the contracts on a chain, for those who run a swarm on one of their choice. A local swarm needs none of this."""

from __future__ import annotations

import json as codec
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from swarm import keys, runs
from swarm.chain import contracts, deploy, link
from swarm.chain.anvil import FILE, Anvil
from swarm.chain.client import Chain, Swarm
from swarm.chain.proxy import GRANT_WEI
from swarm.chain.rpc import Rpc
from swarm.chain.values import amount
from swarm.chainhost import ONE_HOST
from swarm.cli import options as o
from swarm.errors import InputError
from swarm.identity import Identity
from swarm.keystore import passphrase
from swarm.names import plain
from swarm.runs import Run

app = typer.Typer(help="The chain behind a swarm: deploy the contracts, see where it stands.", rich_markup_mode="markdown")

RpcUrl = Annotated[str, typer.Option("--rpc", envvar="SWARM_RPC", help="The chain's JSON-RPC address, such as https://host/path.")]
File = Annotated[Path | None, typer.Option("--contracts", envvar="SWARM_CONTRACTS", help="File with the contracts' addresses, as deploy writes it.")]
Accept = Annotated[bool, typer.Option("--i-accept-unaudited", help="Go on where money is real, though nobody has audited the contracts.")]


@app.command("deploy")
def deploy_contracts(
    rpc: RpcUrl = "",
    contracts_file: Annotated[Path, typer.Option("--contracts", help="File that the addresses are written to.")] = Path(link.FILE),
    identity: Annotated[str, typer.Option("--identity", envvar="SWARM_IDENTITY", help="Whose operator key sends and pays.")] = "default",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    beacon: Annotated[str, typer.Option(help="Where randomness comes from: commit-reveal or block-hash.")] = "commit-reveal",
    first: Annotated[int | None, typer.Option(min=0, help="Carry on a deployment that began with this transaction number.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent and what it would cost; send nothing.")] = False,
    json: o.Json = False,
    accept: Accept = False,
) -> None:
    """Put this version's contracts on a chain and write down where they are.

    Example: `swarm chain deploy --rpc http://127.0.0.1:8545 --dry-run`
    """
    if beacon not in ("commit-reveal", "block-hash"):
        raise InputError(f"--beacon {beacon} cannot be deployed from here", "commit-reveal or block-hash")
    chain = Rpc(_required(rpc))
    if dry_run:
        plan = deploy.plan(chain, _operator(identity), beacon, first)
        _print(_of_plan(plan), json)
        return
    if contracts_file.exists():
        raise InputError(f"{contracts_file} exists already", "name another file with --contracts; nothing is overwritten")
    opened = Identity.open(o.identity_folder(identity), passphrase(passphrase_file, ask_passphrase))
    say = (lambda text: None) if json else typer.echo
    made = deploy.deploy(chain, opened.secret, beacon, first, accept_unaudited=accept, say=say)
    contracts_file.absolute().parent.mkdir(parents=True, exist_ok=True)
    made.save(contracts_file)
    _print({"chain_id": made.chain_id, "contracts": made.contracts.model_dump(), "file": str(contracts_file)}, json)


@app.command()
def status(run_dir: o.RunDir = None, rpc: RpcUrl = "", contracts_file: File = None, json: o.Json = False) -> None:
    """Say whether the chain answers, which one it is, and whether the contracts are this version's.

    Example: `swarm chain status --json`
    """
    run = None if contracts_file else runs.latest(run_dir)
    found = link.load(contracts_file or (run.chain if run else Path()))
    found = found.at(rpc) if rpc else found
    _print(_state(Chain(found), run), json)


@app.command()
def serve(
    listen: Annotated[list[str] | None, typer.Option(envvar="SWARM_LISTEN", help="Host to listen on beside this machine's own address.")] = None,
    chain_port: o.ChainPort = 0,
) -> None:
    """Host the local chain of the compute market in the foreground, also for other machines. On one machine nobody needs this.

    Example: `swarm chain serve --listen 0.0.0.0 --chain-port 8600`

    Others give `--rpc http://HOST:PORT --contracts FILE` with a copy of the file that is named here.
    """
    from swarm.jobs import place
    from swarm.supervisor import interruptible

    hosts = ["0.0.0.0"] if "0.0.0.0" in (listen or []) else sorted({"127.0.0.1", *(listen or [])})
    keeper = place.Keeper(place.folder(), typer.echo, hosts, chain_port)
    with interruptible():
        keeper.start()
        try:
            found = keeper.ready()
            if not keeper.hosting:
                typer.echo("another process hosts it, and as that one listens; this one goes on when it ends")
            typer.echo(f"chain {found.link.chain_id} at {found.link.url}, contracts in {place.folder() / link.FILE}; {ONE_HOST} (Ctrl-C ends)")
            while True:
                time.sleep(1.0)
        finally:
            keeper.stop()


@app.command()
def fund(
    address: Annotated[str, typer.Argument(help="The account that is to have gas.")],
    run_dir: o.RunDir = None,
) -> None:
    """Give an account gas on this run's local chain.

    Example: `swarm chain fund 0x1111111111111111111111111111111111111111`
    """
    run = runs.latest(run_dir)
    if not (run.chain / FILE).exists():
        raise InputError(f"{run.folder} has no local chain", "on another chain send the account some of its coin")
    if not (address.startswith("0x") and len(address) == 42 and _is_hex(address[2:])):
        raise InputError("that is not an address", "0x and 40 hex digits")
    Anvil(run.chain).fund(bytes.fromhex(address[2:]), GRANT_WEI)
    typer.echo(f"{address} has at least {amount(GRANT_WEI)}")


def _state(chain: Chain, run: Run | None) -> dict[str, Any]:
    head, kind = chain.head(), chain.check()
    seats, operators = chain.read("registry", "panelSizes")
    state: dict[str, Any] = {
        "chain": chain.rpc.name,
        "chain_id": chain.link.chain_id,
        "client": plain(str(chain.rpc.call("web3_clientVersion")), 60),
        "height": head.number,
        "seconds_since_last_block": round(time.time() - head.time),
        "contracts": "this version's, wired as the link says",
        **{name: chain.address(name) for name in contracts.ORDER},
        "randomness": kind,
        "operators_needed": {f"panel of {seat}:": need for seat, need in zip(seats, operators, strict=True)},
    }
    if run is not None:
        state |= _of_swarm(Swarm(chain, bytes.fromhex(run.info.swarm)), head.time)
    return state | ({"warning": ONE_HOST} if chain.link.embedded else {})


def _of_swarm(swarm: Swarm, now: int) -> dict[str, Any]:
    treasury = swarm.chain.read("vault", "treasuryOf", swarm.id)
    found = {"swarm": swarm.id.hex(), "epoch": swarm.epoch_at(now), "epoch_seconds": swarm.terms.epoch}
    final = swarm.market_final(now)
    found |= {} if final is None else {"judge_market": f"final up to epoch {final}"}
    return found | {"members": swarm.chain.read("vault", "memberCount", swarm.id), "treasury": f"{amount(treasury)} credits"}


def _of_plan(plan: deploy.Plan) -> dict[str, Any]:
    head = {"chain_id": plan.chain_id, "deployer": plan.deployer, "first": plan.first}
    rows = {role: f"{keys.checksum(plan.places[role])}  {plan.gas[role]:,} gas" for role in contracts.ORDER}
    unaudited = {"warning": f"{link.VALUABLE[plan.chain_id]}: money there is real"} if plan.chain_id in link.VALUABLE else {}
    return head | rows | {"cost": f"at most {amount(plan.cost)} of the chain's coin", "sent": "nothing: --dry-run"} | unaudited


def _required(rpc: str) -> str:
    if not rpc:
        raise InputError("--rpc is missing", "name the chain: --rpc https://host/path. A local swarm needs no deployment: `swarm up`")
    return rpc


def _operator(identity: str) -> bytes:
    from swarm import identity as identities

    return identities.show(o.identity_folder(identity)).address


def _is_hex(text: str) -> bool:
    return all(letter in "0123456789abcdefABCDEF" for letter in text)


def _print(value: dict[str, Any], json: bool) -> None:
    if json:
        typer.echo(codec.dumps(value, indent=1))
        return
    for name, each in value.items():
        text = ", ".join(f"{key} {entry}" for key, entry in each.items()) if isinstance(each, dict) else each
        typer.echo(f"{name.replace('_', ' '):<26}{text}")
