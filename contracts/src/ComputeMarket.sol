// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IBeacon} from "./interfaces/IBeacon.sol";
import {IComputeMarket} from "./interfaces/IComputeMarket.sol";
import {IJobDelivery} from "./interfaces/IJobDelivery.sol";
import {IParticipationLedger} from "./interfaces/IParticipationLedger.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";
import {Schedule} from "./lib/Schedule.sol";
import {Jobs} from "./market/Jobs.sol";
import {Wages} from "./market/Wages.sol";

/// @title The compute market: offers, claims, cancellation, settlement. Nobody owns it.
contract ComputeMarket is Wages {
    uint256 private constant BRIEF_LIMIT = 4096;
    uint256 private constant PARTS_LIMIT = 64;
    uint256 private constant LONGEST_JOB = 365 days;
    uint256 private constant LONGEST_WINDOW = 30 days;

    mapping(bytes32 job => mapping(address operator => uint256)) private _working; // 1 + the part
    mapping(bytes32 job => mapping(uint8 part => mapping(address operator => bool))) private _collected;

    constructor(
        ISwarmRegistry registry_,
        IParticipationLedger ledger_,
        IStakeVault vault_,
        IBeacon beacon_,
        IJobDelivery delivery_
    ) Jobs(registry_, ledger_, vault_, beacon_, delivery_) {}

    /// @inheritdoc IComputeMarket
    function post(bytes32 job, Offer memory offer, bytes calldata brief) external nonReentrant {
        if (_records[job].submitter != address(0)) revert JobExists(job);
        ISwarmRegistry.Swarm memory swarm = registry.swarmOf(job);
        if (swarm.creator != msg.sender) revert NotSubmitter(job, msg.sender);
        if (brief.length > BRIEF_LIMIT) revert BriefTooLong(brief.length, BRIEF_LIMIT);
        ISwarmRegistry.Terms memory terms = registry.termsOf(job);
        if (address(terms.randomness) != address(beacon)) revert BeaconForeign(address(terms.randomness), address(beacon));
        _checkTimes(offer, terms);
        _checkWork(offer, terms);
        _offers[job] = offer;
        _record(job, offer, terms, swarm.base);
        uint256 cost = _costOf(offer, terms.segments);
        emit Posted(job, msg.sender, offer, cost, brief);
        _pull(job, cost);
    }

    /// @inheritdoc IComputeMarket
    function seed(bytes32 job, bytes32 key) external {
        Record storage r = _liveRecord(job);
        _onlyAgent(key);
        _inStanding(job, key);
        address operator = ledger.operatorOf(key);
        if (operator == r.submitter) revert SubmitterExcluded(job);
        if (_seeders[job][operator]) revert SeederKnown(job, operator);
        _checkStake(job, key, 0);
        _seeders[job][operator] = true;
        emit Seeded(job, key, operator);
        if (r.seeders == SEEDERS) return;
        if (++r.seeders == SEEDERS) emit Opened(job);
    }

    /// @inheritdoc IComputeMarket
    function claim(bytes32 job, uint8 part, bytes32 key) external nonReentrant {
        Part storage p = _knownPart(job, part);
        Record storage r = _records[job];
        Offer storage o = _offers[job];
        if (ledger.operatorOf(key) != msg.sender) revert NotOperator(key, msg.sender);
        if (r.seeders < SEEDERS) revert JobPhaseWrong(JobPhase.Seeding, JobPhase.Working);
        if (block.timestamp >= r.deadline || r.cancelled) revert TooLate(block.timestamp, r.deadline);
        if (p.key != bytes32(0)) revert PartTaken(job, part, p.key);
        if (r.steps == o.steps) revert PartComplete(job, part);
        if (_working[job][msg.sender] != 0) revert OperatorBusy(job, msg.sender, _working[job][msg.sender] - 1);
        _inStanding(job, key);
        _checkStake(job, key, o.solverStake);
        _take(job, part, p, key);
        emit Claimed(job, part, key, msg.sender, p.root, p.checkpoint, p.bond);
        _pull(job, p.bond);
    }

    /// @inheritdoc IComputeMarket
    function quit(bytes32 job, uint8 part) external {
        Part storage p = _heldPart(job, part);
        _onlyAgent(p.key);
        bool cancelled = _records[job].cancelled;
        bool back = p.own >= _offers[job].leastSteps || cancelled;
        emit Quit(job, part, p.key, back);
        if (cancelled) _owe(job, p.operator, _unkeep(p));
        _free(job, p, back);
    }

    /// @inheritdoc IComputeMarket
    function expire(bytes32 job, uint8 part) external {
        Part storage p = _heldPart(job, part);
        Record storage r = _records[job];
        if (block.timestamp >= r.deadline || r.cancelled) revert TooLate(block.timestamp, r.deadline);
        uint256 from = p.moved + _offers[job].patience;
        if (block.timestamp < from) revert TooSoon(block.timestamp, from);
        emit Expired(job, part, p.key, p.bond);
        _free(job, p, false);
    }

    /// @inheritdoc IComputeMarket
    function release(bytes32 job, uint8 part) external {
        Part storage p = _knownPart(job, part);
        if (p.released || !delivery.isDelivered(job, part)) revert NothingDelivered(job, part);
        _release(job, part, p);
    }

    /// @inheritdoc IComputeMarket
    function collect(bytes32 job, uint8 part) external {
        if (!_records[job].settled) revert JobPhaseWrong(_phase(job), JobPhase.Settled);
        (bool attester, bool scorer) = delivery.isWinner(job, part, msg.sender);
        (uint256 attestation, uint256 score,) = _sharesOf(job, part);
        uint256 amount = (attester ? attestation : 0) + (scorer ? score : 0);
        if (amount == 0 || _collected[job][part][msg.sender]) revert NothingToPay();
        _collected[job][part][msg.sender] = true;
        _owe(job, msg.sender, amount);
        emit Collected(job, part, msg.sender, amount);
    }

    /// @inheritdoc IComputeMarket
    function cancel(bytes32 job) external {
        Record storage r = _liveRecord(job);
        _onlySubmitter(job);
        JobPhase phase = _phase(job);
        if (r.cancelled || phase > JobPhase.Working) revert JobPhaseWrong(phase, JobPhase.Working);
        r.cancelled = true;
        r.deadline = uint64(Math.min(r.deadline, block.timestamp + 2 * uint256(r.epoch)));
        emit Cancelled(job, r.deadline);
        if (_doneAt(job) <= block.timestamp) _settle(job);
    }

    /// @inheritdoc IComputeMarket
    function settle(bytes32 job) external {
        _liveRecord(job);
        uint256 ends = _endsAt(job);
        if (block.timestamp < ends) revert TooSoon(block.timestamp, ends);
        _settle(job);
    }

    function _settle(bytes32 job) private {
        Record storage r = _records[job];
        uint256 parts = _offers[job].parts;
        uint256 promised = 0;
        r.settled = true;
        for (uint8 part = 0; part < parts; ++part) {
            Part storage p = _parts[job][part];
            if (p.key == bytes32(0)) continue;
            _settleBond(job, p);
            if (r.cancelled) _owe(job, p.operator, _unkeep(p));
            else if (delivery.isDelivered(job, part)) _close(job, part, p);
            (,, uint256 all) = _sharesOf(job, part);
            promised += all;
        }
        uint256 refund = _escrows[job] - promised;
        _owe(job, r.submitter, refund);
        emit Settled(job, refund);
    }

    /// @dev Who could have been expired before the deadline loses its bond now.
    function _settleBond(bytes32 job, Part storage p) private {
        if (p.bond == 0) return;
        Record storage r = _records[job];
        bool idle = !r.cancelled && !_isComplete(job, p) && p.moved + _offers[job].patience <= r.deadline;
        _owe(job, idle ? PYRE : p.operator, p.bond);
        p.bond = 0;
    }

    /// @dev A delivered part's solver gets what was kept back for that and, by its score, for the target.
    function _close(bytes32 job, uint8 part, Part storage p) private {
        if (!p.released) _release(job, part, p);
        if (p.keptTarget == 0) return;
        (bool decided, uint32 score) = delivery.scoreOf(job, part);
        uint256 paid = p.keptTarget;
        if (delivery.openedAt(job) != 0) {
            if (!decided) paid /= 2;
            else if (score < _offers[job].target) paid = 0;
        }
        _owe(job, p.operator, paid);
        emit Scored(job, part, decided, score, paid);
    }

    function _release(bytes32 job, uint8 part, Part storage p) private {
        p.released = true;
        _owe(job, p.operator, p.kept);
        emit Released(job, part, p.operator, p.kept);
    }

    /// @dev What each of those who were right about a part gets, and all of them together.
    function _sharesOf(bytes32 job, uint8 part) private view returns (uint256 attestation, uint256 score, uint256 all) {
        (uint256 attesters, uint256 scorers) = delivery.winnersOf(job, part);
        uint256 pool = SEATS * _offers[job].perSegment;
        if (attesters != 0) attestation = pool / attesters;
        if (scorers != 0) score = pool * _records[job].segments / scorers;
        all = attesters * attestation + scorers * score;
    }

    /// @dev All that is still kept back for the solver of a cancelled job.
    function _unkeep(Part storage p) private returns (uint256 amount) {
        amount = (p.released ? 0 : p.kept) + p.keptTarget;
        (p.released, p.keptTarget) = (true, 0);
    }

    function _finish(bytes32 job, Part storage p) internal override {
        _owe(job, p.operator, p.bond);
        p.bond = 0;
        _working[job][p.operator] = 0;
    }

    function _take(bytes32 job, uint8 part, Part storage p, bytes32 key) private {
        if (p.root == bytes32(0)) p.root = _records[job].base;
        (p.key, p.operator, p.moved) = (key, msg.sender, uint64(block.timestamp));
        p.bond = uint128(_bondOf(_offers[job]));
        _working[job][msg.sender] = uint256(part) + 1;
    }

    function _free(bytes32 job, Part storage p, bool back) private {
        _owe(job, back ? p.operator : PYRE, p.bond);
        _working[job][p.operator] = 0;
        (p.key, p.operator, p.moved, p.bond) = (bytes32(0), address(0), 0, 0);
        (p.own, p.pace, p.planted) = (0, 0, 0);
    }

    function _heldPart(bytes32 job, uint8 part) private view returns (Part storage p) {
        p = _knownPart(job, part);
        if (p.key == bytes32(0)) revert PartFree(job, part);
        if (_isComplete(job, p)) revert PartComplete(job, part);
    }

    function _checkStake(bytes32 job, bytes32 key, uint256 least) private view {
        IStakeVault.Stake memory stake = vault.stakeOf(key);
        bytes32 class = _offers[job].class;
        if (class != bytes32(0) && stake.class != class) revert ClassWrong(stake.class, class);
        if (stake.active < least) revert StakeTooSmall(stake.active, least);
    }

    function _record(bytes32 job, Offer memory offer, ISwarmRegistry.Terms memory terms, bytes32 base) private {
        Record storage r = _records[job];
        (r.submitter, r.deadline, _tokens[job]) = (msg.sender, offer.deadline, terms.token);
        (r.start, r.epoch, r.segments) = (terms.start, terms.epoch, terms.segments);
        (r.tail, r.plants, r.base) = (uint64(Schedule.longestCase(terms) + 2 * uint256(terms.epoch)), offer.plants, base);
    }

    function _checkTimes(Offer memory o, ISwarmRegistry.Terms memory terms) private view {
        uint256 epoch = terms.epoch;
        _between("parts", o.parts, 1, PARTS_LIMIT);
        _between("steps", o.steps, 1, type(uint32).max);
        uint256 epochs = Math.ceilDiv(Math.ceilDiv(o.steps, o.parts), terms.maxSteps);
        uint256 begins = Math.max(block.timestamp, terms.start);
        _between("deadline", o.deadline, begins + epochs * epoch, begins + LONGEST_JOB);
        _between("patience", o.patience, Schedule.longestCase(terms) + 3 * epoch, LONGEST_JOB);
        _between("openWindow", o.openWindow, epoch, LONGEST_WINDOW);
    }

    function _checkWork(Offer memory o, ISwarmRegistry.Terms memory terms) private pure {
        if (terms.faucet) revert OfferOutOfBounds("faucet", 1, 0);
        _between("stepsEach", o.stepsEach, Math.ceilDiv(o.steps, o.parts), o.steps);
        _between("leastSteps", o.leastSteps, 1, o.stepsEach);
        _between("price", o.price, o.steps, type(uint128).max);
        _between("perSegment", o.perSegment, 1, type(uint128).max);
        _between("plants", o.plants, 0, o.price / 10);
        _between("solverStake", o.solverStake, terms.minStake, type(uint96).max);
        _between("deliveryBps", o.deliveryBps, 1, BPS / 2);
        _between("targetBps", o.targetBps, 0, BPS / 2 - 1);
        _between("target", o.target, 0, o.targetBps == 0 ? 0 : BPS);
        if ((o.evaluation == bytes32(0)) != (o.targetBps == 0)) revert OfferOutOfBounds("evaluation", uint256(o.evaluation), o.targetBps);
    }

    function _between(bytes32 name, uint256 actual, uint256 low, uint256 high) private pure {
        if (actual < low) revert OfferOutOfBounds(name, actual, low);
        if (actual > high) revert OfferOutOfBounds(name, actual, high);
    }
}
