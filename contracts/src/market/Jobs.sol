// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IComputeMarket} from "../interfaces/IComputeMarket.sol";
import {IJobDelivery} from "../interfaces/IJobDelivery.sol";
import {IParticipationLedger} from "../interfaces/IParticipationLedger.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ISwarmRegistry} from "../interfaces/ISwarmRegistry.sol";
import {Escrow} from "./Escrow.sol";

/// @title Where a job stands: a function of what was accepted, delivered and opened, and of the time
abstract contract Jobs is Escrow {
    uint256 internal constant BPS = 10_000;
    /// @dev Auditors that the budget pays for each commitment, attesters for each delivery, scorers for each part.
    uint256 internal constant SEATS = 2;
    uint256 internal constant SEEDERS = 2;

    /// @dev The swarm's terms that matter here are copied: they never change, and reading them all again costs more.
    struct Record {
        address submitter;
        uint8 seeders;
        bool cancelled;
        bool settled;
        uint64 deadline;
        uint32 steps;
        uint64 start;
        uint32 epoch;
        uint64 tail; // from the deadline to the last acceptance
        uint16 segments;
        uint128 plants;
        bytes32 base;
    }

    ISwarmRegistry public immutable registry;
    IParticipationLedger public immutable ledger;
    IStakeVault public immutable vault;
    /// @notice The only randomness that jobs may use: a submitter's own could draw its own auditors.
    IBeacon public immutable beacon;
    IJobDelivery public immutable delivery;

    mapping(bytes32 job => Offer) internal _offers;
    // Written through storage references, which slither does not follow.
    // slither-disable-start uninitialized-state
    mapping(bytes32 job => Record) internal _records;
    mapping(bytes32 job => mapping(uint8 part => Part)) internal _parts;
    // slither-disable-end uninitialized-state
    mapping(bytes32 job => mapping(address operator => bool)) internal _seeders;
    mapping(bytes32 key => uint32) internal _next;

    /// @param delivery_ is deployed after this contract, at an address known in advance.
    constructor(
        ISwarmRegistry registry_,
        IParticipationLedger ledger_,
        IStakeVault vault_,
        IBeacon beacon_,
        IJobDelivery delivery_
    ) {
        (registry, ledger, vault, beacon, delivery) = (registry_, ledger_, vault_, beacon_, delivery_);
    }

    /// @inheritdoc IComputeMarket
    function offerOf(bytes32 job) external view returns (Offer memory) {
        return _offers[job];
    }

    /// @inheritdoc IComputeMarket
    function jobOf(bytes32 job) external view returns (Job memory j) {
        Record storage r = _records[job];
        j.phase = _phase(job);
        if (j.phase == JobPhase.Unknown) return j;
        (j.submitter, j.token, j.cancelled, j.seeders) = (r.submitter, _tokens[job], r.cancelled, r.seeders);
        (j.deadline, j.ends) = (r.deadline, uint64(_endsAt(job)));
        (j.steps, j.plants, j.escrow) = (r.steps, r.plants, _escrows[job]);
    }

    /// @inheritdoc IComputeMarket
    function partOf(bytes32 job, uint8 part) external view returns (Part memory p) {
        p = _parts[job][part];
        if (p.root == bytes32(0)) p.root = _records[job].base;
    }

    /// @inheritdoc IComputeMarket
    function phaseOf(bytes32 job) external view returns (JobPhase) {
        return _phase(job);
    }

    /// @inheritdoc IComputeMarket
    function isComplete(bytes32 job, uint8 part) external view returns (bool) {
        return _isComplete(job, _parts[job][part]);
    }

    /// @inheritdoc IComputeMarket
    function isSettled(bytes32 job) external view returns (bool) {
        return _records[job].settled;
    }

    /// @inheritdoc IComputeMarket
    function isSeeder(bytes32 job, address operator) external view returns (bool) {
        return _seeders[job][operator];
    }

    /// @inheritdoc IComputeMarket
    function nextOf(bytes32 key) external view returns (uint32) {
        return _next[key];
    }

    /// @inheritdoc IComputeMarket
    function timesOf(bytes32 job) external view returns (uint256 accepts, uint256 delivers, uint256 done, uint256 ends) {
        return (_acceptsUntil(_records[job]), _deliversUntil(job), _doneAt(job), _endsAt(job));
    }

    /// @inheritdoc IComputeMarket
    function deliversUntil(bytes32 job) external view returns (uint256) {
        return _deliversUntil(job);
    }

    /// @inheritdoc IComputeMarket
    function costOf(Offer memory offer, uint16 segments) external pure returns (uint256) {
        return _costOf(offer, segments);
    }

    /// @inheritdoc IComputeMarket
    function bondOf(Offer memory offer) external pure returns (uint256) {
        return _bondOf(offer);
    }

    /// @dev price, plants, auditors as if every epoch had leastSteps, and for each part its attesters and scorers.
    function _costOf(Offer memory o, uint256 segments) internal pure returns (uint256) {
        uint256 audits = Math.ceilDiv(SEATS * segments * o.perSegment * o.steps, o.leastSteps);
        uint256 votes = uint256(o.perSegment) * SEATS * (o.targetBps == 0 ? 1 : 1 + segments);
        return uint256(o.price) + o.plants + audits + o.parts * votes;
    }

    function _bondOf(Offer memory o) internal pure returns (uint256) {
        return uint256(o.price) / o.parts / 50 + 1;
    }

    function _phase(bytes32 job) internal view returns (JobPhase) {
        Record storage r = _records[job];
        if (r.submitter == address(0)) return JobPhase.Unknown;
        if (r.settled) return JobPhase.Settled;
        uint256 window = _offers[job].openWindow;
        uint256 opened = delivery.openedAt(job);
        if (opened != 0) {
            if (block.timestamp < opened + window) return JobPhase.Scoring;
            return block.timestamp < opened + 2 * window ? JobPhase.Revealing : JobPhase.Over;
        }
        uint256 done = _doneAt(job);
        if (block.timestamp < done) return r.seeders < SEEDERS ? JobPhase.Seeding : JobPhase.Working;
        return _hasEvaluation(job) && block.timestamp < done + window ? JobPhase.Opening : JobPhase.Over;
    }

    function _endsAt(bytes32 job) internal view returns (uint256) {
        uint256 window = _offers[job].openWindow;
        uint256 opened = delivery.openedAt(job);
        if (opened != 0) return opened + 2 * window;
        return _doneAt(job) + (_hasEvaluation(job) ? window : 0);
    }

    /// @dev When the last part was decided, or will be at the latest.
    function _doneAt(bytes32 job) internal view returns (uint256 done) {
        uint256 parts = _offers[job].parts;
        for (uint8 part = 0; part < parts; ++part) {
            done = Math.max(done, _decidedAt(job, part, _parts[job][part]));
        }
    }

    function _decidedAt(bytes32 job, uint8 part, Part storage p) private view returns (uint256) {
        Record storage r = _records[job];
        if (r.cancelled) return p.key == bytes32(0) || _isComplete(job, p) ? 0 : _acceptsUntil(r);
        if (_isComplete(job, p)) {
            if (p.steps == 0) return 0;
            uint256 delivered = delivery.deliveredAt(job, part);
            if (delivered != 0) return delivered;
        } else if (p.key == bytes32(0)) {
            return r.deadline;
        }
        return _deliversUntil(job) + _offers[job].openWindow;
    }

    function _isComplete(bytes32 job, Part storage p) internal view returns (bool) {
        Offer storage o = _offers[job];
        return p.key != bytes32(0) && (p.steps == o.stepsEach || _records[job].steps == o.steps);
    }

    function _hasEvaluation(bytes32 job) internal view returns (bool) {
        return _offers[job].targetBps != 0 && !_records[job].cancelled;
    }

    function _acceptsUntil(Record storage r) internal view returns (uint256) {
        return uint256(r.deadline) + r.tail;
    }

    function _deliversUntil(bytes32 job) internal view returns (uint256) {
        return _acceptsUntil(_records[job]) + _offers[job].openWindow;
    }

    function _knownPart(bytes32 job, uint8 part) internal view returns (Part storage) {
        _liveRecord(job);
        uint256 parts = _offers[job].parts;
        if (part >= parts) revert PartUnknown(part, parts);
        return _parts[job][part];
    }

    /// @dev A job that was posted and is not settled.
    function _liveRecord(bytes32 job) internal view returns (Record storage r) {
        r = _records[job];
        if (r.submitter == address(0)) revert JobUnknown(job);
        if (r.settled) revert JobPhaseWrong(JobPhase.Settled, JobPhase.Working);
    }

    function _onlySubmitter(bytes32 job) internal view {
        if (msg.sender != _records[job].submitter) revert NotSubmitter(job, msg.sender);
    }

    function _onlyAgent(bytes32 key) internal view {
        if (!ledger.isAgent(key, msg.sender)) revert NotAgent(key, msg.sender);
    }

    /// @dev A member of the job's swarm whose stake stands good for work: neither lapsed nor slashed below half the least.
    function _inStanding(bytes32 job, bytes32 key) internal view {
        if (ledger.swarmOf(key) != job) revert MemberForeign(job, key);
        if (vault.capacityOf(key) == 0) revert StandingLost(key);
    }
}
