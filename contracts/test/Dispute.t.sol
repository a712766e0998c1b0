// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IArbiter} from "../src/interfaces/IArbiter.sol";
import {IDisputeCourt} from "../src/interfaces/IDisputeCourt.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {DisputeTown} from "./DisputeTown.sol";

/// @dev Member 0 is the prover, member 1 the challenger, where nothing else is said.
contract DisputeTest is DisputeTown {
    IParticipationLedger.Header private h;
    bytes32 private id;
    uint256 private constant BOND = STAKE / 10 + 1;

    function setUp() public {
        deploy();
        settleCanonical(5);
        h = committed();
    }

    function begin(Side memory prover, Side memory challenger) private {
        id = openBy(h, 1, traceOf(challenger));
        note();
        answerBy(0, traceOf(prover));
        note();
    }

    /// @dev The whole game; who is bent loses.
    function fight(Side memory prover, Side memory challenger, bool proverLies) private {
        begin(prover, challenger);
        play(id, prover, challenger, IDisputeCourt.Stage.Closed);
        ruled(id, proverLies ? IDisputeCourt.Ruling.ProverLost : IDisputeCourt.Ruling.ChallengerLost);
        if (proverLies) {
            outcomeIs(h, IAuditCourt.Outcome.Fault);
            isEqual(vault.stakeOf(keys[0]).active, 0, "the prover's stake");
            isEqual(vault.claimable(address(credit), operators[1]), STAKE / 2 + BOND, "the challenger's reward");
        } else {
            isEqual(vault.stakeOf(keys[0]).active, STAKE, "the prover's stake");
            isEqual(vault.claimable(address(credit), operators[1]), 0, "the challenger's bond");
            pass(20);
            outcomeIs(h, IAuditCourt.Outcome.Clean);
        }
        isEqual(disputes.openCount(h.key, 0), 0, "open matches");
    }

    function bent(uint256 t, uint256 element) private pure returns (Side memory side) {
        side = honest();
        bend(side, t, element);
    }

    function bentValue(uint256 value, uint256 word) private pure returns (Side memory side) {
        side = honest();
        side.values[value][word] ^= 1;
    }

    // --- whole games

    function test_play_map() public {
        fight(bent(0, 37), honest(), true);
        isTrue(disputes.matchOf(id).position == 0 && disputes.matchOf(id).element == 37, "place");
    }

    function test_play_map_slander() public {
        fight(honest(), bent(0, 37), false);
    }

    function test_play_mapOfCoordinates() public {
        fight(bent(4, 59), honest(), true);
    }

    function test_play_mapOfCoordinates_slander() public {
        fight(honest(), bent(4, 59), false);
    }

    function test_play_gather() public {
        fight(bent(1, 21), honest(), true);
    }

    function test_play_gather_slander() public {
        fight(honest(), bent(1, 21), false);
    }

    function test_play_update_under() public {
        fight(bent(3, 1), honest(), true);
    }

    function test_play_update_slanderBeside() public {
        fight(honest(), bent(3, 2), false);
    }

    /// forge-config: default.fuzz.runs = 24
    function test_play_fold(uint32 from) public {
        from = uint32(between(from, 1, COLUMNS));
        Side memory liar = bent(2, 1);
        liar.runBent = from;
        fight(liar, honest(), true);
        isTrue(disputes.matchOf(id).run == from && disputes.matchOf(id).element == 1, "place");
    }

    /// forge-config: default.fuzz.runs = 24
    function test_play_fold_slander(uint32 from) public {
        from = uint32(between(from, 1, COLUMNS));
        Side memory liar = bent(2, 2);
        liar.runBent = from;
        fight(honest(), liar, false);
    }

    /// forge-config: default.fuzz.runs = 24
    function test_play_fuzz(uint256 t, uint256 element, bool proverLies) public {
        t = between(t, 0, 4);
        element = between(element, 0, t == 2 ? ROWS - 1 : SIZE - 1);
        Side memory liar = bent(t, element);
        if (t == 2) liar.runBent = uint32(between(element, 1, COLUMNS));
        if (proverLies) fight(liar, honest(), true);
        else fight(honest(), liar, false);
    }

    function test_play_oneInstruction() public {
        fight(bentValue(NEGATED, 9), honest(), true);
    }

    function test_play_oneInstruction_slander() public {
        fight(honest(), bentValue(NEGATED, 9), false);
    }

    function test_play_given() public {
        fight(bentValue(7, 3), honest(), true);
    }

    function test_play_given_slander() public {
        fight(honest(), bentValue(7, 3), false);
    }

    function test_play_final() public {
        fight(bentValue(FINAL, 3), honest(), true);
    }

    function test_play_final_slander() public {
        fight(honest(), bentValue(FINAL, 3), false);
    }

    function test_play_initial() public {
        fight(bentValue(X, 41), honest(), true);
    }

    function test_play_initial_slander() public {
        fight(honest(), bentValue(X, 41), false);
    }

    function test_contradict_thatTheTraceEndsElsewhere() public {
        // the prover's trace is one and the same, wrong or not: what it committed to is something else
        Side memory both = bent(4, 33);
        begin(both, both);
        play(id, both, both, IDisputeCourt.Stage.Equal);
        isEqual(uint8(disputes.matchOf(id).stage), uint8(IDisputeCourt.Stage.Equal), "equal traces");
        IDisputeCourt.Final memory same = finalOf(both, 32);
        IArbiter.StateOpening memory opening = stateOpening(FINAL_DIGEST, honest().values[FINAL]);
        refused(IDisputeCourt.NotContradicted.selector);
        disputes.contradict(id, same, opening);
        disputes.contradict(id, finalOf(both, 33), opening);
        ruled(id, IDisputeCourt.Ruling.ProverLost);
        outcomeIs(h, IAuditCourt.Outcome.Fault);
    }

    function test_contradict_notWhereTheProverIsRight() public {
        begin(honest(), honest());
        play(id, honest(), honest(), IDisputeCourt.Stage.Equal);
        IArbiter.StateOpening memory opening = stateOpening(FINAL_DIGEST, honest().values[FINAL]);
        IDisputeCourt.Final memory right = finalOf(honest(), 7);
        refused(IDisputeCourt.NotContradicted.selector);
        disputes.contradict(id, right, opening);
        IDisputeCourt.Final memory other = finalOf(bent(4, 7), 7);
        refused(IArbiter.NotUnderRoot.selector);
        disputes.contradict(id, other, opening);
        right.value = MADE;
        (right.entry, right.entryProof) = (entries()[MADE], proofOf(hashesOf(entries()), MADE));
        refused(IArbiter.KindUnknown.selector);
        disputes.contradict(id, right, opening);
        pass(81);
        disputes.timeout(id);
        ruled(id, IDisputeCourt.Ruling.Structure); // nobody has shown the challenger wrong: its bond follows the panels
    }

    /// @dev Behind a value's last word there are zeros, and nothing to compute.
    function test_play_wordsBehindTheEnd() public {
        fight(longer(), honest(), true);
    }

    function test_play_wordsBehindTheEnd_slander() public {
        fight(honest(), longer(), false);
    }

    function longer() private pure returns (Side memory side) {
        side = honest();
        uint32[] memory words = new uint32[](SIZE + 1);
        for (uint256 i = 0; i < SIZE; ++i) {
            words[i] = side.values[NEGATED][i];
        }
        words[SIZE] = 5;
        side.values[NEGATED] = words;
    }

    function test_play_empty() public {
        Side memory liar = honest();
        liar.values[COUNT - 1] = new uint32[](1);
        fight(liar, honest(), true);
    }

    /// forge-config: default.isolate = true
    function test_gas_wholeDispute() public {
        Side memory liar = bent(2, 1);
        liar.runBent = 9;
        fight(liar, honest(), true);
        vm.snapshotValue("dispute", "moves of a fold", moves);
        vm.snapshotValue("dispute", "gas of a fold", gasUsed);
        isTrue(gasUsed <= 10_000_000, "gas");
    }
}
