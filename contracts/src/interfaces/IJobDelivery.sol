// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "./IAuditCourt.sol";
import {IParticipationLedger} from "./IParticipationLedger.sol";

/// @title What a job got: which epochs closed clean and who audited them rightly, which model was delivered, what seeders say of it, its score
/// @notice The half of the market that holds no money: `IComputeMarket` pays what is decided here. Seeders speak with the weight that they
/// had in the newest epoch whose weights were fixed when the ballot began, one vote for each operator; more than half of what was said
/// decides, a score only if two operators say it. So one attestation that nobody contradicts is enough: silence locks no money. Neither
/// submitter nor the part's own solver has a vote.
interface IJobDelivery {
    struct Delivery {
        bytes32 model; // blake3 of the model's file
        uint64 time;
        uint64 confirmed; // when the submitter confirmed it, 0: not
        uint8 number; // the how many-th of this part, 0: none yet
    }

    error JobUnknown(bytes32 job);
    error JobPhaseWrong(uint8 actual, uint8 needed);
    error NotSubmitter(bytes32 job, address caller);
    error NotAgent(bytes32 key, address caller);
    error MemberForeign(bytes32 job, bytes32 key);
    error StandingLost(bytes32 key);
    error ClassWrong(bytes32 actual, bytes32 expected);
    error ClassLonely(uint256 others, uint256 needed);
    error SolverExcluded(bytes32 job, uint8 part);
    error NotSeeder(bytes32 job, address operator);
    error PartIncomplete(bytes32 job, uint8 part);
    error ModelMissing();
    error ModelDecided(bytes32 job, uint8 part);
    error DeliveriesUsed(uint256 actual, uint256 limit);
    error NothingDelivered(bytes32 job, uint8 part);
    error TooLate(uint256 time, uint256 until);
    error VoteTaken(bytes32 job, uint8 part, address operator);
    error ScoreMismatch(bytes32 actual, bytes32 committed);
    error EvaluationMismatch(bytes32 actual, bytes32 committed);

    event Delivered(bytes32 indexed job, uint8 indexed part, bytes32 model, uint8 number);
    event Attested(bytes32 indexed job, uint8 indexed part, address indexed operator, bytes32 model, uint256 weight);
    event Confirmed(bytes32 indexed job, uint8 indexed part);
    event EvaluationOpened(bytes32 indexed job, bytes32 digest, bytes32 salt);
    event ScoreCommitted(bytes32 indexed job, uint8 indexed part, address indexed operator, bytes32 hash);
    event ScoreRevealed(bytes32 indexed job, uint8 indexed part, address indexed operator, uint32 score, uint256 weight);

    /// @notice The agent of a complete part names the file of its model; up to three times, until one is attested or confirmed.
    function deliver(bytes32 job, uint8 part, bytes32 model) external;
    /// @notice A seeder (agent of `key`) names, within W, the digest of what it fetched and checked against the part's root; 0: nothing that
    /// fits could be had.
    function attest(bytes32 job, uint8 part, bytes32 key, bytes32 model) external;
    /// @notice The submitter has the model.
    function confirm(bytes32 job, uint8 part) external;
    /// @notice The submitter opens the evaluation, once the job is done and within W; else the solvers get what was kept back for it.
    function openEvaluation(bytes32 job, bytes32 digest, bytes32 salt) external;
    /// @notice A seeder commits to keccak256(abi.encode(its operator, this contract, job, part, score, salt)) for a delivered part.
    function commitScore(bytes32 job, uint8 part, bytes32 key, bytes32 hash) external;
    /// @notice It reveals it. Score type(uint32).max: the evaluation's file cannot be had, which pays the solver if most say so.
    function revealScore(bytes32 job, uint8 part, bytes32 key, uint32 score, bytes32 salt) external;

    /// @notice How the case of a commitment was closed (Open: it is not), and the members of its first panel whose verdict the deciding panel
    /// confirmed: Ok where it is clean, the same fault where it was planted, else none. Fails where the member's class is not the job's, or
    /// too few others share it to audit it.
    function auditOf(bytes32 job, IParticipationLedger.Header calldata header)
        external
        view
        returns (IAuditCourt.Outcome outcome, bytes32[] memory right);
    function deliveryOf(bytes32 job, uint8 part) external view returns (Delivery memory);
    /// @notice When the evaluation was opened (0: not) and the digest of its file.
    function evaluationOf(bytes32 job) external view returns (uint64 opened, bytes32 digest);
    function openedAt(bytes32 job) external view returns (uint256);
    /// @notice When a part's model was confirmed or its ballot won; 0: not so far.
    function deliveredAt(bytes32 job, uint8 part) external view returns (uint256);
    function isDelivered(bytes32 job, uint8 part) external view returns (bool);
    /// @notice The score that the seeders agreed on.
    function scoreOf(bytes32 job, uint8 part) external view returns (bool decided, uint32 score);
    /// @notice How many operators said what was decided about a part's last delivery and its score; 0: nothing decided, or not yet.
    function winnersOf(bytes32 job, uint8 part) external view returns (uint256 attesters, uint256 scorers);
    /// @notice Whether `operator` is one of them.
    function isWinner(bytes32 job, uint8 part, address operator) external view returns (bool attester, bool scorer);
    function voteOf(bytes32 job, uint8 part, uint8 number, address operator) external view returns (bytes32 commitment, bytes32 choice, bool cast);
}
