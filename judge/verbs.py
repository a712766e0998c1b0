"""The headless verbs of `swarm judge`: plain functions on a Court that return an exit code, a text and a value for --json.

    done = verbs.vote(court, ballots, "m-0412=3", sure=80, yes=True)
    print(verbs.said(done, as_json)); raise SystemExit(done.code)

Exit codes: 0 ok, 2 usage, 3 wrong phase, 4 not drawn or in conflict, 5 offline, 6 key locked, 7 salt missing. Numbers of choices are
those that `show` prints, which are those of the screens. Nothing that costs credits happens without `yes`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from judge import plain
from judge.ballots import AGREES, PERCENT, Ballots, SaltMissing
from judge.court import Court, Locked, Offline, Sent, place_of, reveal_due, send_commit, send_reveal
from judge.errors import Refused
from judge.market import CHALLENGE, COMMIT, REVEAL, SETTLED
from judge.record import Record
from judge.terms import WAD
from judge.views import Case, View

OK, USAGE, PHASE, SEAT, OFFLINE, LOCKED, SALT = 0, 2, 3, 4, 5, 6, 7
CODES = {"phase": PHASE, "deadline": PHASE, "early": PHASE, "conflict": SEAT, "seat": SEAT, "standing": SEAT, "signature": SEAT}
NO_TERMINAL = "judge: no terminal; use `--vote m-0412=3 --sure 80 --yes` or `--json`"
REASON = 280  # characters of a dispute's reason
_VOTE = re.compile(r"(m-)?([0-9a-f]{4,64})=(\d{1,2}|abstain|invalid)", re.IGNORECASE)


@dataclass(frozen=True)
class Done:
    """What a verb ends with."""

    code: int
    text: str
    value: Any = None


class Wrong(Exception):
    """A verb that cannot be done, with its exit code and a sentence."""

    def __init__(self, code: int, sentence: str):
        super().__init__(sentence)
        self.code = code


def said(done: Done, as_json: bool) -> str:
    """What goes to stdout."""
    if not as_json:
        return done.text
    return json.dumps(done.value if done.code == OK else {"error": done.text, "code": done.code}, indent=1)


def no_terminal() -> Done:
    """E6."""
    return Done(USAGE, NO_TERMINAL)


def code_of(refusal: Refused) -> int:
    """The exit code of a refusal of the market."""
    return CODES.get(refusal.reason, USAGE)


def verb(work: Callable[..., Done]) -> Callable[..., Done]:
    """A verb that answers with an exit code whatever the market says."""

    @wraps(work)
    def run(*args: Any, **named: Any) -> Done:
        try:
            return work(*args, **named)
        except Wrong as why:
            return Done(why.code, f"judge: {why}")
        except Refused as why:
            return Done(code_of(why), f"judge: {why.sentence}")
        except Offline as why:
            return Done(OFFLINE, f"judge: {why}")
        except Locked as why:
            return Done(LOCKED, f"judge: {why}")
        except SaltMissing as why:
            return Done(SALT, f"judge: {why}")

    return run


# ---- looking


@verb
def list_(court: Court, everything: bool = False) -> Done:
    """All markets that run or owe something; with `everything` all."""
    view = court.view()
    cases = [case for case in view.cases if everything or case.state not in ("SETTLED", "ARCHIVED") or case.owed]
    rows = [f"{'ID':<9} {'PHASE':<9} {'ENDS IN':<7} {'YOU':<14} QUESTION"]
    rows += [f"{case.name:<9} {case.phase:<9} {_ends(view, case):<7} {_you(case):<14} {plain.clip(case.question, 100)}" for case in cases]
    text = "\n".join(rows) if cases else "no markets"
    if view.stale_since is not None:
        text += f"\nno peers since {plain.of_day(view.stale_since)}: this may be old"
    return Done(OK, text, {"at": view.at, "stale_since": view.stale_since, "markets": [_plain(view, case) for case in cases]})


@verb
def show(court: Court, market: str) -> Done:
    """One market with its answers and evidence."""
    view = court.view()
    case = find(view, market)
    texts = court.texts(case.id)
    rows = [f"{case.name}  {case.phase}  ends in {_ends(view, case)}  level {case.level}, {case.size} seats, yours {case.seats}", ""]
    rows += [plain.clean(texts.question), ""]
    for option in case.options:
        text = texts.answers[option.outcome] if option.outcome < case.n else option.label
        rows.append(f"{option.number}  {_figures(case, option.outcome)}{plain.clean(text)}")
    for piece in case.exhibits:
        rows += ["", f"evidence by {piece.author}, {piece.status}, quality {plain.share(piece.quality)}:", plain.clean(texts.evidence[piece.id])]
    if case.ruling:
        rows += ["", _verdict(case)]
    answers = {option.number: texts.answers[option.outcome] if option.outcome < case.n else option.label for option in case.options}
    value = {**_plain(view, case), "question": texts.question, "answers": answers}
    value["evidence"] = [{"id": piece.id.hex(), "status": piece.status, "text": texts.evidence[piece.id]} for piece in case.exhibits]
    return Done(OK, "\n".join(rows), value)


@verb
def record(court: Court) -> Done:
    """The operator's epoch."""
    view = court.view()
    one = view.record
    return Done(OK, "\n".join(record_lines(one)), record_value(one))


