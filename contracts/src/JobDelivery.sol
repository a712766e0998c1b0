// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "./interfaces/IAuditCourt.sol";
import {IComputeMarket} from "./interfaces/IComputeMarket.sol";
import {IJobDelivery} from "./interfaces/IJobDelivery.sol";
import {IParticipationLedger} from "./interfaces/IParticipationLedger.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";
import {Ballots} from "./market/Ballots.sol";

/// @title Deliveries, attestations, the evaluation and its scores. Holds no money; nobody owns it.
contract JobDelivery is IJobDelivery, Ballots {
    uint8 public constant DELIVERY_LIMIT = 3;
    /// @notice The score that says: the evaluation's file cannot be had.
    uint32 public constant NO_FILE = type(uint32).max;
    uint8 private constant SCORE = 0; // that ballot's number; a delivery's are 1 and more

    struct Evaluation {
        uint64 opened;
        bytes32 digest;
    }

    ISwarmRegistry public immutable registry;
    IParticipationLedger public immutable ledger;
    IStakeVault public immutable vault;
    IAuditCourt public immutable court;
    IComputeMarket public immutable market;

    mapping(bytes32 job => mapping(uint8 part => Delivery)) private _deliveries;
    mapping(bytes32 job => Evaluation) private _evaluations;

    constructor(ISwarmRegistry registry_, IParticipationLedger ledger_, IStakeVault vault_, IAuditCourt court_, IComputeMarket market_) {
        (registry, ledger, vault, court, market) = (registry_, ledger_, vault_, court_, market_);
    }

    /// @inheritdoc IJobDelivery
    function deliver(bytes32 job, uint8 part, bytes32 model) external {
        _onlyAgent(market.partOf(job, part).key);
        if (model == bytes32(0)) revert ModelMissing();
        if (market.partOf(job, part).steps == 0 || !market.isComplete(job, part)) revert PartIncomplete(job, part);
        uint256 until = market.deliversUntil(job);
        if (block.timestamp > until || market.isSettled(job)) revert TooLate(block.timestamp, until);
        if (_deliveredAt(job, part) != 0) revert ModelDecided(job, part);
        Delivery storage d = _deliveries[job][part];
        if (d.number == DELIVERY_LIMIT) revert DeliveriesUsed(d.number, DELIVERY_LIMIT);
        (d.model, d.time, d.number) = (model, uint64(block.timestamp), d.number + 1);
        emit Delivered(job, part, model, d.number);
    }

    /// @inheritdoc IJobDelivery
    function attest(bytes32 job, uint8 part, bytes32 key, bytes32 model) external {
        Delivery storage d = _delivery(job, part);
        if (d.confirmed != 0) revert ModelDecided(job, part);
        uint256 until = d.time + _windowOf(job);
        if (block.timestamp >= until || market.isSettled(job)) revert TooLate(block.timestamp, until);
        address operator = _seederOf(job, part, key);
        Ballot storage ballot = _ballotOf(job, part, d.number);
        if (ballot.votes[operator].cast) revert VoteTaken(job, part, operator);
        uint128 weight = _weightAt(job, key, d.time);
        _cast(ballot, operator, model, weight);
        emit Attested(job, part, operator, model, weight);
    }

    /// @inheritdoc IJobDelivery
    function confirm(bytes32 job, uint8 part) external {
        _onlySubmitter(job);
        Delivery storage d = _delivery(job, part);
        if (_deliveredAt(job, part) != 0 || market.isSettled(job)) revert ModelDecided(job, part);
        d.confirmed = uint64(block.timestamp);
        emit Confirmed(job, part);
    }

    /// @inheritdoc IJobDelivery
    function openEvaluation(bytes32 job, bytes32 digest, bytes32 salt) external {
        _onlySubmitter(job);
        _inPhase(job, IComputeMarket.JobPhase.Opening);
        (bytes32 hash, bytes32 committed) = (keccak256(abi.encode(digest, salt)), market.offerOf(job).evaluation);
        if (hash != committed) revert EvaluationMismatch(hash, committed);
        _evaluations[job] = Evaluation(uint64(block.timestamp), digest);
        emit EvaluationOpened(job, digest, salt);
    }

    /// @inheritdoc IJobDelivery
    function commitScore(bytes32 job, uint8 part, bytes32 key, bytes32 hash) external {
        address operator = _scorer(job, part, key, IComputeMarket.JobPhase.Scoring);
        Vote storage vote = _ballotOf(job, part, SCORE).votes[operator];
        if (vote.commitment != bytes32(0)) revert VoteTaken(job, part, operator);
        vote.commitment = hash;
        emit ScoreCommitted(job, part, operator, hash);
    }

    /// @inheritdoc IJobDelivery
    function revealScore(bytes32 job, uint8 part, bytes32 key, uint32 score, bytes32 salt) external {
        address operator = _scorer(job, part, key, IComputeMarket.JobPhase.Revealing);
        Ballot storage ballot = _ballotOf(job, part, SCORE);
        if (ballot.votes[operator].cast) revert VoteTaken(job, part, operator);
        bytes32 hash = keccak256(abi.encode(operator, address(this), job, part, score, salt));
        bytes32 committed = ballot.votes[operator].commitment;
        if (hash != committed) revert ScoreMismatch(hash, committed);
        uint128 weight = _weightAt(job, key, _evaluations[job].opened);
        _cast(ballot, operator, bytes32(uint256(score)), weight);
        emit ScoreRevealed(job, part, operator, score, weight);
    }

    /// @inheritdoc IJobDelivery
    function auditOf(bytes32 job, IParticipationLedger.Header calldata header)
        external
        view
        returns (IAuditCourt.Outcome outcome, bytes32[] memory right)
    {
        (bytes32 key, uint32 epoch) = (header.key, header.epoch);
        IAuditCourt.Case memory c = court.caseOf(key, epoch);
        if (c.phase == IAuditCourt.Phase.Closed) outcome = c.outcome;
        bool clean = outcome == IAuditCourt.Outcome.Clean;
        if (!clean && outcome != IAuditCourt.Outcome.Planted) return (outcome, right);
        _checkClass(market.offerOf(job).class, key, epoch);
        right = _rightSeats(key, epoch, c, clean ? IAuditCourt.Verdict.Ok : IAuditCourt.Verdict.Fault);
    }

    /// @inheritdoc IJobDelivery
    function deliveryOf(bytes32 job, uint8 part) external view returns (Delivery memory) {
        return _deliveries[job][part];
    }

    /// @inheritdoc IJobDelivery
    function evaluationOf(bytes32 job) external view returns (uint64 opened, bytes32 digest) {
        return (_evaluations[job].opened, _evaluations[job].digest);
    }

    /// @inheritdoc IJobDelivery
    function openedAt(bytes32 job) external view returns (uint256) {
        return _evaluations[job].opened;
    }

    /// @inheritdoc IJobDelivery
    function deliveredAt(bytes32 job, uint8 part) external view returns (uint256) {
        return _deliveredAt(job, part);
    }

    /// @inheritdoc IJobDelivery
    function isDelivered(bytes32 job, uint8 part) external view returns (bool) {
        return _deliveredAt(job, part) != 0;
    }

    /// @inheritdoc IJobDelivery
    function scoreOf(bytes32 job, uint8 part) external view returns (bool decided, uint32 score) {
        bytes32 choice;
        (decided, choice) = _scored(job, part);
        score = uint32(uint256(choice));
    }

    /// @inheritdoc IJobDelivery
    function winnersOf(bytes32 job, uint8 part) external view returns (uint256 attesters, uint256 scorers) {
        (bool attested, bytes32 model) = _attested(job, part);
        (bool scored, bytes32 score) = _scored(job, part);
        if (attested) attesters = _lastBallot(job, part).tallies[model].operators;
        if (scored) scorers = _ballotOf(job, part, SCORE).tallies[score].operators;
    }

    /// @inheritdoc IJobDelivery
    function isWinner(bytes32 job, uint8 part, address operator) external view returns (bool attester, bool scorer) {
        (bool attested, bytes32 model) = _attested(job, part);
        (bool scored, bytes32 score) = _scored(job, part);
        attester = attested && _chose(_lastBallot(job, part), operator, model);
        scorer = scored && _chose(_ballotOf(job, part, SCORE), operator, score);
    }

    /// @inheritdoc IJobDelivery
    function voteOf(bytes32 job, uint8 part, uint8 number, address operator)
        external
        view
        returns (bytes32 commitment, bytes32 choice, bool cast)
    {
        Vote storage vote = _ballotOf(job, part, number).votes[operator];
        return (vote.commitment, vote.choice, vote.cast);
    }

    /// @dev Auditors are drawn from the solver's class: one of its own making, or one that too few share, proves nothing. In the class that the
    /// job names one other is enough, so that nobody makes it lonely with stakes in others.
    function _checkClass(bytes32 class, bytes32 key, uint32 epoch) private view {
        bytes32 actual = vault.classAt(key, epoch);
        if (class != bytes32(0) && actual != class) revert ClassWrong(actual, class);
        (uint256 others, uint256 needed) = vault.othersAt(key, epoch);
        if (class != bytes32(0) || needed == 0) needed = 1;
        if (others < needed) revert ClassLonely(others, needed);
    }

    function _rightSeats(bytes32 key, uint32 epoch, IAuditCourt.Case memory c, IAuditCourt.Verdict verdict)
        private
        view
        returns (bytes32[] memory right)
    {
        bytes32[] memory seats = court.panelOf(key, epoch, 0, c.roll);
        bool[] memory stands = new bool[](seats.length);
        uint256 count = 0;
        for (uint256 i = 0; i < seats.length; ++i) {
            IAuditCourt.Vote memory vote = court.voteOf(key, epoch, 0, c.roll, seats[i]);
            if (vote.verdict != verdict || !_isConfirmed(key, epoch, c, vote)) continue;
            (stands[i], count) = (true, count + 1);
        }
        right = new bytes32[](count);
        for (uint256 i = seats.length; i > 0; --i) {
            if (stands[i - 1]) right[--count] = seats[i - 1];
        }
    }

    /// @dev Whether the panel that decided said the same.
    function _isConfirmed(bytes32 key, uint32 epoch, IAuditCourt.Case memory c, IAuditCourt.Vote memory vote) private view returns (bool) {
        bytes32[] memory seats = court.panelOf(key, epoch, c.level, c.roll);
        uint256 count = 0;
        for (uint256 i = 0; i < seats.length; ++i) {
            IAuditCourt.Vote memory other = court.voteOf(key, epoch, c.level, c.roll, seats[i]);
            if (other.verdict == vote.verdict && other.value == vote.value && other.step == vote.step) ++count;
        }
        return 2 * count > seats.length;
    }

    function _deliveredAt(bytes32 job, uint8 part) private view returns (uint256) {
        Delivery storage d = _deliveries[job][part];
        if (d.confirmed != 0 || d.number == 0) return d.confirmed;
        uint256 ends = d.time + _windowOf(job);
        if (block.timestamp < ends) return 0;
        (bool decided, bytes32 choice) = _winnerOf(_ballotOf(job, part, d.number), 1);
        return decided && choice == d.model ? ends : 0;
    }

    /// @dev What was decided about the last delivery; nothing as long as another one or a vote may follow.
    function _attested(bytes32 job, uint8 part) private view returns (bool decided, bytes32 model) {
        Delivery storage d = _deliveries[job][part];
        if (d.confirmed != 0) return (true, d.model);
        if (market.isSettled(job) || block.timestamp > market.deliversUntil(job) + _windowOf(job) || _deliveredAt(job, part) != 0) {
            return _winnerOf(_ballotOf(job, part, d.number), 1);
        }
    }

    function _scored(bytes32 job, uint8 part) private view returns (bool, bytes32) {
        uint256 opened = _evaluations[job].opened;
        if (opened == 0 || block.timestamp < opened + 2 * _windowOf(job)) return (false, bytes32(0));
        return _winnerOf(_ballotOf(job, part, SCORE), 2);
    }

    function _lastBallot(bytes32 job, uint8 part) private view returns (Ballot storage) {
        return _ballotOf(job, part, _deliveries[job][part].number);
    }

    function _delivery(bytes32 job, uint8 part) private view returns (Delivery storage d) {
        d = _deliveries[job][part];
        if (d.number == 0) revert NothingDelivered(job, part);
    }

    function _scorer(bytes32 job, uint8 part, bytes32 key, IComputeMarket.JobPhase needed) private view returns (address) {
        _inPhase(job, needed);
        if (_deliveredAt(job, part) == 0) revert NothingDelivered(job, part);
        return _seederOf(job, part, key);
    }

    function _seederOf(bytes32 job, uint8 part, bytes32 key) private view returns (address operator) {
        _onlyAgent(key);
        if (ledger.swarmOf(key) != job) revert MemberForeign(job, key);
        if (vault.capacityOf(key) == 0) revert StandingLost(key);
        operator = ledger.operatorOf(key);
        if (!market.isSeeder(job, operator)) revert NotSeeder(job, operator);
        if (operator == market.partOf(job, part).operator) revert SolverExcluded(job, part);
    }

    /// @dev Weight in the newest epoch whose weights nobody could change any more at `time`.
    function _weightAt(bytes32 job, bytes32 key, uint256 time) private view returns (uint128 weight) {
        uint32 open = registry.openEpochAt(job, time);
        weight = uint128(vault.weightAt(key, open == 0 ? 0 : open - 1));
        if (weight == 0) revert StandingLost(key);
    }

    function _windowOf(bytes32 job) private view returns (uint256) {
        return market.offerOf(job).openWindow;
    }

    function _inPhase(bytes32 job, IComputeMarket.JobPhase needed) private view {
        IComputeMarket.JobPhase phase = market.phaseOf(job);
        if (phase != needed) revert JobPhaseWrong(uint8(phase), uint8(needed));
    }

    function _onlySubmitter(bytes32 job) private view {
        if (msg.sender != market.jobOf(job).submitter) revert NotSubmitter(job, msg.sender);
    }

    function _onlyAgent(bytes32 key) private view {
        if (!ledger.isAgent(key, msg.sender)) revert NotAgent(key, msg.sender);
    }
}
