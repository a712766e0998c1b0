// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IArbiter} from "../src/interfaces/IArbiter.sol";
import {IDisputeCourt} from "../src/interfaces/IDisputeCourt.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {Blake3} from "../src/numeric/Blake3.sol";
import {DisputeTown} from "./DisputeTown.sol";

/// @notice Moves that are malformed, by the wrong account, or out of turn: refused, and the match goes on.
contract DisputeMovesTest is DisputeTown {
    IParticipationLedger.Header private h;

    function setUp() public {
        deploy();
        settleCanonical(5);
        h = committed();
    }

    function test_unseal_onlyWhatWasSealed() public {
        bytes32 id = openBy(h, 1, traceOf(honest()));
        IDisputeCourt.Trace memory right = traceOf(honest());
        IDisputeCourt.Trace memory other = traceOf(liar());
        refused(IDisputeCourt.NotAnswered.selector);
        disputes.unseal(id, right, SALT);
        answerBy(0, traceOf(liar()));
        refused(IDisputeCourt.SealWrong.selector);
        disputes.unseal(id, other, SALT);
        refused(IDisputeCourt.SealWrong.selector);
        disputes.unseal(id, right, "salt");
        disputes.unseal(id, right, SALT);
        refused(IDisputeCourt.WrongStage.selector);
        disputes.unseal(id, right, SALT);
    }

    function test_answer_onceAndOnlyByTheProver() public {
        IDisputeCourt.Trace memory trace = traceOf(honest());
        vm.prank(operators[1]);
        refused(IDisputeCourt.NotAgent.selector);
        disputes.answer(keys[0], 0, STEP, trace);
        answerBy(0, trace);
        vm.prank(operators[0]);
        refused(IDisputeCourt.AlreadyAnswered.selector);
        disputes.answer(keys[0], 0, STEP, trace);
    }

    function test_moves_malformed() public {
        bytes32 id = begun(h, liar(), honest());
        IDisputeCourt.Match memory m = disputes.matchOf(id);
        bytes32[] memory nodes = nodesOf(m, digestsOf(m, liar()));
        bytes32[] memory others = nodesOf(m, digestsOf(m, honest()));
        refused(IDisputeCourt.NodesWrong.selector);
        disputes.reveal(id, others);
        refused(IDisputeCourt.NodesWrong.selector);
        disputes.descend(id, nodes, nodes);
        refused(IArbiter.CountWrong.selector);
        disputes.reveal(id, new bytes32[](nodes.length + 1));
        refused(IArbiter.CountWrong.selector);
        disputes.reveal(id, new bytes32[](0));
        refused(IDisputeCourt.WrongStage.selector);
        disputes.showEntry(id, "", nodes, 0, nodes);
        play(id, liar(), honest(), IDisputeCourt.Stage.Entry);
        bytes[] memory e = entries();
        bytes32[] memory proof = proofOf(hashesOf(e), MADE);
        refused(IArbiter.NotUnderRoot.selector);
        disputes.showEntry(id, e[X], proof, 0, proof);
        refused(IDisputeCourt.WrongStage.selector);
        disputes.reveal(id, nodes);
        disputes.showEntry(id, e[MADE], proof, 0, proof);
        bytes32[] memory roots = rootsOf(honest().made);
        bytes32[] memory rootProof = proofOf(roots, 4);
        bytes32 root = rootOf(roots);
        refused(IDisputeCourt.NotAgent.selector); // roots bind the side that posts them: nobody posts for it
        disputes.postProgram(id, e[MADE], root, rootProof);
        vm.startPrank(operators[0]);
        refused(IArbiter.NotUnderRoot.selector); // the honest value is not what the prover says
        disputes.postProgram(id, e[MADE], root, rootProof);
        refused(IArbiter.NotUnderRoot.selector); // the root of nothing proves nothing
        disputes.postProgram(id, e[MADE], 0, new bytes32[](9));
        refused(IArbiter.NotUnderRoot.selector);
        disputes.postProgram(id, e[NEGATED], root, rootProof);
    }

    function test_settle_malformed() public {
        bytes32 id = begun(h, liar(), honest());
        play(id, liar(), honest(), IDisputeCourt.Stage.Settle);
        IDisputeCourt.Match memory m = disputes.matchOf(id);
        bytes memory code = instructions()[0];
        bytes memory entry = entries()[MADE];
        IArbiter.Opening[] memory right = openings(m, code, liar());
        refused(IArbiter.CountWrong.selector);
        disputes.settle(id, entry, code, new IArbiter.Opening[](1));
        refused(IArbiter.NotUnderRoot.selector);
        disputes.settle(id, entry, instructions()[1], right);
        refused(IArbiter.NotUnderRoot.selector);
        disputes.settle(id, entries()[NEGATED], code, right);
        bytes32 root = right[0].root;
        right[0].root = valueRoot(honest().made[1]);
        refused(IArbiter.NotUnderRoot.selector);
        disputes.settle(id, entry, code, right);
        (right[0].root, right[0].chunk) = (root, right[0].chunk ^ bytes32(uint256(1)));
        refused(IArbiter.NotUnderRoot.selector);
        disputes.settle(id, entry, code, right);
        right[0].chunk ^= bytes32(uint256(1));
        right[0].chunkProof = new bytes32[](1);
        refused(IArbiter.NotUnderRoot.selector);
        disputes.settle(id, entry, code, right);
        disputes.settle(id, entry, code, openings(m, code, liar()));
        ruled(id, IDisputeCourt.Ruling.ProverLost);
        refused(IDisputeCourt.WrongStage.selector);
        disputes.timeout(id);
        refused(IDisputeCourt.NothingToCollect.selector);
        disputes.collect(id);
    }

    function test_showInstruction_malformed() public {
        bytes32 id = begun(h, liar(), honest());
        play(id, liar(), honest(), IDisputeCourt.Stage.Instruction);
        (bytes[] memory e, bytes[] memory p) = (entries(), instructions());
        bytes32[] memory proof = proofOf(hashesOf(p), 0);
        refused(IArbiter.NotUnderRoot.selector);
        disputes.showInstruction(id, e[MADE], p[1], proof);
        refused(IArbiter.NotUnderRoot.selector);
        disputes.showInstruction(id, e[MADE], p[1], proofOf(hashesOf(p), 1));
        refused(IArbiter.NotUnderRoot.selector);
        disputes.showInstruction(id, e[NEGATED], negation()[0], new bytes32[](0));
    }

    function test_postRun_malformed() public {
        Side memory side = honest();
        bend(side, 2, 1);
        side.runBent = 9;
        bytes32 id = begun(h, side, honest());
        play(id, side, honest(), IDisputeCourt.Stage.Runs);
        bytes32[] memory chunks = chunksOf(runOf(honest(), 1));
        bytes32[] memory own = chunksOf(runOf(side, 1));
        (bytes32 root, bytes32[] memory proof) = (rootOf(chunks), proofOf(chunks, 2));
        refused(IDisputeCourt.NotAgent.selector);
        disputes.postRun(id, rootOf(own), own[2], proofOf(own, 2));
        vm.startPrank(operators[0]);
        refused(IArbiter.NotUnderRoot.selector); // the last running word is the word that the prover says
        disputes.postRun(id, root, chunks[2], proof);
        refused(IArbiter.NotUnderRoot.selector);
        disputes.postRun(id, root, own[2], proof);
        refused(IArbiter.NotUnderRoot.selector);
        disputes.postRun(id, 0, own[2], new bytes32[](5));
        disputes.postRun(id, rootOf(own), own[2], proofOf(own, 2));
        refused(IDisputeCourt.NotAgent.selector); // nor does the prover post for the challenger
        disputes.postRun(id, root, chunks[2], proof);
    }

    function test_settleState_malformed() public {
        Side memory side = honest();
        side.values[X][41] ^= 1;
        bytes32 id = begun(h, side, honest());
        play(id, side, honest(), IDisputeCourt.Stage.State);
        IArbiter.StateOpening memory opening = stateOpening(X_DIGEST, side.values[X]);
        bytes memory entry = entries()[X];
        refused(Blake3.ChunkRefused.selector);
        disputes.settleState(id, entry, opening);
        opening = stateOpening(FINAL_DIGEST, honest().values[FINAL]);
        refused(IArbiter.NotUnderRoot.selector); // a tensor of the state after the step
        disputes.settleState(id, entry, opening);
        opening = stateOpening(X_DIGEST, honest().values[X]);
        refused(IArbiter.NotUnderRoot.selector);
        disputes.settleState(id, entries()[FINAL], opening);
        disputes.settleState(id, entry, opening);
        ruled(id, IDisputeCourt.Ruling.ProverLost);
    }
}
