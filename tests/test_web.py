"""The web page: what it shows of real stores, that foreign text stays text there, and who gets an answer at all."""

from __future__ import annotations

import http.client
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import webs
from chains import running
from markets import START, TERMS, FakeFacts, opening
from test_score import command
from webs import IMAGE, RULES, SCRIPT, ask, raw, served

from swarm import chainhost, runs
from swarm.chain import link
from swarm.errors import ChainError
from swarm.heartbeat import FILE as HEARTBEAT
from swarm.heartbeat import Heartbeat
from swarm.jobs import place as local
from swarm.market.tape import Tape
from swarm.ui.web import chart as charts
from swarm.ui.web import newest, server
from swarm.ui.web.chart import Line, chart
from swarm.ui.web.hall import Hall
from swarm.ui.web.jobs import Listing, Listings
from swarm.ui.web.newest import Look
from swarm.ui.web.picture import Picture, Pictures
from swarm.ui.web.scene import Scene
from swarm.ui.web.server import Door
from swarm.ui.web.site import Site, shown

VIEWS = ("/", "/leaderboard", "/markets", "/jobs", "/curves")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run folder full of markup, its chain being on."""
    home = tmp_path_factory.mktemp("web")
    with running(home / "world") as world, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWARM_HOME", str(home))
        yield webs.hostile_run(home / "runs" / "local-1", world)


@pytest.fixture(scope="module")
def site(hostile):
    made = Site(hostile.folder)
    yield made
    made.close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    """A page about nothing, served."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWARM_HOME", str(tmp_path_factory.mktemp("empty")))
        with served(Site()) as found:
            yield found


def market_of(site: Site) -> str:
    return site.page("/markets", {}).html.partition('href="/market/')[2].partition('"')[0]


def job_of(site: Site) -> str:
    return site.page("/jobs", {}).html.partition('href="/job/')[2].partition('"')[0]


# ---- what is shown


def test_every_view_shows_what_the_stores_hold_and_no_markup_of_theirs(site, hostile):
    member = site.pictures.of(hostile).members[0]
    places = [*VIEWS, f"/market/{market_of(site)}", f"/job/{job_of(site)}", f"/peer/{SCRIPT}", f"/peer/{member.operator}"]
    pages = {place: site.page(place, {}) for place in places}
    for place, page in pages.items():
        assert page.status == 200, place
        low = page.html.lower()
        assert not any(tag in low for tag in ("<script", "<img", "<a id", "onmouseover=\"", "</blockquote><h1")), place
        assert not any(sign in page.html for sign in "\u202e\x1b\x07"), place
        assert low.count("<title>") == low.count("<h1>") == 1, place
    shown = "\n".join(page.html for page in pages.values())
    assert shown.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 10 and "&lt;img src=x onerror=&#34;alert(2)&#34;&gt;" in shown


def test_the_views_have_what_the_commands_say(site, hostile):
    now, board, listed = (site.page(place, {}).html for place in ("/", "/leaderboard", "/markets"))
    assert ">stopped<" in now and "Round 30 of 40" in now and "Epoch</dt><dd>3" in now
    assert "0.25" in now and "0.12" in now, "accuracy, and that of the constant answer"
    member = site.pictures.of(hostile).members[0]
    assert member.title in board and member.operator in board and "missing records" not in board
    assert "VOID" in listed and "Which answer?" in listed and ">1</td>" in listed
    one = site.page(f"/market/{market_of(site)}", {}).html
    assert "characters more are not shown here" in one and "x" * 4000 not in one and "rejected" in one and "العربية" in one and 'dir="auto"' in one
    history = site.page(f"/peer/{member.title}", {}).html
    assert "1000 × (0.50 × 0/" in history and "W verified work" in history and 'id="epoch-0"' in history
    drawn = site.page("/curves", {}).html
    assert drawn.count("<polyline") == 2 + 2 + 1 and "best constant answer" in drawn and "<table>" in drawn
    jobs, job = site.page("/jobs", {}).html, site.page(f"/job/{job_of(site)}", {}).html
    assert "seeding" in jobs and "0 of 40" in jobs and "are in escrow" in job and "part 0: nobody" in job and "for the best" in job


