"""The foreground of a posted job: what happens to it in lines, and what its submitter does by itself meanwhile.

While it is on, the seeder serves, the newest checkpoint of each part and every delivered model are fetched and kept, a delivered model that
passes its checks is confirmed, the evaluation is opened when it is due, and what is over is settled and withdrawn. All of it is done again,
or goes on, after an interruption; none of it is needed for anybody else to be paid.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

from swarm import modelbook, plan, runs
from swarm.chain.abi import Event
from swarm.chain.logs import Scanner
from swarm.chain.values import JobPhase, amount
from swarm.errors import ChainError, ChainRefused
from swarm.identity import Identity
from swarm.jobs import seeder
from swarm.jobs.book import DELIVERY, ROLE, Book, Job
from swarm.jobs.fetch import FINISHED, Finish, facts
from swarm.jobs.submit import Submission
from swarm.keys import checksum
from swarm.names import name_of
from swarm.recipe import Recipe
from swarm.supervisor import Child

LOOK_S, TRY_S = 1.0, 5.0
FINISH = (sys.executable, "-m", "swarm.cli", "finish")

Say = Callable[[str], None]


class Watch:
    """Follows one job of a submission until it is settled."""

    def __init__(self, submission: Submission, book: Book, member: Identity, say: Say):
        self.submission, self.book, self.member, self.say = submission, book, member, say
        self.chain, self.id = book.chain, submission.id
        self.names = Names(book)
        self._told = 0  # events of the job that were said
        self._checks: dict[bytes, Child] = {}  # of models that are being checked, by digest
        self._refused: set[bytes] = set()  # models that did not pass, and were said
        self._next_try = 0.0

    @property
    def job(self) -> Job:
        return self.book.found[self.id]

    def run(self, until_open: bool = False) -> None:
        """Until the job is settled and its money is back, or until it can be claimed. Ctrl-C and SIGTERM end what it started, and raise."""
        trouble = ""
        try:
            while True:
                try:
                    if self.over() or (until_open and self.is_open()):
                        return
                    self.turn(time.monotonic())
                    trouble = ""
                except ChainError as error:
                    if str(error) != trouble:
                        self.say(f"the chain does not answer, trying on: {error}")
                    trouble = str(error)
                time.sleep(LOOK_S)
        finally:
            for child in self._checks.values():
                child.stop(time.monotonic() + 5)

    def over(self) -> bool:
        """Whether the job is settled, that was said, and what came back is taken out."""
        settled = self.id in self.book.found and bool(self.job.named("Settled")) and self._told == len(self.job.events)
        return settled and not self.owed()

    def register(self) -> int:
        """Let the job's paid models wait for the model registry; how many are new."""
        with modelbook.opened(runs.home(), self.chain) as book:
            return book.add_job(self.id)

    def owed(self) -> int:
        """Wei that the market owes the submitter, of this job or another."""
        return self.chain.read(ROLE, "due", self.job.state.token, self.member.address)

    def is_open(self) -> bool:
        """Whether two members serve it by now."""
        return self.id in self.book.found and bool(self.job.named("Opened"))

    def turn(self, now: float) -> None:
        """One look: say what is new, and do what is due."""
        if said := self.submission.tend():
            self.say(said)
        self.book.look()
        if self.id not in self.book.found:
            return
        self._told = min(self._told, len(self.job.events))  # a fork of the chain takes some back
        for event in self.job.events[self._told :]:
            self._told += 1
            if (text := self.line(event)) is not None:
                self.say(text)
        self.want()
        if now >= self._next_try:
            self._next_try = now + TRY_S
            self.confirm(now)
            self.open_evaluation()
            self.settle()

    def want(self) -> None:
        """Have the seeder fetch the newest checkpoint and the model of each part."""
        limit = largest(self.submission.recipe)
        named = zip(self.job.parts, self.job.deliveries, strict=True)
        for digest in (digest for part, delivery in named for digest in (part.checkpoint, delivery.model)):
            if digest != bytes(32):
                seeder.want(self.submission.folder, digest, limit)

    def confirm(self, now: float) -> None:
        """Check delivered models that are here, each in a process of its own, and confirm those that are right."""
        for number, delivery in enumerate(self.job.deliveries):
            if delivery.model == bytes(32) or delivery.confirmed or delivery.model in self._refused:
                continue
            found = self._checked(number, delivery.model, now)
            if found is not None and found["ok"]:
                self._try(DELIVERY, "confirm", self.id, number)
            elif found is not None:
                self._refused.add(delivery.model)
                self.say(f"part {number} is not confirmed: {found['what']}")

    def open_evaluation(self) -> None:
        """Hand the evaluation out, and open it, when it is due; its seeders fetch it by digest, which nobody knew before."""
        posting = self.submission.posting
        if posting.evaluation is None or self.job.phase not in (JobPhase.OPENING, JobPhase.SCORING, JobPhase.REVEALING):
            return
        self.submission.serve([*(path for _, path in posting.files), posting.evaluation])
        if self.job.phase == JobPhase.OPENING:
            self._try(DELIVERY, "openEvaluation", self.id, blake3(posting.evaluation.read_bytes()).digest(), posting.salt)

    def settle(self) -> None:
        """Close the job when it is over, and take out what came back."""
        if self.job.phase == JobPhase.OVER:
            self._try(ROLE, "settle", self.id)
        if self.job.named("Settled") and self.owed():
            self._try(ROLE, "withdraw", self.job.state.token, self.member.address)

    def line(self, event: Event) -> str | None:
        """What an event means, in a line; None where it is nothing to the submitter."""
        said, part, who = event.values, _part(self.job, event), self.names.of(event)
        match event.name:
            case "Seeded":
                return f"seeds {min(2, sum(each.name == 'Seeded' for each in self.job.events[: self._told]))} of 2: {who}"
            case "Opened":
                return "two members have everything: it can be claimed"
            case "Claimed":
                begins = "the base" if said["root"] == self.job.swarm.base else f"the accepted state {said['root'].hex()[:8]}"
                return f"{part}claimed by {who}, from {begins}"
            case "Quit" | "Expired":
                how = "given back by" if event.name == "Quit" else "taken from"
                return f"{part or 'the job was '}{how} {who}: it goes on from its last accepted state"
            case "Accepted":
                done = sum(each.values["steps"] for each in self.job.events[: self._told] if each.name == "Accepted")
                return f"{part}epoch {said['epoch']} of {who} accepted: {done} of {self.job.offer.steps} steps, {amount(said['paid'])} credits paid"
            case "PlantPaid":
                return f"{part}a planted fault of {who} was found: {amount(said['amount'])} credits"
            case "Completed":
                return f"{part}complete"
            case "Delivered":
                return f"{part}delivered: model {said['model'].hex()[:16]}"
            case "Attested":
                right = said["model"] != bytes(32)
                return f"{part}{'attested' if right else 'NOT to be had, says'} {'by ' if right else ''}{checksum(said['operator'])[:10]}"
            case "Confirmed":
                return f"{part}confirmed: the model is here and is what the chain says"
            case "Scored":
                reached = f"a score of {said['score'] / 10_000:.4f}" if said["decided"] else "no agreement on the score"
                return f"{part}{reached}: {amount(said['paid'])} credits of what was kept back are paid"
            case "Cancelled":
                return "cancelled"
            case "Settled":
                return f"settled: {amount(said['refund'])} credits come back"
        return None

    def _checked(self, number: int, model: bytes, now: float) -> dict[str, Any] | None:
        """What the check of a part's model found, None while it is not over (or its blob is not here)."""
        place = self._place(number, model)
        if (place / FINISHED).exists():
            return json.loads((place / FINISHED).read_bytes())
        if (child := self._checks.get(model)) is not None:
            if (ending := child.reap(now)) is not None:
                del self._checks[model]
                if not ending.done:
                    return {"ok": False, "what": f"its model could not be checked: {ending.cause}; the log is {place / 'log.txt'}"}
            return None
        blobs, part = self.submission.folder / "network" / "blobs", self.job.parts[number]
        files = (self.submission.run.recipe_path, blobs / model.hex(), model, blobs / part.checkpoint.hex(), part.root)
        told = Finish(*files, runs.home() / "cache", facts(self.job, number, self.names.name))
        if told.model.exists() and told.checkpoint.exists():
            place.mkdir(parents=True, exist_ok=True)
            told.write(place)
            self._checks[model] = child = Child(number, place, FINISH)
            child.start_if_due(now)
        return None

    def _place(self, number: int, model: bytes) -> Path:
        return self.submission.run.folder / f"part-{number}" / model.hex()[:16]

    def _try(self, role: str, function: str, *args: Any) -> None:
        """Send what is due; what the contract refuses now is tried again at the next look."""
        try:
            self.chain.send(self.member.secret, role, function, *args)
        except ChainRefused as refused:
            self.say(f"{function} is refused: {refused}")


class Names:
    """Two-word names of the members of all jobs, from the ledger."""

    def __init__(self, book: Book):
        self._scanner = Scanner(book.chain, ("ledger",))
        self._known: dict[bytes, str] = {}

    def name(self, key: bytes) -> str:
        if key not in self._known:
            while new := self._scanner.scan().new:
                for event in new:
                    if event.name == "Entered":
                        self._known[event.values["key"]] = name_of(event.values["operator"], event.values["peer"])
        return self._known.get(key, key.hex()[:12])

    def of(self, event: Event) -> str:
        return self.name(event.values["key"]) if "key" in event.values else ""


def largest(rules: Recipe) -> int:
    """Bytes that a packed state may have: weights and two moments in the widest type."""
    shape = plan.shape(rules)
    return 24 * shape.weights + 2**20 if shape is not None else 2**33


def _part(job: Job, event: Event) -> str:
    return f"part {event.values['part']}: " if "part" in event.values and job.offer.parts > 1 else ""
