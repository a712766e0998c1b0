// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Merkle proofs over step records: ordered by index, an odd node at the end moves up as it is, tags 0x00 leaf and 0x01 node.
library StepTree {
    /// @dev A step record stands in the tree under the tagged digest of its encoding.
    function leafHash(bytes memory leaf) internal pure returns (bytes32) {
        return tagged(keccak256(leaf));
    }

    /// @dev Any other 32 bytes that stand in a tree.
    function tagged(bytes32 digest) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x00), digest));
    }

    function nodeHash(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x01), left, right));
    }

    /// @dev Root of a tree of `width` leaves with `leaf` at `index`; zero if the proof has too few or too many nodes.
    function rootOf(bytes32 leaf, uint256 index, uint256 width, bytes32[] calldata proof) internal pure returns (bytes32 root) {
        root = leaf;
        uint256 used = 0;
        for (; width > 1; (index, width) = (index / 2, (width + 1) / 2)) {
            if (index == width - 1 && index % 2 == 0) continue;
            if (used == proof.length) return bytes32(0);
            bytes32 sibling = proof[used++];
            root = index % 2 == 0 ? nodeHash(root, sibling) : nodeHash(sibling, root);
        }
        if (used != proof.length) return bytes32(0);
    }
}
