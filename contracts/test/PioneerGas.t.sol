// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {IPioneerProgram} from "../src/interfaces/IPioneerProgram.sol";
import {PioneerTown} from "./PioneerTown.sol";

/// @notice Gas of whole transactions about programs, snapshots and distributions, and of a settlement, which keeps the past they look at.
/// The same run writes snapshots/.
contract PioneerGasTest is PioneerTown {
    uint256 private constant SETTLE_LIMIT = 220_000;
    uint256 private constant CLAIM_LIMIT = 180_000;

    /// forge-config: default.isolate = true
    function test_gas_pioneers() public {
        deployPioneers(5);
        open(address(0), bars(bar(100, 1, 0, false), bar(1_000, 1, 0, false)));
        earn(0, 100);
        IParticipationLedger.Header memory h = audited(0, 100);
        pass(20);
        ledger.settle(h);
        isTrue(report("settle, an epoch's first") <= SETTLE_LIMIT, "settle");
        submitMeasured();
        admit(0);
        report("admit");
        freeze(10);
        grow(10);
        post(10);
        report("post a root");
        bytes32 id = fund(10, 40 ether, 0);
        report("fund");
        take(id, 10, 0);
        isTrue(report("claim, one peer") <= CLAIM_LIMIT, "claim");
    }

    function submitMeasured() private {
        IPioneerProgram.Application memory a = application(0, keysOf(0));
        bytes memory signature = signed(a, 1);
        pioneer.submit(a, signature);
        report("apply");
    }

    function report(string memory name) private returns (uint256 gas) {
        gas = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint(name, gas);
        vm.snapshotValue("pioneers", name, gas);
    }
}
