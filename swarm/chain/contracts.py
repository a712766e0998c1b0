"""What the compiler made of contracts/: ABI and code of each contract, committed in contracts/artifacts, and what is deployed in which order.

`python -m swarm.cli chain deploy` sends them. The addresses follow from the sender and its transactions' numbers, so
each contract is told where the later ones will be, and a deployment that broke off is carried on under the same ones.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm import keys
from swarm.chain import abi
from swarm.chain.abi import Abi
from swarm.errors import ResourceError, StateError

FOLDER = Path(__file__).parents[2] / "contracts" / "artifacts"
KINDS = {
    "registry": "SwarmRegistry",
    "ledger": "ParticipationLedger",
    "vault": "StakeVault",
    "court": "AuditCourt",
    "credit": "Credit",
    "anchor": "JudgeAnchor",
    "market": "ComputeMarket",
    "delivery": "JobDelivery",
    "pioneer": "PioneerProgram",
    "distributor": "Distributor",
    "models": "ModelRegistry",
    "arbiter": "Arbiter",
    "disputes": "DisputeCourt",
}
BEACONS = {"commit-reveal": "CommitRevealBeacon", "block-hash": "BlockHashBeacon", "drand": "DrandBeacon"}
ORDER = (
    "credit", "registry", "beacon", "ledger", "vault", "court", "anchor", "market", "delivery", "pioneer", "distributor", "models",
    "arbiter", "disputes",
)  # fmt: skip
# The role that a constructor's parameter of this Solidity type is filled with.
_ROLES = {
    "contract ISwarmRegistry": "registry",
    "contract IParticipationLedger": "ledger",
    "contract IStakeVault": "vault",
    "contract IAuditCourt": "court",
    "contract ICredit": "credit",
    "contract IERC20": "credit",
    "contract IBeacon": "beacon",
    "contract IComputeMarket": "market",
    "contract IJobDelivery": "delivery",
    "contract IPioneerProgram": "pioneer",
    "contract IArbiter": "arbiter",
}


@dataclass(frozen=True)
class Artifact:
    """One compiled contract: `code` creates it, `runtime` is what lies on chain, with zeros for its immutables.

    `immutables` has a group for each immutable: the places in `runtime` (of 32 bytes) that its value is written to.
    """

    name: str
    abi: Abi
    code: bytes
    runtime: bytes
    immutables: tuple[tuple[int, ...], ...]


@functools.cache
def artifact(name: str) -> Artifact:
    """The contract of this Solidity name. Raises ResourceError where it is missing, StateError where it is damaged."""
    path = FOLDER / f"{name}.json"
    try:
        value = json.loads(path.read_bytes())
        return Artifact(name, Abi(value["abi"]), _code(value["bytecode"]), _code(value["deployedBytecode"]), _groups(value["immutables"]))
    except FileNotFoundError:
        raise ResourceError(f"{path} is missing", "it comes with the repository; `npm run build` in contracts/ makes it") from None
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"{path} is damaged ({error})", "fetch it from the repository again") from None


def kind_of(role: str, beacon: str = "commit-reveal") -> str:
    """The Solidity name of what fills a role of `ChainLink.contracts`."""
    return BEACONS[beacon] if role == "beacon" else KINDS[role]


def creation(role: str, places: dict[str, bytes], beacon: str = "commit-reveal") -> bytes:
    """Code and constructor arguments that create a role's contract, the others being at `places` (20 bytes each)."""
    made = artifact(kind_of(role, beacon))
    return made.code + abi.encode(made.abi.constructor(), _arguments(made, places), made.name)


def addresses(deployer: bytes, first: int) -> dict[str, bytes]:
    """Where the contracts will lie when `deployer` sends them from its transaction number `first` on."""
    return {role: created_at(deployer, first + index) for index, role in enumerate(ORDER)}


def created_at(sender: bytes, nonce: int) -> bytes:
    """Address of the contract that a sender's transaction creates: keccak256(rlp([sender, nonce]))[12:]."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    coded = number if len(number) == 1 and number[0] < 0x80 else bytes([0x80 + len(number)]) + number
    return keys.keccak(bytes([0xC0 + 21 + len(coded), 0x94]) + sender + coded)[12:]


def _arguments(made: Artifact, places: dict[str, bytes]) -> list[Any]:
    found = []
    for parameter in made.abi.constructor():
        role = _ROLES.get(parameter.get("internalType", "")) or parameter["name"].strip("_")
        if role not in places:
            raise StateError(f"{made.name} needs {parameter['name']} ({parameter.get('internalType')})", "it cannot be deployed from here")
        found.append(places[role])
    return found


def _groups(value: list[Any]) -> tuple[tuple[int, ...], ...]:
    """[[[start, 32], ...] of each immutable, ...]."""
    grouped = [group if isinstance(group[0], list) else [group] for group in value]
    if any(length != 32 for group in grouped for _, length in group):
        raise ValueError("an immutable of another size than 32 bytes")
    return tuple(tuple(start for start, _ in group) for group in grouped)


def _code(value: Any) -> bytes:
    text = value["object"] if isinstance(value, dict) else value
    return bytes.fromhex(text.removeprefix("0x"))
