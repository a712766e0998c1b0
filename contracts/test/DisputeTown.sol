// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IArbiter} from "../src/interfaces/IArbiter.sol";
import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IDisputeCourt} from "../src/interfaces/IDisputeCourt.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {Descent} from "../src/dispute/Descent.sol";
import {Instructions} from "../src/dispute/Instructions.sol";
import {StepTree} from "../src/lib/StepTree.sol";
import {Scalar} from "../src/numeric/Scalar.sol";
import {Town} from "./Town.sol";

/// @notice A town of canonical machines, and one step whose operator has an instruction of each kind. The step's values:
/// 0..39 given (8 words each), 40 the index (given, ROWS words), 41 x (initial), 42 made by the program, 43 made by a program of one
/// instruction (-x), 44 value 42 as a final tensor, 45 an empty given one.
/// The program: inputs x, index; then 2 = x * 2; 3 = rows of 2 by index; 4 = dot products of the rows of 3 and 2; 5 = 3 with column 1 replaced
/// by 4; 6 = 5 + its column number.
abstract contract DisputeTown is Town {
    using Instructions for bytes;

    uint256 internal constant ROWS = 3;
    uint256 internal constant COLUMNS = 20;
    uint256 internal constant SIZE = ROWS * COLUMNS;
    uint32 internal constant COUNT = 46;
    uint32 internal constant INDEX = 40;
    uint32 internal constant X = 41;
    uint32 internal constant MADE = 42;
    uint32 internal constant NEGATED = 43;
    uint32 internal constant FINAL = 44;
    uint32 internal constant STEP = 3;
    bytes internal constant HEAD = "tensor head";
    /// @dev BLAKE3 of HEAD and the words, little-endian, of x and of value 42.
    bytes32 internal constant X_DIGEST = 0xb24f7453212a78bd4435421fb5f928a41e059b1af09b1350b9e8e9ef02dbbd3d;
    bytes32 internal constant FINAL_DIGEST = 0x1c30281e56ecc397ea969bc048bfcd45cbca6c236370e01595af6f89c0125ab5;
    bytes32 internal constant SALT = keccak256("salt");

    /// @dev What a side says: words of the step's values, of the program's, and what it says of the running words if they come up.
    struct Side {
        uint32[][] values;
        uint32[][] made;
        uint32 runBent; // from this running word on they are wrong by a bit; 0: none is
    }

    uint256 internal moves;
    uint256 internal gasUsed;

    // --- trees

    function chunksOf(uint32[] memory words) internal pure returns (bytes32[] memory chunks) {
        chunks = new bytes32[]((words.length + 7) / 8);
        for (uint256 i = 0; i < words.length; ++i) {
            uint256 w = words[i];
            w = (w >> 24) | ((w >> 8) & 0xff00) | ((w << 8) & 0xff0000) | ((w << 24) & 0xff000000);
            chunks[i / 8] |= bytes32(w << (224 - 32 * (i % 8)));
        }
    }

    /// @dev Nodes at a height of the tree over digests; at height 0 the digests' leaves.
    function levelOf(bytes32[] memory digests, uint256 height) internal pure returns (bytes32[] memory level) {
        level = new bytes32[](digests.length);
        for (uint256 i = 0; i < digests.length; ++i) {
            level[i] = StepTree.tagged(digests[i]);
        }
        for (uint256 h = 0; h < height; ++h) {
            bytes32[] memory above = new bytes32[]((level.length + 1) / 2);
            for (uint256 i = 0; i < level.length; i += 2) {
                above[i / 2] = i + 1 < level.length ? StepTree.nodeHash(level[i], level[i + 1]) : level[i];
            }
            level = above;
        }
    }

    function rootOf(bytes32[] memory digests) internal pure returns (bytes32) {
        return digests.length == 0 ? bytes32(0) : levelOf(digests, Descent.heightOf(digests.length))[0];
    }

    function proofOf(bytes32[] memory digests, uint256 index) internal pure returns (bytes32[] memory proof) {
        uint256 height = digests.length == 0 ? 0 : Descent.heightOf(digests.length);
        bytes32[] memory found = new bytes32[](height);
        uint256 used = 0;
        for (uint256 h = 0; h < height; ++h) {
            bytes32[] memory level = levelOf(digests, h);
            if (index ^ 1 < level.length) found[used++] = level[index ^ 1];
            index /= 2;
        }
        proof = new bytes32[](used);
        for (uint256 i = 0; i < used; ++i) {
            proof[i] = found[i];
        }
    }

    function valueRoot(uint32[] memory words) internal pure returns (bytes32) {
        return rootOf(chunksOf(words));
    }

    function rootsOf(uint32[][] memory values) internal pure returns (bytes32[] memory roots) {
        roots = new bytes32[](values.length);
        for (uint256 i = 0; i < values.length; ++i) {
            roots[i] = valueRoot(values[i]);
        }
    }

    // --- the step

    function rowOf(uint256 i) internal pure returns (uint32) {
        return uint32((i + 1) % ROWS);
    }

    function honest() internal pure returns (Side memory side) {
        side.made = new uint32[][](5);
        uint32[] memory x = new uint32[](SIZE);
        for (uint256 i = 0; i < 5; ++i) {
            side.made[i] = new uint32[](i == 2 ? ROWS : SIZE);
        }
        for (uint256 i = 0; i < SIZE; ++i) {
            x[i] = Scalar.map(Scalar.DIV, Scalar.map(Scalar.I2F, uint32(i * i + 1), 0, 0), Scalar.map(Scalar.I2F, uint32(i + 7), 0, 0), 0);
            side.made[0][i] = Scalar.map(Scalar.MUL, x[i], 0x40000000, 0);
        }
        for (uint256 i = 0; i < SIZE; ++i) {
            side.made[1][i] = side.made[0][rowOf(i / COLUMNS) * COLUMNS + i % COLUMNS];
        }
        for (uint256 i = 0; i < ROWS; ++i) {
            side.made[2][i] = runOf(side, i)[COLUMNS];
        }
        for (uint256 i = 0; i < SIZE; ++i) {
            side.made[3][i] = i % COLUMNS == 1 ? side.made[2][i / COLUMNS] : side.made[1][i];
            side.made[4][i] = Scalar.map(Scalar.ADD, side.made[3][i], uint32(i % COLUMNS), 0);
        }
        side.values = valuesOf(x, side.made[4]);
    }

    function valuesOf(uint32[] memory x, uint32[] memory last) private pure returns (uint32[][] memory values) {
        values = new uint32[][](COUNT);
        for (uint256 i = 0; i < INDEX; ++i) {
            values[i] = new uint32[](8);
            values[i][i % 8] = uint32(i);
        }
        (values[INDEX], values[X], values[NEGATED]) = (new uint32[](ROWS), x, new uint32[](SIZE));
        for (uint256 i = 0; i < ROWS; ++i) {
            values[INDEX][i] = rowOf(i);
        }
        for (uint256 i = 0; i < SIZE; ++i) {
            values[NEGATED][i] = Scalar.map(Scalar.NEG, x[i], 0, 0);
        }
        (values[MADE], values[FINAL]) = (copyOf(last), copyOf(last));
        values[COUNT - 1] = new uint32[](0);
    }

    function copyOf(uint32[] memory words) internal pure returns (uint32[] memory copy) {
        copy = new uint32[](words.length);
        for (uint256 i = 0; i < words.length; ++i) {
            copy[i] = words[i];
        }
    }

    /// @dev Running words of the dot product of row `i`.
    function runOf(Side memory side, uint256 i) internal pure returns (uint32[] memory run) {
        run = new uint32[](COLUMNS + 1);
        for (uint256 k = 0; k < COLUMNS; ++k) {
            run[k + 1] = Scalar.fold(Scalar.FMA, run[k], side.made[1][i * COLUMNS + k], side.made[0][i * COLUMNS + k], 0);
        }
        for (uint256 k = side.runBent; side.runBent != 0 && k <= COLUMNS; ++k) {
            run[k] ^= 1;
        }
    }

    /// @dev Wrong from instruction `t`, word `element` on.
    function bend(Side memory side, uint256 t, uint256 element) internal pure {
        side.made[t][element] ^= 1;
        if (t == 4) return copyOver(side);
        uint256 row = t == 2 ? element : 0;
        side.made[4][row * COLUMNS + 1] ^= 1;
        copyOver(side);
    }

    function copyOver(Side memory side) internal pure {
        (side.values[MADE], side.values[FINAL]) = (copyOf(side.made[4]), copyOf(side.made[4]));
    }

    // --- instructions

    function operand(uint32 number, uint32 words, int64 offset, int64[] memory strides) private pure returns (bytes memory packed) {
        packed = abi.encodePacked(number, words, offset);
        for (uint256 i = 0; i < strides.length; ++i) {
            packed = abi.encodePacked(packed, strides[i]);
        }
    }

    function strides1(int64 a) private pure returns (int64[] memory s) {
        s = new int64[](1);
        s[0] = a;
    }

    function strides2(int64 a, int64 b) private pure returns (int64[] memory s) {
        s = new int64[](2);
        (s[0], s[1]) = (a, b);
    }

    function head(uint8 kind, uint8 code, uint8 axes, uint8 count, uint32 length, int64 scale) private pure returns (bytes memory) {
        return abi.encodePacked(kind, code, axes, count, length, scale);
    }

    function instructions() internal pure returns (bytes[] memory p) {
        p = new bytes[](5);
        (uint32 rows, uint32 columns, uint32 size) = (uint32(ROWS), uint32(COLUMNS), uint32(SIZE));
        int64[] memory plain = strides2(int64(int32(columns)), 1);
        bytes memory two = operand(Instructions.IMMEDIATE, 0, 0x40000000, strides2(0, 0));
        p[0] = abi.encodePacked(head(0, Scalar.MUL, 2, 2, 0, 0), rows, columns, operand(0, size, 0, plain), two);
        bytes memory index = operand(1, rows, 0, strides2(1, 0));
        p[1] = abi.encodePacked(head(2, 0, 2, 2, 0, int64(int32(columns))), rows, columns, operand(2, size, 0, strides2(0, 1)), index);
        bytes memory zero = operand(Instructions.IMMEDIATE, 0, 0, strides1(0));
        p[2] = abi.encodePacked(head(1, Scalar.FMA, 1, 3, columns, 0), rows, operand(3, size, 0, plain), operand(2, size, 0, plain), zero);
        bytes memory under = operand(3, size, 1, strides1(int64(int32(columns))));
        p[3] = abi.encodePacked(head(3, 0, 1, 2, size, 0), rows, under, operand(4, rows, 0, strides1(1)));
        bytes memory column = operand(Instructions.IMMEDIATE, 0, 0, strides2(0, 1));
        p[4] = abi.encodePacked(head(0, Scalar.ADD, 2, 2, 0, 0), rows, columns, operand(5, size, 0, plain), column);
    }

    function negation() internal pure returns (bytes[] memory p) {
        p = new bytes[](1);
        p[0] = abi.encodePacked(head(0, Scalar.NEG, 1, 1, 0, 0), uint32(SIZE), operand(0, uint32(SIZE), 0, strides1(1)));
    }

    function hashesOf(bytes[] memory parts) internal pure returns (bytes32[] memory digests) {
        digests = new bytes32[](parts.length);
        for (uint256 i = 0; i < parts.length; ++i) {
            digests[i] = keccak256(parts[i]);
        }
    }

    /// @dev Entries, honest ones; given values are those of the honest side.
    function entries() internal pure returns (bytes[] memory e) {
        Side memory side = honest();
        e = new bytes[](COUNT);
        for (uint256 i = 0; i < COUNT; ++i) {
            e[i] = abi.encodePacked(uint8(0), uint32(side.values[i].length), valueRoot(side.values[i]));
        }
        (uint32 size, uint32 rows) = (uint32(SIZE), uint32(ROWS));
        e[X] = abi.encodePacked(uint8(1), size, uint32(2), uint32(5), uint16(11));
        bytes32 program = rootOf(hashesOf(instructions()));
        e[MADE] = abi.encodePacked(uint8(3), size, uint32(4), uint32(5), program, uint8(2), X, size, INDEX, rows);
        e[NEGATED] = abi.encodePacked(uint8(3), size, uint32(0), uint32(1), rootOf(hashesOf(negation())), uint8(1), X, size);
        e[FINAL] = abi.encodePacked(uint8(2), size, uint32(2), uint32(5), uint16(11), MADE);
    }

    function traceOf(Side memory side) internal pure returns (IDisputeCourt.Trace memory) {
        return IDisputeCourt.Trace(COUNT, rootOf(hashesOf(entries())), rootOf(rootsOf(side.values)));
    }

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