def test_prices_of_a_market_that_may_still_draw_its_reader_are_hidden(hostile, monkeypatch):
    """`judge.views` hides them from who may get a seat: the page's reader is nobody, and so may always get one."""
    facts = FakeFacts()
    facts.people("host", "ann")
    tape, opened = Tape(TERMS, facts, lambda said, texts: 0), opening("host", START + 10, kind="P")
    tape.add(opened)
    tape.play(START + 500)
    hall = Hall.of(tape, {})
    (case,) = hall.cases
    assert case.state == "OPEN" and not case.shown and all(option.price is None for option in case.options) and case.ruling is None
    site = Site(hostile.folder)
    monkeypatch.setattr(site.pictures, "of", lambda run: Picture(hall=hall))
    page = site.page(f"/market/{opened.market.hex()}", {}).html
    assert "Prices are hidden" in page and "answer one of 1" in page and "0.33" not in page and '<svg class="bar"' not in page
    assert "not before its end" in site.page("/markets", {}).html
    site.close()


def test_what_no_view_cleans_is_cleaned_where_it_is_printed(site):
    assert shown("a\u202eb\x1b[0m\u200b") == "ab[0m" and shown(None) == "–" and shown(3) == 3
    page = site.page("/curves", {}).html  # the recipe's name in run.json ends with a right-to-left override
    assert "recipe <bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>" in page
    assert site._jinja.from_string("{{ x }}").render(x=f"\u202e{IMAGE}").startswith("&lt;img")


def test_pages_are_bounded(hostile):
    rows = list(range(1000))
    for said, number in (("2", 2), ("999999", 25), ("0", 1), ("-1", 1), ("9" * 40, 1), ("x", 1), ("", 1), ("٣", 1)):
        part = Scene(hostile, query={"page": said}).part(rows)
        assert (part.number, part.last, len(part.rows)) == (number, 25, 40), said
    assert Scene(hostile).part([]).last == 1


def test_unknown_addresses_are_404_and_say_so(site):
    unknown = ("/nothing", "/markets/x", "/market/", "/market/zz", "/peer/nobody", "/job/x", "/job/", "/curves/", "//", "/style.css/x")
    for path in (*unknown, f"/market/{'0' * 64}"):
        page = site.page(path, {})
        assert page.status == 404 and "Nothing to show" in page.html, path


# ---- when nothing runs, and when something is wrong


def test_without_a_run_every_view_is_one_sentence(home):
    site = Site()
    for place in VIEWS:
        page = site.page(place, {})
        said = "There are no jobs" if place == "/jobs" else "There is no run in"
        assert page.status == 200 and said in page.html and ("swarm up" in page.html or place == "/jobs"), place
    site.close()


def test_a_run_that_has_no_chain_yet_and_a_damaged_file_are_said(home):
    run = runs.Run.create(home / "runs" / "local-1", runs.begin(RULES))
    run.keep_recipe(RULES)
    Heartbeat(name="calm-fox").write(run.peer(0) / HEARTBEAT)
    site = Site()
    assert "calm-fox" in site.page("/", {}).html and ">on<" in site.page("/", {}).html
    for place in ("/leaderboard", "/markets"):
        page = site.page(place, {})
        assert page.status == 200 and "has no chain yet" in page.html, place
    assert "no round to draw" in site.page("/curves", {}).html
    (run.chain / link.FILE).write_text("{}")
    page = site.page("/", {})
    assert page.status == 200 and "calm-fox" in page.html and "its chain cannot be looked at" in page.html
    (run.peer(0) / HEARTBEAT).write_text("{")
    page = site.page("/", {})
    assert page.status == 503 and "is damaged" in page.html and "the node writes a new one" in page.html.lower()
    site.close()
    run.unlock()


def test_a_picture_is_kept_when_the_chain_stops_answering(hostile, monkeypatch):
    pictures = Pictures()
    good = pictures.of(hostile)
    monkeypatch.setattr(newest, "OFTEN_S", 0.0)
    monkeypatch.setattr(newest, "SHARE", 0.0)
    assert good.members and not good.trouble and pictures.of(hostile) is good
    there = link.load(hostile.chain)
    there.at("http://127.0.0.1:9").save(hostile.chain)
    hostile.lock()  # it is on now: another picture is due
    try:
        end = time.monotonic() + 20
        while not (late := pictures.of(hostile)).trouble and time.monotonic() < end:
            time.sleep(0.05)
        assert late.trouble and late.members == good.members and late.hall is good.hall and late.taken == good.taken
    finally:
        hostile.unlock()
        there.save(hostile.chain)
        pictures.close()


