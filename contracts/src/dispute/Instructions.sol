// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IArbiter} from "../interfaces/IArbiter.sol";
import {Sources} from "./Sources.sol";

/// @notice Reads packed instructions and computes where they read. Format: IDisputeCourt. Data that is too short reverts.
/// @dev Dims are below 2^32 and strides within 2^63, axes at most seven: no address leaves 2^99.
library Instructions {
    uint8 internal constant MAP = 0;
    uint8 internal constant FOLD = 1;
    uint8 internal constant GATHER = 2;
    uint8 internal constant UPDATE = 3;
    uint8 internal constant NOISE = 4;

    uint256 internal constant AXES = 6;
    uint256 internal constant OPERANDS = 4;
    uint32 internal constant IMMEDIATE = 0xffffffff;
    uint256 private constant HEAD = 16;
    uint256 private constant OPERAND = 16; // without its strides

    struct Operand {
        uint32 number;
        uint32 words;
        int256 offset;
        uint256 strides; // where they begin
    }

    function kindOf(bytes calldata code) internal pure returns (uint8) {
        return uint8(code[0]);
    }

    function scalarOf(bytes calldata code) internal pure returns (uint8) {
        return uint8(code[1]);
    }

    function axesOf(bytes calldata code) internal pure returns (uint256 axes) {
        axes = uint8(code[2]);
        if (axes > AXES) revert IArbiter.TooLarge(axes, AXES);
    }

    function operandsOf(bytes calldata code) internal pure returns (uint256 count) {
        count = uint8(code[3]);
        if (count > OPERANDS) revert IArbiter.TooLarge(count, OPERANDS);
    }

    function lengthOf(bytes calldata code) internal pure returns (uint32) {
        return Sources.uint32At(code, 4);
    }

    function scaleOf(bytes calldata code) internal pure returns (int256) {
        return int64At(code, 8);
    }

    function dimAt(bytes calldata code, uint256 axis) internal pure returns (uint256) {
        return Sources.uint32At(code, HEAD + 4 * axis);
    }

    function seedOf(bytes calldata code) internal pure returns (bytes32) {
        return bytes32(code[code.length - 32:]);
    }

    /// @dev Words of the value that it makes: below 2^32, so that they can be counted everywhere.
    function sizeOf(bytes calldata code) internal pure returns (uint32) {
        if (kindOf(code) == UPDATE) return lengthOf(code);
        uint256 size = 1;
        uint256 axes = axesOf(code);
        for (uint256 axis = 0; axis < axes; ++axis) {
            size *= dimAt(code, axis);
        }
        if (size > type(uint32).max) revert IArbiter.TooLarge(size, type(uint32).max);
        return uint32(size);
    }

    function operandAt(bytes calldata code, uint256 i) internal pure returns (Operand memory) {
        uint256 axes = axesOf(code);
        // All operands before the last are alike; the last of a FOLD is its start, without the folded axis.
        uint256 length = OPERAND + 8 * (kindOf(code) == FOLD ? axes + 1 : axes);
        uint256 from = HEAD + 4 * axes + i * length;
        return Operand(Sources.uint32At(code, from), Sources.uint32At(code, from + 4), int64At(code, from + 8), from + OPERAND);
    }

    /// @dev Place of word `element` along each axis, row-major; room for `more` axes behind.
    function placeOf(bytes calldata code, uint256 element, uint256 more) internal pure returns (uint256[] memory place) {
        uint256 axis = axesOf(code);
        place = new uint256[](axis + more);
        while (axis > 0) {
            uint256 dim = dimAt(code, --axis);
            place[axis] = element % dim;
            element /= dim;
        }
    }

    function addressAt(bytes calldata code, Operand memory operand, uint256[] memory place) internal pure returns (int256 word) {
        word = operand.offset;
        for (uint256 axis = 0; axis < place.length; ++axis) {
            word += int256(place[axis]) * strideAt(code, operand, axis);
        }
    }

    /// @dev Where the view `operand` shows word `element`; `found` is false where it does not. Divides by the strides, the largest first: right for
    /// views whose strides nest, the only ones that an UPDATE has.
    function placeUnder(bytes calldata code, Operand memory operand, uint256 element) internal pure returns (uint256[] memory place, bool found) {
        uint256 axes = axesOf(code);
        place = new uint256[](axes);
        int256 rest = int256(element) - operand.offset;
        if (rest < 0) return (place, false);
        uint256 done = 0; // a bit for each axis
        for (uint256 round = 0; round < axes; ++round) {
            uint256 axis = _widest(code, operand, axes, done);
            done |= 1 << axis;
            int256 stride = strideAt(code, operand, axis);
            uint256 dim = dimAt(code, axis);
            if (dim == 0) return (place, false);
            if (dim == 1 || stride <= 0) continue;
            uint256 steps = uint256(rest / stride);
            place[axis] = steps < dim ? steps : dim - 1;
            rest -= int256(place[axis]) * stride;
        }
        found = rest == 0;
    }

    function strideAt(bytes calldata code, Operand memory operand, uint256 axis) internal pure returns (int256) {
        return int64At(code, operand.strides + 8 * axis);
    }

    function int64At(bytes calldata data, uint256 from) internal pure returns (int256) {
        return int64(uint64(bytes8(data[from:from + 8])));
    }

    function _widest(bytes calldata code, Operand memory operand, uint256 axes, uint256 done) private pure returns (uint256 best) {
        int256 most = type(int256).min;
        for (uint256 axis = 0; axis < axes; ++axis) {
            int256 stride = strideAt(code, operand, axis);
            if ((done >> axis) & 1 == 1 || stride <= most) continue;
            (best, most) = (axis, stride);
        }
    }
}
