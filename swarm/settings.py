"""What a node process is told: `node.json` in its folder, written by the supervisor, read by `swarm.node`.

The node process never sees the operator key: the session file holds a signed card and a session key only. Limits here
are this peer's share of what the whole command may use.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm import heartbeat
from swarm.errors import InputError, StateError
from swarm.limits import Limits

if TYPE_CHECKING:
    from swarm.recipe import Recipe

FILE = "node.json"
Maddr = Annotated[str, Field(max_length=300)]


class NetworkChoice(BaseModel):
    """How the node meets others, in the words of `swarm.network.NetworkSettings`. Addresses are multiaddresses."""

    model_config = ConfigDict(extra="forbid")

    listen: list[Maddr] = Field(["/ip4/127.0.0.1/tcp/0"], description="Where to listen; tcp/0 means `port`.")
    port: int = Field(0, ge=0, le=65_535, description="0 takes any and keeps it over restarts.")
    announce: list[Maddr] = Field([], description="What to tell others instead, for example behind a forwarded port.")
    boot: list[Maddr] = Field([], description="Members to dial first; peers that worked are remembered beside these.")
    client: bool = Field(False, description="Only dial, never listen.")
    relay: bool = Field(True, description="Be reached through relays, and be one where others can reach this peer.")
    trusted_relays: list[Maddr] = Field([], description="Relays to use; the boot peers where empty.")
    ban_file: Path | None = Field(None, description="File with one peer id or operator address a line that is never talked to.")

    def for_network(self) -> dict[str, Any]:
        """Arguments of `swarm.network.NetworkSettings`, apart from limits."""
        return {name: tuple(value) if isinstance(value, list) else value for name, value in self.model_dump().items()}


class JobChoice(BaseModel):
    """What a node does for a job of the compute market, whose swarm it is in."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["solver", "verifier"] = Field(description="A solver trains the part that its operator claims; a verifier trains nothing.")
    until: float | None = Field(None, description="Unix time after which its owner wants no more work begun.")


class NodeSettings(BaseModel):
    """Everything a node process needs beside what lies in its own folder."""

    model_config = ConfigDict(extra="forbid")

    index: int = Field(0, ge=0, description="Place among the peers of this run, from 0.")
    recipe: Path = Field(description="File with the recipe's canonical bytes.")
    recipe_folder: Path | None = Field(None, description="Where local files that the recipe names are; None on a joined swarm without code.")
    recipe_blob: str = Field(pattern=r"^[0-9a-f]{64}$", description="BLAKE3 of those bytes: what members serve and a joiner fetches.")
    session: Path = Field(description="File with the session this process signs with.")
    swarm: str = Field(pattern=r"^[0-9a-f]{64}$", description="Id of the swarm, hex.")
    rounds: int = Field(ge=1, description="Stop after this many rounds.")
    specialty: int = Field(-1, ge=-1, description="Index of the task this peer draws from where the recipe has specialists; -1 is all.")
    trusted: bool = Field(False, description="The recipe is the user's own: its Python tasks run in this process.")
    allow_code: str | None = Field(None, description="SHA-256 of a joined recipe's Python task that may run, sandboxed.")
    alone: bool = Field(False, description="The comparison run: nothing shared, nobody dialled.")
    cpu_s: float | None = Field(None, gt=0, description="Stop when this many processor seconds are used (the comparison run).")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda:\d+)$", description="Where the model lies.")
    threads: int = Field(1, ge=1, description="Threads of one PyTorch operation; part of the determinism class.")
    limits: Limits = Limits()
    cores_of_run: float | None = Field(None, gt=0, description="Cores that all peers of the run may use together (--max-cpu).")
    network: NetworkChoice = NetworkChoice()
    chain: Path | None = Field(None, description="Folder with chain.json and schedule.json of the swarm's chain, where its steps are proved.")
    job: JobChoice | None = Field(None, description="Where this is a member of a job's swarm.")
    siblings: list[Path] = Field([], description="Heartbeat files of the other peers of this run on this machine, by index.")
    cache: Path = Field(description="Folder for converted models, shared by all peers of this machine.")

    def save(self, folder: Path) -> None:
        """Write `node.json` whole, readable by its owner only."""
        part = folder / (FILE + ".part")
        part.touch(mode=0o600)
        part.write_text(self.model_dump_json(indent=1))
        os.replace(part, folder / FILE)

    def torch_device(self, rules: Recipe) -> str:
        """The device itself: `auto` is a GPU where PyTorch sees one (peers take turns), else the CPU. Loads PyTorch. Raises InputError for a GPU
        where the recipe's numerics are canonical."""
        if rules.proof.profile == "canonical" and self.device.startswith("cuda"):
            what = f"--device {self.device}: canonical numerics run on the processor"
            raise InputError(what, "leave --device out, or take a recipe with proof.profile = pinned")
        if self.device != "auto" or rules.proof.profile == "canonical":
            return self.device.replace("auto", "cpu")
        import torch

        return f"cuda:{self.index % torch.cuda.device_count()}" if torch.cuda.is_available() else "cpu"

    def boot_addresses(
        self, timeout_s: float = 120.0, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> list[str]:
        """Addresses to dial first: the given ones and those of siblings that are up.

        Waits until there is one. The first peer that is not done begins alone (an empty list), so that no two wait for each
        other; after `timeout_s` so does everyone.
        """
        end = clock() + timeout_s
        while True:
            beats = [beat if (beat := heartbeat.read(file)) and beat.state not in ("done", "failed") else None for file in self.siblings]
            found = [*self.network.boot, *(address for beat in beats if beat is not None for address in beat.addresses)]
            if found or self.alone or not any(beats[: self.index]) or clock() >= end:
                return found
            sleep(0.2)


def load(folder: Path) -> NodeSettings:
    """Read `node.json` of a peer's folder. Raises StateError where it is missing or damaged."""
    try:
        return NodeSettings.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        raise StateError(f"{folder} holds no {FILE}", "a node is started by `swarm up` or `swarm join`, which write it") from None
    except ValidationError as error:
        what = f"{folder / FILE} is damaged: {error.errors()[0]['msg']}"
        raise StateError(what, "run `swarm up` or `swarm join` again, which write it anew") from None
