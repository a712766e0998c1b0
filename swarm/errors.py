"""The error tree, and the one boundary where a failure becomes a sentence and an exit code.

Every error says what went wrong and where (`str(error)`) and what to do about it (`error.hint`). Exit codes:

====  =====================================================================
0     done
1     an error of our own (a bug: please report it with the log)
2     bad input: a flag, a recipe, an invite, a file
3     identity: a key that is lost, locked, corrupt or in use twice
4     network: nobody could be reached, no peer or no chain
5     resources: memory, disk, a port, a missing package
6     state on disk that no fallback could mend
7     refused: hostile or unauthorised input from somewhere else
130   interrupted (Ctrl-C)
====  =====================================================================
"""

from __future__ import annotations

import contextlib
import errno
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path


class SwarmError(Exception):
    """Something a person can act on: `what` names the thing and the place, `hint` the way out."""

    exit_code = 1

    def __init__(self, what: str, hint: str = ""):
        super().__init__(what)
        self.hint = hint


class InputError(SwarmError):
    """A flag, recipe, invite or file that cannot be used as given."""

    exit_code = 2


class RecipeError(InputError):
    """A recipe that breaks its schema; names key, value and allowed range."""


class TaskError(InputError):
    """A task that cannot be loaded or that fails its own self-check."""


class IdentityError(SwarmError):
    """A key that is lost, locked, corrupt or used twice."""

    exit_code = 3


class NetworkError(SwarmError):
    """Nobody could be reached, or the network process would not start."""

    exit_code = 4


class ChainError(SwarmError):
    """The chain cannot be reached, or what answers is not a chain: worth another try later."""

    exit_code = 4


class ChainRefused(ChainError):
    """The chain or a contract says no, and would again: wrong address, empty balance, a rule of a contract.

    `name` is the contract's custom error (or a short word of ours), `values` its arguments by name.
    """

    exit_code = 2

    def __init__(self, what: str, hint: str = "", name: str = "", values: dict[str, object] | None = None):
        super().__init__(what, hint)
        self.name, self.values = name, values or {}


class ResourceError(SwarmError):
    """Too little memory or disk, a port in use, a package that is missing."""

    exit_code = 5


class StateError(SwarmError):
    """State on disk that is damaged beyond the fallbacks."""

    exit_code = 6


class Refused(SwarmError):
    """Input from somewhere else that breaks a rule. `reason` is a short fixed word under which it is counted."""

    exit_code = 7

    def __init__(self, reason: str, what: str = "", hint: str = ""):
        super().__init__(what or reason, hint)
        self.reason = reason


def classify(error: BaseException) -> SwarmError | None:
    """The `SwarmError` that an exception of the system amounts to, or None where it is a bug of ours."""
    if isinstance(error, SwarmError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(
            f"the disk is full (writing {error.filename or 'a file'})",
            "free some space and run the same command again: the last finished round is whole",
        )
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return ResourceError("the port is taken by another program", "pass another one with --port, or 0 for any")
    if isinstance(error, MemoryError):
        return ResourceError("out of memory", "use a smaller learn.microbatch or fewer peers; `swarm doctor` shows the estimate")
    return None


@contextlib.contextmanager
def boundary(log: Path | None = None) -> Iterator[None]:
    """Turn failures into one sentence, a hint and an exit code; a bug keeps its traceback (in `log` if given)."""
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted; run the same command to carry on", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:  # the one broad except: everything is classified here and nothing is swallowed
        known = classify(error)
        if known is None:
            if log is None:
                raise
            with open(log, "a") as file:
                traceback.print_exception(error, file=file)
            known = SwarmError(f"unexpected {type(error).__name__}: {error}", f"the traceback is in {log}; please report it")
        print(f"error: {known}", file=sys.stderr)
        if known.hint:
            print(f"hint: {known.hint}", file=sys.stderr)
        raise SystemExit(known.exit_code) from error
