"""The child process in which code of others draws questions and grades answers: `python -m swarm.tasks.cell`.

Started by `sandbox.Sandbox`, never by hand. It speaks JSON lines over the pipes it inherits as stdin and stdout: first the
order (what to open, and whether to lock itself in), then requests. A question is named by its seed alone and drawn
again when it is graded, so whatever the code keeps about a question never has to travel.
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
    """A user's Python file: `draw(seed: bytes) -> (prompt, reference)`, `score(question, answer) -> float`, maybe `gold(question) -> str`."""

    def __init__(self, source: str, filename: str, locked: bool):
        module = types.ModuleType("task")
        sys.modules["task"] = module
        exec(compile(source, filename, "exec"), module.__dict__)
        for name in ("draw", "score"):
            if not callable(getattr(module, name, None)):
                raise TypeError(f"{filename} has no function `{name}`")
        self._module = module

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


def main() -> None:
    """Read the order, lock in, open the task, answer requests until stdin ends."""
    requests, replies = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)
    order = json.loads(requests.readline())
    task = _open(order, replies)
    if task is None:
        return
    draw = functools.lru_cache(REMEMBERED)(task.draw)
    _say(replies, {"open": True})
    for line in requests:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, request["limit"] + GRACE)
        reply = _try(replies, functools.partial(_answer, task, draw, request))
        signal.setitimer(signal.ITIMER_REAL, 0)
        if reply is not None:
            _say(replies, reply)


def _open(order: dict[str, Any], replies: Any) -> Any:
    """The task, in a locked process; None where it may not be opened or does not open (the owner was told)."""
    if order["kind"] == "verifiers":  # it fetches its rows before the door is shut
        from swarm.tasks.verifiers import Environment

        task = _try(replies, lambda: Environment(**order["subject"]))
        if task is not None:
            _say(replies, _lock(order))
        return task
    state = _lock(order)
    _say(replies, state)
    if "unlocked" in state and order["must"]:
        return None
    return _try(replies, lambda: {"file": File, "gym": Gym}[order["kind"]](**order["subject"], locked="locked" in state))


def _lock(order: dict[str, Any]) -> dict[str, Any]:
    """Lock in and try to get out; what came of it."""
    if not order["lock"]:
        return {"unlocked": "not asked for"}
    from swarm.tasks import lock

    try:
        lock.lock()
    except OSError as error:
        return {"unlocked": f"{error.strerror}"}
    leaks = lock.leaks(order["canary"], order["parent"])
    return {"unlocked": f"still possible: {', '.join(leaks)}"} if leaks else {"locked": True}


def _answer(task: Any, draw: Any, request: dict[str, Any]) -> dict[str, Any]:
    prompt, reference, entry = draw(bytes.fromhex(request["seed"]))
    match request["do"]:
        case "draw":
            return {"prompt": prompt, "reference": reference}
        case "gold":
            return {"gold": task.gold(entry)}
        case _:
            value = float(task.score(entry, request["answer"]))
            return {"score": value if math.isfinite(value) else str(value)}


def _try(replies: Any, action: Any) -> Any:
    """The action's result, or None after the failure was told: anything may go wrong in code of others, and all of it is reported."""
    try:
        return action()
    except Exception as error:  # told to the owner, who raises TaskError
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        place = f"{os.path.basename(frames[-1].filename)} line {frames[-1].lineno}: " if frames else ""
        _say(replies, {"error": f"{place}{type(error).__name__}: {error}"[:400]})
        return None


def _say(replies: Any, message: dict[str, Any]) -> None:
    print(json.dumps(message), file=replies, flush=True)


if __name__ == "__main__":
    main()
