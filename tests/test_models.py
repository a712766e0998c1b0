"""Models: their leaves and lists, what waits to be posted, the index and lineages on a real chain, and the commands.

The live half (two operators take over a list over a real network): `pytest -m slow tests/test_models.py`.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from dataclasses import dataclass, field, replace

import networks
import pytest
from chains import BASE, Member, running
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm import cli, errors, keeping, keys, merkle, modelbook, recipe, runs
from swarm.chain.client import Swarm
from swarm.chain.values import WEI, Kind, Verdict
from swarm.identity import Identity
from swarm.models import listing
from swarm.models.index import Index
from swarm.models.lineage import lineage
from swarm.models.listing import MAGIC, Listing, is_listed, parse, size_of
from swarm.models.model import ROW, Model, digest_of_row, of_row
from swarm.models.standing import State
from swarm.models.waiting import Waiting
from swarm.network.store import digest_of

RULES = recipe.load("local", ["judge.profile=none"])
TIMES = dict(epoch=3000, grace=2000, beacon=200, audit=600, reveal=600, challenge=300, unbonding=10**6, ring=16)
BATCH = ("root", "count", "list")
words = st.binary(min_size=32, max_size=32)
models = st.builds(
    Model, st.sampled_from(Kind), words, words, words, st.binary(min_size=20, max_size=20), words, st.integers(0, 2**32 - 1), words
)  # fmt: skip


def made_up(number: int, parent: bytes = bytes(32)) -> Model:
    """A model that nobody trained."""
    return Model(Kind.EPOCH, keys.keccak(b"made up", number.to_bytes(8, "big")), parent, bytes(32), bytes(20), bytes(32), number, bytes(32))


# ---- leaves and lists


def test_a_leaf_is_what_the_contract_hashes():
    """The words of ModelRegistryTest.test_digest_isWhatOtherLanguagesCompute."""
    word = lambda number: number.to_bytes(32, "big")  # noqa: E731
    model = Model(Kind.JOB, word(1), word(2), word(3), word(4)[12:], word(5), 6, word(7))
    assert model.digest == keys.keccak(*map(word, (1, 1, 2, 3, 4, 5, 6, 7)))


@given(models)
def test_a_row_is_its_model_and_no_other(model):
    row = model.row()
    assert len(row) == ROW and of_row(row) == model and digest_of_row(row) == model.digest
    for bad in (row[:-1], row + b"x", bytes([2]) + row[1:]):
        with pytest.raises(errors.Refused):
            of_row(bad)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 140), st.data())
def test_paths_are_those_of_the_plain_tree(count, data):
    found = Listing.of(map(made_up, range(count)))
    digests = list(found.digests())
    place = data.draw(st.integers(0, count - 1))
    assert found.root == merkle.root(digests) and found.path(place) == merkle.proof(digests, place)
    assert is_listed(found.root, count, place, found.model(place), found.path(place))
    assert not is_listed(found.root, count, (place + 1) % count, found.model(place), found.path(place)) or count == 1
    assert not is_listed(found.root, count, place, made_up(count), found.path(place))


def test_a_list_is_bounded_by_its_count_before_it_is_read():
    good = Listing.of(map(made_up, range(5)))
    assert parse(good.data, 5).batch == good.batch and len(good.data) == size_of(5)
    for data, count in ((good.data + b"x", 5), (good.data, 4)):
        with pytest.raises(errors.Refused) as error:
            parse(data, count)
        assert error.value.reason == "oversize"
    bad_kind = good.data[: len(MAGIC)] + b"\x07" + good.data[len(MAGIC) + 1 :]
    other = b"x" + good.data[1:]
    for data, count in ((good.data[:-1], 5), (good.data, 6), (other, 5), (bad_kind, 5), (MAGIC, 0), (b"", 0)):
        with pytest.raises(errors.Refused) as error:
            parse(data, count)
        assert error.value.reason == "malformed"
    for none in ([], map(made_up, range(listing.MOST + 1))):
        with pytest.raises(errors.InputError):
            Listing.of(none)


# ---- waiting


def test_what_waits_goes_into_one_batch_and_once(tmp_path):
    with contextlib.closing(Waiting(tmp_path)) as waiting:
        assert waiting.seal() is None
        assert waiting.register(*map(made_up, range(7))) == 7 and waiting.register(made_up(3), made_up(9)) == 1
        batch = waiting.seal(most=5)
        assert (batch.count, len(waiting)) == (5, 3) and [model.number for model in waiting.models()] == [5, 6, 9]
        assert waiting.register(made_up(0)) == 0, "it is in a batch"
    with contextlib.closing(Waiting(tmp_path)) as again:
        assert again.sealed() == [batch] and len(again) == 3
        data = (again.lists / batch.list.hex()).read_bytes()
        assert parse(data, 5).batch == batch.fields and digest_of(data) == batch.list
        again.posted(batch, b"tx")
        assert again.sealed() == [] and again.seal().count == 3 and again.seal() is None


def test_a_kill_while_sealing_leaves_everything_waiting(tmp_path, monkeypatch):
    def die(path, data):
        raise KeyboardInterrupt

    with contextlib.closing(Waiting(tmp_path)) as waiting:
        waiting.register(*map(made_up, range(3)))
        with monkeypatch.context() as patch:
            patch.setattr("swarm.disk.replace", die)
            with pytest.raises(KeyboardInterrupt):
                waiting.seal()
        assert len(waiting) == 3 and waiting.sealed() == [] and waiting.seal().count == 3


def test_a_damaged_file_is_said_so(tmp_path):
    (tmp_path / "waiting.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(errors.StateError, match="is damaged"):
        Waiting(tmp_path)


# ---- on a chain


@dataclass
class Town:
    """A swarm in which four trained. a: epochs 0 and 1 clean, b: epoch 0 clean, 1 open, 2 late; c: epoch 0 audited by nobody."""

    world: object
    swarm: Swarm
    people: dict[str, Member]
    headers: dict[str, dict] = field(default_factory=dict)

    def model(self, which: str) -> Model:
        """The leaf of an epoch, by hand: a0 is a's epoch 0."""
        said, who = self.headers[which], self.people[which[0]]
        return Model(Kind.EPOCH, said["last"], said["first"], RULES.hash, who.address, who.key, said["epoch"], said["root"])


