"""The terminal of the judge market. It shows a `Court`, and does what a person confirms.

    raise SystemExit(run(lambda: LocalCourt(Store(path, terms), me, secret), home / "votes"))

Everything that touches a disk, a network or the court happens on one other thread, the clerk, one thing at a time. Once a second the
clerk looks at the court, sends votes that were signed and not seen, and reveals what is due where auto-reveal is on.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from textual import events, on, work
from textual.app import App
from textual.binding import Binding

from judge import plain, verbs
from judge.ballots import Ballot as Kept
from judge.ballots import Ballots, Draft, Place, SaltMissing, durable
from judge.court import Court, Locked, Offline, Sent, commit_due, place_of, reveal_due, send_commit, send_reveal
from judge.errors import Refused
from judge.tui import notices
from judge.tui.ballot import Ballot, to_read
from judge.tui.dispute import Dispute
from judge.tui.lines import LEAST
from judge.tui.market import Market
from judge.tui.markets import Markets
from judge.tui.notices import Help, Passphrase, TooSmall
from judge.tui.pager import Pager
from judge.tui.record import Epoch, table
from judge.tui.reveals import Reveals
from judge.tui.sheet import Sheet
from judge.views import Case, View

NOTICE_S = 12  # seconds that a sentence stays, at least


@dataclass(frozen=True)
class Look:
    """What the clerk found."""

    view: View
    kept: dict[bytes, Kept]  # by market: what is on disk for its present level and roll
    sent: list[Sent]


class JudgeApp(App[int]):
    """The application.

    open_court   called once, on the clerk's thread
    votes        the folder of ballots
    key_file     what the question for a passphrase calls the key
    period       seconds between two looks; 0: only when asked
    """

    TITLE = "swarm judge"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [Binding("ctrl+c", "quit", "quit", show=False, priority=True, tooltip="Quit")]
    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    ModalScreen { background: ansi_default; align: left top; }
    #banner { text-style: bold; }
    #line, #line2 { height: 1; }
    #label, #label2 { width: auto; }
    Input { width: 1fr; background: ansi_default; color: ansi_default; }
    VerticalScroll { height: 1fr; scrollbar-size: 0 0; padding: 0 1; }
    #foot { dock: bottom; }
    Ballot #foot, Dispute #foot { dock: none; }
    """

    def __init__(self, open_court: Callable[[], Court], votes: Path, key_file: str = "$SWARM_HOME/key.json", period: int = 1):
        super().__init__()
        self.court: Court | None = None
        self.view: View | None = None
        self.ballots = Ballots(votes)
        self.drafts: dict[Place, Draft] = {}
        self.kept: dict[bytes, Kept] = {}
        self.auto = True
        self.problems: list[str] = []
        self._open_court, self._key_file, self._period = open_court, key_file, period
        self._clerk = ThreadPoolExecutor(1, thread_name_prefix="clerk")
        self._looking = False
        self._notice, self._notice_at = "", 0
        self._drawn: set[tuple[bytes, int, int]] = set()

    # ---- looking

    async def on_mount(self) -> None:
        self.theme = "ansi-dark"
        self.court = await self.clerk(self._open_court)
        await self.look()
        self.push_screen(Markets())
        if self._period:
            self.set_interval(self._period, self.look_soon)
        if self.view.you.locked:
            self.unlock()

    async def clerk(self, job: Callable[..., Any], *args: Any) -> Any:
        """Do something on the clerk's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._clerk, job, *args)

    @work(exclusive=True, group="look")
    async def look_soon(self) -> None:
        """Look, unless the last look is still going on: a slow court must not be asked over and over."""
        if not self._looking:
            await self.look()

    async def look(self) -> None:
        """Ask the court, and show what it says."""
        self._looking = True
        try:
            self._took(await self.clerk(self._look))
        finally:
            self._looking = False

    def _look(self) -> Look:
        sent = []
        if self.auto and not self.court.view().you.locked:
            sent = commit_due(self.court, self.ballots) + reveal_due(self.court, self.ballots)
        view = self.court.view()
        mine = [case for case in view.cases if case.voting or case.commitment]
        return Look(view, {case.id: self.ballots.load(place_of(self.court, case)) for case in mine}, sent)

    def _took(self, look: Look) -> None:
        self.view, self.kept = look.view, look.kept
        self.problems = [f"{one.case.name}: {one.sentence}" for one in look.sent if not one.done and not one.missing]
        for case in look.view.cases:
            if case.id in look.kept:
                self.drafts.setdefault(place_of(self.court, case), look.kept[case.id].draft)
        drawn = {(case.id, case.level, case.roll) for case in look.view.cases if case.need == "vote"}
        if drawn - self._drawn:
            self.bell()
        self._drawn = drawn
        if self._notice and look.view.at - self._notice_at > NOTICE_S * plain.SECOND:
            self._notice = ""
        self.tell()

    def tell(self) -> None:
        """Pass what is known down to every screen."""
        for screen in list(self.screen_stack):
            if isinstance(screen, Sheet):
                screen.take(self.view)

    def notice(self, sentence: str) -> None:
        """Show a sentence on top of the screen for a while."""
        self._notice, self._notice_at = sentence, self.view.at
        self.call_next(self.tell)

    def banner(self) -> list[str]:
        """What stands on top of every screen: E2, and the last sentence."""
        view, lines = self.view, []
        if view.stale_since is not None:
            lines += notices.offline(view, self._waiting())
        room, rest = max(LEAST[0], self.size.width) - 4, self._notice
        while rest:
            cut = rest if len(rest) <= room else rest[: rest.rfind(" ", 1, room) + 1 or room]
            lines.append((" ! " if rest == self._notice else "   ") + cut)
            rest = rest[len(cut) :]
        return lines

    def _waiting(self) -> list[Case]:
        cases = [case for case in self.view.cases if case.voting and case.id in self.kept]
        votes = [(case, self.kept[case.id].vote) for case in cases]
        return [case for case, vote in votes if vote and vote.commitment(place_of(self.court, case)) != case.commitment]

    def draft_of(self, case: Case) -> Draft:
        """The draft of a market's present level and roll."""
        return self.drafts.get(place_of(self.court, case), Draft())

    # ---- what the screens ask for

    @on(Markets.Asked)
    @on(Market.Asked)
    def _asked(self, message: Markets.Asked | Market.Asked) -> None:
        case = self.view.find(message.market) if message.market else None
        self._notice = ""
        match message.what:
            case "reveals":
                self.push_screen(Reveals())
                if any(one.need == "reveal" for one in self.view.cases):
                    self._reveal(Reveals.Asked(None))
            case "record":
                self.push_screen(Epoch())
            case "claim":
                self.claim_all()
            case "open" if case:
                self.push_screen(Market(case.id))
            case "vote" if case:
                self._to_ballot(case)
            case "dispute" if case:
                self._to_dispute(case)

    def _to_ballot(self, case: Case) -> None:
        if case.voting:
            self.push_screen(Ballot(place_of(self.court, case)))
        else:
            self.notice(notices.no_vote(self.view, case))

    def _to_dispute(self, case: Case) -> None:
        try:
            verbs.may_dispute(case)
        except verbs.Wrong as why:
            self.notice(f"{why}.")
        else:
            self.push_screen(Dispute(case.id))

    @on(Market.Read)
    @work(exclusive=True, group="read")
    async def _read(self, message: Market.Read) -> None:
        case = self.view.find(message.market)
        texts = await self.clerk(self.court.texts, case.id)
        if message.key == "question":
            title, text = f"{case.name}: the question", texts.question
        elif message.key[0] == "o":
            outcome = int(message.key[1:])
            title, text = f"{case.name}: answer {case.number(outcome)}", texts.answers[outcome]
        else:
            piece = next(one for one in case.exhibits if one.id.hex() == message.key[1:])
            title, text = f"{case.name}: evidence by {piece.author}, {piece.status}", texts.evidence[piece.id]
        self.push_screen(Pager(title, text))
        answers, evidence = to_read(case)
        if case.voting and message.key in answers | evidence:
            draft = self.draft_of(case)
            await self._keep(place_of(self.court, case), replace(draft, read=draft.read | {message.key}))

    @on(Ballot.Changed)
    async def _changed(self, message: Ballot.Changed) -> None:
        await self._keep(message.place, message.draft)

    async def _keep(self, place: Place, draft: Draft) -> None:
        self.drafts[place] = draft
        self.tell()
        await self.clerk(self.ballots.draft, place, draft)

    @on(Ballot.Signed)
    @work(exclusive=True, group="say")
    async def _signed(self, message: Ballot.Signed) -> None:
        place, draft = message.place, message.draft
        if await self.say(self._sign, place, draft):
            if isinstance(self.screen, Ballot):
                self.pop_screen()
            name = self.view.find(place.market).name
            self.notice(f"{name}: committed.  The vote and its salt are in {self.ballots.folder}")

    def _sign(self, place: Place, draft: Draft) -> None:
        vote = self.ballots.sign(place, draft.choice, draft.sure or 0, draft.agree or 0, self.court.derive, draft.note)
        send_commit(self.court, self.ballots, place, vote)

    @on(Reveals.Asked)
    @work(exclusive=True, group="say")
    async def _reveal(self, message: Reveals.Asked) -> None:
        case = self.view.find(message.market) if message.market else None
        if case is not None and case.need != "reveal":
            self.notice(f"{case.name} is in {case.phase}: votes are revealed in REVEAL.")
        elif case is None and not any(one.need == "reveal" for one in self.view.cases):
            self.notice("Nothing is open now: votes are revealed in REVEAL.")
        elif await self.say(self._reveal_all if case is None else self._reveal_one, case):
            self.notice("Revealed." if case is None else f"{case.name}: revealed.")

    def _reveal_one(self, case: Case) -> None:
        send_reveal(self.court, self.ballots, case)

    def _reveal_all(self, _: None) -> None:
        failed = [one for one in reveal_due(self.court, self.ballots) if not one.done]
        if failed:
            raise SaltMissing(failed[0].sentence)

    @on(Reveals.Imported)
    @work(exclusive=True, group="say")
    async def _imported(self, message: Reveals.Imported) -> None:
        case = self.view.find(message.market)
        if await self.say(self.ballots.take, message.file, place_of(self.court, case), case.commitment):
            self.notice(f"{case.name}: the salt is here, and opens the commitment.")

    @on(Reveals.Switched)
    def _switched(self) -> None:
        self.auto = not self.auto
        self.tell()

    @on(Dispute.Confirmed)
    @work(exclusive=True, group="say")
    async def _disputed(self, message: Dispute.Confirmed) -> None:
        case = message.case
        if await self.say(self.court.dispute, case.id, case.level, message.claimed, case.bond, message.reason):
            if isinstance(self.screen, Dispute):
                self.pop_screen()
            self.notice(f"{case.name}: disputed.  Your bond of {plain.credits(case.bond)} is posted.")

    @work(exclusive=True, group="say")
    async def claim_all(self) -> None:
        """Take what all settled markets owe."""
        owed = [case for case in self.view.cases if case.owed]
        if not owed:
            self.notice("No market owes you anything now.")
            return
        for case in owed:
            if not await self.say(self.court.claim, case.id):
                return
        self.notice(f"Claimed {plain.credits(sum(case.owed for case in owed), sign=True)} in {len(owed)} market{'s' * (len(owed) > 1)}.")

    @on(Epoch.Export)
    @work(exclusive=True, group="say")
    async def _export(self) -> None:
        path = self.ballots.folder.parent / f"judge-record-epoch-{self.view.epoch}.csv"
        try:
            await self.clerk(durable, path, table(self.view.record).encode())
        except OSError as error:
            self.notice(f"{path} cannot be written ({error.strerror}).")
        else:
            self.notice(f"Written to {path}")

    @on(Sheet.Refresh)
    def _refresh(self) -> None:
        self._notice = ""
        self.look_soon()

    # ---- saying

    async def say(self, job: Callable[..., Any], *args: Any) -> bool:
        """Do what a person confirmed, ask for a passphrase if need be, and look again. False with a notice where it was not done."""
        try:
            await self.clerk(job, *args)
        except Locked:
            if not await self.push_screen_wait(Passphrase(self._key_file)):
                self.notice("The key is locked: nothing was signed or sent.")
                return False
            return await self.say(job, *args)
        except Refused as why:
            self.notice(why.sentence)
        except (Offline, SaltMissing) as why:
            self.notice(str(why))
        else:
            await self.look()
            return True
        await self.look()
        return False

    @work(exclusive=True, group="unlock")
    async def unlock(self) -> None:
        """E4, at the start."""
        await self.push_screen_wait(Passphrase(self._key_file))
        await self.look()

    @on(Passphrase.Tried)
    async def _passphrase(self, message: Passphrase.Tried) -> None:
        screen = self.screen
        if not isinstance(screen, Passphrase):
            return
        if await self.clerk(self.court.unlock, message.passphrase):
            screen.dismiss(True)
        elif not screen.wrong():
            self.exit(verbs.LOCKED, return_code=verbs.LOCKED, message="judge: three wrong passphrases; the key stays locked")

    # ---- the window

    def on_resize(self, event: events.Resize) -> None:
        small = event.size.width < LEAST[0] or event.size.height < LEAST[1]
        if small and not isinstance(self.screen, TooSmall):
            self.push_screen(TooSmall())
        elif not small and isinstance(self.screen, TooSmall):
            self.pop_screen()

    def ask_help(self, screen: Sheet) -> None:
        """The keys of a screen."""
        found = [
            binding for part in (type(screen), *type(screen).__mro__) for binding in vars(part).get("BINDINGS", ()) if isinstance(binding, Binding)
        ]
        keys = {binding.key: binding.tooltip for binding in found if binding.tooltip}
        named = {key.replace("question_mark", "?").replace("escape", "Esc").replace(",", " "): said for key, said in keys.items()}
        self.push_screen(Help([*named.items(), ("j k", "Next line, line before"), ("Enter", "Open the line with the cursor")]))

    def on_unmount(self) -> None:
        self._clerk.shutdown(wait=True)  # drafts that are on their way to the disk


def run(open_court: Callable[[], Court], votes: Path, key_file: str = "$SWARM_HOME/key.json") -> int:
    """Run in this terminal until the person quits. Returns the exit code. Without a terminal: E6."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        print(verbs.NO_TERMINAL, file=sys.stderr)
        return verbs.USAGE
    app = JudgeApp(open_court, votes, key_file)
    app.run(mouse=False)
    return app.return_code or 0
