"""The child process in which code of others draws questions and grades answers: `python -m swarm.tasks.cell`.

Started by `sandbox.Child`, never by hand. It speaks JSON lines over the pipes it inherits as stdin and stdout: requests to lock
itself in, to open a task, to draw, to grade. A question is named by its seed alone and drawn again when it is
graded, so whatever the code keeps about a question never has to travel.
What the code prints goes nowhere; a request that takes too long ends the process.
"""

from __future__ import annotations

import functools
import json
import math
import os
import signal
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any, NamedTuple

GRACE = 5  # seconds beyond a request's limit after which an orphan ends itself (its owner kills it earlier)
REMEMBERED = 4096  # questions kept, so that grading a group draws its question once
SPAN = 2**31  # different questions asked of a data set that makes them by index
BOUNDED = 10_000  # size asked of a data set that plans all its questions beforehand
EXAMPLES = ("example_correct_answer", "example_answer", "possible_answer")  # where reasoning-gym keeps a solution that is not *the* answer


class Asked(NamedTuple):
    """A question as a user's `score` and `gold` get it."""

    prompt: str
    reference: str


class File:
    """A user's Python file: `draw(seed: bytes) -> (prompt, reference)`, `score(question, answer) -> float`, maybe `gold(question) -> str`.

    A `judged` one may leave `score` out.
    """

    def __init__(self, source: str, filename: str, locked: bool, judged: bool = False):
        module = types.ModuleType("task")
        sys.modules["task"] = module
        exec(compile(source, filename, "exec"), module.__dict__)
        for name in ("draw",) if judged else ("draw", "score"):
            if not callable(getattr(module, name, None)):
                raise TypeError(f"{filename} has no function `{name}`")
        self._module = module

    @property
    def scored(self) -> bool:
        return callable(getattr(self._module, "score", None))

    def draw(self, seed: bytes) -> tuple[str, str, Asked]:
        question = Asked(*self._module.draw(seed))
        return question.prompt, question.reference, question

    def score(self, question: Asked, answer: str) -> Any:
        return self._module.score(question, answer)

    def gold(self, question: Asked) -> str | None:
        make = getattr(self._module, "gold", None)
        return make(question) if make else question.reference


class Gym:
    """A data set of reasoning-gym. An answer is what stands in the last `<answer>` tag, or else the whole text.

    `compares` says that its scorer is known to do no more than compare; without a lock that, or the library's default, is a must.
    """

    def __init__(self, source: str, config: dict[str, Any], compares: bool, locked: bool):
        import reasoning_gym

        config = {"seed": 0, **config}
        self._data = reasoning_gym.create_dataset(source, **config)
        default = type(self._data).score_answer is reasoning_gym.dataset.ProceduralDataset.score_answer
        if not (locked or compares or default):
            raise PermissionError(f"the scorer of {source} may run an answer as code, and this machine has no sandbox for it")
        self._span = SPAN
        try:
            self._data[SPAN - 1]
        except (IndexError, ValueError):  # this one plans its questions, or cannot count that far
            self._data = reasoning_gym.create_dataset(source, **{"size": BOUNDED, **config})
            self._span = self._data.size

    def draw(self, seed: bytes) -> tuple[str, str, dict[str, Any]]:
        entry = self._data[int.from_bytes(seed[:8], "little") % self._span]
        answer = entry["answer"]
        return entry["question"], "" if answer is None else str(answer), entry

    def score(self, entry: dict[str, Any], answer: str) -> Any:
        start = answer.rfind("<answer>")
        if start >= 0:
            answer = answer[start + len("<answer>") :].partition("</answer>")[0]
        return self._data.score_answer(answer.strip(), entry)

    def gold(self, entry: dict[str, Any]) -> str | None:
        known = [entry["answer"], *(entry["metadata"].get(key) for key in EXAMPLES)]
        answer = next((answer for answer in known if answer is not None), None)
        return json.dumps(answer) if isinstance(answer, dict | list) else None if answer is None else str(answer)


def _environment(source: str, config: dict[str, Any], path: list[str], locked: bool) -> Any:
    from swarm.tasks.verifiers import Environment

    return Environment(source, config, path)


KINDS = {"file": File, "gym": Gym, "verifiers": _environment}


class Cell:
    """The tasks of this process, by name, and whether it is locked in."""

    def __init__(self):
        self._tasks: dict[str, Any] = {}
        self._draws: dict[str, Callable[[bytes], tuple[str, str, Any]]] = {}
        self._locked = False

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to one request. Raises whatever the code of others raises."""
        match request["do"]:
            case "lock":
                return self._lock(request)
            case "open":
                return self._open(request["task"], request["kind"], request["subject"])
        task = self._tasks[request["task"]]
        if request["do"] == "scored":
            return {"scored": task.scored}
        prompt, reference, entry = self._draws[request["task"]](bytes.fromhex(request["seed"]))
        match request["do"]:
            case "draw":
                return {"prompt": prompt, "reference": reference}
            case "gold":
                return {"gold": task.gold(entry)}
        value = float(task.score(entry, request["answer"]))
        return {"score": value if math.isfinite(value) else str(value)}

    def _lock(self, request: dict[str, Any]) -> dict[str, Any]:
        """Lock in and try to get out; what came of it."""
        from swarm.tasks import lock

        try:
            lock.lock()
        except OSError as error:
            return {"unlocked": str(error.strerror)}
        leaks = lock.leaks(request["canary"], request["parent"])
        self._locked = not leaks
        return {"unlocked": f"still possible: {', '.join(leaks)}"} if leaks else {"locked": True}

    def _open(self, name: str, kind: str, subject: dict[str, Any]) -> dict[str, Any]:
        task = KINDS[kind](**subject, locked=self._locked)
        self._tasks[name], self._draws[name] = task, functools.lru_cache(REMEMBERED)(task.draw)
        return {"open": name}


def main() -> None:
    """Answer requests until stdin ends."""
    requests, replies = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)
    cell = Cell()
    for line in requests:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, request["limit"] + GRACE)
        reply = _try(functools.partial(cell.answer, request))
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(reply), file=replies, flush=True)


def _try(action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The action's reply, or the failure as one: anything may go wrong in code of others, and all of it is reported."""
    try:
        return action()
    except Exception as error:  # told to the owner, who raises TaskError
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        place = f"{os.path.basename(frames[-1].filename)} line {frames[-1].lineno}: " if frames else ""
        return {"error": f"{place}{type(error).__name__}: {error}"[:400]}


if __name__ == "__main__":
    main()