def commit(town: Town, who: str, epoch: int, late: bool = False) -> dict:
    member, name = town.people[who], f"{who}{epoch}"
    first = town.swarm.member(member.key).last
    root, last, data = (keys.keccak(word, name.encode(), member.key) for word in (b"root", b"last", b"data"))
    function, args = ("commitLate", (member.key, epoch, 2, root, last, data)) if late else ("commit", (member.key, epoch, 2, 9, root, last, data))
    town.world.chain.send(member.session, "ledger", function, *args)
    header = dict(key=member.key, epoch=epoch, steps=2, units=9, root=root, first=first, last=last, data=data)
    town.headers[name] = header
    return header


def audit(town: Town, headers: list[dict], settle: bool = True) -> None:
    """Every seat of every panel says ok, and the cases are settled."""
    chain, by_key = town.world.chain, {member.key: member for member in town.people.values()}
    ballots, said, epoch = [], (int(Verdict.OK), 0, keys.keccak(b"value"), bytes(32)), headers[0]["epoch"]
    for header in headers:
        for key in town.swarm.panel(header["key"], epoch):
            where = (header["key"], epoch, 0)
            hash = chain.read("court", "verdictHash", by_key[key].address, *where, *said)
            chain.send(by_key[key].session, "court", "commitVerdict", key, *where, hash)
            ballots.append((key, header))
    to(town, town.swarm.times(epoch)[1])
    for key, header in ballots:
        chain.send(by_key[key].session, "court", "revealVerdict", key, header, 0, *said)
    to(town, town.swarm.times(epoch)[3])
    for header in headers if settle else ():
        chain.send(by_key[header["key"]].secret, "ledger", "settle", header)


