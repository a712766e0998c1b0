// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "../interfaces/IAuditCourt.sol";
import {IDisputeCourt} from "../interfaces/IDisputeCourt.sol";
import {IParticipationLedger} from "../interfaces/IParticipationLedger.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ISwarmRegistry} from "../interfaces/ISwarmRegistry.sol";
import {Schedule} from "../lib/Schedule.sol";
import {Descent} from "./Descent.sol";

/// @title Matches between a prover and its challengers: clocks, and what an end means for bonds and for the case
abstract contract Matches is IDisputeCourt {
    using Schedule for ISwarmRegistry.Terms;

    /// @notice Determinism classes of what computes canonically begin so; the rest is the recipe's.
    bytes8 public constant CLASS = bytes8(keccak256("openswarm/canonical/1"));

    struct Game {
        uint64 until; // by then every open match is over, whatever anybody does
        uint32 open;
        uint32[] steps; // that matches were opened about, each once
    }

    IAuditCourt public immutable court;
    IParticipationLedger public immutable ledger;
    IStakeVault public immutable vault;
    ISwarmRegistry public immutable registry;

    // Written through storage references, which slither does not follow.
    // slither-disable-start uninitialized-state
    mapping(bytes32 id => Match) internal _matches;
    mapping(bytes32 stepId => Step) internal _steps;
    mapping(bytes32 gameId => Game) internal _games;
    // slither-disable-end uninitialized-state
    mapping(bytes32 traceId => bytes32 id) private _firsts; // the match that showed a trace first

    constructor(ISwarmRegistry registry_, IParticipationLedger ledger_, IStakeVault vault_, IAuditCourt court_) {
        (registry, ledger, vault, court) = (registry_, ledger_, vault_, court_);
        _checkAddress(address(vault_));
        _checkAddress(address(court_));
    }

    /// @inheritdoc IDisputeCourt
    function timeout(bytes32 id) external {
        Match storage m = _matches[id];
        if (m.stage == Stage.None || m.stage == Stage.Closed) revert WrongStage(m.stage, Stage.Answer);
        (bool challengers, uint256 spent, uint256 left) = _clock(m);
        if (spent <= left) revert ClockRuns(spent, left);
        Ruling silence = challengers ? Ruling.ChallengerLost : Ruling.ProverLost;
        // Equal traces do not show the challenger wrong: the state that the record names behind the step may be kept from it.
        _end(id, m, m.stage == Stage.Equal ? Ruling.Structure : silence);
    }

    /// @inheritdoc IDisputeCourt
    function collect(bytes32 id) external {
        Match storage m = _matches[id];
        IAuditCourt.Outcome outcome = court.outcomeOf(m.key, m.epoch);
        bool overtaken = m.stage != Stage.None && m.stage != Stage.Closed && outcome == IAuditCourt.Outcome.Fault;
        bool settled = m.ruling == Ruling.Structure && outcome != IAuditCourt.Outcome.Open;
        if (!overtaken && !settled) revert NothingToCollect(id);
        if (overtaken) _close(id, m, Ruling.Late);
        _freeBond(id, m, outcome != IAuditCourt.Outcome.Clean);
    }

    /// @inheritdoc IDisputeCourt
    function matchOf(bytes32 id) external view returns (Match memory) {
        return _matches[id];
    }

    /// @inheritdoc IDisputeCourt
    function stepOf(bytes32 key, uint32 epoch, uint32 step) external view returns (Step memory) {
        return _stepOf(key, epoch, step);
    }

    /// @inheritdoc IDisputeCourt
    function clockOf(bytes32 id) external view returns (bool challengers, uint256 spent, uint256 left) {
        return _clock(_matches[id]);
    }

    /// @inheritdoc IDisputeCourt
    function nodesOf(bytes32 id) external view returns (uint256) {
        Match storage m = _matches[id];
        return m.leaves == 0 ? 0 : Descent.spanOf(m.leaves, m.height, m.index).count;
    }

    /// @inheritdoc IDisputeCourt
    function openCount(bytes32 key, uint32 epoch) external view returns (uint256) {
        return _gameOf(key, epoch).open;
    }

    /// @inheritdoc IDisputeCourt
    function disputedSteps(bytes32 key, uint32 epoch) external view returns (uint32[] memory) {
        return _gameOf(key, epoch).steps;
    }

    function _stepOf(bytes32 key, uint32 epoch, uint32 step) internal view returns (Step storage) {
        return _steps[keccak256(abi.encode(key, epoch, step))];
    }

    function _gameOf(bytes32 key, uint32 epoch) internal view returns (Game storage) {
        return _games[keccak256(abi.encode(key, epoch))];
    }

    function _onlyAgent(bytes32 key) internal view {
        if (!ledger.isAgent(key, msg.sender)) revert NotAgent(key, msg.sender);
    }

    /// @dev Whose clock runs, how long it has and may. While a trace is waited for, the prover's until it answered, the challenger's then.
    function _clock(Match storage m) internal view returns (bool challengers, uint256 spent, uint256 left) {
        (uint256 since, uint256 proverLeft) = (m.since, m.proverLeft);
        challengers = m.challengersTurn;
        if (m.stage == Stage.Answer) {
            uint256 answered = _stepOf(m.key, m.epoch, m.step).answeredAt;
            if (answered != 0) {
                if (answered < since) answered = since;
                if (answered - since > proverLeft) return (false, answered - since, proverLeft);
                (challengers, since) = (true, answered);
            }
        }
        return (challengers, block.timestamp - since, challengers ? m.challengerLeft : proverLeft);
    }

    /// @dev Stops the clock that runs, and starts that of a side.
    function _turn(Match storage m, bool challengers) internal {
        (bool was, uint256 spent, uint256 left) = _clock(m);
        if (spent > left) revert ClockOut(spent, left);
        if (was != m.challengersTurn) m.proverLeft -= uint40(block.timestamp - m.since - spent); // it answered in between
        if (was) m.challengerLeft -= uint40(spent);
        else m.proverLeft -= uint40(spent);
        (m.since, m.challengersTurn) = (uint64(block.timestamp), challengers);
    }

    /// @dev The contracts called are known, and none of them calls back.
    // slither-disable-next-line reentrancy-no-eth
    function _begin(bytes32 id, Match storage m) internal {
        bytes32 swarm = ledger.swarmOf(m.key);
        uint64 until = _startClocks(m, registry.termsOf(swarm));
        uint128 bond = uint128(court.bondOf(swarm));
        m.bond = bond;
        emit Opened(id, m.key, m.epoch, m.step, m.challenger, bond, until);
        vault.takeBond(m.challenger, bond);
        // slither-disable-next-line unused-return
        court.rule(m.key, m.epoch, until, m.step, address(0));
    }

    /// @dev Each side may think as long as a panel may for its verdict, with reveals and challenge; then there is time to say so. All that has
    /// to fit into the longest case, since for longer the stake need not be there.
    function _startClocks(Match storage m, ISwarmRegistry.Terms memory terms) private returns (uint64) {
        uint256 clock = terms.levelLength();
        uint256 until = block.timestamp + 2 * clock + terms.challenge;
        uint256 limit = terms.endOf(m.epoch) + terms.longestCase();
        if (until > limit) revert GameTooLate(until, limit);
        m.since = uint64(block.timestamp);
        m.proverLeft = uint40(clock);
        m.challengerLeft = uint40(clock);
        Game storage game = _gameOf(m.key, m.epoch);
        game.until = uint64(until);
        game.open += 1;
        return uint64(until);
    }

    /// @dev The prover's trace and the challenger's are on the table: remembers who showed this one first.
    function _register(bytes32 id, Match storage m, Trace calldata trace) internal {
        bytes32 traceId = keccak256(abi.encode(m.key, m.epoch, m.step, trace));
        m.sealedTrace = traceId;
        if (_firsts[traceId] == bytes32(0)) _firsts[traceId] = id;
    }

    /// @dev The contracts called are known, and none of them calls back.
    // slither-disable-next-line reentrancy-no-eth
    function _end(bytes32 id, Match storage m, Ruling ruling) internal {
        uint64 until = _leave(m);
        if (ruling == Ruling.ProverLost) {
            if (!court.rule(m.key, m.epoch, until, m.step, _winner(id, m))) ruling = Ruling.Late;
        } else {
            // slither-disable-next-line unused-return
            court.rule(m.key, m.epoch, until, m.step, address(0));
        }
        (m.stage, m.ruling) = (Stage.Closed, ruling);
        emit Ended(id, m.key, m.epoch, ruling);
        if (ruling != Ruling.Structure) _freeBond(id, m, ruling != Ruling.ChallengerLost);
    }

    /// @dev A match that the end of the case overtook.
    function _close(bytes32 id, Match storage m, Ruling ruling) private {
        // slither-disable-next-line unused-return
        _leave(m);
        (m.stage, m.ruling) = (Stage.Closed, ruling);
        emit Ended(id, m.key, m.epoch, ruling);
    }

    /// @dev One match less; how long the case has to wait for the others.
    function _leave(Match storage m) private returns (uint64 until) {
        Game storage game = _gameOf(m.key, m.epoch);
        until = --game.open == 0 ? 0 : game.until;
    }

    /// @dev Who copies a trace that somebody else has shown takes nothing from him, unless he has given up.
    function _winner(bytes32 id, Match storage m) private view returns (address) {
        bytes32 first = _firsts[m.sealedTrace];
        bool stands = first != bytes32(0) && first != id && _matches[first].stage != Stage.Closed;
        return ledger.operatorOf(stands ? _matches[first].challenger : m.challenger);
    }

    function _freeBond(bytes32 id, Match storage m, bool back) private {
        uint256 bond = m.bond;
        m.bond = 0;
        if (bond == 0) revert NothingToCollect(id);
        bytes32 swarm = ledger.swarmOf(m.key);
        emit Collected(id, back, bond);
        if (back) vault.payAside(swarm, ledger.operatorOf(m.challenger), bond);
        else vault.dropAside(swarm, bond);
    }

    /// @dev The others name this contract when they are built; a wrong address shows here, not later.
    function _checkAddress(address other) private view {
        (bool ok, bytes memory answer) = other.staticcall(abi.encodeWithSignature("disputes()"));
        address named = ok ? abi.decode(answer, (address)) : address(0);
        if (named != address(this)) revert AddressMismatch(named, address(this));
    }
}
