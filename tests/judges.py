"""How many examples the properties of the judge market are tried on: a thousand in CI, a hundred thousand with `pytest -m thorough`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

CI, THOROUGH = 1000, 100_000


def examples(*strategies: SearchStrategy, n: int = CI) -> Callable[[Callable], Callable]:
    """`@given(*strategies)`, as one test of `n` examples and one of THOROUGH, which is also `slow` and has no time limit."""
    thorough = pytest.param(THOROUGH, marks=[pytest.mark.thorough, pytest.mark.slow, pytest.mark.timeout(0)])

    def decorate(claim: Callable) -> Callable:
        @pytest.mark.parametrize("examples", [n, thorough])
        def test(examples: int) -> None:
            profile(examples)(given(*strategies)(claim))()

        test.__name__, test.__doc__ = claim.__name__, claim.__doc__
        return test

    return decorate


def profile(n: int = CI) -> settings:
    """What every judge property runs with; a slow quiet machine is no failure."""
    return settings(max_examples=n, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
