// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {LittleEndian} from "./LittleEndian.sol";

/// @title The random integers of sampling: Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
/// @notice The same as swarm/policy/noise.py: a function of seed, position and entry and of nothing else, so only one block is computed.
library Philox {
    /// @notice There is no such entry in the vocabulary.
    error EntryOutside(uint256 entry, uint256 vocabulary);

    uint256 private constant MASK = 0xffffffffffffffff;
    uint256 private constant MULTIPLIER_0 = 0xd2e7470ee14c6c93;
    uint256 private constant MULTIPLIER_1 = 0xca5a826395121157;
    uint256 private constant WEYL_0 = 0x9e3779b97f4a7c15;
    uint256 private constant WEYL_1 = 0xbb67ae8584caa73b;
    uint256 private constant ROUNDS = 10;
    uint256 private constant HALVES = 8;

    /// @notice The integer in [0, 2^23) of an entry at a position of a sample.
    /// @param seed Four little-endian words: the key, and the upper half of the counter.
    function bits(bytes32 seed, uint64 position, uint64 vocabulary, uint64 entry) internal pure returns (uint32) {
        if (entry >= vocabulary) revert EntryOutside(entry, vocabulary);
        uint256 words = LittleEndian.integer(seed);
        // a position has ceil(vocabulary / 8) blocks of eight halves; the counter is raised before a block is made
        uint256 counter = uint256(position) * Math.ceilDiv(vocabulary, HALVES) + entry / HALVES + 1;
        uint256 drawn = _block(words & MASK, (words >> 64) & MASK, (counter & type(uint128).max) | ((words >> 128) << 128));
        return uint32(drawn >> (32 * (entry % HALVES))) >> 9;
    }

    /// @dev One block: four 64-bit words, the first one lowest, out of a key and a counter laid out alike.
    function _block(uint256 k0, uint256 k1, uint256 counter) private pure returns (uint256) {
        uint256 c0 = counter & MASK;
        uint256 c1 = (counter >> 64) & MASK;
        uint256 c2 = (counter >> 128) & MASK;
        uint256 c3 = counter >> 192;
        unchecked {
            // products of 64-bit words fit 128 bits; the keys' sums are modulo 2^64 by definition
            for (uint256 round = 0; round < ROUNDS; ++round) {
                uint256 p = MULTIPLIER_0 * c0;
                uint256 q = MULTIPLIER_1 * c2;
                (c0, c1, c2, c3) = ((q >> 64) ^ c1 ^ k0, q & MASK, (p >> 64) ^ c3 ^ k1, p & MASK);
                (k0, k1) = ((k0 + WEYL_0) & MASK, (k1 + WEYL_1) & MASK);
            }
        }
        return c0 | (c1 << 64) | (c2 << 128) | (c3 << 192);
    }
}
