// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Scalar} from "../src/numeric/Scalar.sol";

/// @notice Many operations in one call, for comparing with another implementation: benchmarks/float32_fuzz.py puts this code on a chain.
contract ScalarBatch {
    /// @notice `operands` are big-endian words, four of a case: a, b, c and one that is ignored; or acc, a, b, c of a fold. Gives a word of
    /// each case, eight to a slot, first one highest.
    function many(uint8 code, bool folds, bytes calldata operands) external pure returns (uint256[] memory results) {
        uint256 cases = operands.length / 16;
        results = new uint256[]((cases + 7) / 8);
        for (uint256 i = 0; i < cases; ++i) {
            uint128 four = uint128(bytes16(operands[16 * i:16 * i + 16]));
            uint32 word = one(code, folds, uint32(four >> 96), uint32(four >> 64), uint32(four >> 32), uint32(four));
            results[i / 8] |= uint256(word) << (224 - 32 * (i % 8));
        }
    }

    function one(uint8 code, bool folds, uint32 a, uint32 b, uint32 c, uint32 d) public pure returns (uint32) {
        return folds ? Scalar.fold(code, a, b, c, d) : Scalar.map(code, a, b, c);
    }
}
