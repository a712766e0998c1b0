// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeMarket} from "../src/interfaces/IComputeMarket.sol";
import {IJobDelivery} from "../src/interfaces/IJobDelivery.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {JobTown} from "./JobTown.sol";

/// @notice Deliveries, attestations, evaluations and scores: one test for each rule and each refusal.
contract JobDeliveryTest is JobTown {
    uint256 private paidBefore;

    function setUp() public {
        settleTown(6);
    }

    /// @dev Member 0 has completed the only part; 1, 2 and 3 seed.
    function finished(IComputeMarket.Offer memory o) private {
        open(single(o));
        seed(3);
        complete(0, 0);
        paidBefore = duePart(0);
    }

    function delivered(IComputeMarket.Offer memory o) private {
        finished(o);
        deliver(0, 0);
    }

    function gained() private view returns (uint256) {
        return duePart(0) - paidBefore;
    }

    // --- deliveries

    function test_deliver_attested_releasesWhatWasKeptBack() public {
        delivered(offer());
        attest(0, 1, MODEL);
        attest(0, 2, MODEL);
        isTrue(!delivery.isDelivered(SWARM, 0), "the ballot is open");
        refused(IComputeMarket.NothingDelivered.selector);
        market.release(SWARM, 0);
        pass(100);
        isTrue(delivery.isDelivered(SWARM, 0), "attested");
        market.release(SWARM, 0);
        isEqual(gained(), 100 ether, "a tenth of the price");
        refused(IComputeMarket.NothingDelivered.selector);
        market.release(SWARM, 0);
        isPhase(IComputeMarket.JobPhase.Over);
        settle();
        uint256 before = duePart(1);
        vm.prank(operators[1]);
        market.collect(SWARM, 0);
        isEqual(duePart(1) - before, 1 ether, "half of what two attesters get");
        vm.prank(operators[1]);
        refused(IComputeMarket.NothingToPay.selector);
        market.collect(SWARM, 0);
        emptied(1);
    }

    function test_deliver_confirmed_releasesAtOnce() public {
        delivered(offer());
        delivery.confirm(SWARM, 0);
        isTrue(delivery.isDelivered(SWARM, 0), "confirmed");
        settle();
        isEqual(gained(), 100 ether, "settlement pays it too");
        emptied(1);
    }

    function test_deliver_denied_paysNothingAndTheDeniers() public {
        delivered(offer());
        attest(0, 1, 0);
        attest(0, 2, keccak256("another file"));
        attest(0, 3, 0);
        settle();
        isEqual(gained(), 0, "not delivered");
        uint256 before = duePart(3);
        vm.prank(operators[3]);
        market.collect(SWARM, 0);
        isEqual(duePart(3) - before, 1 ether, "two said so");
        vm.prank(operators[2]);
        refused(IComputeMarket.NothingToPay.selector);
        market.collect(SWARM, 0);
        emptied(1);
    }

    function test_deliver_oneAttestation_isEnoughWhereNobodyContradicts() public {
        delivered(offer());
        attest(0, 1, MODEL);
        settle();
        isEqual(gained(), 100 ether, "silence locks nothing");
        emptied(1);
    }

    function test_deliver_aTieDecidesNothing() public {
        delivered(offer());
        attest(0, 1, MODEL);
        attest(0, 2, 0);
        settle();
        isEqual(gained(), 0, "no majority");
        emptied(1);
    }

    function test_deliver_weighsByStake() public {
        vm.startPrank(operators[1]);
        credit.faucet(1_000 ether);
        credit.approve(address(vault), 1_000 ether);
        vault.stake(keys[1], 1_000 ether, CLASS);
        vm.stopPrank();
        delivered(offer());
        attest(0, 1, MODEL);
        attest(0, 2, 0);
        settle();
        isEqual(gained(), 100 ether, "2,000 against 1,000");
    }

    function test_deliver_againUntilOneIsRight() public {
        delivered(offer());
        attest(0, 1, 0);
        deliver(0, 0);
        attest(0, 1, MODEL);
        deliver(0, 0);
        vm.prank(operators[0]);
        refused(IJobDelivery.DeliveriesUsed.selector);
        delivery.deliver(SWARM, 0, MODEL);
        attest(0, 1, MODEL);
        settle();
        isEqual(gained(), 100 ether, "the third");
        emptied(1);
    }

    function test_deliver_refusals() public {
        open(single(offer()));
        claim(0, 0);
        acceptedWork(0, 0);
        vm.startPrank(operators[0]);
        refused(IJobDelivery.PartIncomplete.selector);
        delivery.deliver(SWARM, 0, MODEL);
        vm.stopPrank();
        acceptedWork(0, 0);
        refused(IJobDelivery.NotAgent.selector);
        delivery.deliver(SWARM, 0, MODEL);
        vm.startPrank(operators[0]);
        refused(IJobDelivery.ModelMissing.selector);
        delivery.deliver(SWARM, 0, 0);
        (, uint256 delivers,,) = market.timesOf(SWARM);
        vm.warp(delivers + 1);
        refused(IJobDelivery.TooLate.selector);
        delivery.deliver(SWARM, 0, MODEL);
        vm.warp(delivers);
        delivery.deliver(SWARM, 0, MODEL);
        vm.stopPrank();
        delivery.confirm(SWARM, 0);
        vm.prank(operators[0]);
        refused(IJobDelivery.ModelDecided.selector);
        delivery.deliver(SWARM, 0, MODEL);
    }

    function test_attest_refusals() public {
        finished(offer());
        bytes32 key = keys[1];
        vm.startPrank(operators[1]);
        refused(IJobDelivery.NothingDelivered.selector);
        delivery.attest(SWARM, 0, key, MODEL);
        vm.stopPrank();
        deliver(0, 0);
        refused(IJobDelivery.NotAgent.selector);
        delivery.attest(SWARM, 0, key, MODEL);
        attest(0, 1, MODEL);
        vm.prank(operators[1]);
        refused(IJobDelivery.VoteTaken.selector);
        delivery.attest(SWARM, 0, key, MODEL);
        key = keys[4];
        vm.prank(operators[4]);
        refused(IJobDelivery.NotSeeder.selector);
        delivery.attest(SWARM, 0, key, MODEL);
        seed(0);
        key = keys[0];
        vm.prank(operators[0]);
        refused(IJobDelivery.SolverExcluded.selector);
        delivery.attest(SWARM, 0, key, MODEL);
        pass(100);
        key = keys[2];
        vm.prank(operators[2]);
        refused(IJobDelivery.TooLate.selector);
        delivery.attest(SWARM, 0, key, MODEL);
    }

    /// @dev Weight counts as it was when the ballot began: stake that comes to swing it does not.
    function test_attest_refusesWhoCameForTheBallot() public {
        delivered(offer());
        bytes32 key = settleIn(30, CLASS);
        vm.startPrank(vm.addr(30));
        market.seed(SWARM, key);
        refused(IJobDelivery.StandingLost.selector);
        delivery.attest(SWARM, 0, key, 0);
        vm.stopPrank();
    }

    function test_confirm_refusals() public {
        finished(offer());
        refused(IJobDelivery.NothingDelivered.selector);
        delivery.confirm(SWARM, 0);
        deliver(0, 0);
        vm.prank(operators[1]);
        refused(IJobDelivery.NotSubmitter.selector);
        delivery.confirm(SWARM, 0);
        delivery.confirm(SWARM, 0);
        refused(IJobDelivery.ModelDecided.selector);
        delivery.confirm(SWARM, 0);
        bytes32 key = keys[1];
        vm.prank(operators[1]);
        refused(IJobDelivery.ModelDecided.selector);
        delivery.attest(SWARM, 0, key, MODEL);
    }

    function test_collect_onlyAfterSettlement() public {
        delivered(offer());
        attest(0, 1, MODEL);
        pass(100);
        vm.prank(operators[1]);
        refused(IComputeMarket.JobPhaseWrong.selector);
        market.collect(SWARM, 0);
    }

    // --- evaluations

    function evaluated() private {
        delivered(withTarget(offer()));
        delivery.confirm(SWARM, 0);
        market.release(SWARM, 0);
        isPhase(IComputeMarket.JobPhase.Opening);
        delivery.openEvaluation(SWARM, DIGEST, EVALUATION_SALT);
        isPhase(IComputeMarket.JobPhase.Scoring);
        paidBefore = duePart(0);
    }

    function scored(uint32 a, uint32 b, uint32 c) private {
        evaluated();
        score(0, 1, a);
        score(0, 2, b);
        score(0, 3, c);
        pass(100);
        isPhase(IComputeMarket.JobPhase.Revealing);
        revealScore(0, 1, a);
        revealScore(0, 2, b);
        revealScore(0, 3, c);
        settle();
    }

    function test_score_overTheTarget_paysTheSolver() public {
        scored(8_000, 8_000, 9_000);
        isEqual(gained(), 200 ether, "a fifth of the price");
        uint256 before = duePart(1);
        vm.prank(operators[1]);
        market.collect(SWARM, 0);
        isEqual(duePart(1) - before, 2 ether, "2 x 2 segments among two");
        emptied(1);
    }

    function test_score_underTheTarget_refundsTheSubmitter() public {
        uint256 before = due(address(this));
        scored(7_999, 7_999, 10_000);
        isEqual(gained(), 0, "missed");
        isTrue(due(address(this)) - before >= 200 ether, "refunded");
        emptied(1);
    }

    function test_score_undecided_isHalved() public {
        scored(1, 2, 3);
        isEqual(gained(), 100 ether, "half");
        emptied(1);
    }

    function test_score_withoutAFile_paysTheSolver() public {
        scored(type(uint32).max, type(uint32).max, 1);
        isEqual(gained(), 200 ether, "a withheld evaluation costs its submitter");
        emptied(1);
    }

    function test_score_byOneOnly_decidesNothing() public {
        evaluated();
        score(0, 1, 0);
        pass(100);
        revealScore(0, 1, 0);
        settle();
        isEqual(gained(), 100 ether, "half");
        emptied(1);
    }

    function test_evaluation_notOpened_paysTheSolver() public {
        delivered(withTarget(offer()));
        delivery.confirm(SWARM, 0);
        refused(IComputeMarket.TooSoon.selector);
        market.settle(SWARM);
        settle();
        isEqual(gained(), 300 ether, "delivery and target");
        emptied(1);
    }

    function test_evaluation_waitsForAllParts() public {
        open(withTarget(offer()));
        complete(0, 0);
        deliver(0, 0);
        delivery.confirm(SWARM, 0);
        refused(IJobDelivery.JobPhaseWrong.selector);
        delivery.openEvaluation(SWARM, DIGEST, EVALUATION_SALT);
        complete(1, 3);
        refused(IJobDelivery.JobPhaseWrong.selector);
        delivery.openEvaluation(SWARM, DIGEST, EVALUATION_SALT);
        deliver(1, 3);
        delivery.confirm(SWARM, 1);
        delivery.openEvaluation(SWARM, DIGEST, EVALUATION_SALT);
        (uint64 opened, bytes32 digest) = delivery.evaluationOf(SWARM);
        isTrue(opened == block.timestamp && digest == DIGEST, "opened");
    }

    function test_evaluation_refusals() public {
        delivered(withTarget(offer()));
        delivery.confirm(SWARM, 0);
        vm.prank(operators[1]);
        refused(IJobDelivery.NotSubmitter.selector);
        delivery.openEvaluation(SWARM, DIGEST, EVALUATION_SALT);
        refused(IJobDelivery.EvaluationMismatch.selector);
        delivery.openEvaluation(SWARM, MODEL, EVALUATION_SALT);
        refused(IComputeMarket.JobPhaseWrong.selector);
        market.cancel(SWARM);
        delivery.openEvaluation(SWARM, DIGEST, EVALUATION_SALT);
        refused(IJobDelivery.JobPhaseWrong.selector);
        delivery.openEvaluation(SWARM, DIGEST, EVALUATION_SALT);
    }

    function test_score_refusals() public {
        evaluated();
        score(0, 1, 8_000);
        bytes32 key = keys[1];
        vm.startPrank(operators[1]);
        refused(IJobDelivery.VoteTaken.selector);
        delivery.commitScore(SWARM, 0, key, MODEL);
        refused(IJobDelivery.JobPhaseWrong.selector);
        delivery.revealScore(SWARM, 0, key, 8_000, key);
        pass(100);
        refused(IJobDelivery.ScoreMismatch.selector);
        delivery.revealScore(SWARM, 0, key, 8_001, key);
        delivery.revealScore(SWARM, 0, key, 8_000, key);
        refused(IJobDelivery.VoteTaken.selector);
        delivery.revealScore(SWARM, 0, key, 8_000, key);
        vm.stopPrank();
        key = keys[2];
        vm.startPrank(operators[2]);
        refused(IJobDelivery.JobPhaseWrong.selector);
        delivery.commitScore(SWARM, 0, key, MODEL);
        refused(IJobDelivery.ScoreMismatch.selector);
        delivery.revealScore(SWARM, 0, key, 8_000, key);
        vm.stopPrank();
    }

    // --- who audited rightly

    function test_auditOf_aCaseThatAJuryDecided() public {
        open(single(offer()));
        claim(0, 0);
        IParticipationLedger.Header memory h = work(0);
        toAudit(h);
        bytes32[] memory seats = panel(h, 0);
        speak(h, 0, both(ok(), fault(h)));
        pass(20);
        speak(h, 1, all(ok()));
        pass(20);
        accept(0, 0, h);
        isEqual(duePart(indexOf(seats[0])), 2 ether, "right");
        isEqual(duePart(indexOf(seats[1])), 0, "wrong");
    }

    function test_auditOf_aLazyGuess_isNotPaid() public {
        open(single(offer()));
        claim(0, 0);
        IParticipationLedger.Header memory h = work(0);
        toAudit(h);
        bytes32[] memory seats = panel(h, 0);
        speak(h, 0, both(ok(), lazyOk()));
        pass(20);
        speak(h, 1, all(ok()));
        pass(20);
        accept(0, 0, h);
        isTrue(duePart(indexOf(seats[0])) == 2 ether && duePart(indexOf(seats[1])) == 0, "only who replayed");
    }
}
