"""What a node must know of a chain: where it answers, which one it is, where the contracts lie.

`chain.json` in a folder holds it; an invite carries it as a short list. Nothing in it is secret unless the address of
the chain carries an access key, so the file is readable by its owner only and messages never show the path.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from swarm import disk, keys
from swarm.chain.rpc import check_url
from swarm.errors import ChainRefused, InputError

FILE = "chain.json"
MAX_BYTES = 4_096
NAMES = (
    "registry", "ledger", "vault", "court", "credit", "beacon", "anchor", "market", "delivery", "pioneer", "distributor", "models",
    "arbiter", "disputes",
)  # fmt: skip

# Chains whose money is real. The contracts are unaudited: nothing is sent there unless the user says so.
VALUABLE = {
    **{1: "Ethereum", 10: "OP Mainnet", 25: "Cronos", 56: "BNB Chain", 61: "Ethereum Classic", 100: "Gnosis", 130: "Unichain", 137: "Polygon"},
    **{143: "Monad", 146: "Sonic", 169: "Manta", 204: "opBNB", 250: "Fantom", 252: "Fraxtal", 288: "Boba", 324: "zkSync Era", 480: "World Chain"},
    **{999: "HyperEVM", 1088: "Metis", 1101: "Polygon zkEVM", 1284: "Moonbeam", 1285: "Moonriver", 1329: "Sei", 1868: "Soneium", 2741: "Abstract"},
    **{5000: "Mantle", 8217: "Kaia", 8453: "Base", 9745: "Plasma", 33139: "ApeChain", 34443: "Mode", 42161: "Arbitrum One", 42170: "Arbitrum Nova"},
    **{42220: "Celo", 43114: "Avalanche", 57073: "Ink", 59144: "Linea", 80094: "Berachain", 81457: "Blast", 167000: "Taiko", 534352: "Scroll"},
    **{747474: "Katana", 7777777: "Zora", 1313161554: "Aurora"},
}


def _address(text: str) -> str:
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise ValueError("not an address: 0x and 40 hex digits")
    fixed = keys.checksum(bytes.fromhex(text[2:]))
    if text != fixed and text[2:] not in (text[2:].lower(), text[2:].upper()):
        raise ValueError("an address with a typing error (its capitals are a checksum)")
    return fixed


def _url(text: str) -> str:
    try:
        check_url(text)
    except InputError as error:
        raise ValueError(str(error)) from None
    return text


Address = Annotated[str, AfterValidator(_address)]


class Contracts(BaseModel):
    """Where the contracts lie, as 0x addresses with checksum."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    registry: Address
    ledger: Address
    vault: Address
    court: Address
    credit: Address
    beacon: Address
    anchor: Address
    market: Address
    delivery: Address
    pioneer: Address
    distributor: Address
    models: Address
    arbiter: Address
    disputes: Address

    @property
    def places(self) -> dict[str, bytes]:
        """The addresses as 20 bytes each, by name."""
        return {name: bytes.fromhex(getattr(self, name)[2:]) for name in NAMES}

    @property
    def packed(self) -> bytes:
        """All addresses one after the other."""
        return b"".join(self.places.values())


class ChainLink(BaseModel):
    """A chain and the contracts on it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_url)]
    chain_id: int = Field(ge=1, lt=2**53)
    contracts: Contracts
    since: int = Field(0, ge=0, lt=2**53, description="Block before which there is nothing of these contracts.")
    embedded: bool = Field(False, description="The chain is one process on one member's machine, which could rewrite it.")

    def save(self, path: Path) -> Path:
        """Write a folder's `chain.json`, or the file itself, readable by its owner only."""
        path = path / FILE if path.is_dir() else path
        disk.replace(path, self.model_dump_json(indent=1).encode())
        os.chmod(path, 0o600)
        return path

    def at(self, url: str) -> Self:
        """The same chain under another address, such as the one that others reach it by."""
        return type(self).model_validate(self.model_dump() | {"url": url})

    def compact(self) -> list[object]:
        """For an invite: [address, chain id, contracts (20 bytes each), since, embedded]."""
        return [self.url, self.chain_id, self.contracts.packed, self.since, self.embedded]

    @classmethod
    def from_compact(cls, value: object) -> Self:
        """From an invite of anyone. Raises InputError where it has another form."""
        forms = (str, int, bytes, int, bool)
        good = isinstance(value, list) and len(value) == 5 and all(type(entry) is form for entry, form in zip(value, forms, strict=True))
        if not good or len(value[2]) != 20 * len(NAMES):
            raise InputError("the invite names a chain in a form that no invite has", "ask for a new one")
        places = {name: "0x" + value[2][20 * index : 20 * index + 20].hex() for index, name in enumerate(NAMES)}
        return _validate(cls, dict(url=value[0], chain_id=value[1], contracts=places, since=value[3], embedded=value[4]), "the invite's chain")


def load(path: Path) -> ChainLink:
    """The link in a file, or in a folder's `chain.json`. Raises InputError saying what is wrong with it."""
    path = path / FILE if path.is_dir() else path
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"there is no {path}", "`swarm chain deploy` writes one; `swarm up` makes a local chain by itself") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{path} has more than {MAX_BYTES} bytes", "that is no file of `swarm chain deploy`")
    return _validate(ChainLink, data, str(path))


def check_unaudited(chain_id: int, accepted: bool) -> None:
    """Refuse chains whose money is real unless the user has accepted that the contracts are unaudited."""
    if chain_id in VALUABLE and not accepted:
        what = f"chain {chain_id} is {VALUABLE[chain_id]}: money there is real, and these contracts have not been audited by anyone"
        raise ChainRefused(what, "use a local or test chain; if you accept losing everything you send there, add --i-accept-unaudited", "Unaudited")


def _validate(cls: type[ChainLink], value: object, where: str) -> ChainLink:
    try:
        return cls.model_validate_json(value) if isinstance(value, bytes) else cls.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise InputError(f"{where}: {place}: {first['msg'].removeprefix('Value error, ')}", "`swarm chain deploy` writes such a file") from None
