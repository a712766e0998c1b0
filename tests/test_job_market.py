"""A job on a real chain, from the submitter's side: posted once whatever is interrupted, read from events, watched, cancelled."""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace

import pytest
from blake3 import blake3
from chains import CLASS, running
from jobs import delivered
from typer.testing import CliRunner

from swarm import keys, recipe
from swarm.chain.client import Chain
from swarm.chain.logs import Scanner
from swarm.chain.values import WEI, JobPhase, Verdict, amount
from swarm.cli import app
from swarm.enrolment import Hello
from swarm.errors import ChainRefused, InputError
from swarm.identity import Identity
from swarm.jobs import earning, guidance, submit
from swarm.jobs import offer as offers
from swarm.jobs.book import Book, rows
from swarm.jobs.brief import Estimate
from swarm.jobs.earning import Machine
from swarm.jobs.guidance import Work
from swarm.jobs.offer import Offer, Wish
from swarm.jobs.submit import Posting, Submission
from swarm.jobs.watch import Watch
from swarm.supervisor import Child
from swarm.ui.web import jobs as web

PEER = "QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt"
HERE = f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}"
HELLO = Hello(CLASS, keys.keccak(b"base"))
RULES = recipe.load("local")
WORK = Work.of(RULES, 1.0)
quiet = lambda text: None  # noqa: E731


class Killed(Exception):
    """The process ended right after a transaction was mined."""


class KilledChain(Chain):
    """Ends the process after every transaction."""

    def send(self, *args, **more):
        raise Killed(super().send(*args, **more))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(tmp_path_factory.mktemp("world")) as world, world.at_once():
        yield world


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def member(world, home):
    made = Identity.create(home / "identities" / "submitter-0", None, unencrypted=True)
    world.anvil.fund(made.address, 10 * WEI)
    return made


def begun(budget=10 * WEI, **wish):
    asked = Wish(budget, 3600, **wish)
    rules, _ = offers.fitted(RULES, asked, WORK)
    mine = Submission.begin(rules, Posting(Offer.of(rules, asked), (), Estimate(WORK.sampled, WORK.trained, 10**9, 10**9)))
    mine.decide(HELLO, any_class=False)
    return mine


def posted(world, member, **wish):
    mine = begun(**wish)
    mine.bind(world.chain)
    mine.create(world.chain, member, HELLO, quiet)
    mine.post(world.chain, member, [HERE], quiet)
    return mine


def test_a_submission_that_is_killed_after_every_transaction_posts_and_pays_once(world, home, member):
    chain, mine, used = KilledChain(world.link, 5.0), begun(), []
    for _ in range(20):
        mine.run.unlock()
        mine = Submission.find(recipe=mine.recipe)  # as the same command does
        try:
            mine.create(chain, member, HELLO, quiet)
            mine.post(chain, member, [HERE], quiet)
            break
        except Killed as killed:
            used.append(int(killed.args[0]["gasUsed"], 16))
    create, _, approve, post = used  # the swarm, the faucet, the allowance, the offer
    told = guidance.POST_GAS
    assert told["create the swarm"] / 2 < create < told["create the swarm"] and approve < told["approve"] and told["post"] / 2 < post < told["post"]
    made = [event for event in Scanner(world.chain, ("market",)).scan().new if event.name == "Posted" and event.values["job"] == mine.id]
    cost = made[0].values["cost"]
    assert len(made) == 1 and world.chain.read("market", "jobOf", mine.id).escrow == cost
    assert world.chain.read("credit", "balanceOf", member.address) == 0 and world.chain.read("credit", "taken", member.address) == cost


def test_the_contract_takes_what_was_shown_and_the_swarm_has_the_terms_of_its_recipe(world, home, member):
    for wish in ({}, dict(solvers=2), dict(solvers=2, split=True, segments=3), dict(target=0.5, evaluation=keys.keccak(b"hidden"))):
        mine = posted(world, member, **wish)
        costs = mine.posting.offer.costs(mine.recipe)
        assert world.chain.read("market", "jobOf", mine.id).escrow == costs.total <= 10 * WEI
        job = Book(world.chain).job(mine.short)
        terms = job.swarm.terms
        assert not terms.faucet and terms.token == job.state.token and terms.segments == mine.recipe.proof.drawn
        assert job.swarm.record().recipe == mine.recipe.hash and job.swarm.base == HELLO.base
        assert getattr(job.offer, "class") == CLASS


def test_a_seeder_that_cannot_start_is_begun_anew(home, monkeypatch):
    monkeypatch.setattr("swarm.jobs.submit.SEEDER", (sys.executable, "-c", "import sys; sys.exit(3)"))  # an identity in use: never restarted
    monkeypatch.setattr("swarm.jobs.submit.REVIVE_S", 0.1)
    mine = begun()
    monkeypatch.setattr(mine, "child", Child(0, mine.folder, submit.SEEDER))
    said, end = [], time.monotonic() + 30
    while len(said) < 2 and time.monotonic() < end:
        said += filter(None, [mine.tend()])
        time.sleep(0.05)
    mine.close()
    assert len(said) == 2 and "ended with code 3" in said[1]


