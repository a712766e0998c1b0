"""`swarm judge`: a person's court over rooms on real networks on loopback, the node that goes on for them, and what the command refuses."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import networks
import pytest
from courts import address, key
from markets import DOMAIN
from test_market_network import TERMS as SLOW
from test_market_network import Clock, facts_from, open_market, room, root, state_of

from judge import events, verbs
from judge.ballots import PERCENT, Ballots, Place
from judge.events import ABSTAIN
from judge.terms import CREDIT, Durations, Terms
from swarm import recipe, runs, voting
from swarm.cli import judge as command
from swarm.cli import main
from swarm.errors import ChainError, InputError
from swarm.market import voter
from swarm.market.room import Room
from swarm.market.seats import SeatedRoom
from swarm.market.visit import Visit, take_over
from swarm.market.voter import RoomCourt

SCORER = lambda said, texts: 1  # noqa: E731


@contextlib.contextmanager
def swarm_of(folder: Path, terms: Terms = SLOW):
    """A host, ann who only dials in as a judge, and ben whose node votes for him out of his folder."""
    clock = Clock()
    with contextlib.ExitStack() as stack:
        host_net = networks.network(folder / "host")
        stack.enter_context(networks.started(host_net))
        boot = tuple(host_net.addresses()[:1])
        ben_net, ann_net = networks.network(folder / "ben", boot), networks.network(folder / "ann", boot, client=True)
        stack.enter_context(networks.started(ben_net, ann_net))
        facts = facts_from(clock(), host=host_net.peer, ben=ben_net.peer)
        host = Room(host_net, facts, terms, address("host"), key("host")[0], folder / "host" / "market", SCORER, now=clock)
        around = (ben_net, facts, terms, address("ben"), key("ben")[0], folder / "ben" / "market", SCORER)
        ben = SeatedRoom(folder / "votes-ben", folder / "openings-ben", *around, now=clock)
        ann = Visit(ann_net, facts, terms, address("ann"), key("ann")[0], folder / "ann" / "judge", SCORER, now=clock)
        for one in (host, ben, ann):
            stack.callback(one.close)
            one.start()
        facts.seen = 2**47
        yield host, ann, ben
        for one in (host, ann, ben):
            one.require_alive()


def court_of(ann: Visit, folder: Path) -> RoomCourt:
    return RoomCourt(ann, key("ann")[0], Ballots(folder / "votes-ann"), folder / "reasons")


def phase(court: RoomCourt, market: bytes) -> str:
    case = court.view().find(market)
    return case.phase if case is not None else ""


def test_a_seated_voter_commits_reveals_and_claims_through_verbs_and_a_node_votes_out_of_its_folder(tmp_path):
    with swarm_of(tmp_path) as (host, ann, ben):
        court, votes = court_of(ann, tmp_path), Ballots(tmp_path / "votes-ann")
        networks.until(lambda: ann.caught_up, 20, "the feeds were read")
        for one in (ann, ben):
            one.send(one.sign(events.Stake, amount=100 * CREDIT))
        networks.until(lambda: sum(who.stake > 0 for who in state_of(host).operators.values()) == 2, 20, "the stakes came, ann's from a client too")
        market = open_market(host, "host", kind="P")
        name = f"m-{market.hex()[:4]}"
        networks.until(lambda: phase(court, market) == "OPEN 1/1", 20, "the opening came")
        ann.send(ann.sign(events.Trade, market=market, nonce=1, side="buy", outcome=1, amount=CREDIT))
        early = verbs.vote(court, votes, f"{name}=1", sure=80, yes=True)
        assert early.code == verbs.PHASE and "votes are taken in VOTE" in early.text

        networks.until(lambda: phase(court, market) == "VOTE", 30, "judges were drawn")
        case = court.view().find(market)
        assert case.seats and case.need == "vote" and not case.shown
        place = Place(DOMAIN, market, 0, 0, address("ben"))
        Ballots(tmp_path / "votes-ben").sign(place, 1, 80 * PERCENT, 0)  # and nothing else: his node sees to it
        asked = verbs.vote(court, votes, f"{name}={case.number(0)}", sure=60)
        assert asked.code == verbs.USAGE and "--yes" in asked.text and not court.view().find(market).commitment
        first = verbs.vote(court, votes, f"{name}={case.number(0)}", sure=60, yes=True)
        second = verbs.vote(court, votes, f"{name}={case.number(1)}", sure=80, yes=True)
        assert (first.code, second.code) == (0, 0), (first, second)
        mine = votes.load(Place(DOMAIN, market, 0, 0, address("ann")))
        assert court.view().find(market).commitment == mine.vote.commitment(Place(DOMAIN, market, 0, 0, address("ann"))) and not court.view().needed
        assert court.undelivered(5.0) == [] == court.refusals()

        networks.until(lambda: phase(court, market) == "REVEAL", 20, "the votes' page came")
        assert court.view().find(market).need == "reveal", "the later of two votes is the one that counts"
        done = verbs.reveal(court, votes)
        assert done.code == 0 and name in done.text
        assert verbs.reveal(court, votes).text == "nothing is to be revealed now"
        assert court.undelivered(5.0) == [] == court.refusals()

        networks.until(lambda: phase(court, market) == "SETTLED", 40, "it was settled")
        networks.until(lambda: root(host) == root(ann) == root(ben), 20, "the roots are equal")
        verdict = state_of(host).markets[market].verdict
        assert verdict.choice == 1 and verdict.small_panel and ben.revealed == 1
        before = state_of(host).operators[address("ann")].free
        paid = verbs.claim(court)
        assert paid.code == 0 and paid.value["claimed"] == {market.hex(): CREDIT}
        assert court.undelivered(10.0) == [], "somebody has the page of a client"
        assert verbs.claim(court, name).code == verbs.SEAT
        networks.until(lambda: state_of(host).operators[address("ann")].free == before + CREDIT, 20, "it is paid in everybody's log")
        networks.until(lambda: court.view().record.coherent > 0, 20)
        record = court.view().record
        assert record.seats == record.coherent and record.fees > 0 and record.unrevealed == 0
        assert json.loads(verbs.said(verbs.show(court, name), True))["phase"] == "SETTLED"

        take_over(tmp_path / "again", tmp_path / "ben" / "market", ben.network.peer, DOMAIN)
        again = Visit(ann.network, ann.facts, SLOW, address("ann"), key("ann")[0], tmp_path / "again", SCORER, now=ann.now)
        with contextlib.closing(again):
            again.start()
            networks.until(lambda: again.caught_up and root(again) == root(host), 20, "what a node has is enough to begin with")


def test_a_seat_that_nobody_uses_abstains_and_a_vote_that_comes_later_replaces_that(tmp_path):
    pace = Durations(4000, 1, 12_000, 8000, 4000)
    with swarm_of(tmp_path, replace(SLOW, machine=pace, human=pace)) as (host, ann, ben):
        votes = Ballots(tmp_path / "votes-ben")
        for one in (ann, ben):
            one.send(one.sign(events.Stake, amount=100 * CREDIT))
        networks.until(lambda: sum(who.stake > 0 for who in state_of(host).operators.values()) == 2, 20)
        market = open_market(host, "host", kind="P")
        place = Place(DOMAIN, market, 0, 0, address("ben"))
        networks.until(lambda: votes.load(place).committed, 30, "it abstained")
        one = state_of(ben).markets[market]
        assert votes.load(place).vote.choice == ABSTAIN and 2 * ben.now() > one.since + one.deadline
        late = votes.sign(place, 0, 80 * PERCENT, 0)
        first = lambda: state_of(host).markets[market].panels[0].ballots.get(address("ben"))  # noqa: E731
        networks.until(lambda: first() is not None and first().choice is not None, 40, "it was opened")
        assert first().choice == late.choice == 0


def test_a_visit_hosts_nothing_even_under_its_hosts_key_and_says_when_nobody_answers(tmp_path, monkeypatch):
    """The node of the same operator is the host: a second page of a phase would cost its bond."""
    clock = Clock()
    net = networks.network(tmp_path / "host")
    with networks.started(net):
        eye_net = networks.network(tmp_path / "eye", tuple(net.addresses()[:1]), client=True)
        with networks.started(eye_net):
            facts = facts_from(clock(), host=net.peer)
            host = room(net, facts, "host", tmp_path / "host" / "market", clock)
            eye = Visit(eye_net, facts, SLOW, address("host"), key("host")[0], tmp_path / "eye" / "judge", SCORER, now=clock)
            with contextlib.closing(host), contextlib.closing(eye):
                host.start()
                eye.start()
                market = open_market(host, "host")
                networks.until(lambda: market in state_of(eye).markets, 20, "the opening came")
                assert not eye._house.desks and eye.told.hosted == 0
                order = eye.send(eye.sign(events.Trade, market=market, nonce=1, side="buy", outcome=1, amount=CREDIT))
                networks.until(lambda: eye.sent(order).state == "receipt", 10, "an order goes to the node, not to itself")
                court = RoomCourt(eye, bytes(32), Ballots(tmp_path / "votes"), tmp_path / "reasons")
                assert court.view().stale_since is None and court.view().peers == 1
                monkeypatch.setattr(voter, "SILENT_MS", 500)
                net.close()
                networks.until(lambda: court.view().stale_since is not None, 20, "nobody answers any more")
                assert "this may be old" in verbs.list_(court).text


# ---- the command


def swarm(capsys, *words: str) -> tuple[int, str, str]:
    argv, sys.argv = sys.argv, ["swarm", *words]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv = argv
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    return tmp_path


def run_of(*changes: str) -> runs.Run:
    found = recipe.load("local", list(changes))
    run = runs.Run.create(runs.next_folder("local"), runs.begin(found))
    run.keep_recipe(found)
    return run


def test_without_a_run_a_market_or_a_running_node_there_is_one_sentence_and_a_hint(home, capsys):
    code, out, err = swarm(capsys, "judge", "list")
    assert code == 2 and "there is no run" in err and "hint: start one" in err and not out
    run = run_of()
    run.unlock()
    code, out, err = swarm(capsys, "judge", "list")
    if run.recipe().judge.profile == "none":
        assert code == 2 and "no judge market" in err and "hint:" in err
    run = run_of("judge.profile=local")
    run.unlock()
    code, out, err = swarm(capsys, "judge", "claim")
    assert code == 2 and "is not on" in err and "hint:" in err
    run = runs.Run.read(run.folder)
    run.lock()
    run.peer(0)
    with pytest.raises(InputError, match="still starting"):
        voting.of_run(runs.Run.read(run.folder))
    with pytest.raises(InputError, match="--peer 3"):
        voting.of_run(runs.Run.read(run.folder), 3)
    run.unlock()


def test_without_a_terminal_it_names_the_verbs(home, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    code, out, err = swarm(capsys, "judge")
    assert (code, err.strip()) == (2, verbs.NO_TERMINAL)


def test_a_chain_that_does_not_answer_is_exit_code_5(home, capsys, monkeypatch):
    monkeypatch.setattr(voting, "of_run", lambda run, peer: None)
    monkeypatch.setattr(runs, "latest", lambda run_dir: None)

    def none(voter, say):
        raise ChainError("the chain at localhost does not answer", "")

    monkeypatch.setattr(voting, "opened", none)
    code, out, err = swarm(capsys, "judge", "list", "--json")
    assert code == 5 and "does not answer" in err and "hint:" in err and not out


@pytest.mark.parametrize("verb", ["", "list", "show", "vote", "reveal", "dispute", "claim", "record", "open", "serve"])
def test_every_verb_has_help_with_an_example(capsys, verb):
    code, out, _ = swarm(capsys, "judge", *([verb] if verb else []), "--help")
    assert code == 0 and "Example:" in out and ("Exit codes:" in out or not verb), out
    assert command.EXITS.startswith("Exit codes: 0")


def test_two_judges_of_one_swarm_have_a_folder_each(home):
    with voting._own_folder(bytes(32)) as first, voting._own_folder(bytes(32)) as second:
        assert first != second and first.parent == second.parent == home / "judge"
    with voting._own_folder(bytes(32)) as again:
        assert again == first
