"""Canonical numerics: float32 results that are the same bits on every machine (docs/canonical.md)."""
