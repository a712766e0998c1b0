"""Single-turn environments of the `verifiers` package (0.4: tasksets of `verifiers.v1`), by name, where it is installed.

A taskset is used when it asks one question and grades the reply by itself: no tools, no container, no user to talk
with, no judge model. It is somebody's installed package, so only a recipe of this machine's own user may name one.
`Environment` runs in the child process of `sandbox.Sandbox`; it loads its rows first (that may need the
network), then the child locks itself in, and grading happens without network.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
from typing import Any

from swarm.errors import Refused, TaskError
from swarm.sections import VerifiersTask
from swarm.tasks.sandbox import Child, Sandbox

ROWS = 100_000  # tasks taken from a taskset, which may be endless


def open_verifiers(spec: VerifiersTask, trusted: bool, notes: list[str]) -> Sandbox:
    """The task of a recipe's `kind = "verifiers"`. Raises Refused("code") for a foreign recipe, TaskError for all else."""
    if not trusted:
        what = f"task {spec.name}: the recipe wants to run the installed package {spec.source!r}"
        raise Refused("code", what, "packages run only for recipes of your own: save the recipe to a file, read it, and use that")
    if importlib.util.find_spec("verifiers") is None:
        raise TaskError(f"task {spec.name}: the package verifiers is not installed", "pip install verifiers, and the environment's own package")
    subject = {"source": spec.source, "config": spec.config, "path": sys.path}
    task = Sandbox(spec.name, "verifiers", subject, Child(must=False, late=True))
    if task.child.unlocked:
        notes.append(f"task {spec.name}: no sandbox here ({task.child.unlocked}); it grades with network and files within reach")
    return task


class Environment:
    """The child's side: one taskset, its rows drawn by seed, its rewards summed with their weights."""

    def __init__(self, source: str, config: dict[str, Any], path: list[str]):
        import asyncio

        sys.path.extend(entry for entry in path if entry not in sys.path)
        from verifiers.v1.utils import loaders

        self._loop = asyncio.new_event_loop()  # before the lock: it makes a pair of sockets
        kind = loaders.taskset_class(source)
        settings = loaders.taskset_config_type(source).model_validate({**config, "id": source})
        environment = loaders.environment_class(source)
        if environment is not loaders.SingleAgentEnv or kind.toolsets(settings) or kind.task_type().NEEDS_CONTAINER:
            raise ValueError(f"{source} is no single-turn environment: it wants tools, a container or several agents")
        self._tasks = list(itertools.islice(kind(settings), ROWS))
        if not self._tasks:
            raise ValueError(f"{source} has no tasks")

    def draw(self, seed: bytes) -> tuple[str, str, Any]:
        task = self._tasks[int.from_bytes(seed[:8], "little") % len(self._tasks)]
        if not task.data.prompt_text.strip() or task.toolsets(task.config) or task.config.judges:
            raise ValueError(f"task {task.data.idx} is no single question that grades itself")
        texts = [text for text in (task.data.system_prompt, task.data.prompt_text) if text]
        reference = getattr(task.data, "answer", None)
        return "\n\n".join(texts), "" if reference is None else str(reference), task

    def score(self, task: Any, answer: str) -> float:
        """Sum of the rewards with their weights. Raises where one was skipped, for want of a container or a judge."""
        trace = self._trace(task, answer)
        self._loop.run_until_complete(task.score(trace))
        missing = [name for name, reward in trace.rewards.items() if reward is None]
        if missing or not trace.rewards:
            raise ValueError(f"no value for the rewards {missing}: they need a container, or there are none")
        return trace.reward

    def gold(self, task: Any) -> str | None:
        reference = getattr(task.data, "answer", None)
        return str(reference) if reference is not None and self.score(task, str(reference)) >= 1 else None

    def _trace(self, task: Any, answer: str) -> Any:
        """The conversation of two messages that the rewards are given."""
        from verifiers.v1.configs.agent import AgentConfig
        from verifiers.v1.graph import MessageNode
        from verifiers.v1.trace import AgentInfo, Trace, TraceTask
        from verifiers.v1.types import AssistantMessage, UserMessage

        asked = MessageNode(message=UserMessage(content=task.data.prompt_text))
        replied = MessageNode(message=AssistantMessage(content=answer), parent=0, sampled=True)
        described = TraceTask(type=type(task).__name__, data=task.data, key=task.key, hash=task.hash)
        return Trace(task=described, agent=AgentInfo(config=AgentConfig()), nodes=[asked, replied], root_reply=answer)