def to(town: Town, moment: int) -> None:
    if (wait := moment + 1 - town.world.chain.head().time) > 0:
        town.world.skip(wait)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(tmp_path_factory.mktemp("models")) as world, world.at_once():
        yield world


@pytest.fixture(scope="module")
def town(world) -> Town:
    swarm = world.swarm(faucet=False, recipe=RULES.hash, **TIMES)
    town = Town(world, swarm, {name: world.member(swarm) for name in "abcd"})
    world.to_window(swarm, 0)
    for who in "abc":
        commit(town, who, 0)
    to(town, swarm.times(0)[0])
    audit(town, [town.headers["a0"], town.headers["b0"]])
    to(town, swarm.end(0) + 6000)
    world.chain.send(town.people["c"].secret, "ledger", "settle", town.headers["c0"])
    world.to_window(swarm, 3)
    commit(town, "a", 3)
    commit(town, "b", 2, late=True)
    commit(town, "b", 3)
    to(town, swarm.times(3)[0])
    audit(town, [town.headers["a3"]])
    return town


@dataclass
class Place:
    """A book on a folder of its own, and a folder that lists are served from."""

    book: modelbook.ModelBook
    blobs: object

    def find(self, digest: bytes, limit: int) -> bytes | None:
        path = self.blobs / digest.hex()
        return path.read_bytes()[: limit + 1] if path.exists() else None

    def bring_up(self) -> None:
        self.book.index.refresh()
        self.book.index.read_lists(self.find)


@pytest.fixture
def place(town, tmp_path):
    (tmp_path / "blobs").mkdir()
    with modelbook.opened(tmp_path, town.world.chain) as book:
        yield Place(book, tmp_path / "blobs")


def post(place: Place, town: Town, *leaves: Model) -> None:
    """Put leaves on the chain in one batch, true or not."""
    modelbook.register(place.book.index.path.parents[2], town.world.link, *leaves)
    place.book.post(town.people["a"].session, [place.blobs], lambda text: None)
    place.bring_up()


def test_what_the_chain_knows_decides(town, place):
    place.book.index.refresh()
    truth = place.book.index.truth
    assert {which: truth.standing(town.model(which)).state for which in town.headers} == {
        "a0": State.TRAINED, "b0": State.TRAINED, "c0": State.LOST, "a3": State.TRAINED, "b2": State.LOST, "b3": State.OPEN,
    }  # fmt: skip
    assert "nobody drawn" in truth.standing(town.model("c0")).why and "after its window" in truth.standing(town.model("b2")).why
    good = town.model("a0")
    for name in ("model", "parent", "recipe", "proof"):
        said = truth.standing(replace(good, **{name: bytes(32)}))
        assert said.state == State.FALSE and f"another {name}" in said.why
    for other in (dict(operator=bytes(20)), dict(training=bytes(32)), dict(number=77), dict(kind=Kind.JOB)):
        assert truth.standing(replace(good, **other)).state == State.FALSE
    assert [model.digest for model in truth.trained(town.swarm.id)] == [
        model.digest for model in sorted(map(town.model, ("a0", "b0", "a3")), key=lambda model: (model.number, model.training))
    ]


def test_the_contract_agrees(town):
    chain, a = town.world.chain, town.model("a3")
    assert chain.read("models", "digestOf", vars(a)) == a.digest
    for which in ("a3", "b3"):
        assert chain.read("models", "isTrained", vars(town.model(which)), town.headers[which]) == (which == "a3")
    assert chain.read("ledger", "isVerified", a.training, 3) and not chain.read("ledger", "isVerified", town.people["c"].key, 0)


