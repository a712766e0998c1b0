// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IBeacon} from "./IBeacon.sol";

/// @title Randomness from a future block's hash
/// @notice Predictable on a development chain, and open to a block producer that withholds blocks elsewhere.
interface IBlockHashBeacon is IBeacon {
    error TooEarly(uint256 time, uint256 opens);
    error BlockNotReached(uint256 current, uint256 target);
    error AlreadyDrawn(bytes32 swarm, uint32 epoch);
    error GenesisIsFixed();

    event Targeted(bytes32 indexed swarm, uint32 indexed epoch, uint256 target);
    event Drawn(bytes32 indexed swarm, uint32 indexed epoch, bytes32 r);

    /// @notice First call: names a block ahead. Later call: takes its hash, or names another if it is more than 256 blocks old.
    function poke(bytes32 swarm, uint32 epoch) external;
    function targetOf(bytes32 swarm, uint32 epoch) external view returns (uint256);
}
