"""Averaging of weights among peers of one model, every H rounds, off unless the recipe says so.

hivemind's averager forms a group and computes its mean in a butterfly: each member adds up one part of the vector for all
(Ryabinin et al. 2021, arXiv 2103.03239). Nothing that comes back is believed: a group with somebody who is no member is
refused, and `blend` bounds what the mean may do. The change is recorded, so that anyone with the state before it and the
blob of the mean can compute the state after it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from swarm.errors import NetworkError, Refused
from swarm.learn.blend import RULE, Tensors, blend, norm
from swarm.learn.claims import Claim, read_claim, write_claim
from swarm.learn.root import Scalar, state_root
from swarm.learn.state import restore, tensors_of
from swarm.learn.step import OptimizerState, trainable
from swarm.records import AverageEvent
from swarm.sections import Average
from swarm.session import Session

if TYPE_CHECKING:
    import torch

STARTS_WITHIN_S = 180.0  # imports alone take 15 on a busy home machine
JOINS_WITHIN_S = 30.0
PATIENCE_S = 5.0  # silence after which a group goes on without a member
ROOT = Path(__file__).resolve().parents[2]  # where the child finds this package, installed or not
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class Averaged:
    """One averaging that changed the weights: its event, the blob that the event names, and who was in the group."""

    event: AverageEvent
    blob: bytes
    members: tuple[Claim, ...]
    change: float  # norm of the applied change as a share of the weights' norm


class Averager:
    """The node's end of the averaging process, which is started when it is needed and again after it died or hung.

    `initial_peers` are addresses of other averagers (`addresses`), one of which must answer; none for the first, and `join` adds more.
    `host_maddrs` is where this one listens, for example `/ip4/0.0.0.0/tcp/0`, and `announce_maddrs` what it tells others where that
    differs.
    """

    command = (sys.executable, "-m", "swarm.learn.averager")

    def __init__(
        self,
        swarm: bytes,
        folder: Path,
        setting: Average,
        *,
        initial_peers: list[str],
        host_maddrs: list[str],
        announce_maddrs: list[str] | None = None,
    ):
        self.swarm, self.setting, self.folder = swarm, setting, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        matchmaking = min(3.0, setting.timeout / 3)
        self._start = {
            "prefix": f"average-{swarm.hex()[:32]}",
            "initial_peers": initial_peers,
            "host_maddrs": host_maddrs,
            "announce_maddrs": announce_maddrs,
            "matchmaking": matchmaking,
            "patience": PATIENCE_S,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.peer = b""  # 32 bytes: the averaging process's own libp2p identity
        self.addresses: list[str] = []  # where other averagers dial it

    def ready(self) -> None:
        """Start the process unless it runs, and wait until others can dial it. Raises NetworkError."""
        if self.running:
            return
        self.close()
        with open(self.folder / "averager.log", "ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **ENVIRONMENT},
                start_new_session=True,  # so that its own children can be ended with it
            )
        said = self._ask(self._start, STARTS_WITHIN_S)
        self.peer, self.addresses = bytes.fromhex(said["peer"]), said["addresses"]

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def join(self, addresses: list[str]) -> int:
        """Dial other averagers, and be known to them; how many answered. Raises NetworkError where the process died or hung."""
        return self._ask({"join": addresses}, JOINS_WITHIN_S)["joined"]

    def mean(self, tensors: Tensors, claim: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """The group's mean as a safetensors blob, and `(averager, claim)` of each member in the group's order.

        Raises NetworkError where no group came about within the recipe's timeout, or the process is not running, died or hung.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        mine, result = self.folder / "own.safetensors", self.folder / "averaged.safetensors"
        request = {"tensors": str(mine), "averaged": str(result), "claim": claim.hex(), "timeout": self.setting.timeout}
        try:
            save_file({name: tensor.detach().cpu().float().contiguous() for name, tensor in tensors.items()}, mine)
            answer = self._ask(request, self.setting.timeout + 12 * PATIENCE_S)
            if "failed" in answer:
                raise NetworkError(f"no averaging: {answer['failed']}", "this is normal while no other peer averages")
            return result.read_bytes(), [(bytes.fromhex(peer), bytes.fromhex(said)) for peer, said in answer["members"]]
        except SafetensorError as error:
            raise NetworkError(f"no averaging: {mine} could not be written: {error}", "free some space") from None
        finally:
            mine.unlink(missing_ok=True)
            result.unlink(missing_ok=True)

    def close(self) -> None:
        """End the process and everything it started."""
        if self._process is None:
            return
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # its sign to end; it may be dead already
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # what is left of its group
        self._process.wait()
        self._process.stdout.close()
        self._process = None

    def _ask(self, request: dict[str, Any], within: float) -> dict[str, Any]:
        """Send one line, read one line. On silence or death the process is ended and NetworkError raised."""
        process, deadline, line = self._process, time.monotonic() + within, b""
        if process is None:
            raise NetworkError("the averaging process is not running", "call `ready` first")
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            while not line.endswith(b"\n"):
                ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
                piece = os.read(process.stdout.fileno(), 65_536) if ready else b""
                if not piece:
                    raise BrokenPipeError
                line += piece
        except BrokenPipeError:
            self.close()
            raise NetworkError("the averaging process ended or fell silent", f"see {self.folder / 'averager.log'}; it is started again") from None
        return json.loads(line)


def take_part(
    averager: Averager,
    model: torch.nn.Module,
    optimizer: OptimizerState | None,
    scalars: dict[str, Scalar],
    session: Session,
    round: int,
    revoked: Container[tuple[bytes, bytes]] = (),
) -> Averaged:
    """Average `model` with whoever does so now, in place. `scalars` as in `root.state_root`.

    Raises NetworkError (nobody came) or Refused (a stranger in the group, a mean that breaks a rule); the model is
    unchanged then. Momentum stays the own one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    averager.ready()
    own = trainable(model)
    before = state_root(tensors_of(model, optimizer), scalars)
    blob, group = averager.mean(own, write_claim(session, averager.peer, round, before))
    now = time.time()
    members = tuple(read_claim(claim, session.swarm, peer, now, revoked) for peer, claim in group)
    try:
        moved = blend(own, load(blob), averager.setting.max_change)
    except SafetensorError:
        raise Refused("malformed", "the mean does not parse") from None
    change = norm(moved[name].float() - own[name].detach().cpu().float() for name in own) / (norm(own.values()) or 1.0)
    restore(model, moved)
    event = AverageEvent(
        round=round,
        before=before,
        averaged=blake3(blob).digest(),
        rule=RULE,
        max_change=averager.setting.max_change,
        after=state_root(tensors_of(model, optimizer), scalars),
        inputs=tuple((member.peer, member.root) for member in members),
    )
    return Averaged(event, blob, members, change)
