// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ModelRegistry} from "../src/ModelRegistry.sol";
import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {StepTree} from "../src/lib/StepTree.sol";
import {Town} from "./Town.sol";

/// @notice A town whose models are registered: batches are index-ordered trees, built here the plain way.
abstract contract ModelTown is Town {
    bytes32 internal constant RECIPE = keccak256("recipe");
    bytes32 internal constant LIST = keccak256("list");

    ModelRegistry internal models;

    function deployModels() internal {
        deploy();
        models = new ModelRegistry(registry, ledger);
    }

    /// @dev What the epoch of `h` ended with.
    function modelOf(IParticipationLedger.Header memory h) internal view returns (IModelRegistry.Model memory) {
        address operator = ledger.operatorOf(h.key);
        return IModelRegistry.Model(IModelRegistry.Kind.Epoch, h.last, h.first, RECIPE, operator, h.key, h.epoch, h.root);
    }

    /// @dev Member i's epoch through a clean audit, settled.
    function score(uint256 i, uint32 epoch) internal returns (IParticipationLedger.Header memory h) {
        h = commit(i, epoch);
        audit(h);
        ledger.settle(h);
    }

    function audit(IParticipationLedger.Header memory h) internal {
        beaconOf(h.epoch);
        speak(h, 0, all(ok()));
        pass(20);
    }

    /// @dev A model that nobody trained.
    function madeUp(uint256 seed) internal pure returns (IModelRegistry.Model memory m) {
        m.model = keccak256(abi.encode("made up", seed));
        m.training = keccak256(abi.encode("nobody", seed));
    }

    function fillers(uint256 count) internal pure returns (IModelRegistry.Model[] memory leaves) {
        leaves = new IModelRegistry.Model[](count);
        for (uint256 i = 0; i < count; ++i) {
            leaves[i] = madeUp(i);
        }
    }

    function one(IModelRegistry.Model memory model) internal pure returns (IModelRegistry.Model[] memory leaves) {
        leaves = new IModelRegistry.Model[](1);
        leaves[0] = model;
    }

    function batchOver(IModelRegistry.Model[] memory leaves) internal pure returns (IModelRegistry.Batch memory) {
        bytes32[] memory level = tagged(leaves);
        while (level.length > 1) {
            level = above(level);
        }
        return IModelRegistry.Batch(level[0], uint32(leaves.length), LIST);
    }

    function pathIn(IModelRegistry.Model[] memory leaves, uint256 index) internal pure returns (bytes32[] memory path) {
        bytes32[] memory level = tagged(leaves);
        path = new bytes32[](32);
        uint256 used = 0;
        for (; level.length > 1; (level, index) = (above(level), index / 2)) {
            if (index ^ 1 < level.length) path[used++] = level[index ^ 1];
        }
        bytes32[] memory whole = path;
        path = new bytes32[](used);
        for (uint256 i = 0; i < used; ++i) {
            path[i] = whole[i];
        }
    }

    function tagged(IModelRegistry.Model[] memory leaves) private pure returns (bytes32[] memory level) {
        level = new bytes32[](leaves.length);
        for (uint256 i = 0; i < level.length; ++i) {
            level[i] = StepTree.leafHash(abi.encode(leaves[i]));
        }
    }

    function above(bytes32[] memory level) private pure returns (bytes32[] memory next) {
        next = new bytes32[]((level.length + 1) / 2);
        for (uint256 i = 0; i < next.length; ++i) {
            next[i] = 2 * i + 1 < level.length ? StepTree.nodeHash(level[2 * i], level[2 * i + 1]) : level[2 * i];
        }
    }
}
