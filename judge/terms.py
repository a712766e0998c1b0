"""The terms of a swarm's judge market: every parameter of the specification with its default. Frozen; part of the state's root.

Times are milliseconds, amounts are wei (1e-18 credit), shares of a whole are WAD or basis points as said.
"""

from __future__ import annotations

from dataclasses import dataclass

WAD = 10**18
CREDIT = 10**18
BPS = 10**4
PUSH = 10**36  # unit in which shares / b is kept
SECOND = 1000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


@dataclass(frozen=True)
class Durations:
    """How long a market's phases last, in milliseconds."""

    evidence: int  # one round of trading and evidence
    rounds: int  # K
    commit: int
    reveal: int
    challenge: int
    seed: int = 0  # the longest wait for a seed that is fixed after a round, where it comes from a chain

    @property
    def whole(self) -> int:
        """The sum of the phases: `rounds` rounds with their waits, and one panel with its challenge window."""
        return (self.evidence + self.seed) * self.rounds + self.commit + self.reveal + self.challenge

    @property
    def shortest(self) -> int:
        """The shortest phase."""
        return min(self.evidence, self.commit, self.reveal, self.challenge)

    @property
    def most(self) -> int:
        """T_max: a market that is not FINAL by then is VOID."""
        return 4 * self.whole


PROFILES = {
    "test": Durations(2 * SECOND, 1, 2 * SECOND, 2 * SECOND, 2 * SECOND),
    "local": Durations(3 * SECOND, 1, 2 * SECOND, 2 * SECOND, 3 * SECOND),
    "live": Durations(15 * SECOND, 1, 45 * SECOND, 20 * SECOND, 20 * SECOND),  # people at their terminals
    "swarm": Durations(120 * SECOND, 3, 120 * SECOND, 60 * SECOND, 120 * SECOND),
    "human": Durations(6 * HOUR, 4, 24 * HOUR, 24 * HOUR, 24 * HOUR),
}


@dataclass(frozen=True)
class Terms:
    """What everybody in a swarm agreed to."""

    chain_id: int = 31337
    machine: Durations = PROFILES["swarm"]  # markets of kind V and P
    human: Durations = PROFILES["human"]  # markets of kind H
    seed: str = "head"  # "head": the log's head, checked here; "beacon": taken from the chain by the shell
    claim_window: int = 30 * DAY

    # markets
    b_least: int = CREDIT
    b_most: int = 10**6 * CREDIT
    fee_most_bps: int = 500
    bond: int = 10 * CREDIT  # of the creator, who is the market's host
    open_most: int = 8  # markets of one creator that are not settled

    # trades (1.4)
    gross_least: int = CREDIT // 100
    shares_least: int = 10**6
    band: int = WAD // 10**6  # prices stay in [band, 1 - band]
    spread_most: int = 40  # max L - min L, in units of b
    exposure_percent: int = 25  # of F x n: the most that one operator's shares of one outcome may pay

    # evidence (1.5)
    b_min_divisor: int = 4  # b_min = b0 / 4
    kappa: int = 2 * WAD
    piece_stake: int = CREDIT
    pieces_each: int = 3
    pieces_most: int = 256  # in one market
    similar_percent: int = 85  # 5-gram Jaccard above which a piece repeats another
    alone: int = WAD  # quality that an operator may bring whatever the others do; beyond, at most as much as all others

    # panels (1.6)
    unit: int = 5 * CREDIT  # of stake, per seat
    stake_least: int = 20 * CREDIT  # below it nobody is drawn
    seats: tuple[int, ...] = (7, 15, 31)
    rolls: int = 3  # draws of one level
    small_below: int = 3  # distinct eligible operators below which the profile for small swarms holds
    small_least: int = 2
    floor_bps: int = 200  # of a seat's weight
    skill_bps: int = 3000  # hit rate above chance from which the weight is whole
    prior: int = 4  # pseudo-votes
    fade: int = 986_232_704_493_359_172  # WAD; 2^(-1/50): a gold vote counts half after 50 more

    # money (1.8)
    judge_percent: int = 60
    creator_percent: int = 20
    bonus_percent: int = 20  # of the judges' fees, for the peer bonus
    incoherent_bps: int = 1000  # of a seat's unit
    unrevealed_bps: int = 500
    challenger_percent: int = 60  # of the slash of the seats that the challenger was right about
    dispute_least: int = 10 * CREDIT
    seat_fee: int = 4 * CREDIT // 10  # what a seat of a panel above level 0 gets at least, as long as the treasury can pay

    def durations(self, kind: str) -> Durations:
        """The durations of a market of this kind."""
        return self.human if kind == "H" else self.machine

    def dispute_bond(self, level: int) -> int:
        """The least bond of a dispute of a verdict at `level`: twice the fees of the next panel."""
        return max(self.dispute_least, 2 * self.seats[level + 1] * self.seat_fee)


def terms_of(profile: str, **changes: object) -> Terms:
    """Terms whose markets of every kind run at the pace of a profile of `PROFILES`, human ones too."""
    pace = PROFILES[profile]
    return Terms(**{"machine": pace, "human": pace, **changes})