def test_what_is_looked_at_is_looked_at_again_only_now_and_then(monkeypatch):
    looks, clock = [], [1000.0]
    monkeypatch.setattr(newest.time, "time", lambda: clock[0])

    def look(subject: str) -> Look:
        clock[0] += 20  # so long it takes
        looks.append(subject)
        if subject == "broken":
            raise ChainError("nobody answers", "wait")
        return Look()

    kept = newest.Newest(look, Look, "test")

    def seen(subject: str, mark: int = 0, on: bool = True, later: float = 0.0) -> int:
        clock[0] += later
        for _ in range(3):
            kept.of(subject, "whose", mark, on)
            kept._taking and kept._taking.result()
        return len(looks)

    assert seen("run") == 1 and seen("run", later=199) == 1, "what takes long is done seldom"
    assert seen("run", later=2) == 2 and seen("run", on=False, later=10**6) == 2, "what is off stays as it is"
    assert seen("run", mark=1, on=False) == 3, "unless something says that it changed"
    assert seen("broken", mark=2) == 4 and kept.of("broken", "whose", 2, True).trouble == "nobody answers"
    assert kept.of("broken", "whose", 2, True).taken > 1000, "the last good look stays"
    assert seen("broken", mark=2, later=29) == 4 and seen("broken", mark=2, on=False, later=2) == 5
    kept.close()


def test_looking_at_a_chain_that_is_off_changes_nothing_and_lets_it_start(tmp_path):
    folder = tmp_path / "chain"
    local = chainhost.LocalChain(folder)
    local.start()
    height = local.anvil.rpc.call("eth_blockNumber")
    local.stop()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with chainhost.looking(folder) as chain:
        assert chain.head().number >= int(height, 16) and {path.name: path.read_bytes() for path in folder.iterdir()} == before
        again = chainhost.LocalChain(folder)
        again.start()
        again.stop()
        assert chain.head().number >= int(height, 16)
    link.load(folder).model_copy(update={"embedded": False}).at("http://127.0.0.1:9").save(folder)
    with pytest.raises(ChainError), chainhost.looking(folder):
        pass


def test_jobs_are_those_of_the_local_market_else_of_the_run(hostile, home):
    there, listings = link.load(hostile.chain), Listings()
    assert listings.of(None) == Listing() and len(listings.of(hostile).rows) == 1
    (home / local.FOLDER).mkdir()
    there.save(home / local.FOLDER)
    assert len(listings.of(None).rows) == 1
    host = runs.claim(home / local.FOLDER / local.LOCK)  # somebody keeps the market's chain on now, and it does not answer
    there.at("http://127.0.0.1:9").save(home / local.FOLDER)
    end = time.monotonic() + 20
    while not (late := listings.of(None)).trouble and time.monotonic() < end:
        time.sleep(0.05)
    assert late.trouble and len(late.rows) == 1, "what was known stays"
    os.close(host)
    listings.close()


# ---- curves


def test_a_chart_leaves_out_what_is_no_number_and_has_few_points():
    bad = ((1, math.nan), (2, math.inf), (3, "0.5"), (4, True), (5, None), (-1, 0.5), (6, 10**400), (7, 1e300))
    one = chart("t", "a", [Line("x", (*bad, (10, 0.25), (5, 0.75)))])
    assert len(one.lines) == 1 and (one.lines[0].first, one.lines[0].last) == (0.75, 0.25)
    assert chart("t", "a", [Line("x", bad), Line("c", level=0.5)]) is None
    long = chart("t", "a", [Line("x", tuple((n, n % 2) for n in range(10_000))), Line("c", level=0.5)])
    assert len(long.lines[0].path.split()) <= charts.POINTS and long.lines[1].style == "level"
    assert 4 <= len(long.up) <= 8 and 4 <= len(long.across) <= 8
    assert all(charts.LEFT <= float(x) <= charts.RIGHT for x, _ in (point.split(",") for point in long.lines[0].path.split()))


def test_values_beyond_one_and_below_nought_stay_inside():
    one = chart("t", "a", [Line("x", ((0, -3.0), (1, 40.0)))])
    assert all(charts.TOP <= float(y) <= charts.BOTTOM for _, y in (point.split(",") for point in one.lines[0].path.split()))


# ---- the door


def test_every_answer_forbids_scripts_frames_and_guessing(door, hostile):
    port = door[1]
    answers = [ask(port, path) for path in ("/", "/style.css", "/nothing", "/" + "x" * 300)]
    answers += [ask(port, "/", "POST"), ask(port, "/", Host="evil.example")]
    assert [status for status, _, _ in answers] == [200, 200, 404, 414, 405, 421]
    for _, headers, _ in answers:
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-anc")
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer" and headers["X-Frame-Options"] == "DENY"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin" and "Set-Cookie" not in headers and headers["Server"] == "openswarm"
        assert "Access-Control-Allow-Origin" not in headers and headers["Content-Type"].endswith("; charset=utf-8")


