// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {Town} from "./Town.sol";

contract LedgerTest is Town {
    function setUp() public {
        deploy();
        found(terms(), 5);
    }

    /// @dev Member 0's epoch through a clean audit, settled.
    function score(uint32 epoch) private returns (IParticipationLedger.Header memory h) {
        h = commit(0, epoch);
        beaconOf(epoch);
        speak(h, 0, all(ok()));
        pass(20);
        ledger.settle(h);
    }

    function test_enter_isIdempotentAndFollowsTheSession() public {
        address operator = operators[0];
        ledger.enter(SWARM, operator, peer(1));
        vm.prank(operator);
        registry.setSession(SWARM, peer(1), address(55));
        isTrue(!ledger.isAgent(keys[0], address(55)), "not yet");
        ledger.enter(SWARM, operator, peer(1));
        isTrue(ledger.isAgent(keys[0], address(55)), "new session");
        isTrue(!ledger.isAgent(keys[0], vm.addr(10_001)), "old session");
        isEqual(ledger.memberOf(keys[0]).capacity, 10, "capacity stays");
    }

    function test_enter_refusesUnknownPeerAndSwarm() public {
        refused(IParticipationLedger.MemberUnknown.selector);
        ledger.enter(SWARM, address(1), peer(1));
        registry.register("nowhere", peer(1), address(5));
        refused(ISwarmRegistry.SwarmUnknown.selector);
        ledger.enter("nowhere", address(this), peer(1));
    }

    function test_commit_bySessionOrOperatorOnly() public {
        vm.warp(endOf(0));
        send(0, headerOf(0, 0));
        vm.warp(endOf(1));
        IParticipationLedger.Header memory h = headerOf(0, 1);
        refused(IParticipationLedger.NotAgent.selector);
        vm.prank(address(66));
        ledger.commit(h.key, 1, h.steps, h.units, h.root, h.last, h.data);
        vm.prank(operators[0]);
        ledger.commit(h.key, 1, h.steps, h.units, h.root, h.last, h.data);
    }

    function test_commit_onlyInItsWindow() public {
        IParticipationLedger.Header memory h = headerOf(0, 0);
        vm.startPrank(operators[0]);
        vm.warp(endOf(0) - 1);
        refused(IParticipationLedger.WindowClosed.selector);
        ledger.commit(h.key, 0, h.steps, h.units, h.root, h.last, h.data);
        vm.warp(endOf(0) + 51);
        refused(IParticipationLedger.WindowClosed.selector);
        ledger.commit(h.key, 0, h.steps, h.units, h.root, h.last, h.data);
        vm.warp(endOf(0) + 50);
        ledger.commit(h.key, 0, h.steps, h.units, h.root, h.last, h.data);
    }

    function test_commit_oncePerEpoch() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        h.root = "other";
        refused(IParticipationLedger.EpochTaken.selector);
        vm.prank(operators[0]);
        ledger.commit(h.key, 0, h.steps, h.units, h.root, h.last, h.data);
    }

    function test_commit_refusesMoreThanStakeAndTermsAllow() public {
        vm.warp(endOf(0));
        IParticipationLedger.Header memory h = headerOf(0, 0);
        vm.startPrank(operators[0]);
        refused(IParticipationLedger.StepsExceeded.selector);
        ledger.commit(h.key, 0, 11, h.units, h.root, h.last, h.data);
        refused(IParticipationLedger.UnitsExceeded.selector);
        ledger.commit(h.key, 0, h.steps, 1_001, h.root, h.last, h.data);
        refused(IParticipationLedger.RootMissing.selector);
        ledger.commit(h.key, 0, h.steps, h.units, 0, h.last, h.data);
        refused(IParticipationLedger.RootMissing.selector);
        ledger.commit(h.key, 0, h.steps, h.units, h.root, 0, h.data);
    }

    function test_commit_continuesTheLastRoot() public {
        IParticipationLedger.Header memory a = commit(0, 0);
        isEqual(a.first, BASE, "base root");
        IParticipationLedger.Header memory b = commit(0, 1);
        isEqual(b.first, a.last, "continues");
        isTrue(ledger.isCommitted(a) && ledger.isCommitted(b), "both on record");
        b.first = BASE;
        isTrue(!ledger.isCommitted(b), "another first is not on record");
    }

    function testFuzz_isCommitted_onlyTheHeaderItself(uint8 field, bytes32 noise) public {
        IParticipationLedger.Header memory h = commit(0, 0);
        isTrue(ledger.isCommitted(h), "itself");
        vm.assume(uint256(noise) > type(uint64).max);
        uint256 which = field % 6;
        if (which == 0) h.steps ^= 1;
        else if (which == 1) h.units ^= 1;
        else if (which == 2) h.root = noise;
        else if (which == 3) h.first = noise;
        else if (which == 4) h.last = noise;
        else h.data = noise;
        isTrue(!ledger.isCommitted(h), "changed");
    }

    function test_commitLate_continuesWithoutRecord() public {
        vm.warp(endOf(0) + 51);
        IParticipationLedger.Header memory h = headerOf(0, 0);
        vm.prank(operators[0]);
        ledger.commitLate(h.key, 0, h.steps, h.root, h.last, h.data);
        h.units = 0;
        isTrue(!ledger.isCommitted(h), "not audited");
        isEqual(ledger.memberOf(keys[0]).last, h.last, "root");
        isEqual(ledger.memberOf(keys[0]).next, 1, "next");
        refused(IParticipationLedger.HeaderUnknown.selector);
        ledger.settle(h);
        commit(0, 1);
    }

    function test_commitLate_refusesOpenWindowAndTakenEpochs() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        vm.startPrank(operators[0]);
        refused(IParticipationLedger.NotLate.selector);
        ledger.commitLate(h.key, 0, 1, h.root, h.last, h.data);
        vm.warp(endOf(0) + 51);
        refused(IParticipationLedger.EpochTaken.selector);
        ledger.commitLate(h.key, 0, 1, h.root, h.last, h.data);
        vm.warp(endOf(3) + 51);
        ledger.commitLate(h.key, 2, 1, h.root, h.last, h.data);
        refused(IParticipationLedger.EpochTaken.selector);
        ledger.commitLate(h.key, 2, 1, h.root, h.last, h.data);
        refused(IParticipationLedger.EpochTaken.selector);
        ledger.commitLate(h.key, 1, 1, h.root, h.last, h.data);
        ledger.commitLate(h.key, 3, 1, h.root, h.last, h.data);
        vm.stopPrank();
        refused(IParticipationLedger.NotAgent.selector);
        ledger.commitLate(h.key, 3, 1, h.root, h.last, h.data);
    }

    function test_commitLate_refusesAnEpochBeforeACommittedOne() public {
        IParticipationLedger.Header memory h = commit(0, 3);
        vm.warp(endOf(9));
        refused(IParticipationLedger.EpochTaken.selector);
        vm.prank(operators[0]);
        ledger.commitLate(h.key, 1, 1, h.root, h.last, h.data);
    }

    function test_adoptRoot_takesAnyButNone() public {
        vm.startPrank(operators[1]);
        ledger.adoptRoot(keys[1], "a state");
        isEqual(ledger.memberOf(keys[1]).last, "a state", "last");
        isEqual(ledger.memberOf(keys[1]).accepted, BASE, "nothing is accepted by that");
        refused(IParticipationLedger.RootMissing.selector);
        ledger.adoptRoot(keys[1], 0);
        refused(IParticipationLedger.NotAgent.selector);
        ledger.adoptRoot(keys[0], "a state");
        vm.stopPrank();
    }

    function test_adopt_takesAnotherAcceptedRootOrTheBase() public {
        IParticipationLedger.Header memory h = score(0);
        vm.startPrank(operators[1]);
        ledger.adopt(keys[1], keys[0]);
        isEqual(ledger.memberOf(keys[1]).last, h.last, "other's");
        ledger.adopt(keys[1], 0);
        isEqual(ledger.memberOf(keys[1]).last, BASE, "base");
        isEqual(ledger.unitsOf(keys[1]), 0, "earns nothing");
        refused(IParticipationLedger.NothingAccepted.selector);
        ledger.adopt(keys[1], keys[2]);
        refused(IParticipationLedger.OtherSwarm.selector);
        ledger.adopt(keys[1], "nobody");
        refused(IParticipationLedger.NotAgent.selector);
        ledger.adopt(keys[0], 0);
    }

    function test_settle_onceAndOnlyWhenClosed() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        refused(IParticipationLedger.CaseOpen.selector);
        ledger.settle(h);
        beaconOf(0);
        speak(h, 0, all(ok()));
        refused(IParticipationLedger.CaseOpen.selector);
        ledger.settle(h);
        pass(20);
        ledger.settle(h);
        isTrue(ledger.isSettled(h.key, 0), "settled");
        refused(IParticipationLedger.AlreadySettled.selector);
        ledger.settle(h);
        h.units += 1;
        refused(IParticipationLedger.HeaderUnknown.selector);
        ledger.settle(h);
    }

    function test_settle_ofAnUnauditedEpochBringsNothing() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        beaconOf(0);
        pass(1_000);
        ledger.settle(h);
        isEqual(ledger.unitsOf(keys[0]), 0, "units");
        isEqual(ledger.memberOf(keys[0]).accepted, BASE, "accepted");
    }

    function test_setCapacityAndRewind_forVaultAndCourtOnly() public {
        bytes32 key = keys[0];
        refused(IParticipationLedger.NotPermitted.selector);
        ledger.setCapacity(key, 1);
        refused(IParticipationLedger.NotPermitted.selector);
        ledger.rewind(key, 0, IParticipationLedger.Reason.Faulty);
    }

    function test_rewind_takesLaterEpochsAlong() public {
        IParticipationLedger.Header memory a = score(0);
        IParticipationLedger.Header memory b = commit(0, 3);
        vm.prank(operators[0]);
        court.concede(b);
        isEqual(ledger.memberOf(keys[0]).last, a.last, "back to the accepted root");
        isTrue(ledger.isSettled(keys[0], 3), "conceded epoch is done with");
        IParticipationLedger.Header memory c = commit(0, 4);
        IParticipationLedger.Header memory d = commit(0, 5);
        isEqual(c.first, a.last, "continues the accepted root");
        vm.prank(operators[0]);
        court.concede(c);
        refused(IParticipationLedger.AlreadySettled.selector);
        ledger.settle(d);
    }

    function test_ring_forgetsOldestFirst() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        for (uint32 e = 1; e <= 15; ++e) {
            commit(0, e);
        }
        isTrue(ledger.isCommitted(h), "still there");
        isEqual(ledger.slotOf(h.key, 0), ledger.slotOf(h.key, 16), "same slot");
        commit(0, 16);
        isTrue(!ledger.isCommitted(h), "overwritten");
        isEqual(ledger.memberOf(keys[0]).next, 17, "next");
    }
}