def test_a_batch_goes_on_the_chain_and_comes_back(town, place):
    leaves = [town.model("a0"), *map(made_up, range(40)), town.model("a3")]
    post(place, town, *leaves)
    index = place.book.index
    (entry,) = index.of(town.model("a3").model)
    assert entry.place == 41 and entry.holds and entry.model == town.model("a3") and len(entry.path) <= 6
    assert index.counts()["read"] >= 42 and index.missing() == []
    batch, path = dict(zip(BATCH, entry.batch.fields, strict=True)), list(entry.path)
    assert town.world.chain.read("models", "isListed", batch, 41, vars(entry.model), path)
    town.world.chain.send(town.world.account(), "models", "prove", batch, 41, vars(entry.model), path, town.headers["a3"])
    assert town.world.chain.read("models", "isProved", entry.model.digest)
    path = list(index.of(leaves[5].model)[0].path)
    with pytest.raises(errors.ChainRefused) as error:
        town.world.chain.send(town.world.account(), "models", "prove", batch, 5, vars(leaves[5]), path, town.headers["a3"])
    assert error.value.name == "NotTrained"
    (child,) = index.children(town.model("a0").model)
    assert child.model == town.model("a3")


def test_a_batch_that_was_cut_off_after_the_chain_took_it_is_not_sent_twice(town, place):
    place.book.waiting.register(made_up(500))
    batch = place.book.waiting.seal()
    town.world.chain.send(town.people["a"].session, "models", "post", batch.fields)
    said = []
    assert place.book.post(town.people["a"].session, [place.blobs], said.append) == [batch] and "there already" in said[0]
    assert place.book.waiting.sealed() == [] and (place.blobs / batch.list.hex()).exists()


def test_anyone_rebuilds_the_index_from_events_and_lists(town, place, tmp_path):
    post(place, town, town.model("b0"), made_up(600))
    with contextlib.closing(Index(tmp_path / "other", town.world.chain)) as other:
        other.refresh()
        lacking = other.counts()["missing"]
        assert lacking >= 2 and other.of(made_up(600).model) == []
        other.read_lists(place.find)
        (entry,) = other.of(made_up(600).model)
        assert entry == replace(place.book.index.of(made_up(600).model)[0], batch=entry.batch) and entry.holds
        other.read_lists(place.find)
        other.refresh()
        assert other.of(made_up(600).model) == [entry], "twice changes nothing"
        file = other.lists / entry.batch.list.hex()
        file.write_bytes(file.read_bytes()[:100])
        assert other.of(made_up(600).model) == [] and (entry.batch.list, size_of(2)) in other.missing()
        file.unlink()
        other.read_lists(place.find)
        assert other.of(made_up(600).model) == [entry]
        file.unlink()
        assert other.of(made_up(600).model) == [] and (entry.batch.list, size_of(2)) in other.missing()


def test_a_list_that_is_not_what_was_posted_is_refused_and_said_so(town, place):
    good = Listing.of([made_up(700), made_up(701)])
    lie = (keys.keccak(b"another root"), 2, good.digest)
    short = (good.root, 3, digest_of(good.data + b"x"))
    for fields in (lie, short):
        town.world.chain.send(town.people["a"].session, "models", "post", fields)
    (place.blobs / good.digest.hex()).write_bytes(good.data)
    (place.blobs / short[2].hex()).write_bytes(good.data)  # not what its name says
    place.bring_up()
    found = {batch.root: batch for batch in place.book.index.batches()}
    assert found[lie[0]].state == "refused" and "root over this list" in found[lie[0]].why
    assert found[short[0]].state == "missing" and place.book.index.of(made_up(700).model) == []
    (place.blobs / short[2].hex()).write_bytes(good.data + b"x")
    place.bring_up()
    assert next(batch for batch in place.book.index.batches() if batch.root == good.root).state == "refused"


def test_only_what_closed_clean_is_taken_into_a_batch(town, place):
    place.book.index.refresh()
    for who, epoch, why in (("b", 3, "is open"), ("b", 2, "is lost"), ("c", 0, "nobody drawn"), ("c", 9, "not on the chain")):
        with pytest.raises(errors.InputError, match=why):
            place.book.add(town.people[who].key, epoch)
    assert len(place.book.waiting) == 0 and place.book.add(town.people["a"].key, 0) and not place.book.add(town.people["a"].key, 0)
    assert place.book.add_all(town.swarm.id, {town.people["a"].key}) == 1 and len(place.book.waiting) == 2


