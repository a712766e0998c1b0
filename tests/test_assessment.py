"""The judge market's part of the scores, recomputed from pages and facts alone: the same fractions in another process."""

from __future__ import annotations

import functools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

from courts import address
from markets import DOMAIN, NAMES, START, TERMS, Fair, FakeFacts, account, opening, sign, trade

import swarm
from judge import events
from judge.terms import CREDIT
from swarm.assessment import Assessment, on_disk
from swarm.judging import FOLDER
from swarm.market.facts import Minted
from swarm.market.page import Account, Opening
from swarm.market.store import FILE, Store
from swarm.proof.schedule import Schedule

EPOCHS = (START - 1000, START + 45_000, START + 91_000)  # when 1 to 3 begin
SCHEDULE = Schedule(START // 1000 - 47, epoch=46, grace=4, beacon=1, audit=5, reveal=3, challenge=3)
SCORER = b"\5" * 32
LATER = START + 95_000


def facts() -> FakeFacts:
    made = FakeFacts(schedule=SCHEDULE)
    made.people("host", *NAMES)
    made.beacons(-3000, 95_000)
    made.add(*(Minted(t, number, ()) for number, t in enumerate(EPOCHS[1:], 2)))
    made.seen = LATER
    return made


def scorer(said, texts) -> int:
    return said.nonce % 2


@functools.cache
def written() -> tuple[bytes, ...]:
    """Pages of one epoch: sixteen panels that the scorer can check, four markets that code resolves, with forecasts, trades and evidence."""
    fair = Fair(facts(), scorer=scorer, choice=lambda market, name: 0 if name == "eve" else _right(market))
    for name in NAMES:
        fair.add(account(sign(events.Stake, name, START - 500, amount=400 * CREDIT)))
    for start in range(0, 45_000, 15_000):
        ids, orders = [], {}
        for n in range(start // 100, start // 100 + 7):
            kind = "V" if n % 7 >= 4 else "P"
            page = opening("host", START + start + 10 + n % 100, nonce=n, kind=kind, b0=20, scorer=SCORER)
            ids.append(fair.add(page).market)
            t = page.t + 500
            right = (9000, 500, 500) if n % 2 == 0 else (500, 9000, 500)
            orders[ids[-1]] = [
                sign(events.Forecast, "ann", t, market=ids[-1], chances=(3333, 3333, 3334)),
                sign(events.Forecast, "ann", t + 1, market=ids[-1], chances=right),
                sign(events.Forecast, "ben", t, market=ids[-1], chances=right[::-1]),
                trade(ids[-1], "ann", t, n % 2, 5 * CREDIT, nonce=n),
                trade(ids[-1], "ben", t, 2, CREDIT, nonce=n),
                sign(events.Evidence, "cleo", t, market=ids[-1], text=f"not the first in {n}", about=0, says=events.WRONG),
            ]
        fair.run(START + start + 14_000, "host", orders)
    fair.tape.play(LATER)
    assert {one.phase for one in fair.tape.state.markets.values()} == {"SETTLED"}
    return tuple(page.data for page in fair.pages)


def _right(market) -> int:
    """What the judges of a market know: it is in the text of its answers."""
    return RIGHT[market.outcomes[0][1]]


RIGHT = {opening("host", START, nonce=n).open.event.outcomes[0][1]: n % 2 for n in range(500)}


def played(pages, now: int = LATER, finals: dict[int, bytes] | None = None, **known) -> Assessment:
    """`finals`: roots that the chain calls final, by epoch."""
    told = facts()
    told.finals, told.seen = finals or {}, now
    return Assessment.played(told, TERMS, scorer, pages, **known)


def test_a_small_market_brings_judging_forecasts_and_evidence_above_nought():
    judged = played(written()).of(1)
    mine = {name: judged.tallies[address(name)] for name in NAMES}
    assert judged.final and not judged.unknown and not judged.waits
    assert mine["ann"].F > 0 and len(mine["ann"].forecasts) == 21 and mine["ben"].F == 0 and mine["ben"].mean < 0
    assert 0 < mine["cleo"].E <= 1 and len(mine["cleo"].pieces) >= 4
    assert max(one.J for one in mine.values()) > 0 and min(one.J for one in mine.values()) >= 0


def test_another_process_gets_the_same_fractions_from_the_pages_alone(tmp_path):
    (tmp_path / "pages").mkdir()
    for number, data in enumerate(random.Random(3).sample(written(), len(written()))):
        (tmp_path / "pages" / f"{number:04d}").write_bytes(data)
    program = """
import json, sys
from pathlib import Path
from test_assessment import played
pages = [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]
print(json.dumps({who.hex(): [str(one.J), str(one.F), str(one.E)] for who, one in sorted(played(pages).of(1).tallies.items())}))
"""
    path = os.pathsep.join((str(Path(swarm.__file__).parents[1]), str(Path(__file__).parent)))
    ran = subprocess.run([sys.executable, "-c", program, tmp_path / "pages"], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    here = {who.hex(): [str(one.J), str(one.F), str(one.E)] for who, one in sorted(played(written()).of(1).tallies.items())}
    assert json.loads(ran.stdout) == here, ran.stderr


def test_an_epoch_is_final_when_it_is_over_and_its_markets_are_settled():
    whole = played(written())
    assert whole.of(1).final and whole.of(2).final and not whole.of(3).final and not whole.of(9).final
    early = played(written(), now=START + 44_000)
    assert not early.of(1).final and early.of(1).tallies
    openings = [data for data in written() if isinstance(_read(data), Opening | Account)]  # whose hosts vanished
    waiting = played(openings, now=EPOCHS[1] + 5000).of(1)
    assert not waiting.final and waiting.waits > 0


def test_a_final_root_on_the_chain_closes_an_epoch_and_another_one_makes_it_unknown():
    cut = [data for data in written() if isinstance(_read(data), Opening | Account)]
    root = {epoch: played(cut).tape.history.root(epoch).head for epoch in (0, 1)}
    waiting = played(cut, now=EPOCHS[1] + 5000, finals=root).of(1)
    assert waiting.anchored and waiting.final and not waiting.unknown
    other = played(cut, finals={0: root[0], 1: bytes(32)})
    assert other.of(0).anchored and other.of(0).final
    assert other.of(1).unknown.endswith("another log than the one whose root is final on the chain, that of epoch 1") and not other.of(1).tallies
    assert other.of(2).unknown


def test_pages_that_end_early_leave_later_epochs_unknown():
    cut = played(written(), unknown="the node was off", until=EPOCHS[1] + 1)
    assert cut.of(1).final and not cut.of(1).unknown and cut.of(1).tallies
    assert cut.of(2).unknown == "the node was off" and not cut.of(2).tallies
    root = cut.tape.history.root(2).head
    assert played(written(), finals={2: root}, unknown="the node was off", until=EPOCHS[1] + 1).of(2).anchored  # so nothing was missed
    assert Assessment(unknown="why").of(1).unknown == "why" and Assessment().of(1).final and not Assessment().of(1).unknown


def test_what_is_no_page_or_has_no_place_counts_nothing():
    stray = [b"", b"\x00" * 100, b"x" * 10_000, *[data[:-1] for data in written()[:3]]]
    assert played([*stray, *written()]).of(1) == played(written()).of(1)


def test_the_pages_of_nodes_on_this_machine_are_read_while_they_write(tmp_path):
    stores = [Store(tmp_path / f"peer-{n}" / FOLDER / FILE, DOMAIN) for n in range(2)]
    for number, data in enumerate(written()):
        stores[number % 2].add(_read(data))
        stores[0].add(_read(data))
    assert set(on_disk([tmp_path / "peer-0", tmp_path / "peer-1", tmp_path / "gone"])) == set(written())
    for store in stores:
        store.close()


def _read(data: bytes):
    from swarm.market import page

    return page.read(data, DOMAIN)
