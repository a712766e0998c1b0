"""Programs, snapshots and distributions on a real chain: apply, be admitted, freeze, let another party compute the same root, fund, claim."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import networks
import pytest
from chains import BASE, Member, running
from hypothesis import given
from hypothesis import strategies as st
from towns import RULES, TIMES, Town, a_run, an_epoch, audited, command, commit, enrol, to

from swarm import errors, keys, pioneer, snapshot
from swarm.chain.values import WEI, amount
from swarm.distribution import Distribution, Token
from swarm.identity import Identity
from swarm.invite import Invite
from swarm.network.store import digest_of
from swarm.snapshot import Leaf, Snapshot

PROGRAM = bytes(range(32))
TIERS = ["--tier", "units=500,epochs=1", "--tier", "units=500,epochs=1,verdicts=1", "--tier", "units=500,epochs=1,verdicts=1,judged"]
DAY = 86_400
counts = st.integers(0, 10**15)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(tmp_path_factory.mktemp("pioneer")) as world, world.at_once():
        yield world


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def town(world, home) -> Town:
    """a, b, and c with two peers: everyone's epoch 0 was audited and settled. a's and c's operators have identities in two homes."""
    swarm = world.swarm(faucet=False, maxUnits=3000, recipe=RULES.hash, **TIMES)
    town = Town(world, swarm, {}, {})
    for name in "abc":
        made = Identity.create(home / name / "identities" / "default", None, unencrypted=True)
        world.anvil.fund(made.address, 100 * WEI)
        town.people[name] = enrol(world, swarm, Member(made.secret, world.account(), made.peer), 200 * WEI)
    a, b, c = (town.people[name] for name in "abc")
    second = town.people["cc"] = enrol(world, swarm, replace(c, peer=keys.keccak(b"second"), session=world.account()), 200 * WEI)
    world.to_window(swarm, 0)
    made = [
        commit(town, "a", an_epoch(swarm, a, 0, BASE, 1000, [b, c])),
        commit(town, "b", an_epoch(swarm, b, 0, BASE, 600, [a, c])),
        commit(town, "c", an_epoch(swarm, c, 0, BASE, 800, [a, b])),
        commit(town, "cc", an_epoch(swarm, second, 0, BASE, 1600, [a, b])),
    ]
    to(town, swarm.times(0)[0])
    audited(town, made)
    to(town, swarm.times(0)[3])
    for header in made:
        world.chain.send(a.secret, "court", "finalize", header)
        world.chain.send(a.secret, "ledger", "settle", header)
    return town


@pytest.fixture
def at(town, home, monkeypatch, capsys):
    """`at("a", words...)`: a command in somebody's home, as JSON. It must succeed."""

    def run(who: str, *words: str):
        monkeypatch.setenv("SWARM_HOME", str(home / who))
        if not (home / who / "runs" / "local-1").exists():
            a_run(town, home / who / "runs" / "local-1", RULES)
        code, out, err = command(capsys, *words, "--json")
        assert code == 0, err
        return json.loads(out)

    return run


def refused(capsys, *words: str) -> tuple[int, str]:
    """The exit code and the one sentence with its hint; nothing else is printed."""
    code, out, err = command(capsys, *words)
    assert code and out == "" and re.fullmatch(r"error: .+\n(hint: .+\n)?", err), (out, err)
    return code, err


def balance(town: Town, who: str) -> int:
    return town.world.chain.read("credit", "balanceOf", town.people[who].address)


