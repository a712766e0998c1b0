"""What people see: dashboard, plain lines, table, summary.json, curves.png; foreign text stays text."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from swarm import metrics, recipe, result, runs
from swarm.ending import Ending
from swarm.heartbeat import GroupCounts, Heartbeat, Reach, Warned
from swarm.result import Heldout, PeerResult, Summary
from swarm.supervisor import View
from swarm.ui import card, lines, report, toml
from swarm.ui.dashboard import Dashboard, PlainLines

EVIL = "\x1b[2J[red]evil[/red]\u202e\x07"


def beat(**changes) -> Heartbeat:
    return Heartbeat(
        **{
            "pid": 1,
            "name": "amber-otter",
            "state": "running",
            "round": 12,
            "rounds": 40,
            "stage": "answer",
            "stage_done": 0.5,
            "stage_eta_s": 3.2,
            "peers_heard": 2,
            "groups": GroupCounts(own=72, used=24, dropped={"zero advantage": 9, "stale": 1}),
            "tokens_per_s": 2400.0,
            "reward": 0.61,
            "accuracy": {"addition": 0.91, "maximum": 0.93, "letters": 0.8},
            "accuracy_before": {"addition": 0.5, "maximum": 0.9, "letters": 0.8},
            "loss": 0.0004,
            "memory_mb": 412.0,
            "network": Reach(reachable="direct"),
            "updated": 1e12,
        }
        | changes
    )


def view(index: int = 0, heart: Heartbeat | None = None, **changes) -> View:
    given = {"alive": True, "ended": None, "restarts": 0, "wait_s": None, "folder": Path("peer-0")} | changes
    return View(index, heart or beat(), **given)


def drawn(views: list[View], width: int = 80, height: int = 24, notes: tuple[str, ...] = ()) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None, highlight=False)
    board = Dashboard("local  3 peers", console)
    board.show(views)
    for note in notes:
        board.say(note)
    console.print(board.render())
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50), (40, 12)])
@pytest.mark.parametrize("peers", [1, 3, 40])
def test_the_dashboard_fits_every_terminal(width, height, peers):
    warned = beat(warnings=[Warned(text="the disk is nearly full", consequence="old blobs go first", at=1.0)])
    shown = drawn([view(index, warned) for index in range(peers)], width, height, notes=("one", "two", "three", "four"))
    assert len(shown) <= height and max(map(len, shown)) <= width


def test_the_dashboard_says_what_matters():
    text = "\n".join(drawn([view(0), view(1, beat(name="calm-fox", peers_heard=0))], 120))
    for words in ("amber-otter", "round 12/40", "answer, 3 s to go", "reward 0.61", "0.50→0.91", "2,400 tok/s", "412 MB"):
        assert words in text
    assert "heard 2 peers, used 24 groups, dropped 10 (zero advantage 9; stale 1)" in text and "heard nobody: training alone" in text
    assert "loss is near 0 by construction" in text


def test_loss_is_explained_only_where_it_is_near_zero():
    assert "by construction" not in "\n".join(drawn([view(0, beat(loss=0.3))], 120))


def test_a_killed_peer_is_shown_with_its_cause():
    waiting = view(0, beat(state="starting"), alive=False, ended=Ending("killed (SIGKILL) by someone", restart=True), wait_s=3.0, restarts=1)
    assert "starts again in 3 s: killed (SIGKILL)" in "\n".join(drawn([waiting], 120))
    down = view(0, beat(state="failed"), alive=False, ended=Ending("ended with code 5: no memory"))
    assert "down: ended with code 5" in "\n".join(drawn([down], 120))


def test_a_silent_peer_is_called_silent():
    assert "silent for" in lines.one_line(view(0, beat(updated=1.0)))


def test_foreign_text_is_shown_as_plain_text(capsys):
    hostile = beat(name=EVIL, stage=EVIL, waits_for=EVIL, accuracy={EVIL: 0.5}, warnings=[Warned(text=EVIL, consequence=EVIL, at=1.0)])
    shown = "\n".join(drawn([view(0, hostile)], 120, notes=(EVIL,)))
    with PlainLines("t") as plain:
        plain.show([view(0, hostile)])
        plain.say(EVIL)
    for text in (shown, capsys.readouterr().out, lines.one_line(view(0, hostile))):
        assert "[red]evil[/red]" in text, "markup is shown, not obeyed"
        assert not any(c in text for c in ("\x1b", "\x07", "\u202e"))


def test_plain_lines_do_not_repeat_themselves(capsys):
    with PlainLines("the title") as plain:
        for stage in ("answer", "critique", "resolve"):
            plain.show([view(0, beat(stage=stage))])
        plain.show([view(0, beat(round=13))])
        plain.show([view(0, beat(round=13, warnings=[Warned(text="late", consequence="skipped", at=2.0)]))])
        plain.show([view(0, beat(round=13, warnings=[Warned(text="late", consequence="skipped", at=2.0)]))])
    out = capsys.readouterr().out.splitlines()
    assert len([line for line in out if "amber-otter" in line]) == 2
    assert len([line for line in out if "warning: late → skipped" in line]) == 1


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A run of two peers, the second of which failed."""
    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    rules = recipe.parse({"name": "small", "tasks": [{"name": "addition", "kind": "builtin", "source": "addition"}]})
    run, _ = runs.for_recipe(rules, None, False)
    heldout = Heldout(before={"addition": 0.5}, after={"addition": 0.95}, constant={"addition": 0.02})
    told = PeerResult(name="amber-otter", steps=40, rounds=40, heldout=heldout, groups=GroupCounts(own=9, used=3, dropped={"stale": 2}))
    told.critique_accuracy, told.critique_constant, told.resolve_gain = 0.8, 0.6, 0.05
    told.write(run.peer(0) / result.FILE)
    rows = [{"round": n, "reward": n / 40} | ({"accuracy": {"addition": 0.7}} if n == 20 else {}) for n in range(1, 41)]
    (run.peer(0) / metrics.FILE).write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"round": 41, "rew')
    failed = view(1, beat(name="calm-fox", state="failed"), alive=False, ended=Ending("killed by the kernel"), folder=run.peer(1))
    yield run, [view(0, folder=run.peer(0), ended=Ending("finished", done=True)), failed]
    run.unlock()