def test_a_submission_stays_on_its_chain(world, home, member):
    mine = begun()
    mine.bind(world.chain)
    other = SimpleNamespace(link=world.link.model_copy(update={"chain_id": 7}))
    with pytest.raises(InputError, match="was begun on another chain than 7"):
        mine.bind(other)


def test_the_book_tells_jobs_by_the_chain_and_survives_a_hostile_brief(world, home, member):
    mine = posted(world, member)
    job = Book(world.chain).job(mine.short)
    found = next(row for row in rows(world.chain) if row["job"] == mine.id.hex())
    assert (found["phase"], found["open"], found["seeders"], found["steps"]) == ("seeding", True, 0, 40)
    assert found["price"] == amount(mine.posting.offer.price) and found["name"] == "local"
    assert job.brief.recipe.hex() == mine.run.info.recipe_blob and job.brief.addresses == (HERE,)
    with pytest.raises(InputError, match="there is no job 'nobody'"):
        Book(world.chain).job("nobody")
    hostile = begun(budget=9 * WEI)
    hostile.create(world.chain, member, HELLO, quiet)
    offer = hostile.posting.offer.at(world.chain.head().time)
    world.chain.send(member.secret, "credit", "faucet", 10 * WEI)
    world.chain.send(member.secret, "credit", "approve", world.chain.address("market"), 10 * WEI)
    world.chain.send(member.secret, "market", "post", hostile.id, offer, b"\x91" * 100)
    job = Book(world.chain).job(hostile.short)
    assert job.brief is None and job.name == "(no brief)" and "does not parse" in job.why
    assert any(row["job"] == hostile.id.hex() for row in rows(world.chain))
    listing = web.listing(world.chain)
    shown = {row["job"]: row for row in listing.rows}
    assert shown[mine.id.hex()]["accepted_steps"] == 0 and shown[hostile.id.hex()]["about"].startswith("the brief does not parse")
    assert any("does not parse" in line for line in listing.told[hostile.id.hex()])


def test_what_a_fork_of_the_chain_took_back_is_out_of_the_book(world, home, member):
    mine, gone = posted(world, member), world.anvil.rpc.call("evm_snapshot")
    book = Book(world.chain)
    assert book.job(mine.short).open
    world.chain.send(member.secret, "market", "cancel", mine.id)
    assert [event.name for event in book.job(mine.short).events] == ["Posted", "Cancelled", "Settled"]
    world.anvil.rpc.call("evm_revert", gone)
    world.mine(3)
    job = book.job(mine.short)
    assert [event.name for event in job.events] == ["Posted"] and job.open


def test_guidance_and_chances_come_from_the_open_jobs(world, home, member):
    mine = posted(world, member, budget=20 * WEI)
    book = Book(world.chain)
    found = guidance.guidance(world.chain, book)
    offered = mine.posting.offer.price * 10**6 // (40 * WORK.mflop)
    assert not found.paid and offered in found.offered
    now = world.chain.head().time
    chances = [each for each in earning.chances(book.jobs(), Machine(2**34, 1.0), now) if each.job == mine.short]
    assert {each.role for each in chances} == {"solver", "verifier"} and not any(each.why for each in chances)
    assert next(each for each in chances if each.role == "solver").pays == mine.posting.offer.price
    assert all(each.why == "too little memory" for each in earning.chances(book.jobs(), Machine(10**6, 1.0), now) if each.job == mine.short)