def test_apply_admit_freeze_recompute_fund_and_claim(town, world, home, at, capsys):
    """The whole way, each step by its command. c's party computes the snapshot out of chain and records, and claims for its two peers at once."""
    a, c = town.people["a"], town.people["c"]
    council = keys.checksum(town.people["b"].address)
    at("a", "pioneer", "start", *TIERS, "--council", council, "--delay", "1h", "--answer", "2h", "--dry-run")
    assert at("a", "pioneer", "list") == []
    program = at("a", "pioneer", "start", *TIERS, "--council", council, "--delay", "1h", "--answer", "2h")["program"]

    assert at("a", "pioneer", "status")["next_step"] == "`swarm pioneer apply`"
    said = f"error: operator {keys.checksum(a.address)} has not applied to program {program[:12]}\nhint: `swarm pioneer apply` does\n"
    assert refused(capsys, "pioneer", "admit") == (2, said)
    tried = at("a", "pioneer", "apply", "--dry-run")
    sent = at("a", "pioneer", "apply")
    assert not tried["sent"] and sent["sent"] and sent["calls"][0]["gas"] < tried["calls"][0]["gas"]
    stands = at("a", "pioneer", "status")
    assert stands["record"]["units"] == 1000 and stands["record"]["clean_epochs"] == 1 and stands["record"]["right_verdicts"] >= 1
    text = (home / "a" / "texts" / f"{stands['statement']}.txt").read_bytes()
    assert keys.keccak(text).hex() == stands["statement"] and json.loads(text)["units"] == 1000
    assert not at("a", "pioneer", "admit", "--dry-run")["sent"] and at("a", "pioneer", "status")["tier"] == 0
    at("a", "pioneer", "admit")
    assert at("a", "pioneer", "status")["tier"] == 2
    assert refused(capsys, "pioneer", "admit")[1].startswith("error: tier 3 takes the council's word")

    assert refused(capsys, "pioneer", "decide", keys.checksum(a.address), "3", "--code", "record")[1].count("not the program's council") == 1
    at("b", "pioneer", "decide", keys.checksum(a.address), "0", "--code", "record")
    assert "counts in" in refused(capsys, "pioneer", "settle", "--operator", keys.checksum(a.address))[1]
    world.skip(3601)
    at("b", "pioneer", "settle", "--operator", keys.checksum(a.address))
    at("a", "pioneer", "appeal")
    world.skip(7201)
    at("a", "pioneer", "settle")
    at("a", "pioneer", "admit")
    (listed,) = at("a", "pioneer", "list")
    history = [(each["event"], each.get("code")) for each in listed["pioneers"][0]["history"]]
    assert history == [
        ("admitted", "bar met"),
        ("proposed", "record"),
        ("decided", "record"),
        ("appealed", None),
        ("decided", "appeal unanswered"),
        ("admitted", "bar met"),
    ]
    code, out, _ = command(capsys, "pioneer", "list")
    assert code == 0 and "admitted to tier 3: bar met" in out
    assert "tier 3: 500 verified units, 1 clean epochs, 1 right verdicts, and the council's" in out

    chain = world.chain
    assert "is taken in" in refused(capsys, "snapshot", "50")[1]
    to(town, chain.read("pioneer", "frozenAt", bytes.fromhex(program), 0))
    mine = at("a", "snapshot", "0")
    assert {leaf["operator"]: (leaf["units"], leaf["tier"]) for leaf in mine["leaves"]} == {
        keys.checksum(a.address): (1000, 2),  # the third tier came later
        keys.checksum(town.people["b"].address): (600, 0),
        keys.checksum(c.address): (2400, 0),
    }
    assert mine["units"] == 4000 and not mine["posted"]
    assert not at("a", "snapshot", "0", "--post", "--dry-run")["posted"]
    assert at("a", "snapshot", "0", "--post")["posted"]
    theirs = at("c", "snapshot", "0")
    assert theirs["root"] == mine["root"] and theirs["list"] == mine["list"] and theirs["posted"]
    assert "calls" not in at("c", "snapshot", "0", "--post"), "posted twice"

    chain.send(town.people["b"].secret, "credit", "faucet", 10 * WEI)
    at("b", "distribution", "fund", "10", "--epoch", "0", "--days", "7")
    known = at("c", "claim", "--dry-run")["distribution"]
    before = balance(town, "c")
    done = at("c", "claim")
    assert balance(town, "c") - before == 6 * WEI and done["distribution"] == known
    assert "has its part, 6, already" in refused(capsys, "claim")[1]
    shutil.rmtree(home / "a" / "snapshots")
    assert "computes it" in refused(capsys, "claim", "--list", str(home / "nothing.json"))[1]
    at("a", "claim", "--list", str(home / "c" / "snapshots" / snapshot.name_of(bytes.fromhex(program), 0)))
    assert "claims are paid until" in refused(capsys, "distribution", "reclaim")[1]
    world.skip(7 * DAY + 1)
    before = balance(town, "b")
    at("a", "distribution", "reclaim")
    assert balance(town, "b") - before == WEI * 3 // 2
    (listed,) = at("a", "distribution", "list")
    assert listed["left"] == "0" and sorted(listed["paid"].values()) == ["2.5", "6"] and not listed["open"]


