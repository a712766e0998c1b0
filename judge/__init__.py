"""The judge market: decides what a program cannot check, prices what peers believe, and turns both into scores.

A pure state machine over a log of signed events; time, seeds and events come in as arguments, and amounts are ints of wei. It knows
nothing of `swarm/`, which carries its events. The rules are those of the judge specification (LMSR after Hanson, 2003).
"""
