"""The arithmetic of detection: T steps, q drawn without replacement, a share f of them forged (design.md section 6).

The chance that at least one drawn step is forged is 1 - C(T - k, q) / C(T, q) with k = ceil(f T) forged ones (hypergeometric).
Over several epochs the chances to stay unseen multiply.
"""

from __future__ import annotations

import math


def detection(steps: int, drawn: int, forged: int) -> float:
    """Chance that `forged` of `steps` steps show up among `drawn` ones."""
    if forged <= 0 or drawn <= 0 or steps <= 0:
        return 0.0
    drawn, forged = min(drawn, steps), min(forged, steps)
    return 1.0 - math.comb(steps - forged, drawn) / math.comb(steps, drawn)


def of_share(steps: int, drawn: int, share: float) -> float:
    """The same for a forged share of the steps, rounded up to whole steps."""
    return detection(steps, drawn, math.ceil(share * steps - 1e-9))


def over_epochs(one: float, epochs: int) -> float:
    """Chance to be seen at least once in `epochs` epochs with chance `one` each."""
    return 1.0 - (1.0 - one) ** epochs


def sentence(steps: int, drawn: int, epochs: int) -> str:
    """The odds of one epoch in words, and over `epochs` epochs (the unbonding time)."""
    shares = ", ".join(f"{share:.0%} {of_share(steps, drawn, share):.2f}" for share in (0.01, 0.1, 1.0))
    single = detection(steps, drawn, 1)
    tenth = over_epochs(of_share(steps, drawn, 0.1), epochs)
    return f"forging is seen with odds {shares}; one step {single:.2f}; 10% over {epochs} epochs {tenth:.3f}"