def test_a_false_root_is_seen_and_pays_nobody_more(town, world, home, at, capsys):
    """b posts a tree of itself alone, with units that it has not, and one in which it has what it has: neither takes anything from anybody."""
    b = town.people["b"]
    program = at("b", "pioneer", "start", "--tier", "units=1", "--salt", "false")["program"]
    which = ["--program", program[:16]]
    to(town, world.chain.read("pioneer", "frozenAt", bytes.fromhex(program), 0))
    true = at("c", "snapshot", "0", *which, "--post")
    own = snapshot.load(home / "c" / "snapshots" / snapshot.name_of(bytes.fromhex(program), 0)).leaf(b.address)
    world.chain.send(b.secret, "credit", "faucet", 8 * WEI)
    at("b", "distribution", "fund", "8", "--epoch", "0", *which)
    for units, said in ((4000, "the leaf says 4000 units, the chain says 600"), (600, "")):
        made = Snapshot(bytes.fromhex(program), 0, [replace(own, units=units)])
        world.chain.send(b.secret, "pioneer", "post", made.program, 0, made.root, 1, made.digest)
        path = made.save(home / f"b{units}")
        if said:
            assert said in refused(capsys, "claim", *which, "--list", str(path))[1]
        else:
            before = balance(town, "b")
            at("b", "claim", *which, "--list", str(path))
            assert balance(town, "b") - before == 8 * WEI * 600 // 4000
    seen = at("c", "snapshot", "0", *which)
    assert seen["root"] == true["root"] and [each["poster"] for each in seen["others"]] == [keys.checksum(b.address)] * 2
    before = balance(town, "c")
    at("c", "claim", *which)
    assert balance(town, "c") - before == 8 * WEI * 2400 // 4000


def test_what_cannot_be_is_one_sentence_with_a_hint(town, home, at, capsys, tmp_path):
    at("c", "pioneer", "list")
    for words, said in (
        (["pioneer", "start", "--tier", "units=some"], "is not a rule"),
        (["pioneer", "start", "--tier", "units=2", "--tier", "units=1"], "the program's rule units is 1, the limit is 2"),
        (["pioneer", "start", "--tier", "units=2,judged"], "the program's rule judged is 1, the limit is 0"),
        (["pioneer", "start", "--tier", "units=2", "--council", "0x12"], "is not an address"),
        (["pioneer", "start", "--tier", "units=2", "--council", "0x" + "11" * 20, "--delay", "soon"], "is not a length of time"),
        (["pioneer", "start", "--tier", "units=2", "--text", str(tmp_path / "none")], "No such file"),
        (["pioneer", "status", "--program", "zz"], "program"),
        (["pioneer", "apply", "--program", "zz", "--dry-run"], "program"),
        (["snapshot", "0", "--program", "zz"], "program"),
        (["distribution", "fund", "0", "--epoch", "0", "--program", "zz"], "program"),
        (["claim", "--program", "zz"], "program"),
    ):
        code, err = refused(capsys, *words)
        assert code == 2 and said in err, (words, err)


PIONEER = "start", "list", "status", "apply", "admit", "appeal", "decide", "settle"
COMMANDS = [*(f"pioneer {each}" for each in PIONEER), "snapshot", "claim", *(f"distribution {each}" for each in ("fund", "list", "reclaim"))]


