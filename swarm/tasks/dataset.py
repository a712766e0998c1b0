"""Questions from a table: a Hugging Face data set by its hub name, or a local jsonl, csv or parquet file.

Only columns of text or numbers are read, never code. Sizes are bounded before anything is read or downloaded.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blake3 import blake3

from swarm.bounds import json_of
from swarm.errors import Refused, TaskError
from swarm.sections import DatasetTask
from swarm.tasks import scorers
from swarm.tasks.task import MAX_PROMPT, Question

FILE = 256 * 2**20  # bytes of a local file
DOWNLOAD = 2 * 2**30  # bytes of a hub data set, compressed
ROWS = 2_000_000


class Dataset:
    """Rows `(question, answer)` with a scorer: `exact`, `numeric` or `regex`."""

    def __init__(self, spec: DatasetTask, rows: list[tuple[str, str]]):
        self.name = spec.name
        self._rows = rows
        self._pattern = None
        if spec.scorer == "regex":
            if spec.pattern is None:
                raise TaskError(f"task {spec.name}: scorer = 'regex' needs a pattern", r"for example pattern = '>\s*(.+)'")
            self._pattern = scorers.Pattern(spec.name, "pattern", spec.pattern)
            self._source = spec.pattern
        self._score: scorers.Scorer = self._pattern.score if self._pattern else {"exact": scorers.exact, "numeric": scorers.numeric}[spec.scorer]
        wanted = spec.reference_pattern
        self._reference = scorers.Pattern(spec.name, "reference_pattern", wanted) if wanted else None

    def draw(self, seed: bytes) -> Question:
        prompt, answer = self._rows[int.from_bytes(seed[:8], "little") % len(self._rows)]
        reference = self._reference.last(answer) if self._reference else answer
        if reference is None:
            raise TaskError(f"task {self.name}: reference_pattern matches nothing in {answer!r:.120}", "mend the pattern, or leave the row out")
        return Question.of(self.name, prompt, reference.strip(), answer)

    def score(self, question: Question, answer: str) -> float:
        return self._score(answer, question.reference)

    def gold(self, question: Question) -> str:
        """The reference, the whole answer column, or the pattern's text around the reference: the first that scores 1."""
        candidates = [question.reference, question.entry]
        if self._pattern:
            candidates.append(_around(self._source, question.reference))
        return next((text for text in candidates if self.score(question, text) == 1), question.reference)

    def close(self) -> None:
        """Nothing to end."""


def open_dataset(spec: DatasetTask, folder: Path, trusted: bool) -> Dataset:
    """The task of a recipe's `kind = "dataset"`. Raises TaskError, and Refused("path") for a foreign recipe's file outside `folder`."""
    table = _local(spec, _inside(spec, folder, trusted)) if spec.source.startswith("path:") else _hub(spec)
    rows = []
    for number, row in enumerate(table):
        if number >= ROWS:
            raise TaskError(f"task {spec.name}: more than {ROWS} rows", "use a smaller split")
        rows.append((_cell(spec, row, spec.question, number), _cell(spec, row, spec.answer, number)))
    if not rows:
        raise TaskError(f"task {spec.name}: {spec.source} has no rows in split {spec.split}", "choose another split or file")
    return Dataset(spec, rows)


def _inside(spec: DatasetTask, folder: Path, trusted: bool) -> Path:
    path = folder / spec.source.removeprefix("path:")
    if not trusted and not path.resolve().is_relative_to(folder.resolve()):
        raise Refused("path", f"task {spec.name}: {path} lies outside the recipe's folder", "ask for a recipe whose files lie beside it")
    if not path.is_file():
        raise TaskError(f"task {spec.name}: no file {path}", "get it from whoever made the recipe, and put it there")
    if path.stat().st_size > FILE:
        raise TaskError(f"task {spec.name}: {path} has {path.stat().st_size} bytes; at most {FILE} are read", "use a part of it")
    return path


