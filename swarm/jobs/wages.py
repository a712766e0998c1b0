"""What members earned beside solving and auditing: shares of attestations and scores that were decided as they said. Each has to be collected."""

from __future__ import annotations

from collections.abc import Iterable

from swarm import keys
from swarm.chain.client import Chain
from swarm.errors import ChainRefused
from swarm.jobs.book import Job


def uncollected(chain: Chain, jobs: Iterable[Job], operators: Iterable[bytes]) -> list[tuple[bytes, bytes, int]]:
    """(operator, job, part) of every share that is there for one of these operators (20 bytes) and was not taken yet."""
    who, jobs = list(operators), list(jobs)
    places = [(one, job.id, part) for job in jobs for part in range(job.offer.parts) for one in who if chain.read("market", "isSeeder", job.id, one)]
    return [place for place in places if _is_there(chain, *place)]


def _is_there(chain: Chain, operator: bytes, job: bytes, part: int) -> bool:
    if not any(chain.read("delivery", "isWinner", job, part, operator)):
        return False
    try:
        chain.simulate("market", "collect", (job, part), keys.checksum(operator))
    except ChainRefused:
        return False
    return True
