"""A swarm on a real chain whose members commit, are audited and settled by hand, and the runs and commands that look at it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chains import CLASS, Member

from swarm import cli, errors, keys, recipe, runs, score
from swarm.chain.book import Book
from swarm.chain.values import Verdict
from swarm.proof.epoch import Epoch
from swarm.proof.leaf import Leaf

MOST = 3000  # units that count in an epoch
TIMES = dict(epoch=3000, grace=2000, beacon=200, audit=600, reveal=600, challenge=300, unbonding=10**6, ring=16)
RULES = recipe.load("local", ["judge.profile=none"])


@dataclass
class Town:
    """A swarm whose epoch 0 is over: who is who, its blobs by digest, and where they should lie for the commands."""

    world: object
    swarm: object
    people: dict[str, Member]
    blobs: dict[bytes, bytes]

    def book(self) -> Book:
        return Book(self.world.chain, self.swarm.id)

    def find(self, digest: bytes, limit: int) -> bytes | None:
        return self.blobs.get(digest)

    def scores(self, epoch: int = 0, blobs=None) -> dict[str, score.Score]:
        names = {member.address: name[0] for name, member in self.people.items()}
        return {names[each.operator]: each for each in score.of_epoch(self.book(), epoch, blobs or self.find)}


def enrol(world, swarm, member: Member, stake: int) -> Member:
    """Register and enter an operator's peer; with `stake` it also gets weight."""
    member = replace(member, key=swarm.key(member.address, member.peer), tips=[])
    sends = [("registry", "register", swarm.id, member.peer, member.agent), ("ledger", "enter", swarm.id, member.address, member.peer)]
    if stake:
        sends += [("credit", "faucet", stake), ("credit", "approve", world.chain.address("vault"), stake)]
        sends += [("vault", "stake", member.key, stake, CLASS)]
    for role, function, *args in sends:
        world.chain.send(member.secret, role, function, *args)
    return member


def an_epoch(swarm, member: Member, number: int, first: bytes, total: int, heard: list[Member]) -> Epoch:
    """Records of two steps of `total` units together, with made-up roots in between."""
    roots = [first, keys.keccak(b"middle", member.key), keys.keccak(b"last%d" % number, member.key)]
    zero = bytes(32)

    def leaf(step: int, units: int) -> Leaf:
        head = (swarm.id, member.peer, number, zero, step, 0, step + 1, 0, roots[step])
        return Leaf(*head, zero, zero, zero, CLASS, 0, 1, 1, units, zero, roots[step + 1])

    names = tuple(sorted(other.peer for other in heard))
    return Epoch(swarm.id, member.peer, member.address, number, (leaf(0, total // 2), leaf(1, total - total // 2)), (zero, zero), names)


def commit(town: Town, who: str, epoch: Epoch, kept: bool = True, root: bytes | None = None) -> dict:
    """Commit an epoch; returns the header. `kept`: its blob is public."""
    member, units = town.people[who], min(epoch.units, MOST)
    fields = (member.key, epoch.number, 2, units, root or epoch.root, epoch.last, epoch.digest)
    town.world.chain.send(member.session, "ledger", "commit", *fields)
    if kept:
        town.blobs[epoch.digest] = epoch.pack()
    names = ("key", "epoch", "steps", "units", "root", "first", "last", "data")
    return dict(zip(names, (*fields[:5], epoch.first, *fields[5:]), strict=True))


def audited(town: Town, headers: list[dict]) -> None:
    """Every seat of every panel says ok; ends in the challenge window. The chain is in the audit phase at the start."""
    chain, by_key = town.world.chain, {member.key: member for member in town.people.values()}
    salt, ballots = bytes(32), []
    for header in headers:
        for key in town.swarm.panel(header["key"], header["epoch"]):
            auditor = by_key[key]
            where = (header["key"], header["epoch"], 0)
            said = (int(Verdict.OK), 0, keys.keccak(b"value"), salt)
            chain.send(auditor.session, "court", "commitVerdict", key, *where, chain.read("court", "verdictHash", auditor.address, *where, *said))
            ballots.append((auditor, key, header, said))
    to(town, town.swarm.times(0)[1])
    for auditor, key, header, said in ballots:
        chain.send(auditor.session, "court", "revealVerdict", key, header, 0, *said)


def to(town: Town, moment: int) -> None:
    """Move the chain's time on."""
    if (wait := moment + 1 - town.world.chain.head().time) > 0:
        town.world.skip(wait)


def a_run(town: Town, folder, rules) -> runs.Run:
    found = runs.begin(rules).model_copy(update={"swarm": town.swarm.id.hex()})
    run = runs.Run.create(folder, found)
    run.keep_recipe(rules)
    run.unlock()
    town.world.link.save(run.chain)
    for index, (digest, data) in enumerate(town.blobs.items()):
        store = run.peer(index) / "network" / "blobs"
        store.mkdir(parents=True)
        (store / digest.hex()).write_bytes(data)
    return run


def command(capsys, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    capsys.readouterr()
    code = 0
    try:
        with errors.boundary():
            cli.app(args=list(words), prog_name="swarm")
    except SystemExit as end:
        code = int(end.code or 0)
    return code, *capsys.readouterr()
