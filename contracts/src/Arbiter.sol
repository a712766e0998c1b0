// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IArbiter} from "./interfaces/IArbiter.sol";
import {LastMove} from "./dispute/LastMove.sol";

/// @title The last move of a dispute, a contract of its own for its size
contract Arbiter is IArbiter {
    /// @inheritdoc IArbiter
    function wordOf(Scene memory scene, bytes calldata instruction, Opening[] calldata openings) external pure returns (uint32) {
        return LastMove.wordOf(scene, instruction, openings);
    }

    /// @inheritdoc IArbiter
    function stateWordOf(bytes32 state, bytes calldata entry, uint32 element, StateOpening calldata opening) external pure returns (uint32) {
        return LastMove.stateWordOf(state, entry, element, opening);
    }
}
