"""Tables as tasks, and the scorers: exact, numeric, and regular expressions that try to take forever."""

import csv
import json
import time

import pytest

from swarm import recipe as recipes
from swarm.errors import Refused, TaskError
from swarm.sections import DatasetTask
from swarm.tasks import dataset, scorers
from swarm.tasks import task as tasks
from swarm.tasks.dataset import open_dataset
from swarm.tasks.mix import Mix

ROWS = [{"question": f"What is {n} + {n}?", "answer": f"{n} + {n} is easy.\n#### {2 * n:,}"} for n in range(0, 3000, 7)]
SEED = b"s" * 32


@pytest.fixture(params=["jsonl", "csv", "parquet"])
def table(request, tmp_path):
    file = tmp_path / f"rows.{request.param}"
    if request.param == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif request.param == "csv":
        with open(file, "w", newline="") as out:
            writer = csv.DictWriter(out, ["question", "answer"])
            writer.writeheader()
            writer.writerows(ROWS)
    else:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        parquet.write_table(pa.Table.from_pylist(ROWS), file)
    return file


def spec(file, **more):
    return DatasetTask(kind="dataset", name="d", source=f"path:{file.name}", **more)


def jsonl(folder, *rows):
    file = folder / "rows.jsonl"
    file.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return file


def test_local_tables_with_a_numeric_scorer(table):
    task = open_dataset(spec(table, scorer="numeric", reference_pattern=r"#### (.+)"), table.parent, trusted=False)
    tasks.check(task, 20)
    question = task.draw(SEED)
    assert question.prompt.startswith("What is") and question.reference.replace(",", "").isdigit()
    assert task.score(question, f"so it is {question.reference}.") == 1
    assert task.score(question, question.reference + " or 1") == 0


def test_a_recipe_pins_its_table(table):
    (table.parent / "mine.toml").write_text(
        f'name = "mine"\n[[tasks]]\nkind = "dataset"\nname = "d"\nsource = "path:{table.name}"\nscorer = "numeric"\n'
    )
    recipe = recipes.load(table.parent / "mine.toml")
    with Mix(recipe, folder=table.parent) as mix:
        mix.check()
        assert len(mix.heldout(10)["d"]) == 10
    table.write_bytes(table.read_bytes() + b"\n")
    with pytest.raises(TaskError, match="not the file the recipe was made with"):
        Mix(recipe, folder=table.parent)


def test_a_foreign_recipe_reads_no_file_outside_its_folder(tmp_path):
    secret = jsonl(tmp_path, {"question": "q", "answer": "a"})
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link.jsonl").symlink_to(secret)
    for source in (f"path:{secret}", "path:../rows.jsonl", "path:link.jsonl"):
        foreign = DatasetTask(kind="dataset", name="d", source=source)
        with pytest.raises(Refused) as caught:
            open_dataset(foreign, inner, trusted=False)
        assert caught.value.reason == "path"
        open_dataset(foreign, inner, trusted=True)


@pytest.mark.parametrize(
    "rows, message",
    [
        (["{"], "cannot be read"),
        (["[" * 100_000], "cannot be read"),
        ([{"question": "q"}], "no text in column 'answer'"),
        (["[1, 2]\n"], "no text in column 'question'"),
        ([{"question": None, "answer": "a"}], "no text in column 'question'"),
        ([{"question": "q" * 100_000, "answer": "a"}], "100000 characters"),
        ([], "no rows"),
    ],
)
def test_broken_tables_are_named(tmp_path, rows, message):
    with pytest.raises(TaskError, match=message):
        open_dataset(spec(jsonl(tmp_path, *rows)), tmp_path, trusted=True)


def test_garbage_in_any_format_is_one_sentence(tmp_path):
    for suffix in ("jsonl", "csv", "parquet"):
        file = tmp_path / f"rows.{suffix}"
        file.write_bytes(b"PAR1\xff\xfe\x00" + b"\x80" * 100 + b"PAR1")
        with pytest.raises(TaskError):
            open_dataset(spec(file), tmp_path, trusted=True)


def test_sizes_are_checked_before_reading(tmp_path, monkeypatch):
    file = jsonl(tmp_path, *ROWS)
    monkeypatch.setattr(dataset, "FILE", 1000)
    with pytest.raises(TaskError, match="at most 1000"):
        open_dataset(spec(file), tmp_path, trusted=True)


def test_a_parquet_file_that_unpacks_to_much_more_is_refused(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    file = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"question": ["q" * 100_000 + str(n) for n in range(500)], "answer": ["a"] * 500}), file, compression="zstd")
    monkeypatch.setattr(dataset, "FILE", 10 * file.stat().st_size)
    with pytest.raises(TaskError, match="unpacks to more"):
        open_dataset(spec(file), tmp_path, trusted=True)


