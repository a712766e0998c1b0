"""Learning: which groups make a batch, the optimizer step, the state on disk, and averaging among like peers.

Reading order: `batch` (selection), `step` and `trainer` (TRL), `state` (checkpoints, roots, export), `average`.
"""
