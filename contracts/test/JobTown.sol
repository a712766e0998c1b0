// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ComputeMarket} from "../src/ComputeMarket.sol";
import {JobDelivery} from "../src/JobDelivery.sol";
import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IBeacon} from "../src/interfaces/IBeacon.sol";
import {IComputeMarket} from "../src/interfaces/IComputeMarket.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {Town} from "./Town.sol";

/// @notice A town whose swarm is a job: this contract submits it, member 0 solves, the others verify.
abstract contract JobTown is Town {
    bytes32 internal constant MODEL = keccak256("model");
    bytes32 internal constant DIGEST = keccak256("evaluation");
    bytes32 internal constant EVALUATION_SALT = keccak256("evaluation's salt");
    uint256 internal constant FUNDS = 5_000 ether;

    ComputeMarket internal market;
    JobDelivery internal delivery;
    uint32 internal nextEpoch;

    function deployMarket(IBeacon beacon) internal {
        address deliveryAt = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        market = new ComputeMarket(registry, ledger, vault, beacon, JobDelivery(deliveryAt));
        delivery = new JobDelivery(registry, ledger, vault, court, market);
    }

    /// @dev Contracts, a swarm with members, and money for everyone.
    function settleTown(uint256 members) internal {
        deploy();
        deployMarket(reveals);
        found(terms(), members);
        for (uint256 i = 0; i < members; ++i) {
            fill(operators[i], 1_000 ether);
            vm.prank(operators[i]);
            credit.approve(address(market), type(uint256).max);
        }
        for (uint256 i = 0; i < FUNDS / 1_000 ether; ++i) {
            credit.faucet(1_000 ether);
        }
        credit.approve(address(market), type(uint256).max);
    }

    /// @dev Two parts of 20 steps for 1000; an epoch has 10 steps and two of them are drawn.
    function offer() internal view returns (IComputeMarket.Offer memory o) {
        ISwarmRegistry.Terms memory t = registry.termsOf(SWARM);
        o.price = 1_000 ether;
        o.perSegment = 1 ether;
        o.plants = 50 ether;
        (o.steps, o.stepsEach, o.leastSteps, o.parts) = (40, 20, 10, 2);
        o.solverStake = uint128(STAKE);
        o.deadline = uint64(block.timestamp + 3_000);
        o.patience = uint32(registry.longestCase(t) + 3 * t.epoch);
        o.deliveryBps = 1_000;
        o.openWindow = t.epoch;
        o.class = CLASS;
    }

    function withTarget(IComputeMarket.Offer memory o) internal pure returns (IComputeMarket.Offer memory) {
        (o.targetBps, o.target) = (2_000, 8_000);
        o.evaluation = keccak256(abi.encode(DIGEST, EVALUATION_SALT));
        return o;
    }

    function single(IComputeMarket.Offer memory o) internal pure returns (IComputeMarket.Offer memory) {
        (o.steps, o.stepsEach, o.parts) = (20, 20, 1);
        return o;
    }

    function post(IComputeMarket.Offer memory o) internal {
        market.post(SWARM, o, "brief");
    }

    /// @dev Posted, seeded by members 1 and 2, and open.
    function open(IComputeMarket.Offer memory o) internal {
        post(o);
        seed(1);
        seed(2);
    }

    function seed(uint256 i) internal {
        vm.prank(operators[i]);
        market.seed(SWARM, keys[i]);
    }

    function claim(uint8 part, uint256 i) internal {
        bytes32 key = keys[i];
        vm.prank(operators[i]);
        market.claim(SWARM, part, key);
    }

    /// @dev The next epoch whose commit window comes.
    function upcoming() internal view returns (uint32 epoch) {
        epoch = registry.openEpochAt(SWARM, block.timestamp);
        return epoch < nextEpoch ? nextEpoch : epoch;
    }

    /// @dev Member i works for an epoch: committed, not audited yet.
    function work(uint256 i) internal returns (IParticipationLedger.Header memory h) {
        uint32 epoch = upcoming();
        nextEpoch = epoch + 1;
        return commit(i, epoch);
    }

    function toAudit(IParticipationLedger.Header memory h) internal {
        (uint256 opens,,,) = court.timesOf(SWARM, h.epoch, 0, 0);
        vm.warp(opens);
    }

    /// @dev An epoch that its auditors found clean, closed.
    function cleanWork(uint256 i) internal returns (IParticipationLedger.Header memory h) {
        h = work(i);
        toAudit(h);
        speak(h, 0, all(ok()));
        pass(20);
    }

    function accept(uint8 part, uint256 i, IParticipationLedger.Header memory h) internal {
        vm.prank(operators[i]);
        market.accept(SWARM, part, h, keccak256("checkpoint"));
    }

    function acceptedWork(uint8 part, uint256 i) internal returns (IParticipationLedger.Header memory h) {
        h = cleanWork(i);
        accept(part, i, h);
    }

    function complete(uint8 part, uint256 i) internal {
        claim(part, i);
        acceptedWork(part, i);
        acceptedWork(part, i);
    }

    function deliver(uint8 part, uint256 i) internal {
        vm.prank(operators[i]);
        delivery.deliver(SWARM, part, MODEL);
    }

    function attest(uint8 part, uint256 i, bytes32 model) internal {
        bytes32 key = keys[i];
        vm.prank(operators[i]);
        delivery.attest(SWARM, part, key, model);
    }

    function score(uint8 part, uint256 i, uint32 value) internal {
        bytes32 key = keys[i];
        vm.prank(operators[i]);
        delivery.commitScore(SWARM, part, key, scoreHash(part, i, value));
    }

    function scoreHash(uint8 part, uint256 i, uint32 value) internal view returns (bytes32) {
        return keccak256(abi.encode(operators[i], address(delivery), SWARM, part, value, keys[i]));
    }

    function revealScore(uint8 part, uint256 i, uint32 value) internal {
        bytes32 key = keys[i];
        vm.prank(operators[i]);
        delivery.revealScore(SWARM, part, key, value, key);
    }

    function due(address account) internal view returns (uint256) {
        return market.due(address(credit), account);
    }

    function duePart(uint256 i) internal view returns (uint256) {
        return due(operators[i]);
    }

    function settle() internal {
        (,,, uint256 ends) = market.timesOf(SWARM);
        if (block.timestamp < ends) vm.warp(ends);
        market.settle(SWARM);
    }

    function isPhase(IComputeMarket.JobPhase phase) internal view {
        isEqual(uint8(market.phaseOf(SWARM)), uint8(phase), "phase");
    }

    function burned() internal view returns (uint256) {
        return due(market.PYRE());
    }

    /// @dev Everyone takes what is due; nothing is left.
    function emptied(uint8 parts) internal {
        for (uint8 part = 0; part < parts; ++part) {
            for (uint256 i = 0; i < operators.length; ++i) {
                vm.prank(operators[i]);
                try market.collect(SWARM, part) {} catch {}
            }
        }
        draw(address(this));
        draw(market.PYRE());
        for (uint256 i = 0; i < operators.length; ++i) {
            draw(operators[i]);
        }
        isEqual(market.held(address(credit)), 0, "held");
        isEqual(credit.balanceOf(address(market)), 0, "balance");
        isEqual(market.jobOf(SWARM).escrow, 0, "escrow");
    }

    function draw(address account) private {
        if (due(account) != 0) market.withdraw(address(credit), account);
    }
}