def test_only_names_of_this_machine_are_answered(door):
    port = door[1]
    for name in ("localhost", f"localhost:{port}", "LOCALHOST:9000", "127.0.0.1", "[::1]:80", "localhost."):
        assert ask(port, "/", Host=name)[0] == 200, name
    for name in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.7", "", "localhost:x", "a b"):
        assert ask(port, "/", Host=name)[0] == 421, name
    assert b" 421 " in raw(port, b"GET / HTTP/1.0\r\n\r\n")
    two = raw(port, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
    assert b" 200 " not in two and (b" 421 " in two or b" 400 " in two)


def test_elsewhere_than_on_loopback_addresses_are_answered_and_foreign_names_are_not(site):
    shared, named = Door(site, "0.0.0.0"), Door(site, "Box.lan")
    assert not shared.is_own([]) and not shared.is_own(["localhost", "evil.example"]), "which one would a browser have meant?"
    for name in ("10.0.0.7:8040", "[2001:db8::1]", "localhost", socket.gethostname()):
        assert shared.is_own([name]), name
    assert named.is_own(["box.lan:8040"]) and named.is_own(["10.0.0.7"])
    for name in ("evil.example", "10.0.0.7.evil.example", "0x7f.1.evil", "[evil]"):
        assert not shared.is_own([name]) and not named.is_own([name]), name
    assert server.is_loopback("127.0.0.1") and server.is_loopback("::1") and server.is_loopback("localhost")
    assert not server.is_loopback("0.0.0.0") and not server.is_loopback("box.lan")


def test_nothing_but_reading(door):
    port = door[1]
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
        status, headers, _ = ask(port, "/", method)
        assert status == 405 and headers["Allow"] == "GET, HEAD", method
    status, headers, text = ask(port, "/", "HEAD")
    assert status == 200 and text == "" and int(headers["Content-Length"]) > 500
    assert ask(port, "/", body=b"x" * 100)[0] == 413


def test_no_path_is_a_file(door):
    port = door[1]
    for path in (
        "/../../../../etc/passwd", "/style.css/../../../../../../etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd",
        "/peer/..%2f..%2fetc%2fpasswd", "/market/../../style.css%00", "/templates/base.html", "/base.html", "/etc/passwd", "/%00", "/peer/%ff%fe",
    ):  # fmt: skip
        status, _, text = ask(port, path)
        assert status in (200, 404) and "root:" not in text and "{%" not in text and ("There is no page" in text or "There is no run" in text), path


def test_long_addresses_and_heads_and_nonsense_are_refused_without_a_traceback(door, caplog):
    port = door[1]
    assert ask(port, "/?" + "a" * 190)[0] == 200 and ask(port, "/?" + "a" * 200)[0] == 414
    long = b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for data in (long, b"nonsense\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\r\n\r\n"):
        assert b" 400 " in raw(port, data).partition(b"\r\n")[0]
    assert b" 400 " in raw(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"x%d: 1\r\n" % n for n in range(300)) + b"\r\n")
    assert not caplog.records


def test_too_many_at_once_are_told_to_wait(door, monkeypatch):
    found, port = door
    monkeypatch.setattr(found, "_busy", server.AT_ONCE)
    assert ask(port, "/")[0] == 503
    monkeypatch.setattr(found, "_busy", 0)
    monkeypatch.setattr(server, "CONNECTIONS", 2)
    idle = [http.client.HTTPConnection("127.0.0.1", port, timeout=5) for _ in range(3)]
    try:
        for each in idle:
            each.connect()
        assert ask(port, "/")[0] == 503
    finally:
        for each in idle:
            each.close()


def test_two_readers_at_once_get_their_pages(hostile, site):
    with served(Site(hostile.folder)) as (_, port):
        found = []
        threads = [threading.Thread(target=lambda path=path: found.append(ask(port, path)[0])) for path in VIEWS * 2]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert found == [200] * len(threads)


# ---- the command


def test_the_command_serves_until_it_is_stopped(home):
    words = [sys.executable, "-m", "swarm.cli", "web", "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"SWARM_HOME": str(home)})
    try:
        said = process.stdout.readline()
        port = int(said.partition("127.0.0.1:")[2].partition("/")[0])
        assert "read-only" in said and ask(port, "/")[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0 and process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()


def test_what_the_command_says_no_to(capsys, home, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = command(capsys, "web", "--port", str(taken.getsockname()[1]))
        assert code == 5 and "the port is taken" in err and "--port" in err
    code, _, err = command(capsys, "web", "--host", "192.0.2.1", "--port", "0")
    assert code == 2 and "cannot listen on 192.0.2.1" in err and "there is no password" in err
    monkeypatch.setattr(server, "serve", lambda host, port, site, say: say("here"))
    assert "warning" in command(capsys, "web", "--host", "0.0.0.0")[2] and "warning" not in command(capsys, "web")[2]