# ---- doing


@verb
def vote(court: Court, ballots: Ballots, what: str, sure: int | None = None, agree: int = 0, yes: bool = False, note: str = "") -> Done:
    """`what` is MARKET=CHOICE: a number that `show` prints, `abstain` (0) or `invalid`. `sure` and `agree` in per cent, agree in tens or 0."""
    found = _VOTE.fullmatch(what.strip())
    if not found:
        raise Wrong(USAGE, f"{plain.line(what, 40)!r} is no vote: write MARKET=CHOICE, such as m-0412=3")
    sure = 0 if sure is None and found[3].lower() in ("0", "abstain") else sure
    if sure is None or not 0 <= sure <= 100 or agree not in AGREES:
        raise Wrong(USAGE, "--sure is 0 to 100 per cent, --agree 0, 10, 20, ... 100")
    case = find(court.view(), found[2])
    _may_vote(case)
    choice = _choice(case, found[3].lower())
    risk = plain.credits(case.seats * case.unit)
    summary = f"{case.name}: {plain.clip(case.called(choice), 40)}, {sure} % sure; {case.seats} seats, {risk} stake at risk"
    if not yes:
        raise Wrong(USAGE, f"{summary}: say --yes to sign and commit")
    place = place_of(court, case)
    signed = ballots.sign(place, choice, sure * PERCENT, agree * PERCENT, court.derive, note)  # a locked key is told before anything is written
    value = {"market": case.id.hex(), "choice": choice, "file": str(ballots.path(place))}
    try:
        send_commit(court, ballots, place, signed)
    except Offline as why:
        return Done(OFFLINE, f"judge: {why}; the vote is kept in {ballots.path(place)}", value)
    return Done(OK, f"committed {summary}\nsalt: {ballots.path(place)}", value)


@verb
def reveal(court: Court, ballots: Ballots, market: str = "", salt_file: Path | None = None) -> Done:
    """Reveal one market's vote, or all that are due. `salt_file` is imported first."""
    if salt_file is not None and not market:
        raise Wrong(USAGE, "a salt file is of one market: name it")
    if not market:
        return _revealed(reveal_due(court, ballots))
    case = find(court.view(), market)
    if salt_file is not None and case.commitment:
        ballots.take(salt_file, place_of(court, case), case.commitment)
    if case.state != REVEAL:
        raise Wrong(PHASE, f"{case.name} is in {case.phase}: votes are revealed in REVEAL")
    if case.choice is not None:
        return Done(OK, f"{case.name}: revealed already", {"revealed": [case.id.hex()]})
    if not case.commitment:
        raise Wrong(SEAT, f"you committed to nothing in {case.name}")
    send_reveal(court, ballots, case)
    return Done(OK, f"revealed {case.name}", {"revealed": [case.id.hex()]})


