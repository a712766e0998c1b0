// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "./interfaces/IAuditCourt.sol";
import {IParticipationLedger} from "./interfaces/IParticipationLedger.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";
import {Schedule} from "./lib/Schedule.sol";

/// @title Where a case stands: a pure function of what was revealed and challenged, and of the time
/// @dev Nothing has to be called for a case to move on. A session is one panel: (key, epoch, level, roll).
abstract contract Cases is IAuditCourt {
    using Schedule for ISwarmRegistry.Terms;

    uint8 internal constant LAST_LEVEL = 3;
    uint8 internal constant LAST_ROLL = 2;

    struct Session {
        bytes32[] panel;
        bytes32 leader; // the choice with most votes: hash of (verdict, step, value)
        bytes32 leaderValue;
        uint32 leaderStep;
        Verdict leaderVerdict;
        uint8 best; // its votes
        uint8 revealed; // votes that say anything about the work
        bool drawn;
        bool small;
        mapping(bytes32 choice => uint8) counts;
        mapping(bytes32 auditorKey => Vote) votes;
    }

    struct Challenge {
        bytes32 challengerKey;
        uint128 bond;
    }

    struct Record {
        Outcome outcome; // Conceded at once; anything else when finalized
        bool finalized;
        bool planted;
        bool plantDrawn; // a drawn step lies in [plantFrom, plantTo]
        bool small;
        uint8 level; // when finalized
        uint8 roll;
        uint32 plantFrom;
        uint32 plantTo;
        uint128 plantBond;
        uint64 heldUntil; // a dispute is open, until then at most
        address accuser; // who won one
        mapping(uint8 level => Challenge) challenges;
        mapping(uint32 step => bool) provided;
        mapping(uint32 step => bool) disputed; // panels may name it, drawn or not
    }

    ISwarmRegistry public immutable registry;
    IParticipationLedger public immutable ledger;
    IStakeVault public immutable vault;
    address public immutable disputes;

    // Both are written through storage references, which slither does not follow.
    // slither-disable-start uninitialized-state
    mapping(bytes32 caseId => Record) internal _records;
    mapping(bytes32 sessionId => Session) internal _sessions;
    // slither-disable-end uninitialized-state

    constructor(ISwarmRegistry registry_, IParticipationLedger ledger_, IStakeVault vault_, address disputes_) {
        registry = registry_;
        ledger = ledger_;
        vault = vault_;
        disputes = disputes_;
    }

    /// @inheritdoc IAuditCourt
    function caseOf(bytes32 key, uint32 epoch) external view returns (Case memory) {
        return _stateOf(key, epoch, _termsOf(key));
    }

    /// @inheritdoc IAuditCourt
    function outcomeOf(bytes32 key, uint32 epoch) external view returns (Outcome) {
        Case memory state = _stateOf(key, epoch, _termsOf(key));
        return state.phase == Phase.Closed ? state.outcome : Outcome.Open;
    }

    /// @inheritdoc IAuditCourt
    function voteOf(bytes32 key, uint32 epoch, uint8 level, uint8 roll, bytes32 auditorKey) external view returns (Vote memory) {
        return _sessionOf(key, epoch, level, roll).votes[auditorKey];
    }

    /// @inheritdoc IAuditCourt
    function timesOf(bytes32 swarm, uint32 epoch, uint8 level, uint8 roll)
        external
        view
        returns (uint256 opens, uint256 commits, uint256 reveals, uint256 closes)
    {
        ISwarmRegistry.Terms memory terms = _terms(swarm);
        opens = _opensAt(terms, epoch, level, roll);
        commits = opens + terms.audit;
        reveals = commits + terms.reveal;
        closes = reveals + terms.challenge;
    }

    function _terms(bytes32 swarm) internal view returns (ISwarmRegistry.Terms memory) {
        return registry.termsOf(swarm);
    }

    function _swarmOf(bytes32 key) internal view returns (bytes32) {
        return ledger.swarmOf(key);
    }

    function _termsOf(bytes32 key) internal view returns (ISwarmRegistry.Terms memory) {
        return _terms(_swarmOf(key));
    }

    function _recordOf(bytes32 key, uint32 epoch) internal view returns (Record storage) {
        return _records[keccak256(abi.encode(key, epoch))];
    }

    function _sessionOf(bytes32 key, uint32 epoch, uint8 level, uint8 roll) internal view returns (Session storage) {
        return _sessions[keccak256(abi.encode(key, epoch, level, roll))];
    }

    function _opensAt(ISwarmRegistry.Terms memory terms, uint32 epoch, uint8 level, uint8 roll) internal pure returns (uint256) {
        return terms.closeOf(epoch) + terms.beacon + roll * terms.roundLength() + level * terms.levelLength();
    }

    function _stateOf(bytes32 key, uint32 epoch, ISwarmRegistry.Terms memory terms) internal view returns (Case memory state) {
        Record storage record = _recordOf(key, epoch);
        state.planted = record.planted;
        if (record.outcome != Outcome.Open) return _stored(record, state, key, epoch);
        uint256 close = terms.closeOf(epoch);
        // The window's last second belongs to it, as in the ledger.
        if (block.timestamp <= close) return _at(state, Phase.Commit, close + 1);
        if (block.timestamp < close + terms.beacon) return _at(state, Phase.Beacon, close + terms.beacon);
        while (!_inSession(state, record, key, epoch, terms)) {
            if (state.level == 0 && state.outcome == Outcome.Unaudited) ++state.roll;
            else ++state.level;
        }
        if (state.phase != Phase.Closed || state.outcome == Outcome.Fault || block.timestamp >= record.heldUntil) return state;
        state.outcome = Outcome.Open;
        return _at(state, Phase.Challenge, record.heldUntil);
    }

    /// @dev Looks at one session; false if the case has moved on to the next.
    function _inSession(Case memory state, Record storage record, bytes32 key, uint32 epoch, ISwarmRegistry.Terms memory terms)
        private
        view
        returns (bool)
    {
        Session storage session = _sessionOf(key, epoch, state.level, state.roll);
        uint256 commits = _opensAt(terms, epoch, state.level, state.roll) + terms.audit;
        (state.seats, state.revealed) = (uint8(session.panel.length), session.revealed);
        state.smallPanel = state.smallPanel || session.small;
        state.outcome = Outcome.Open;
        if (block.timestamp < commits) return _stay(state, Phase.Audit, commits);
        uint256 reveals = commits + terms.reveal;
        if (block.timestamp < reveals) return _stay(state, Phase.Reveal, reveals);
        state.outcome = _tally(session, record, state.level);
        if (state.outcome == Outcome.Unaudited) return state.roll == LAST_ROLL && _stay(state, Phase.Closed, reveals);
        uint256 closes = reveals + terms.challenge;
        state.challenged = record.challenges[state.level].bond != 0;
        if (block.timestamp < closes) return _stay(state, Phase.Challenge, closes);
        if (state.outcome != Outcome.Open && !state.challenged) return _stay(state, Phase.Closed, closes);
        if (state.level < LAST_LEVEL) return false;
        state.outcome = Outcome.Tied;
        return _stay(state, Phase.Closed, closes);
    }

    /// @dev What a panel has decided; Open if nothing, which sends the case on.
    function _tally(Session storage session, Record storage record, uint8 level) private view returns (Outcome) {
        uint256 seats = session.panel.length;
        uint256 best = session.best;
        if (level == 0) {
            if (session.revealed == 0) return Outcome.Unaudited;
            if (best < seats) return Outcome.Open;
            if (record.planted) return _plantStands(session, record) ? Outcome.Planted : Outcome.Open;
            return session.leaderVerdict == Verdict.Ok ? Outcome.Clean : Outcome.Open;
        }
        if (seats < 2 || 2 * best <= seats) return Outcome.Open;
        if (session.leaderVerdict == Verdict.Unavailable) {
            bool answered = session.leaderValue == bytes32(0) && record.provided[session.leaderStep];
            return 3 * best < 2 * seats || answered ? Outcome.Open : Outcome.Withheld;
        }
        if (record.planted && (session.leaderVerdict == Verdict.Ok || _inPlant(record, session.leaderStep))) return Outcome.Planted;
        return session.leaderVerdict == Verdict.Ok ? Outcome.Clean : Outcome.Fault;
    }

    /// @dev Auditors and planter agree: all found it, or none of the drawn steps was in it and all found nothing.
    function _plantStands(Session storage session, Record storage record) private view returns (bool) {
        if (session.leaderVerdict == Verdict.Ok) return !record.plantDrawn;
        return session.leaderVerdict == Verdict.Fault && _inPlant(record, session.leaderStep);
    }

    function _inPlant(Record storage record, uint32 step) internal view returns (bool) {
        return step >= record.plantFrom && step <= record.plantTo;
    }

    function _stored(Record storage record, Case memory state, bytes32 key, uint32 epoch) private view returns (Case memory) {
        (state.phase, state.outcome, state.finalized) = (Phase.Closed, record.outcome, record.finalized);
        (state.level, state.roll) = (record.level, record.roll);
        Session storage session = _sessionOf(key, epoch, state.level, state.roll);
        (state.seats, state.revealed, state.smallPanel) = (uint8(session.panel.length), session.revealed, record.small);
        return state;
    }

    function _at(Case memory state, Phase phase, uint256 ends) private pure returns (Case memory) {
        _stay(state, phase, ends);
        return state;
    }

    function _stay(Case memory state, Phase phase, uint256 ends) private pure returns (bool) {
        state.phase = phase;
        state.phaseEnds = uint64(ends);
        return true;
    }
}
