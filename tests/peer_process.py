"""A peer in a process of its own, for tests of namespaces and clocks: publishes a blob a second, prints what it sees as JSON lines.

`SWARM_TEST_CLOCK_S` sets its clock ahead by that many seconds, before anything else is imported.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

_ahead, _now = float(os.environ.get("SWARM_TEST_CLOCK_S", "0")), time.time
time.time = lambda: _now() + _ahead

from networks import network  # noqa: E402


def main() -> None:
    folder, listen, reachability, *boot = sys.argv[1:]
    one = network(Path(folder), tuple(boot), listen=(listen,), reachability=reachability, lifetime=30.0, poll=0.5, boot_patience=30.0)
    one.start()
    round, seen = 0, {}
    try:
        while os.getppid() != 1:  # until the test is gone or kills us
            one.publish("answer", round, os.urandom(50_000))
            for arrival in one.arrivals():
                seen[arrival.card.name] = seen.get(arrival.card.name, 0) + 1
            status = one.status()
            state = {"name": one._host.session.name, "addresses": one.addresses(), "seen": seen, "reachable": status.reachable}
            state |= {"skew": status.clock_skew, "heard": len(status.heard)}
            print(json.dumps({**state, "why": status.why, "relaying": status.relaying, "dropped": status.dropped}), flush=True)
            round += 1
            time.sleep(1)
    finally:
        one.close()


if __name__ == "__main__":
    main()
