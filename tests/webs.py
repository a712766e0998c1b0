"""A run whose peers and markets are full of markup, made as peers make it: real records, a real chain, real stores on disk; and its page served."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from chains import Member, World, commitment
from test_job_market import HELLO, begun

from judge import events, manifest
from judge.manifest import Manifest
from judge.terms import CREDIT
from swarm import recipe, runs
from swarm.chain.client import Swarm
from swarm.chain.values import WEI
from swarm.enrolment import schedule_of, write_schedule
from swarm.heartbeat import FILE as HEARTBEAT
from swarm.heartbeat import Heartbeat
from swarm.identity import Identity
from swarm.jobs.brief import Brief
from swarm.judging import FOLDER
from swarm.market import page as pages
from swarm.market.facts import domain_of, round_seed
from swarm.market.store import FILE, Store
from swarm.metrics import Metrics
from swarm.runs import Run
from swarm.ui.web.server import Door
from swarm.ui.web.site import Site

SCRIPT = "<script>alert(1)</script>"
IMAGE = '<img src=x onerror="alert(2)">'
LINK = "<a id=planted href=javascript:alert(3)>click</a>"
QUESTION = f"{SCRIPT}{IMAGE} Which answer?</blockquote><h1 id=planted>Owned</h1><title>Owned</title>"
ANSWERS = (f"{SCRIPT} one", f'two " onmouseover=alert(4) {IMAGE}', "three")
LONG = f"{ANSWERS[0]}\nlong \x1b[2J\u202e{LINK}{IMAGE}" + "x" * 5000
EVIDENCE = f"{LINK}{SCRIPT} the first is wrong \u0627\u0644\u0639\u0631\u0628\u064a\u0629"
RULES = recipe.load("local", ["judge.profile=test"])


def hostile_run(folder: Path, world: World) -> Run:
    """Two operators with stake, one with a commitment that was settled and one market, in which the other one brings evidence."""
    swarm = world.swarm(faucet=False, recipe=RULES.hash)
    host, other = world.member(swarm), world.member(swarm)
    info = runs.begin(RULES).model_copy(update={"swarm": swarm.id.hex(), "recipe": f"{SCRIPT}\u202e"})
    run = Run.create(folder, info)
    run.keep_recipe(RULES)
    run.unlock()
    world.link.save(run.chain)
    write_schedule(run.chain, schedule_of(swarm.terms))
    for index in range(2):
        _peer(run.peer(index), index)
    world.to_window(swarm, 0)
    fields = commitment(host, 0)
    world.chain.send(host.session, "ledger", "commit", *fields)
    _market(run.peer(0) / FOLDER / FILE, world, swarm, host, other)
    _job(folder.parent, world)
    return run


def _job(folder: Path, world: World) -> None:
    """A job of the run's chain whose brief is a stranger's."""
    member = Identity.create(folder / "submitter", None, unencrypted=True)
    world.anvil.fund(member.address, 10 * WEI)
    mine, cost = begun(), 10 * WEI
    with world.at_once():
        mine.create(world.chain, member, HELLO, lambda text: None)
        world.chain.send(member.secret, "credit", "faucet", cost)
        world.chain.send(member.secret, "credit", "approve", world.chain.address("market"), cost)
        brief = Brief(SCRIPT, f"{LINK}{IMAGE}\u202e for the best", bytes(32), ()).pack()
        world.chain.send(member.secret, "market", "post", mine.id, mine.posting.offer.at(world.chain.head().time), brief)
    mine.run.unlock()


def _peer(folder: Path, index: int) -> None:
    """What a node writes of itself, its names and tasks being the worst that they can be."""
    beat = Heartbeat(name=f"{SCRIPT}{IMAGE}"[:80] if index else SCRIPT, state="waiting", round=30, rounds=40, reward=0.5, peers_heard=1)
    beat.accuracy = beat.accuracy_before = {f"{IMAGE}": 0.25}
    beat.accuracy_constant = {f"{IMAGE}": 0.125}
    beat.warn(f"{LINK}{SCRIPT}", IMAGE)
    beat.note(f"heard \x1b]0;Owned\x07\u202e{SCRIPT}")
    beat.write(folder / HEARTBEAT)
    metrics = Metrics(folder, 0)
    for round in range(1, 31):
        metrics.write({"round": round, "reward": round / 40, "trained": {"author": {SCRIPT: 1}}, "accuracy": {IMAGE: round / 60, SCRIPT: "1"}})


def _market(path: Path, world: World, swarm: Swarm, host: Member, other: Member) -> None:
    """A market that is open until there is randomness, with evidence, as its host publishes it."""
    domain, schedule = domain_of(world.link.chain_id, swarm.id), schedule_of(swarm.terms)
    t = world.chain.head().time * 1000
    texts = (LONG, ANSWERS[1], ANSWERS[2])
    outcomes = tuple((label, hashlib.sha256(text.encode()).digest(), ()) for label, text in zip(ANSWERS, texts, strict=True))
    said = dict(actor=host.address, t=t, nonce=1, kind="H", question=QUESTION, outcomes=outcomes, b0=10 * CREDIT)
    opened = events.write(events.Open(**said), domain, host.session)
    market = opened.event.market(domain)
    funded = events.write(events.Fund(actor=host.address, t=t, market=market), domain, host.session)
    about = dict(actor=other.address, t=t + 500, market=market, about=0, says=events.WRONG)
    piece = events.write(events.Evidence(text=EVIDENCE, **about), domain, other.session)
    world.skip(schedule.beacon_until(1) - world.chain.head().time + 10)
    value, ready = world.chain.read("beacon", "value", swarm.id, 2)
    assert ready
    ids = manifest.order([piece.id], "OPEN", round_seed(value, market, 1))
    store = Store(path, domain)
    for page in (pages.opening(opened, funded, texts, domain), pages.phase(Manifest(market, "OPEN", 1, ids), [piece], domain, host.session)):
        store.add(page)
    store.close()


@contextlib.contextmanager
def served(site: Site, host: str = "127.0.0.1") -> Iterator[tuple[Door, int]]:
    """The page on a free port, in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        door = asyncio.run_coroutine_threadsafe(_door(site, host), loop).result(10)
        yield door, asyncio.run_coroutine_threadsafe(door.open(0), loop).result(10)
        asyncio.run_coroutine_threadsafe(door.close(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        site.close()


async def _door(site: Site, host: str) -> Door:
    return Door(site, host)


def ask(port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], str]:
    """One request: status, headers, text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, {"Host": f"127.0.0.1:{port}"} | headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read().decode()
    finally:
        connection.close()


def raw(port: int, data: bytes) -> bytes:
    """The first of the answer to what no client would send."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plug:
        plug.sendall(data)
        return plug.recv(65_536)
