"""A task in one Python file of yours: `draw(seed)`, `score(question, answer)` and, if need be, `gold(question)`; a judged one may have no score.

The file runs in a sandbox (`sandbox.py`): it cannot read other files, reach the network or write, and it may use whatever packages
are installed. On join, when the recipe came from somebody else, it runs only if its SHA-256 was named with
`--allow-code` *and* the sandbox works on this machine; your own file runs without one, with a note.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from swarm.errors import Refused, TaskError
from swarm.sections import PythonTask
from swarm.tasks.sandbox import Child, Sandbox

BYTES = 262_144  # largest file


def open_python(spec: PythonTask, folder: Path, allow_code: str | None, trusted: bool, notes: list[str]) -> Sandbox:
    """The task of a recipe's `kind = "python"`. Raises Refused("code" | "path" | "sandbox") and TaskError."""
    digest = spec.digest or ""
    if not trusted and (not digest or (allow_code or "").strip().lower() != digest):
        what = f"task {spec.name}: the recipe wants to run a Python file ({spec.source}, SHA-256 {digest or 'not given'})"
        raise Refused("code", what, f"read the file first; then pass --allow-code {digest}" if digest else "ask for a recipe that names its digest")
    source = _read(spec, folder, trusted)
    subject = {"source": source, "filename": Path(spec.source).name, "judged": spec.judged}
    task = Sandbox(spec.name, "file", subject, Child(must=not trusted))
    if task.child.unlocked:
        notes.append(f"task {spec.name}: no sandbox here ({task.child.unlocked}); your own file runs without, so never `eval` an answer in it")
    return task


def _read(spec: PythonTask, folder: Path, trusted: bool) -> str:
    """The file's text after its digest was checked. A foreign recipe may only name files inside the folder."""
    path = folder / spec.source
    if not trusted and not path.resolve().is_relative_to(folder.resolve()):
        raise Refused("path", f"task {spec.name}: {spec.source} lies outside the recipe's folder", "ask for a recipe whose files lie beside it")
    if not path.is_file():
        raise TaskError(f"task {spec.name}: no file {path}", f"get the file with SHA-256 {spec.digest} from whoever invited you and put it there")
    if path.stat().st_size > BYTES:
        raise TaskError(f"task {spec.name}: {path} has {path.stat().st_size} bytes; at most {BYTES} are read", "is this the right file?")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if spec.digest is not None and found != spec.digest:
        raise TaskError(f"task {spec.name}: {path} has SHA-256 {found}, the recipe says {spec.digest}", "get the right file, or pin the new digest")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise TaskError(f"task {spec.name}: {path} is not UTF-8", "save it as UTF-8") from None
