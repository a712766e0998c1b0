// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "./interfaces/IAuditCourt.sol";
import {IParticipationLedger} from "./interfaces/IParticipationLedger.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";
import {StepTree} from "./lib/StepTree.sol";
import {Cases} from "./Cases.sol";
import {Sentences} from "./Sentences.sol";

/// @title The audit court: what auditors, provers and challengers do
contract AuditCourt is Sentences {
    /// @dev Longest step record that can be shown on chain.
    uint256 private constant LEAF_LIMIT = 32 * 1024;
    /// @dev A challenge costs the least stake divided by this, if it fails.
    uint256 private constant BOND_DIVISOR = 10;

    /// @dev Of a planted fault, or of a challenge: made under a bond before it is opened.
    struct Promise {
        bytes32 key;
        uint64 time;
        uint128 bond;
    }

    mapping(bytes32 hash => Promise) private _promises;

    /// @notice The other contracts name this one when they are built; a wrong address shows here, not later.
    error AddressMismatch(address actual, address expected);

    /// @param disputes_ is deployed after this contract, at an address known in advance.
    constructor(ISwarmRegistry registry_, IParticipationLedger ledger_, IStakeVault vault_, address disputes_)
        Cases(registry_, ledger_, vault_, disputes_)
    {
        (bool ok, bytes memory answer) = address(ledger_).staticcall(abi.encodeWithSignature("court()"));
        address court = ok ? abi.decode(answer, (address)) : address(0);
        if (court != address(this)) revert AddressMismatch(court, address(this));
        (ok, answer) = address(ledger_).staticcall(abi.encodeWithSignature("vault()"));
        address expected = ok ? abi.decode(answer, (address)) : address(0);
        if (address(vault_) != expected) revert AddressMismatch(address(vault_), expected);
        (ok, answer) = address(vault_).staticcall(abi.encodeWithSignature("court()"));
        court = ok ? abi.decode(answer, (address)) : address(0);
        if (court != address(this)) revert AddressMismatch(court, address(this));
    }

    /// @inheritdoc IAuditCourt
    function commitVerdict(bytes32 auditorKey, bytes32 key, uint32 epoch, uint8 level, bytes32 hash) external {
        _onlyAgent(auditorKey);
        Case memory state = _atLevel(key, epoch, Phase.Audit, level);
        Session storage session = _panel(key, epoch, level, state.roll);
        if (!_isSeated(session, auditorKey)) revert NotSeated(auditorKey);
        Vote storage vote = session.votes[auditorKey];
        if (vote.commitment != bytes32(0)) revert VerdictTaken(auditorKey);
        vote.commitment = hash;
        emit VerdictCommitted(key, epoch, level, auditorKey, hash);
    }

    /// @inheritdoc IAuditCourt
    function revealVerdict(
        bytes32 auditorKey,
        IParticipationLedger.Header calldata header,
        uint8 level,
        uint8 verdict,
        uint32 step,
        bytes32 value,
        bytes32 salt
    ) external {
        _onlyAgent(auditorKey);
        _onlyCommitted(header);
        Case memory state = _atLevel(header.key, header.epoch, Phase.Reveal, level);
        Session storage session = _sessionOf(header.key, header.epoch, level, state.roll);
        Vote storage vote = session.votes[auditorKey];
        if (vote.verdict != Verdict.None) revert VerdictTaken(auditorKey);
        bytes32 hash =
            _verdictHash(ledger.operatorOf(auditorKey), header.key, header.epoch, level, verdict, step, value, salt);
        if (hash != vote.commitment) revert VerdictMismatch(hash, vote.commitment);
        _checkVerdict(header, verdict, step, value);
        (vote.verdict, vote.step, vote.value) = (Verdict(verdict), step, value);
        _count(session, vote);
        emit VerdictRevealed(header.key, header.epoch, level, auditorKey, Verdict(verdict), step, value);
    }

    /// @inheritdoc IAuditCourt
    function openSalt(IParticipationLedger.Header calldata header, bytes32[] calldata salts) external {
        _onlyAgent(header.key);
        _onlyCommitted(header);
        ISwarmRegistry.Terms memory terms = _termsOf(header.key);
        Case memory state = _stateOf(header.key, header.epoch, terms);
        bool revealed = state.level > 0 || state.phase >= Phase.Challenge;
        uint256 drawn = header.steps < terms.segments ? header.steps : terms.segments;
        if (!revealed || salts.length != drawn) revert NothingToOpen(header.key, header.epoch);
        emit SaltOpened(header.key, header.epoch, salts);
    }

    /// @inheritdoc IAuditCourt
    function provide(IParticipationLedger.Header calldata header, uint32 step, bytes calldata leaf, bytes32[] calldata proof) external {
        _onlyCommitted(header);
        Case memory state = _stateOf(header.key, header.epoch, _termsOf(header.key));
        if (state.phase < Phase.Audit || state.phase == Phase.Closed) revert WrongPhase(state.phase, Phase.Challenge);
        if (leaf.length > LEAF_LIMIT) revert LeafTooLong(leaf.length, LEAF_LIMIT);
        if (step >= header.steps) revert StepOutOfRange(step, header.steps);
        bytes32 root = StepTree.rootOf(StepTree.leafHash(leaf), step, header.steps, proof);
        if (root != header.root) revert LeafWrong(root);
        _recordOf(header.key, header.epoch).provided[step] = true;
        emit LeafProvided(header.key, header.epoch, step, leaf);
    }

    /// @inheritdoc IAuditCourt
    function commitChallenge(bytes32 challengerKey, bytes32 hash) external {
        emit ChallengeCommitted(hash, challengerKey);
        _promise(challengerKey, hash);
    }

    /// @inheritdoc IAuditCourt
    function challenge(IParticipationLedger.Header calldata header, bytes32 challengerKey, bytes32 salt) external {
        _onlyAgent(challengerKey);
        _onlyCommitted(header);
        (bytes32 key, uint32 epoch) = (header.key, header.epoch);
        bytes32 swarm = _swarmOf(key);
        if (_swarmOf(challengerKey) != swarm) revert OtherSwarm(key, challengerKey);
        Case memory state = _inPhase(key, epoch, Phase.Challenge);
        if (state.level == LAST_LEVEL) revert LastLevel(state.level);
        bytes32 hash = _challengeHash(key, epoch, state.level, challengerKey, salt);
        Promise memory p = _promises[hash];
        if (p.key != challengerKey || p.bond == 0 || p.time >= block.timestamp) revert ChallengeUnknown(hash);
        _promises[hash].bond = 0;
        if (state.challenged || state.outcome == Outcome.Open) {
            emit ChallengeReturned(key, epoch, state.level, challengerKey, p.bond);
            vault.payAside(swarm, ledger.operatorOf(challengerKey), p.bond);
            return;
        }
        _recordOf(key, epoch).challenges[state.level] = Challenge(challengerKey, p.bond);
        emit Challenged(key, epoch, state.level, challengerKey, p.bond);
    }

    /// @inheritdoc IAuditCourt
    function concede(IParticipationLedger.Header calldata header) external {
        (bytes32 key, uint32 epoch) = (header.key, header.epoch);
        _onlyAgent(key);
        _onlyCommitted(header);
        ISwarmRegistry.Terms memory terms = _termsOf(key);
        Case memory state = _stateOf(key, epoch, terms);
        if (state.level != 0 || state.phase > Phase.Audit) revert WrongPhase(state.phase, Phase.Audit);
        _recordOf(key, epoch).outcome = Outcome.Conceded;
        _recordOf(key, epoch).roll = state.roll;
        uint256 fee = _part(key, terms.concedeBps);
        emit Conceded(key, epoch, fee);
        vault.slash(key, fee, "concession");
        ledger.rewind(key, epoch, IParticipationLedger.Reason.Conceded);
    }

    /// @inheritdoc IAuditCourt
    function commitPlant(bytes32 key, bytes32 plant) external {
        emit PlantCommitted(plant, key);
        _promise(key, plant);
    }

    /// @inheritdoc IAuditCourt
    function openPlant(IParticipationLedger.Header calldata header, uint32 from, uint32 to, bytes32 salt) external {
        (bytes32 key, uint32 epoch) = (header.key, header.epoch);
        _onlyAgent(key);
        _onlyCommitted(header);
        bytes32 hash = _plantHash(key, epoch, from, to, salt);
        Promise memory plant = _promises[hash];
        if (plant.key != key || plant.bond == 0) revert PlantUnknown(hash);
        ISwarmRegistry.Terms memory terms = _termsOf(key);
        uint256 deadline = _opensAt(terms, epoch, 0, 0) - terms.beacon;
        if (plant.time > deadline) revert PlantTooLate(plant.time, deadline);
        Case memory state = _stateOf(key, epoch, terms);
        bool silent = state.phase == Phase.Closed && state.outcome == Outcome.Unaudited;
        if (!silent && state.phase != Phase.Challenge) revert WrongPhase(state.phase, Phase.Challenge);
        if (state.level != 0) revert WrongLevel(0, state.level);
        if (state.planted) revert PlantTaken(hash);
        _promises[hash].bond = 0;
        emit PlantOpened(key, epoch, from, to);
        if (silent) {
            vault.payAside(_swarmOf(key), ledger.operatorOf(key), plant.bond);
            return;
        }
        Record storage record = _recordOf(key, epoch);
        (record.planted, record.plantFrom, record.plantTo, record.plantBond) = (true, from, to, plant.bond);
        record.plantDrawn = _hits(header, terms, from, to);
    }

    /// @inheritdoc IAuditCourt
    function expirePlant(bytes32 plant) external {
        Promise memory p = _promises[plant];
        if (p.bond == 0) revert PlantUnknown(plant);
        uint256 deadline = uint256(p.time) + _termsOf(p.key).unbonding;
        if (block.timestamp < deadline) revert PlantTooLate(block.timestamp, deadline);
        _promises[plant].bond = 0;
        emit PlantExpired(plant, p.bond);
        vault.dropAside(_swarmOf(p.key), p.bond);
    }

    /// @inheritdoc IAuditCourt
    function lapse(IParticipationLedger.Header calldata header, uint8 level, uint8 roll, bytes32 auditorKey) external {
        _onlyCommitted(header);
        (bytes32 key, uint32 epoch) = (header.key, header.epoch);
        Case memory state = _stateOf(key, epoch, _termsOf(key));
        bool over = level < state.level || roll < state.roll || state.phase >= Phase.Challenge;
        bool sat = level <= state.level && roll <= state.roll && (level == 0 || roll == state.roll);
        if (!over || !sat || state.outcome == Outcome.Conceded) revert NotAbsent(auditorKey);
        Session storage session = _panel(key, epoch, level, roll);
        if (!_isSeated(session, auditorKey)) revert NotSeated(auditorKey);
        if (session.votes[auditorKey].verdict != Verdict.None) revert NotAbsent(auditorKey);
        vault.absent(auditorKey, epoch, false);
    }

    /// @inheritdoc IAuditCourt
    function finalize(IParticipationLedger.Header calldata header) external {
        _onlyCommitted(header);
        ISwarmRegistry.Terms memory terms = _termsOf(header.key);
        Case memory state = _stateOf(header.key, header.epoch, terms);
        if (state.finalized) revert AlreadyFinalized(header.key, header.epoch);
        if (state.phase != Phase.Closed) revert NotClosed(header.key, header.epoch);
        _carryOut(header.key, header.epoch, state, terms);
    }

    /// @inheritdoc IAuditCourt
    function rule(bytes32 key, uint32 epoch, uint64 until, uint32 step, address accuser) external returns (bool) {
        if (msg.sender != disputes) revert NotAgent(key, msg.sender);
        Record storage record = _recordOf(key, epoch);
        if (accuser == address(0)) {
            record.heldUntil = until;
            return record.disputed[step] = true;
        }
        ISwarmRegistry.Terms memory terms = _termsOf(key);
        Case memory state = _stateOf(key, epoch, terms);
        if (state.phase == Phase.Closed || (record.planted && _inPlant(record, step))) return false;
        // A jury that still sits is sent home: who has not voted yet has missed nothing.
        if (state.phase != Phase.Challenge) --state.level;
        state.outcome = Outcome.Fault;
        record.accuser = accuser;
        _carryOut(key, epoch, state, terms);
        return true;
    }

    /// @inheritdoc IAuditCourt
    function verdictHash(
        address auditor, bytes32 key, uint32 epoch, uint8 level, uint8 verdict, uint32 step, bytes32 value, bytes32 salt
    ) external view returns (bytes32) {
        return _verdictHash(auditor, key, epoch, level, verdict, step, value, salt);
    }

    /// @inheritdoc IAuditCourt
    function plantHash(bytes32 key, uint32 epoch, uint32 from, uint32 to, bytes32 salt) external pure returns (bytes32) {
        return _plantHash(key, epoch, from, to, salt);
    }

    /// @inheritdoc IAuditCourt
    function challengeHash(bytes32 key, uint32 epoch, uint8 level, bytes32 challengerKey, bytes32 salt) external view returns (bytes32) {
        return _challengeHash(key, epoch, level, challengerKey, salt);
    }

    /// @inheritdoc IAuditCourt
    function bondOf(bytes32 swarm) external view returns (uint256) {
        return _bondOf(swarm);
    }

    function _promise(bytes32 key, bytes32 hash) private {
        _onlyAgent(key);
        if (_promises[hash].bond != 0) revert PlantTaken(hash);
        uint128 bond = _bondOf(_swarmOf(key));
        _promises[hash] = Promise(key, uint64(block.timestamp), bond);
        vault.takeBond(key, bond);
    }

    function _count(Session storage session, Vote storage vote) private {
        if (vote.verdict == Verdict.Cannot) return;
        bytes32 choice = _choiceOf(vote);
        uint8 count = ++session.counts[choice];
        ++session.revealed;
        if (count <= session.best) return;
        (session.best, session.leader) = (count, choice);
        (session.leaderVerdict, session.leaderStep, session.leaderValue) = (vote.verdict, vote.step, vote.value);
    }

    /// @dev Fields without meaning for a verdict are zero, so that equal opinions are equal votes.
    function _checkVerdict(IParticipationLedger.Header calldata header, uint8 verdict, uint32 step, bytes32 value) private view {
        if (verdict == 0 || verdict > uint8(Verdict.Cannot)) revert VerdictInvalid(verdict);
        bool named = verdict == uint8(Verdict.Fault) || verdict == uint8(Verdict.Unavailable);
        bool valued = verdict == uint8(Verdict.Ok) || verdict == uint8(Verdict.Unavailable);
        if ((!named && step != 0) || (!valued && value != bytes32(0))) revert VerdictInvalid(verdict);
        if (!named || _recordOf(header.key, header.epoch).disputed[step]) return;
        if (!_hits(header, _termsOf(header.key), step, step)) revert StepNotDrawn(step);
    }

    /// @dev Whether a drawn step lies in [from, to].
    function _hits(IParticipationLedger.Header calldata header, ISwarmRegistry.Terms memory terms, uint32 from, uint32 to)
        private
        view
        returns (bool)
    {
        uint32[] memory drawn = _drawnSteps(terms.segments, header.key, header.epoch, header.steps);
        for (uint256 i = 0; i < drawn.length; ++i) {
            if (drawn[i] >= from && drawn[i] <= to) return true;
        }
        return false;
    }

    function _atLevel(bytes32 key, uint32 epoch, Phase needed, uint8 level) private view returns (Case memory state) {
        state = _inPhase(key, epoch, needed);
        if (level != state.level) revert WrongLevel(state.level, level);
    }

    function _inPhase(bytes32 key, uint32 epoch, Phase needed) private view returns (Case memory state) {
        state = _stateOf(key, epoch, _termsOf(key));
        if (state.phase != needed) revert WrongPhase(state.phase, needed);
    }

    function _onlyAgent(bytes32 key) private view {
        if (!ledger.isAgent(key, msg.sender)) revert NotAgent(key, msg.sender);
    }

    function _onlyCommitted(IParticipationLedger.Header calldata header) private view {
        if (!ledger.isCommitted(header)) revert HeaderUnknown(header.key, header.epoch);
    }

    function _bondOf(bytes32 swarm) private view returns (uint128) {
        return uint128(_terms(swarm).minStake / BOND_DIVISOR) + 1;
    }

    function _verdictHash(
        address auditor, bytes32 key, uint32 epoch, uint8 level, uint8 verdict, uint32 step, bytes32 value, bytes32 salt
    ) private view returns (bytes32) {
        return keccak256(abi.encode(auditor, address(this), key, epoch, level, verdict, step, value, salt));
    }

    function _plantHash(bytes32 key, uint32 epoch, uint32 from, uint32 to, bytes32 salt) private pure returns (bytes32) {
        return keccak256(abi.encode(key, epoch, from, to, salt));
    }

    function _challengeHash(bytes32 key, uint32 epoch, uint8 level, bytes32 challengerKey, bytes32 salt) private view returns (bytes32) {
        return keccak256(abi.encode(address(this), key, epoch, level, challengerKey, salt));
    }
}
