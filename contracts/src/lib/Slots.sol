// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What a commitment reads of its member, in one word: session 160 | 1 + newest late epoch 32 | capacity 32 | swarm number 32.
type Slot is uint256;

/// @notice What it reads of its swarm: start 64 | epoch 32 | grace 32 | most units 64 | ring 16. Words instead of structs save a commitment
/// some hundred gas of unpacking (snapshots/).
type Timing is uint256;

/// @notice A commitment on record: the upper 224 bits of its header's hash | 1 + epoch 32.
type Entry is bytes32;

using Entries for Entry global;
using Slots for Slot global;
using Timings for Timing global;

library Slots {
    function pack(address session_, uint32 late_, uint32 capacity_, uint32 number_) internal pure returns (Slot) {
        return Slot.wrap(uint256(uint160(session_)) << 96 | uint256(late_) << 64 | uint256(capacity_) << 32 | number_);
    }

    function withLate(Slot self, uint32 late_) internal pure returns (Slot) {
        return Slot.wrap(Slot.unwrap(self) & ~(uint256(type(uint32).max) << 64) | uint256(late_) << 64);
    }

    function session(Slot self) internal pure returns (address) {
        return address(uint160(Slot.unwrap(self) >> 96));
    }

    function late(Slot self) internal pure returns (uint32) {
        return uint32(Slot.unwrap(self) >> 64);
    }

    function capacity(Slot self) internal pure returns (uint32) {
        return uint32(Slot.unwrap(self) >> 32);
    }

    function number(Slot self) internal pure returns (uint32) {
        return uint32(Slot.unwrap(self));
    }
}

library Entries {
    function pack(bytes32 hash, uint32 epoch) internal pure returns (Entry) {
        return Entry.wrap(bytes32(uint256(hash) >> 32 << 32 | (uint256(epoch) + 1)));
    }

    function isOf(Entry self, uint32 epoch) internal pure returns (bool) {
        return uint32(uint256(Entry.unwrap(self))) == uint256(epoch) + 1;
    }
}

library Timings {
    function pack(uint64 start, uint32 epoch, uint32 grace_, uint64 maxUnits_, uint16 ring_) internal pure returns (Timing) {
        return Timing.wrap(uint256(start) << 144 | uint256(epoch) << 112 | uint256(grace_) << 80 | uint256(maxUnits_) << 16 | ring_);
    }

    function endOf(Timing self, uint32 epoch) internal pure returns (uint256) {
        uint256 word = Timing.unwrap(self);
        // 64 bits and the product of two 32-bit numbers cannot overflow.
        unchecked {
            return (word >> 144) + (uint256(epoch) + 1) * uint32(word >> 112);
        }
    }

    /// @dev How many epochs have ended at `time`.
    function endedAt(Timing self, uint256 time) internal pure returns (uint256) {
        uint256 word = Timing.unwrap(self);
        uint256 start = word >> 144;
        return time < start || word == 0 ? 0 : (time - start) / uint32(word >> 112);
    }

    function grace(Timing self) internal pure returns (uint256) {
        return uint32(Timing.unwrap(self) >> 80);
    }

    function maxUnits(Timing self) internal pure returns (uint64) {
        return uint64(Timing.unwrap(self) >> 16);
    }

    function ring(Timing self) internal pure returns (uint256) {
        return uint16(Timing.unwrap(self));
    }
}
