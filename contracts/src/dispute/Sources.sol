// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Reads entries of a trace's structure: how a value comes about. Formats: IDisputeCourt. Data that is too short reverts.
library Sources {
    uint8 internal constant GIVEN = 0;
    uint8 internal constant INITIAL = 1;
    uint8 internal constant FINAL = 2;
    uint8 internal constant MADE = 3;

    /// @dev Where a tensor stands in a state, and in its BLAKE3 message.
    struct Tensor {
        uint32 words;
        uint32 place;
        uint32 leaves;
        uint16 head;
    }

    function originOf(bytes calldata entry) internal pure returns (uint8) {
        return uint8(entry[0]);
    }

    function wordsOf(bytes calldata entry) internal pure returns (uint32) {
        return uint32At(entry, 1);
    }

    /// @dev GIVEN
    function rootOf(bytes calldata entry) internal pure returns (bytes32) {
        return bytes32(entry[5:37]);
    }

    /// @dev INITIAL, FINAL
    function tensorOf(bytes calldata entry) internal pure returns (Tensor memory) {
        return Tensor(uint32At(entry, 1), uint32At(entry, 5), uint32At(entry, 9), uint16(bytes2(entry[13:15])));
    }

    /// @dev FINAL
    function sourceOf(bytes calldata entry) internal pure returns (uint32) {
        return uint32At(entry, 15);
    }

    /// @dev MADE, as the following
    function positionOf(bytes calldata entry) internal pure returns (uint32) {
        return uint32At(entry, 5);
    }

    function programLength(bytes calldata entry) internal pure returns (uint32) {
        return uint32At(entry, 9);
    }

    function programOf(bytes calldata entry) internal pure returns (bytes32) {
        return bytes32(entry[13:45]);
    }

    /// @dev Numbers of the program's inputs in the trace.
    function inputsOf(bytes calldata entry) internal pure returns (uint32[] memory inputs) {
        inputs = new uint32[](uint16(bytes2(entry[45:47])));
        for (uint256 i = 0; i < inputs.length; ++i) {
            inputs[i] = uint32At(entry, 47 + 8 * i);
        }
    }

    function uint32At(bytes calldata data, uint256 from) internal pure returns (uint32) {
        return uint32(bytes4(data[from:from + 4]));
    }
}
