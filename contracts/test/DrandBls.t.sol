// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bls12381} from "../src/lib/Bls12381.sol";
import {BlsSignature} from "../src/lib/BlsSignature.sol";
import {DrandVectors} from "./DrandVectors.t.sol";

/// @notice The libraries under DrandBeacon. The expected points come from py-ecc; tests/test_drand_vectors.py computes them again.
contract DrandBlsTest {
    function test_hashToG1_reference() public view {
        _expectHash(
            "",
            hex"0000000000000000000000000000000012e0e662181bd9f8cd8ef246071357cd07a23c4391e879b49e32084dcc1a2aede123c8e8bfcde92edac229e28b719142"
            hex"000000000000000000000000000000000d568a0595f7e9620fd05bb0494fe782ab2bfb1c588edf404326a9d074c2a4b2d43ea2d4c8253eb1ce1ad7b70be521d8"
        );
        _expectHash(
            "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789",
            hex"000000000000000000000000000000001435545e02a862a30588a1720ea4db5d63458abd7c510fd398ea89b2613c6724b6d59a012a781813a2f5a3a0dde7f874"
            hex"00000000000000000000000000000000072bc01fe7a7b310937e9605440c7004eae5e1d7da05aa81ae056cd8d7a5a8f35d69e968bccf54bf324d62d6cf47509c"
        );
    }

    function test_compress_recordedRounds() public pure {
        DrandVectors.Recorded[] memory rounds = DrandVectors.quicknet();
        bool[2] memory seen;
        for (uint256 i; i < rounds.length; i++) {
            bytes memory compressed = Bls12381.compress(DrandVectors.pointOf(rounds[i]));
            assert(compressed.length == 48 && keccak256(compressed) == keccak256(rounds[i].compressed));
            seen[uint8(compressed[0]) >> 5 & 1] = true;
        }
        assert(seen[0] && seen[1]); // both signs
    }

    /// @dev (p - 1) / 2 is the last y without the flag; the two differ in the low half only.
    function test_compress_signBoundary() public pure {
        Bls12381.Fp memory y =
            Bls12381.Fp(0x0d0088f51cbff34d258dd3db21a5d66b, 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555);
        assert(Bls12381.compress(Bls12381.G1(Bls12381.Fp(0, 0), y))[0] == 0x80);
        y.lo += 1;
        assert(Bls12381.compress(Bls12381.G1(Bls12381.Fp(0, 0), y))[0] == 0xa0);
    }

    function test_reduce_edges() public view {
        _expectReduced(Bls12381.Fp(0, 0), Bls12381.Fp(0, 0));
        _expectReduced(Bls12381.Fp(Bls12381.P_HI, Bls12381.P_LO - 1), Bls12381.Fp(Bls12381.P_HI, Bls12381.P_LO - 1));
        _expectReduced(Bls12381.Fp(Bls12381.P_HI, Bls12381.P_LO), Bls12381.Fp(0, 0));
        _expectReduced(Bls12381.Fp(Bls12381.P_HI, Bls12381.P_LO + 5), Bls12381.Fp(0, 5));
        _expectReduced(
            Bls12381.Fp(type(uint256).max, type(uint256).max),
            Bls12381.Fp(0x02cb5d3a884e56c4fab7cd07ee4e16bc, 0x15efebb5d396d7cf82383087033108464532383fa8eaff4e967d3988a62b6c9c)
        );
    }

    function test_add_offCurve_reverts() public view {
        (bool success, bytes memory reason) =
            address(this).staticcall{gas: 100_000}(abi.encodeCall(this.add, (Bls12381.G1(Bls12381.Fp(0, 1), Bls12381.Fp(0, 1)))));
        assert(!success);
        assert(keccak256(reason) == keccak256(abi.encodeWithSelector(Bls12381.PrecompileRefused.selector, address(0x0b))));
    }

    function add(Bls12381.G1 calldata point) external view returns (Bls12381.G1 memory) {
        return Bls12381.add(point, point);
    }

    function _expectHash(bytes memory message, bytes memory point) private view {
        assert(keccak256(abi.encode(BlsSignature.hashToG1(message))) == keccak256(point));
    }

    function _expectReduced(Bls12381.Fp memory number, Bls12381.Fp memory expected) private view {
        assert(keccak256(abi.encode(Bls12381.reduce(number))) == keccak256(abi.encode(expected)));
    }
}
