// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IArbiter} from "../src/interfaces/IArbiter.sol";
import {IDisputeCourt} from "../src/interfaces/IDisputeCourt.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {DisputeTown} from "./DisputeTown.sol";

/// @notice Stalling, slander, crowds, plants: whoever is honest loses nothing, and every match ends.
/// @dev Member 0 is the prover, members 1 and 2 are challengers.
contract DisputeThreatsTest is DisputeTown {
    uint256 private constant BOND = STAKE / 10 + 1;
    uint256 private constant CLOCK = 80;

    IParticipationLedger.Header private h;

    function setUp() public {
        deploy();
        settleCanonical(5);
        h = committed();
    }

    function claims(uint256 who) private view returns (uint256) {
        return vault.claimable(address(credit), operators[who]);
    }

    // --- opening

    function test_open_refusals() public {
        IDisputeCourt.Trace memory trace = traceOf(honest());
        bytes32[] memory proof = proofOf(leavesOf(h.steps), STEP);
        bytes memory leaf = leafOf();
        refused(IDisputeCourt.NotAgent.selector);
        disputes.open(h, STEP, leaf, proof, keys[1], "sealed");
        vm.startPrank(operators[1]);
        refused(IDisputeCourt.StepWrong.selector);
        disputes.open(h, STEP + 1, leaf, proof, keys[1], "sealed");
        refused(IDisputeCourt.StepWrong.selector);
        disputes.open(h, h.steps, leaf, proof, keys[1], "sealed");
        refused(IArbiter.CountWrong.selector);
        disputes.open(h, STEP, bytes.concat(leaf, "x"), proof, keys[1], "sealed");
        IParticipationLedger.Header memory other = h;
        other.units += 1;
        refused(IDisputeCourt.HeaderUnknown.selector);
        disputes.open(other, STEP, leaf, proof, keys[1], "sealed");
        vm.stopPrank();
        other.units -= 1;
        vm.prank(operators[0]);
        refused(IDisputeCourt.OtherSwarm.selector);
        disputes.open(h, STEP, leaf, proof, keys[0], "sealed");
        openBy(h, 1, trace);
        bytes32 sealedTrace = keccak256("another");
        vm.prank(operators[1]);
        refused(IDisputeCourt.MatchTaken.selector);
        disputes.open(h, STEP, leaf, proof, keys[1], sealedTrace);
    }

    function test_open_onlyFromTheRevealsToTheEnd() public {
        IParticipationLedger.Header memory second = headerOf(0, 1);
        vm.warp(endOf(1));
        second.root = rootOf(leavesOf(second.steps));
        send(0, second);
        refuseOpening(second);
        beaconOf(1);
        refuseOpening(second);
        speak(second, 0, all(ok()));
        openBy(second, 1, traceOf(honest()));
        pass(20);
        refuseOpening(h);
    }

    function refuseOpening(IParticipationLedger.Header memory header) private {
        bytes32[] memory proof = proofOf(leavesOf(header.steps), STEP);
        bytes memory leaf = leafOf();
        vm.prank(operators[2]);
        refused(IDisputeCourt.NotDisputable.selector);
        disputes.open(header, STEP, leaf, proof, keys[2], "sealed");
    }

    /// @dev An honest machine of another class gives other bits.
    function test_open_onlyCanonicalMembers() public {
        settleIn(6, CLASS);
        IParticipationLedger.Header memory other = headerOf(5, 1);
        other.root = rootOf(leavesOf(other.steps));
        vm.warp(endOf(1));
        send(5, other);
        beaconOf(1);
        speak(other, 0, all(ok()));
        bytes32[] memory proof = proofOf(leavesOf(other.steps), STEP);
        bytes memory leaf = leafOf();
        vm.prank(operators[1]);
        refused(IDisputeCourt.NotCanonical.selector);
        disputes.open(other, STEP, leaf, proof, keys[1], "sealed");
    }

    function test_open_needsABond() public {
        vm.prank(operators[1]);
        vault.unbond(keys[1], STAKE - BOND + 1);
        bytes32[] memory proof = proofOf(leavesOf(h.steps), STEP);
        bytes memory leaf = leafOf();
        vm.prank(operators[1]);
        refused(IStakeVault.StakeMissing.selector);
        disputes.open(h, STEP, leaf, proof, keys[1], "sealed");
    }

    /// @dev What cannot end while the stake is surely there does not begin.
    function test_open_notInTheLastJury() public {
        challengeBy(h, keys[3]);
        (,, uint256 revealed,) = court.timesOf(SWARM, 0, 3, 0);
        vm.warp(revealed);
        bytes32[] memory proof = proofOf(leavesOf(h.steps), STEP);
        bytes memory leaf = leafOf();
        vm.prank(operators[1]);
        refused(IDisputeCourt.GameTooLate.selector);
        disputes.open(h, STEP, leaf, proof, keys[1], "sealed");
    }

    function test_open_onlyStepsThatLearn() public {
        IParticipationLedger.Header memory second = headerOf(0, 1);
        bytes memory leaf = leafOf();
        leaf[6 * 32 - 1] = 0x01;
        bytes32[] memory digests = leavesOf(second.steps);
        digests[STEP] = keccak256(leaf);
        vm.warp(endOf(1));
        second.root = rootOf(digests);
        send(0, second);
        beaconOf(1);
        speak(second, 0, all(ok()));
        bytes32[] memory proof = proofOf(digests, STEP);
        vm.prank(operators[1]);
        refused(IDisputeCourt.NotLearned.selector);
        disputes.open(second, STEP, leaf, proof, keys[1], "sealed");
    }

    // --- silence

    function test_timeout_silentProver() public {
        bytes32 id = openBy(h, 1, traceOf(honest()));
        pass(CLOCK);
        refused(IDisputeCourt.ClockRuns.selector);
        disputes.timeout(id);
        pass(1);
        disputes.timeout(id);
        ruled(id, IDisputeCourt.Ruling.ProverLost);
        outcomeIs(h, IAuditCourt.Outcome.Fault);
        isEqual(claims(1), STAKE / 2 + BOND, "reward");
    }

    function test_timeout_answerAfterTheClockIsNone() public {
        bytes32 id = openBy(h, 1, traceOf(honest()));
        pass(CLOCK + 1);
        answerBy(0, traceOf(liar()));
        refused(IDisputeCourt.ClockOut.selector);
        disputes.unseal(id, traceOf(honest()), SALT);
        disputes.timeout(id);
        ruled(id, IDisputeCourt.Ruling.ProverLost);
    }

    function test_timeout_silentChallenger() public {
        bytes32 id = openBy(h, 1, traceOf(liar()));
        pass(30);
        answerBy(0, traceOf(honest()));
        pass(CLOCK + 1);
        refused(IDisputeCourt.ClockOut.selector);
        disputes.unseal(id, traceOf(liar()), SALT);
        disputes.timeout(id);
        ruled(id, IDisputeCourt.Ruling.ChallengerLost);
        isEqual(claims(1), 0, "bond");
        pass(20);
        outcomeIs(h, IAuditCourt.Outcome.Clean);
    }

    /// @dev The clock is for the whole game, and the waiting for an answer is the prover's.
    function test_clock_isTotalAndEachSidesOwn() public {
        bytes32 id = openBy(h, 1, traceOf(honest()));
        pass(30);
        answerBy(0, traceOf(liar()));
        pass(7);
        disputes.unseal(id, traceOf(honest()), SALT);
        IDisputeCourt.Match memory m = disputes.matchOf(id);
        isEqual(m.proverLeft, CLOCK - 30, "prover");
        isEqual(m.challengerLeft, CLOCK - 7, "challenger");
        pass(11);
        playOne(id, m, liar(), honest());
        isEqual(disputes.matchOf(id).proverLeft, CLOCK - 41, "prover");
        (bool challengers, uint256 spent, uint256 left) = disputes.clockOf(id);
        isTrue(challengers && spent == 0 && left == CLOCK - 7, "the challenger's turn");
        pass(CLOCK - 7);
        playOne(id, disputes.matchOf(id), liar(), honest());
        isEqual(disputes.matchOf(id).challengerLeft, 0, "challenger");
    }

    /// @dev While a match is open the case stays open, and when nobody moves any more it closes by time alone.
    function test_hold_endsByItself() public {
        bytes32 id = openBy(h, 1, traceOf(honest()));
        pass(20);
        phaseIs(h, IAuditCourt.Phase.Challenge);
        outcomeIs(h, IAuditCourt.Outcome.Open);
        refused(IAuditCourt.NotClosed.selector);
        court.finalize(h);
        pass(2 * CLOCK);
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        ledger.settle(h);
        disputes.timeout(id);
        ruled(id, IDisputeCourt.Ruling.Late);
        isEqual(vault.stakeOf(keys[0]).active, STAKE, "a closed case is closed");
        isEqual(claims(1), BOND, "bond");
    }

    // --- structure

    /// forge-config: default.fuzz.runs = 8
    function test_structure_panelsDecideAboutTheBond(bool guilty) public {
        IDisputeCourt.Trace memory trace = traceOf(honest());
        trace.count += 1;
        bytes32 id = openBy(h, 1, traceOf(honest()));
        answerBy(0, trace);
        disputes.unseal(id, traceOf(honest()), SALT);
        ruled(id, IDisputeCourt.Ruling.Structure);
        uint32[] memory drawn = court.drawnSteps(h.key, 0, h.steps);
        isTrue(drawn[0] != STEP && drawn[1] != STEP, "a step that only the dispute lets a jury name");
        isEqual(claims(1), 0, "bond");
        refused(IDisputeCourt.NothingToCollect.selector);
        disputes.collect(id);
        challengeBy(h, keys[1]);
        (, uint256 commits,,) = court.timesOf(SWARM, 0, 1, 0);
        vm.warp(commits - 40);
        speak(h, 1, all(guilty ? Say(2, STEP, 0) : ok()));
        pass(20);
        uint256 before = claims(1);
        outcomeIs(h, guilty ? IAuditCourt.Outcome.Fault : IAuditCourt.Outcome.Clean);
        disputes.collect(id);
        isEqual(claims(1) - before, guilty ? BOND : 0, "bond");
        refused(IDisputeCourt.NothingToCollect.selector);
        disputes.collect(id);
    }

    // --- crowds

    /// @dev A friend of the prover opens first, shows the honest trace, and gives up: who goes on wins all the same.
    function test_crowd_shamChallengerChangesNothing() public {
        bytes32 sham = openBy(h, 2, traceOf(honest()));
        bytes32 id = openBy(h, 1, traceOf(honest()));
        answerBy(0, traceOf(liar()));
        disputes.unseal(sham, traceOf(honest()), SALT);
        disputes.unseal(id, traceOf(honest()), SALT);
        play(id, liar(), honest(), IDisputeCourt.Stage.Settle);
        pass(CLOCK);
        IDisputeCourt.Match memory m = disputes.matchOf(id);
        isEqual(disputes.openCount(h.key, 0), 2, "open");
        settle(id, m, liar());
        ruled(id, IDisputeCourt.Ruling.ProverLost);
        outcomeIs(h, IAuditCourt.Outcome.Fault);
        // the sham showed that trace first and its match was not lost: it is paid, at most half of what its friend lost
        isEqual(claims(2), STAKE / 2, "share");
        isEqual(claims(1), BOND, "bond");
        disputes.collect(sham);
        ruled(sham, IDisputeCourt.Ruling.Late);
        isEqual(claims(2), STAKE / 2 + BOND, "share and bond");
        isEqual(disputes.openCount(h.key, 0), 0, "open");
    }

    function test_crowd_whoGaveUpIsNotPaid() public {
        bytes32 sham = openBy(h, 2, traceOf(honest()));
        answerBy(0, traceOf(liar()));
        disputes.unseal(sham, traceOf(honest()), SALT);
        bytes32 id = openBy(h, 1, traceOf(honest()));
        disputes.unseal(id, traceOf(honest()), SALT);
        playOne(sham, disputes.matchOf(sham), liar(), honest());
        play(id, liar(), honest(), IDisputeCourt.Stage.Settle);
        pass(CLOCK);
        settle(id, disputes.matchOf(id), liar());
        isEqual(claims(2), STAKE / 2, "it has still not lost");
        disputes.collect(sham);
    }

    /// @dev A copy of a trace that somebody has shown takes nothing from him.
    function test_crowd_copyIsNotPaid() public {
        bytes32 first = openBy(h, 1, traceOf(honest()));
        answerBy(0, traceOf(liar()));
        disputes.unseal(first, traceOf(honest()), SALT);
        bytes32 copy = openBy(h, 2, traceOf(honest()));
        disputes.unseal(copy, traceOf(honest()), SALT);
        isTrue(disputes.disputedSteps(h.key, 0).length == 1 && disputes.disputedSteps(h.key, 0)[0] == STEP, "disputed, once");
        play(copy, liar(), honest(), IDisputeCourt.Stage.Closed);
        isEqual(claims(1), STAKE / 2, "share");
        isEqual(claims(2), BOND, "bond only");
    }

    /// @dev Each slanderer loses its own bond, and the case waits for the last one.
    function test_crowd_ofSlanderers() public {
        bytes32[] memory ids = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            Side memory side = honest();
            bend(side, 4, i);
            ids[i] = openBy(h, i + 1, traceOf(side));
        }
        answerBy(0, traceOf(honest()));
        pass(20);
        for (uint256 i = 0; i < 4; ++i) {
            outcomeIs(h, IAuditCourt.Outcome.Open);
            Side memory side = honest();
            bend(side, 4, i);
            play(ids[i], honest(), side, IDisputeCourt.Stage.Closed);
            ruled(ids[i], IDisputeCourt.Ruling.ChallengerLost);
            isEqual(vault.stakeOf(keys[i + 1]).active, STAKE - BOND, "bond");
        }
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        court.finalize(h);
        isTrue(claims(0) + vault.stakeOf(keys[0]).active >= STAKE, "the prover lost nothing");
    }

    // --- the case around it

    function test_convict_isCarriedOutAtOnce() public {
        bytes32 id = begun(h, liar(), honest());
        play(id, liar(), honest(), IDisputeCourt.Stage.Closed);
        IAuditCourt.Case memory c = court.caseOf(h.key, 0);
        isTrue(c.finalized && c.outcome == IAuditCourt.Outcome.Fault, "carried out");
        isTrue(ledger.isSettled(h.key, 0), "rewound");
        isEqual(ledger.memberOf(h.key).last, BASE, "state");
        refused(IAuditCourt.AlreadyFinalized.selector);
        court.finalize(h);
    }

    /// @dev A challenge was made, a jury sits: it goes home, nobody is charged, the challenger has its bond back.
    function test_convict_whileAJurySits() public {
        bytes32 id = begun(h, liar(), honest());
        challengeBy(h, keys[3]);
        pass(20);
        phaseIs(h, IAuditCourt.Phase.Audit);
        bytes32[] memory jury = panel(h, 1);
        play(id, liar(), honest(), IDisputeCourt.Stage.Closed);
        outcomeIs(h, IAuditCourt.Outcome.Fault);
        isEqual(claims(3), BOND, "the challenge's bond");
        for (uint256 i = 0; i < jury.length; ++i) {
            refused(IAuditCourt.NotAbsent.selector);
            court.lapse(h, 1, 0, jury[i]);
        }
    }

    /// @dev A planted fault is no fault: the match ends, and its bond comes back.
    function test_convict_notOfAPlant() public {
        deploy();
        delete keys;
        delete operators;
        for (uint256 i = 0; i < 5; ++i) {
            used[i] = 0;
        }
        settleCanonical(5);
        bytes32 plant = court.plantHash(keys[0], 0, STEP, STEP, "salt");
        vm.prank(operators[0]);
        court.commitPlant(keys[0], plant);
        h = committed();
        vm.prank(operators[0]);
        court.openPlant(h, STEP, STEP, "salt");
        bytes32 id = begun(h, liar(), honest());
        play(id, liar(), honest(), IDisputeCourt.Stage.Closed);
        ruled(id, IDisputeCourt.Ruling.Late);
        isEqual(claims(1), BOND, "bond");
        isTrue(court.outcomeOf(h.key, 0) != IAuditCourt.Outcome.Fault, "no fault");
    }

    function test_rule_onlyByTheDisputeCourt() public {
        refused(IAuditCourt.NotAgent.selector);
        court.rule(h.key, 0, type(uint64).max, STEP, address(0));
        refused(IAuditCourt.NotAgent.selector);
        court.rule(h.key, 0, 0, STEP, address(this));
        refused(IStakeVault.NotPermitted.selector);
        vault.takeBond(keys[0], 1);
    }
}
