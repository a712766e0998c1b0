// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Scalar} from "../src/numeric/Scalar.sol";
import {Base} from "./Base.sol";

/// @notice Gas of single operations inside a contract (no transaction, no calldata), printed and held to limits. The same run writes snapshots/.
contract NumericGasTest is Base {
    uint256 private constant SAMPLES = 64;
    uint256 private constant FLOAT_LIMIT = 2_000;

    /// @dev The mean over operands between 2^-16 and 2^16 of either sign: what training computes with.
    function test_gas_scalars() public {
        string[6] memory names = ["add", "sub", "mul", "fma", "div", "sqrt"];
        for (uint8 i = 0; i < 6; ++i) isTrue(measure(i + Scalar.ADD, names[i]) <= FLOAT_LIMIT, names[i]);
        measure(Scalar.MAX, "maximum");
        measure(Scalar.LT, "lt");
        measure(Scalar.IADD, "integer add");
        measure(Scalar.I2F, "from integer");
        measure(Scalar.F2I, "to integer");
        measureFold();
    }

    function measure(uint8 code, string memory name) private returns (uint256) {
        uint256 used = 0;
        for (uint256 i = 0; i < SAMPLES; ++i) {
            uint32 a = code == Scalar.SQRT ? operand(i, 0) & 0x7fffffff : operand(i, 0);
            uint32 b = operand(i, 1);
            uint32 c = operand(i, 2);
            uint256 before = gasleft();
            Scalar.map(code, a, b, c);
            used += before - gasleft();
        }
        return report(name, used / SAMPLES);
    }

    function measureFold() private {
        uint32 acc = 0;
        uint256 used = 0;
        for (uint256 i = 0; i < SAMPLES; ++i) {
            uint32 a = operand(i, 0);
            uint32 b = operand(i, 1);
            uint256 before = gasleft();
            acc = Scalar.fold(Scalar.FMA, acc, a, b, 0);
            used += before - gasleft();
        }
        report("fma of a fold", used / SAMPLES);
    }

    function operand(uint256 i, uint256 place) private pure returns (uint32) {
        uint256 random = uint256(keccak256(abi.encode(i, place)));
        return uint32((random & 0x807fffff) | (between(random >> 32, 111, 142) << 23));
    }

    function report(string memory name, uint256 gas) private returns (uint256) {
        emit log_named_uint(name, gas);
        vm.snapshotValue("numeric", name, gas);
        return gas;
    }
}
