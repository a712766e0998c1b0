"""`python -m swarm.cli`: the same as `swarm`."""

from swarm.cli import main

main()
