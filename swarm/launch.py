"""From a recipe and a user's choices to running node processes: identities, sessions, settings, children.

Operator keys are opened here, in the supervising process, only to sign sessions; a node process gets the session's file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from swarm import heartbeat, runs
from swarm import recipe as recipes
from swarm.chain import link as links
from swarm.chain.link import ChainLink
from swarm.errors import IdentityError, InputError
from swarm.heartbeat import Heartbeat
from swarm.identity import Identity
from swarm.limits import Limits
from swarm.recipe import Recipe
from swarm.runs import Run
from swarm.settings import NetworkChoice, NodeSettings
from swarm.supervisor import NODE, Child
from swarm.taking import Taking

SESSION_S = 30 * 86_400  # sessions are minted anew at every start
MAX_LOCAL = 1000
MANY = 100  # the comparison run is ended by its processor seconds, not by its rounds
FETCH = (*NODE[:-1], "fetch")
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class ChainChoice:
    """Which chain a run uses, where that is not its own local one or the invite's. `stake` is in wei."""

    rpc: str | None = None
    contracts: Path | None = None
    stake: int | None = None
    accept_unaudited: bool = False
    port: int = 0  # of the local chain's door

    def link(self, folder: Path | None, invited: ChainLink | None = None) -> ChainLink | None:
        """The link that was chosen now, or is an invite's, or was chosen at an earlier start of the run whose chain's folder is `folder`.

        None: the run's own local chain. Raises ChainRefused, InputError.
        """
        kept = links.load(folder) if folder is not None and (folder / links.FILE).exists() else None
        found = links.load(self.contracts) if self.contracts is not None else invited or (None if kept is None or kept.embedded else kept)
        if self.contracts is not None and kept is not None and kept.contracts != found.contracts:
            where = "a local chain of its own" if kept.embedded else f"other contracts than those of {self.contracts}"
            raise InputError(f"the run in {folder.parent} uses {where}", "leave --rpc and --contracts out, or begin a new run with --fresh")
        if found is None and self.rpc is not None:
            raise InputError("--rpc without --contracts", "name the file that `swarm chain deploy` wrote: it says where the contracts lie")
        if found is None:
            return None
        links.check_unaudited(found.chain_id, self.accept_unaudited)
        return found.at(self.rpc) if self.rpc else found


