"""A program that judges in its owner's place: for each seat it gets the market as one JSON object and says its choice as one.

    delegate = Delegate(court, ballots, ["my-judge", "--fast"], tell)
    while ...: delegate.turn()          votes where a seat waits, opens what is due, claims what is owed; never waits for the program
    delegate.close()

stdin   {"market", "id", "kind", "level", "seats", "question", "answers": [{"number", "text"}, ...], "evidence": [{"author", "quality", "text"}, ...],
        "deadline": Unix seconds}; the answers are in the order shuffled for this judge, the texts are strangers' and without control characters
stdout  {"choice": a number | "abstain" | "invalid", "sure": 50..100}; `sure` may be left out of an abstention

Whatever else the program does, it abstains, and says why: an abstention is not slashed. A vote that was signed is on disk, and is never asked
for again; one program runs at a time for each market, in a process group of its own that ends with it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from judge import plain
from judge.ballots import PERCENT, Ballots, Place
from judge.court import Court, Locked, Offline, Texts, commit_due, place_of, reveal_due, send_commit
from judge.errors import Refused
from judge.events import ABSTAIN
from judge.views import Case

Tell = Callable[..., None]  # tell(what happened, the market's name, more=...)

AT_ONCE = 4
SAID = 65_536  # bytes of stdout that are read
SURE = (50, 100)
PART = 0.6  # of the time to a deadline that a program may take


@dataclass(frozen=True)
class Answer:
    """What a program said: a choice of the ledger, and how sure it is in per cent. `why` it abstains where it was not the program's word."""

    choice: int
    sure: int
    why: str = ""