def test_summary_json_has_the_documented_keys(finished):
    run, views = finished
    alone = PeerResult(name="amber-otter", heldout=Heldout(after={"addition": 0.6}))
    report.summarise(run, views, alone)
    kept = json.loads((run.folder / "summary.json").read_text())
    assert kept["recipe_hash"] == run.info.recipe_hash and kept["seed"] == 0 and kept["alone"]["heldout"]["after"] == {"addition": 0.6}
    first, second = kept["peers"]
    assert first["name"] == "amber-otter" and first["steps"] == 40
    assert first["heldout"] == {"before": {"addition": 0.5}, "after": {"addition": 0.95}, "constant": {"addition": 0.02}, "loss": {}}
    assert first["groups"] == {"own": 9, "used": 3, "dropped": {"stale": 2}}
    assert (first["resolve_gain"], first["critique_accuracy"], first["critique_constant"]) == (0.05, 0.8, 0.6)
    assert first["alone"] == {"addition": 0.6} and first["failed"] is None
    assert second["failed"] == "killed by the kernel" and second["steps"] == 12
    documented = (Path(__file__).parent.parent / "docs" / "summary.md").read_text()
    for model in (Summary, PeerResult, Heldout, GroupCounts, result.Trained):
        assert not [name for name in model.model_fields if f"`{name}`" not in documented]


def test_the_closing_table_and_the_curves(finished):
    run, views = finished
    summary = report.summarise(run, views, None)
    console = Console(file=io.StringIO(), width=120, color_system=None)
    report.closing(summary, run, console)
    text = console.file.getvalue()
    assert "0.50→0.95" in text and "9/3/2" in text and "best constant" in text and "calm-fox: did not finish: killed by the kernel" in text
    assert "critiques right 0.80 (best constant label 0.60), resolving changed the reward by +0.05" in text
    assert "summary.json" in text and "from_pretrained" in text
    picture = report.curves(run, summary)
    assert picture and picture.read_bytes().startswith(b"\x89PNG")


def test_the_table_fits_80_columns():
    accuracy = {"addition": 0.5, "maximum": 0.9, "letters": 0.8}
    heldout = Heldout(before=accuracy, after=accuracy, constant=accuracy)
    peers = [PeerResult(name="curious-kingfisher", steps=40, heldout=heldout, groups=GroupCounts(own=2160, used=240, dropped={"stale": 999}))] * 3
    summary = Summary(recipe="local", recipe_hash="", swarm="", seed=0, peers=peers, alone=peers[0], started=0, finished=1)
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(report.table(summary))
    rows = [line for line in console.file.getvalue().splitlines() if "kingfisher" in line]
    assert len(rows) == 3 and all(row.count("→") == 4 and "2160/240/999" in row and "…" not in row for row in rows)


def test_a_shown_recipe_is_the_same_recipe_again(tmp_path):
    for path in recipe.shipped():
        known = recipe.load(path)
        (tmp_path / "again.toml").write_text(toml.document(known))
        for file in path.parent.glob("*.py"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
        assert recipe.load(tmp_path / "again.toml").hash == known.hash


def test_odd_characters_survive_the_shown_recipe(tmp_path):
    task = {"name": "a", "kind": "builtin", "source": "addition"}
    odd = recipe.parse({"name": "odd", "about": 'ü "quoted" \\ \x7f \t \U0001f600', "tasks": [task]})
    (tmp_path / "odd.toml").write_text(toml.document(odd))
    assert recipe.load(tmp_path / "odd.toml") == odd


def test_the_card_names_what_was_measured():
    rules = recipe.parse({"name": "small", "tasks": [{"name": "addition", "kind": "builtin", "source": "addition"}]})
    told = PeerResult(name="amber-otter", heldout=Heldout(before={"addition": 0.5}, after={"addition": 0.95}, constant={"addition": 0.02}))
    text = card.text(rules, told)
    assert "| addition | 0.500 | 0.950 | 0.020 |" in text and rules.hash.hex() in text
