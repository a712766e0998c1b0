// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {ISwarmRegistry} from "../interfaces/ISwarmRegistry.sol";
import {Bls12381} from "../lib/Bls12381.sol";
import {BlsSignature} from "../lib/BlsSignature.sol";

/// @title Randomness from drand: a threshold signature by a group outside the swarm, checked on chain
/// @notice drand signs the number of each round at the round's time; nobody can know the signature earlier unless a threshold of its
/// operators colludes, and nobody can choose it. R(e) = keccak256(abi.encode(randomness, swarm, e)) where randomness = sha256(signature)
/// of the first round later than the commit window of epoch e - 1 plus `lag`. Anyone submits the signature; one submission serves every
/// swarm that waits for the round.
interface IDrandBeacon is IBeacon {
    error PeriodZero();
    error PublicKeyAtInfinity();
    error SignatureAtInfinity();
    /// @notice drand counts rounds from 1.
    error RoundZero();
    /// @notice The round is not due yet by the chain's clock, so its signature cannot be genuine or must wait.
    error RoundTooEarly(uint64 round, uint256 actual, uint256 limit);
    /// @notice A point of the curve, but not the signature of this round under this public key.
    error SignatureInvalid(uint64 round);

    event RoundRecorded(uint64 indexed round, bytes32 randomness, address indexed sender);

    /// @notice Checks drand's signature of `round`, uncompressed, and keeps its randomness; a recorded round is no error and changes
    /// nothing. A signature that is no point of the subgroup costs all the gas given: simulate first.
    function submit(uint64 round, Bls12381.G1 calldata signature) external returns (bytes32 randomness);

    /// @notice drand's randomness of `round`, the SHA-256 of the compressed signature; zero while nobody has submitted it.
    function randomnessOf(uint64 round) external view returns (bytes32);

    /// @notice The round that R(`epoch`) of `swarm` comes from, for epochs from 1 on. The swarm's beacon window must leave room for
    /// `lag`, one period and the time to submit, or its values come too late for the audits.
    function roundOf(bytes32 swarm, uint32 epoch) external view returns (uint64);

    /// @notice The first round strictly later than `time`.
    function roundAfter(uint256 time) external view returns (uint64);

    /// @notice When `round` is signed.
    function timeOf(uint64 round) external view returns (uint256);

    /// @notice The group's public key.
    function publicKey() external view returns (Bls12381.G2 memory);

    /// @notice Time of round 1, seconds between rounds, and how many seconds the chain's clock may be behind: a block stamped with the
    /// window's last second can be built that much later, when the next rounds are already public.
    function schedule() external view returns (uint64 genesis, uint32 period, uint32 lag);
}

