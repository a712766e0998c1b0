"""Keys on disk: made, locked, backed up, rotated, and what a person reads when one is lost, locked, corrupt or in use twice."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from swarm import identity, keys, keystore
from swarm.errors import IdentityError
from swarm.identity import Identity
from swarm.session import Session

QUICK = 2**4  # scrypt's work factor in tests
SWARM = bytes(range(32))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One locked and one open identity to copy: making an RSA key is the slow part."""
    folder = tmp_path_factory.mktemp("made")
    Identity.create(folder / "locked", "open sesame", work_factor=QUICK)
    Identity.open_or_create_local(folder / "local")
    return folder


@pytest.fixture
def locked(made, tmp_path):
    return Identity.open(shutil.copytree(made / "locked", tmp_path / "locked"), "open sesame")


@pytest.fixture
def local(made, tmp_path):
    return Identity.open_or_create_local(shutil.copytree(made / "local", tmp_path / "local"))


def edit(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def refused(match, hint, call, *arguments, **named):
    """The one sentence and the way out of a failure."""
    with pytest.raises(IdentityError, match=match) as caught:
        call(*arguments, **named)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 3


def test_create_open(locked):
    again = Identity.open(locked.folder, "open sesame")
    assert again == locked and again.secret == locked.secret and again.encrypted
    assert again.name == identity.show(locked.folder).name and "-" in again.name


def test_files_are_private_and_locked(locked):
    for path in locked.folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    assert locked.secret.hex() not in (locked.folder / "identity.json").read_text()
    assert locked.secret.hex() not in repr(locked)


def test_keystore_opens_in_wallets(locked):
    from eth_account import Account

    stored = json.loads((locked.folder / "identity.json").read_text())
    account = Account.from_key(Account.decrypt(stored["operator"]["keystore"], "open sesame"))
    assert account.address == stored["address"] == keys.checksum(locked.address)


def test_operator_signs_as_a_wallet(local):
    from eth_account import Account
    from eth_account.messages import encode_defunct

    statement = keys.keccak(b"anything")
    signature = local.sign_statement(statement)
    assert Account.recover_message(encode_defunct(statement), signature=signature) == keys.checksum(local.address)


def test_signature_malleability_is_refused(local):
    digest = keys.keccak(b"anything")
    signature = keys.sign_digest(local.secret, digest)
    high = keys.ORDER - int.from_bytes(signature[32:64], "big")
    other = signature[:32] + high.to_bytes(32, "big") + bytes([55 - signature[64]])
    assert keys.recover_digest(signature, digest) == local.address
    assert keys.recover_digest(other, digest) is None


def test_peer_is_what_libp2p_says(local, tmp_path):
    from hivemind.p2p import P2P, PeerID

    assert PeerID.from_identity(local.peer_key_path.read_bytes()).to_base58() == keys.base58_of(local.peer)
    assert keys.peer_from_base58(keys.base58_of(local.peer)) == local.peer
    P2P.generate_identity(str(tmp_path / "theirs"))
    theirs = (tmp_path / "theirs").read_bytes()
    assert PeerID.from_identity(theirs).to_bytes()[2:] == keys.peer_of(keys.peer_public(theirs))

    async def started():
        p2p = await P2P.create(identity_path=str(local.peer_key_path), host_maddrs=["/ip4/127.0.0.1/tcp/0"], nat_port_map=False, auto_nat=False)
        await p2p.shutdown()
        return p2p.peer_id.to_bytes()

    assert asyncio.run(started()) == b"\x12\x20" + local.peer


@pytest.mark.parametrize("text", ["", "x" * 65, "QmNope", "12D3KooWGRUaJ6Rpn7ptHJmpJVgX4bRpZk2hmkYUXSvYsFcvM1Kz", "Qm0OIl"])
def test_bad_peer_ids(text):
    with pytest.raises(ValueError):
        keys.peer_from_base58(text)


def test_local_identity_is_stable(local):
    assert Identity.open_or_create_local(local.folder) == local
    assert not local.encrypted


def test_unencrypted_needs_a_flag(tmp_path):
    refused("no passphrase", "--unencrypted", Identity.create, tmp_path / "a", None)
    refused("empty", "SWARM_PASSPHRASE", Identity.create, tmp_path / "a", "")
    assert not (tmp_path / "a" / "identity.json").exists()


def test_lost_locked_wrong(locked, tmp_path):
    refused("there is no .*identity.json", "restore", Identity.open, tmp_path / "nowhere")
    refused("there is no .*identity.json", "restore", identity.rotate, tmp_path / "nowhere", None)
    refused("locked", "--passphrase-file", Identity.open, locked.folder)
    refused("locked", "SWARM_PASSPHRASE", Identity.open_or_create_local, locked.folder)
    refused("does not open", "lost passphrase", Identity.open, locked.folder, "sesame")


@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00\xff", "[" * 10_000, "x" * 70_000, '{"format": "openswarm identity 1"}'])
def test_corrupt_file(local, text):
    (local.folder / "identity.json").write_text(text)
    refused("damaged", "restore BACKUP", Identity.open, local.folder)


@pytest.mark.parametrize(
    "fields",
    [
        {"operator": {"plain": "00" * 32}},
        {"operator": {"plain": "11" * 32}},
        {"operator": {"plain": "zz"}},
        {"operator": {"keystore": {"version": 9, "crypto": {"kdfparams": {}}}}},
        {"operator": {"keystore": 3}},
        {"operator": {}},
        {"operator": 7},
        {"address": "0x00"},
        {"peer": "00"},
        {"peer": None},
        {"retired": None},
        {"retired": [{"operator": {}, "rotation": [1]}]},
    ],
)
def test_corrupt_field(local, fields):
    edit(local.folder / "identity.json", **fields)
    refused("damaged", "restore BACKUP", Identity.open, local.folder, "x")


@pytest.mark.parametrize("cost", [{"n": 2**40}, {"n": 2.0}, {"r": 10**6}, {"p": -1}, {"c": 10**12}, {"dklen": "32"}])
def test_hostile_work_factor_is_refused_at_once(locked, cost):
    path = locked.folder / "identity.json"
    stored = json.loads(path.read_text())
    stored["operator"]["keystore"]["crypto"]["kdfparams"].update(cost)
    path.write_text(json.dumps(stored))
    refused("asks for", "restore", Identity.open, locked.folder, "open sesame")


def test_damaged_keystore_is_no_wrong_passphrase(locked):
    path = locked.folder / "identity.json"
    stored = json.loads(path.read_text())
    stored["operator"]["keystore"]["crypto"]["ciphertext"] = "no hex"
    path.write_text(json.dumps(stored))
    refused("damaged", "restore", Identity.open, locked.folder, "open sesame")


def test_peer_key_lost_damaged_or_another(local, tmp_path):
    other = Identity.open_or_create_local(tmp_path / "other")
    path = local.peer_key_path
    path.write_bytes(other.peer_key_path.read_bytes())
    refused("another peer", "rotate --peer", Identity.open, local.folder)
    path.write_bytes(b"\x08\x00\x12\x01?")
    refused("damaged", "rotate --peer", Identity.open, local.folder)
    path.unlink()
    refused("there is no", "rotate --peer", Identity.open, local.folder)
    with_new = identity.rotate(local.folder, None, peer=True)
    assert Identity.open(local.folder) == with_new and with_new.peer != local.peer


def test_keys_open_to_others_are_refused(local):
    (local.folder / "identity.json").chmod(0o644)
    refused("other users", "chmod 600", Identity.open, local.folder)


def test_create_never_overwrites(local):
    refused("already", "another folder", Identity.create, local.folder, None, unencrypted=True)


HOLD = """
import sys, pathlib
from swarm import keystore
with keystore.claim(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_processes_cannot_use_one_identity(local):
    session = local.session(SWARM, 60)
    assert keystore.holder(local.folder) is None
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(local.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "held\n"
        assert keystore.holder(local.folder) == child.pid
        refused(f"in use by process {child.pid}", "--identity", session.claim().__enter__)
        refused("in use", "stop that process", identity.rotate, local.folder, None)
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=10)
    assert keystore.holder(local.folder) is None
    with session.claim():
        assert keystore.holder(local.folder) is not None


def test_claim_of_a_folder_that_is_gone(local, tmp_path):
    session = replace(local.session(SWARM, 60), peer_key_path=tmp_path / "gone" / "peer.key")
    refused("cannot be used", "exists", session.claim().__enter__)


def test_backup_restore_in_one_file(locked, tmp_path):
    file = tmp_path / "backup.json"
    assert identity.backup(locked.folder, file, "open sesame").encrypted
    back = identity.restore(file, tmp_path / "back", "open sesame")
    assert (back.address, back.peer, back.secret) == (locked.address, locked.peer, locked.secret)
    assert back.peer_key_path.read_bytes() == locked.peer_key_path.read_bytes()
    assert locked.peer_key_path.read_bytes()[40:].hex()[:64] not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    refused("exists already", "new file", identity.backup, locked.folder, file, "open sesame")
    refused("already", "another folder", identity.restore, file, locked.folder, "open sesame")
    refused("does not open", "", identity.restore, file, tmp_path / "b", "sesame")
    refused("locked", "--passphrase-file", identity.restore, file, tmp_path / "b", None)
    refused("there is no", "identity backup", identity.restore, tmp_path / "none", tmp_path / "b", None)
    assert not (tmp_path / "b" / "identity.json").exists()


def test_backup_of_an_open_identity(local, tmp_path):
    refused("no passphrase", "--unencrypted", identity.backup, local.folder, tmp_path / "x", None)
    identity.backup(local.folder, tmp_path / "open", None, unencrypted=True)
    identity.backup(local.folder, tmp_path / "shut", "pw", work_factor=QUICK)
    assert local.secret.hex() not in (tmp_path / "shut").read_text()
    assert identity.restore(tmp_path / "open", tmp_path / "1", None).secret == local.secret
    assert identity.restore(tmp_path / "shut", tmp_path / "2", "pw").secret == local.secret
    later_locked = identity.restore(tmp_path / "open", tmp_path / "3", "pw", work_factor=QUICK)
    assert later_locked.encrypted
    refused("locked", "", Identity.open, tmp_path / "3")


@pytest.mark.parametrize("field", ["peer_key", "address", "peer", "operator"])
def test_backup_that_was_changed(locked, tmp_path, field):
    identity.backup(locked.folder, tmp_path / "file", "open sesame")
    other = Identity.open_or_create_local(tmp_path / "other")
    wrong = {
        "peer_key": {"sealed": "00" * 64},
        "address": keys.checksum(other.address),
        "peer": other.peer.hex(),
        "operator": {"plain": other.secret.hex()},
    }
    edit(tmp_path / "file", **{field: wrong[field]})
    refused("damaged", "", identity.restore, tmp_path / "file", tmp_path / "back", "open sesame")
    assert not (tmp_path / "back" / "identity.json").exists()


def test_rotation(locked, tmp_path):
    made = identity.rotate(locked.folder, "open sesame", now=1000, work_factor=QUICK)
    (said,) = made.rotations
    assert (said.old, said.new, said.peer, said.at) == (locked.address, made.address, locked.peer, 1000)
    assert said.valid and not replace(said, at=1001).valid
    assert not replace(said, by_old=said.by_new).valid and not replace(said, by_new=said.by_old).valid
    again = identity.rotate(locked.folder, "open sesame", work_factor=QUICK)
    assert Identity.open(locked.folder, "open sesame") == again and len(again.rotations) == 2
    kept = json.loads((locked.folder / "identity.json").read_text())["retired"]
    assert keystore.unlock(kept[0]["operator"], "open sesame", "here") == locked.secret
    identity.backup(locked.folder, tmp_path / "file", "open sesame")
    assert identity.restore(tmp_path / "file", tmp_path / "back", "open sesame").rotations == again.rotations


def test_rotation_with_a_passphrase_locks_an_open_identity(local):
    assert identity.rotate(local.folder, "pw", work_factor=QUICK).encrypted
    assert local.secret.hex() not in (local.folder / "identity.json").read_text()
    assert Identity.open(local.folder, "pw").encrypted


def test_rotation_needs_the_passphrase_and_an_unbroken_chain(locked):
    refused("locked", "", identity.rotate, locked.folder, None)
    identity.rotate(locked.folder, "open sesame", work_factor=QUICK)
    path = locked.folder / "identity.json"
    retired = json.loads(path.read_text())["retired"]
    retired[0]["rotation"][3] += 1
    edit(path, retired=retired)
    refused("rotations", "", Identity.open, locked.folder, "open sesame")


def test_rotations_are_bounded(local, monkeypatch):
    monkeypatch.setattr(identity, "MAX_ROTATIONS", 1)
    identity.rotate(local.folder, None)
    refused("rotated 1 times", "new one", identity.rotate, local.folder, None)


def test_passphrase_sources(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("from file\n")
    environ = {"SWARM_PASSPHRASE": "from environment"}
    assert keystore.passphrase(tmp_path / "file", environ=environ) == "from file"
    assert keystore.passphrase(environ=environ) == "from environment"
    assert keystore.passphrase(environ={}) is None
    monkeypatch.setattr(sys, "stdin", open("/dev/null"))  # noqa: SIM115 (closed with the test process)
    refused("no terminal", "--passphrase-file", keystore.passphrase, ask=True, environ={})
    refused("no passphrase in", "UTF-8", keystore.passphrase, tmp_path / "none", environ={})
    (tmp_path / "long").write_text("x" * 5000)
    refused("longer", "right file", keystore.passphrase, tmp_path / "long", environ={})


def test_passphrase_prompt_only_when_asked(monkeypatch):
    answers = iter(["one", "two", "same", "same"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    assert keystore.passphrase(environ={}) is None
    refused("differ", "again", keystore.passphrase, ask=True, confirm=True, environ={})
    assert keystore.passphrase(ask=True, confirm=True, environ={}) == "same"


def test_session_file(locked, tmp_path):
    session = locked.session(SWARM, 60, specialty=2, now=1000)
    path = tmp_path / "run" / "session.bin"
    session.save(path)
    assert Session.load(path, now=1000) == session
    assert path.stat().st_mode & 0o077 == 0
    assert locked.secret.hex() not in path.read_text() and session.secret.hex() not in repr(session)
    assert (session.operator, session.peer, session.name) == (locked.address, locked.peer, locked.name)


def test_session_lost_expired_or_damaged(local, tmp_path):
    path, hint = tmp_path / "session.bin", "mint"
    refused("there is no", hint, Session.load, path)
    session = local.session(SWARM, 60, now=1000)
    session.save(path)
    refused("expired", hint, Session.load, path, now=100_000)
    for fields in ({"secret": "11" * 32}, {"card": "00"}, {"swarm": "00" * 32}, {"secret": "00" * 32}, {"card": None}, {"peer_key": 1}):
        session.save(path)
        edit(path, **fields)
        refused("damaged", hint, Session.load, path, now=1000)


def test_sessions_of_one_identity_differ(local):
    assert local.session(SWARM, 60).address != local.session(SWARM, 60).address


def test_import_is_light():
    """The command line imports these before --help."""
    code = "import sys, swarm.identity; print([m for m in ('torch', 'hivemind', 'eth_account') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
