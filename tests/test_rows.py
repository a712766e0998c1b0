"""Rows from a file that a stranger may have written: refused with one sentence that names the line, drawn and held out the same by everyone."""

import json
import subprocess
import sys

import pytest
from blake3 import blake3

from swarm import recipe as recipes
from swarm.errors import RecipeError, TaskError
from swarm.jobs import files
from swarm.tasks import rows
from swarm.tasks.mix import Mix

FILE = recipes.FOLDER / "sums.jsonl"


def a_recipe(data: bytes, *settings: str):
    made = recipes.load("sft", list(settings)).model_dump(mode="json")
    made["learn"] |= {"data_digest": blake3(data).hexdigest(), "batch": 2}
    return recipes.parse(made)


GOOD = b"".join(json.dumps({"prompt": f"question {n}", "completion": f"answer {n}"}).encode() + b"\n" for n in range(40))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"{", "is not JSON in UTF-8"),
        (b'{"prompt": "\xff", "completion": "b"}', "is not JSON in UTF-8"),
        (b"[" * 5000 + b"]" * 5000, "nested deeper"),
        (b"[1]", "has other keys: list"),
        (b'{"prompt": "a"}', "has other keys: prompt"),
        (b'{"prompt": "a", "completion": "b", "id": 1}', "has other keys: completion, id, prompt"),
        (b'{"prompt": 3, "completion": "b"}', "the prompt is int"),
        (b'{"prompt": "a", "completion": " "}', "the completion is empty"),
        (b'{"prompt": "a", "completion": "\\ud800"}', "half a surrogate pair"),
        (b'{"prompt": "' + b"a" * 70_000 + b'", "completion": "b"}', "has 70000 characters"),
        (b'{"prompt": "' + b"a" * 2**20 + b'", "completion": "b"}', "at most 524288 are read"),
        (b'{"messages": [{"role": "user", "content": "a"}]}', "not one turn of the user"),
        (b'{"messages": [{"role": "system", "content": "a"}, {"role": "assistant", "content": "b"}]}', "not one turn of the user"),
        (b'{"messages": {"role": "user"}}', "not one turn of the user"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(line, sentence):
    data = GOOD + line + b"\n" + GOOD
    with pytest.raises(TaskError, match=sentence) as refused:
        rows.parse(data, a_recipe(data))
    assert str(refused.value).startswith("sums.jsonl, line 41") and "\n" not in str(refused.value)


def test_the_shipped_rows_are_what_their_script_writes():
    written = subprocess.run([sys.executable, FILE.with_suffix(".py")], capture_output=True, check=True).stdout
    assert written == FILE.read_bytes()


def test_a_job_serves_the_rows_of_its_recipe():
    assert [(file.role, file.path, path) for file, path in files.served(recipes.load("sft"), recipes.FOLDER)] == [("data", "sums.jsonl", FILE)]


def test_messages_are_rows_too():
    turns = [{"role": "user", "content": "what is a?"}, {"role": "assistant", "content": "b"}]
    data = GOOD + json.dumps({"messages": turns}).encode()
    found = rows.parse(data, a_recipe(data))
    assert rows.Row(41, "what is a?", "b") in found.train + found.heldout


def test_a_file_is_bounded_before_it_is_read_and_known_before_it_is_parsed(tmp_path, monkeypatch):
    path, rules = tmp_path / "rows.jsonl", a_recipe(GOOD)
    path.write_bytes(b"{" + GOOD)
    with pytest.raises(TaskError, match="has digest"):  # not: line 1 is not JSON
        rows.open_rows(path, rules)
    monkeypatch.setattr(rows, "DATA", 100)
    monkeypatch.setattr(type(path), "read_bytes", None)
    with pytest.raises(TaskError, match="at most 100 are read"):
        rows.open_rows(path, rules)
    with pytest.raises(TaskError, match="are not at"):
        rows.open_rows(tmp_path / "nothing", rules)


def test_a_file_with_too_many_rows_is_refused(monkeypatch):
    monkeypatch.setattr(rows, "MOST", 39)
    with pytest.raises(TaskError, match="line 40: at most 39 lines are read"):
        rows.parse(GOOD, a_recipe(GOOD))


def test_a_large_file_is_not_even_read_for_its_digest(monkeypatch):
    monkeypatch.setattr(recipes, "DATA", 1000)
    with pytest.raises(RecipeError, match="at most 1000 are read"):
        recipes.load("sft")


def test_too_few_rows_are_refused():
    few = b'{"prompt": "a", "completion": "b"}\n'
    with pytest.raises(TaskError, match="learn.batch is 2"):
        rows.parse(few, a_recipe(few))
    monotonous = b"".join(json.dumps({"prompt": "question 1", "completion": str(n)}).encode() + b"\n" for n in range(9))
    with pytest.raises(TaskError, match="none of the 9 rows"):
        rows.parse(monotonous, a_recipe(monotonous))


def test_draws_are_the_same_for_everyone_and_never_held_out():
    found = rows.parse(GOOD, a_recipe(GOOD))
    assert found.heldout and {row.prompt for row in found.train}.isdisjoint(row.prompt for row in found.heldout)
    drawn = found.drawn(bytes(32), 10)
    assert drawn == rows.parse(GOOD, a_recipe(GOOD)).drawn(bytes(32), 10) and len(set(drawn)) == 10
    assert [row.line for row in drawn][:4] == [15, 3, 8, 35], "other draws than before: steps that were recorded would look forged"
    assert sorted(row.line for row in found.drawn(bytes(32), 1000)) == [row.line for row in found.train]


def test_rows_are_asked_as_a_task_with_a_constant_answer_as_baseline():
    rules = recipes.load("sft")
    with Mix(rules, rows=FILE) as mix:
        mix.check()
        heldout = mix.heldout(200)["rows"]
        assert 90 <= len(heldout) <= 130 and {question.prompt for question in heldout} == {row.prompt for row in mix.rows.heldout}
        assert 0 < mix.constant(heldout) < 0.1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["learn.data=../sums.jsonl"], "should match pattern"),
        (["learn.data=/etc/passwd.jsonl"], "should match pattern"),
        (["learn.data=missing.jsonl"], "no file"),
        (["learn.data_digest=" + "0" * 64], "has digest"),
        (["judge.profile=local"], "could be judged"),
        (["learn.beta=0.1"], "only learn.method = grpo uses it"),
        (["sharing.specialists=true"], "draw from the same rows"),
        (["learn.method=grpo"], "only learn.method = sft uses it"),
    ],
)
def test_a_recipe_with_rows_says_what_does_not_go_with_them(settings, sentence):
    with pytest.raises(RecipeError, match=sentence):
        recipes.load("sft", settings)


def test_a_received_recipe_has_to_name_its_rows_by_digest():
    made = recipes.load("sft").model_dump(mode="json")
    del made["learn"]["data_digest"]
    with pytest.raises(RecipeError, match="learn.data_digest, its BLAKE3"):
        recipes.parse(made)


def test_recipes_without_rows_are_hashed_as_they_were():
    """Their swarms go on: the hash names them."""
    local = recipes.load("local")
    assert not {"method", "data", "data_digest", "batch"} & set(json.loads(local.canonical)["learn"])
    assert recipes.from_bytes(local.canonical) == local
