"""A member that only attacks: `python tests/hostile_peer.py INVITE FOLDER`.

It joins a running swarm with a real session and a real network, fetches the recipe as any joiner does, and then plays its attacks in
rotation until it is killed. Every line it prints is JSON: its own name, rounds of attacks done, and how often each kind landed.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgpack
from test_network_hostile import framed, on_loop, shelf_wire, store_at

from swarm import invite, recipe, seeds
from swarm.groups import Group, Rollout, pack
from swarm.identity import Identity
from swarm.network import Network, NetworkSettings, line
from swarm.network.directory import bucket_key, subkey_of
from swarm.recipe import MAX_BYTES
from swarm.records import Entry, Shelf, read
from swarm.tasks.mix import Mix

LANDED_S = 15.0  # how long an attack is given to be noticed before the next one
PAUSE_S = 0.5
GIGABYTE = 2**30
HUGE = 10.0**30


class Attacker:
    """The attacks, each named by what it publishes. All of them wait until both victims had a chance to fall for them."""

    def __init__(self, given: invite.Invite, folder: Path):
        self.session = Identity.open_or_create_local(folder / "identity").session(given.swarm, 86_400)
        terms = NetworkSettings(boot=given.addresses, poll=0.3, lifetime=60.0)
        self.network = Network(self.session, folder / "network", terms)
        self.network.start()
        self.rules = recipe.from_bytes(self.network.fetch(given.recipe_blob, MAX_BYTES))
        self.mix = Mix(self.rules)
        self.host = self.network._host
        self.host.daemon.node.protocol.record_validator = None  # our own node holds whatever we like
        self.asked: Counter[bytes] = Counter()
        self.lies: dict[bytes, bytes] = {}
        self._honest, self.host.store.get = self.host.store.get, self._served
        self.round = 0

    @property
    def victims(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(peer=heard.peer) for heard in self.network.status().heard]

    def forged_signatures(self) -> None:
        """Records of our own with one bit of the signature changed, stored at every victim."""
        wire = shelf_wire(self.session)
        self._store(subkey_of(read(wire, self.session.swarm, time.time(), kind=Shelf)), wire[:-1] + bytes([wire[-1] ^ 1]))

    def records_of_others(self) -> None:
        """A victim's shelf under our name in the DHT, and its card as our greeting."""
        for victim, other in itertools.permutations(self.victims, 2):
            card, wire = on_loop(self.network, self._card_and_shelf(other.peer))
            store_at(self.network, victim, self._place(), self.session.operator + self.session.peer, wire, time.time() + 30)
            on_loop(self.network, self._greet(victim.peer, card))

    def gigabyte_claims(self) -> None:
        """Announcements, well signed, of blobs that no recipe allows."""
        self.round += 1
        self.host.shelf._entries = [Entry("answer", self.round, os.urandom(32), GIGABYTE + i) for i in range(3)]
        self.network._soon(self.host.published)
        time.sleep(2.0)

    def huge_rewards(self) -> None:
        """Groups that bring their own rewards, beside every rollout and behind the group."""
        self._publish(lambda group: [*group[:6], [[*rollout, HUGE] for rollout in group[6]], *group[7:]])
        self._publish(lambda group: [*group, [HUGE] * len(group[6])])

    def not_a_number(self) -> None:
        """Log-probabilities that are no numbers, or far above 0."""
        for value in (float("nan"), float("inf"), HUGE):

            def claimed(rollout: list, bad: float = value) -> list:
                return [*rollout[:2], struct.pack(f"<{len(rollout[1])}f", *[bad] * len(rollout[1])), *rollout[3:]]

            self._publish(lambda group, forge=claimed: [*group[:6], list(map(forge, group[6])), *group[7:]])

    def control_characters(self) -> None:
        """Groups in good form, half of their answers right, that would clear a screen, rename a window and open a chat turn."""
        self._publish(lambda group: group)

    def wrong_digests(self) -> None:
        """Other bytes than were announced, of the announced length."""
        self.round += 1
        blob = os.urandom(5000)
        digest = self.network.publish("answer", self.round, blob)
        self.lies[digest] = bytes(reversed(blob))
        self._wait(digest, 2 * len(self.victims))

    def rotation(self) -> Iterator[Callable[[], None]]:
        """One attack after the other, without end. Who serves a wrong digest is left alone for minutes, so that one comes last."""
        kinds = (self.forged_signatures, self.records_of_others, self.gigabyte_claims, self.huge_rewards, self.not_a_number)
        return itertools.cycle((*kinds, self.control_characters, self.wrong_digests))

    def _publish(self, forge: Callable[[list], list]) -> None:
        """Announce and serve a blob whose groups went through `forge`; wait until every victim has asked for it."""
        self.round += 1
        blob = msgpack.unpackb(pack("answer", self.round, self.rules.hash, [self._group(index) for index in range(self.rules.answer.questions)]))
        blob[4] = [forge(group) for group in blob[4]]
        self._wait(self.network.publish("answer", self.round, msgpack.packb(blob)), len(self.victims))

    def _group(self, index: int) -> Group:
        empty = Group("answer", self.session.peer, self.round, index, (), seed=self.rules.hash)
        question = self.mix.question(seeds.question_seed(self.rules.hash, self.rules.hash, empty.asker, self.round, index))
        half = self.rules.learn.group_size // 2
        texts = ["\x1b]0;owned\x07<user>\x00" + self.mix.gold(question)] * half + ["\x1b[2J\u202e>no"] * half
        return replace(empty, rollouts=tuple(Rollout(text, (1, 2, 3), (-0.1,) * 3, True) for text in texts))

    def _wait(self, digest: bytes, times: int) -> None:
        end = time.monotonic() + LANDED_S
        while self.asked[digest] < times and time.monotonic() < end:
            time.sleep(0.1)

    def _served(self, digest: bytes) -> bytes | None:
        self.asked[digest] += 1
        return self.lies.get(digest) or self._honest(digest)

    def _place(self) -> bytes:
        return bucket_key(self.session.swarm, 0, 0)

    def _store(self, subkey: bytes, wire: bytes) -> None:
        for victim in self.victims:
            store_at(self.network, victim, self._place(), subkey, wire, time.time() + 8)

    async def _card_and_shelf(self, peer: bytes) -> tuple[bytes, bytes]:
        """The wires of a victim's card and shelf, as it shows them to anyone."""
        shown = []
        meet = self.host.members.meet
        self.host.members.meet = lambda wire, peer: shown.append(wire) or meet(wire, peer)
        try:
            async with await self.host.collector.open(peer) as talk:
                return shown[-1], await talk.ask(line.SHELF)
        finally:
            self.host.members.meet = meet

    async def _greet(self, peer: bytes, card: bytes) -> None:
        reader, writer = await self.host.daemon.open(peer, line.protocol_name(self.session.swarm))
        writer.write(framed(card))
        await reader.read(4096)
        writer.close()


def main() -> None:
    attacker = Attacker(invite.parse(sys.argv[1]), Path(sys.argv[2]))
    done: Counter[str] = Counter()
    for attack in attacker.rotation():
        while len(attacker.victims) < 2:
            time.sleep(0.1)
        attack()
        done[attack.__name__] += 1
        rotations = min(done[name] for name in done) if len(done) == 7 else 0
        print(json.dumps({"name": attacker.session.name, "rotations": rotations, "done": done}), flush=True)
        if os.getppid() == 1:  # the test is gone
            break
        time.sleep(PAUSE_S)
    attacker.network.close()


if __name__ == "__main__":
    main()
