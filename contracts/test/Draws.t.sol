// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {Town} from "./Town.sol";

contract DrawsTest is Town {
    function setUp() public {
        deploy();
        found(terms(), 8);
    }

    function isFair(bytes32[] memory panel_, bytes32 key) private view {
        for (uint256 i = 0; i < panel_.length; ++i) {
            isTrue(ledger.operatorOf(panel_[i]) != ledger.operatorOf(key), "own operator");
            for (uint256 j = 0; j < i; ++j) {
                isTrue(ledger.operatorOf(panel_[i]) != ledger.operatorOf(panel_[j]), "operator twice");
            }
        }
    }

    function testFuzz_draw_seatsOthersOnceEach(bytes32 seed, uint8 seats) public view {
        uint256 n = between(seats, 1, 15);
        bytes32[] memory drawn = vault.draw(keys[0], 0, seed, n);
        isEqual(drawn.length, n < 7 ? n : 7, "seats");
        isFair(drawn, keys[0]);
    }

    function test_draw_seatsOneMemberPerOperator() public {
        // Operator 1 stakes for two more peers.
        for (uint256 n = 101; n < 103; ++n) {
            vm.startPrank(operators[0]);
            bytes32 key = registry.register(SWARM, peer(n), address(uint160(n)));
            ledger.enter(SWARM, operators[0], peer(n));
            credit.faucet(STAKE);
            credit.approve(address(vault), STAKE);
            vault.stake(key, STAKE, CLASS);
            vm.stopPrank();
        }
        isEqual(vault.operatorsAt(SWARM, CLASS, 0), 8, "operators, not members");
        for (uint256 s = 0; s < 40; ++s) {
            isFair(vault.draw(keys[1], 0, bytes32(s), 7), keys[1]);
            isFair(vault.draw(keys[0], 0, bytes32(s), 7), keys[0]);
        }
    }

    function test_draw_fromTheClassOnly() public {
        vm.prank(operators[1]);
        vault.setClass(keys[1], OTHER_CLASS);
        for (uint256 s = 0; s < 20; ++s) {
            bytes32[] memory drawn = vault.draw(keys[0], 0, bytes32(s), 7);
            isEqual(drawn.length, 6, "seats");
            for (uint256 i = 0; i < 6; ++i) {
                isTrue(drawn[i] != keys[1], "other class");
            }
        }
        isEqual(vault.draw(keys[1], 0, 0, 2).length, 0, "nobody of its class");
    }

    function test_draw_followsWeight() public {
        // Member 1 gets four times the stake of the others: of 7 others' 10 shares it has 4.
        for (uint256 k = 0; k < 3; ++k) {
            fill(operators[1], STAKE);
        }
        vm.startPrank(operators[1]);
        credit.approve(address(vault), 3 * STAKE);
        vault.stake(keys[1], 3 * STAKE, CLASS);
        vm.stopPrank();
        uint256 hits = 0;
        for (uint256 s = 0; s < 400; ++s) {
            if (vault.draw(keys[0], 0, keccak256(abi.encode(s)), 1)[0] == keys[1]) ++hits;
        }
        // Expected 160, standard deviation 9.8.
        isTrue(hits > 120 && hits < 200, "share of draws");
    }

    function test_draw_unmovedByLaterComingAndGoing() public {
        vm.warp(endOf(0) + 51);
        bytes32[] memory before = vault.draw(keys[0], 0, "seed", 3);
        settleIn(9, CLASS);
        vm.prank(operators[2]);
        vault.unbond(keys[2], STAKE);
        vm.prank(operators[3]);
        vault.pause(keys[3]);
        vm.prank(operators[4]);
        vault.setClass(keys[4], OTHER_CLASS);
        vm.prank(address(court));
        vault.convict(keys[5]);
        isEqual(keccak256(abi.encode(vault.draw(keys[0], 0, "seed", 3))), keccak256(abi.encode(before)), "panel");
    }

    function testFuzz_drawnSteps_areDistinctAndInRange(uint32 steps) public {
        IParticipationLedger.Header memory h = commit(0, 0);
        beaconOf(0);
        steps = uint32(between(steps, 0, 1 << 20));
        uint32[] memory drawn = court.drawnSteps(h.key, 0, steps);
        isEqual(drawn.length, steps < 2 ? steps : 2, "count");
        for (uint256 i = 0; i < drawn.length; ++i) {
            isTrue(drawn[i] < steps, "range");
            for (uint256 j = 0; j < i; ++j) {
                isTrue(drawn[i] != drawn[j], "twice");
            }
        }
    }

    function test_drawnSteps_notBeforeTheBeacon() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        refused(IAuditCourt.BeaconNotReady.selector);
        court.drawnSteps(h.key, 0, 10);
        refused(IAuditCourt.BeaconNotReady.selector);
        court.panelOf(h.key, 0, 0, 0);
    }

    function test_beaconWords_areDifferent() public {
        commit(0, 0);
        beaconOf(0);
        (bytes32 audit, bool ready) = court.auditBeacon(SWARM, 0);
        (bytes32 seed, bool known) = court.epochSeed(SWARM, 1);
        (bytes32 r,) = reveals.value(SWARM, 1);
        isTrue(ready && known, "ready");
        isEqual(audit, keccak256(abi.encodePacked("audit", r)), "audit beacon");
        isEqual(seed, keccak256(abi.encodePacked("seed", r)), "epoch seed");
    }

    function test_othersAt_countsOperatorsOfTheClass() public {
        (uint256 others, uint256 needed) = vault.othersAt(keys[0], 0);
        isEqual(others, 7, "others");
        isEqual(needed, 3, "needed");
        vm.prank(operators[0]);
        vault.setClass(keys[0], OTHER_CLASS);
        (others, needed) = vault.othersAt(keys[0], 0);
        isEqual(others, 0, "others of a class of one");
        isEqual(needed, 3, "needed all the same");
    }
}
