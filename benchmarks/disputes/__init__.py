"""Disputes played to their last move on a real local chain: see __main__."""
