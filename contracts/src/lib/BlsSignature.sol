// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bls12381} from "./Bls12381.sol";

/// @title BLS signatures with the short half on G1 and the public key on G2.
/// @notice Ciphersuite BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_ (draft-irtf-cfrg-bls-signature, hashing to the curve by RFC 9380),
/// which drand calls `bls-unchained-g1-rfc9380`.
library BlsSignature {
    bytes private constant TAG = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

    /// @notice Whether `signature` is the one signature of `message` under `publicKey`.
    /// @dev e(signature, -g2) * e(H(message), publicKey) = 1. Reverts where the signature is not a point of the subgroup. For a valid
    /// signature both coordinates are unique, hence also the compressed form.
    function verify(Bls12381.G2 memory publicKey, bytes memory message, Bls12381.G1 memory signature) internal view returns (bool) {
        return Bls12381.pairsToOne(signature, Bls12381.negatedGenerator2(), hashToG1(message), publicKey);
    }

    /// @notice RFC 9380 `hash_to_curve` of the suite BLS12381G1_XMD:SHA-256_SSWU_RO_. Each map clears the cofactor, so the sum is cleared.
    function hashToG1(bytes memory message) internal view returns (Bls12381.G1 memory) {
        (Bls12381.Fp memory a, Bls12381.Fp memory b) = _hashToField(message);
        return Bls12381.add(Bls12381.mapToG1(a), Bls12381.mapToG1(b));
    }

    /// @dev RFC 9380 `hash_to_field` with two elements of 64 bytes each, out of `expand_message_xmd` with SHA-256 and 128 bytes.
    function _hashToField(bytes memory message) private view returns (Bls12381.Fp memory, Bls12381.Fp memory) {
        bytes memory tag = abi.encodePacked(TAG, uint8(TAG.length));
        // one block of zeros (64 bytes), the message, the length wanted, a zero, the tag
        bytes32 b0 = sha256(abi.encodePacked(uint256(0), uint256(0), message, uint16(128), uint8(0), tag));
        bytes32 b1 = sha256(abi.encodePacked(b0, uint8(1), tag));
        bytes32 b2 = sha256(abi.encodePacked(b0 ^ b1, uint8(2), tag));
        bytes32 b3 = sha256(abi.encodePacked(b0 ^ b2, uint8(3), tag));
        bytes32 b4 = sha256(abi.encodePacked(b0 ^ b3, uint8(4), tag));
        return (
            Bls12381.reduce(Bls12381.Fp(uint256(b1), uint256(b2))),
            Bls12381.reduce(Bls12381.Fp(uint256(b3), uint256(b4)))
        );
    }
}
