"""The participation score: the formula alone, an epoch on a real chain with real contracts, and the commands that show it."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import networks
import pytest
from chains import BASE, running
from hypothesis import given
from hypothesis import strategies as st
from towns import MOST, RULES, TIMES, Town, a_run, an_epoch, audited, command, commit, enrol, to

from judge.scores import gold_bound
from judge.tally import Ended, Tallies, Tally
from judge.terms import WAD, Terms
from swarm import archive, errors, explanation, keys, recipe, score, witness
from swarm.assessment import Assessment
from swarm.chain.values import WEI, Reason
from swarm.explanation import WHY
from swarm.invite import Invite
from swarm.market.facts import domain_of
from swarm.market.store import Store
from swarm.names import name_of
from swarm.network.store import digest_of
from swarm.proof import epoch as epochs
from swarm.score import Parts, work
from swarm.witness import Hearing

shares = st.fractions(0, 1)
units = st.integers(0, 10**20)


# ---- the formula


@given(st.builds(Parts, shares, shares, shares, shares, shares))
def test_a_score_is_exact_bounded_and_rounded_down_once(parts):
    by_hand = 500 * parts.W + 200 * parts.J + 150 * parts.F + 100 * parts.E + 50 * parts.U
    assert parts.exact == by_hand and 0 <= parts.score <= 1_000_000
    assert Fraction(parts.score, 1000) <= by_hand < Fraction(parts.score + 1, 1000)


@given(st.lists(units, min_size=1, max_size=6), st.integers(1, 2**64 - 1))
def test_several_peers_earn_what_one_with_all_their_units_would(split, most):
    together = work(sum(split), most)
    assert 0 <= together <= 1 and together <= sum(work(part, most) for part in split)
    assert Parts(W=together).score == Parts(W=work(sum(reversed(split)), most)).score


@given(st.lists(units, min_size=1, max_size=6), st.integers(1, 2**64 - 1))
def test_work_never_falls_when_units_are_added(parts, most):
    assert work(sum(parts), most) >= work(sum(parts[1:]), most)


@given(st.integers(0, 50), st.integers(0, 50))
def test_uptime_needs_three_others_or_all_there_are(others, by):
    heard = Hearing(others, tuple(bytes([n]) for n in range(min(by, others))))
    assert heard.needed == min(3, others) and 0 <= heard.share <= 1
    assert (heard.share == 1) == (others > 0 and len(heard.by) >= min(3, others))
    assert heard.share == 0 or heard.share == min(Fraction(1), Fraction(len(heard.by), min(3, others)))


def test_weights_and_known_values():
    assert sum(score.WEIGHTS.values()) == 100
    assert Parts(1, 1, 1, 1, 1).score == 1_000_000 and Parts().score == 0
    assert score.points(Parts(W=Fraction(2, 3), U=Fraction(1, 3)).score) == "350.000"
    assert score.points(Parts(W=Fraction(1, 3)).score) == "166.666"  # 166.666...: down, not to the nearest
    assert score.points(7) == "0.007"


def test_every_reason_has_a_sentence():
    assert set(WHY) == set(Reason) and all(bool(WHY[reason]) == (reason != Reason.NONE) for reason in Reason)


def test_blobs_in_folders_are_checked_by_digest_and_size(tmp_path):
    (tmp_path / "one").mkdir()
    good, digest = tmp_path / "two", digest_of(b"blob")
    good.mkdir()
    (tmp_path / "one" / digest.hex()).write_bytes(b"else")
    find = witness.in_folders([tmp_path / "one", tmp_path / "none", good])
    assert find(digest, 100) is None
    (good / digest.hex()).write_bytes(b"blob")
    assert find(digest, 4) == b"blob" and find(digest, 3) is None
    assert witness.either(lambda digest, limit: None, find)(digest, 4) == b"blob"


def test_a_network_that_has_no_blob_says_none():
    def refuse(digest, limit, peers=None, timeout=0.0):
        raise errors.NetworkError("nobody")

    assert witness.over_network(SimpleNamespace(fetch=refuse))(bytes(32), 10) is None
    assert witness.over_network(SimpleNamespace(fetch=lambda *args: b"x"))(bytes(32), 10) == b"x"


# ---- one epoch on a real chain


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(tmp_path_factory.mktemp("score")) as world, world.at_once():
        yield world


@pytest.fixture(scope="module")
def town(world) -> Town:
    """a: audited. b: its blob is lost, nobody audits it. c, C: two peers of one operator, audited. d: committed another root than its blob has.

    x has entered a's peer id before, y b's after the commitments. a commits epoch 1 too late, b epoch 2 in time.
    """
    swarm = world.swarm(faucet=False, maxUnits=MOST, recipe=RULES.hash, **TIMES)
    town = Town(world, swarm, {}, {})
    for name in "abcd":
        town.people[name] = world.member(swarm)
    a, b, c, d = (town.people[name] for name in "abcd")
    second = town.people["cc"] = enrol(world, swarm, replace(c, peer=keys.keccak(b"second"), session=world.account()), 200 * WEI)
    town.people["x"] = enrol(world, swarm, replace(a, secret=world.account(), session=world.account()), 0)
    world.to_window(swarm, 0)
    made = {
        "a": commit(town, "a", an_epoch(swarm, a, 0, BASE, 1000, [b, second])),
        "b": commit(town, "b", an_epoch(swarm, b, 0, BASE, 900, [a, c]), kept=False),
        "c": commit(town, "c", an_epoch(swarm, c, 0, BASE, 2000, [a, c])),
        "cc": commit(town, "cc", an_epoch(swarm, second, 0, BASE, 2500, [b])),
        "d": commit(town, "d", an_epoch(swarm, d, 0, BASE, 700, [a, b, c]), root=keys.keccak(b"another")),
    }
    town.people["y"] = enrol(world, swarm, replace(b, secret=world.account(), session=world.account()), 0)
    to(town, swarm.times(0)[0])
    audited(town, [made["a"], made["c"], made["cc"]])
    to(town, swarm.end(1) + TIMES["grace"])
    late = an_epoch(swarm, a, 1, made["a"]["last"], 1, [b])
    world.chain.send(a.session, "ledger", "commitLate", a.key, 1, 2, late.root, late.last, late.digest)
    to(town, swarm.end(2))
    commit(town, "b", an_epoch(swarm, b, 2, made["b"]["last"], 30, []))
    for header in made.values():
        world.chain.send(a.secret, "court", "finalize", header)
        world.chain.send(a.secret, "ledger", "settle", header)
    return town


def test_a_settled_epoch_is_scored_to_the_digit(town):
    found = town.scores()
    assert list(found) == ["a", "b", "c", "d"]  # neither squatter
    assert {name: each.score for name, each in found.items()} == {"a": 183_333, "b": 33_333, "c": 516_666, "d": 0}
    assert found["a"].parts == Parts(W=Fraction(1, 3), U=Fraction(1, 3)) and found["a"].hearing.others == 3
    assert found["b"].parts == Parts(U=Fraction(2, 3)) and len(found["b"].hearing.by) == 2
    assert found["c"].units == 4500 and found["c"].parts.W == 1 and len(found["c"].commitments) == 2
    assert all(each.final for each in found.values())
    assert [made.ending.reason for each in found.values() for made in each.commitments] == [0, Reason.UNAUDITED, 0, 0, Reason.UNAUDITED]


def test_two_computations_give_the_same_and_need_only_chain_and_blobs(town):
    first, again = town.scores(), town.scores()
    assert first == again and first is not again
    values = [[explanation.of(book, each) for each in score.of_epoch(book, 0, town.find)] for book in (town.book(), town.book())]
    assert values[0] == values[1]


def test_the_transaction_is_the_one_that_settled(town, world):
    (made,) = town.scores()["a"].commitments
    receipt = world.chain.rpc.call("eth_getTransactionReceipt", "0x" + made.ending.tx.hex())
    names = [event.name for log in receipt["logs"] if (event := world.chain.abi("ledger").event(log)) is not None]
    assert "Settled" in names and int(receipt["status"], 16) == 1
    assert world.chain.read("ledger", "unitsOf", town.people["a"].key) == made.ending.units == 1000


def test_blobs_that_are_missing_or_wrong_count_as_not_heard_and_are_named(town):
    seen = town.scores()["a"].hearing
    said = {each.made.member.operator: each.why for each in seen.silent}
    assert said[town.people["b"].address] == "unavailable"
    assert "refused" in said[town.people["d"].address] and "root" in said[town.people["d"].address]
    nothing = town.scores(blobs=lambda digest, limit: None)
    assert nothing["a"].score == 166_666 and len(nothing["a"].hearing.silent) == 4
    assert town.scores(blobs=lambda digest, limit: b"forged")["a"].score == 166_666


def test_a_blob_that_fits_the_header_but_not_its_digest_is_not_believed(town):
    """`heard` stands in no root: only the digest keeps whoever hands over a blob from adding names to it."""
    a, b, c = (town.people[name] for name in "abc")
    more = an_epoch(town.swarm, b, 0, BASE, 900, [a, c, town.people["d"]])
    digest = an_epoch(town.swarm, b, 0, BASE, 900, [a, c]).digest
    found = town.scores(blobs=lambda wanted, limit: more.pack() if wanted == digest else town.find(wanted, limit))
    assert found["d"].score == 0 and found["a"].score == 183_333


def test_a_blob_that_turns_up_counts(town):
    b, a, c = (town.people[name] for name in "bac")
    lost = an_epoch(town.swarm, b, 0, BASE, 900, [a, c])
    found = town.scores(blobs=lambda digest, limit: lost.pack() if digest == lost.digest else town.find(digest, limit))
    assert found["a"].score == 200_000 and found["c"].score == 533_333


def test_a_foreign_peer_id_gains_nothing_and_takes_nothing(town):
    found = town.scores()
    assert {"x", "y"} & set(found) == set()
    assert found["a"].parts.U and found["b"].parts.U  # a's id is contested and its work verified; y came too late to contest b's


def told(*ended: int, running: int = 0, **tallies: Tally) -> Tallies:
    """What a market's log of epoch 0 might say of the people of a town, by address."""
    found = Tallies(Terms())
    found.ended = {epoch: Ended(bytes(32), 1, epoch * 3_000_000) for epoch in ended}
    found._epochs[0] = {bytes.fromhex(who[1:]): one for who, one in tallies.items()}
    found._opened = {bytes([number]): 0 for number in range(running)}
    return found


