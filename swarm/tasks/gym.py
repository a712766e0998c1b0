"""Data sets of reasoning-gym (Stojanovski et al. 2025, arXiv 2505.24760), all of them, by name and configuration.

Several of its scorers pass the *answer* to `eval` or to sympy's parser, which evaluates: an answer from a stranger would run as
code. So both drawing and grading happen in a sandbox (`sandbox.py`). Where a machine has none, only data sets remain
whose scorer just compares.
"""

from __future__ import annotations

import importlib.util

from swarm.errors import TaskError
from swarm.sections import GymTask
from swarm.tasks.sandbox import Child, Sandbox

# Scorers that were read and only compare texts or numbers; beside them, those that are the library's default.
COMPARES = {"chain_sum", "decimal_chain_sum", "products", "spell_backward"}


def open_gym(spec: GymTask, child: Child, notes: list[str]) -> Sandbox:
    """The task of a recipe's `kind = "gym"`; all of them share one child, since the library takes seconds and 110 MB to import.

    Raises TaskError: package missing, unknown name, bad configuration, no sandbox."""
    if importlib.util.find_spec("reasoning_gym") is None:
        hint = "pip install reasoning-gym (one of its parts needs a C compiler)"
        raise TaskError(f"task {spec.name}: the package reasoning-gym is not installed", hint)
    subject = {"source": spec.source, "config": spec.config, "compares": spec.source in COMPARES}
    task = Sandbox(spec.name, "gym", subject, child)
    if child.unlocked:
        notes.append(f"task {spec.name}: no sandbox here ({child.unlocked}); its scorer only compares, so it is used without")
    return task