def test_where_there_are_several_identities_one_has_to_be_named(home, at, capsys):
    at("b", "pioneer", "list")
    for name in ("one", "two"):
        Identity.create(home / "d" / "identities" / name, None, unencrypted=True)
    shutil.copytree(home / "b" / "runs", home / "d" / "runs")
    at("d", "pioneer", "list")
    said = "error: there are 2 identities: one, two\nhint: say which with --identity NAME\n"
    assert refused(capsys, "pioneer", "start", "--tier", "units=1") == (2, said)
    assert at("d", "pioneer", "start", "--tier", "units=1", "--identity", "one", "--dry-run")["sent"] is False


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_the_exit_codes(capsys, name):
    code, out, _ = command(capsys, *name.split(), "--help")
    assert code == 0 and f"Example: swarm {name}" in " ".join(out.replace("`", "").split())
    assert "Exit codes" in command(capsys, name.split()[0], "--help")[1]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_third_machine_gets_the_same_root_from_chain_and_members(town, world, home, at, capsys, tmp_path):
    """Records over real daemons: `python -m pytest tests/test_pioneer.py -m slow`. It has an invite, and nothing of the run."""
    program = at("b", "pioneer", "start", "--tier", "units=1", "--salt", "third")["program"]
    to(town, world.chain.read("pioneer", "frozenAt", bytes.fromhex(program), 0))
    mine = at("a", "snapshot", "0", "--program", program)
    os.environ["SWARM_HOME"] = str(tmp_path / "third")
    member = networks.network(tmp_path / "member", swarm=town.swarm.id)
    with networks.started(member):
        for data in (*town.blobs.values(), RULES.canonical):
            member.put(data)
        given_ = Invite(town.swarm.id, RULES.hash, digest_of(RULES.canonical), tuple(member.addresses()), town.world.link).text()
        code, out, err = command(capsys, "snapshot", "0", "--program", program, "--invite", given_, "--wait", "60", "--json")
    assert code == 0, err
    theirs = json.loads(out)
    assert theirs["root"] == mine["root"] and theirs["list"] == mine["list"]


# ---- the tree and the parts alone


def leaves(split: list[int], who: int = 0) -> list[Leaf]:
    return [Leaf(bytes([who]) + index.to_bytes(19, "big"), 0, units, 0, ()) for index, units in enumerate(split)]


@given(st.lists(counts, min_size=1, max_size=12), counts, st.integers(1, 10**27))
def test_splitting_an_operator_gains_nothing(split, others, pot):
    """n operators with the units of one get together what that one gets, less the fraction of a wei that each loses to rounding."""
    total = sum(split) + others
    if total:
        found = Distribution(bytes(32), SimpleNamespace(pot=pot, total=total), Token(bytes(20), 18), {})
        parts = [found.part(leaf.units) for leaf in leaves(split)]
        whole = found.part(sum(split))
        assert sum(parts) <= whole < sum(parts) + len(split)
        assert found.part(total) == pot


@given(st.lists(counts, min_size=1, max_size=20), st.randoms())
def test_a_root_depends_on_what_is_in_it_and_not_on_the_order(units, random):
    rows = leaves(units)
    mixed = random.sample(rows, len(rows))
    one, two = Snapshot(PROGRAM, 3, rows), Snapshot(PROGRAM, 3, mixed)
    assert one.root == two.root and one.data == two.data
    assert one.root != Snapshot(PROGRAM, 4, rows).root
    assert one.root != Snapshot(PROGRAM, 3, [replace(rows[0], tier=1), *rows[1:]]).root


def test_a_list_is_read_back_and_a_damaged_one_is_refused(tmp_path):
    made = Snapshot(PROGRAM, 3, [replace(each, keys=(bytes(32),)) for each in leaves([5, 6, 7])])
    path = made.save(tmp_path)
    assert snapshot.load(path).root == made.root and snapshot.load(path).data == made.data
    good = path.read_bytes()
    swapped = [(b'"score":0', b'"score":-1'), (b"00" * 32, b"00" * 31), (b'"leaves"', b'"x"')]
    for bad in (b"", b"[]", good[:-5], *(good.replace(*each) for each in swapped)):
        path.write_bytes(bad)
        with pytest.raises(errors.StateError, match="is no list"):
            snapshot.load(path)
    with pytest.raises(errors.InputError, match="there is no"):
        snapshot.load(tmp_path / "none.json")


def test_amounts_of_tokens_with_few_decimals_are_exact():
    token = Token(bytes(20), 6)
    assert token.wei("1.5") == 1_500_000 and token.text(1_500_000) == "1.5" and amount(WEI) == "1"
    with pytest.raises(errors.InputError, match="finer"):
        token.wei("0.0000001")


@pytest.mark.parametrize("text", ["units", "units=-1", "units=1e3", "judged=1", "votes=3", "units=" + "9" * 40])
def test_bars_are_read_strictly(text):
    with pytest.raises(errors.InputError, match="is not a rule"):
        pioneer.bar(text)
    assert pioneer.bar("units=5, judged") == {"units": 5, "epochs": 0, "verdicts": 0, "judged": True}
