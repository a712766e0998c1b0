"""What judge-spec.md 2.3 prints, and why this code gives something else where it does.

The specification's figures are from a small simulation, 3 to 6 seeds a cell, to be read +-.03.
"""

from __future__ import annotations

SHARES = (0.0, 0.2, 0.3, 0.4, 0.45, 0.5)
APART = 0.03  # a difference beyond it is marked

# accuracy by (rule, attack), at SHARES as far as they go
ACCURACY = {
    ("built", "constant"): (0.988, 0.990, 0.984, 0.985, 0.956, 0.965),
    ("built", "always"): (0.979, 0.988, 0.989, 0.972, 0.943, 0.934),
    ("built", "target"): (0.973, 0.989, 0.928, 0.939, 0.876, 0.877),
    ("built", "aware"): (0.971, 0.964, 0.951, 0.893, 0.873),
    ("panel", "constant"): (0.893, 0.907, 0.876, 0.818, 0.762, 0.773),
    ("panel", "always"): (0.893, 0.907, 0.873, 0.813, 0.767, 0.745),
    ("panel", "target"): (0.878, 0.813, 0.836, 0.671, 0.594, 0.621),
    ("panel", "aware"): (0.900, 0.859, 0.724, 0.641, 0.560),
    ("watched .4", "target"): (0.965, 0.932, 0.879, 0.782, 0.695),
    ("watched 0", "target"): (0.953, 0.857, 0.809, 0.737, 0.563),
    ("watched .4", "aware"): (0.965, 0.887, 0.850, 0.681, 0.580),
}
HONEST_PAY, ATTACKER_PAY = (0.33, 0.45), (-0.99, -0.11)  # coherence per seat, R4

MAJORITY = {  # seats -> at the shares of odds.SHARES
    7: (1.7e-3, 2.3e-2, 7.1e-2, 1.3e-1, 1.7e-1, 1.9e-1, 3.9e-1),
    15: (2.4e-5, 4.2e-3, 1.7e-2, 5.0e-2, 8.4e-2, 1.1e-1, 3.5e-1),
    31: (6.9e-9, 8.8e-5, 1.3e-3, 9.5e-3, 1.5e-2, 1.3e-1, 1.9e-1),
}


def accuracy(rule: str, attack: str, share: float) -> float | None:
    """The specification's accuracy of a cell; None where it has none."""
    row = ACCURACY.get((rule, attack), ())
    place = SHARES.index(share) if share in SHARES else len(row)
    return row[place] if place < len(row) else None


REASONS = {
    "built": """\
Why marked cells differ. (1) A coalition that disputes every verdict against it (it does wherever it can) brings every market to 31 seats, and
its bonds (`purse`) cost it less than the verdicts are worth; where it disputes nothing, its cells are within .03 of the specification's for
collude always. (2) Jurors of earlier panels are excluded, and the pool is finite: 72 operators, 53 seats. An honest judge owns three times an
attacker's stake, is drawn three times as often, and takes all its stake out of the pool with it: the coalition's share grows from level to
level. (3) In a third of the tasks the lie is the distractor, where honest errors fall too. A last panel without a majority leaves the verdict
that was disputed (row 14, "unless overturned"), so `stands` is `right`; before that rule such markets were VOID and all cells lower.
`--only causes` undoes these one by one. Lazy constant: its marked cells are within .03 of the specification's neighbouring ones.""",
    "panel": """\
Why marked cells differ. The specification's R2 seems to be one panel with no majority needed: `first`, the heaviest choice of the first panel,
is within .05 of every marked cell below s = .5. This code calls 15 and 31 seats where 7 find no majority (row 12), without anybody's
dispute, which helps where the honest are the larger part (`right` above `first`, s = 0 most of all). Of coalitions on target the
specification's value lies in our interval at s >= .45: 72 targets a run are few.""",
    "watchers": """\
Why marked cells differ: as in `built`, the coalition's own disputes and the pool that earlier panels empty of honest stake. At s = 0 with
no watchers nobody disputes, and R4 is R2: the specification's .953 there does not go with its own .878 to .900 for R2.""",
    "pay": """\
Why it differs. Seats of markets that ended VOID are not counted. Where a coalition on target wins its targets, it is coherent there too, and it is on
the others anyhow: from s = .4 on it loses no credits. A gold-aware one is more coherent than honest judges from s = .4 on, and earns more
per seat from s = .45 on.""",
    "sybils": """\
72 operators in each cell: more identities per stake are also fewer honest judges, whom the exclusion of earlier jurors uses up sooner. The
draw itself is by stake and does not change (`odds`).""",
    "causes": """\
The last table leaves the coalition its disputes and undoes the two other causes of `built`. What remains most apart is the gold-aware target:
its attackers have three quarters of an honest judge's weight (`pay`), and with that 31 seats at s = .45 are right in some .6 of the cases.
Without appeals (`panel`) both agree on it. The specification's text says that the coalition appeals too; its numbers
for R4 are nearest to a coalition that disputes nothing (second table).""",
    "odds": """\
Where the specification differs from `exact`, its leading digit is lower by one (2.7e-3 is printed as 1.7e-3, .29 as .19, ...): the binomial
without a cap gives all its other cells, and `exact` is within one per cent of it, since a cap of ceil(k/3) seats does not bind a coalition
of dozens of identities. Where it is much lower, the draws refute the specification's value and not ours.""",
}
