"""Addresses of the web page and what lies there: a view each, as HTML in which foreign text is only text.

    site = Site(run_dir)
    site.page("/markets", {"page": "2"})        Page: status and HTML

Every value that a template prints is escaped by jinja2, and before that stripped of controls and of what turns writing round
(`judge.plain.clean`), whether or not a view thought of it. Addresses are names that stand here; nothing of a path is ever a file name.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from judge import plain
from swarm import runs
from swarm.chain.link import ChainLink
from swarm.errors import InputError, StateError, SwarmError
from swarm.ui.web import board, curves, jobs, markets, now, peer
from swarm.ui.web.jobs import Listings
from swarm.ui.web.picture import Pictures
from swarm.ui.web.scene import Missing, Scene

HERE = Path(__file__).parent
STYLE = (HERE / "style.css").read_bytes()
NAVIGATION = (("", "Now"), ("leaderboard", "Leaderboard"), ("markets", "Markets"), ("jobs", "Jobs"), ("curves", "Curves"))
READ_AGAIN_S = 5  # while the first picture is being taken

Show = Callable[[Scene, str], dict[str, Any]]


@dataclass(frozen=True)
class View:
    """`exact`: nothing may stand behind the name. `needs`: run (its files), picture (of its swarm) or jobs."""

    title: str
    template: str
    show: Show
    exact: bool = True
    needs: str = "picture"


VIEWS = {
    "": View(now.TITLE, now.TEMPLATE, now.show, needs="run"),
    "leaderboard": View(board.TITLE, board.TEMPLATE, board.show),
    "markets": View(markets.TITLE, markets.TEMPLATE, markets.show),
    "market": View("Judge market", "market.html", markets.one, exact=False),
    "jobs": View(jobs.TITLE, jobs.TEMPLATE, jobs.show, needs="jobs"),
    "job": View("Job", "job.html", jobs.one, exact=False, needs="jobs"),
    "peer": View(peer.TITLE, peer.TEMPLATE, peer.show, exact=False),
    "curves": View(curves.TITLE, curves.TEMPLATE, curves.show, needs="run"),
}


@dataclass(frozen=True)
class Page:
    status: int
    html: str


class Site:
    """All pages about one run: that of `run_dir`, or at each request the newest one. Safe to use from any thread."""

    def __init__(self, run_dir: Path | None = None, market: ChainLink | None = None):
        """`market`: the chain of the jobs; None is the local one of this machine."""
        self.run_dir, self.pictures, self.listings = run_dir, Pictures(), Listings(market)
        self._jinja = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, finalize=shown, trim_blocks=True,
            lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        self._jinja.filters.update(part=lambda text: quote(str(text), safe=""), clock=clock, number=number)

    def close(self) -> None:
        self.pictures.close()
        self.listings.close()

    def page(self, path: str, query: dict[str, str]) -> Page:
        """The page under a path, whose escapes are undone. What is wrong is a page too: one sentence and what to do."""
        name, slash, rest = path.removeprefix("/").partition("/")
        view = VIEWS.get(name)
        if view is None or bool(slash) == view.exact or (slash and not rest):
            return self._sorry(404, "there is no page under this address", "the pages are listed above")
        scene, reading = Scene(query=query), False
        try:
            reading = not self._look(scene, view.needs)
            values = {"scene": scene, "reading": reading, "refresh": READ_AGAIN_S if reading else 0} | view.show(scene, rest)
        except Missing as error:
            if reading:
                return self._sorry(200, "the chain is being read for the first time", "this page looks again by itself", READ_AGAIN_S)
            return self._sorry(404, str(error), error.hint)
        except SwarmError as error:
            return self._sorry(503 if isinstance(error, StateError) else 200, str(error), error.hint)
        return Page(200, self._html(view.template, title=view.title, here=name, **values))

    def _look(self, scene: Scene, needs: str) -> bool:
        """Give a view what it needs; whether it is there. Raises InputError where there is no run."""
        if needs == "jobs":
            with contextlib.suppress(InputError):  # jobs need no run
                scene.run = runs.latest(self.run_dir)
            scene.listing = self.listings.of(scene.run)
            return scene.listing is not None
        scene.run = runs.latest(self.run_dir)
        scene.picture = self.pictures.of(scene.run) if needs == "picture" else None
        return needs == "run" or scene.picture is not None

    def _sorry(self, status: int, what: str, hint: str, refresh: int = 0) -> Page:
        return Page(status, self._html("sorry.html", title="OpenSwarm", here=None, what=what, hint=hint, refresh=refresh))

    def _html(self, template: str, **values: Any) -> str:
        return self._jinja.get_template(template).render(navigation=NAVIGATION, **values)


def shown(value: Any) -> Any:
    """What jinja2 escapes next: a text without what a browser would obey or turn round; a dash for nothing."""
    if isinstance(value, Markup):
        return value
    return plain.clean(value) if isinstance(value, str) else "–" if value is None else value


def clock(seconds: float | None) -> str | None:
    """Unix seconds as `Wed 14:02:11`, where this machine stands."""
    return None if not seconds or not 0 < seconds < 2**40 else time.strftime("%a %H:%M:%S", time.localtime(seconds))


def number(value: float | None, places: int = 0) -> str | None:
    """`1,234.5`; nothing for nothing."""
    return None if value is None else f"{value:,.{places}f}"
