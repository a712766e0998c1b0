"""Judges who are honest, lazy or in league, before the real judge market: `python -m benchmarks.judges`.

tasks.py     questions with a truth          people.py     judges, what they see, and how the attacks of the specification vote
room.py      the real state, clock and keys  play.py       a run: markets one after the other, through `judge.ledger.apply`
odds.py      seat majorities, exactly        published.py  the specification's numbers and why ours differ
tables.py    means, intervals and printing
"""
