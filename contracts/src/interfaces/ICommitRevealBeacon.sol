// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IBeacon} from "./IBeacon.sol";

/// @title Randomness from the members' hash chains
/// @notice Each member commits once to the end (tip) of a chain x_0 -> x_1 = keccak256(x_0) -> ... and then shows one preimage per epoch.
/// R(e) mixes all preimages shown in [C, C + beacon), C being the close of epoch e - 1's commit window; order does not matter.
/// The last to reveal can choose between two values by keeping silent, at the price of one absence.
interface ICommitRevealBeacon is IBeacon {
    struct Chain {
        bytes32 current; // what the next preimage must hash to
        bytes32 next; // replaces `current` ...
        uint32 from; // ... for R(from + 1) and later
    }

    error NotAgent(bytes32 key, address caller);
    error TipMissing(bytes32 key);
    error WindowClosed(uint256 time, uint256 opens, uint256 closes);
    error AlreadyRevealed(bytes32 key, uint32 epoch);
    error PreimageWrong(bytes32 actual, bytes32 expected);
    error NoWeight(bytes32 key, uint32 epoch);
    error GenesisIsFixed();

    event TipSet(bytes32 indexed key, bytes32 tip, uint32 fromEpoch);
    event Revealed(bytes32 indexed swarm, uint32 indexed epoch, bytes32 indexed key, bytes32 preimage);

    /// @notice Sets a member's tip (agent), before it stakes; a new one counts from the first epoch whose commit window is still open.
    function setTip(bytes32 key, bytes32 tip) external;
    /// @notice Shows the preimage of a member's chain for R(`epoch`). Anyone may send it: knowing it is the proof.
    function reveal(bytes32 key, uint32 epoch, bytes32 preimage) external;
    function chainOf(bytes32 key) external view returns (Chain memory);
    function hasRevealed(bytes32 key, uint32 epoch) external view returns (bool);
    /// @notice How many members have contributed to R(`epoch`).
    function reveals(bytes32 swarm, uint32 epoch) external view returns (uint32);
    /// @notice The window in which R(`epoch`) is made.
    function windowOf(bytes32 swarm, uint32 epoch) external view returns (uint256 opens, uint256 closes);
}
