"""The web page in headless Chromium: every view by clicking, with stores full of markup, of which nothing becomes an element or runs.

    apt-get install chromium && .venv/bin/pip install -c constraints.txt -e '.[browser]' && ./run_swarm.sh test -m browser
"""

from __future__ import annotations

import os
import shutil

import pytest
import webs
from chains import running
from webs import LINK, SCRIPT, served

from swarm.ui.web.site import Site

INSTALL = "`apt-get install chromium` and `.venv/bin/pip install -c constraints.txt -e '.[browser]'` bring it"
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
PLANTED = "script, img, iframe, object, embed, form, #planted, [onmouseover], [onerror], [href^='javascript'], [style], base"
PHONE, DESK = {"width": 390, "height": 800}, {"width": 1200, "height": 900}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A tab on the front page. `page.seen`: what no page may bring about."""
    playwright = pytest.importorskip("playwright.sync_api", reason=f"there is no playwright: {INSTALL}")
    if CHROMIUM is None:
        pytest.skip(f"there is no Chromium: {INSTALL}")
    home = tmp_path_factory.mktemp("browser")
    with running(home / "world") as world, pytest.MonkeyPatch.context() as patch, playwright.sync_playwright() as driver:
        patch.setenv("SWARM_HOME", str(home))
        webs.hostile_run(home / "runs" / "local-1", world)
        browser = driver.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0)
        with served(Site()) as (_, port):
            page = browser.new_page(viewport=DESK)
            page.seen = []
            page.on("dialog", lambda dialog: (page.seen.append(f"dialog {dialog.message}"), dialog.dismiss()))
            page.on("console", lambda message: page.seen.append(f"console {message.text}"))
            page.on("pageerror", lambda error: page.seen.append(f"error {error}"))
            page.on("request", lambda request: page.seen.append(request.url) if f"//127.0.0.1:{port}/" not in request.url else None)
            page.goto(f"http://127.0.0.1:{port}/")
            yield page
            browser.close()


def clicked(page, name: str, title: str) -> None:
    """Follow a link by what it says, and see that the page under it is whole and has nothing of what was planted."""
    page.get_by_role("link", name=name, exact=True).first.click()
    page.wait_for_load_state()
    whole(page, title)


def whole(page, title: str) -> None:
    assert page.title() == f"{title} · OpenSwarm"
    assert page.locator("h1").count() == 1 and page.locator("main").count() == 1
    assert page.locator(PLANTED).count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the window"


def test_all_views_by_clicking_and_what_was_planted_does_nothing(page):
    whole(page, "Swarm now")
    body = page.locator("main").inner_text
    assert SCRIPT in body() and LINK in body(), "it is there, as text"
    clicked(page, "Leaderboard", "Leaderboard")
    operators = page.locator("tbody a").all_inner_texts()
    assert len(operators) == 2
    clicked(page, operators[0], "Peer")
    assert "Epoch by epoch" in body() and "1000 × (" in body()
    page.locator("summary").first.click()
    clicked(page, "Markets", "Judge markets")
    assert SCRIPT in body()
    page.locator("tbody a").first.click()
    whole(page, "Judge market")
    page.get_by_text("in full").first.click()
    assert SCRIPT in body() and LINK in body() and "characters more are not shown here" in body()
    page.locator("td.wide").nth(1).hover()
    clicked(page, "Jobs", "Jobs")
    assert SCRIPT in body()
    page.locator("tbody a").first.click()
    whole(page, "Job")
    assert page.locator("h1").inner_text() == SCRIPT and LINK in body() and "are in escrow" in body()
    clicked(page, "Curves", "Curves")
    assert page.locator("polyline").count() == 5 and page.locator("polyline").first.bounding_box()["width"] > 200
    page.get_by_text("The figures").first.click()
    clicked(page, "Now", "Swarm now")
    clicked(page, SCRIPT, "Peer")
    assert page.locator("h1").inner_text() == SCRIPT
    assert not page.seen


def test_it_fits_a_phone_in_the_dark_and_without_scripts_at_all(page):
    page.set_viewport_size(PHONE)
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.emulate_media(color_scheme="dark")
    try:
        for name, title in {"Now": "Swarm now", "Leaderboard": "Leaderboard", "Markets": "Judge markets", "Jobs": "Jobs", "Curves": "Curves"}.items():
            clicked(page, name, title)
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != light
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
    finally:
        page.set_viewport_size(DESK)
        page.emulate_media(color_scheme="light")
    assert not page.seen


def test_the_browser_would_run_no_script_that_got_in(page):
    """The second wall: Chromium refuses what the page's policy forbids, whoever put it there."""
    page.goto(page.url)
    refused = page.evaluate("""() => {
        const made = document.createElement('script');
        made.textContent = 'document.title = "Owned"';
        document.body.append(made);
        return document.title;
    }""")
    assert refused.endswith("· OpenSwarm") and any("Content Security Policy" in line for line in page.seen)
    page.seen.clear()
