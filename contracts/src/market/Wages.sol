// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IAuditCourt} from "../interfaces/IAuditCourt.sol";
import {IComputeMarket} from "../interfaces/IComputeMarket.sol";
import {IParticipationLedger} from "../interfaces/IParticipationLedger.sol";
import {Jobs} from "./Jobs.sol";

/// @title What a closed epoch is worth to its solver and to those who audited it
abstract contract Wages is Jobs {
    /// @notice A planted epoch brings five quarters of an ordinary one, for one step in PLANT_RATE accepted ones, and its auditors JACKPOT fees.
    uint256 public constant PLANT_RATE = 16;
    uint256 public constant JACKPOT = 4;

    struct Wage {
        uint32 steps;
        uint256 paid;
        uint256 kept;
    }

    mapping(bytes32 key => mapping(uint32 epoch => bool)) private _plantPaid;

    /// @inheritdoc IComputeMarket
    function accept(bytes32 job, uint8 part, IParticipationLedger.Header calldata header, bytes32 checkpoint) external {
        Part storage p = _workedOn(job, part, header);
        if (_isComplete(job, p)) revert PartComplete(job, part);
        // Nobody else: who moves the part without the blob that holds its state leaves the next solver nothing to start from.
        _onlyAgent(header.key);
        if (header.epoch < _next[header.key]) revert EpochOld(header.epoch, _next[header.key]);
        if (header.first != p.root) revert RootWrong(header.first, p.root);
        // Nothing is drawn of no steps, so such an epoch would be clean wherever it claims to end.
        if (header.steps == 0) revert EpochEmpty(header.key, header.epoch);
        (IAuditCourt.Outcome outcome, bytes32[] memory right) = delivery.auditOf(job, header);
        if (outcome != IAuditCourt.Outcome.Clean) revert NotClean(header.key, header.epoch, uint8(outcome));
        _next[header.key] = header.epoch + 1;
        (p.root, p.checkpoint) = (header.last, checkpoint);
        _pay(job, part, p, header, right);
    }

    /// @inheritdoc IComputeMarket
    function payPlant(bytes32 job, uint8 part, IParticipationLedger.Header calldata header) external {
        Part storage p = _workedOn(job, part, header);
        (bytes32 key, uint32 epoch) = (header.key, header.epoch);
        if (_plantPaid[key][epoch]) revert EpochOld(epoch, epoch + 1);
        (IAuditCourt.Outcome outcome, bytes32[] memory right) = delivery.auditOf(job, header);
        if (outcome != IAuditCourt.Outcome.Planted || right.length == 0) revert NotPlanted(key, epoch, uint8(outcome));
        uint256 allowed = p.own / PLANT_RATE;
        if (p.planted >= allowed) revert PlantsTooMany(p.planted, allowed);
        uint32 steps = uint32(Math.min(header.steps, allowed - p.planted));
        _plantPaid[key][epoch] = true;
        p.planted += steps;
        _payPlant(job, part, p, header, right, steps);
    }

    /// @dev The part's present solver committed this, in time.
    function _workedOn(bytes32 job, uint8 part, IParticipationLedger.Header calldata header) private view returns (Part storage p) {
        p = _knownPart(job, part);
        Record storage r = _records[job];
        if (p.key == bytes32(0)) revert PartFree(job, part);
        if (header.key != p.key) revert KeyWrong(header.key, p.key);
        if (block.timestamp > _acceptsUntil(r)) revert TooLate(block.timestamp, _acceptsUntil(r));
        uint256 ends = r.start + (uint256(header.epoch) + 1) * r.epoch;
        if (ends > r.deadline) revert EpochLate(ends, r.deadline);
        if (!ledger.isCommitted(header)) revert HeaderUnknown(header.key, header.epoch);
    }

    function _pay(bytes32 job, uint8 part, Part storage p, IParticipationLedger.Header calldata header, bytes32[] memory right) private {
        Wage memory wage = _earn(job, p, header.steps);
        wage.paid -= _payAudit(job, p, header, right, wage.paid);
        _owe(job, p.operator, wage.paid);
        emit Accepted(job, part, header.key, header.epoch, wage.steps, header.last, p.checkpoint, wage.paid, wage.kept);
        _move(job, part, p, wage.steps);
    }

    /// @dev Counts steps, as many as are still wanted. Wages are differences of a rounded sum, so that all steps together bring the price.
    function _earn(bytes32 job, Part storage p, uint32 done) private returns (Wage memory wage) {
        Record storage r = _records[job];
        Offer storage o = _offers[job];
        uint32 steps = uint32(Math.min(done, Math.min(o.stepsEach - p.steps, o.steps - r.steps)));
        uint256 sum = uint256(o.price) * (r.steps + steps) / o.steps - uint256(o.price) * r.steps / o.steps;
        (uint256 kept, uint256 keptTarget) = (sum * o.deliveryBps / BPS, sum * o.targetBps / BPS);
        (p.kept, p.keptTarget) = (p.kept + uint128(kept), p.keptTarget + uint128(keptTarget));
        (r.steps, p.steps, p.own) = (r.steps + steps, p.steps + steps, p.own + steps);
        return Wage(steps, sum - kept - keptTarget, kept + keptTarget);
    }

    /// @dev A part moves by leastSteps at a time, so that single steps do not hold it for ever.
    function _move(bytes32 job, uint8 part, Part storage p, uint32 steps) private {
        p.pace += steps;
        bool complete = _isComplete(job, p);
        if (p.pace < _offers[job].leastSteps && !complete) return;
        (p.pace, p.moved) = (0, uint64(block.timestamp));
        if (!complete) return;
        _finish(job, p);
        emit Completed(job, part, p.key);
    }

    /// @dev The solver's bond returns, and its operator is free for another part.
    function _finish(bytes32 job, Part storage p) internal virtual;

    /// @dev Fees of an epoch's auditors: from the budget that its steps bring, then from its own wage, no further.
    function _payAudit(bytes32 job, Part storage p, IParticipationLedger.Header calldata header, bytes32[] memory right, uint256 wage)
        private
        returns (uint256 own)
    {
        Offer storage o = _offers[job];
        uint256 segments = _records[job].segments;
        uint256 budget = SEATS * segments * o.perSegment * p.steps / o.leastSteps - p.fees;
        uint256 fee = uint256(o.perSegment) * Math.min(segments, header.steps);
        uint256 paid = _payRight(job, header, right, fee, budget + wage);
        if (paid > budget) own = paid - budget;
        p.fees += paid - own;
    }

    function _payPlant(bytes32 job, uint8 part, Part storage p, IParticipationLedger.Header calldata header, bytes32[] memory right, uint256 steps)
        private
    {
        Record storage r = _records[job];
        Offer storage o = _offers[job];
        uint256 fee = JACKPOT * o.perSegment * Math.min(r.segments, header.steps);
        uint256 left = r.plants - _payRight(job, header, right, fee, r.plants);
        uint256 paid = Math.min(left, uint256(o.price) * steps * 5 / 4 / o.steps);
        r.plants = uint128(left - paid);
        _owe(job, p.operator, paid);
        emit PlantPaid(job, part, header.key, header.epoch, paid);
    }

    /// @dev Pays each auditor of the first panel whose verdict stands `fee`, or less so that all together stay within `limit`.
    function _payRight(bytes32 job, IParticipationLedger.Header calldata header, bytes32[] memory right, uint256 fee, uint256 limit)
        private
        returns (uint256)
    {
        if (right.length == 0) return 0;
        fee = Math.min(fee, limit / right.length);
        for (uint256 i = 0; i < right.length; ++i) {
            _owe(job, ledger.operatorOf(right[i]), fee);
            emit AuditorPaid(job, right[i], header.key, header.epoch, fee);
        }
        return fee * right.length;
    }
}
