// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IParticipationLedger} from "./IParticipationLedger.sol";

/// @title Audits of commitments: drawn auditors, juries, verdicts and what follows from them
/// @notice A case is one commitment. With C = end(epoch) + grace it runs, by time alone: beacon, then at level 0 audit, reveal and
/// challenge (audit and reveal again, at most twice, if every auditor was silent), then juries of 3, 7 and 15 at levels 1, 2 and 3, each
/// with audit, reveal and challenge, as long as there is no majority or somebody challenges it.
interface IAuditCourt {
    enum Verdict {
        None,
        Ok, // every drawn step was reproduced; value = the replay-only value
        Fault, // `step` differs
        Unavailable, // data of `step` could not be had; value = its digest, or 0 for the step record itself
        Cannot // not of this class
    }

    enum Phase {
        Commit, // the epoch runs or its commit window is open
        Beacon,
        Audit,
        Reveal,
        Challenge,
        Closed
    }

    enum Outcome {
        Open,
        Clean,
        Unaudited,
        Fault,
        Withheld, // costs the prover an absence, not its stake: it may just be offline
        Conceded,
        Tied,
        Planted
    }

    struct Case {
        Phase phase;
        Outcome outcome; // of the case as it stands; final when phase is Closed
        uint8 level; // 0 auditors, 1..3 juries
        uint8 roll; // 0..2, redraws at level 0
        uint64 phaseEnds; // chain time
        uint8 seats; // of the panel in session, 0 while unknown
        uint8 revealed; // verdicts revealed by it
        bool challenged; // the level in session will be appealed
        bool smallPanel; // a panel had fewer operators than seats: a weaker promise
        bool planted; // the prover opened a planted fault
        bool finalized; // slashes and rewards were carried out
    }

    struct Vote {
        bytes32 commitment;
        Verdict verdict;
        uint32 step;
        bytes32 value;
    }

    error NotAgent(bytes32 key, address caller);
    error NotSeated(bytes32 auditorKey);
    error BeaconNotReady(bytes32 swarm, uint32 epoch);
    error WrongPhase(Phase actual, Phase needed);
    error WrongLevel(uint8 actual, uint8 given);
    error VerdictTaken(bytes32 auditorKey);
    error VerdictMismatch(bytes32 actual, bytes32 committed);
    error VerdictInvalid(uint8 verdict);
    error StepNotDrawn(uint32 step);
    error HeaderUnknown(bytes32 key, uint32 epoch);
    error ChallengeUnknown(bytes32 hash);
    error LastLevel(uint8 level);
    error OtherSwarm(bytes32 key, bytes32 other);
    error AlreadyFinalized(bytes32 key, uint32 epoch);
    error NotClosed(bytes32 key, uint32 epoch);
    error LeafTooLong(uint256 actual, uint256 limit);
    error LeafWrong(bytes32 root);
    error StepOutOfRange(uint256 step, uint256 steps);
    error PlantUnknown(bytes32 plant);
    error PlantTaken(bytes32 plant);
    error PlantTooLate(uint256 time, uint256 deadline);
    error NothingToOpen(bytes32 key, uint32 epoch);
    error NotAbsent(bytes32 auditorKey);

    event PanelDrawn(bytes32 indexed key, uint32 indexed epoch, uint8 level, uint8 roll, bytes32[] panel, bool smallPanel);
    event VerdictCommitted(bytes32 indexed key, uint32 indexed epoch, uint8 level, bytes32 indexed auditorKey, bytes32 hash);
    event VerdictRevealed(
        bytes32 indexed key, uint32 indexed epoch, uint8 level, bytes32 indexed auditorKey, Verdict verdict, uint32 step, bytes32 value
    );
    event SaltOpened(bytes32 indexed key, uint32 indexed epoch, bytes32[] salts);
    event LeafProvided(bytes32 indexed key, uint32 indexed epoch, uint32 step, bytes leaf);
    event Challenged(bytes32 indexed key, uint32 indexed epoch, uint8 level, bytes32 indexed challengerKey, uint256 bond);
    event ChallengeCommitted(bytes32 indexed hash, bytes32 indexed challengerKey);
    /// @notice Somebody else's challenge was first, or nothing needs one: the bond is the challenger's again, to be claimed from the vault.
    event ChallengeReturned(bytes32 indexed key, uint32 indexed epoch, uint8 level, bytes32 indexed challengerKey, uint256 bond);
    event Conceded(bytes32 indexed key, uint32 indexed epoch, uint256 fee);
    event PlantCommitted(bytes32 indexed plant, bytes32 indexed key);
    event PlantOpened(bytes32 indexed key, uint32 indexed epoch, uint32 from, uint32 to);
    event PlantExpired(bytes32 indexed plant, uint256 bond);
    event Finalized(bytes32 indexed key, uint32 indexed epoch, Outcome outcome, uint8 level, bool smallPanel);

