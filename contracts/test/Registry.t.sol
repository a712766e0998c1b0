// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IBeacon} from "../src/interfaces/IBeacon.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {Town} from "./Town.sol";

contract RegistryTest is Town {
    uint256 private constant TICKET = 777;

    function setUp() public {
        deploy();
    }

    function test_createSwarm_keepsTermsAndCountsFromOne() public {
        found(terms(), 0);
        isEqual(registry.swarmOf(SWARM).number, 1, "number");
        isTrue(registry.swarmOf(SWARM).creator == address(this), "creator");
        isEqual(registry.termsOf(SWARM).epoch, 100, "epoch");
        registry.createSwarm("second", 0, 0, terms(), "");
        isEqual(registry.swarmOf("second").number, 2, "number of the second");
    }

    function test_createSwarm_startsNowWhenStartIsZero() public {
        ISwarmRegistry.Terms memory t = terms();
        t.start = 0;
        found(t, 0);
        isEqual(registry.termsOf(SWARM).start, block.timestamp, "start");
    }

    function test_createSwarm_refusesATakenId() public {
        found(terms(), 0);
        ISwarmRegistry.Terms memory t = terms();
        refused(ISwarmRegistry.SwarmExists.selector);
        registry.createSwarm(SWARM, 0, 0, t, "");
    }

    function test_createSwarm_refusesLongBoot() public {
        ISwarmRegistry.Terms memory t = terms();
        refused(ISwarmRegistry.BootTooLong.selector);
        registry.createSwarm(SWARM, 0, 0, t, new bytes(1025));
    }

    function refusesTerms(ISwarmRegistry.Terms memory t) private {
        refused(ISwarmRegistry.TermOutOfBounds.selector);
        registry.createSwarm(SWARM, 0, 0, t, "");
    }

    function test_createSwarm_refusesTermsOutOfBounds() public {
        ISwarmRegistry.Terms memory t = terms();
        t.start = uint64(block.timestamp - 1);
        refusesTerms(t);
        t = terms();
        t.epoch = 9;
        refusesTerms(t);
        t = terms();
        t.grace = 49;
        refusesTerms(t);
        t.grace = 100;
        refusesTerms(t);
        t = terms();
        (t.beacon, t.audit) = (0, 40);
        refusesTerms(t);
        t = terms();
        t.audit = 0;
        refusesTerms(t);
        t = terms();
        t.reveal = 0;
        refusesTerms(t);
        t = terms();
        t.challenge = 0;
        refusesTerms(t);
        t = terms();
        t.segments = 0;
        refusesTerms(t);
        t = terms();
        t.maxSteps = 0;
        refusesTerms(t);
        t = terms();
        t.maxUnits = 0;
        refusesTerms(t);
        t = terms();
        t.absenceBps = 101;
        refusesTerms(t);
        t = terms();
        t.concedeBps = 99;
        refusesTerms(t);
        t = terms();
        t.token = address(1);
        refusesTerms(t);
        t = terms();
        t.randomness = IBeacon(address(1));
        refusesTerms(t);
    }

    function test_createSwarm_refusesUnbondingNotLongerThanTheLongestCase() public {
        ISwarmRegistry.Terms memory t = terms();
        t.unbonding = uint32(registry.longestCase(t) + 2 * t.epoch - 1);
        refusesTerms(t);
        t.unbonding += 1;
        found(t, 0);
    }

    function test_createSwarm_refusesARingThatForgetsOpenCases() public {
        ISwarmRegistry.Terms memory t = terms();
        t.ring = uint16(registry.longestCase(t) / t.epoch + 2);
        refusesTerms(t);
    }

    function test_createSwarm_refusesStakeThatDoesNotStandGoodForAnEpoch() public {
        ISwarmRegistry.Terms memory t = terms();
        // 1 % of 1,000 is the gain of exactly ten steps.
        t.maxSteps = 11;
        refusesTerms(t);
        t = terms();
        t.minStake -= 1;
        refusesTerms(t);
    }

    function testFuzz_capacityFor_pricesExceedGains(uint96 stake, uint16 q, uint64 gain) public view {
        ISwarmRegistry.Terms memory t = terms();
        t.segments = uint16(between(q, 1, 64));
        t.gain = uint128(between(gain, 1, 10 ether));
        t.minStake = 1;
        t.maxSteps = 1 << 20;
        uint256 steps = registry.capacityFor(t, stake);
        uint256 k = registry.openEpochs(t);
        isTrue(uint256(stake) * t.absenceBps / 10_000 >= steps * t.gain, "an absence costs less than an epoch gains");
        if (steps <= t.segments) return;
        uint256 beyond = t.gain * (steps - t.segments);
        isTrue(uint256(stake) * t.segments > k * beyond, "a lost dispute costs less than it gains");
        isTrue(uint256(stake) * t.concedeBps / 10_000 * t.segments > beyond, "a concession costs less than it gains");
    }

    function test_register_isIdempotentAndBoundToTheOperator() public {
        found(terms(), 0);
        bytes32 key = registry.register(SWARM, peer(1), address(5));
        isEqual(registry.register(SWARM, peer(1), address(5)), key, "key");
        isEqual(key, registry.keyOf(SWARM, address(this), peer(1)), "key formula");
        isTrue(registry.sessionOf(key) == address(5), "session");
        registry.register(SWARM, peer(1), address(6));
        isTrue(registry.sessionOf(key) == address(6), "new session");
    }

    function test_register_refusesNoSession() public {
        refused(ISwarmRegistry.SessionMissing.selector);
        registry.register(SWARM, peer(1), address(0));
    }

    function test_setSession_changesOwnOnly() public {
        found(terms(), 0);
        bytes32 key = registry.register(SWARM, peer(1), address(5));
        registry.setSession(SWARM, peer(1), address(6));
        isTrue(registry.sessionOf(key) == address(6), "session");
        refused(ISwarmRegistry.PeerUnknown.selector);
        vm.prank(address(99));
        registry.setSession(SWARM, peer(1), address(7));
        refused(ISwarmRegistry.SessionMissing.selector);
        registry.setSession(SWARM, peer(1), address(0));
    }

    function test_termsOf_refusesUnknownSwarm() public {
        refused(ISwarmRegistry.SwarmUnknown.selector);
        registry.termsOf("nowhere");
    }

    function test_panelSizes_saysOperatorsNeeded() public view {
        (uint8[4] memory seats, uint8[4] memory needed) = registry.panelSizes();
        for (uint256 i = 0; i < 4; ++i) {
            isEqual(needed[i], seats[i] + 1, "one more than seats");
        }
    }

    function testFuzz_openEpochAt_isTheFirstWhoseWindowIsOpen(uint32 later) public {
        found(terms(), 0);
        uint256 time = block.timestamp + later % 1_000_000;
        uint32 epoch = registry.openEpochAt(SWARM, time);
        isTrue(registry.endOf(SWARM, epoch) + 50 > time, "open");
        isTrue(epoch == 0 || registry.endOf(SWARM, epoch - 1) + 50 <= time, "first");
        isTrue(epoch <= registry.epochAt(SWARM, time), "not in the future");
    }

    function invited() private returns (ISwarmRegistry.Invite memory) {
        found(terms(), 1);
        return voucher(1, TICKET, vm.addr(2));
    }

    function test_registerInvited_recordsInviterAndNumber() public {
        ISwarmRegistry.Invite memory invite = invited();
        vm.prank(vm.addr(2));
        registry.registerInvited(SWARM, peer(2), address(5), invite);
        (address inviter, uint32 number) = registry.inviteOf(SWARM, vm.addr(2));
        isTrue(inviter == vm.addr(1) && number == 0, "invite");
    }

    function test_registerInvited_refusesAVoucherSeenInFlight() public {
        ISwarmRegistry.Invite memory invite = invited();
        refused(ISwarmRegistry.SignerWrong.selector);
        vm.prank(vm.addr(66));
        registry.registerInvited(SWARM, peer(2), address(5), invite);
    }

    function test_registerInvited_refusesAUsedTicket() public {
        ISwarmRegistry.Invite memory invite = invited();
        vm.prank(vm.addr(2));
        registry.registerInvited(SWARM, peer(2), address(5), invite);
        invite = voucher(1, TICKET, vm.addr(3));
        refused(ISwarmRegistry.InviteUsed.selector);
        vm.prank(vm.addr(3));
        registry.registerInvited(SWARM, peer(3), address(5), invite);
    }

    function test_registerInvited_refusesASecondInvite() public {
        ISwarmRegistry.Invite memory invite = invited();
        vm.startPrank(vm.addr(2));
        registry.registerInvited(SWARM, peer(2), address(5), invite);
        invite = voucher(1, TICKET + 1, vm.addr(2));
        refused(ISwarmRegistry.InviteTwice.selector);
        registry.registerInvited(SWARM, peer(2), address(5), invite);
    }

    function test_registerInvited_refusesAnExpiredOne() public {
        ISwarmRegistry.Invite memory invite = invited();
        vm.warp(invite.expires + 1);
        refused(ISwarmRegistry.InviteExpired.selector);
        vm.prank(vm.addr(2));
        registry.registerInvited(SWARM, peer(2), address(5), invite);
    }

    function test_registerInvited_refusesSelfAndStrangersAsInviters() public {
        invited();
        ISwarmRegistry.Invite memory invite = voucher(1, TICKET, vm.addr(1));
        refused(ISwarmRegistry.InviteBySelf.selector);
        vm.prank(vm.addr(1));
        registry.registerInvited(SWARM, peer(2), address(5), invite);
        invite = voucher(9, TICKET, vm.addr(2));
        refused(ISwarmRegistry.InviterNotMember.selector);
        vm.prank(vm.addr(2));
        registry.registerInvited(SWARM, peer(2), address(5), invite);
    }

    function test_registerInvited_refusesAForgedInviterSignature() public {
        ISwarmRegistry.Invite memory invite = invited();
        invite.inviterSignature = sign(66, inviteHash(invite.ticket, invite.expires));
        refused(ISwarmRegistry.SignerWrong.selector);
        vm.prank(vm.addr(2));
        registry.registerInvited(SWARM, peer(2), address(5), invite);
    }

    function test_registerInvited_refusesAVoucherOfAnotherChainOrContract() public {
        ISwarmRegistry.Invite memory invite = invited();
        vm.chainId(5);
        refused(ISwarmRegistry.SignerWrong.selector);
        vm.prank(vm.addr(2));
        registry.registerInvited(SWARM, peer(2), address(5), invite);
    }
}
