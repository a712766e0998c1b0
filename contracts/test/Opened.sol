// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Blake3} from "../src/numeric/Blake3.sol";
import {Philox} from "../src/numeric/Philox.sol";

/// @notice Library functions that take calldata, as calls.
contract Opened {
    function verifyChunk(bytes32 digest, uint64 length, uint256 index, bytes calldata chunk, bytes32[] calldata siblings)
        external
        pure
        returns (bool)
    {
        return Blake3.verifyChunk(digest, length, index, chunk, siblings);
    }

    function word(bytes32 digest, uint64 length, uint64 position, Blake3.Opening calldata first, Blake3.Opening calldata second)
        external
        pure
        returns (uint32)
    {
        return Blake3.word(digest, length, position, first, second);
    }

    function bits(bytes32 seed, uint64 position, uint64 vocabulary, uint64 entry) external pure returns (uint32) {
        return Philox.bits(seed, position, vocabulary, entry);
    }
}
