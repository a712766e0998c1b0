"""A faucet sybil: very many identities with stake from the faucet, which nobody invited and which never worked. They want seats."""

from __future__ import annotations

from benchmarks.cheats.conduct import AUDITOR, Honest
from benchmarks.cheats.ground import Ground
from benchmarks.cheats.play import Member, Play
from swarm import keys
from swarm.chain.anvil import WEI


class Sybils(Honest):
    """The member itself is honest; the identities behind it only stake."""

    name, role, earns = "faucet sybils", AUDITOR, False

    def __init__(self, recorded: object, steps: int, identities: int = 1000):
        super().__init__(recorded, steps)
        self.identities, self.keys = identities, []

    def crowd(self, ground: Ground) -> None:
        """Register and stake all of them, before the plays."""
        operators = [keys.keccak(b"sybil", number.to_bytes(4, "big"))[:20] for number in range(self.identities)]
        peers = [keys.keccak(b"sybil's peer", operator) for operator in operators]
        swarm, stake, vault = ground.swarm.id, ground.swarm.terms.minStake, ground.chain.address("vault")
        self.keys = [ground.swarm.key(operator, peer) for operator, peer in zip(operators, peers, strict=True)]
        for operator in operators:
            ground.rpc("anvil_setBalance", keys.checksum(operator), hex(10 * WEI))
        ground.rpc("anvil_autoImpersonateAccount", True)
        pairs = list(zip(operators, peers, strict=True))
        ground.flood([(o, "registry", "register", (swarm, p, keys.checksum(o))) for o, p in pairs])
        ground.flood([(o, "ledger", "enter", (swarm, keys.checksum(o), p)) for o, p in pairs])
        ground.flood([(o, "credit", "faucet", (stake,)) for o, _ in pairs])
        ground.flood([(o, "credit", "approve", (vault, stake)) for o, _ in pairs])
        kind = getattr(ground.swarm.stake(ground.swarm.members()[0]), "class")
        ground.flood([(o, "vault", "stake", (key, stake, kind)) for o, key in zip(operators, self.keys, strict=True)])
        ground.rpc("anvil_autoImpersonateAccount", False)
        assert all(ground.swarm.stake(key).active == stake for key in (self.keys[0], self.keys[-1])), "the sybils could not stake"

    def after(self, play: Play, me: Member) -> None:
        """Count what they got: weight, and seats in the panels of all cases."""
        mine = set(self.keys)
        seats = sum(len(mine & set(play.swarm.panel(case.header.key, case.header.epoch))) for case in play.closed)
        weight = sum(play.chain.read("vault", "weightAt", key, 0) for key in self.keys[:: max(1, len(self.keys) // 50)])
        self.note = f"{len(mine)} identities, weight {weight}, {seats} seats"