@verb
def dispute(court: Court, market: str, claimed: str, reason: str, yes: bool = False, bond: int | None = None) -> Done:
    """Put up a bond against the verdict of a market. `claimed` is a number, or `invalid`."""
    case = find(court.view(), market)
    may_dispute(case)
    choice = _choice(case, claimed.lower())
    if choice == 255 or choice == case.ruling.choice:
        raise Wrong(USAGE, f"claim a choice that the panel of {case.name} did not come to")
    if not reason.strip() or len(reason) > REASON:
        raise Wrong(USAGE, f"a dispute says why, in at most {REASON} characters")
    amount = case.bond if bond is None else bond
    if not yes:
        text = f"a dispute of {case.name} puts up {plain.credits(amount)} credits, lost if the next panel disagrees: say --yes"
        raise Wrong(USAGE, text)
    court.dispute(case.id, case.level, choice, amount, plain.clean(reason))
    return Done(OK, f"disputed {case.name}: bond {plain.credits(amount)}", {"market": case.id.hex(), "bond": amount})


@verb
def claim(court: Court, market: str = "") -> Done:
    """Take what is owed in one market, or in all."""
    view = court.view()
    cases = [find(view, market)] if market else [case for case in view.cases if case.owed]
    if market and cases[0].state != SETTLED:
        raise Wrong(PHASE, f"{cases[0].name} is in {cases[0].phase}: it pays when it is SETTLED")
    if market and not cases[0].owed:
        raise Wrong(SEAT, f"{cases[0].name} owes you nothing")
    for case in cases:
        court.claim(case.id)
    total = sum(case.owed for case in cases)
    return Done(OK, f"claimed {plain.credits(total)} in {len(cases)} markets", {"claimed": {case.id.hex(): case.owed for case in cases}})


# ---- shared with the screens


def find(view: View, market: str) -> Case:
    """The market of a name or of the beginning of an id. Raises Wrong."""
    digits = market.strip().lower().removeprefix("m-")
    if not re.fullmatch("[0-9a-f]{4,64}", digits):
        raise Wrong(USAGE, f"{plain.line(market, 40)!r} names no market: give its id, such as m-0412")
    exact = [case for case in view.cases if case.name == f"m-{digits}"]
    cases = exact or [case for case in view.cases if case.id.hex().startswith(digits)]
    if len(cases) != 1:
        raise Wrong(USAGE, f"{len(cases) or 'no'} markets begin with m-{digits}{': give more of the id' if cases else ''}")
    return cases[0]


def may_dispute(case: Case) -> None:
    """Raises Wrong where no dispute would be taken."""
    if case.state != CHALLENGE or case.ruling is None:
        raise Wrong(PHASE, f"{case.name} is in {case.phase}: a verdict can be disputed in CHALLENGE")
    if not case.bond:
        raise Wrong(PHASE, f"the verdict of {case.name} is of the last level and stands")


def record_lines(one: Record) -> list[str]:
    """The figures of S6."""
    rate = "-" if one.reputation is None else plain.share(one.reputation)
    gold = f"gold {one.gold_hits // WAD}/{one.gold_n // WAD}, posterior mean {plain.share(one.posterior)}"
    peer = "-" if one.peer_score is None else plain.share(int(one.peer_score * WAD))
    gains = [("PEER BONUS", one.bonus), ("TRADING", one.trading), ("NET", one.net)]
    money = [f"FEES {plain.credits(one.fees, sign=True)}", f"SLASHED {plain.credits(-one.slashed)}"]
    money += [f"{name} {plain.credits(amount, sign=True)}" for name, amount in gains]
    return [
        f"rep {rate} ({gold})   reveals {one.reveals[0]}/{one.reveals[1]}   peer score {peer}",
        f"SEATS {one.seats}  coherent {one.coherent}  incoherent {one.incoherent}  abstain {one.abstain}  unrevealed {one.unrevealed}",
        "  ".join(money),
        _participation(one),
        "calibration   " + "   ".join(f"{band} {hits}/{votes}" for band, hits, votes in one.calibration()),
    ]


