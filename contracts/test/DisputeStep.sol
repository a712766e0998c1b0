// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDisputeCourt} from "../src/interfaces/IDisputeCourt.sol";
import {Instructions} from "../src/dispute/Instructions.sol";
import {Scalar} from "../src/numeric/Scalar.sol";
import {Trees} from "./Trees.sol";

/// @notice A step whose operator has an instruction of each kind, as a prover and challengers may tell it. Its values:
/// 0..39 given (8 words each), 40 the index (given, ROWS words), 41 x (initial), 42 made by the program, 43 made by a program of one
/// instruction (-x), 44 value 42 as a final tensor, 45 an empty given one.
/// The program: inputs x, index; then 2 = x * 2; 3 = rows of 2 by index; 4 = dot products of the rows of 3 and 2; 5 = 3 with column 1 replaced
/// by 4; 6 = 5 + its column number.
abstract contract DisputeStep is Trees {
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
        e[MADE] = abi.encodePacked(uint8(3), size, uint32(4), uint32(5), program, uint16(2), X, size, INDEX, rows);
        e[NEGATED] = abi.encodePacked(uint8(3), size, uint32(0), uint32(1), rootOf(hashesOf(negation())), uint16(1), X, size);
        e[FINAL] = abi.encodePacked(uint8(2), size, uint32(2), uint32(5), uint16(11), MADE);
    }

    function traceOf(Side memory side) internal pure returns (IDisputeCourt.Trace memory) {
        return IDisputeCourt.Trace(COUNT, rootOf(hashesOf(entries())), rootOf(rootsOf(side.values)));
    }
}
