"""The rows of a recipe with `learn.method = "sft"`: read from a JSONL file, split, drawn, and asked as a task of their own.

A row is an object `{"prompt": TEXT, "completion": TEXT}` or `{"messages": [user turn, assistant turn]}`, one a line, in UTF-8. The file
may come from a stranger: its size is looked at before it is read, its digest before it is parsed, and every row is bounded and typed. Which
rows are held out follows from their prompts (`tasks.task.held_out`), which of the others a step learns from follows from a seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from swarm import seeds
from swarm.bounds import json_of
from swarm.errors import TaskError
from swarm.recipe import DATA, ROWS, Recipe
from swarm.tasks import scorers
from swarm.tasks.task import MAX_PROMPT, Question, held_out

FILE = "rows.jsonl"  # of a run, beside its recipe
MOST = 200_000  # rows
LINE = 2**19  # bytes of a row
FORMS = "a row has `prompt` and `completion`, or `messages` with one turn of the user and one of the assistant"


@dataclass(frozen=True)
class Row:
    """One row. `line` is its line in the file, from 1: what the records of steps name."""

    line: int
    prompt: str
    completion: str

    @property
    def digest(self) -> bytes:
        """32 bytes that change with its line and its texts."""
        return seeds.derive("row of a file", self.line, self.prompt, self.completion)

    @property
    def question(self) -> Question:
        return Question.of(ROWS, self.prompt, self.completion)


class Rows:
    """The rows of one file; also the task (`tasks.task.Task`) that asks their prompts and wants their completions.

    `digest` is the file's, 32 bytes; `train` are the rows that are not held out, in the file's order.
    """

    name = ROWS

    def __init__(self, rows: list[Row], digest: bytes):
        self.digest, self._all = digest, rows
        self.train = [row for row in rows if not held_out(row.question)]
        self.heldout = [row for row in rows if held_out(row.question)]

    def drawn(self, seed: bytes, count: int) -> list[Row]:
        """`count` different rows of `train` in the order that a 32-byte seed gives; all of them where there are no more."""
        places: dict[int, None] = {}
        number = 0
        while len(places) < min(count, len(self.train)):
            places.setdefault(int.from_bytes(seeds.derive("row", seed, number)[:8], "little") % len(self.train))
            number += 1
        return [self.train[place] for place in places]

    def draw(self, seed: bytes) -> Question:
        return self._all[int.from_bytes(seed[:8], "little") % len(self._all)].question

    def score(self, question: Question, answer: str) -> float:
        return scorers.exact(answer, question.reference)

    def gold(self, question: Question) -> str:
        return question.reference

    def close(self) -> None:
        """Nothing to end."""


def beside(recipe_file: Path) -> Path:
    """Where the rows lie that belong to a run's recipe file."""
    return recipe_file.with_name(FILE)


def open_rows(path: Path, recipe: Recipe) -> Rows:
    """The rows that `recipe` names by digest, from a file of this machine. Raises TaskError naming the first wrong line."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        what = f"the rows of this recipe ({recipe.learn.data}) are not at {path}"
        raise TaskError(what, "start it anew where the file lies beside the recipe") from None
    if size > DATA:
        raise TaskError(f"{path} has {size} bytes; at most {DATA} are read", "use a part of it")
    return parse(path.read_bytes(), recipe)


def parse(data: bytes, recipe: Recipe) -> Rows:
    """The rows of a file's content. Raises TaskError."""
    digest = blake3(data)
    if digest.hexdigest() != recipe.learn.data_digest:
        what = f"{recipe.learn.data} has digest {digest.hexdigest()}, the recipe says {recipe.learn.data_digest}"
        raise TaskError(what, "get the file that the recipe was made with")
    rows = Rows(list(_rows(data, recipe.learn.data)), digest.digest())
    if recipe.learn.batch > len(rows.train):
        what = f"{recipe.learn.data} has {len(rows.train)} rows to learn from and {len(rows.heldout)} held out; learn.batch is {recipe.learn.batch}"
        raise TaskError(what, "give more rows, or a smaller learn.batch")
    if not rows.heldout:
        raise TaskError(f"none of the {len(rows.train)} rows of {recipe.learn.data} is held out (about a tenth is, by its prompt)", "give more rows")
    return rows


def _rows(data: bytes, name: str) -> Iterator[Row]:
    for number, line in enumerate(data.split(b"\n"), start=1):  # not splitlines: JSON strings may hold U+2028
        if not line.strip():
            continue
        if number > MOST or len(line) > LINE:
            most = f"at most {MOST} lines are read" if number > MOST else f"it has {len(line)} bytes, at most {LINE} are read"
            raise TaskError(f"{name}, line {number}: {most}", "use a part of it")
        try:
            row = json_of(line)
        except ValueError as error:
            raise TaskError(f"{name}, line {number} is not JSON in UTF-8: {str(error)[:100]}", FORMS) from None
        yield _row(row, f"{name}, line {number}", number)


def _row(row: Any, where: str, number: int) -> Row:
    if not isinstance(row, dict) or row.keys() not in ({"prompt", "completion"}, {"messages"}):
        has = ", ".join(sorted(row))[:100] if isinstance(row, dict) else type(row).__name__
        raise TaskError(f"{where} has other keys: {has or 'none'}", FORMS)
    prompt, completion = _turns(row["messages"], where) if "messages" in row else (row["prompt"], row["completion"])
    return Row(number, _text(prompt, f"{where}: the prompt"), _text(completion, f"{where}: the completion"))


def _turns(messages: Any, where: str) -> tuple[Any, Any]:
    turns = messages if isinstance(messages, list) else []
    roles = [turn.get("role") for turn in turns if isinstance(turn, dict) and turn.keys() == {"role", "content"}]
    if len(turns) != 2 or roles != ["user", "assistant"]:
        raise TaskError(f"{where}: the messages are not one turn of the user and then one of the assistant", FORMS)
    return turns[0]["content"], turns[1]["content"]


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TaskError(f"{what} is {'empty' if isinstance(value, str) else type(value).__name__}; it must be text", FORMS)
    if len(value) > MAX_PROMPT:
        raise TaskError(f"{what} has {len(value)} characters; at most {MAX_PROMPT} are read", "leave the row out")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise TaskError(f"{what} has half a surrogate pair, which is no text", "leave the row out")
    return value