def _local(spec: DatasetTask, path: Path) -> Iterator[dict[str, Any]]:
    data = path.read_bytes()
    if spec.digest is not None and blake3(data).hexdigest() != spec.digest:
        raise TaskError(f"task {spec.name}: {path} is not the file the recipe was made with", f"get the one with BLAKE3 {spec.digest}")
    try:
        if path.suffix == ".parquet":
            yield from _parquet(spec, path)
        elif path.suffix == ".csv":
            yield from csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        else:
            for line in data.decode("utf-8-sig").split("\n"):  # not splitlines: JSON strings may hold U+2028
                if line.strip():
                    yield json_of(line.encode())
    except (ValueError, csv.Error) as error:
        raise TaskError(f"task {spec.name}: {path} cannot be read: {str(error)[:200]}", f"it should be a {path.suffix[1:]} file in UTF-8") from None


def _parquet(spec: DatasetTask, path: Path) -> Iterator[dict[str, Any]]:
    """Rows of the two columns. A parquet file can unpack to far more than its size, so its own figures are checked first."""
    import pyarrow.parquet as parquet

    file = parquet.ParquetFile(path)
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    if file.metadata.num_rows > ROWS or sum(group.total_byte_size for group in groups) > 4 * FILE:
        raise TaskError(f"task {spec.name}: {path} unpacks to more than {4 * FILE} bytes or {ROWS} rows", "use a part of it")
    columns = [name for name in (spec.question, spec.answer) if name in file.schema_arrow.names]
    for batch in file.iter_batches(batch_size=4096, columns=columns):
        yield from batch.to_pylist()


def _hub(spec: DatasetTask) -> Iterator[dict[str, Any]]:
    """Rows of a hub data set (cached by `datasets`), streamed where the hub does not say how large it is."""
    import datasets

    if Path(spec.source).exists():
        raise TaskError(f"task {spec.name}: `{spec.source}` is also a local path", "use path:FILE for a local file, or another working folder")
    try:
        info = datasets.load_dataset_builder(spec.source, spec.config, revision=spec.revision).info
        size = info.download_size
        if size is not None and size > DOWNLOAD:
            raise TaskError(f"task {spec.name}: {spec.source} is a download of {size} bytes; at most {DOWNLOAD} are fetched", "use a smaller one")
        table = datasets.load_dataset(spec.source, spec.config, split=spec.split, revision=spec.revision, streaming=size is None)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        what = f"task {spec.name}: {spec.source} cannot be loaded: {type(error).__name__}: {str(error)[:200]}"
        raise TaskError(what, "check name, configuration and split; the hub needs internet (`swarm doctor` shows whether it answers)") from None
    yield from table


def _cell(spec: DatasetTask, row: Any, column: str, number: int) -> str:
    value = row.get(column) if isinstance(row, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        has = ", ".join(map(str, row))[:200] if isinstance(row, dict) else "no columns"
        what = f"task {spec.name}: row {number} has no text in column {column!r} (columns: {has})"
        raise TaskError(what, "set question and answer to column names")
    text = str(value)
    if len(text) > MAX_PROMPT:
        raise TaskError(f"task {spec.name}: row {number}, column {column!r} has {len(text)} characters; at most {MAX_PROMPT}", "leave the row out")
    return text


def _around(pattern: str, reference: str) -> str:
    """A text the pattern may match: its first group replaced by the reference, and simple syntax by what it stands for."""
    start = re.search(r"(?<!\\)\((?!\?)", pattern)
    if not start:
        return reference
    depth, end = 0, start.start()
    for end in range(start.start(), len(pattern)):
        depth += (pattern[end] == "(") - (pattern[end] == ")")
        if depth == 0:
            break
    return _literal(pattern[: start.start()]) + reference + _literal(pattern[end + 1 :])


def _literal(pattern: str) -> str:
    """Text that a part of a pattern stands for: anchors, flags and optional parts dropped, classes by one member, escapes undone."""
    pattern = re.sub(r"\(\?[a-zA-Z]+\)|\(\?:[^()]*\)[?*]\+?", "", pattern)
    return re.sub(r"(\\.|\[[^\]]+\]|\(\?:|.)([?*+]|\{\d*,?\d*\})?[?+]?", _member, pattern)


def _member(piece: re.Match[str]) -> str:
    token, repeat = piece.group(1), piece.group(2) or ""
    if repeat.startswith(("?", "*", "{0", "{,")) or token in ("^", "$", "(", ")", "(?:", r"\b", r"\B", r"\A", r"\Z", r"\z"):
        return ""
    if len(token) == 1:
        return token
    return {r"\s": " ", r"\d": "0", r"\w": "a"}.get(token, token[1])