def test_a_lineage_goes_back_to_the_base_through_what_nobody_registered(town, place):
    post(place, town, town.model("a3"))
    (entry,) = place.book.index.of(town.model("a3").model)
    found = lineage(place.book.index, entry.model, entry)
    assert [step.model for step in found.steps] == [town.model("a3"), town.model("a0")]
    assert (found.is_whole, found.ends, found.state) == (True, "base", BASE) and found.first_trouble is None
    assert place.book.troubles(found) == []
    short = lineage(place.book.index, entry.model, entry, longest=1)
    assert len(short.steps) == 1 and short.ends == "unknown" and not short.is_whole
    late = lineage(place.book.index, town.model("b3"))
    assert [step.standing.state for step in late.steps] == [State.OPEN, State.LOST, State.TRAINED] and not late.is_whole
    said = place.book.troubles(late)
    assert [(each.is_final, "no list" in each.why or "is open" in each.why) for each in said] == [(False, True), (False, True)]


def test_false_ancestors_are_shown_as_what_they_are(town, place):
    noble = replace(made_up(800), parent=town.model("a3").model)
    circle = [replace(made_up(801), parent=made_up(802).model), replace(made_up(802), parent=made_up(801).model)]
    post(place, town, noble, *circle, made_up(803))
    index = place.book.index
    found = lineage(index, noble, index.of(noble.model)[0])
    assert [step.standing.state for step in found.steps] == [State.FALSE, State.TRAINED, State.TRAINED] and not found.is_whole
    assert place.book.troubles(found)[0].is_final and "no commitment" in place.book.troubles(found)[0].why
    assert lineage(index, circle[0]).ends == "circle" and len(lineage(index, circle[0]).steps) == 2
    assert lineage(index, made_up(803)).ends == "unknown"


def test_digits_that_fit_several_models_name_none(town, place):
    twins = [replace(made_up(850 + n), model=bytes(7) + bytes([n]) * 25) for n in (1, 2)]
    post(place, town, *twins)
    with pytest.raises(errors.InputError, match="fits 2 models"):
        place.book.find("00" * 7)
    assert place.book.find(("00" * 7) + "02")[0] == twins[1] and place.book.find("0x" + twins[0].model.hex())[0] == twins[0]


def test_of_leaves_about_one_model_the_true_one_is_found(town, place):
    lie = replace(town.model("b0"), operator=bytes(20))
    post(place, town, lie, town.model("b0"))
    model, entry = place.book.find(town.model("b0").model.hex())
    assert model == town.model("b0") and entry.holds and len(place.book.index.of(model.model)) == 2


def test_another_swarm_that_claims_a_base_ends_no_lineage(town, place):
    """Anyone may found a swarm on any state: only the own swarm's base counts."""
    swarm = keys.keccak(b"a swarm founded on a lost state")
    places = town.world.link.contracts
    terms = vars(town.swarm.terms) | dict(start=0, token=places.credit)
    town.world.chain.send(town.world.account(), "registry", "createSwarm", swarm, bytes(32), town.model("c0").model, terms, b"")
    place.book.index.refresh()
    truth = place.book.index.truth
    assert not truth.is_base(town.model("a0"), town.model("c0").model) and truth.is_base(town.model("a0"), BASE)
    assert truth.is_base(replace(town.model("a0"), kind=Kind.JOB, training=swarm), town.model("c0").model)


# ---- a job of the market


