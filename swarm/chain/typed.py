"""EIP-712: a signature over named fields for one contract on one chain, as wallets show it."""

from __future__ import annotations

from typing import Any

_DOMAIN = [("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address")]
Fields = list[tuple[str, str]]


def sign(name: str, chain_id: int, contract: str, kind: str, fields: Fields, message: dict[str, Any], secret: bytes) -> bytes:
    """65-byte signature over `message` of type `kind` with these fields; `name` and `contract` (0x address) are those of the domain."""
    from eth_account import Account

    place = {"name": name, "version": "1", "chainId": chain_id, "verifyingContract": contract}
    used = {"EIP712Domain": _DOMAIN, kind: fields}
    types = {each: [{"name": field, "type": form} for field, form in rows] for each, rows in used.items()}
    full = {"types": types, "primaryType": kind, "domain": place, "message": message}
    return bytes(Account.sign_typed_data(secret, full_message=full).signature)
