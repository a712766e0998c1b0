// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IParticipationLedger} from "./interfaces/IParticipationLedger.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";
import {StepTree} from "./lib/StepTree.sol";

/// @title Trained models, a thousand and more under one root. Nobody owns it, and it holds no money.
contract ModelRegistry is IModelRegistry {
    /// @notice Most models of a batch: a list of this length is a blob of 1.5 MB.
    uint32 public constant MAX_COUNT = 8_192;

    ISwarmRegistry public immutable registry;
    IParticipationLedger public immutable ledger;

    mapping(bytes32 batch => uint256) private _posted;
    mapping(bytes32 digest => bool) private _proved;

    constructor(ISwarmRegistry registry_, IParticipationLedger ledger_) {
        registry = registry_;
        ledger = ledger_;
    }

    /// @inheritdoc IModelRegistry
    function post(Batch calldata batch) external {
        if (batch.count == 0 || batch.count > MAX_COUNT) revert CountOutOfBounds(batch.count, MAX_COUNT);
        if (batch.root == bytes32(0)) revert RootMissing();
        bytes32 id = _batchOf(batch);
        if (_posted[id] != 0) revert BatchTaken(id);
        _posted[id] = block.timestamp;
        emit BatchPosted(id, msg.sender, batch.root, batch.count, batch.list);
    }

    /// @inheritdoc IModelRegistry
    function prove(
        Batch calldata batch, uint32 index, Model calldata model, bytes32[] calldata path, IParticipationLedger.Header calldata header
    ) external {
        bytes32 id = _batchOf(batch);
        if (_posted[id] == 0) revert BatchUnknown(id);
        bytes32 root = _rootOf(batch, index, model, path);
        if (root != batch.root) revert PathWrong(root, batch.root);
        bytes32 digest = keccak256(abi.encode(model));
        if (_proved[digest]) revert AlreadyProved(digest);
        if (!_isTrained(model, header)) revert NotTrained(digest);
        _proved[digest] = true;
        emit ModelProved(digest, model.model, id);
    }

    /// @inheritdoc IModelRegistry
    function postedAt(bytes32 batch) external view returns (uint256) {
        return _posted[batch];
    }

    /// @inheritdoc IModelRegistry
    function isListed(Batch calldata batch, uint32 index, Model calldata model, bytes32[] calldata path) external view returns (bool) {
        return _posted[_batchOf(batch)] != 0 && _rootOf(batch, index, model, path) == batch.root;
    }

    /// @inheritdoc IModelRegistry
    function isTrained(Model calldata model, IParticipationLedger.Header calldata header) external view returns (bool) {
        return _isTrained(model, header);
    }

    /// @inheritdoc IModelRegistry
    function isProved(bytes32 digest) external view returns (bool) {
        return _proved[digest];
    }

    /// @inheritdoc IModelRegistry
    function batchOf(Batch calldata batch) external pure returns (bytes32) {
        return _batchOf(batch);
    }

    /// @inheritdoc IModelRegistry
    function digestOf(Model calldata model) external pure returns (bytes32) {
        return keccak256(abi.encode(model));
    }

    /// @dev Every field of the leaf is one that the ledger or the registry knows: nothing of it is taken on trust.
    function _isTrained(Model calldata model, IParticipationLedger.Header calldata header) private view returns (bool) {
        if (model.kind != Kind.Epoch || model.training != header.key || model.number != header.epoch) return false;
        if (model.model != header.last || model.parent != header.first || model.proof != header.root) return false;
        if (!ledger.isVerified(header.key, header.epoch) || !ledger.isCommitted(header)) return false;
        if (model.operator != ledger.operatorOf(header.key)) return false;
        return model.recipe == registry.swarmOf(ledger.swarmOf(header.key)).recipe;
    }

    /// @dev Zero where the path does not fit, which is no batch's root.
    function _rootOf(Batch calldata batch, uint32 index, Model calldata model, bytes32[] calldata path) private pure returns (bytes32) {
        if (index >= batch.count) return bytes32(0);
        return StepTree.rootOf(StepTree.leafHash(abi.encode(model)), index, batch.count, path);
    }

    function _batchOf(Batch calldata batch) private pure returns (bytes32) {
        return keccak256(abi.encode(batch));
    }
}
