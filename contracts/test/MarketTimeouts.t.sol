// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeMarket} from "../src/interfaces/IComputeMarket.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {JobTown} from "./JobTown.sol";

/// @notice A job that everybody walks away from, at each point of its life: it ends by time alone, and nothing stays in it.
contract MarketTimeoutsTest is JobTown {
    uint256 private constant STOPS = 14;

    function setUp() public {
        settleTown(6);
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_everyState_endsByItself(uint8 stop) public {
        IComputeMarket.Offer memory o = withTarget(offer());
        live(o, stop % STOPS);
        (,,, uint256 ends) = market.timesOf(SWARM);
        isTrue(ends <= o.deadline + registry.longestCase(terms()) + 200 + 5 * uint256(o.openWindow), "in time");
        if (block.timestamp < ends) {
            vm.warp(ends - 1);
            refused(IComputeMarket.TooSoon.selector);
            market.settle(SWARM);
        }
        settle();
        emptied(2);
    }

    /// @dev Everything that happens in a job, up to the `stop`-th thing.
    function live(IComputeMarket.Offer memory o, uint256 stop) private {
        post(o);
        if (stop == 0) return;
        seed(1);
        seed(2);
        if (stop == 1) return;
        claim(0, 0);
        claim(1, 3);
        if (stop == 2) return;
        IParticipationLedger.Header memory h = cleanWork(0);
        if (stop == 3) return;
        accept(0, 0, h);
        if (stop == 4) return;
        acceptedWork(0, 0);
        if (stop == 5) return;
        deliver(0, 0);
        if (stop == 6) return;
        attest(0, 1, MODEL);
        if (stop == 7) return;
        acceptedWork(1, 3);
        acceptedWork(1, 3);
        deliver(1, 3);
        if (stop == 8) return;
        attest(1, 1, MODEL);
        attest(1, 2, 0);
        if (stop == 9) return;
        delivery.confirm(SWARM, 1);
        if (stop == 10) return;
        delivery.openEvaluation(SWARM, DIGEST, EVALUATION_SALT);
        if (stop == 11) return;
        score(0, 1, 9_000);
        score(1, 1, 9_000);
        score(1, 2, 9_000);
        if (stop == 12) return;
        pass(100);
        revealScore(0, 1, 9_000);
        revealScore(1, 1, 9_000);
    }
}