def test_the_hub_out_of_reach_is_a_sentence(monkeypatch, tmp_path):
    pytest.importorskip("datasets")
    import datasets

    def unreachable(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "load_dataset_builder", unreachable)
    with pytest.raises(TaskError, match="org/data cannot be loaded"):
        open_dataset(DatasetTask(kind="dataset", name="d", source="org/data"), tmp_path, trusted=False)


def test_a_hub_data_set_is_bounded_and_read(monkeypatch, tmp_path):
    """The hub stands in as a local folder, which `datasets` reads the same way."""
    import datasets

    (tmp_path / "hub").mkdir()
    folder = jsonl(tmp_path / "hub", *ROWS).parent
    load = datasets.load_dataset
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    class Builder:
        info = datasets.DatasetInfo(download_size=None)

    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: Builder)
    monkeypatch.setattr(datasets, "load_dataset", lambda _, config, **more: load("json", data_files=str(folder / "rows.jsonl"), **more))
    hub = DatasetTask(kind="dataset", name="d", source="org/data", scorer="numeric", reference_pattern="#### (.+)")
    tasks.check(open_dataset(hub, tmp_path, trusted=False))
    Builder.info = datasets.DatasetInfo(download_size=dataset.DOWNLOAD + 1)
    with pytest.raises(TaskError, match="is a download of"):
        open_dataset(hub, tmp_path, trusted=False)


@pytest.mark.parametrize(
    "answer, reference, score",
    [
        ("The answer is 1,000.0!", "1000", 1),
        ("3 and then 4", "4", 1),
        ("-5", "5", 0),
        ("$12.50", "12.5", 1),
        ("no number", "5", 0),
        ("5", "no number", 0),
        ("9" * 100_000, "5", 0),
        ("1e999999999", "999999999", 1),
        ("٣", "3", 0),
        ("", "0", 0),
    ],
)
def test_numeric(answer, reference, score):
    assert scorers.numeric(answer, reference) == score


def test_exact_ignores_spaces_only():
    assert scorers.exact(" New\n York ", "New York") == 1
    assert scorers.exact("new york", "New York") == 0


@pytest.mark.parametrize(
    "pattern", [r">\s*(.+)", r"(?i)answer is:? (\S+)", r"^ANSWER: (\d+)$", r"\\boxed\{([^}]*)\}", r"#### (.+)", r"(\d+)\s*$", r"x (?:= )?(\d+)\.?"]
)
def test_gold_answers_of_a_pattern(tmp_path, pattern):
    file = jsonl(tmp_path, *({"question": f"q{n}", "answer": str(n)} for n in range(50)))
    tasks.check(open_dataset(spec(file, scorer="regex", pattern=pattern), tmp_path, trusted=True))


@pytest.mark.parametrize(
    "pattern, message",
    [("(", "no regular expression"), ("abc", "no group"), ("[z-a](b)", "no regular"), ("(\0)", "cannot be compiled")],
)
def test_bad_patterns_are_named(pattern, message):
    with pytest.raises(TaskError, match=message):
        scorers.Pattern("t", "pattern", pattern)


def test_a_pattern_is_required(tmp_path):
    with pytest.raises(TaskError, match="needs a pattern"):
        open_dataset(spec(jsonl(tmp_path, {"question": "q", "answer": "a"}), scorer="regex"), tmp_path, trusted=True)


@pytest.mark.parametrize("pattern", [r"(a+)+b", r"(a|aa)+$b", r"((a*)*)*c", r"(.*)*\1x", r"(?:(a?){30}){30}a{900}b"])
def test_a_pattern_built_to_take_forever_is_stopped(pattern):
    start = time.monotonic()
    try:
        scorers.Pattern("t", "pattern", pattern).last("a" * 4000)
    except TaskError as error:
        assert "took longer" in str(error)
    assert time.monotonic() - start < 2 * scorers.SECONDS + 10  # a busy machine is slow to start and end processes


def test_a_classic_one_really_is_stopped_by_the_limit():
    with pytest.raises(TaskError, match="took longer"):
        scorers.Pattern("t", "pattern", r"(a|aa)+$b|(x+x+)+y").last("x" * 5000)


@pytest.mark.parametrize("pattern", ["((((((a{999}){999}){999}){999}){999}){999})", "(" + "(?:" * 40 + "a" + "){9}" * 40 + ")"])
def test_a_pattern_too_large_to_compile_is_stopped(pattern, monkeypatch):
    monkeypatch.setattr(scorers, "COMPILE_SECONDS", 1)
    with pytest.raises(TaskError, match="cannot be compiled"):
        scorers.Pattern("t", "pattern", pattern)
