"""Proof of learning: what a step leaves behind, and how somebody else does it again (design.md section 6)."""
