// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Randomness of a swarm: one value R(e) per epoch
/// @notice R(e) becomes known after the commit window of epoch e - 1 has closed. Out of it come two values that are never mixed:
/// the audit beacon of e - 1, keccak256(abi.encodePacked("audit", R(e))), and the epoch seed of e, keccak256(abi.encodePacked("seed", R(e))).
interface IBeacon {
    /// @notice R(`epoch`) of `swarm`. Once `ready` is true the value never changes. R(0) is ready from the swarm's creation.
    function value(bytes32 swarm, uint32 epoch) external view returns (bytes32 r, bool ready);

    /// @notice Whether member `key` had to contribute to R(`epoch`), its window is over, and it did not. The stake vault then charges one
    /// absence (a forfeit above the largest gain from biasing R) and pauses the member. Always false where nobody contributes.
    function missed(bytes32 key, uint32 epoch) external view returns (bool);

    /// @notice "commit-reveal", "block-hash" or "drand", for people.
    function kind() external view returns (string memory);
}
