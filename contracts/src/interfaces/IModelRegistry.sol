// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IParticipationLedger} from "./IParticipationLedger.sol";

/// @title Trained models, a thousand and more under one root
/// @notice Anyone posts a batch: the root of an index-ordered tree over models, their count, and the BLAKE3 digest of the list of them,
/// which travels off chain. A batch is a list of claims and is believed by nobody. Whether a model was trained is decided by the records of
/// the trainings themselves: for an epoch by the ledger, which knows a commitment and whether its case closed clean; for a job by the
/// market, which keeps what it accepted for ever. So a false leaf needs no challenge and no bond: it costs its poster gas and is shown as
/// what it is, and who posts a batch does not matter. A list that nobody hands over makes its models unavailable, not wrong.
///
/// The ledger forgets a commitment when its ring comes round. Events do not, so readers of events need nothing from here; a contract that
/// wants to rely on an old model has `prove` called while the commitment is still in the ring.
interface IModelRegistry {
    enum Kind {
        Epoch, // what a peer's epoch ended with
        Job // what a job of the compute market delivered
    }

    /// @notice A leaf. Its digest is keccak256(abi.encode(model)), and it stands in its tree under keccak256(0x00 || digest).
    struct Model {
        Kind kind;
        bytes32 model; // digest of the model: of an epoch the state root after its last step, of a job what its delivery names
        bytes32 parent; // digest of the model that the training began with
        bytes32 recipe; // recipe hash
        address operator; // who trained it
        bytes32 training; // of an epoch the member's key, of a job its id
        uint32 number; // of an epoch its number, of a job that of the delivery
        bytes32 proof; // root over the step records
    }

    /// @notice A batch is named by keccak256(abi.encode(root, count, list)), so nobody can take its place with other words.
    struct Batch {
        bytes32 root; // of the tree over its models
        uint32 count;
        bytes32 list; // BLAKE3 digest of the blob that lists them
    }

    error CountOutOfBounds(uint256 actual, uint256 limit);
    error RootMissing();
    error BatchTaken(bytes32 batch);
    error BatchUnknown(bytes32 batch);
    error PathWrong(bytes32 actual, bytes32 expected);
    error NotTrained(bytes32 digest);
    error AlreadyProved(bytes32 digest);

    event BatchPosted(bytes32 indexed batch, address indexed poster, bytes32 root, uint32 count, bytes32 list);
    event ModelProved(bytes32 indexed digest, bytes32 indexed model, bytes32 indexed batch);

    /// @notice Posts a batch of 1 to MAX_COUNT models, once (anyone).
    function post(Batch calldata batch) external;
    /// @notice Records for ever that model `index` of a posted batch is one of an epoch that closed clean, as far as the ledger still has
    /// its commitment (anyone). `header` is that commitment, `path` the siblings from the leaf up.
    function prove(
        Batch calldata batch, uint32 index, Model calldata model, bytes32[] calldata path, IParticipationLedger.Header calldata header
    ) external;

    /// @notice Chain time at which a batch was posted, 0 for none.
    function postedAt(bytes32 batch) external view returns (uint256);
    /// @notice Whether `model` is number `index` of a batch that was posted.
    function isListed(Batch calldata batch, uint32 index, Model calldata model, bytes32[] calldata path) external view returns (bool);
    /// @notice Whether `model` is just what the epoch of `header` ended with, `header` is on record, and its units were added: its case
    /// closed clean, with enough others in its class, and continued nothing that was lost. False for the models of jobs.
    function isTrained(Model calldata model, IParticipationLedger.Header calldata header) external view returns (bool);
    /// @notice Whether `prove` was called for the model of this digest.
    function isProved(bytes32 digest) external view returns (bool);
    function batchOf(Batch calldata batch) external pure returns (bytes32);
    function digestOf(Model calldata model) external pure returns (bytes32);
}
