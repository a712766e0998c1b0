// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IArbiter} from "../interfaces/IArbiter.sol";
import {Blake3} from "../numeric/Blake3.sol";
import {Philox} from "../numeric/Philox.sol";
import {Scalar} from "../numeric/Scalar.sol";
import {StepTree} from "../lib/StepTree.sol";
import {Descent} from "./Descent.sol";
import {Instructions} from "./Instructions.sol";
import {Sources} from "./Sources.sol";

/// @notice The last move: reads the words that a disputed one follows from, each by proof, and computes it. Pure.
library LastMove {
    using Instructions for bytes;

    /// @dev The word that the instruction `code` makes there. `openings` has one place for each operand.
    function wordOf(IArbiter.Scene memory scene, bytes calldata code, IArbiter.Opening[] calldata openings)
        internal
        pure
        returns (uint32)
    {
        uint8 kind = code.kindOf();
        uint256 count = code.operandsOf();
        if (openings.length != count) revert IArbiter.CountWrong(openings.length, count);
        if (kind == Instructions.MAP) return _map(scene, code, openings);
        if (kind == Instructions.FOLD) return _fold(scene, code, openings);
        if (kind == Instructions.GATHER) return _gather(scene, code, openings);
        if (kind == Instructions.UPDATE) return _update(scene, code, openings);
        if (kind == Instructions.NOISE) return _noise(scene, code);
        revert IArbiter.KindUnknown(kind);
    }

    /// @dev A word of a tensor of a state, which INITIAL and FINAL entries name.
    function stateWordOf(bytes32 state, bytes calldata entry, uint32 element, IArbiter.StateOpening calldata opening)
        internal
        pure
        returns (uint32)
    {
        Sources.Tensor memory tensor = Sources.tensorOf(entry);
        bytes32 found = StepTree.rootOf(StepTree.tagged(opening.digest), tensor.place, tensor.leaves, opening.proof);
        if (found != state || state == bytes32(0)) revert IArbiter.NotUnderRoot(found, state);
        (uint64 length, uint64 position) = (tensor.head + 4 * uint64(tensor.words), tensor.head + 4 * uint64(element));
        return Blake3.word(opening.digest, length, position, opening.first, opening.second);
    }

    function _map(IArbiter.Scene memory scene, bytes calldata code, IArbiter.Opening[] calldata openings)
        private
        pure
        returns (uint32)
    {
        uint32[4] memory words = _readAll(scene, code, code.placeOf(scene.element, 0), openings, openings.length);
        return Scalar.map(code.scalarOf(), words[0], words[1], words[2]);
    }

    function _fold(IArbiter.Scene memory scene, bytes calldata code, IArbiter.Opening[] calldata openings)
        private
        pure
        returns (uint32)
    {
        uint256 last = openings.length - 1;
        if (scene.run == 0) {
            Instructions.Operand memory start = code.operandAt(last);
            return _read(scene, start, code.addressAt(start, code.placeOf(scene.element, 0)), openings[last]);
        }
        uint256[] memory place = code.placeOf(scene.element, 1);
        place[place.length - 1] = scene.run - 1;
        if (scene.run % 8 == 0) _readBefore(scene, uint256(code.lengthOf()) + 1, openings[last]);
        uint32[4] memory words = _readAll(scene, code, place, openings, last);
        return Scalar.fold(code.scalarOf(), scene.acc, words[0], words[1], words[2]);
    }

    /// @dev The running word before one that begins a chunk.
    function _readBefore(IArbiter.Scene memory scene, uint256 words, IArbiter.Opening calldata opening) private pure {
        Descent.checkChunk(scene.running, words, scene.run - 1, opening.chunk, opening.chunkProof);
        scene.acc = Descent.wordAt(opening.chunk, 7);
    }

    function _gather(IArbiter.Scene memory scene, bytes calldata code, IArbiter.Opening[] calldata openings)
        private
        pure
        returns (uint32)
    {
        uint256[] memory place = code.placeOf(scene.element, 0);
        (Instructions.Operand memory table, Instructions.Operand memory index) = (code.operandAt(0), code.operandAt(1));
        int256 steps = int32(_read(scene, index, code.addressAt(index, place), openings[1]));
        return _read(scene, table, code.addressAt(table, place) + steps * code.scaleOf(), openings[0]);
    }

    function _update(IArbiter.Scene memory scene, bytes calldata code, IArbiter.Opening[] calldata openings)
        private
        pure
        returns (uint32)
    {
        (Instructions.Operand memory base, Instructions.Operand memory source) = (code.operandAt(0), code.operandAt(1));
        (uint256[] memory place, bool found) = code.placeUnder(base, scene.element);
        if (!found) return _read(scene, base, int256(uint256(scene.element)), openings[0]);
        return _read(scene, source, code.addressAt(source, place), openings[1]);
    }

    function _noise(IArbiter.Scene memory scene, bytes calldata code) private pure returns (uint32) {
        uint256 vocabulary = code.lengthOf();
        uint256 position = uint256(code.scaleOf()) + scene.element / vocabulary;
        return Philox.bits(code.seedOf(), uint64(position), uint64(vocabulary), uint64(scene.element % vocabulary));
    }

    /// @dev The first `count` operands.
    function _readAll(
        IArbiter.Scene memory scene,
        bytes calldata code,
        uint256[] memory place,
        IArbiter.Opening[] calldata openings,
        uint256 count
    ) private pure returns (uint32[4] memory words) {
        for (uint256 i = 0; i < count; ++i) {
            Instructions.Operand memory operand = code.operandAt(i);
            words[i] = _read(scene, operand, code.addressAt(operand, place), openings[i]);
        }
    }

    function _read(
        IArbiter.Scene memory scene,
        Instructions.Operand memory operand,
        int256 word,
        IArbiter.Opening calldata opening
    ) private pure returns (uint32) {
        if (operand.number == Instructions.IMMEDIATE) return uint32(uint256(word)); // modulo 2^32, of negative ones too
        if (word < 0 || word >= int256(uint256(operand.words))) return 0;
        _checkRoot(scene, operand.number, opening);
        Descent.checkChunk(opening.root, operand.words, uint256(word), opening.chunk, opening.chunkProof);
        return Descent.wordAt(opening.chunk, uint256(word) % 8);
    }

    /// @dev The program's values are its inputs, which are values of the step, and then what its instructions make.
    function _checkRoot(IArbiter.Scene memory scene, uint256 number, IArbiter.Opening calldata opening) private pure {
        uint256 inputs = scene.inputs.length;
        bool isInput = number < inputs;
        bytes32 root = isInput ? scene.values : scene.program;
        bytes32 found = StepTree.rootOf(
            StepTree.tagged(opening.root),
            isInput ? scene.inputs[number] : number - inputs,
            isInput ? scene.count : scene.length,
            opening.rootProof
        );
        if (found != root || root == bytes32(0)) revert IArbiter.NotUnderRoot(found, root);
    }
}