@pytest.fixture(scope="module")
def job(world) -> Town:
    """A job of one part of two steps: a solved it, b and c seeded it; its epoch closed clean and was accepted. Nothing is delivered yet."""
    submitter, chain = world.account(), world.chain
    swarm = world.swarm(creator=submitter, faucet=False, recipe=RULES.hash, **TIMES)
    town = Town(world, swarm, {name: world.member(swarm) for name in "abcd"})
    offer = dict(price=WEI, perSegment=1, plants=0, steps=2, stepsEach=2, leastSteps=1, parts=1, solverStake=100 * WEI, target=0, targetBps=0)
    offer |= dict(deadline=chain.head().time + 9000, patience=30_000, deliveryBps=1000, evaluation=bytes(32), openWindow=3000)
    offer["class"] = bytes(32)
    a = town.people["a"]
    for secret in (submitter, a.secret):
        chain.send(secret, "credit", "faucet", 2 * WEI)
        chain.send(secret, "credit", "approve", chain.address("market"), 2 * WEI)
    chain.send(submitter, "market", "post", swarm.id, offer, b"")
    for name in "bc":
        chain.send(town.people[name].session, "market", "seed", swarm.id, town.people[name].key)
    chain.send(a.secret, "market", "claim", swarm.id, 0, a.key)
    world.to_window(swarm, 0)
    header = commit(town, "a", 0)
    to(town, swarm.times(0)[0])
    audit(town, [header])
    chain.send(a.session, "market", "accept", swarm.id, 0, header, bytes(32))
    town.people["submitter"] = Member(submitter, submitter, bytes(32))
    return town


def test_a_delivered_model_counts_once_the_market_says_so(job, place):
    chain, a, book = job.world.chain, job.people["a"], place.book
    book.index.refresh()
    file = keys.keccak(b"the delivered file")
    true = Model(Kind.JOB, file, BASE, RULES.hash, a.address, job.swarm.id, 0, job.headers["a0"]["last"])
    truth = book.index.truth
    assert truth.standing(true).state == State.FALSE and book.add_job(job.swarm.id) == 0 == truth.jobs.parts(bytes(32))
    chain.send(a.session, "delivery", "deliver", job.swarm.id, 0, file)
    assert truth.standing(true).state == State.OPEN and book.add_job(job.swarm.id) == 0
    chain.send(job.people["submitter"].secret, "delivery", "confirm", job.swarm.id, 0)
    assert truth.standing(true).state == State.TRAINED
    for name in ("model", "parent", "recipe", "proof"):
        assert truth.standing(replace(true, **{name: bytes(31) + b"x"})).state == State.FALSE
    for other in (dict(number=1), dict(number=2**31), dict(training=bytes(32)), dict(operator=bytes(20)), dict(kind=Kind.EPOCH)):
        assert truth.standing(replace(true, **other)).state == State.FALSE
    assert book.add_job(job.swarm.id) == 1
    book.post(a.session, [place.blobs], lambda text: None)
    place.bring_up()
    assert book.add_job(job.swarm.id) == 0
    (entry,) = book.index.of(file)
    found = lineage(book.index, entry.model, entry)
    assert [step.model.kind for step in found.steps] == [Kind.JOB, Kind.EPOCH] and found.is_whole and found.state == BASE
    assert book.troubles(found) == []


# ---- keeping


def test_everyone_draws_the_same_two_keepers():
    people = {bytes([n]) * 20 for n in range(9)}
    some = {tuple(keeping.drawn(bytes([n]) * 32, people)) for n in range(40)}
    assert len(some) > 10 and all(len(set(pair)) == 2 for pair in some)
    assert keeping.drawn(bytes(32), set()) == [] and len(keeping.drawn(bytes(32), {bytes(20)})) == 1


def test_a_node_keeps_what_falls_to_it(town, place, tmp_path):
    """Of its own operator's, and of others' where it is drawn; a poster who is no member of the swarm is nobody's concern here."""
    chain = town.world.chain
    foreign = Listing.of([made_up(900)])
    chain.send(town.world.account(), "models", "post", foreign.batch)
    post(place, town, made_up(901))
    mine = place.book.index.of(made_up(901).model)[0].batch.list
    drawn = keeping.drawn(mine, {member.address for name, member in town.people.items() if name != "a"})
    for name, member in town.people.items():
        network = networks.network(tmp_path / name, swarm=town.swarm.id)  # never started: nobody can be asked
        keeper = keeping.Keeper(chain, town.swarm.id, member.address, network)
        keeper.turn()
        wants = name == "a" or member.address in drawn
        assert (mine in keeper._wanted) == wants and foreign.digest not in keeper._wanted and network.store.get(mine) is None
        for file in place.blobs.iterdir():
            (network.store.folder / file.name).write_bytes(file.read_bytes())
        for _ in range(4):  # a few at a time
            keeper.turn()
        assert mine not in keeper._wanted and network.store.has(mine) == wants


