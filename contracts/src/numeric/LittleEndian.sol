// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Little-endian words inside the big-endian words of the EVM.
library LittleEndian {
    uint256 private constant BYTES = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
    uint256 private constant PAIRS = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
    uint256 private constant FOURS = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    uint256 private constant EIGHTS = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;

    /// @notice The integer that 32 bytes are in little-endian order. Its lowest 32 (64) bits are the first little-endian word of so many bits.
    function integer(bytes32 data) internal pure returns (uint256 x) {
        x = uint256(data);
        x = ((x & BYTES) << 8) | ((x >> 8) & BYTES);
        x = ((x & PAIRS) << 16) | ((x >> 16) & PAIRS);
        x = ((x & FOURS) << 32) | ((x >> 32) & FOURS);
        x = ((x & EIGHTS) << 64) | ((x >> 64) & EIGHTS);
        x = (x << 128) | (x >> 128);
    }
}
