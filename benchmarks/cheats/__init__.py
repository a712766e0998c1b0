"""Every cheat of proof of learning, played against honest peers, and what it gained and lost: `python -m benchmarks.cheats`.

recorded.py   real steps of real nodes, recorded once          ground.py    a real chain whose time is ours
inspection.py the real audit desk and replayer, in process     play.py      epochs through the real court
conduct.py    what an honest peer does; a cheat replaces one   ledger.py    what was gained and lost, the table
live.py       the same on a live local swarm (`--live CHEAT`)  one file per cheat, listed in catalogue.py
"""
