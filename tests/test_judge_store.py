"""The log on disk: what was taken is there after a crash, and a file that is not the log is refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from courts import Court, address, key

from judge import events, ledger
from judge.errors import Refused
from judge.store import Damaged, Store
from judge.terms import CREDIT, Terms, terms_of

ROOT = Path(__file__).parent.parent


def a_log(signed: bool = True) -> Court:
    court = Court([f"p{i}" for i in range(8)], signed=signed)
    market = court.market("p0")
    court.trade(market, "p1", 0, 20 * CREDIT)
    court.evidence(market, "p2", "why", CREDIT)
    court.to_panel(market)
    court.vote(market, 0)
    court.dispute(market, "p1", 1)
    court.run_out(market)
    court.claim_all(market)
    return court


def kept(path: Path, court: Court) -> None:
    with Store(path, court.terms) as store, store.together():
        for data in court.log.entries:
            store.extend(events.read(data, court.terms.chain_id))
        assert store.state.root() == court.state.root()


def test_a_log_comes_back_with_its_state(tmp_path):
    court = a_log()
    kept(tmp_path / "log", court)
    with Store(tmp_path / "log", court.terms) as store:
        assert store.state.root() == court.state.root() and store.state.head == court.state.head
        assert [data for _, _, data in store.entries()] == court.log.entries
        assert [number for number, _, _ in store.entries(after=10)] == list(range(11, len(court.log.entries) + 1))


def test_what_is_refused_is_not_written(tmp_path):
    court = a_log()
    kept(tmp_path / "log", court)
    with Store(tmp_path / "log", court.terms) as store:
        for attempt in (lambda: store.extend(events.read(court.log.entries[-1], court.terms.chain_id)),):
            with pytest.raises(Refused):
                attempt()
        with pytest.raises(Refused), store.together():
            store.extend(court.entry(events.Stake(actor=address("p1"), t=court.t + 1, amount=1), "p1"))
            store.extend(court.entry(events.Stake(actor=address("p1"), t=court.t + 1, amount=1), "p1"))
        count, root = store.state.count, store.state.root()
    with Store(tmp_path / "log", court.terms) as store:
        assert (store.state.count, store.state.root()) == (count, root) and count == len(court.log.entries) + 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("update entries set data = (select data from entries where number = 5) where number = 4", "entry 4"),
        ("delete from entries where number = 7", "entry 8"),
        ("update entries set head = zeroblob(32) where number = 9", "entry 9"),
        ("update terms set packed = x'90'", "other terms"),
    ],
)
def test_a_file_that_was_changed_is_refused(tmp_path, change, says):
    court = a_log()
    kept(tmp_path / "log", court)
    db = sqlite3.connect(tmp_path / "log")
    db.execute(change)
    db.commit()
    db.close()
    with pytest.raises(Damaged, match=says):
        Store(tmp_path / "log", court.terms)


def test_a_forged_entry_with_a_right_chain_is_refused(tmp_path):
    court = Court(["p0"])
    kept(tmp_path / "log", court)
    forged = events.write(events.Stake(actor=address("p0"), t=court.t + 1, amount=1), court.terms.chain_id, key("eve")[0])
    db = sqlite3.connect(tmp_path / "log")
    db.execute("insert into entries values (?, ?, ?)", (court.state.count + 1, ledger.keccak(court.state.head, forged.data), forged.data))
    db.commit()
    db.close()
    with pytest.raises(Damaged, match="not signed by"):
        Store(tmp_path / "log", court.terms)


def test_other_terms_and_other_files_are_refused(tmp_path):
    kept(tmp_path / "log", Court(["p0"]))
    with pytest.raises(Damaged, match="other terms"):
        Store(tmp_path / "log", Terms())
    (tmp_path / "text").write_text("this is no database, and it is long enough to be looked at. " * 99)
    with pytest.raises(Damaged, match="move it away"):
        Store(tmp_path / "text", terms_of("test"))


def test_a_disk_that_fails_closes_the_store(tmp_path):
    court = Court(["p0"])
    kept(tmp_path / "log", court)
    store = Store(tmp_path / "log", court.terms)
    store._db.execute("create trigger full before insert on entries begin select raise(abort, 'disk full'); end")
    with pytest.raises(sqlite3.Error, match="disk full"):
        store.extend(court.entry(events.Stake(actor=address("p0"), t=court.t + 1, amount=1), "p0"))
    with pytest.raises(sqlite3.ProgrammingError):
        list(store.entries())
    with Store(tmp_path / "log", court.terms) as store:
        assert store.state.root() == court.state.root()


WRITER = """
import sys
from pathlib import Path
from courts import Court, address
from judge import events
from judge.store import Store
court = Court(["p0"], signed=True)
with Store(Path(sys.argv[1]), court.terms) as store:
    for data in court.log.entries[store.state.count:]:
        store.extend(events.read(data, court.terms.chain_id))
    while True:
        t = store.state.operators[address("p0")].t + 1
        store.extend(court.entry(events.Stake(actor=address("p0"), t=t, amount=1), "p0"))
        print(store.state.count, flush=True)
"""


def test_a_kill_loses_nothing_that_was_said_to_be_taken(tmp_path):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    terms = Court(["p0"]).terms
    said = 0
    for turn in range(4):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "log")], stdout=subprocess.PIPE, env=environment, text=True)
        for _ in range(5 + 7 * turn):
            said = int(child.stdout.readline())
        time.sleep(0.003 * turn)
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
        child.wait()
        said = int(rest[-1]) if rest else said
        with Store(tmp_path / "log", terms) as store:
            assert store.state.count in (said, said + 1)


REPLAY = """
import sys
from judge import ledger
from judge.terms import terms_of
data = sys.stdin.buffer.read()
entries = []
while data:
    size = int.from_bytes(data[:4], "big")
    entries.append(data[4:4 + size])
    data = data[4 + size:]
state = ledger.replay(terms_of("test"), entries)
print(state.root().hex(), state.head.hex(), ledger.keccak(state.canonical()).hex())
"""


def test_p14_two_processes_end_with_the_same_bytes():
    court = a_log()
    packed = b"".join(len(data).to_bytes(4, "big") + data for data in court.log.entries)
    ends = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", REPLAY], input=packed, capture_output=True, env=environment, check=True)
        ends.append(done.stdout)
    assert ends[0] == ends[1] and court.state.root().hex() in ends[0].decode()
