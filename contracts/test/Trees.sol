// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Descent} from "../src/dispute/Descent.sol";
import {StepTree} from "../src/lib/StepTree.sol";

/// @notice Trees over 32-byte digests and over the words of values, whole.
abstract contract Trees {
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
}
