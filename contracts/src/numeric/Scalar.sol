// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Float32} from "./Float32.sol";

/// @title The scalar operations that every canonical operator is made of, on 32-bit words.
/// @notice Numbers and meaning are those of swarm/proof/canonical/definition/codes.py, never given anew.
library Scalar {
    uint8 internal constant MOV = 0;
    uint8 internal constant ADD = 1;
    uint8 internal constant SUB = 2;
    uint8 internal constant MUL = 3;
    uint8 internal constant FMA = 4;
    uint8 internal constant DIV = 5;
    uint8 internal constant SQRT = 6;
    uint8 internal constant NEG = 7;
    uint8 internal constant ABS = 8;
    uint8 internal constant MAX = 9;
    uint8 internal constant MIN = 10;
    uint8 internal constant LT = 11;
    uint8 internal constant LE = 12;
    uint8 internal constant EQ = 13;
    uint8 internal constant ISNAN = 14;
    uint8 internal constant SELECT = 15;
    uint8 internal constant AND = 16;
    uint8 internal constant OR = 17;
    uint8 internal constant XOR = 18;
    uint8 internal constant SHL = 19;
    uint8 internal constant SHR = 20;
    uint8 internal constant SAR = 21;
    uint8 internal constant IADD = 22;
    uint8 internal constant ISUB = 23;
    uint8 internal constant IMUL = 24;
    uint8 internal constant IEQ = 25;
    uint8 internal constant ILT = 26;
    uint8 internal constant I2F = 27;
    uint8 internal constant F2I = 28;
    uint8 internal constant ADDEQ = 40;
    uint8 internal constant FIRSTEQ = 41;
    uint8 internal constant ADDLE = 42;

    /// @dev FIRSTEQ: nothing found yet.
    uint32 internal constant NONE = 0xffffffff;

    /// @notice No operation of this kind has the number.
    error UnknownCode(uint8 code);

    /// @notice One element of a MAP. Operands that the operation does not have are ignored.
    function map(uint8 code, uint32 a, uint32 b, uint32 c) internal pure returns (uint32) {
        if (code < NEG) return _arithmetic(code, a, b, c);
        if (code < AND) return _choice(code, a, b, c);
        if (code < IADD) return _bits(code, a, b);
        return _integer(code, a, b);
    }

    /// @notice One step of a FOLD: the running word after the operands a, b, c.
    function fold(uint8 code, uint32 acc, uint32 a, uint32 b, uint32 c) internal pure returns (uint32) {
        if (code == FMA) return Float32.fma(a, b, acc);
        if (code == ADD) return Float32.add(acc, a);
        if (code == MAX) return Float32.maximum(acc, a);
        if (code == MIN) return Float32.minimum(acc, a);
        if (code == ADDEQ) return b == c ? Float32.add(acc, a) : acc;
        if (code == FIRSTEQ) return acc == NONE && Float32.eq(a, b) ? c : acc;
        if (code == ADDLE) return int32(b) <= int32(c) ? Float32.add(acc, a) : acc;
        revert UnknownCode(code);
    }

    function _arithmetic(uint8 code, uint32 a, uint32 b, uint32 c) private pure returns (uint32) {
        if (code == FMA) return Float32.fma(a, b, c);
        if (code == MUL) return Float32.mul(a, b);
        if (code == ADD) return Float32.add(a, b);
        if (code == SUB) return Float32.sub(a, b);
        if (code == DIV) return Float32.div(a, b);
        if (code == SQRT) return Float32.sqrt(a);
        return a; // MOV
    }

    function _choice(uint8 code, uint32 a, uint32 b, uint32 c) private pure returns (uint32) {
        if (code == NEG) return Float32.neg(a);
        if (code == ABS) return Float32.abs(a);
        if (code == MAX) return Float32.maximum(a, b);
        if (code == MIN) return Float32.minimum(a, b);
        if (code == LT) return _truth(Float32.lt(a, b));
        if (code == LE) return _truth(Float32.le(a, b));
        if (code == EQ) return _truth(Float32.eq(a, b));
        if (code == ISNAN) return _truth(Float32.isNaN(a));
        return a != 0 ? b : c; // SELECT
    }

    function _bits(uint8 code, uint32 a, uint32 b) private pure returns (uint32) {
        if (code == AND) return a & b;
        if (code == OR) return a | b;
        if (code == XOR) return a ^ b;
        if (code == SHL) return a << (b & 31);
        if (code == SHR) return a >> (b & 31);
        return uint32(int32(a) >> (b & 31)); // SAR
    }

    function _integer(uint8 code, uint32 a, uint32 b) private pure returns (uint32) {
        unchecked {
            // integer arithmetic is modulo 2^32 by definition
            if (code == IADD) return a + b;
            if (code == ISUB) return a - b;
            if (code == IMUL) return a * b;
        }
        if (code == IEQ) return _truth(a == b);
        if (code == ILT) return _truth(int32(a) < int32(b));
        if (code == I2F) return Float32.fromInt(int32(a));
        if (code == F2I) return Float32.toInt(a);
        revert UnknownCode(code);
    }

    function _truth(bool condition) private pure returns (uint32) {
        return condition ? 1 : 0;
    }
}
