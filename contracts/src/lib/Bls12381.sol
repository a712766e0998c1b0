// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The curve BLS12-381 by the precompiles of EIP-2537 (Ethereum since Prague).
/// @notice Points are uncompressed and laid out as the precompiles want them, so `abi.encode` of a point is its encoding.
/// @dev A precompile refuses a coordinate that is not below the field modulus and a point off the curve; the pairing also one outside the
/// subgroup of prime order. A refusal burns all gas given to the call: that is the caller's loss, nothing is stored.
library Bls12381 {
    /// @notice A number below 2^512 as high and low 32 bytes; an element of the base field when it is below p (381 bits).
    struct Fp {
        uint256 hi;
        uint256 lo;
    }

    /// @notice A point of G1; all zeros is the point at infinity.
    struct G1 {
        Fp x;
        Fp y;
    }

    /// @notice A point of G2 with coordinates x0 + x1*u and y0 + y1*u; all zeros is the point at infinity.
    struct G2 {
        Fp x0;
        Fp x1;
        Fp y0;
        Fp y1;
    }

    /// @notice The precompile refused its input: a coordinate out of range, or a point off the curve or outside the subgroup.
    error PrecompileRefused(address precompile);
    /// @notice The answer has another length than EIP-2537 says: this chain does not have the precompile.
    error PrecompileMissing(address precompile, uint256 actual, uint256 expected);

    address internal constant MODEXP = address(0x05);
    address internal constant G1_ADD = address(0x0b);
    address internal constant PAIRING = address(0x0f);
    address internal constant MAP_FP_TO_G1 = address(0x10);

    /// @dev p, the modulus of the base field.
    uint256 internal constant P_HI = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 internal constant P_LO = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
    /// @dev (p - 1) / 2: of the two square roots y and p - y, the larger one is above it.
    uint256 private constant HALF_HI = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_LO = 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;

    function isInfinity(G1 memory a) internal pure returns (bool) {
        return a.x.hi | a.x.lo | a.y.hi | a.y.lo == 0;
    }

    function isInfinity(G2 memory a) internal pure returns (bool) {
        return a.x0.hi | a.x0.lo | a.x1.hi | a.x1.lo | a.y0.hi | a.y0.lo | a.y1.hi | a.y1.lo == 0;
    }

    /// @notice The generator of G2, negated (its y is minus that of the standard generator).
    function negatedGenerator2() internal pure returns (G2 memory) {
        return G2({
            x0: Fp(0x024aa2b2f08f0a91260805272dc51051, 0xc6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8),
            x1: Fp(0x13e02b6052719f607dacd3a088274f65, 0x596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e),
            y0: Fp(0x0d1b3cc2c7027888be51d9ef691d77bc, 0xb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa),
            y1: Fp(0x13fa4d4a0ad8b1ce186ed5061789213d, 0x993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed)
        });
    }

    /// @notice Whether e(a1, a2) * e(b1, b2) is one. Refuses points that are not in their subgroup.
    function pairsToOne(G1 memory a1, G2 memory a2, G1 memory b1, G2 memory b2) internal view returns (bool) {
        return abi.decode(_call(PAIRING, abi.encode(a1, a2, b1, b2), 32), (uint256)) == 1;
    }

    /// @notice Refuses a point that is not in the subgroup of G2 (by pairing it with infinity, which gives one for every point that is).
    function requireInSubgroup(G2 memory a) internal view {
        G1 memory infinity = G1(Fp(0, 0), Fp(0, 0));
        _call(PAIRING, abi.encode(infinity, a), 32);
    }

    function add(G1 memory a, G1 memory b) internal view returns (G1 memory) {
        return abi.decode(_call(G1_ADD, abi.encode(a, b), 128), (G1));
    }

    /// @notice The point of the subgroup that the simplified SWU map, its isogeny and the clearing of the cofactor give (RFC 9380, 6.6.3, 7).
    function mapToG1(Fp memory element) internal view returns (G1 memory) {
        return abi.decode(_call(MAP_FP_TO_G1, abi.encode(element), 128), (G1));
    }

    /// @notice The remainder of a 512-bit number by p.
    function reduce(Fp memory number) internal view returns (Fp memory) {
        // modexp: the lengths of base, exponent and modulus, then base, exponent 1, modulus
        bytes memory input = abi.encodePacked(uint256(64), uint256(1), uint256(64), abi.encode(number), uint8(1), P_HI, P_LO);
        return abi.decode(_call(MODEXP, input, 64), (Fp));
    }

    /// @notice The 48 bytes that a point of G1 has in compressed form (ZCash's convention: top bit set, third bit set for the larger y).
    /// @dev The point must be on the curve and not infinity; p has 381 bits, so the top three bits of x are free.
    function compress(G1 memory a) internal pure returns (bytes memory) {
        bool larger = a.y.hi > HALF_HI || (a.y.hi == HALF_HI && a.y.lo > HALF_LO);
        uint256 flags = larger ? 0xa0 : 0x80;
        return abi.encodePacked(uint128(a.x.hi | (flags << 120)), a.x.lo);
    }

    function _call(address precompile, bytes memory input, uint256 length) private view returns (bytes memory output) {
        bool success;
        (success, output) = precompile.staticcall(input);
        if (!success) revert PrecompileRefused(precompile);
        if (output.length != length) revert PrecompileMissing(precompile, output.length, length);
    }
}
