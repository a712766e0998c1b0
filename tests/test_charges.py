"""What a challenger plays its match from is on disk before the match, and stays there whatever happens to the audit's folder or the node."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from blake3 import blake3

from swarm import charges as kept
from swarm import merkle
from swarm.advocate import Advocate
from swarm.charges import Charges
from swarm.proof import dispute_format as form
from swarm.proof.audit import Audit
from swarm.proof.epoch import Epoch
from swarm.proof.leaf import LEARN, Leaf

WORD = bytes(range(32))
KEY, OWN = b"k" * 32, b"o" * 32


def leaf(step: int) -> Leaf:
    return Leaf(WORD, WORD, 3, WORD, step, LEARN, 7, 1000, WORD, WORD, WORD, WORD, WORD, 1, 2, 3, 4, WORD, WORD)


def found(folder: Path, number: int = 0, step: int = 1) -> tuple[bytes, SimpleNamespace, Audit]:
    """An audit of two drawn steps, the second of them false: id of the match, header, audit."""
    blobs = {name: name.encode() + bytes([number]) for name in ("state 0", "state 1", "record", "stage")}
    digests = {name: blake3(data).digest() for name, data in blobs.items()}
    place = folder / f"audit-{number}"
    place.mkdir()
    for name, data in blobs.items():
        (place / digests[name].hex()).write_bytes(data)
    epoch = Epoch(WORD, WORD, bytes(20), 3, (leaf(0), leaf(1)), (digests["state 0"], digests["state 1"]))
    header = SimpleNamespace(key=KEY, epoch=3 + number, steps=2, units=8, root=epoch.root, data=WORD, first=WORD, last=WORD)
    audit = Audit(None, [0, 1], 0.0, verdict="fault", step=step, told={"where": "after"}, epoch=epoch, folder=place)
    return form.match_id(KEY, header.epoch, step, OWN), header, audit


def test_a_charge_outlives_the_node_and_the_folder_of_its_audit(tmp_path: Path):
    id, header, audit = found(tmp_path)
    assert Charges(tmp_path).keep(id, header, audit)
    shutil.rmtree(audit.folder)
    charge = Charges(tmp_path).get(id)
    assert (charge.header, charge.leaf, charge.state) == (header, audit.epoch.leaves[1], audit.epoch.states[1])
    assert merkle.verify(header.root, 2, 1, charge.leaf.digest, charge.proof)
    blobs = {path.name: path.read_bytes() for path in charge.blobs.glob("?" * 64)}
    assert sorted(blobs.values()) == [b"record\0", b"stage\0", b"state 1\0"], "a state that the step does not begin at is kept, or a blob is missing"
    assert charge.state.hex() in blobs


def killed(*args: object) -> None:
    raise KeyboardInterrupt


def test_half_a_charge_is_none(tmp_path: Path, monkeypatch):
    id, header, audit = found(tmp_path)
    for module, line in ((kept.os, "link"), (kept.disk, "replace"), (kept.os, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(module, line, killed)
            with pytest.raises(KeyboardInterrupt):
                Charges(tmp_path).keep(id, header, audit)
        again = Charges(tmp_path)
        assert id not in again and not list((tmp_path / "charges").iterdir())
    assert again.keep(id, header, audit)
    with monkeypatch.context() as patch:
        patch.setattr(kept.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            again.forget(id)
    assert id not in Charges(tmp_path) and not list((tmp_path / "charges").iterdir())


def test_charges_are_bounded_in_number_and_in_bytes(tmp_path: Path, monkeypatch):
    charges, many = Charges(tmp_path), [found(tmp_path, number) for number in range(4)]
    monkeypatch.setattr(kept, "MOST", 2)
    assert [charges.keep(*each) for each in many[:3]] == [True, True, False]
    charges.forget(many[0][0])
    assert charges.keep(*many[2]), "what was forgotten takes up room"
    monkeypatch.setattr(kept, "MOST", 9)
    monkeypatch.setattr(kept, "MOST_BYTES", 1)
    assert not charges.keep(*many[3])
    for id, _ in charges.items():
        charges.forget(id)
    assert charges.keep(*many[3]), "a single one is bounded by the recipe alone"


def advocate(folder: Path) -> tuple[Advocate, list[str]]:
    said: list[str] = []
    link = SimpleNamespace(since=0)
    return Advocate(SimpleNamespace(link=link), None, OWN, None, folder, None, said.append), said


def test_what_an_audit_found_is_kept_when_it_is_told_and_its_folder_is_emptied(tmp_path: Path):
    id, header, audit = found(tmp_path)
    for _ in range(2):  # the chain did not answer in between, so it is told again
        advocate(tmp_path)[0].charge(header, audit)
    assert [path.name for path in (tmp_path / "charges").iterdir()] == [id.hex()]
    assert len(list(Charges(tmp_path).get(id).blobs.glob("?" * 64))) == 3 and not list(audit.folder.iterdir())


def test_what_no_court_can_compute_is_not_kept(tmp_path: Path):
    _, header, audit = found(tmp_path)
    audit.told["where"] = "record"
    advocate(tmp_path)[0].charge(header, audit)
    assert not list((tmp_path / "charges").iterdir()) and not list(audit.folder.iterdir())


def test_a_charge_too_many_is_said(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 0)
    _, header, audit = found(tmp_path)
    one, said = advocate(tmp_path)
    one.charge(header, audit)
    assert said == ["step 1 of epoch 3 is not disputed: 0 charges are kept already; the vote stands"]
