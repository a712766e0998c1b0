"""A submission: from a recipe and a budget to a posted job, in steps that are each done once, whatever is interrupted.

    $SWARM_HOME/jobs/<first 12 of the id>/   run.json recipe.json posting.json chain/chain.json
        peer-0/   session.bin node.json serve.json wanted.json hello.json network/    of the seeder

The id is fixed before anything is sent, and every step first looks at the chain whether it is done, so the same command goes on where an
earlier one was cut off: a swarm is created once, an offer is posted once, and the escrow is paid once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from blake3 import blake3

from swarm import addresses, disk, enrolment, heartbeat, keys, keystore, launch, runs, supply
from swarm.chain import check, link
from swarm.chain.client import Chain, Swarm
from swarm.chain.values import JobPhase, amount
from swarm.enrolment import Hello
from swarm.errors import ChainRefused, IdentityError, InputError, NetworkError, Refused, ResourceError, StateError
from swarm.identity import Identity
from swarm.jobs import seeder
from swarm.jobs.book import ROLE
from swarm.jobs.brief import Brief, Estimate, File
from swarm.jobs.offer import Offer
from swarm.launch import Choices
from swarm.proof.replayer import ReplayerProcess
from swarm.recipe import Recipe
from swarm.runs import Run
from swarm.stake import supplying
from swarm.supervisor import Child

FOLDER, POSTING = "jobs", "posting.json"
SEEDER = (sys.executable, "-m", "swarm.cli", "seeder")
LOCAL = "submitter"  # identities of local submitters: apart from those that train and audit on the same machine
SHORT = 12
LOAD_S, UP_S = 300.0, 120.0
REVIVE_S = 10.0  # an identity that a killed seeder still holds is free by then

Say = Callable[[str], None]


@dataclass(frozen=True)
class Posting:
    """What was decided when the submission began; the offer's deadline counts from when it is posted."""

    offer: Offer
    files: tuple[tuple[File, Path], ...]
    estimate: Estimate
    folder: Path = Path()  # where the recipe's local files lie
    salt: bytes = bytes(32)
    evaluation: Path | None = None

    def write(self, folder: Path) -> None:
        offer = {name: _out(value) for name, value in asdict(self.offer).items()}
        files = [[file.role, file.path, file.digest.hex(), file.size, str(path)] for file, path in self.files]
        value = {"offer": offer, "files": files, "estimate": asdict(self.estimate), "salt": self.salt.hex()}
        value |= {"evaluation": self.evaluation, "folder": self.folder}
        keystore.write_private(folder / POSTING, json.dumps(value, default=str).encode())  # the salt hides the evaluation

    @classmethod
    def read(cls, folder: Path) -> Posting:
        """Raises StateError where it is missing or damaged."""
        try:
            value = json.loads((folder / POSTING).read_bytes())
            offer = {name: bytes.fromhex(said) if name in ("evaluation", "machine") else said for name, said in value["offer"].items()}
            files = tuple((File(role, path, bytes.fromhex(digest), size), Path(where)) for role, path, digest, size, where in value["files"])
            evaluation = Path(value["evaluation"]) if value["evaluation"] else None
            return cls(Offer(**offer), files, Estimate(**value["estimate"]), Path(value["folder"]), bytes.fromhex(value["salt"]), evaluation)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateError(f"{folder / POSTING} is damaged ({type(error).__name__})", "begin another submission with --fresh") from None


def evaluation_of(path: Path) -> tuple[bytes, bytes]:
    """Digest of an evaluation's file, and a fresh salt for it. Raises InputError."""
    from swarm.jobs.exam import Exam

    try:
        data = path.read_bytes()
        Exam.read(data)
    except OSError as error:
        raise InputError(f"--evaluation {path}: {error.strerror}", "a file of JSON lines, each with question and answer") from None
    except Refused as refused:
        raise InputError(f"--evaluation {path}: {refused}", 'one a line: {"question": "2+3", "answer": "5", "scorer": "numeric"}') from None
    return blake3(data).digest(), os.urandom(32)


def commitment(digest: bytes, salt: bytes) -> bytes:
    """keccak256(abi.encode(digest, salt)): what hides an evaluation until it is opened."""
    return keys.keccak(digest, salt)