def record_value(one: Record) -> dict[str, Any]:
    """The same for programs; amounts in wei as strings."""
    names = ("epoch", "seats", "coherent", "incoherent", "abstain", "unrevealed")
    money = ("fees", "slashed", "bonus", "trading", "net")
    calibration = [{"band": band, "coherent": hits, "votes": votes} for band, hits, votes in one.calibration()]
    figures = {name: getattr(one, name) for name in names} | {name: str(getattr(one, name)) for name in money}
    return {**figures, "gold_hits": str(one.gold_hits), "gold_n": str(one.gold_n), "calibration": calibration}


def _participation(one: Record) -> str:
    if one.parts is None:
        return "PARTICIPATION is counted by the node, and none is here"
    weights = (("work", "W", 50), ("judge", "J", 20), ("forecast", "F", 15), ("ev", "E", 10))
    parts = [f"{word} {_two(getattr(one.parts, letter) * weight)}/.{weight}" for word, letter, weight in weights]
    return f"PARTICIPATION {one.parts.score // 1000}/1000  " + " ".join(parts)


def _two(percent: Any) -> str:
    return f".{int(percent):02}"


def _may_vote(case: Case) -> None:
    if case.state != COMMIT or not case.drawn:
        raise Wrong(PHASE, f"{case.name} is in {case.phase}: votes are taken in VOTE")
    if case.conflict:
        raise Wrong(SEAT, f"you cannot judge {case.name}: your operator {case.conflict}")
    if not case.seats:
        raise Wrong(SEAT, f"you have no seat in {case.name}: you were not drawn")
    if case.choice is not None:
        raise Wrong(PHASE, f"your vote in {case.name} was revealed in an earlier roll and stands")


def _choice(case: Case, word: str) -> int:
    numbers = {"abstain": 0, "invalid": case.n + 1}
    number = numbers.get(word, int(word) if word.isdecimal() else -1)
    choice = case.outcome(number)
    if choice is None:
        raise Wrong(USAGE, f"{case.name} has the choices 1 to {case.n + 1}, and 0 to abstain")
    return choice


def _revealed(sent: list[Sent]) -> Done:
    done = [one.case for one in sent if one.done]
    rows = [f"revealed {case.name}" for case in done] + [f"{one.case.name}: {one.sentence}" for one in sent if not one.done]
    failed = [one for one in sent if not one.done]
    code = OK if not failed else SALT if any(one.missing for one in failed) else OFFLINE
    return Done(code, "\n".join(rows) or "nothing is to be revealed now", {"revealed": [case.id.hex() for case in done]})


def _ends(view: View, case: Case) -> str:
    return plain.left(case.deadline - view.at) if case.deadline else "-"


def _you(case: Case) -> str:
    return f"{case.you} !" if case.need else case.you


def _figures(case: Case, outcome: int) -> str:
    if outcome == case.n:
        return ""
    price = case.option(outcome).price
    return "[hidden until you commit] " if price is None else f"[{plain.share(price)}] "


def _verdict(case: Case) -> str:
    said = case.ruling
    return f"verdict of level {said.level}: {said_choice(case)} ({plain.share(said.behind)} of {plain.share(said.spoken)} weight)"


def said_choice(case: Case) -> str:
    """What the verdict that stands chose, with this judge's number for it."""
    return f'{case.number(case.ruling.choice)} "{plain.clip(case.called(case.ruling.choice), 24)}"'


def _plain(view: View, case: Case) -> dict[str, Any]:
    options = [
        {"number": one.number, "outcome": one.outcome, "label": one.label, "price": None if one.price is None else str(one.price)}
        for one in case.options
    ]
    ruling = None if case.ruling is None else {"level": case.ruling.level, "choice": case.ruling.choice, "small_panel": case.ruling.small}
    return {
        "id": case.id.hex(),
        "name": case.name,
        "kind": case.kind,
        "phase": case.phase,
        "deadline": case.deadline,
        "level": case.level,
        "roll": case.roll,
        "seats": case.seats,
        "need": case.need,
        "you": case.you,
        "committed": bool(case.commitment),
        "owed": str(case.owed),
        "conflict": case.conflict,
        "options": options,
        "verdict": ruling,
    }
