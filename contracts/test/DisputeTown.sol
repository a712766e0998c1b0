// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IArbiter} from "../src/interfaces/IArbiter.sol";
import {IDisputeCourt} from "../src/interfaces/IDisputeCourt.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {Descent} from "../src/dispute/Descent.sol";
import {Instructions} from "../src/dispute/Instructions.sol";
import {DisputeStep} from "./DisputeStep.sol";
import {Town} from "./Town.sol";

/// @notice A town of canonical machines, of whose members the first commits an epoch with that step, and matches about it.
abstract contract DisputeTown is Town, DisputeStep {
    using Instructions for bytes;

    uint256 internal moves;
    uint256 internal gasUsed;

    // --- a committed epoch with that step

    function settleCanonical(uint256 members) internal {
        found(terms(), 0);
        for (uint256 i = 0; i < members; ++i) {
            settleIn(i + 1, bytes32(disputes.CLASS()) | bytes32(uint256(7)));
        }
    }

    function leafOf() internal pure returns (bytes memory) {
        bytes32[19] memory words;
        for (uint256 i = 0; i < 19; ++i) {
            words[i] = keccak256(abi.encode("leaf", i));
        }
        (words[5], words[8], words[18]) = (0, rootOf(stateOf(X_DIGEST)), rootOf(stateOf(FINAL_DIGEST)));
        return abi.encodePacked(words);
    }

    function leavesOf(uint256 steps) internal pure returns (bytes32[] memory digests) {
        digests = new bytes32[](steps);
        for (uint256 i = 0; i < steps; ++i) {
            digests[i] = keccak256(abi.encode("step", i));
        }
        digests[STEP] = keccak256(leafOf());
    }

    /// @dev A state of five leaves, of which the third is the tensor.
    function stateOf(bytes32 digest) internal pure returns (bytes32[] memory digests) {
        digests = new bytes32[](5);
        for (uint256 i = 0; i < 5; ++i) {
            digests[i] = keccak256(abi.encode("state", i));
        }
        digests[2] = digest;
    }

    function stateOpening(bytes32 digest, uint32[] memory words) internal pure returns (IArbiter.StateOpening memory o) {
        o.digest = digest;
        o.proof = proofOf(stateOf(digest), 2);
        bytes32[] memory chunks = chunksOf(words);
        o.first.chunk = abi.encodePacked(HEAD, chunks);
        bytes memory chunk = o.first.chunk;
        // without the zeros behind the last word
        bytes memory cut = new bytes(HEAD.length + 4 * words.length);
        for (uint256 i = 0; i < cut.length; ++i) {
            cut[i] = chunk[i];
        }
        o.first.chunk = cut;
    }

    /// @dev Word `element` of the value `FINAL` as `side` says it.
    function finalOf(Side memory side, uint32 element) internal pure returns (IDisputeCourt.Final memory f) {
        bytes[] memory e = entries();
        bytes32[] memory roots = rootsOf(side.values);
        bytes32[] memory chunks = chunksOf(side.values[FINAL]);
        (f.value, f.entry, f.entryProof) = (FINAL, e[FINAL], proofOf(hashesOf(e), FINAL));
        (f.root, f.rootProof, f.element) = (roots[FINAL], proofOf(roots, FINAL), element);
        (f.chunk, f.chunkProof) = (chunks[element / 8], proofOf(chunks, element / 8));
    }

    /// @dev Member 0 commits epoch 0; goes to where the auditors have revealed.
    function committed() internal returns (IParticipationLedger.Header memory h) {
        vm.warp(endOf(0));
        h = headerOf(0, 0);
        h.root = rootOf(leavesOf(h.steps));
        send(0, h);
        beaconOf(0);
        speak(h, 0, all(ok()));
    }

    function openBy(IParticipationLedger.Header memory h, uint256 who, IDisputeCourt.Trace memory trace) internal returns (bytes32) {
        bytes32 sealedTrace = keccak256(abi.encode(keys[who], h.key, h.epoch, STEP, trace, SALT));
        bytes32[] memory proof = proofOf(leavesOf(h.steps), STEP);
        bytes memory leaf = leafOf();
        vm.prank(operators[who]);
        return disputes.open(h, STEP, leaf, proof, keys[who], sealedTrace);
    }

    function answerBy(uint256 who, IDisputeCourt.Trace memory trace) internal {
        vm.prank(operators[who]);
        disputes.answer(keys[who], 0, STEP, trace);
    }

    // --- a match

    /// @dev Says that word 37 of the first instruction is another.
    function liar() internal pure returns (Side memory side) {
        side = honest();
        bend(side, 0, 37);
    }

    /// @dev Opened by member 1, answered, unsealed.
    function begun(IParticipationLedger.Header memory h, Side memory prover, Side memory challenger) internal returns (bytes32 id) {
        id = openBy(h, 1, traceOf(challenger));
        answerBy(0, traceOf(prover));
        disputes.unseal(id, traceOf(challenger), SALT);
    }

    function ruled(bytes32 id, IDisputeCourt.Ruling ruling) internal view {
        isEqual(uint8(disputes.matchOf(id).ruling), uint8(ruling), "ruling");
        isEqual(uint8(disputes.matchOf(id).stage), uint8(IDisputeCourt.Stage.Closed), "stage");
    }

    // --- playing

    /// @dev Plays a match on until it is closed or in `until`; each side says what it has.
    function play(bytes32 id, Side memory prover, Side memory challenger, IDisputeCourt.Stage until) internal {
        for (uint256 i = 0; i < 100; ++i) {
            IDisputeCourt.Match memory m = disputes.matchOf(id);
            if (m.stage == IDisputeCourt.Stage.Closed || m.stage == until) return;
            playOne(id, m, prover, challenger);
            note();
        }
        revert Untrue("a match that does not end");
    }

    function note() internal {
        ++moves;
        gasUsed += vm.lastCallGas().gasTotalUsed + 21_000;
    }

    function playOne(bytes32 id, IDisputeCourt.Match memory m, Side memory prover, Side memory challenger) internal {
        IDisputeCourt.Stage stage = m.stage;
        if (stage == IDisputeCourt.Stage.Answer) {
            disputes.unseal(id, traceOf(challenger), SALT);
        } else if (stage == IDisputeCourt.Stage.Entry) {
            showEntry(id, m.value, prover);
        } else if (stage == IDisputeCourt.Stage.Programs) {
            post(id, m, m.challengersTurn ? challenger : prover);
        } else if (stage == IDisputeCourt.Stage.Instruction) {
            showInstruction(id, m);
        } else if (stage == IDisputeCourt.Stage.Runs) {
            postRun(id, m, m.challengersTurn ? challenger : prover);
        } else if (stage == IDisputeCourt.Stage.Settle) {
            settle(id, m, prover);
        } else if (stage == IDisputeCourt.Stage.State) {
            disputes.settleState(id, entries()[m.value], stateOpening(X_DIGEST, honest().values[X]));
        } else {
            dig(id, m, prover, challenger);
        }
    }

    /// @dev The prover shows its nodes, the challenger goes down.
    function dig(bytes32 id, IDisputeCourt.Match memory m, Side memory prover, Side memory challenger) internal {
        bytes32[] memory shown = nodesOf(m, digestsOf(m, prover));
        if (!m.challengersTurn) disputes.reveal(id, shown);
        else disputes.descend(id, shown, nodesOf(m, digestsOf(m, challenger)));
    }

    function digestsOf(IDisputeCourt.Match memory m, Side memory side) internal pure returns (bytes32[] memory) {
        if (m.stage == IDisputeCourt.Stage.Values) return rootsOf(side.values);
        if (m.stage == IDisputeCourt.Stage.Program) return rootsOf(side.made);
        if (m.stage == IDisputeCourt.Stage.Run) return chunksOf(runOf(side, m.element));
        return chunksOf(m.value == MADE ? side.made[m.position] : side.values[m.value]);
    }

    function nodesOf(IDisputeCourt.Match memory m, bytes32[] memory digests) internal pure returns (bytes32[] memory nodes) {
        Descent.Span memory span = Descent.spanOf(m.leaves, m.height, m.index);
        bytes32[] memory level = m.height == span.depth ? digests : levelOf(digests, m.height - span.depth);
        nodes = new bytes32[](span.count);
        for (uint256 i = 0; i < span.count; ++i) {
            nodes[i] = level[span.first + i];
        }
    }

    function showEntry(bytes32 id, uint32 value, Side memory agreed) internal {
        bytes[] memory e = entries();
        bytes32[] memory roots = rootsOf(agreed.values);
        disputes.showEntry(id, e[value], proofOf(hashesOf(e), value), roots[MADE], proofOf(roots, MADE));
    }

    function programOf(IDisputeCourt.Match memory m) internal pure returns (bytes[] memory) {
        return m.value == MADE ? instructions() : negation();
    }

    function post(bytes32 id, IDisputeCourt.Match memory m, Side memory side) internal {
        bytes32[] memory roots = rootsOf(side.made);
        vm.prank(ledger.operatorOf(m.challengersTurn ? m.challenger : m.key));
        disputes.postProgram(id, entries()[m.value], rootOf(roots), proofOf(roots, 4));
    }

    function showInstruction(bytes32 id, IDisputeCourt.Match memory m) internal {
        bytes[] memory p = programOf(m);
        disputes.showInstruction(id, entries()[m.value], p[m.position], proofOf(hashesOf(p), m.position));
    }

    function postRun(bytes32 id, IDisputeCourt.Match memory m, Side memory side) internal {
        bytes32[] memory chunks = chunksOf(runOf(side, m.element));
        vm.prank(ledger.operatorOf(m.challengersTurn ? m.challenger : m.key));
        disputes.postRun(id, rootOf(chunks), chunks[COLUMNS / 8], proofOf(chunks, COLUMNS / 8));
    }

    function settle(bytes32 id, IDisputeCourt.Match memory m, Side memory agreed) internal {
        bytes memory code = programOf(m)[m.position];
        disputes.settle(id, entries()[m.value], code, openings(m, code, agreed));
    }

    function openings(IDisputeCourt.Match memory m, bytes memory code, Side memory agreed) internal view returns (IArbiter.Opening[] memory shown) {
        shown = new IArbiter.Opening[](uint8(code[3]));
        for (uint256 i = 0; i < shown.length; ++i) {
            bool isLast = m.folds && i == shown.length - 1;
            if (isLast && m.run != 0) {
                bytes32[] memory chunks = chunksOf(runOf(agreed, m.element));
                uint256 chunk = (m.run - 1) / 8;
                (shown[i].chunk, shown[i].chunkProof) = (chunks[chunk], proofOf(chunks, chunk));
                continue;
            }
            (uint32 number, int256 word) = this.place(code, i, m.element, m.folds && !isLast ? int256(uint256(m.run)) - 1 : int256(-1));
            if (code[0] == 0x02 && i == 0) word += int256(uint256(rowOf(m.element / COLUMNS) * COLUMNS));
            if (number != Instructions.IMMEDIATE && word >= 0) shown[i] = open(m, number, uint256(word), agreed);
        }
    }

    function open(IDisputeCourt.Match memory m, uint32 number, uint256 word, Side memory agreed) internal pure returns (IArbiter.Opening memory o) {
        uint256 inputs = m.value == MADE ? 2 : 1;
        bool isInput = number < inputs;
        uint256 index = isInput ? (number == 0 ? X : INDEX) : number - inputs;
        uint32[] memory words = isInput ? agreed.values[index] : agreed.made[index];
        bytes32[] memory roots = rootsOf(isInput ? agreed.values : agreed.made);
        bytes32[] memory chunks = chunksOf(words);
        o = IArbiter.Opening(roots[index], proofOf(roots, index), chunks[word / 8], proofOf(chunks, word / 8));
    }

    /// @dev Where an operand reads; -1 where an UPDATE does not take the word from it.
    function place(bytes calldata code, uint256 i, uint256 element, int256 k) external pure returns (uint32 number, int256 word) {
        Instructions.Operand memory o = code.operandAt(i);
        if (code.kindOf() == Instructions.UPDATE) {
            (uint256[] memory under, bool found) = code.placeUnder(code.operandAt(0), element);
            if (found) return (o.number, i == 0 ? int256(-1) : code.addressAt(o, under));
            return (o.number, i == 0 ? int256(element) : int256(-1));
        }
        word = code.addressAt(o, code.placeOf(element, 0));
        if (k >= 0) word += k * code.strideAt(o, code.axesOf());
        return (o.number, word);
    }
}
