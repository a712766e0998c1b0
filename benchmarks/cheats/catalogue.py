"""The cheats of the benchmark, by the word that `--only` takes."""

from __future__ import annotations

from benchmarks.cheats import (
    borrowed_proof,
    false_rewards,
    ground_seeds,
    laptop,
    lazy_auditor,
    leaked_value,
    lonely_class,
    made_up_rollouts,
    old_proof,
    other_data,
    other_rows,
    skipped_steps,
    slander,
    squatted_peer,
    sybils,
    ulp,
    withheld_data,
)
from benchmarks.cheats.conduct import Honest

CHEATS: dict[str, type[Honest]] = {
    "skip": skipped_steps.SkippedSteps,
    "data": other_data.OtherData,
    "rows": other_rows.OtherRows,
    "borrow": borrowed_proof.BorrowedProof,
    "squat": squatted_peer.SquattedPeer,
    "old": old_proof.OldProof,
    "ulp": ulp.Ulp,
    "rewards": false_rewards.FalseRewards,
    "rollouts": made_up_rollouts.MadeUpRollouts,
    "seeds": ground_seeds.GroundSeeds,
    "withhold": withheld_data.WithheldData,
    "vanish": withheld_data.WithheldEpoch,
    "lazy": lazy_auditor.LazyAuditor,
    "leak": leaked_value.LeakedValue,
    "slander": slander.Slander,
    "alarm": slander.FalseAlarm,
    "class": lonely_class.LonelyClass,
    "sybils": sybils.Sybils,
    "laptop": laptop.Laptop,
}