/// @title The beacon of a drand network whose signatures are on G1 of BLS12-381
/// @dev Needs the precompiles of EIP-2537 (Ethereum since Prague); on other chains the deployment is refused. Values for the network
/// `quicknet` (League of Entropy; scheme bls-unchained-g1-rfc9380; chain hash
/// 52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971):
///   genesis 1692803367, period 3, public key, compressed (its two halves are x1 with the flag bits, and x0):
///   83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451
///   0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a
///   and its y0 and y1, which a client recovers by decompressing it:
///   0e5db2b6bfbb01c867749cadffca88b36c24f3012ba09fc4d3022c5c37dce0f977d3adb5d183c7477c442b1f04515273
///   01a714f2edb74119a2f2b0d5a7c75ba902d163700a61bc224ededd8e63aef7be1aaf8e93d7a9718b047ccddb3eb5d68b
contract DrandBeacon is IDrandBeacon {
    ISwarmRegistry private immutable _registry;
    uint64 private immutable _genesis;
    uint32 private immutable _period;
    uint32 private immutable _lag;

    // the public key; a struct cannot be immutable
    uint256 private immutable _x0hi;
    uint256 private immutable _x0lo;
    uint256 private immutable _x1hi;
    uint256 private immutable _x1lo;
    uint256 private immutable _y0hi;
    uint256 private immutable _y0lo;
    uint256 private immutable _y1hi;
    uint256 private immutable _y1lo;

    mapping(uint64 round => bytes32) private _randomness;

    /// @param registry where the swarms' terms are
    /// @param key public key of the drand network, uncompressed
    /// @param genesis time of its round 1
    /// @param period seconds between its rounds
    /// @param lag seconds that the chain's clock may be behind (30 is ample for Ethereum)
    constructor(ISwarmRegistry registry, Bls12381.G2 memory key, uint64 genesis, uint32 period, uint32 lag) {
        if (period == 0) revert PeriodZero();
        if (Bls12381.isInfinity(key)) revert PublicKeyAtInfinity();
        Bls12381.requireInSubgroup(key);
        _registry = registry;
        (_genesis, _period, _lag) = (genesis, period, lag);
        (_x0hi, _x0lo, _x1hi, _x1lo) = (key.x0.hi, key.x0.lo, key.x1.hi, key.x1.lo);
        (_y0hi, _y0lo, _y1hi, _y1lo) = (key.y0.hi, key.y0.lo, key.y1.hi, key.y1.lo);
    }

    /// @inheritdoc IDrandBeacon
    function submit(uint64 round, Bls12381.G1 calldata signature) external returns (bytes32 randomness) {
        randomness = _randomness[round];
        if (randomness != 0) return randomness;
        uint256 due = timeOf(round);
        if (block.timestamp < due) revert RoundTooEarly(round, block.timestamp, due);
        if (Bls12381.isInfinity(signature)) revert SignatureAtInfinity();
        // the unchained scheme signs the hash of the round's number as eight bytes
        bytes32 message = sha256(abi.encodePacked(round));
        if (!BlsSignature.verify(publicKey(), abi.encodePacked(message), signature)) revert SignatureInvalid(round);
        randomness = sha256(Bls12381.compress(signature));
        _randomness[round] = randomness;
        emit RoundRecorded(round, randomness, msg.sender);
    }

    /// @inheritdoc IBeacon
    function value(bytes32 swarm, uint32 epoch) external view returns (bytes32 r, bool ready) {
        if (epoch == 0) return (keccak256(abi.encode(swarm, epoch)), true);
        bytes32 randomness = _randomness[roundOf(swarm, epoch)];
        if (randomness == 0) return (0, false);
        return (keccak256(abi.encode(randomness, swarm, epoch)), true);
    }

    /// @inheritdoc IBeacon
    /// @dev Nobody contributes.
    function missed(bytes32, uint32) external pure returns (bool) {
        return false;
    }

    /// @inheritdoc IBeacon
    function kind() external pure returns (string memory) {
        return "drand";
    }

    /// @inheritdoc IDrandBeacon
    function randomnessOf(uint64 round) external view returns (bytes32) {
        return _randomness[round];
    }

    /// @inheritdoc IDrandBeacon
    function schedule() external view returns (uint64 genesis, uint32 period, uint32 lag) {
        return (_genesis, _period, _lag);
    }

    /// @inheritdoc IDrandBeacon
    function roundOf(bytes32 swarm, uint32 epoch) public view returns (uint64) {
        ISwarmRegistry.Terms memory terms = _registry.termsOf(swarm);
        // the commit window of epoch - 1 closes `grace` after that epoch's end
        return roundAfter(terms.start + uint256(terms.epoch) * epoch + terms.grace + _lag);
    }

    /// @inheritdoc IDrandBeacon
    function roundAfter(uint256 time) public view returns (uint64) {
        if (time < _genesis) return 1;
        return SafeCast.toUint64((time - _genesis) / _period + 2);
    }

    /// @inheritdoc IDrandBeacon
    function timeOf(uint64 round) public view returns (uint256) {
        if (round == 0) revert RoundZero();
        return _genesis + uint256(round - 1) * _period;
    }

    /// @inheritdoc IDrandBeacon
    function publicKey() public view returns (Bls12381.G2 memory) {
        return Bls12381.G2({
            x0: Bls12381.Fp(_x0hi, _x0lo),
            x1: Bls12381.Fp(_x1hi, _x1lo),
            y0: Bls12381.Fp(_y0hi, _y0lo),
            y1: Bls12381.Fp(_y1hi, _y1lo)
        });
    }
}