GOOD = Tally(
    seats=42,
    revealed=41,
    gold_votes=26,
    gold_right=21,
    gold_hits=19 * WAD,
    gold_n=23 * WAD,
    choices=4,
    forecasts=tuple((bytes([n]), WAD // 4) for n in range(12)),
    pieces=((b"a", WAD), (b"b", WAD // 2)),
    earned=3 * WAD,
)


def test_judging_forecasts_and_evidence_count_by_the_formula_and_are_explained(town):
    a, d = (town.people[name].address for name in "ad")
    market = Assessment(told(0, **{f"_{a.hex()}": GOOD, f"_{d.hex()}": Tally(seats=3, revealed=3, gold_votes=2)}))
    found = {each.operator: each for each in score.of_epoch(town.book(), 0, town.find, market)}
    bound = gold_bound(19 * WAD, 23 * WAD, 4)
    assert found[a].parts == Parts(W=Fraction(1, 3), J=bound * Fraction(41, 42), F=Fraction(1, 4), E=Fraction(3, 10), U=Fraction(1, 3))
    assert found[a].final and found[d].parts.J == 0 and found[a].score == found[a].at_most - 16_667 == int(found[a].parts.exact * 1000)
    value = explanation.of(town.book(), found[a])
    judging, forecasts, evidence = value["judge"]["sentences"]
    assert judging == "J = 0.61: gold 21/26 (at least 0.63 with 90 %, older votes fading), 41 of 42 seats revealed"
    assert forecasts == "F = 0.25: 12 forecasts, on average 0.25 nats better than the price without its own trades"
    assert evidence == "E = 0.30: qualities 1.00 + 0.50 of the best 5, over 5"
    assert "0.15 × 0.25 + 0.10 × 0.30" in value["formula"] and value["judge"]["gold"]["at_least"] == str(bound)
    assert "2 of its votes so far; 8 are needed" in explanation.of(town.book(), found[d])["judge"]["sentences"][0]


def test_a_score_is_open_while_a_market_can_still_change_it(town):
    a = town.people["a"].address
    for tallies in (told(0, running=2, **{f"_{a.hex()}": GOOD}), told(**{f"_{a.hex()}": GOOD})):
        (found, *_) = score.of_epoch(town.book(), 0, town.find, Assessment(tallies))
        assert not found.final and found.score is None and found.parts.E * 10 == 3
        assert explanation.of(town.book(), found)["formula"].endswith(" so far")
    value = explanation.of(town.book(), score.of_epoch(town.book(), 0, town.find, Assessment(told(0, running=2)))[0])
    assert value["judge"]["sentences"][-1] == "so far: 2 markets opened in this epoch or before are not settled"


def test_a_market_that_is_not_known_counts_nothing_and_says_what_that_can_cost(town):
    late = Assessment(told(0, 1), unknown="its pages end here", until=-1)
    for market in (Assessment(unknown="its pages end here"), late):
        found = score.of_epoch(town.book(), 0, town.find, market)
        assert [each.score for each in found] == [183_333, 33_333, 516_666, 0] and all(each.judged.unknown for each in found)
        assert found[0].at_most == 183_333 + 16_667 + 450_000
        row = explanation.row(town.book(), found[0])
        assert [row["parts"][name] for name in "WJFEU"] == ["1/3", None, None, None, "1/3"]
        assert "0.20 × ? + 0.15 × ? + 0.10 × ? + 0.05 × 1/3) = at least 183.333" in explanation.of(town.book(), found[0])["formula"]
        (line,) = explanation.unjudged(found)
        assert "of epoch 0 are not known here: its pages end here" in line and "up to 450 points" in line
    assert not explanation.unjudged(score.of_epoch(town.book(), 0, town.find, Assessment(told(0), unknown="later", until=1)))


def test_late_and_open_commitments(town):
    late = town.scores(1)["a"]
    assert late.final and late.score == 0 and late.hearing.others == 0
    book = town.book()
    assert explanation.why_not(book, late.commitments[0]) == explanation.LATE
    still = town.scores(2)["b"]
    assert not still.final and still.score is None
    assert "commit window is open" in explanation.why_not(book, still.commitments[0])
    assert explanation.row(book, still)["score"] is None and explanation.of(book, still)["formula"].endswith("so far")


def test_totals_add_final_scores_only(town):
    book = town.book()
    every = [each for epoch in book.epochs for each in score.of_epoch(book, epoch, town.find)]
    first, second, third, last = score.totals(every)
    assert (first.operator, first.score, first.units, first.epochs) == (town.people["c"].address, 516_666, 4500, 1)
    assert (second.score, second.epochs) == (183_333, 2) and (third.score, third.epochs) == (33_333, 1) and last.score == 0


def test_what_epochs_are_refused(town):
    book = town.book()
    for epoch, what in ((99, "there is no epoch 99 yet"), (book.swarm.epoch_at(book.now), "is not over yet")):
        with pytest.raises(errors.InputError, match=what) as error:
            explanation.require_over(book, epoch)
        assert "epochs with commitments: 0-2" in error.value.hint
    with pytest.raises(errors.InputError, match="no operator of this swarm is 'nobody'"):
        explanation.operator_of(book, "nobody")
    a = town.people["a"]
    assert explanation.operator_of(book, name_of(a.address, a.peer)) == explanation.operator_of(book, "0x" + a.address.hex()) == a.address


# ---- the commands


@pytest.fixture
def run(town, tmp_path, monkeypatch):
    """A run folder of this swarm whose peers hold the blobs."""
    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    return a_run(town, tmp_path / "runs" / "local-1", RULES)


def test_score_shows_every_row_and_why_some_earned_nothing(capsys, town, run):
    code, out, err = command(capsys, "score")
    (line,) = [line for line in out.splitlines() if "183.333" in line]
    a = town.people["a"]
    assert code == 0 and err == "" and name_of(a.address, a.peer) in line and "0.333" in line and "1,000" in line
    assert len([word for word in line.split() if len(word) == 66 and word.startswith("0x")]) == 1
    assert WHY[Reason.UNAUDITED] in out and " open " in out and "none yet" in out
    code, out, _ = command(capsys, "score", "--json", "--epoch", "0")
    rows = json.loads(out)
    assert [row["score"] for row in rows] == [183.333, 33.333, 516.666, 0.0]
    again = [Parts(**{part: Fraction(text) for part, text in row["parts"].items()}).score / 1000 for row in rows]
    assert again == [row["score"] for row in rows]
    _, out, _ = command(capsys, "score", "--json", "--operator", name_of(a.address, a.peer))
    assert {row["operator"] for row in json.loads(out)} == {keys.checksum(a.address)} and len(json.loads(out)) == 2


def test_explain_reproduces_the_score_from_its_own_inputs(capsys, town, run):
    code, out, _ = command(capsys, "explain", "0", "--json")
    assert code == 0
    for value in json.loads(out)["scores"]:
        verified = sum(made["units_verified"] for made in value["commitments"])
        heard = value["heard"]
        exact = 1000 * (
            Fraction(50, 100) * min(1, Fraction(verified, value["most_units"])) + Fraction(5, 100) * Fraction(len(heard["by"]), heard["needed"])
        )
        assert exact == Fraction(value["exact"]) and int(exact * 1000) == round(value["score"] * 1000)
        assert value["formula"].endswith(f"= {value['score']:.3f}")
        for made in value["commitments"]:
            assert made["drawn"] == 2 == len(made["drawn_steps"]) and made["odds"]["one_step"] == 1.0
            said = [vote["verdict"] for vote in made["audits"]]  # silent panels were drawn twice more
            assert said == (["ok"] * 2 if made["units_verified"] else ["silent"] * 6)
            assert made["settled"] and bool(made["why"]) == (not made["units_verified"])
    code, out, _ = command(capsys, "explain", "0")
    assert code == 0 and "1000 × (0.50 × 1000/3000 + 0.20 × 0 + 0.15 × 0 + 0.10 × 0 + 0.05 × 1/3) = 183.333" in out
    assert all(text in out for text in ("J = 0: no seat", "F = 0: 0 of its forecasts", "E = 0: no accepted", "is unavailable"))
    assert "T = 2 steps, q = 2 drawn" in out
    assert "forging is seen with odds" in out and ": ok" in out and WHY[Reason.UNAUDITED] in out


def test_explain_an_open_epoch_says_what_it_waits_for(capsys, run):
    code, out, _ = command(capsys, "explain", "2")
    assert code == 0 and "not closed: the commit window is open" in out and "no transaction yet" in out


def test_leaderboard(capsys, town, run):
    code, out, _ = command(capsys, "leaderboard")
    c = town.people["c"]
    assert code == 0 and out.splitlines()[1].split()[:2] == ["1", name_of(c.address, c.peer)] and "516.666" in out.splitlines()[1]
    code, out, _ = command(capsys, "leaderboard", "--json")
    assert [row["score"] for row in json.loads(out)] == [516.666, 183.333, 33.333, 0.0]


def test_without_any_local_cache_the_output_is_the_same(capsys, town, run):
    """Only the link to the chain, the run's own files and the blobs are left; then not even the folders the blobs lay in."""
    words = (["score", "--json", "--epoch", "0"], ["explain", "0", "--json"], ["leaderboard", "--json"])
    before = [command(capsys, *each)[1] for each in words]
    for peer in run.peers:
        for entry in peer.iterdir():
            if entry.name != "network":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    other = run.peer(0) / "network" / "blobs"
    for peer in run.peers[1:]:
        for blob in (peer / "network" / "blobs").iterdir():
            blob.rename(other / blob.name)
        shutil.rmtree(peer)
    assert [path.name for path in run.chain.iterdir()] == ["chain.json"]
    assert [command(capsys, *each)[1] for each in words] == before


def test_a_joiner_without_any_record_gets_them_from_members_and_computes_the_same(capsys, town, run, tmp_path, monkeypatch):
    """Real daemons: two serve what the run's folders held, the commands know the first only."""
    a, b, c = (town.people[name] for name in "abc")
    found = an_epoch(town.swarm, b, 0, BASE, 900, [a, c])
    blobs = town.blobs | {found.digest: found.pack()}  # everything is somewhere, so nobody waits for what is lost
    (run.peer(0) / "network" / "blobs" / found.digest.hex()).write_bytes(found.pack())
    words = (["score", "--json", "--epoch", "0"], ["explain", "0", "--json"], ["leaderboard", "--json"])
    before = [command(capsys, *each)[1] for each in words]
    monkeypatch.setenv("SWARM_HOME", str(tmp_path / "joiner"))
    kept = tmp_path / "joiner" / "cache" / "records"
    member = networks.network(tmp_path / "member", swarm=town.swarm.id)
    with networks.started(member), networks.started(networks.network(tmp_path / "other", tuple(member.addresses()), swarm=town.swarm.id)) as (other,):
        for number, data in enumerate(blobs.values()):
            (member, other)[number % 2].put(data)
        joined = a_run(replace(town, blobs={}), tmp_path / "joiner" / "runs" / "joined-1", RULES)
        joined.update(boot=member.addresses())
        assert command(capsys, *words[2], "--wait", "60") == (0, before[2], "")
        assert {path.name for path in kept.iterdir()} == {digest.hex() for digest in blobs}
        assert not list(kept.parent.glob("visit-*"))
        for folder in (kept, joined.folder):
            shutil.rmtree(folder)
        member.put(RULES.canonical)
        given = Invite(town.swarm.id, RULES.hash, digest_of(RULES.canonical), tuple(member.addresses()), town.world.link).text()
        code, out, err = command(capsys, "score", "--wait", "60", "--invite", given)
        assert code == 0 and "records: 6" in err and "200.000" in out and "missing" not in out
    for each, was in zip(words, before, strict=True):
        assert command(capsys, *each, "--invite", given) == (0, was, ""), "what was fetched was not kept"


def test_a_record_that_no_member_has_is_waited_for_and_named(capsys, town, run, tmp_path):
    with networks.started(networks.network(tmp_path / "member", swarm=town.swarm.id)) as (member,):
        run.update(boot=member.addresses())
        code, out, err = command(capsys, "score", "--wait", "1")
    assert code == 0 and "records: 1" in err and "183.333" in out
    b = town.people["b"]
    assert f"missing records: {name_of(b.address, b.peer)} (epoch 0): no member that could be reached handed them over (--wait 1 s)." in out


def test_missing_records_are_named_with_what_that_means(capsys, town, run):
    b = town.people["b"]
    code, out, _ = command(capsys, "leaderboard")
    assert code == 0 and f"missing records: {name_of(b.address, b.peer)} (epoch 0, 2)" not in out
    assert f"missing records: {name_of(b.address, b.peer)} (epoch 0): {archive.NOBODY}." in out
    assert "too low here, by up to 50 points of uptime" in out and "never too high" in out
    shutil.rmtree(run.peer(0) / "network")  # a's, the first that was made
    rows = json.loads(command(capsys, "score", "--json", "--epoch", "0")[1])
    whole = {"a": (183_333, 200_000), "b": (16_666, 33_333), "c": (500_000, 533_333), "d": (0, 33_333)}
    for row, (least, most) in zip(rows, whole.values(), strict=True):
        assert (round(row["score"] * 1000), round(row["at_most"] * 1000)) == (least, most), row
    code, out, _ = command(capsys, "explain", "0", "--wait", "0")
    assert code == 0 and archive.NOBODY in out
    run.update(boot=["/ip4/127.0.0.1/tcp/1/p2p/" + keys.base58_of(b.peer)])
    code, out, _ = command(capsys, "explain", "0", "--wait", "0")
    assert code == 0 and archive.NOT_ASKED in out


def test_a_run_without_its_markets_pages_says_so(capsys, town, tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    run = a_run(town, tmp_path / "runs" / "local-1", recipe.load("local", []))
    code, out, err = command(capsys, "score")
    assert code == 0 and "≥183.333" in out and "not known here: no page of its judge market" in out and err == ""
    code, out, _ = command(capsys, "explain", "0")
    assert code == 0 and "= at least 183.333" in out and "judge     not known here" in out
    assert [row["score"] for row in json.loads(command(capsys, "leaderboard", "--json")[1])] == [516.666, 183.333, 33.333, 0.0]
    (run.peer(0) / "market").mkdir()
    (run.peer(0) / "market" / "market.sqlite").write_bytes(b"no database at all, but longer than a header" * 100)
    code, out, _ = command(capsys, "score")
    assert code == 0 and "cannot be read" in out


def test_a_market_in_which_nothing_happened_counts_nothing_and_is_known(capsys, town, tmp_path, monkeypatch):
    """The whole way on a real chain: facts, terms, scorer, an empty tape, tallies."""
    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    run = a_run(town, tmp_path / "runs" / "local-1", recipe.load("local", []))
    domain = domain_of(town.world.link.chain_id, town.swarm.id)
    Store(run.peer(1) / "market" / "market.sqlite", domain).close()
    code, out, _ = command(capsys, "score", "--epoch", "0")
    assert code == 0 and "183.333" in out and "≥" not in out and "not known" not in out
    code, out, _ = command(capsys, "explain", "0", "--json")
    assert {value["judge"]["state"] for value in json.loads(out)["scores"]} == {"final"}
    kept = recipe.load("own-task", ["judge.profile=local", "proof.profile=pinned"])
    other = a_run(town, tmp_path / "runs" / "own-1", kept)
    Store(other.peer(0) / "market" / "market.sqlite", domain).close()
    code, out, _ = command(capsys, "score", "--epoch", "0", "--run-dir", str(other.folder))
    assert code == 0 and "≥183.333" in out and "not known here: " in out and "SHA-256" in out  # its node was not told that the code may run


def test_members_that_cannot_be_reached_are_said(capsys, town, run):
    run.update(boot=["/ip4/127.0.0.1/tcp/1/p2p/" + keys.base58_of(town.people["a"].peer)])
    code, out, _ = command(capsys, "score", "--epoch", "0", "--wait", "1")
    assert code == 0 and "no member could be reached" in out and "183.333" in out


def test_refusals_are_a_sentence_and_a_hint(capsys, town, run, tmp_path, monkeypatch):
    def refused(*words: str) -> tuple[int, str]:
        code, out, err = command(capsys, *words)
        assert out == "" and err.count("error: ") == 1 and "hint: " in err and "Traceback" not in err
        return code, err

    assert refused("score", "--epoch", "99") == (2, refused("explain", "99")[1])
    assert refused("explain", "0", "--operator", "nobody")[0] == 2
    none = a_run(town, tmp_path / "none", recipe.load("local", ["proof.profile=none"]))
    code, err = refused("score", "--run-dir", str(none.folder))
    assert code == 2 and "has no chain" in err and "proof.profile = none" in err
    stranger = a_run(Town(town.world, SimpleNamespace(id=b"\7" * 32), {}, {}), tmp_path / "stranger", RULES)
    code, err = refused("leaderboard", "--run-dir", str(stranger.folder))
    assert code == 2 and "is not on its chain yet" in err
    (run.chain / "chain.json").unlink()
    code, err = refused("score")
    assert code == 2 and "has no chain yet" in err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    town.world.link.at(f"http://127.0.0.1:{port}").save(run.chain)
    code, err = refused("score")
    assert code == 4 and f"127.0.0.1:{port}" in err
    monkeypatch.setenv("SWARM_HOME", str(tmp_path / "empty"))
    code, err = refused("score")
    assert code == 2 and "there is no run" in err


@pytest.mark.parametrize("name", ["score", "explain", "leaderboard"])
def test_help_has_an_example_and_the_exit_codes(capsys, name):
    code, out, _ = command(capsys, name, "--help")
    assert code == 0 and f"Example: swarm {name}" in " ".join(out.split()) and "Exit codes: 0 done" in out


def test_the_epoch_blob_of_the_fixture_is_one_that_auditors_would_accept(town):
    (data, *_) = town.blobs.values()
    assert epochs.unpack(data, 2).pack() == data
