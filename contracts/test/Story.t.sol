// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {Town} from "./Town.sol";

/// @notice One epoch from end to end, as nodes live it.
contract StoryTest is Town {
    function setUp() public {
        deploy();
        found(terms(), 5);
    }

    function test_epoch_isCommittedAuditedAndScored() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        phaseIs(h, IAuditCourt.Phase.Commit);
        beaconOf(0);
        phaseIs(h, IAuditCourt.Phase.Audit);
        speak(h, 0, all(ok()));
        phaseIs(h, IAuditCourt.Phase.Challenge);
        bytes32[] memory salts = new bytes32[](2);
        vm.prank(ledger.memberOf(keys[0]).session);
        court.openSalt(h, salts);
        pass(20);
        outcomeIs(h, IAuditCourt.Outcome.Clean);
        court.finalize(h);
        ledger.settle(h);
        isEqual(ledger.unitsOf(keys[0]), 500, "units");
        isEqual(ledger.memberOf(keys[0]).accepted, h.last, "accepted root");
        for (uint256 i = 0; i < 5; ++i) {
            isEqual(wealth(i), STAKE, "nobody lost or gained");
        }
    }
}
