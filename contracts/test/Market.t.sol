// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeMarket} from "../src/interfaces/IComputeMarket.sol";
import {IJobDelivery} from "../src/interfaces/IJobDelivery.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {JobTown} from "./JobTown.sol";

/// @notice Offers, claims, accepted epochs, cancellation and settlement: one test for each rule and each refusal.
contract MarketTest is JobTown {
    function setUp() public {
        settleTown(6);
    }

    function offerRefused(IComputeMarket.Offer memory o, bytes32 name) private {
        (bool done, bytes memory why) = address(market).call(abi.encodeCall(IComputeMarket.post, (SWARM, o, "")));
        bytes32 said;
        assembly {
            said := mload(add(why, 36))
        }
        isTrue(!done && bytes4(why) == IComputeMarket.OfferOutOfBounds.selector && said == name, string(abi.encodePacked(name)));
    }

    // --- offers

    function test_post_takesExactlyItsCost() public {
        uint256 before = credit.balanceOf(address(this));
        IComputeMarket.Offer memory o = offer();
        post(o);
        // 2 auditors x 2 drawn steps x 40 steps / 10 + 2 parts x 2 attesters
        isEqual(market.costOf(o, 2), 1_000 ether + 50 ether + 16 ether + 4 ether, "cost");
        isEqual(before - credit.balanceOf(address(this)), 1_070 ether, "paid");
        isEqual(market.jobOf(SWARM).escrow, 1_070 ether, "escrow");
        isPhase(IComputeMarket.JobPhase.Seeding);
        isEqual(market.costOf(withTarget(o), 2), 1_070 ether + 8 ether, "scorers too");
    }

    function test_post_refusesEveryNumberOutOfBounds() public {
        IComputeMarket.Offer memory good = offer();
        IComputeMarket.Offer memory o = offer();
        o.price = o.steps - 1; // under the floor of one wei for each step
        offerRefused(o, "price");
        (o = offer()).perSegment = 0;
        offerRefused(o, "perSegment");
        (o = offer()).plants = good.price / 10 + 1;
        offerRefused(o, "plants");
        (o = offer()).steps = 0;
        offerRefused(o, "steps");
        (o = offer()).stepsEach = 19;
        offerRefused(o, "stepsEach");
        (o = offer()).stepsEach = 41;
        offerRefused(o, "stepsEach");
        (o = offer()).leastSteps = 0;
        offerRefused(o, "leastSteps");
        (o = offer()).leastSteps = 21;
        offerRefused(o, "leastSteps");
        (o = offer()).parts = 0;
        offerRefused(o, "parts");
        (o = offer()).parts = 65;
        offerRefused(o, "parts");
        (o = offer()).solverStake = uint128(STAKE - 1);
        offerRefused(o, "solverStake");
        (o = offer()).deliveryBps = 0;
        offerRefused(o, "deliveryBps");
        (o = offer()).deliveryBps = 5_001;
        offerRefused(o, "deliveryBps");
        (o = withTarget(offer())).targetBps = 5_000;
        offerRefused(o, "targetBps");
        (o = withTarget(offer())).target = 10_001;
        offerRefused(o, "target");
        (o = withTarget(offer())).evaluation = 0;
        offerRefused(o, "evaluation");
        (o = offer()).evaluation = DIGEST;
        offerRefused(o, "evaluation");
        (o = offer()).patience = good.patience - 1;
        offerRefused(o, "patience");
        (o = offer()).openWindow = 99;
        offerRefused(o, "openWindow");
        (o = offer()).openWindow = 30 days + 1;
        offerRefused(o, "openWindow");
        (o = offer()).deadline = uint64(block.timestamp + 199); // 20 steps, 10 an epoch
        offerRefused(o, "deadline");
        (o = offer()).deadline = uint64(block.timestamp + 366 days);
        offerRefused(o, "deadline");
        post(good);
    }

    function test_post_refusesOthersTwiceLongBriefsAndForeignRandomness() public {
        IComputeMarket.Offer memory o = offer();
        vm.prank(operators[0]);
        refused(IComputeMarket.NotSubmitter.selector);
        market.post(SWARM, o, "");
        refused(IComputeMarket.BriefTooLong.selector);
        market.post(SWARM, o, new bytes(4_097));
        post(o);
        refused(IComputeMarket.JobExists.selector);
        market.post(SWARM, o, "");
        ISwarmRegistry.Terms memory t = terms();
        t.randomness = hashes;
        registry.createSwarm("another", 0, BASE, t, "");
        refused(IComputeMarket.BeaconForeign.selector);
        market.post("another", o, "");
        t = terms();
        t.faucet = true;
        registry.createSwarm("free", 0, BASE, t, "");
        vm.expectRevert(abi.encodeWithSelector(IComputeMarket.OfferOutOfBounds.selector, bytes32("faucet"), 1, 0));
        market.post("free", o, "");
        refused(IComputeMarket.NotSubmitter.selector);
        market.post("no swarm", o, "");
    }

    // --- seeders

    function test_seed_twoOperatorsOpenTheClaims() public {
        post(offer());
        seed(1);
        vm.prank(operators[0]);
        refused(IComputeMarket.JobPhaseWrong.selector);
        market.claim(SWARM, 0, keys[0]);
        seed(2);
        isPhase(IComputeMarket.JobPhase.Working);
        claim(0, 0);
        seed(3);
        isTrue(market.isSeeder(SWARM, operators[3]), "later ones too");
    }

    function test_seed_refusals() public {
        bytes32 key = keys[1];
        vm.prank(operators[1]);
        refused(IComputeMarket.JobUnknown.selector);
        market.seed(SWARM, key);
        post(offer());
        refused(IComputeMarket.NotAgent.selector);
        market.seed(SWARM, key);
        seed(1);
        vm.prank(operators[1]);
        refused(IComputeMarket.SeederKnown.selector);
        market.seed(SWARM, key);
        bytes32 own = settleOwn(CLASS);
        refused(IComputeMarket.SubmitterExcluded.selector);
        market.seed(SWARM, own);
        key = enlist(20);
        vm.prank(vm.addr(20));
        refused(IComputeMarket.StandingLost.selector);
        market.seed(SWARM, key);
        key = settleIn(21, OTHER_CLASS);
        vm.prank(vm.addr(21));
        refused(IComputeMarket.ClassWrong.selector);
        market.seed(SWARM, key);
        registry.createSwarm("another", 0, BASE, terms(), "");
        key = registry.register("another", peer(1), address(this));
        ledger.enter("another", address(this), peer(1));
        refused(IComputeMarket.MemberForeign.selector);
        market.seed(SWARM, key);
    }

    function settleOwn(bytes32 class) private returns (bytes32 key) {
        key = registry.register(SWARM, peer(99), address(0xbeef));
        ledger.enter(SWARM, address(this), peer(99));
        credit.approve(address(vault), STAKE);
        vault.stake(key, STAKE, class);
    }

    // --- claims

    function test_claim_takesABondAndNamesTheRoot() public {
        open(offer());
        uint256 before = credit.balanceOf(operators[0]);
        claim(0, 0);
        isEqual(before - credit.balanceOf(operators[0]), market.bondOf(offer()), "bond");
        isEqual(market.bondOf(offer()), 10 ether + 1, "a fiftieth of a part and one wei");
        isEqual(market.partOf(SWARM, 0).root, BASE, "from the base");
        isEqual(market.partOf(SWARM, 0).key, keys[0], "solver");
    }

    function test_claim_refusals() public {
        open(offer());
        bytes32 key = keys[0];
        refused(IComputeMarket.NotOperator.selector);
        market.claim(SWARM, 0, key);
        vm.startPrank(operators[0]);
        refused(IComputeMarket.PartUnknown.selector);
        market.claim(SWARM, 2, key);
        market.claim(SWARM, 0, key);
        refused(IComputeMarket.PartTaken.selector);
        market.claim(SWARM, 0, key);
        refused(IComputeMarket.OperatorBusy.selector);
        market.claim(SWARM, 1, key);
        vm.stopPrank();
        key = keys[3];
        vm.startPrank(operators[3]);
        vault.unbond(key, STAKE / 4);
        refused(IComputeMarket.StakeTooSmall.selector);
        market.claim(SWARM, 1, key);
        vault.unbond(key, STAKE / 2);
        refused(IComputeMarket.StandingLost.selector);
        market.claim(SWARM, 1, key);
        vm.stopPrank();
        key = settleIn(21, OTHER_CLASS);
        vm.prank(vm.addr(21));
        refused(IComputeMarket.ClassWrong.selector);
        market.claim(SWARM, 1, key);
        pass(3_000);
        key = keys[4];
        vm.prank(operators[4]);
        refused(IComputeMarket.TooLate.selector);
        market.claim(SWARM, 1, key);
    }

    // --- accepted epochs

    function test_accept_paysSolverAndAuditors() public {
        open(offer());
        claim(0, 0);
        IParticipationLedger.Header memory h = cleanWork(0);
        bytes32[] memory seats = court.panelOf(h.key, h.epoch, 0, 0);
        accept(0, 0, h);
        isEqual(duePart(0), 225 ether, "ten of forty steps, a tenth kept back");
        isEqual(market.partOf(SWARM, 0).kept, 25 ether, "kept");
        isEqual(duePart(indexOf(seats[0])), 2 ether, "two drawn steps");
        isEqual(duePart(indexOf(seats[1])), 2 ether, "each auditor");
        isEqual(market.partOf(SWARM, 0).root, h.last, "root");
        isEqual(market.partOf(SWARM, 0).checkpoint, keccak256("checkpoint"), "checkpoint");
        isEqual(market.jobOf(SWARM).steps, 10, "steps");
    }

    function test_accept_completesAPartAndReturnsTheBond() public {
        open(offer());
        complete(0, 0);
        isTrue(market.isComplete(SWARM, 0), "complete");
        isEqual(duePart(0), 450 ether + market.bondOf(offer()), "pay and bond");
        isEqual(market.partOf(SWARM, 0).bond, 0, "no bond");
        IParticipationLedger.Header memory h = cleanWork(0);
        vm.prank(operators[0]);
        refused(IComputeMarket.PartComplete.selector);
        market.accept(SWARM, 0, h, 0);
        claim(1, 0);
    }

    function test_accept_refusals() public {
        open(offer());
        IParticipationLedger.Header memory h = cleanWork(0);
        refused(IComputeMarket.PartFree.selector);
        market.accept(SWARM, 0, h, 0);
        claim(0, 0);
        refused(IComputeMarket.NotAgent.selector);
        market.accept(SWARM, 0, h, 0);
        vm.startPrank(operators[0]);
        IParticipationLedger.Header memory other = h;
        h.units += 1;
        refused(IComputeMarket.HeaderUnknown.selector);
        market.accept(SWARM, 0, h, 0);
        h.units -= 1;
        h.key = keys[1];
        refused(IComputeMarket.KeyWrong.selector);
        market.accept(SWARM, 0, h, 0);
        h.key = keys[0];
        other.epoch = 40;
        refused(IComputeMarket.EpochLate.selector);
        market.accept(SWARM, 0, other, 0);
        vm.stopPrank();
    }

    function test_accept_refusesAnEpochThatDoesNotContinueThePart() public {
        open(offer());
        claim(0, 0);
        IParticipationLedger.Header memory skipped = cleanWork(0);
        IParticipationLedger.Header memory h = cleanWork(0);
        vm.prank(operators[0]);
        refused(IComputeMarket.RootWrong.selector);
        market.accept(SWARM, 0, h, 0);
        accept(0, 0, skipped);
        accept(0, 0, h);
    }

    function test_accept_refusesTheSameEpochForTwoParts() public {
        IComputeMarket.Offer memory o = offer();
        (o.steps, o.stepsEach, o.leastSteps) = (20, 10, 10);
        open(o);
        claim(0, 0);
        IParticipationLedger.Header memory h = acceptedWork(0, 0);
        claim(1, 0);
        vm.prank(operators[0]);
        refused(IComputeMarket.EpochOld.selector);
        market.accept(SWARM, 1, h, 0);
        vm.prank(operators[0]);
        ledger.adoptRoot(h.key, BASE);
        acceptedWork(1, 0);
        isTrue(market.isComplete(SWARM, 1), "trained once more");
    }

    function test_accept_refusesWhatIsOpenOrNotClean() public {
        open(offer());
        claim(0, 0);
        IParticipationLedger.Header memory h = work(0);
        vm.prank(operators[0]);
        refused(IComputeMarket.NotClean.selector);
        market.accept(SWARM, 0, h, 0);
        toAudit(h);
        speak(h, 0, all(fault(h)));
        pass(20);
        speak(h, 1, all(fault(h)));
        pass(20);
        vm.prank(operators[0]);
        refused(IComputeMarket.NotClean.selector);
        market.accept(SWARM, 0, h, 0);
    }

    function test_accept_refusesAnEpochWithoutSteps() public {
        open(offer());
        claim(0, 0);
        vm.warp(endOf(0));
        IParticipationLedger.Header memory h = headerOf(0, 0);
        h.steps = 0;
        send(0, h);
        toAudit(h);
        speak(h, 0, all(ok()));
        pass(20);
        vm.prank(operators[0]);
        refused(IComputeMarket.EpochEmpty.selector);
        market.accept(SWARM, 0, h, 0);
    }

    function test_accept_refusesAnotherClass() public {
        open(offer());
        claim(0, 0);
        vm.prank(operators[0]);
        vault.setClass(keys[0], OTHER_CLASS);
        vm.prank(operators[3]);
        vault.setClass(keys[3], OTHER_CLASS);
        IParticipationLedger.Header memory h = cleanWork(0);
        vm.prank(operators[0]);
        refused(IComputeMarket.ClassWrong.selector);
        market.accept(SWARM, 0, h, 0);
    }

    function test_accept_refusesALonelyClassWhereTheJobNamesNone() public {
        IComputeMarket.Offer memory o = offer();
        o.class = 0;
        open(o);
        claim(0, 0);
        vm.prank(operators[0]);
        vault.setClass(keys[0], OTHER_CLASS);
        vm.prank(operators[3]);
        vault.setClass(keys[3], OTHER_CLASS);
        IParticipationLedger.Header memory h = cleanWork(0);
        vm.prank(operators[0]);
        refused(IJobDelivery.ClassLonely.selector);
        market.accept(SWARM, 0, h, 0);
    }

    function test_accept_byTheAgentOnly_howeverSlowItIs() public {
        open(offer());
        claim(0, 0);
        IParticipationLedger.Header memory h = cleanWork(0);
        pass(offer().patience - 1);
        refused(IComputeMarket.NotAgent.selector);
        market.accept(SWARM, 0, h, keccak256("a stranger's checkpoint"));
        vm.prank(ledger.memberOf(keys[0]).session);
        market.accept(SWARM, 0, h, keccak256("its own"));
        isEqual(duePart(0), 225 ether, "the session is an agent");
    }

    function test_accept_untilTheCasesOfTheDeadlineAreClosed() public {
        open(offer());
        claim(0, 0);
        vm.warp(market.offerOf(SWARM).deadline - 100);
        IParticipationLedger.Header memory h = cleanWork(0);
        isTrue(block.timestamp > market.offerOf(SWARM).deadline, "after the deadline");
        accept(0, 0, h);
        IParticipationLedger.Header memory late = cleanWork(0);
        vm.prank(operators[0]);
        refused(IComputeMarket.EpochLate.selector);
        market.accept(SWARM, 0, late, 0);
        (uint256 accepts,,,) = market.timesOf(SWARM);
        vm.warp(accepts + 1);
        vm.prank(operators[0]);
        refused(IComputeMarket.TooLate.selector);
        market.accept(SWARM, 0, h, 0);
    }

    function test_accept_countsOnlyWhatIsWanted() public {
        IComputeMarket.Offer memory o = offer();
        (o.steps, o.stepsEach, o.leastSteps) = (30, 15, 5);
        open(o);
        claim(0, 0);
        acceptedWork(0, 0);
        acceptedWork(0, 0);
        isEqual(market.partOf(SWARM, 0).steps, 15, "five of ten");
        isTrue(market.isComplete(SWARM, 0), "complete");
    }

    function test_accept_splitJob_endsWithItsSteps() public {
        IComputeMarket.Offer memory o = offer();
        o.stepsEach = o.steps;
        open(o);
        claim(0, 0);
        claim(1, 3);
        acceptedWork(0, 0);
        acceptedWork(1, 3);
        acceptedWork(0, 0);
        acceptedWork(0, 0);
        isTrue(market.isComplete(SWARM, 0) && market.isComplete(SWARM, 1), "both");
        deliver(0, 0);
        deliver(1, 3);
        delivery.confirm(SWARM, 0);
        delivery.confirm(SWARM, 1);
        settle();
        isEqual(duePart(0), 750 ether + market.bondOf(o) + fees(0), "three epochs");
        isEqual(duePart(3), 250 ether + market.bondOf(o) + fees(3), "one, and the bond at the end");
        emptied(2);
    }

    /// @dev What a member earned as an auditor, in the vault's terms of this town: drawn steps x 1.
    function fees(uint256 i) private view returns (uint256 sum) {
        for (uint32 epoch = 0; epoch < nextEpoch; ++epoch) {
            for (uint256 who = 0; who < keys.length; ++who) {
                if (market.nextOf(keys[who]) <= epoch || ledger.slotOf(keys[who], epoch) == 0) continue;
                if (uint32(uint256(ledger.slotOf(keys[who], epoch))) != epoch + 1) continue;
                bytes32[] memory seats = court.panelOf(keys[who], epoch, 0, 0);
                for (uint256 s = 0; s < seats.length; ++s) {
                    if (seats[s] == keys[i]) sum += 2 ether;
                }
            }
        }
    }

    /// @dev A single step: 25 for it, 2.5 kept.
    function singleStep(IComputeMarket.Offer memory o) private returns (IParticipationLedger.Header memory h) {
        open(o);
        claim(0, 0);
        vm.warp(endOf(0));
        nextEpoch = 1;
        h = headerOf(0, 0);
        h.steps = 1;
        send(0, h);
        toAudit(h);
        speak(h, 0, all(ok()));
        pass(20);
        accept(0, 0, h);
    }

    function test_accept_smallEpochs_payTheirAuditorsThemselves() public {
        uint64 claimed = uint64(block.timestamp);
        singleStep(offer());
        // the step's budget is 2 x 2 / 10 = 0.4; one drawn step, two auditors: 2
        isEqual(duePart(0), 22.5 ether - 1.6 ether, "the rest comes out of its pay");
        isEqual(market.partOf(SWARM, 0).fees, 0.4 ether, "budget");
        isEqual(market.partOf(SWARM, 0).moved, claimed, "one step is no movement");
    }

    function test_accept_anEpochTooPoorForItsAuditors_givesThemAllItHas() public {
        IComputeMarket.Offer memory o = offer();
        o.perSegment = 30 ether;
        IParticipationLedger.Header memory h = singleStep(o);
        bytes32[] memory seats = court.panelOf(h.key, h.epoch, 0, 0);
        isEqual(duePart(0), 0, "nothing left");
        isEqual(duePart(indexOf(seats[0])), (22.5 ether + 12 ether) / 2, "half of pay and budget each");
    }

    // --- claims that end

    function test_expire_opensThePartAgainAndBurnsTheBond() public {
        open(offer());
        claim(0, 0);
        IParticipationLedger.Header memory h = acceptedWork(0, 0);
        refused(IComputeMarket.TooSoon.selector);
        market.expire(SWARM, 0);
        pass(offer().patience);
        market.expire(SWARM, 0);
        isEqual(burned(), market.bondOf(offer()), "burned");
        refused(IComputeMarket.PartFree.selector);
        market.expire(SWARM, 0);
        claim(0, 3);
        isEqual(market.partOf(SWARM, 0).root, h.last, "from the last accepted state");
        vm.prank(operators[3]);
        ledger.adoptRoot(keys[3], h.last);
        acceptedWork(0, 3);
        isTrue(market.isComplete(SWARM, 0), "finished by the second");
        deliver(0, 3);
        delivery.confirm(SWARM, 0);
        market.release(SWARM, 0);
        isEqual(duePart(3) - fees(3), 225 ether + 50 ether + market.bondOf(offer()), "all that was kept back is the finisher's");
    }

    function test_expire_notOfACompletePartNorAfterTheDeadline() public {
        open(offer());
        complete(0, 0);
        claim(1, 3);
        pass(offer().patience);
        refused(IComputeMarket.PartComplete.selector);
        market.expire(SWARM, 0);
        vm.warp(market.offerOf(SWARM).deadline);
        refused(IComputeMarket.TooLate.selector);
        market.expire(SWARM, 1);
        settle();
        isEqual(burned(), market.bondOf(offer()), "who could have been expired loses its bond at the end");
        emptied(2);
    }

    function test_quit_returnsTheBondToWhoWorked() public {
        open(offer());
        claim(0, 0);
        claim(1, 3);
        acceptedWork(0, 0);
        bytes32 key = keys[0];
        refused(IComputeMarket.NotAgent.selector);
        market.quit(SWARM, 0);
        vm.prank(operators[0]);
        market.quit(SWARM, 0);
        isEqual(duePart(0), 225 ether + market.bondOf(offer()), "back");
        vm.prank(operators[3]);
        market.quit(SWARM, 1);
        isEqual(burned(), market.bondOf(offer()), "burned");
        key = keys[0];
        vm.prank(operators[0]);
        market.claim(SWARM, 1, key);
    }

    // --- cancellation

    function test_cancel_withNobodyAtWork_refundsAtOnce() public {
        open(offer());
        market.cancel(SWARM);
        isPhase(IComputeMarket.JobPhase.Settled);
        isEqual(due(address(this)), 1_070 ether, "all");
        emptied(2);
        refused(IComputeMarket.JobPhaseWrong.selector);
        market.settle(SWARM);
        refused(IComputeMarket.JobPhaseWrong.selector);
        market.cancel(SWARM);
    }

    function test_cancel_paysWorkInFlightAndWhatWasKeptBack() public {
        open(withTarget(offer()));
        claim(0, 0);
        acceptedWork(0, 0);
        IParticipationLedger.Header memory h = work(0);
        vm.prank(operators[0]);
        refused(IComputeMarket.NotSubmitter.selector);
        market.cancel(SWARM);
        market.cancel(SWARM);
        bytes32 key = keys[3];
        vm.prank(operators[3]);
        refused(IComputeMarket.TooLate.selector);
        market.claim(SWARM, 1, key);
        (,,, uint256 ends) = market.timesOf(SWARM);
        refused(IComputeMarket.TooSoon.selector);
        market.settle(SWARM);
        toAudit(h);
        speak(h, 0, all(ok()));
        pass(20);
        accept(0, 0, h);
        isTrue(block.timestamp < ends, "done sooner");
        settle();
        isEqual(duePart(0), 500 ether + market.bondOf(offer()), "two epochs in full");
        emptied(2);
    }

    function test_cancel_thenQuit_paysAllAndEndsTheJob() public {
        open(offer());
        claim(0, 0);
        acceptedWork(0, 0);
        market.cancel(SWARM);
        vm.prank(operators[0]);
        market.quit(SWARM, 0);
        isEqual(duePart(0), 250 ether + market.bondOf(offer()), "nothing kept back");
        market.settle(SWARM);
        emptied(2);
    }

    // --- the end

    function test_settle_withoutAnyWork_refundsAllAtTheDeadline() public {
        post(offer());
        refused(IComputeMarket.TooSoon.selector);
        market.settle(SWARM);
        vm.warp(market.offerOf(SWARM).deadline);
        market.settle(SWARM);
        isEqual(due(address(this)), 1_070 ether, "all");
        emptied(2);
    }

    function test_settle_keepsFromWhoDidNotFinish() public {
        open(offer());
        claim(0, 0);
        vm.warp(market.offerOf(SWARM).deadline - 200);
        acceptedWork(0, 0);
        settle();
        isEqual(duePart(0), 225 ether + market.bondOf(offer()), "accepted epochs, and the bond of who still moved");
        emptied(2);
    }

    function test_settle_withholdsNothingOfAnUndeliveredPart() public {
        open(offer());
        complete(0, 0);
        settle();
        isEqual(duePart(0), 450 ether + market.bondOf(offer()), "not what was kept back for the delivery");
        emptied(2);
    }

    function testFuzz_wages_addUpToThePrice(uint96 price, uint8 steps_, uint16 deliveryBps, uint16 targetBps) public {
        IComputeMarket.Offer memory o = withTarget(single(offer()));
        (o.steps, o.stepsEach, o.leastSteps) = (uint32(between(steps_, 1, 30)), uint32(between(steps_, 1, 30)), 1);
        o.price = uint128(between(price, o.steps, 3_000 ether));
        (o.plants, o.deliveryBps, o.targetBps) = (0, uint16(between(deliveryBps, 1, 5_000)), uint16(between(targetBps, 1, 4_999)));
        o.perSegment = 1;
        open(o);
        claim(0, 0);
        while (!market.isComplete(SWARM, 0)) acceptedWork(0, 0);
        deliver(0, 0);
        delivery.confirm(SWARM, 0);
        settle();
        uint256 own = o.price > 100 ? 0 : 40; // a wage of a few wei may pay its own auditors
        isTrue(duePart(0) + own >= uint256(o.price) + market.bondOf(o) && duePart(0) <= uint256(o.price) + market.bondOf(o), "price and bond");
        emptied(1);
    }
}
