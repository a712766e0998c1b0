// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IArbiter} from "../interfaces/IArbiter.sol";
import {StepTree} from "../lib/StepTree.sol";

/// @notice Going down two trees of one shape to the first leaf that differs. A node is (height, index), leaves are at height 0. Pure.
library Descent {
    /// @dev Levels that one reveal opens: always so many, so that nobody makes a game long by small moves.
    uint256 internal constant DEPTH = 5;

    /// @dev Height of the root over `leaves`, at least one.
    function heightOf(uint256 leaves) internal pure returns (uint8 height) {
        for (uint256 width = leaves; width > 1; width = (width + 1) / 2) {
            ++height;
        }
    }

    /// @dev What the next reveal shows: nodes so many levels down, the first of them, how many.
    struct Span {
        uint256 depth;
        uint256 first;
        uint256 count;
    }

    function spanOf(uint256 leaves, uint256 height, uint256 index) internal pure returns (Span memory span) {
        span.depth = height < DEPTH ? height : DEPTH;
        span.first = index << span.depth;
        uint256 width = ((leaves - 1) >> (height - span.depth)) + 1;
        uint256 full = uint256(1) << span.depth;
        span.count = width - span.first < full ? width - span.first : full;
    }

    /// @dev The node over `nodes`. At the bottom they are what the leaves are hashes of.
    function over(bytes32[] calldata nodes, bool bottom) internal pure returns (bytes32) {
        uint256 width = nodes.length;
        bytes32[] memory level = new bytes32[](width);
        for (uint256 i = 0; i < width; ++i) {
            level[i] = bottom ? StepTree.tagged(nodes[i]) : nodes[i];
        }
        for (; width > 1; width = (width + 1) / 2) {
            for (uint256 i = 0; i < width; i += 2) {
                level[i / 2] = i + 1 < width ? StepTree.nodeHash(level[i], level[i + 1]) : level[i];
            }
        }
        return level[0];
    }

    /// @dev The first place at which they differ; their number if there is none.
    function firstDifference(bytes32[] calldata a, bytes32[] calldata b) internal pure returns (uint256 i) {
        while (i < a.length && a[i] == b[i]) {
            ++i;
        }
    }

    /// @dev Word `i` of a chunk: eight words, little-endian.
    function wordAt(bytes32 chunk, uint256 i) internal pure returns (uint32) {
        // The shift leaves the word's four bytes lowest, first byte highest.
        uint256 word = (uint256(chunk) >> (224 - 32 * i)) & 0xffffffff;
        return uint32((word >> 24) | ((word >> 8) & 0xff00) | ((word << 8) & 0xff0000) | ((word << 24) & 0xff000000));
    }

    /// @dev A chunk shown under the root of a value of `words` words.
    function checkChunk(bytes32 root, uint256 words, uint256 word, bytes32 chunk, bytes32[] calldata proof) internal pure {
        bytes32 found = StepTree.rootOf(StepTree.tagged(chunk), word / 8, chunksOf(words), proof);
        if (found != root || root == bytes32(0)) revert IArbiter.NotUnderRoot(found, root);
    }

    function chunksOf(uint256 words) internal pure returns (uint256) {
        return (words + 7) / 8;
    }
}