def test_what_happens_to_a_job_is_said_and_cancelling_pays_back(world, home, member, monkeypatch):
    mine, said = posted(world, member), []
    monkeypatch.setattr(mine, "tend", str)  # no seeder process here
    swarm = Book(world.chain).job(mine.short).swarm
    members = [world.member(swarm, mine.posting.offer.solverStake) for _ in range(3)]
    for each in members[:2]:
        world.chain.send(each.session, "market", "seed", mine.id, each.key)
    solver, bond = members[2], world.chain.read("market", "bondOf", mine.posting.offer.at(0))
    world.chain.send(solver.secret, "credit", "faucet", bond)
    world.chain.send(solver.secret, "credit", "approve", world.chain.address("market"), bond)
    world.chain.send(solver.secret, "market", "claim", mine.id, 0, solver.key)
    watch = Watch(mine, Book(world.chain), member, said.append)
    watch.turn(0.0)
    assert said[0].startswith("seeds 1 of 2: ") and said[1].startswith("seeds 2 of 2: ") and "can be claimed" in said[2]
    assert said[3].startswith("claimed by ") and said[3].endswith(", from the base") and watch.is_open()
    assert Book(world.chain).job(mine.short).phase == JobPhase.WORKING and not Book(world.chain).job(mine.short).open
    world.chain.send(solver.session, "market", "quit", mine.id, 0)
    world.chain.send(member.secret, "market", "cancel", mine.id)
    watch.turn(10.0)
    assert "given back by" in said[4] and "settled" in said[-1] and watch.over()
    watch.run()  # returns: nothing is left to be done
    assert world.chain.read("market", "due", world.chain.places["credit"], member.address) == 0  # it has taken it out
    assert world.chain.read("credit", "balanceOf", member.address) == mine.posting.offer.costs(mine.recipe).total


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_delivered_model_is_checked_confirmed_paid_and_fetched(world, home, member, monkeypatch):
    """`pytest -m slow tests/test_job_market.py`: the submitter's side to the end, with a solver and auditors who only send transactions."""
    mine, said = posted(world, member, steps=10), []
    monkeypatch.setattr(mine, "tend", str)
    job = Book(world.chain).job(mine.short)
    made = delivered(mine.recipe, home)
    blobs = mine.folder / "network" / "blobs"
    blobs.mkdir(parents=True)
    checkpoint = blake3(made.checkpoint.read_bytes()).digest()
    for data in (made.model.read_bytes(), made.checkpoint.read_bytes(), mine.recipe.canonical):
        (blobs / blake3(data).hexdigest()).write_bytes(data)
    solver, *verifiers = (world.member(job.swarm, mine.posting.offer.solverStake) for _ in range(3))
    for each in verifiers:
        world.chain.send(each.session, "market", "seed", mine.id, each.key)
    bond = world.chain.read("market", "bondOf", mine.posting.offer.at(0))
    world.chain.send(solver.secret, "credit", "faucet", bond)
    world.chain.send(solver.secret, "credit", "approve", world.chain.address("market"), bond)
    world.chain.send(solver.secret, "market", "claim", mine.id, 0, solver.key)
    work = (solver.key, 0, 10, 1000, keys.keccak(b"root"), made.root, keys.keccak(b"data"))
    ok = (int(Verdict.OK), 0, keys.keccak(b"value"), bytes(32))
    header, seats = world.audited(job.swarm, solver, verifiers, ok, work)
    assert len(seats) == 2
    world.skip(job.swarm.times(0)[3] + 1 - world.chain.head().time)
    world.chain.send(solver.session, "market", "accept", mine.id, 0, vars(header), checkpoint)
    world.chain.send(solver.session, "delivery", "deliver", mine.id, 0, made.digest)
    watch, now = Watch(mine, Book(world.chain), member, said.append), 0.0
    end = time.monotonic() + 240
    while not watch.over():
        assert time.monotonic() < end, said
        watch.turn(now := now + 10)
        time.sleep(0.2)
    told = "\n".join(said)
    assert "epoch 0 of" in told and "10 of 10 steps" in told and "delivered: model" in told and "confirmed: the model is here" in told
    costs = mine.posting.offer.costs(mine.recipe)
    spent = costs.total - world.chain.read("credit", "balanceOf", member.address)
    due = [world.chain.read("market", "due", world.chain.places["credit"], each.address) for each in (solver, *verifiers)]
    assert due == [costs.training + bond, costs.training // 10, costs.training // 10] and spent == sum(due) - bond
    assert (watch.register(), watch.register()) == (1, 0)  # it waits for the model registry
    file = str(world.link.save(home / "contracts.json"))
    fetched = CliRunner().invoke(app, ["job", "fetch", mine.short, "--out", str(home / "model"), "--contracts", file])
    assert fetched.exit_code == 0, fetched.output
    assert made.digest.hex() in (home / "model" / "README.md").read_text()
    [rate] = guidance.guidance(world.chain, Book(world.chain)).paid
    assert rate > 0 and mine.short not in [each.job for each in earning.chances(Book(world.chain).jobs(), Machine(2**34, 1.0), 0)]


def test_verbs_refuse_who_is_not_the_submitter(world, home, member, monkeypatch):
    mine = posted(world, member)
    file = str(world.link.save(home / "contracts.json"))
    run = lambda *words: CliRunner().invoke(app, ["job", *words, "--contracts", file])  # noqa: E731
    listed = run("list")
    assert listed.exit_code == 0 and mine.short in listed.output
    assert "0 of 40 steps accepted" in run("show", mine.short).output
    early = run("confirm", mine.short)
    assert isinstance(early.exception, ChainRefused)
    monkeypatch.setenv("SWARM_HOME", str(home / "elsewhere"))
    os.makedirs(home / "elsewhere" / "identities")
    other = run("cancel", mine.short)
    assert "whose key is not on this machine" in str(other.exception)
    undelivered = run("fetch", mine.short, "--out", str(home / "model"))
    assert "is not delivered: 0 of 40 steps" in str(undelivered.exception)
    assert "the market owes you nothing now" in run("withdraw").output
