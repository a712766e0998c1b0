// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IBeacon} from "../interfaces/IBeacon.sol";
import {IBlockHashBeacon} from "../interfaces/IBlockHashBeacon.sol";
import {ISwarmRegistry} from "../interfaces/ISwarmRegistry.sol";
import {Schedule} from "../lib/Schedule.sol";

/// @title Randomness from the hash of a block that did not exist when it was named
contract BlockHashBeacon is IBlockHashBeacon {
    using Schedule for ISwarmRegistry.Terms;

    /// @notice Blocks between naming a block and its being mined.
    uint256 public constant DELAY = 4;

    struct Draw {
        uint64 target;
        bytes32 r;
    }

    ISwarmRegistry public immutable registry;
    mapping(bytes32 swarm => mapping(uint32 epoch => Draw)) private _draws;

    constructor(ISwarmRegistry registry_) {
        registry = registry_;
    }

    /// @inheritdoc IBlockHashBeacon
    function poke(bytes32 swarm, uint32 epoch) external {
        if (epoch == 0) revert GenesisIsFixed();
        uint256 close = registry.termsOf(swarm).closeOf(epoch - 1);
        if (block.timestamp <= close) revert TooEarly(block.timestamp, close + 1);
        Draw storage draw = _draws[swarm][epoch];
        if (draw.r != bytes32(0)) revert AlreadyDrawn(swarm, epoch);
        if (draw.target != 0 && block.number <= draw.target) revert BlockNotReached(block.number, draw.target);
        bytes32 hash = draw.target == 0 ? bytes32(0) : blockhash(draw.target);
        if (hash == bytes32(0)) {
            draw.target = uint64(block.number + DELAY);
            emit Targeted(swarm, epoch, draw.target);
        } else {
            draw.r = keccak256(abi.encode(swarm, epoch, hash));
            emit Drawn(swarm, epoch, draw.r);
        }
    }

    /// @inheritdoc IBeacon
    function value(bytes32 swarm, uint32 epoch) external view returns (bytes32 r, bool ready) {
        if (epoch == 0) return (keccak256(abi.encode(swarm, registry.swarmOf(swarm).recipe)), true);
        r = _draws[swarm][epoch].r;
        ready = r != bytes32(0);
    }

    /// @inheritdoc IBeacon
    function missed(bytes32, uint32) external pure returns (bool) {
        return false;
    }

    /// @inheritdoc IBlockHashBeacon
    function targetOf(bytes32 swarm, uint32 epoch) external view returns (uint256) {
        return _draws[swarm][epoch].target;
    }

    /// @inheritdoc IBeacon
    function kind() external pure returns (string memory) {
        return "block-hash";
    }
}