@dataclass(frozen=True)
class Choices:
    """What a user decides about a run that no recipe does."""

    peers: int = 1
    devices: tuple[str, ...] = ("auto",)
    limits: Limits = field(default_factory=Limits)
    network: NetworkChoice = field(default_factory=NetworkChoice)
    chain: ChainChoice = field(default_factory=ChainChoice)
    allow_code: str | None = None
    recipe_folder: Path | None = None
    trusted: bool = True
    identity: Path | None = None  # folder of a named identity; None takes local ones
    passphrase: str | None = field(default=None, repr=False)
    taking: Taking | None = None  # of a job of the compute market

    @property
    def cores(self) -> float:
        """Cores that the whole run may use."""
        there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(there, self.limits.max_cpu or there)

    @property
    def threads(self) -> int:
        """PyTorch threads of one peer: its share of the cores."""
        return max(1, int(self.cores // self.peers))

    def device_of(self, index: int) -> str:
        """The device of one peer, as the user counts devices; its process sees a GPU as cuda:0."""
        return self.devices[index % len(self.devices)]


def devices(text: str) -> tuple[str, ...]:
    """Devices of `--device`: `auto`, `cpu`, `cuda:0` or a comma-separated list. Raises InputError naming the wrong one."""
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        kind, _, number = name.partition(":")
        if not (name in ("auto", "cpu") or (kind == "cuda" and number.isdigit())):
            raise InputError(f"--device {name!r} is not a device", "give auto, cpu, cuda:0, or a list such as cuda:0,cuda:1 (one peer each)")
    return names


def folder_of(source: str | Path) -> Path:
    """Where a recipe's local files lie: beside it; beside the shipped recipes where it is given by name."""
    by_name = Path(source).suffix != ".toml" and (recipes.FOLDER / f"{source}.toml").is_file()
    return recipes.FOLDER if by_name else Path(source).absolute().parent


def gpus() -> int:
    """NVIDIA GPUs that the driver lists, without loading PyTorch."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def one_gpu(device: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables that show a process the one GPU of `device` (the first one for `auto`); TRL refuses to train where several are seen.

    `cuda:N` counts the GPUs that the user lets us see. Raises InputError where there is no N-th among them. Not yet tried on a
    machine with several GPUs.
    """
    if device == "cpu":
        return {}
    number = int(device.partition(":")[2] or 0)
    allowed = environ.get(VISIBLE)
    if allowed is None:
        return {VISIBLE: str(number)}
    names = [name.strip() for name in allowed.split(",") if name.strip()]
    if number < len(names):
        return {VISIBLE: names[number]}
    if device == "auto":
        return {}
    raise InputError(f"--device {device}: {VISIBLE}={allowed} shows {len(names)} GPU(s)", "devices count from cuda:0 among those")


def identities(run: Run, choices: Choices) -> list[Identity]:
    """An opened identity per peer, reserved for this process; a run that is carried on keeps its own.

    Raises IdentityError where one is lost, locked or in use by another run.
    """
    if choices.identity is not None:
        run.update(identities=[choices.identity.name])
        return [_reserved(run, choices.identity, choices.passphrase)]
    folder = runs.home() / "identities"
    names = list(run.info.identities[: choices.peers])
    opened = [_reserved(run, folder / name) for name in names]
    for number in range(MAX_LOCAL):
        if len(opened) >= choices.peers:
            break
        name = f"local-{number}"
        if name not in names and run.reserve(folder / name):
            names.append(name)
            opened.append(Identity.open_or_create_local(folder / name))
    run.update(identities=[*names, *run.info.identities[len(names) :]])
    return opened


def prepare(run: Run, recipe: Recipe, choices: Choices, members: list[Identity]) -> list[Child]:
    """Write every peer's session and settings; returns the children, not yet started."""
    swarm = bytes.fromhex(run.info.swarm)
    children = []
    for index, identity in enumerate(members):
        folder = run.peer(index)
        specialty = index % len(recipe.tasks) if recipe.sharing.specialists else -1
        identity.session(swarm, SESSION_S, specialty).save(folder / "session.bin")
        _settings(run, recipe, choices, index, specialty).save(folder)
        _first_beat(folder, identity, recipe)
        children.append(Child(index, folder, NODE, one_gpu(choices.device_of(index))))
    return children


def prepare_fetch(run: Run, choices: Choices, identity: Identity) -> None:
    """Write what the child needs that fetches the recipe of a joined swarm; the recipe itself is not known yet."""
    folder = run.peer(0)
    identity.session(bytes.fromhex(run.info.swarm), SESSION_S).save(folder / "session.bin")
    _settings(run, None, choices, 0, -1).save(folder)


def fits(run: Run, choices: Choices) -> bool:
    """Whether a joined run was made under the identity that is chosen now."""
    return choices.identity is None or run.info.identities == [choices.identity.name]


def prepare_alone(run: Run, recipe: Recipe, choices: Choices, cpu_s: float) -> Child:
    """The comparison: peer 0 again with the same seeds, nothing shared, stopped after `cpu_s` processor seconds."""
    folder = run.folder / "alone"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(run.peer(0) / "session.bin", folder / "session.bin")
    os.chmod(folder / "session.bin", 0o600)
    settings = _settings(run, recipe, choices, 0, 0 if recipe.sharing.specialists else -1)
    rounds = MANY * recipe.run.rounds
    settings = settings.model_copy(update={"alone": True, "cpu_s": cpu_s, "rounds": rounds, "session": folder / "session.bin", "siblings": []})
    settings.save(folder)
    return Child(0, folder, NODE, one_gpu(choices.device_of(0)))


def _settings(run: Run, recipe: Recipe | None, choices: Choices, index: int, specialty: int) -> NodeSettings:
    others = [run.peer(other) / heartbeat.FILE for other in range(choices.peers) if other != index]
    port = choices.network.port + index if choices.network.port else 0
    return NodeSettings(
        index=index,
        recipe=run.recipe_path,
        recipe_blob=run.info.recipe_blob,
        recipe_folder=choices.recipe_folder,
        session=run.peer(index) / "session.bin",
        swarm=run.info.swarm,
        rounds=recipe.run.rounds if recipe else 1,
        specialty=specialty,
        trusted=choices.trusted,
        allow_code=choices.allow_code,
        device="cuda:0" if choices.device_of(index).startswith("cuda") else choices.device_of(index),
        threads=recipe.proof.threads if recipe and recipe.proof.profile == "pinned" else choices.threads,
        limits=choices.limits.share(choices.peers),
        cores_of_run=choices.limits.max_cpu,
        network=choices.network.model_copy(update={"port": port}),
        chain=run.chain if recipe and recipe.proof.profile != "none" else None,
        job=choices.taking.choice if choices.taking else None,
        siblings=others,
        cache=runs.home() / "cache",
    )


def _first_beat(folder: Path, identity: Identity, recipe: Recipe) -> None:
    """Let everyone see the peer's name before its process has imported anything."""
    beat = heartbeat.read(folder / heartbeat.FILE) or Heartbeat()
    beat.name, beat.rounds, beat.state, beat.addresses = identity.name, recipe.run.rounds, "starting", []
    beat.write(folder / heartbeat.FILE)


def _reserved(run: Run, folder: Path, passphrase: str | None = None) -> Identity:
    if not run.reserve(folder):
        raise IdentityError(f"the identity in {folder} is in use by another run", "stop that one, or take another identity (--identity NAME)")
    return Identity.open(folder, passphrase)
