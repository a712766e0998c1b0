"""The whistleblower: replays what is audited in a job's swarm and disputes an outcome that its own replay contradicts.

    whistle = Whistle(observer, member, folder, say)
    whistle.enrol(stake)             a member with a stake for the bond, which is paused at once, so that no draw ever asks it for a duty
    whistle.watch(until)             every commitment, as soon as its steps are drawn
    whistle.challenge(target)        by commit-reveal

`swarm.challenger` sends the two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

from swarm import keys
from swarm.chain import check
from swarm.chain.logs import Scanner
from swarm.chain.values import Outcome, Phase, amount, header_of
from swarm.challenger import Challenger
from swarm.enrolment import Enrolment, session_key
from swarm.errors import ChainError, ChainRefused
from swarm.identity import Identity
from swarm.observer import Observer, Target
from swarm.proof.audit import Audit
from swarm.proof.schedule import OLDEST_SEED
from swarm.stake import adding

LOOK_S = 1.0
OK, FAULT = "ok", "fault"

Say = Callable[[str], None]
Replay = Callable[[Target, list[int] | None, float], Audit]


def disagrees(verdict: str | None, outcome: Outcome) -> bool:
    """Whether a replay's verdict contradicts how a case stands. What could not be had or replayed contradicts nothing."""
    return (verdict == FAULT and outcome in (Outcome.CLEAN, Outcome.UNAUDITED)) or (verdict == OK and outcome in (Outcome.FAULT, Outcome.WITHHELD))


class Whistle:
    """One whistleblower in one job's swarm."""

    def __init__(self, observer: Observer, member: Identity, folder: Path, say: Say):
        self.observer, self.member, self.folder, self.say = observer, member, folder, say
        self.chain, self.swarm = observer.chain, observer.swarm
        self.key = self.swarm.key(member.address, member.peer)
        self.challenger = Challenger(self.chain, self.key, session_key(folder), folder)
        self.found: dict[tuple[bytes, int], Audit] = {}
        self.challenged: set[tuple[bytes, int, int]] = set()
        self._scanner = Scanner(self.chain, ("ledger",))
        self._members: dict[bytes, tuple[bytes, bytes]] = {}
        self._targets: list[Target] = []
        self._before: dict[bytes, list[SimpleNamespace]] = {}  # the last commitments of each member

    def enrol(self, wei: int) -> None:
        """Register, stake what the bond is taken from, and stay out of the draws. Raises ChainRefused."""
        chain, member = self.chain, self.member
        enrolment = Enrolment(chain, self.swarm.id, self.observer.rules, self.folder, [self.folder], [member], creates=False, say=self.say)
        enrolment.register(member, keys.address_of(session_key(self.folder)))
        free = chain.link.embedded and check.is_credit(chain.rpc, chain.link)
        now = self.swarm.stake(self.key)
        if now.active < wei:
            for call in adding(chain, member.address, self.key, wei - now.active, self.observer.machine, free, member.name):
                chain.send(member.secret, call.role, call.function, *call.args)
            self.say(f"{member.name} staked {amount(wei)} credits: bonds are taken from it")
        if not now.paused:
            chain.send(member.secret, "vault", "pause", self.key)

    def watch(self, replay: Replay, until: Callable[[], bool], timeout_s: float, silent: bool = False) -> None:
        """Replay every commitment when its steps are drawn, and challenge what comes out otherwise than its case stands."""
        while not until():
            try:
                for target in self.open_targets():
                    self.look(target, replay, timeout_s, silent)
            except ChainRefused as refused:
                self.say(f"the chain refuses: {refused}")
            except ChainError as error:
                self.say(f"the chain does not answer, trying on: {error}")
            time.sleep(LOOK_S)

    def see_through(self, target: Target, replay: Replay, timeout_s: float, silent: bool = False) -> None:
        """One commitment, until it is challenged, or there is nothing to challenge, or nothing more can be."""
        place = (target.header.key, target.header.epoch)
        while True:
            self.look(target, replay, timeout_s, silent)
            case = self.swarm.case(*place)
            if self.found[place].verdict not in (OK, FAULT) or case.phase == Phase.CLOSED or any(each[:2] == place for each in self.challenged):
                return
            if case.phase == Phase.CHALLENGE:
                self.say("the auditors say the same: there is nothing to challenge" if not case.challenged else "somebody has challenged it")
                return
            time.sleep(LOOK_S)

    def look(self, target: Target, replay: Replay, timeout_s: float, silent: bool = False) -> None:
        """Replay a commitment that was not, and challenge it where that is due; `silent` says so and sends nothing."""
        place = (target.header.key, target.header.epoch)
        if place not in self.found:
            self.found[place] = audit = replay(target, None, timeout_s)
            said = {OK: "reproduced", FAULT: f"WRONG in step {audit.step}"}.get(audit.verdict or "", "could not be replayed")
            self.say(f"epoch {target.header.epoch} of {target.name}: {said}")
        case = self.swarm.case(*place)
        if self.is_due(target, case):
            self.challenged.add((*place, case.level))
            sent = "not sent (--dry-run)" if silent else self._challenge(target, case.level)
            self.say(f"epoch {target.header.epoch} of {target.name} is challenged: transaction {sent}")

    def _challenge(self, target: Target, level: int) -> str:
        """Send it. What the contract refuses is not tried again; where the chain did not answer, the next look goes on."""
        try:
            return self.challenger.challenge(target.header, level)
        except ChainRefused:
            raise
        except ChainError:
            self.challenged.discard((target.header.key, target.header.epoch, level))
            raise

    def is_due(self, target: Target, case: SimpleNamespace) -> bool:
        """Whether the case can be challenged now, stands against the own replay, and nobody has challenged it."""
        place = (target.header.key, target.header.epoch)
        wrong = place in self.found and disagrees(self.found[place].verdict, Outcome(case.outcome))
        return wrong and case.phase == Phase.CHALLENGE and not case.challenged and (*place, case.level) not in self.challenged

    def open_targets(self) -> Iterator[Target]:
        """Commitments of others whose steps are drawn and whose case is not closed."""
        self._scan()
        for target in [*self._targets]:
            phase = self.swarm.case(target.header.key, target.header.epoch).phase
            if phase == Phase.CLOSED:
                self._targets.remove(target)
            elif phase > Phase.BEACON and target.header.key != self.key:
                yield target

    def _scan(self) -> None:
        for event in self._scanner.scan().new:
            said = event.values
            if event.name == "Entered" and said["swarm"] == self.swarm.id:
                self._members[said["key"]] = (said["operator"], said["peer"])
            elif event.name == "Committed" and said["key"] in self._members and not said["late"]:
                header = header_of(said)
                before = [each for each in self._before.get(header.key, ()) if each.epoch >= header.epoch - OLDEST_SEED]
                self._before[header.key] = [*before, header]
                earlier = tuple((each.steps, each.data) for each in before)
                self._targets.append(Target(header, *self._members[header.key], False, earlier))