def test_a_node_keeps_no_more_lists_than_it_has_room_for(town, place, tmp_path, monkeypatch):
    post(place, town, made_up(950))
    monkeypatch.setattr(keeping, "MOST_BYTES", 100)
    network, said = networks.network(tmp_path / "a", swarm=town.swarm.id), []
    keeper = keeping.Keeper(town.world.chain, town.swarm.id, town.people["a"].address, network, said.append)
    for file in place.blobs.iterdir():
        (network.store.folder / file.name).write_bytes(file.read_bytes())
    for _ in range(8):
        keeper.turn()
    assert keeper._wanted == {} and keeper.kept == 0 and "no more" in said[0]


def test_a_keeper_works_beside_the_node_and_ends_with_it(town, place, tmp_path):
    post(place, town, made_up(960))
    mine = place.book.index.of(made_up(960).model)[0].batch.list
    network = networks.network(tmp_path / "a", swarm=town.swarm.id)
    (network.store.folder / mine.hex()).write_bytes((place.blobs / mine.hex()).read_bytes())
    with keeping.keeping(town.world.chain, town.swarm.id, town.people["a"].address, network, lambda text: None) as keeper:
        networks.until(lambda: keeper._posted == [] and keeper._agents)
        networks.until(lambda: network.store.has(mine) or keeper._wanted)
    assert "keeper" not in [thread.name for thread in threading.enumerate()]


# ---- the commands


@pytest.fixture
def run(town, tmp_path, monkeypatch):
    """A run folder whose one peer is b, signed in under b's operator key."""
    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    run = runs.Run.create(tmp_path / "runs" / "local-1", runs.begin(RULES).model_copy(update={"swarm": town.swarm.id.hex()}))
    run.keep_recipe(RULES)
    run.unlock()
    town.world.link.save(run.chain)
    return run


def enlist(town: Town, run: runs.Run) -> None:
    """Make the run's first peer a member of the swarm, as enrolment would."""
    from swarm import enrolment

    folder = run.peer(0)
    identity = Identity.open_or_create_local(folder / "identity")
    session = identity.session(town.swarm.id, 86_400)
    session.save(folder / "session.bin")
    town.world.anvil.fund(keys.address_of(enrolment.session_key(folder)), WEI)
    (folder / "network" / "blobs").mkdir(parents=True)


