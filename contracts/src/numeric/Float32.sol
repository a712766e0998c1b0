// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title IEEE-754 binary32 arithmetic on the 32 bits of a float.
/// @notice Every result is the exact one rounded once, to nearest with ties to even; subnormals are kept, signed zeros and infinities are as
/// the standard says, and a result that is not a number is always 0x7fc00000. The same as swarm/proof/canonical/definition/codes.py.
/// @dev Inside, a finite magnitude is `m` * 2^`e` with an integer m. A word has room for every exact sum or product of the numbers that meet,
/// or for so much of it that a 1 far below the last place rounds as the rest would ("sticky").
library Float32 {
    uint32 internal constant NAN = 0x7fc00000;

    uint256 private constant SIGN = 0x80000000;
    uint256 private constant MAGNITUDE = 0x7fffffff;
    uint256 private constant INFINITY = 0x7f800000;
    uint32 private constant UNFIT = 0x80000000;

    /// @dev The exponent of the smallest float, 2^-149.
    int256 private constant LEAST = -149;
    /// @dev Two magnitudes further apart than this never touch: 48 bits of a product, 24 of a result, and some to round by.
    int256 private constant FAR = 128;
    /// @dev Zeros that are put behind a magnitude, so that rounding it always takes places away.
    uint256 private constant SPARE = 24;

    function add(uint32 a, uint32 b) internal pure returns (uint32) {
        uint256 x = uint256(a) & MAGNITUDE;
        uint256 y = uint256(b) & MAGNITUDE;
        if (x >= INFINITY || y >= INFINITY) return _addInfinite(a, b);
        if (y == 0) return x == 0 ? a & b : a;
        if (x == 0) return b;
        (uint256 m, int256 e) = _parts(x);
        (uint256 n, int256 f) = _parts(y);
        return uint32(_sum(a & SIGN, m, e, b & SIGN, n, f));
    }

    function sub(uint32 a, uint32 b) internal pure returns (uint32) {
        return add(a, b ^ uint32(SIGN));
    }

    function mul(uint32 a, uint32 b) internal pure returns (uint32) {
        uint256 sign = uint256(a ^ b) & SIGN;
        uint256 x = uint256(a) & MAGNITUDE;
        uint256 y = uint256(b) & MAGNITUDE;
        if (x >= INFINITY || y >= INFINITY) return _mulInfinite(sign, x, y);
        (uint256 m, int256 e) = _parts(x);
        (uint256 n, int256 f) = _parts(y);
        unchecked {
            // 24 bits times 24 bits, exponents of at most 149
            m *= n;
            return uint32(m == 0 ? sign : _round(sign, m, e + f));
        }
    }

    /// @notice a * b + c, rounded once.
    function fma(uint32 a, uint32 b, uint32 c) internal pure returns (uint32) {
        uint256 sign = uint256(a ^ b) & SIGN;
        uint256 x = uint256(a) & MAGNITUDE;
        uint256 y = uint256(b) & MAGNITUDE;
        uint256 z = uint256(c) & MAGNITUDE;
        if (x >= INFINITY || y >= INFINITY) return _addInfinite(_mulInfinite(sign, x, y), c);
        if (z >= INFINITY) return _addInfinite(0, c);
        (uint256 m, int256 e) = _parts(x);
        (uint256 n, int256 f) = _parts(y);
        unchecked {
            // 24 bits times 24 bits, exponents of at most 149
            m *= n;
            e += f;
        }
        if (m == 0) return z == 0 ? uint32(sign) & c : c;
        if (z == 0) return uint32(_round(sign, m, e));
        (n, f) = _parts(z);
        return uint32(_sum(sign, m, e, c & SIGN, n, f));
    }

    function div(uint32 a, uint32 b) internal pure returns (uint32) {
        uint256 sign = uint256(a ^ b) & SIGN;
        uint256 x = uint256(a) & MAGNITUDE;
        uint256 y = uint256(b) & MAGNITUDE;
        if (x > INFINITY || y > INFINITY) return NAN;
        if (x == INFINITY || y == 0) return x == y ? NAN : uint32(sign | INFINITY);
        if (x == 0 || y == INFINITY) return uint32(sign);
        (uint256 m, int256 e) = _parts(x);
        (uint256 n, int256 f) = _parts(y);
        unchecked {
            // The quotient has at least 72 bits, so rounding takes 48 or more away. What it lacks, a rest below n, could only matter if
            // those were exactly one half; but then 2^47 would divide the rest, which has 24 bits: it is 0.
            return uint32(_round(sign, (m << 96) / n, e - f - 96));
        }
    }

    function sqrt(uint32 a) internal pure returns (uint32) {
        uint256 x = uint256(a) & MAGNITUDE;
        if (x == 0 || a == INFINITY) return a;
        if (a > INFINITY) return NAN; // not a number, or below 0
        (uint256 m, int256 e) = _parts(x);
        unchecked {
            // The exponent is made even. The root has 65 to 77 bits, so rounding takes 41 or more away. What it lacks, a rest of at most twice
            // the root, could only matter if those were exactly one half; but then 2^80 would divide the rest, which is smaller: it is 0.
            return uint32(_round(0, Math.sqrt(m << (128 + (uint256(e) & 1))), (e >> 1) - 64));
        }
    }

    function neg(uint32 a) internal pure returns (uint32) {
        return isNaN(a) ? NAN : a ^ uint32(SIGN);
    }

    function abs(uint32 a) internal pure returns (uint32) {
        return isNaN(a) ? NAN : a & uint32(MAGNITUDE);
    }

    /// @notice IEEE 754-2019 maximum: what is not a number wins, and -0 is below +0.
    function maximum(uint32 a, uint32 b) internal pure returns (uint32) {
        if (isNaN(a) || isNaN(b)) return NAN;
        return _rank(a) > _rank(b) ? a : b;
    }

    /// @notice IEEE 754-2019 minimum: what is not a number wins, and -0 is below +0.
    function minimum(uint32 a, uint32 b) internal pure returns (uint32) {
        if (isNaN(a) || isNaN(b)) return NAN;
        return _rank(a) < _rank(b) ? a : b;
    }

    function isNaN(uint32 a) internal pure returns (bool) {
        return uint256(a) & MAGNITUDE > INFINITY;
    }

    function lt(uint32 a, uint32 b) internal pure returns (bool) {
        if (isNaN(a) || isNaN(b) || _areZeros(a, b)) return false;
        return _rank(a) < _rank(b);
    }

    function le(uint32 a, uint32 b) internal pure returns (bool) {
        if (isNaN(a) || isNaN(b)) return false;
        return _areZeros(a, b) || _rank(a) <= _rank(b);
    }

    function eq(uint32 a, uint32 b) internal pure returns (bool) {
        if (isNaN(a) || isNaN(b)) return false;
        return a == b || _areZeros(a, b);
    }

    /// @notice The float nearest to a signed integer.
    function fromInt(int32 value) internal pure returns (uint32) {
        if (value == 0) return 0;
        unchecked {
            // in 256 bits -2^31 has a negative
            return value < 0 ? uint32(_round(SIGN, uint256(-int256(value)), 0)) : uint32(_round(0, uint256(int256(value)), 0));
        }
    }

    /// @notice The integer towards 0, as the bits of an int32; 0x80000000 for one that does not fit and for what is no number.
    function toInt(uint32 a) internal pure returns (uint32) {
        uint256 x = uint256(a) & MAGNITUDE;
        (uint256 m, int256 e) = _parts(x);
        // 2^31 and above, infinities and NaN; -2^31 is 0x80000000 itself
        if (e >= 8) return UNFIT;
        unchecked {
            // shifts of at most 149 to the right and 7 to the left
            m = e < 0 ? m >> uint256(-e) : m << uint256(e);
            return a == x ? uint32(m) : uint32(0 - m);
        }
    }

    /// @dev Sum where one is an infinity or not a number.
    function _addInfinite(uint32 a, uint32 b) private pure returns (uint32) {
        uint256 x = uint256(a) & MAGNITUDE;
        uint256 y = uint256(b) & MAGNITUDE;
        if (x > INFINITY || y > INFINITY) return NAN;
        if (x == y) return a == b ? a : NAN;
        return x == INFINITY ? a : b;
    }

    /// @dev Product of magnitudes of which one is an infinity or not a number.
    function _mulInfinite(uint256 sign, uint256 x, uint256 y) private pure returns (uint32) {
        if (x > INFINITY || y > INFINITY || x == 0 || y == 0) return NAN;
        return uint32(sign | INFINITY);
    }

    /// @dev A finite magnitude as m * 2^e: 24 bits with the hidden one, without it where it is subnormal.
    function _parts(uint256 x) private pure returns (uint256 m, int256 e) {
        unchecked {
            // a subnormal has the place of the smallest normal numbers, whose field is 1; the field is at most 255
            uint256 field = x >> 23;
            if (field == 0) field = 1;
            m = x - ((field - 1) << 23);
            e = int256(field) + (LEAST - 1);
        }
    }

    /// @dev Sum of two signed magnitudes, neither of them 0; of equal ones with unlike signs it is +0.
    function _sum(uint256 s, uint256 m, int256 e, uint256 t, uint256 n, int256 f) private pure returns (uint256) {
        if (e < f) (s, m, e, t, n, f) = (t, n, f, s, m, e);
        unchecked {
            // m has at most 48 bits and is shifted by at most FAR
            if (e - f > FAR) (n, f) = (1, e - FAR);
            m <<= uint256(e - f);
            if (s == t) return _round(s, m + n, f);
            if (m > n) return _round(s, m - n, f);
            return m == n ? 0 : _round(t, n - m, f);
        }
    }

    /// @dev The float nearest to m * 2^e with the sign `sign`, for 0 < m < 2^180 and e >= -380.
    function _round(uint256 sign, uint256 m, int256 e) private pure returns (uint256) {
        unchecked {
            // by the bounds above: m stays below 2^204, 0 < cut < 256
            m <<= SPARE;
            e -= int256(SPARE);
            // the lowest place that stays: 24 bits, or fewer down at the subnormals
            int256 low = int256(Math.log2(m)) + e - 23;
            if (low < LEAST) low = LEAST;
            uint256 cut = uint256(low - e);
            // just under half of the last place, and a bit more where that place is odd
            m = (m + (1 << (cut - 1)) - 1 + ((m >> cut) & 1)) >> cut;
            // bit 23 of m, where it is there, adds the 1 that the exponent's field lacks; so does a carry into bit 24
            m += uint256(low - LEAST) << 23;
            return sign | (m < INFINITY ? m : INFINITY);
        }
    }

    /// @dev Numbers in their order, -0 below +0.
    function _rank(uint32 a) private pure returns (int256) {
        return int256(int32(a < SIGN ? a : a ^ uint32(MAGNITUDE)));
    }

    function _areZeros(uint32 a, uint32 b) private pure returns (bool) {
        return uint256(a | b) & MAGNITUDE == 0;
    }
}