class Submission:
    """One job's submission in its run folder; `begin` or `find`, then `prepare`, `measure`, `announce`, `post`."""

    def __init__(self, run: Run, posting: Posting):
        self.run, self.posting = run, posting
        self.id = bytes.fromhex(run.info.swarm)
        self.folder = run.peer(0)
        self.child = Child(0, self.folder, SEEDER)
        self._revive_at = 0.0

    @classmethod
    def begin(cls, recipe: Recipe, posting: Posting) -> Submission:
        info = runs.begin(recipe).model_copy(update={"kind": "job"})
        run = Run.create(runs.home() / FOLDER / info.swarm[:SHORT], info)
        run.keep_recipe(recipe)
        posting.write(run.folder)
        return cls(run, posting)

    @classmethod
    def find(cls, recipe: Recipe | None = None, job: bytes | None = None) -> Submission | None:
        """The newest unfinished submission of this recipe, or that of a job, locked. Raises ResourceError where another process has it."""
        found = [Run.read(file.parent) for file in (runs.home() / FOLDER).glob(f"*/{runs.FILE}")]
        for run in sorted(found, key=lambda run: run.info.created, reverse=True):
            same = recipe is not None and run.info.recipe_hash == recipe.hash.hex() and run.info.finished is None
            if run.info.kind == "job" and (same or (job is not None and run.info.swarm == job.hex())) and (run.folder / POSTING).exists():
                run.lock()
                run.update(supervisor=os.getpid())
                return cls(run, Posting.read(run.folder))
        return None

    @cached_property
    def recipe(self) -> Recipe:
        return self.run.recipe()

    @property
    def short(self) -> str:
        """The job's id as people type it."""
        return self.run.info.swarm[:SHORT]

    def belongs(self, chain: Chain) -> bool:
        """Whether the submission was begun on this chain, with these contracts; one that was bound to none belongs to any."""
        if not (self.run.chain / link.FILE).exists():
            return True
        kept = link.load(self.run.chain)
        return (kept.chain_id, kept.contracts) == (chain.link.chain_id, chain.link.contracts)

    def bind(self, chain: Chain) -> None:
        """A submission belongs to one chain for good. Raises InputError where it was begun on another."""
        if not self.belongs(chain):
            what = f"the submission in {self.run.folder} was begun on another chain than {chain.link.chain_id}, or with other contracts"
            raise InputError(what, "give the same --rpc and --contracts, or begin another with --fresh")
        chain.link.save(self.run.chain)

    def finish(self) -> None:
        """The job is over: the same recipe begins another from now on."""
        self.run.update(finished=time.time())

    def identity(self, choices: Choices) -> Identity:
        """Whose job it is, reserved for this process: the chosen identity, the one it was begun with, or a free local submitter."""
        if choices.identity is not None:
            return launch.identities(self.run, choices)[0]
        folder = runs.home() / "identities"
        for name in self.run.info.identities or [f"{LOCAL}-{number}" for number in range(launch.MAX_LOCAL)]:
            if self.run.reserve(folder / name):
                opened = Identity.open_or_create_local(folder / name)
                self.run.update(identities=[name])
                return opened
        raise IdentityError(f"the identity {self.run.info.identities[0]} is in use by another process", "stop that one first")

    def prepare(self, choices: Choices, member: Identity) -> None:
        """Write what the seeder and the replayer read."""
        launch.prepare_fetch(self.run, replace(choices, recipe_folder=self.posting.folder), member)
        supply.from_beside(self.run, self.recipe, self.posting.folder)
        self.serve([path for _, path in self.posting.files])

    def serve(self, paths: list[Path]) -> None:
        """The files that the seeder hands out from now on."""
        disk.replace(self.folder / seeder.SERVE, json.dumps(list(map(str, paths))).encode())

    def measure(self, say: Say) -> Hello:
        """The root of the start state and the class of this machine, computed once by the replayer as every member computes them."""
        if (known := Hello.read(self.folder)) is not None:
            return known
        say("loading the model to compute the root it starts from (about 15 s)")
        process, end = ReplayerProcess(self.folder), time.monotonic() + LOAD_S
        process.start()
        try:
            while not process.ready:
                if time.monotonic() > end or process.ended:
                    what = "the replayer ended before it had loaded" if process.ended else f"the replayer did not load within {LOAD_S:.0f} s"
                    raise ResourceError(what, f"its log is {self.folder / 'replayer.txt'}")
                time.sleep(0.1)
            hello = Hello(bytes.fromhex(process.hello["class"]), bytes.fromhex(process.hello["base"]))
        finally:
            process.close()
        hello.write(self.folder)
        return hello

    def announce(self, say: Say) -> list[str]:
        """Start the seeder; where it can be dialled, the farthest reaching first. Raises NetworkError saying why it does not come up."""
        say("starting the seeder: it serves the recipe and its files, and is the first peer others dial")
        end = time.monotonic() + UP_S
        while time.monotonic() < end:
            self.tend()
            beat = heartbeat.read(self.folder / heartbeat.FILE)
            if self.child.alive and beat is not None and beat.pid == self.child.pid and beat.addresses:
                order = ("public", "private", "loopback")
                return sorted(beat.addresses, key=lambda address: order.index(addresses.scope(address)))
            time.sleep(0.2)
        cause = self.child.ended.cause if self.child.ended else f"no address within {UP_S:.0f} s"
        raise NetworkError(f"the seeder does not come up: {cause}", f"its log is {self.folder / 'log.txt'}")

    def tend(self) -> str:
        """Keep the seeder running; why it has just ended, where it has. One that would not start any more is begun anew a while later."""
        now = time.monotonic()
        if self.child.view(now).final and self.child.ended is not None and now >= self._revive_at:
            self.child, self._revive_at = Child(0, self.folder, SEEDER), now + REVIVE_S
        self.child.start_if_due(now)
        ending = self.child.reap(now)
        return f"the seeder {ending.cause}; it is started again" if ending is not None else ""

    def close(self) -> None:
        self.child.stop(time.monotonic() + 10)
        self.run.update(supervisor=None)

    def create(self, chain: Chain, member: Identity, hello: Hello, say: Say) -> None:
        """Create the job's swarm, unless it is there. Raises ChainRefused."""
        swarm = Swarm(chain, self.id)
        if (there := swarm.record()).creator == bytes(20):
            places = chain.link.contracts
            wanted = enrolment.terms(self.recipe.proof, places.credit, places.beacon, faucet=False)
            chain.send(member.secret, "registry", "createSwarm", self.id, self.recipe.hash, hello.base, wanted, b"")
            say(f"swarm {self.short} is created: epochs of {self.recipe.proof.epoch} s")
        elif there.creator != member.address:
            raise ChainRefused(f"swarm {self.short} is somebody else's", "begin another submission with --fresh", "SwarmExists")

    def post(self, chain: Chain, member: Identity, found: list[str], say: Say) -> None:
        """Put the escrow in and post the offer, unless it is posted. Raises ChainRefused."""
        if self.phase(chain) != JobPhase.UNKNOWN:
            return
        offer = self.posting.offer.at(chain.head().time)
        cost = chain.read(ROLE, "costOf", offer, self.recipe.proof.drawn)
        blob = bytes.fromhex(self.run.info.recipe_blob)
        brief = Brief(self.run.info.recipe, self.recipe.about, blob, tuple(found), self.files, self.posting.estimate)
        free = chain.link.embedded and check.is_credit(chain.rpc, chain.link)
        for call in supplying(chain, member.address, cost, free, member.name, ROLE):
            chain.send(member.secret, call.role, call.function, *call.args)
            say(call.what)
        chain.send(member.secret, ROLE, "post", self.id, offer, brief.pack())
        say(f"job {self.short} is posted: {amount(cost)} credits are in escrow")

    @property
    def files(self) -> tuple[File, ...]:
        return tuple(file for file, _ in self.posting.files)

    def phase(self, chain: Chain) -> JobPhase:
        return JobPhase(chain.read(ROLE, "phaseOf", self.id))

    def decide(self, hello: Hello, any_class: bool) -> None:
        """Fix the class of those who may solve the job, before it is posted."""
        self.posting = replace(self.posting, offer=replace(self.posting.offer, machine=bytes(32) if any_class else hello.machine))
        self.posting.write(self.run.folder)


def _out(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