def command(capsys, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    capsys.readouterr()
    code = 0
    try:
        with errors.boundary():
            cli.app(args=list(words), prog_name="swarm")
    except SystemExit as end:
        code = int(end.code or 0)
    return code, *capsys.readouterr()


def test_add_post_show_lineage_verify(capsys, town, run):
    code, out, _ = command(capsys, "model", "post")
    assert code == 0 and "lets models wait" in out
    code, _, err = command(capsys, "model", "add", "0")
    assert code == 2 and "no peer 0" in err
    code, _, err = command(capsys, "model", "add", "3", "--everyone")
    assert code == 2 and "no room" in err
    code, out, _ = command(capsys, "model", "add", "--everyone", "--json")
    assert code == 0 and json.loads(out) == {"added": 3, "waiting": 3}
    code, out, _ = command(capsys, "model", "post", "--dry-run")
    assert code == 0 and "nothing was sent" in out
    code, _, err = command(capsys, "model", "post")
    assert code == 2 and "was ever a member" in err
    enlist(town, run)
    code, _, err = command(capsys, "model", "add", "0")
    assert code == 2 and "not on the chain" in err
    code, out, _ = command(capsys, "model", "post", "--json")
    said = json.loads(out)
    assert code == 0 and said["posted"] == 3 and said["held_by"] is None
    assert json.loads(command(capsys, "model", "add", "--everyone", "--json")[1])["added"] == 0
    digest = town.model("a3").model.hex()
    code, out, _ = command(capsys, "model", "show", digest[:12], "--wait", "0")
    assert code == 0 and "standing     trained" in out and said["batches"][0] in out
    shown = json.loads(command(capsys, "model", "show", digest, "--wait", "0", "--json")[1])
    assert shown["registered"]["holds"] and shown["parent"] == town.model("a0").model.hex() and shown["children"] == 0
    code, out, _ = command(capsys, "model", "lineage", digest, "--wait", "0")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 3 and lines[2].startswith(BASE.hex()[:16]) and all("trained, under" in line for line in lines[:2])
    assert json.loads(command(capsys, "model", "lineage", digest, "--wait", "0", "--json")[1])["whole"]
    code, out, _ = command(capsys, "model", "verify", digest, "--wait", "0")
    assert code == 0 and "all 1 that it came out of" in out
    code, out, _ = command(capsys, "model", "list", "--wait", "0")
    assert code == 0 and "  here" in out and "unavailable: " in out


def test_verify_says_why_not(capsys, town, run, tmp_path):
    code, out, _ = command(capsys, "model", "verify", town.model("c0").model.hex(), "--wait", "0", "--json")
    said = json.loads(out)
    assert code == 2 and said["verdict"] == "not trained" and any("nobody drawn" in why for why in said["why"])
    assert any("under no root" in why for why in said["why"])
    code, out, _ = command(capsys, "model", "verify", town.model("b3").model.hex(), "--wait", "0")
    assert code == 1 and "not known yet" in out and "not been settled" in out
    (tmp_path / "state.safetensors").write_bytes(b"not that")
    code, out, _ = command(capsys, "model", "verify", town.model("a0").model.hex(), "--wait", "0", "--file", str(tmp_path / "state.safetensors"))
    assert code == 2 and "is no state" in out


@pytest.mark.parametrize(("text", "said"), [("nonsense", "is no digest"), ("abcdef1", "is no digest"), ("0" * 65, "is no digest")])
def test_what_is_no_digest_is_said_so(capsys, run, text, said):
    code, _, err = command(capsys, "model", "show", text, "--wait", "0")
    assert code == 2 and said in err and "hint: " in err


def test_a_model_in_a_list_that_nobody_has_is_unavailable_not_unknown(capsys, town, run):
    lost = Listing.of([made_up(1000)])
    town.world.chain.send(town.people["a"].session, "models", "post", lost.batch)
    code, _, err = command(capsys, "model", "show", made_up(1000).model.hex(), "--wait", "0")
    assert code == 5 and "lists that nobody handed over" in err and "--wait" in err


@pytest.mark.slow
def test_two_operators_take_over_a_list_over_the_network(town, place, tmp_path):
    """`pytest -m slow tests/test_models.py -k network`, 20 s: the poster serves, drawn members fetch, then hand it over without the poster."""
    post(place, town, made_up(1100))
    batch = place.book.index.of(made_up(1100).model)[0].batch
    names = [name for name in "bcd" if town.people[name].address in keeping.drawn(batch.list, {town.people[each].address for each in "bcd"})]
    poster = networks.network(tmp_path / "poster", swarm=town.swarm.id)
    with networks.started(poster):
        poster.put((place.blobs / batch.list.hex()).read_bytes())
        boot = tuple(poster.addresses())
        others = [networks.network(tmp_path / name, boot, swarm=town.swarm.id) for name in names]
        with networks.started(*others):
            for name, network in zip(names, others, strict=True):
                keeping.Keeper(town.world.chain, town.swarm.id, town.people[name].address, network).turn()
                assert network.store.get(batch.list) is not None, name


def test_index_and_waiting_share_a_folder_with_full_sync(place):
    for file in ("index.sqlite", "waiting.sqlite"):
        with contextlib.closing(sqlite3.connect(place.book.index.path.parent / file)) as db:
            assert db.execute("pragma journal_mode").fetchone() == ("wal",)