class Delegate:
    """Votes of a program. Arguments as of the module; `timeout_s`: the longest that one run of the program may take."""

    def __init__(self, court: Court, ballots: Ballots, program: Sequence[str], tell: Tell, timeout_s: float = 60.0):
        self.court, self.ballots, self.program, self.tell, self.timeout_s = court, ballots, list(program), tell, timeout_s
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="delegate")
        self._asked: dict[Place, tuple[Case, Future[Answer]]] = {}
        self._said: set[tuple[str, str]] = set()
        self._claimed: dict[bytes, int] = {}

    @property
    def waits(self) -> bool:
        """Whether a program runs."""
        return bool(self._asked)

    def turn(self) -> None:
        """Do what can be done now."""
        view = self.court.view()
        for case in view.cases:
            if case.need == "vote":
                self._ask(case, (case.deadline - view.at) / 1000)
        self._sign()
        for one in [*commit_due(self.court, self.ballots), *reveal_due(self.court, self.ballots)]:
            if one.done:
                self.tell("revealed" if one.case.state == "REVEAL" else "committed", one.case.name)
            else:
                self._once("not sent", one.case.name, one.sentence)
        for case in view.cases:
            if case.owed and self._claimed.get(case.id) != case.owed:
                self._claim(case)

    def close(self) -> None:
        """No more programs; one that runs ends with its time."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, case: Case, left_s: float) -> None:
        """Run the program on a market, once, unless a vote was signed."""
        place = place_of(self.court, case)
        if place in self._asked or self.ballots.load(place).vote is not None:
            return
        said = json.dumps(question_of(case, self.court.texts(case.id))).encode()
        limit = min(self.timeout_s, left_s * PART)
        self.tell("asked", case.name, level=case.level, seats=case.seats, seconds=round(limit, 1))
        self._asked[place] = (case, self._pool.submit(ask, self.program, said, limit, case))

    def _sign(self) -> None:
        """Sign what programs answered."""
        for place, (case, answering) in list(self._asked.items()):
            if not answering.done():
                continue
            answer = answering.result()
            try:
                vote = self.ballots.sign(place, answer.choice, answer.sure * PERCENT, 0, self.court.derive)
                if answer.choice == ABSTAIN:
                    self.tell("abstained", case.name, why=answer.why or "the program does")
                else:
                    self.tell("voted", case.name, choice=case.number(answer.choice), sure=answer.sure, label=case.called(answer.choice))
                send_commit(self.court, self.ballots, place, vote)
                self.tell("committed", case.name)
            except (Refused, Offline, Locked) as why:  # what is signed is tried again with the next turn
                self._once("not sent", case.name, why.sentence if isinstance(why, Refused) else str(why))
            del self._asked[place]

    def _claim(self, case: Case) -> None:
        try:
            self.court.claim(case.id)
        except (Refused, Offline, Locked) as why:
            self._once("not claimed", case.name, why.sentence if isinstance(why, Refused) else str(why))
            return
        self._claimed[case.id] = case.owed
        self.tell("claimed", case.name, credits=plain.credits(case.owed))

    def _once(self, what: str, name: str, why: str) -> None:
        if (name, why) not in self._said:
            self._said.add((name, why))
            self.tell(what, name, why=why)


def question_of(case: Case, texts: Texts) -> dict[str, Any]:
    """What a program gets: nothing that others think is in it."""
    answers = [{"number": one.number, "text": plain.clean(texts.answers[one.outcome] or one.label)} for one in case.options if one.outcome < case.n]
    pieces = [
        {"author": piece.author, "quality": plain.share(piece.quality), "text": plain.clean(texts.evidence.get(piece.id, ""))}
        for piece in case.exhibits
    ]
    about = {"market": case.name, "id": case.id.hex(), "kind": case.kind, "level": case.level, "seats": case.seats}
    return {**about, "question": plain.clean(texts.question), "answers": answers, "evidence": pieces, "deadline": case.deadline / 1000}


def ask(program: Sequence[str], said: bytes, limit_s: float, case: Case) -> Answer:
    """Run a program with `said` on its stdin, at most `limit_s` seconds; what it cannot say properly is an abstention."""
    if limit_s <= 0:
        return Answer(ABSTAIN, 0, "there was no time left to ask it")
    with tempfile.TemporaryFile() as given:
        given.write(said)
        given.seek(0)
        try:
            process = subprocess.Popen(program, stdin=given, stdout=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            return Answer(ABSTAIN, 0, f"it could not be started: {error.strerror}")
        late = threading.Event()
        timer = threading.Timer(limit_s, lambda: (late.set(), _end(process)))
        timer.start()
        try:
            out = process.stdout.read(SAID + 1)
            code = process.wait() if len(out) <= SAID else None
        finally:
            timer.cancel()
            _end(process)
            process.stdout.close()
            process.wait()
    if late.is_set():
        return Answer(ABSTAIN, 0, f"it took longer than {limit_s:.1f} s")
    if code is None:
        return Answer(ABSTAIN, 0, f"it said more than {SAID} bytes")
    if code:
        return Answer(ABSTAIN, 0, f"it ended with exit code {code}")
    return answer_of(out, case)


def answer_of(out: bytes, case: Case) -> Answer:
    """What a program's output says; an abstention with its reason where it is not of the form."""
    try:
        said = json.loads(out)
    except (ValueError, RecursionError):
        return Answer(ABSTAIN, 0, "it said something else than one JSON object")
    if not isinstance(said, dict) or not {"choice"} <= said.keys() <= {"choice", "sure"}:
        return Answer(ABSTAIN, 0, 'it is to say {"choice": ..., "sure": ...} and nothing else')
    choice, sure = said["choice"], said.get("sure")
    if choice == "abstain":
        return Answer(ABSTAIN, 0)
    if type(sure) is not int or not SURE[0] <= sure <= SURE[1]:
        return Answer(ABSTAIN, 0, f'"sure" is a whole number from {SURE[0]} to {SURE[1]}, in per cent')
    if choice == "invalid":
        return Answer(case.n, sure)
    found = [one.outcome for one in case.options if type(choice) is int and one.number == choice and one.outcome < case.n]
    if not found:
        return Answer(ABSTAIN, 0, f'"choice" is a number from 1 to {case.n}, "abstain" or "invalid"')
    return Answer(found[0], sure)


def _end(process: subprocess.Popen) -> None:
    """End a program and what it started, which are a process group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
