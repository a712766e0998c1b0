// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AuditCourt} from "../src/AuditCourt.sol";
import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {StepTree} from "../src/lib/StepTree.sol";
import {Town} from "./Town.sol";

/// @dev Nine operators: eight others, so that a jury of seven is full and one of fifteen is small.
contract CourtTest is Town {
    IParticipationLedger.Header private h;

    function setUp() public {
        deploy();
        found(terms(), 9);
        fill(address(this), 100 ether);
        credit.approve(address(vault), 100 ether);
        vault.fund(SWARM, 100 ether);
    }

    function open() private {
        h = commit(0, 0);
        beaconOf(0);
    }

    function lost(uint256 i) private view returns (uint256) {
        uint256 w = wealth(i);
        return w < STAKE ? STAKE - w : 0;
    }

    function claims(bytes32 key) private view returns (uint256) {
        return vault.claimable(address(credit), ledger.operatorOf(key));
    }

    function stakeIn(bytes32 key) private view returns (uint256) {
        return vault.stakeOf(key).active;
    }

    function next() private {
        pass(20);
    }

    function challengeBy(bytes32 key) private {
        challengeBy(h, key);
    }

    function outsider() private view returns (bytes32) {
        bytes32[] memory seats = court.panelOf(h.key, 0, 0, 0);
        for (uint256 i = 1; i < keys.length; ++i) {
            if (keys[i] != seats[0] && keys[i] != seats[1]) return keys[i];
        }
        revert Untrue("nobody left");
    }

    // --- verdicts

    function test_commitVerdict_refusesStrangersSeatlessAndTwice() public {
        open();
        bytes32[] memory seats = panel(h, 0);
        bytes32 other = outsider();
        refused(IAuditCourt.NotAgent.selector);
        court.commitVerdict(seats[0], h.key, 0, 0, "x");
        vm.prank(ledger.operatorOf(other));
        refused(IAuditCourt.NotSeated.selector);
        court.commitVerdict(other, h.key, 0, 0, "x");
        vm.startPrank(ledger.operatorOf(seats[0]));
        refused(IAuditCourt.WrongLevel.selector);
        court.commitVerdict(seats[0], h.key, 0, 1, "x");
        court.commitVerdict(seats[0], h.key, 0, 0, "x");
        refused(IAuditCourt.VerdictTaken.selector);
        court.commitVerdict(seats[0], h.key, 0, 0, "y");
    }

    function test_commitVerdict_onlyInTheAuditPhase() public {
        h = commit(0, 0);
        bytes32 seat = keys[1];
        vm.startPrank(operators[1]);
        refused(IAuditCourt.WrongPhase.selector);
        court.commitVerdict(seat, h.key, 0, 0, "x");
        vm.stopPrank();
        beaconOf(0);
        pass(40);
        vm.startPrank(operators[1]);
        refused(IAuditCourt.WrongPhase.selector);
        court.commitVerdict(seat, h.key, 0, 0, "x");
    }

    function test_revealVerdict_refusesAnythingButWhatWasCommitted() public {
        open();
        bytes32 seat = panel(h, 0)[0];
        commitSay(seat, h, 0, ok());
        address agent = ledger.operatorOf(seat);
        vm.startPrank(agent);
        refused(IAuditCourt.WrongPhase.selector);
        court.revealVerdict(seat, h, 0, 1, 0, VALUE, seat);
        pass(40);
        refused(IAuditCourt.VerdictMismatch.selector);
        court.revealVerdict(seat, h, 0, 1, 0, "another value", seat);
        refused(IAuditCourt.VerdictMismatch.selector);
        court.revealVerdict(seat, h, 0, 2, 0, 0, seat);
        refused(IAuditCourt.WrongLevel.selector);
        court.revealVerdict(seat, h, 1, 1, 0, VALUE, seat);
        IParticipationLedger.Header memory wrong = h;
        wrong.units += 1;
        refused(IAuditCourt.HeaderUnknown.selector);
        court.revealVerdict(seat, wrong, 0, 1, 0, VALUE, seat);
        wrong.units -= 1;
        court.revealVerdict(seat, h, 0, 1, 0, VALUE, seat);
        refused(IAuditCourt.VerdictTaken.selector);
        court.revealVerdict(seat, h, 0, 1, 0, VALUE, seat);
        vm.stopPrank();
        refused(IAuditCourt.NotAgent.selector);
        court.revealVerdict(seat, h, 0, 1, 0, VALUE, seat);
    }

    function refusesSay(Say memory say, bytes4 selector) private {
        bytes32 seat = panel(h, 0)[0];
        commitSay(seat, h, 0, say);
        pass(40);
        address agent = ledger.operatorOf(seat);
        vm.prank(agent);
        refused(selector);
        court.revealVerdict(seat, h, 0, say.verdict, say.step, say.value, seat);
    }

    function test_revealVerdict_refusesUnknownVerdict() public {
        open();
        refusesSay(Say(5, 0, 0), IAuditCourt.VerdictInvalid.selector);
    }

    function test_revealVerdict_refusesOkWithAStep() public {
        open();
        refusesSay(Say(1, 1, VALUE), IAuditCourt.VerdictInvalid.selector);
    }

    function test_revealVerdict_refusesFaultWithAValue() public {
        open();
        refusesSay(Say(2, fault(h).step, VALUE), IAuditCourt.VerdictInvalid.selector);
    }

    function test_revealVerdict_refusesAStepThatWasNotDrawn() public {
        open();
        uint32[] memory drawn = court.drawnSteps(h.key, 0, h.steps);
        uint32 step = 0;
        while (step == drawn[0] || step == drawn[1]) ++step;
        refusesSay(Say(2, step, 0), IAuditCourt.StepNotDrawn.selector);
    }

    // --- level 0

    function test_agreement_isCleanAndPaysFees() public {
        open();
        bytes32[] memory seats = panel(h, 0);
        speak(h, 0, all(ok()));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        court.finalize(h);
        isEqual(claims(seats[0]), 1 ether, "fee");
        isEqual(claims(seats[1]), 1 ether, "fee");
        isEqual(vault.treasuryOf(SWARM), 98 ether, "treasury");
        isTrue(court.caseOf(h.key, 0).finalized, "finalized");
        refused(IAuditCourt.AlreadyFinalized.selector);
        court.finalize(h);
    }

    function test_finalize_notBeforeTheCaseIsClosed() public {
        open();
        refused(IAuditCourt.NotClosed.selector);
        court.finalize(h);
        IParticipationLedger.Header memory wrong = h;
        wrong.epoch = 1;
        refused(IAuditCourt.HeaderUnknown.selector);
        court.finalize(wrong);
    }

    function test_silence_redrawsTwiceAndEndsUnaudited() public {
        open();
        for (uint8 roll = 0; roll < 3; ++roll) {
            isEqual(court.caseOf(h.key, 0).roll, roll, "roll");
            phaseIs(h, IAuditCourt.Phase.Audit);
            pass(60);
        }
        outcomeIs(h, IAuditCourt.Outcome.Unaudited);
        court.finalize(h);
        isEqual(lost(0), 0, "the prover loses nothing");
        for (uint8 roll = 0; roll < 3; ++roll) {
            bytes32[] memory seats = court.panelOf(h.key, 0, 0, roll);
            isEqual(stakeIn(seats[0]), STAKE * 99 / 100, "absence");
            isTrue(vault.stakeOf(seats[0]).lapsed, "paused");
        }
    }

    function test_redrawnAuditors_canCloseTheCase() public {
        open();
        pass(60);
        speak(h, 0, all(ok()));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        isEqual(court.caseOf(h.key, 0).roll, 1, "roll");
        court.finalize(h);
    }

    function test_oneSilentAuditor_callsAJury() public {
        open();
        bytes32[] memory seats = panel(h, 0);
        speak(h, 0, both(ok(), silence()));
        next();
        isEqual(court.caseOf(h.key, 0).level, 1, "level");
        speak(h, 1, all(ok()));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        court.finalize(h);
        isTrue(vault.stakeOf(seats[1]).lapsed, "silent one pays");
    }

    function test_cannot_isNoGuiltAndPausesTheAuditor() public {
        open();
        bytes32[] memory seats = panel(h, 0);
        speak(h, 0, all(cannot()));
        isEqual(court.caseOf(h.key, 0).roll, 1, "redrawn");
        speak(h, 0, all(ok()));
        next();
        court.finalize(h);
        isEqual(stakeIn(seats[0]), STAKE, "no fee");
        isTrue(vault.stakeOf(seats[0]).paused, "paused");
        isEqual(lost(0), 0, "prover");
    }

    function test_smallSwarm_marksTheVerdict() public {
        deploy();
        delete keys;
        delete operators;
        for (uint256 i = 0; i < 9; ++i) {
            used[i] = 0;
        }
        found(terms(), 2);
        open();
        isEqual(panel(h, 0).length, 1, "one other operator");
        speak(h, 0, all(ok()));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        isTrue(court.caseOf(h.key, 0).smallPanel, "marked");
        court.finalize(h);
        isTrue(court.caseOf(h.key, 0).smallPanel, "still marked");
    }

    function test_loneOperator_isNeverAudited() public {
        deploy();
        delete keys;
        delete operators;
        for (uint256 i = 0; i < 9; ++i) {
            used[i] = 0;
        }
        found(terms(), 1);
        open();
        pass(180);
        outcomeIs(h, IAuditCourt.Outcome.Unaudited);
        court.finalize(h);
        ledger.settle(h);
        isEqual(ledger.unitsOf(h.key), 0, "no score");
    }

    // --- juries

    function test_bothFindAFault_stillNeedsAJury_andConvicts() public {
        open();
        bytes32[] memory seats = panel(h, 0);
        speak(h, 0, all(fault(h)));
        isEqual(uint8(court.caseOf(h.key, 0).outcome), 0, "open");
        next();
        bytes32[] memory jury = panel(h, 1);
        isEqual(jury.length, 3, "jury");
        speak(h, 1, all(fault(h)));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Fault);
        court.finalize(h);
        isEqual(wealth(0), 0, "whole stake");
        isTrue(claims(seats[0]) >= 101 ether && claims(jury[0]) >= 100 ether, "finders share half");
        ledgerHasNoScore();
    }

    function ledgerHasNoScore() private {
        isEqual(ledger.unitsOf(h.key), 0, "units");
        refused(IParticipationLedger.AlreadySettled.selector);
        ledger.settle(h);
    }

    function test_convicted_rewardsAreAtMostHalf() public {
        open();
        speak(h, 0, all(fault(h)));
        next();
        speak(h, 1, all(fault(h)));
        next();
        uint256 before = vault.treasuryOf(SWARM);
        court.finalize(h);
        uint256 paid = 0;
        for (uint256 i = 1; i < keys.length; ++i) {
            paid += claims(keys[i]);
        }
        isTrue(paid <= STAKE / 2 + 5 ether, "half, and five fees");
        isTrue(vault.treasuryOf(SWARM) >= before + STAKE / 2 - 5 ether, "the rest to the treasury");
    }

    function test_disagreement_juryForOk_slashesTheSlanderer() public {
        open();
        bytes32[] memory seats = panel(h, 0);
        speak(h, 0, both(ok(), fault(h)));
        next();
        speak(h, 1, all(ok()));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        court.finalize(h);
        isEqual(stakeIn(seats[1]), STAKE * 75 / 100, "slander");
        isTrue(stakeIn(seats[0]) == STAKE && claims(seats[0]) >= 1 ether, "honest auditor");
        isEqual(lost(0), 0, "prover");
        ledger.settle(h);
        isEqual(ledger.unitsOf(h.key), 500, "units");
    }

    function test_disagreement_juryForFault_slashesWhoSaidOk() public {
        open();
        bytes32[] memory seats = panel(h, 0);
        speak(h, 0, both(ok(), fault(h)));
        next();
        speak(h, 1, all(fault(h)));
        next();
        court.finalize(h);
        isTrue(stakeIn(seats[0]) <= STAKE * 75 / 100, "lie");
        isEqual(wealth(0), 0, "prover");
    }

    function test_lazyOk_isExposedByTheValue() public {
        open();
        bytes32[] memory seats = panel(h, 0);
        speak(h, 0, both(ok(), lazyOk()));
        next();
        speak(h, 1, all(ok()));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        court.finalize(h);
        isTrue(stakeIn(seats[1]) == STAKE * 75 / 100, "guess");
        isEqual(lost(0), 0, "prover");
    }

    function test_unavailable_needsTwoThirds_andCostsAnAbsence() public {
        open();
        speak(h, 0, all(unavailable(h)));
        next();
        speak(h, 1, three(unavailable(h), unavailable(h), ok()));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Withheld);
        court.finalize(h);
        isEqual(wealth(0), STAKE * 99 / 100, "an absence");
        ledger.settle(h);
        isEqual(ledger.unitsOf(h.key), 0, "no score");
    }

    function test_unavailable_bySimpleMajorityIsNotEnough() public {
        open();
        speak(h, 0, all(unavailable(h)));
        next();
        speak(h, 1, three(unavailable(h), ok(), ok()));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        deployAnew();
        speak(h, 0, all(unavailable(h)));
        next();
        speak(h, 1, three(unavailable(h), lazyOk(), ok()));
        next();
        isEqual(court.caseOf(h.key, 0).level, 2, "next jury");
        // Four of seven.
        Say[] memory says = new Say[](7);
        for (uint256 i = 0; i < 7; ++i) {
            says[i] = i < 4 ? unavailable(h) : ok();
        }
        speak(h, 2, says);
        next();
        isEqual(court.caseOf(h.key, 0).level, 3, "last jury");
    }

    function deployAnew() private {
        deploy();
        delete keys;
        delete operators;
        for (uint256 i = 0; i < 9; ++i) {
            used[i] = 0;
        }
        found(terms(), 9);
        open();
    }

    function test_noMajority_escalatesToTheLastLevelAndTies() public {
        open();
        speak(h, 0, both(ok(), fault(h)));
        next();
        for (uint8 level = 1; level <= 3; ++level) {
            isEqual(court.caseOf(h.key, 0).level, level, "level");
            speak(h, level, three(ok(), lazyOk(), fault(h)));
            next();
        }
        outcomeIs(h, IAuditCourt.Outcome.Tied);
        uint256[] memory before = new uint256[](keys.length);
        for (uint256 i = 0; i < keys.length; ++i) {
            before[i] = wealth(i);
        }
        court.finalize(h);
        for (uint256 i = 0; i < keys.length; ++i) {
            isEqual(wealth(i), before[i], "nobody slashed");
        }
        ledger.settle(h);
        isEqual(ledger.unitsOf(h.key), 0, "no score");
    }

    // --- challenges

    function test_challenge_ofACollusiveOk_winsTheShare() public {
        open();
        bytes32[] memory seats = panel(h, 0);
        bytes32 whistle = outsider();
        speak(h, 0, all(ok()));
        challengeBy(whistle);
        isEqual(stakeIn(whistle), STAKE - court.bondOf(SWARM), "bond");
        isTrue(court.caseOf(h.key, 0).challenged, "challenged");
        next();
        speak(h, 1, all(fault(h)));
        next();
        court.finalize(h);
        isEqual(wealth(0), 0, "prover");
        isTrue(claims(whistle) > court.bondOf(SWARM) + 100 ether, "bond back and a share");
        isTrue(stakeIn(seats[0]) <= STAKE * 75 / 100 && stakeIn(seats[1]) <= STAKE * 75 / 100, "colluders");
    }

    function test_challenge_ofAnHonestOk_losesTheBond() public {
        open();
        bytes32 troll = outsider();
        speak(h, 0, all(ok()));
        challengeBy(troll);
        next();
        speak(h, 1, all(ok()));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        court.finalize(h);
        isEqual(stakeIn(troll), STAKE - court.bondOf(SWARM), "bond lost");
        ledger.settle(h);
        isEqual(ledger.unitsOf(h.key), 500, "units");
    }

    function test_challenge_ofAJury_canAppealUpToTheLast() public {
        open();
        speak(h, 0, all(ok()));
        challengeBy(keys[0]);
        next();
        speak(h, 1, all(ok()));
        challengeBy(keys[1]);
        next();
        speak(h, 2, all(ok()));
        challengeBy(keys[2]);
        next();
        isEqual(panel(h, 3).length, 8, "all others");
        isTrue(court.caseOf(h.key, 0).smallPanel == false, "not yet marked");
        speak(h, 3, all(ok()));
        bytes32 key = keys[3];
        vm.prank(operators[3]);
        refused(IAuditCourt.LastLevel.selector);
        court.challenge(h, key, key);
        next();
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        isTrue(court.caseOf(h.key, 0).smallPanel, "marked");
        court.finalize(h);
    }

    function test_challenge_refusals() public {
        open();
        bytes32 key = keys[1];
        bytes32 hash = promiseOf(h, key);
        pass(1);
        vm.prank(operators[1]);
        refused(IAuditCourt.WrongPhase.selector);
        court.challenge(h, key, key);
        speak(h, 0, all(ok()));
        refused(IAuditCourt.NotAgent.selector);
        court.challenge(h, key, key);
        refused(IAuditCourt.NotAgent.selector);
        court.commitChallenge(key, hash);
        vm.prank(operators[1]);
        refused(IAuditCourt.PlantTaken.selector);
        court.commitChallenge(key, hash);
        vm.prank(operators[1]);
        refused(IAuditCourt.ChallengeUnknown.selector);
        court.challenge(h, key, "another salt");
        openChallenge(h, key);
        vm.prank(operators[1]);
        refused(IAuditCourt.ChallengeUnknown.selector);
        court.challenge(h, key, key);
    }

    function test_challenge_notInTheSecondOfItsPromise() public {
        open();
        speak(h, 0, all(ok()));
        bytes32 key = keys[1];
        promiseOf(h, key);
        vm.prank(operators[1]);
        refused(IAuditCourt.ChallengeUnknown.selector);
        court.challenge(h, key, key);
    }

    function test_challenge_takesItsBondWithThePromise() public {
        open();
        speak(h, 0, all(ok()));
        bytes32 key = outsider();
        promiseOf(h, key);
        isEqual(stakeIn(key), STAKE - court.bondOf(SWARM), "bond");
        pass(1);
        openChallenge(h, key);
        isEqual(stakeIn(key), STAKE - court.bondOf(SWARM), "once");
    }

    function test_challenge_thatCameSecond_hasItsBondBack() public {
        open();
        speak(h, 0, all(ok()));
        (bytes32 first, bytes32 second) = (keys[1], keys[2]);
        promiseOf(h, first);
        promiseOf(h, second);
        pass(1);
        openChallenge(h, first);
        openChallenge(h, second);
        isEqual(claims(second), court.bondOf(SWARM), "back");
        next();
        speak(h, 1, all(fault(h)));
        next();
        court.finalize(h);
        isTrue(claims(first) > court.bondOf(SWARM), "the first one won");
        isTrue(claims(second) == court.bondOf(SWARM) || claims(second) > STAKE / 20, "the second has its bond, or a juror's share");
    }

    function test_challenge_neverOpened_losesItsBondInTheEnd() public {
        open();
        speak(h, 0, all(ok()));
        bytes32 key = outsider();
        bytes32 hash = promiseOf(h, key);
        refused(IAuditCourt.PlantTooLate.selector);
        court.expirePlant(hash);
        pass(2_000);
        uint256 before = vault.treasuryOf(SWARM);
        court.expirePlant(hash);
        isEqual(vault.treasuryOf(SWARM) - before, court.bondOf(SWARM), "to the treasury");
    }

    function test_challenge_refusesOtherSwarms() public {
        open();
        speak(h, 0, all(ok()));
        registry.createSwarm("other", 0, BASE, terms(), "");
        bytes32 key = registry.register("other", peer(1), address(this));
        ledger.enter("other", address(this), peer(1));
        refused(IAuditCourt.OtherSwarm.selector);
        court.challenge(h, key, key);
    }

    function test_challenge_notNeededWhereTheCaseGoesOnAnyway() public {
        open();
        speak(h, 0, both(ok(), fault(h)));
        bytes32 key = keys[1];
        challengeBy(key);
        isTrue(!court.caseOf(h.key, 0).challenged, "not counted");
        isEqual(claims(key), court.bondOf(SWARM), "bond back");
    }

    // --- concession

    function test_concede_costsItsFeeAndTheScore() public {
        open();
        vm.prank(ledger.memberOf(keys[0]).session);
        court.concede(h);
        isEqual(wealth(0), STAKE * 95 / 100, "fee");
        outcomeIs(h, IAuditCourt.Outcome.Conceded);
        court.finalize(h);
        isEqual(wealth(0), STAKE * 95 / 100, "nothing more");
        ledgerHasNoScore();
        refused(IAuditCourt.WrongPhase.selector);
        vm.prank(operators[0]);
        court.concede(h);
    }

    function test_concede_notOnceVerdictsAreRevealed() public {
        open();
        refused(IAuditCourt.NotAgent.selector);
        court.concede(h);
        speak(h, 0, all(fault(h)));
        refused(IAuditCourt.WrongPhase.selector);
        vm.prank(operators[0]);
        court.concede(h);
    }

    function test_lapse_notAfterAConcession() public {
        open();
        bytes32 seat = panel(h, 0)[0];
        vm.prank(operators[0]);
        court.concede(h);
        pass(100);
        refused(IAuditCourt.NotAbsent.selector);
        court.lapse(h, 0, 0, seat);
    }

    // --- absences

    function test_lapse_chargesAtOnceAndOnce() public {
        open();
        bytes32[] memory seats = panel(h, 0);
        bytes32 other = outsider();
        refused(IAuditCourt.NotAbsent.selector);
        court.lapse(h, 0, 0, seats[0]);
        speak(h, 0, both(ok(), silence()));
        court.lapse(h, 0, 0, seats[1]);
        court.lapse(h, 0, 0, seats[1]);
        isEqual(stakeIn(seats[1]), STAKE * 99 / 100, "once");
        refused(IAuditCourt.NotAbsent.selector);
        court.lapse(h, 0, 0, seats[0]);
        refused(IAuditCourt.NotSeated.selector);
        court.lapse(h, 0, 0, other);
        refused(IAuditCourt.NotAbsent.selector);
        court.lapse(h, 0, 1, seats[1]);
        refused(IAuditCourt.NotAbsent.selector);
        court.lapse(h, 1, 0, seats[1]);
        IParticipationLedger.Header memory wrong = h;
        wrong.epoch = 7;
        refused(IAuditCourt.HeaderUnknown.selector);
        court.lapse(wrong, 0, 0, seats[1]);
    }

    // --- what the prover shows

    function test_openSalt_afterTheRevealsOnly() public {
        open();
        bytes32[] memory salts = new bytes32[](2);
        vm.startPrank(operators[0]);
        refused(IAuditCourt.NothingToOpen.selector);
        court.openSalt(h, salts);
        vm.stopPrank();
        speak(h, 0, all(ok()));
        vm.startPrank(operators[0]);
        court.openSalt(h, salts);
        refused(IAuditCourt.NothingToOpen.selector);
        court.openSalt(h, new bytes32[](3));
        vm.stopPrank();
        refused(IAuditCourt.NotAgent.selector);
        court.openSalt(h, salts);
    }

    function leafOf(uint256 i) private pure returns (bytes memory) {
        return abi.encode("step record", i);
    }

    /// @dev A tree of five leaves: ((0 1)(2 3)) 4.
    function fiveLeaves() private {
        vm.warp(endOf(0));
        h = headerOf(0, 0);
        h.steps = 5;
        bytes32[5] memory l;
        for (uint256 i = 0; i < 5; ++i) {
            l[i] = StepTree.leafHash(leafOf(i));
        }
        h.root = StepTree.nodeHash(StepTree.nodeHash(StepTree.nodeHash(l[0], l[1]), StepTree.nodeHash(l[2], l[3])), l[4]);
        send(0, h);
        beaconOf(0);
    }

    function proofOf(uint256 i) private pure returns (bytes32[] memory proof) {
        bytes32[5] memory l;
        for (uint256 k = 0; k < 5; ++k) {
            l[k] = StepTree.leafHash(leafOf(k));
        }
        if (i == 4) {
            proof = new bytes32[](1);
            proof[0] = StepTree.nodeHash(StepTree.nodeHash(l[0], l[1]), StepTree.nodeHash(l[2], l[3]));
        } else {
            proof = new bytes32[](3);
            proof[0] = l[i ^ 1];
            proof[1] = i < 2 ? StepTree.nodeHash(l[2], l[3]) : StepTree.nodeHash(l[0], l[1]);
            proof[2] = l[4];
        }
    }

    function test_provide_endsTheChargeOfWithholdingARecord() public {
        fiveLeaves();
        Say memory gone = unavailable(h);
        speak(h, 0, all(gone));
        court.provide(h, gone.step, leafOf(gone.step), proofOf(gone.step));
        next();
        speak(h, 1, all(gone));
        isEqual(uint8(court.caseOf(h.key, 0).outcome), 0, "no majority counts");
        next();
        isEqual(court.caseOf(h.key, 0).level, 2, "next jury");
        speak(h, 2, all(ok()));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        court.finalize(h);
        isEqual(lost(0), 0, "prover");
    }

    /// @dev The root of the same five records as `swarm.merkle.root` gives it.
    function test_tree_isThatOfTheNodes() public {
        fiveLeaves();
        isEqual(h.root, 0x66bdf60946e8b2cd2973935bc27b2f0ff8adf4a6d3c1b68aaba102e2986bbee4, "root");
    }

    function test_provide_acceptsEveryLeafAndNothingElse() public {
        fiveLeaves();
        for (uint32 i = 0; i < 5; ++i) {
            court.provide(h, i, leafOf(i), proofOf(i));
            bytes memory wrong = leafOf(i + 1);
            bytes32[] memory proof = proofOf(i);
            refused(IAuditCourt.LeafWrong.selector);
            court.provide(h, i, wrong, proof);
        }
        bytes memory leaf = leafOf(0);
        bytes32[] memory proof0 = proofOf(0);
        refused(IAuditCourt.LeafWrong.selector);
        court.provide(h, 0, leaf, new bytes32[](0));
        refused(IAuditCourt.LeafWrong.selector);
        court.provide(h, 0, leaf, new bytes32[](4));
        refused(IAuditCourt.StepOutOfRange.selector);
        court.provide(h, 5, leaf, proof0);
        refused(IAuditCourt.LeafTooLong.selector);
        court.provide(h, 0, new bytes(32 * 1024 + 1), proof0);
        pass(1_000);
        refused(IAuditCourt.WrongPhase.selector);
        court.provide(h, 0, leaf, proof0);
    }

    // --- plants

    function plant(uint32 from, uint32 to) private returns (bytes32 hash) {
        hash = court.plantHash(keys[0], 0, from, to, "salt");
        bytes32 key = keys[0];
        vm.prank(operators[0]);
        court.commitPlant(key, hash);
    }

    function openPlant(uint32 from, uint32 to) private {
        vm.prank(operators[0]);
        court.openPlant(h, from, to, "salt");
    }

    function test_plant_foundByBoth_costsNobody() public {
        plant(0, 9);
        open();
        speak(h, 0, all(fault(h)));
        openPlant(0, 9);
        next();
        outcomeIs(h, IAuditCourt.Outcome.Planted);
        court.finalize(h);
        isEqual(lost(0), 0, "planter");
        ledger.settle(h);
        isEqual(ledger.unitsOf(h.key), 0, "no score");
    }

    function test_plant_missedByLazyAuditors_costsThem() public {
        plant(0, 9);
        open();
        bytes32[] memory seats = panel(h, 0);
        speak(h, 0, all(ok()));
        openPlant(0, 9);
        next();
        speak(h, 1, all(fault(h)));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Planted);
        court.finalize(h);
        isEqual(stakeIn(seats[0]), STAKE * 75 / 100, "lazy");
        isEqual(stakeIn(seats[1]), STAKE * 75 / 100, "lazy");
        isEqual(lost(0), 0, "planter");
    }

    function test_plant_thatIsNone_costsThePlanter() public {
        plant(0, 9);
        open();
        speak(h, 0, all(ok()));
        openPlant(0, 9);
        next();
        speak(h, 1, all(ok()));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Planted);
        court.finalize(h);
        isTrue(lost(0) >= court.bondOf(SWARM) + STAKE / 5, "planter");
    }

    function test_plant_unopened_isFraud_andItsBondExpires() public {
        bytes32 hash = plant(0, 9);
        open();
        speak(h, 0, all(fault(h)));
        next();
        speak(h, 1, all(fault(h)));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Fault);
        court.finalize(h);
        isEqual(wealth(0), 0, "planter");
        refused(IAuditCourt.PlantTooLate.selector);
        court.expirePlant(hash);
        pass(2_000);
        uint256 before = vault.treasuryOf(SWARM);
        court.expirePlant(hash);
        isEqual(vault.treasuryOf(SWARM), before + court.bondOf(SWARM), "bond");
        refused(IAuditCourt.PlantUnknown.selector);
        court.expirePlant(hash);
    }

    function test_plant_elsewhere_doesNotExcuseAnotherFault() public {
        plant(10, 12);
        open();
        speak(h, 0, all(fault(h)));
        openPlant(10, 12);
        next();
        speak(h, 1, all(fault(h)));
        next();
        outcomeIs(h, IAuditCourt.Outcome.Fault);
        court.finalize(h);
        isEqual(wealth(0), 0, "prover");
    }

    function test_plant_outsideTheDraw_harmsNobody() public {
        plant(10, 12);
        open();
        speak(h, 0, all(ok()));
        openPlant(10, 12);
        next();
        outcomeIs(h, IAuditCourt.Outcome.Planted);
        court.finalize(h);
        isEqual(lost(0), 0, "planter");
    }

    function test_plant_ofASilentCase_givesTheBondBack() public {
        plant(0, 9);
        open();
        pass(180);
        openPlant(0, 9);
        isEqual(lost(0), 0, "planter");
        court.finalize(h);
    }

    function test_plant_refusals() public {
        bytes32 hash = plant(0, 9);
        bytes32 key = keys[0];
        refused(IAuditCourt.NotAgent.selector);
        court.commitPlant(key, "x");
        vm.prank(operators[0]);
        refused(IAuditCourt.PlantTaken.selector);
        court.commitPlant(key, hash);
        open();
        refused(IAuditCourt.NotAgent.selector);
        court.openPlant(h, 0, 9, "salt");
        vm.startPrank(operators[0]);
        refused(IAuditCourt.WrongPhase.selector);
        court.openPlant(h, 0, 9, "salt");
        refused(IAuditCourt.PlantUnknown.selector);
        court.openPlant(h, 0, 8, "salt");
        bytes32 late = court.plantHash(keys[0], 0, 0, 5, "salt");
        court.commitPlant(key, late);
        vm.stopPrank();
        speak(h, 0, all(ok()));
        vm.startPrank(operators[0]);
        refused(IAuditCourt.PlantTooLate.selector);
        court.openPlant(h, 0, 5, "salt");
        court.openPlant(h, 0, 9, "salt");
        vm.stopPrank();
    }

    function test_constructor_refusesWrongAddresses() public {
        refused(AuditCourt.AddressMismatch.selector);
        new AuditCourt(registry, ledger, vault, address(disputes));
    }
}
