// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Float32} from "../src/numeric/Float32.sol";
import {Scalar} from "../src/numeric/Scalar.sol";
import {Base} from "./Base.sol";
import {ScalarBatch} from "./ScalarBatch.sol";

/// @notice Scalar operations. Their bulk is held against the Python definition elsewhere: vectors/scalar.bin is checked here and by
/// tests/test_float32.py, benchmarks/float32_fuzz.py runs as many cases as one likes.
contract NumericTest is Base {
    uint256 private constant RECORD = 22;
    uint32 private constant ONE = 0x3f800000;
    uint32 private constant INFINITY = 0x7f800000;
    uint32 private constant NEGATIVE_ZERO = 0x80000000;

    ScalarBatch private batch;

    function setUp() public {
        batch = new ScalarBatch();
    }

    function test_scalar_agreesWithTheDefinition() public view {
        bytes memory records = vm.readFileBinary("test/vectors/scalar.bin");
        isTrue(records.length >= 2000 * RECORD && records.length % RECORD == 0, "whole records");
        for (uint256 i = 0; i < records.length; i += RECORD) {
            uint8 code = uint8(records[i]);
            uint32 result = batch.one(code, records[i + 1] != 0, word(records, i + 2), word(records, i + 6), word(records, i + 10), word(records, i + 14));
            if (result != word(records, i + 18)) revert Unequal(string(abi.encodePacked("record ", i / RECORD)), result, word(records, i + 18));
        }
    }

    function test_map_refusesUnknownCodes() public {
        for (uint256 code = 0; code < 256; ++code) {
            if (code > Scalar.F2I) refused(Scalar.UnknownCode.selector);
            batch.one(uint8(code), false, 0, 0, 0, 0);
        }
    }

    function test_fold_refusesUnknownCodes() public {
        for (uint256 code = 0; code < 256; ++code) {
            bool isKnown = code == Scalar.ADD || code == Scalar.FMA || code == Scalar.MAX || code == Scalar.MIN || (code >= Scalar.ADDEQ && code <= Scalar.ADDLE);
            if (!isKnown) refused(Scalar.UnknownCode.selector);
            batch.one(uint8(code), true, 0, 0, 0, 0);
        }
    }

    function test_fma_roundsOnce() public pure {
        // (1 + 2^-23)^2 - (1 + 2^-22) = 2^-46, which a rounded product has lost
        isEqual(Float32.fma(0x3f800001, 0x3f800001, 0xbf800002), 0x28800000, "fma");
        isEqual(Float32.add(Float32.mul(0x3f800001, 0x3f800001), 0xbf800002), 0, "mul, add");
    }

    function test_add_knowsZeros() public pure {
        isEqual(Float32.add(NEGATIVE_ZERO, NEGATIVE_ZERO), NEGATIVE_ZERO, "-0 + -0");
        isEqual(Float32.add(0, NEGATIVE_ZERO), 0, "0 + -0");
        isEqual(Float32.sub(ONE, ONE), 0, "1 - 1");
    }

    function test_mul_keepsSubnormals() public pure {
        isEqual(Float32.mul(1, 0x3f000000), 0, "half the smallest goes to even 0");
        isEqual(Float32.mul(1, 0x3f000001), 1, "just above half");
        isEqual(Float32.mul(3, 0x3f000000), 2, "1.5 goes to even 2");
        isEqual(Float32.mul(0x00800000, 0x3f7fffff), 0x00800000, "up into the normal numbers");
    }

    function test_div_byZero() public pure {
        isEqual(Float32.div(ONE, NEGATIVE_ZERO), INFINITY | 0x80000000, "1 / -0");
        isEqual(Float32.div(0, 0), Float32.NAN, "0 / 0");
    }

    function testFuzz_notANumber_hasOneForm(uint32 payload, uint32 b, uint32 c) public pure {
        uint32 a = payload | 0x7f800001;
        for (uint8 code = Scalar.ADD; code <= Scalar.MIN; ++code) isEqual(Scalar.map(code, a, b, c), Float32.NAN, "map");
        isEqual(Scalar.map(Scalar.FMA, b, c, a), Float32.NAN, "third of fma");
        isEqual(Scalar.map(Scalar.MOV, a, b, c), a, "a move keeps bits");
    }

    function testFuzz_order_isOneOfThree(uint32 a, uint32 b) public pure {
        if (Float32.isNaN(a) || Float32.isNaN(b)) return;
        uint256 count = (Float32.lt(a, b) ? 1 : 0) + (Float32.eq(a, b) ? 1 : 0) + (Float32.lt(b, a) ? 1 : 0);
        isEqual(count, 1, "of less, equal and greater");
        isTrue(Float32.le(a, b) != Float32.lt(b, a), "at most");
    }

    function word(bytes memory data, uint256 at_) private pure returns (uint32 result) {
        for (uint256 i = 0; i < 4; ++i) result = (result << 8) | uint8(data[at_ + i]);
    }
}