    /// @notice The drawn steps of a commitment: min(q, steps) distinct numbers below `steps`, in the order drawn.
    function drawnSteps(bytes32 key, uint32 epoch, uint32 steps) external view returns (uint32[] memory);
    /// @notice The panel in session (auditors at level 0, jurors above), or the one that would sit at (`level`, `roll`).
    function panelOf(bytes32 key, uint32 epoch, uint8 level, uint8 roll) external view returns (bytes32[] memory);
    /// @notice Where a case stands now.
    function caseOf(bytes32 key, uint32 epoch) external view returns (Case memory);
    /// @notice Outcome if the case is closed, Open otherwise.
    function outcomeOf(bytes32 key, uint32 epoch) external view returns (Outcome);
    function voteOf(bytes32 key, uint32 epoch, uint8 level, uint8 roll, bytes32 auditorKey) external view returns (Vote memory);
    /// @notice keccak256(abi.encode(auditor's operator, this court, key, epoch, level, verdict, step, value, salt)).
    function verdictHash(
        address auditor, bytes32 key, uint32 epoch, uint8 level, uint8 verdict, uint32 step, bytes32 value, bytes32 salt
    ) external view returns (bytes32);
    /// @notice The hash that `commitPlant` takes: keccak256(abi.encode(key, epoch, from, to, salt)).
    function plantHash(bytes32 key, uint32 epoch, uint32 from, uint32 to, bytes32 salt) external pure returns (bytes32);
    /// @notice The hash that `commitChallenge` takes: keccak256(abi.encode(this court, key, epoch, level, challengerKey, salt)).
    function challengeHash(bytes32 key, uint32 epoch, uint8 level, bytes32 challengerKey, bytes32 salt) external view returns (bytes32);
    function auditBeacon(bytes32 swarm, uint32 epoch) external view returns (bytes32 value, bool ready);
    function epochSeed(bytes32 swarm, uint32 epoch) external view returns (bytes32 value, bool ready);
    /// @notice Chain times of a level's audit: verdicts are committed in [opens, commits), revealed in [commits, reveals), challenged
    /// in [reveals, closes).
    function timesOf(bytes32 swarm, uint32 epoch, uint8 level, uint8 roll)
        external
        view
        returns (uint256 opens, uint256 commits, uint256 reveals, uint256 closes);
    function bondOf(bytes32 swarm) external view returns (uint256);

    /// @notice A seated member commits to its verdict (agent of `auditorKey`).
    function commitVerdict(bytes32 auditorKey, bytes32 key, uint32 epoch, uint8 level, bytes32 hash) external;
    /// @notice It reveals it. `step` and `value` are those of the verdict's meaning, 0 where it has none.
    function revealVerdict(
        bytes32 auditorKey,
        IParticipationLedger.Header calldata header,
        uint8 level,
        uint8 verdict,
        uint32 step,
        bytes32 value,
        bytes32 salt
    ) external;
    /// @notice The prover opens the salts of the drawn steps once the reveals are over, so that everyone can check the values.
    function openSalt(IParticipationLedger.Header calldata header, bytes32[] calldata salts) external;
    /// @notice The prover answers the charge that the record of `step` cannot be had, by showing it; that ends the charge.
    function provide(IParticipationLedger.Header calldata header, uint32 step, bytes calldata leaf, bytes32[] calldata proof) external;
    /// @notice Promises a challenge (agent of `challengerKey`) without saying of what: see `challengeHash`. Best in the challenge window,
    /// since only there it can be opened. The bond leaves the challenger's stake now, so that nobody promises on every case for nothing, to copy
    /// others' challenges when he sees them; a promise that is not opened loses it (`expirePlant`).
    function commitChallenge(bytes32 challengerKey, bytes32 hash) external;
    /// @notice Opens a promise of an earlier block in the challenge window and sends the case to the next jury. The bond is lost if the jury
    /// confirms what was challenged, and returned if another challenge was first.
    function challenge(IParticipationLedger.Header calldata header, bytes32 challengerKey, bytes32 salt) external;
    /// @notice The prover gives up an epoch before verdicts are revealed: no score, and a fee.
    function concede(IParticipationLedger.Header calldata header) external;
    /// @notice Promises a planted fault (bonded, from the prover's stake) in an epoch whose commit window is still open.
    function commitPlant(bytes32 key, bytes32 plant) external;
    /// @notice Opens it after the verdicts of level 0; one that is not opened is a fault like any other, and its bond is lost.
    function openPlant(IParticipationLedger.Header calldata header, uint32 from, uint32 to, bytes32 salt) external;
    /// @notice Sends the bond of a plant or a challenge that nobody opened in time to the treasury (anyone).
    function expirePlant(bytes32 plant) external;
    /// @notice Charges a seated member that gave no verdict in time, and pauses it (anyone).
    function lapse(IParticipationLedger.Header calldata header, uint8 level, uint8 roll, bytes32 auditorKey) external;
    /// @notice Carries out what a closed case means: slashes, rewards, lapsed members (anyone).
    function finalize(IParticipationLedger.Header calldata header) external;
    /// @notice For the dispute court only. With no `accuser`: a game about `step` is open, until `until` at most (0: none is any more); a case that
    /// would close otherwise than Fault stays in its challenge phase so long, and panels may name the step, drawn or not. With one: a game has shown that `step` is false. The case
    /// ends as Fault at once and is carried out: slash, rewind, and the share of those who were right goes to `accuser`; votes are not judged,
    /// bonds of challenges come back. False where the case was closed before, or the step lies in an opened plant.
    function rule(bytes32 key, uint32 epoch, uint64 until, uint32 step, address accuser) external returns (bool);
}
