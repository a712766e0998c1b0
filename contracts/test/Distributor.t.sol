// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDistributor} from "../src/interfaces/IDistributor.sol";
import {IPioneerProgram} from "../src/interfaces/IPioneerProgram.sol";
import {PioneerTown} from "./PioneerTown.sol";

contract DistributorTest is PioneerTown {
    function setUp() public {
        deployPioneers(5);
        open(address(0), bars(bar(100, 1, 0, false), bar(200, 1, 0, false)));
        earn(0, 100);
        earn(1, 300);
        submit(1);
        admit(1);
        freeze(5);
        grow(5);
        post(5);
    }

    function test_fund_keepsTheMoneyAndSaysForWhat() public {
        bytes32 id = fund(5, 40 ether, 1);
        IDistributor.Distribution memory d = distributor.distributionOf(id);
        isEqual(d.program, program, "program");
        isEqual(d.pot, 40 ether, "pot");
        isEqual(d.left, 40 ether, "left");
        isEqual(d.total, 400, "total");
        isEqual(d.closes, block.timestamp + 7 days, "closes");
        isTrue(d.funder == address(this) && d.token == address(credit) && d.leastTier == 1 && d.epoch == 5, "the rest");
        isEqual(distributor.partOf(id, 100), 10 ether, "part");
        isEqual(credit.balanceOf(address(distributor)), 40 ether, "held");
    }

    function refusedFunds(uint32 epoch, uint256 amount, uint8 leastTier, uint64 window, bytes4 why) private {
        refused(why);
        distributor.fund(program, epoch, address(credit), amount, leastTier, window);
    }

    function test_fund_refusesWhatCannotBePaid() public {
        credit.faucet(100 ether);
        credit.approve(address(distributor), 100 ether);
        refusedFunds(5, 0, 0, 7 days, IDistributor.NothingToPay.selector);
        refusedFunds(5, 1, 0, 7 days - 1, IDistributor.WindowOutOfBounds.selector);
        refusedFunds(5, 1, 0, 3_650 days + 1, IDistributor.WindowOutOfBounds.selector);
        refusedFunds(5, 1, 3, 7 days, IDistributor.TierUnknown.selector);
        refusedFunds(50, 1, 0, 7 days, IPioneerProgram.NotFrozen.selector);
        vm.expectRevert();
        distributor.fund(program, 5, address(credit), 101 ether, 0, 7 days);
        vm.expectRevert();
        distributor.fund(program, 5, address(0x1234), 1, 0, 7 days);
        open(address(0), bars(bar(1, 0, 0, false), bar(2, 0, 0, false)));
        refused(IPioneerProgram.ProgramUnknown.selector);
        distributor.fund("none", 5, address(credit), 1, 0, 7 days);
    }

    function test_fund_refusesWhereNothingWasEarned() public {
        deployPioneers(1);
        open(address(0), bars(bar(1, 0, 0, false), bar(2, 0, 0, false)));
        freeze(0);
        refused(IDistributor.NothingFrozen.selector);
        distributor.fund(program, 0, address(credit), 1, 0, 7 days);
    }

    function test_claim_paysInProportionAndOnce() public {
        bytes32 id = fund(5, 40 ether, 0);
        take(id, 5, 0);
        take(id, 5, 1);
        isEqual(credit.balanceOf(operators[0]), 10 ether, "a quarter");
        isEqual(credit.balanceOf(operators[1]), 30 ether, "three");
        isTrue(distributor.isPaid(id, operators[1]) && !distributor.isPaid(id, operators[2]), "paid");
        bytes32[] memory proof = path(5, 1);
        bytes32[] memory own = keysOf(1);
        vm.prank(operators[1]);
        refused(IDistributor.ShareTaken.selector);
        distributor.claim(id, tree[1], own, proof);
    }

    function test_claim_needsTheLeastTier() public {
        bytes32 id = fund(5, 40 ether, 2);
        take(id, 5, 1);
        bytes32[] memory proof = path(5, 0);
        bytes32[] memory own = keysOf(0);
        vm.prank(operators[0]);
        refused(IDistributor.TierTooLow.selector);
        distributor.claim(id, tree[0], own, proof);
        isEqual(distributor.distributionOf(id).left, 10 ether, "the others' part");
    }

    function test_claim_ofNothingIsRefused() public {
        bytes32 id = fund(5, 40 ether, 0);
        bytes32[] memory proof = path(5, 2);
        bytes32[] memory own = keysOf(2);
        vm.prank(operators[2]);
        refused(IDistributor.NothingToPay.selector);
        distributor.claim(id, tree[2], own, proof);
    }

    function test_claim_untilItCloses_thenTheFunderHasTheRest() public {
        bytes32 id = fund(5, 40 ether, 0);
        take(id, 5, 0);
        pass(7 days);
        refused(IDistributor.StillClaimable.selector);
        distributor.reclaim(id);
        pass(1);
        bytes32[] memory proof = path(5, 1);
        bytes32[] memory own = keysOf(1);
        vm.prank(operators[1]);
        refused(IDistributor.ClaimsClosed.selector);
        distributor.claim(id, tree[1], own, proof);
        uint256 before = credit.balanceOf(address(this));
        vm.prank(address(3));
        distributor.reclaim(id);
        isEqual(credit.balanceOf(address(this)) - before, 30 ether, "the rest");
        refused(IDistributor.NothingToPay.selector);
        distributor.reclaim(id);
        isEqual(credit.balanceOf(address(distributor)), 0, "held");
    }

    function test_unknownDistribution_isRefused() public {
        refused(IDistributor.DistributionUnknown.selector);
        distributor.distributionOf("none");
        refused(IDistributor.DistributionUnknown.selector);
        distributor.reclaim("none");
        bytes32[] memory proof = path(5, 1);
        bytes32[] memory own = keysOf(1);
        vm.prank(operators[1]);
        refused(IDistributor.DistributionUnknown.selector);
        distributor.claim("none", tree[1], own, proof);
    }

    /// @dev What n names get together is never more than what one name with all their units gets, and less by fewer than n wei.
    function testFuzz_partOf_isLinear(uint128 pot, uint64[4] memory units) public {
        credit.faucet(1_000 ether);
        credit.approve(address(distributor), 1_000 ether);
        uint256 amount = between(pot, 1, 1_000 ether);
        bytes32 id = distributor.fund(program, 5, address(credit), amount, 0, 7 days);
        uint256 whole = 0;
        uint256 split = 0;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 each = units[i] % 100;
            whole += each;
            split += distributor.partOf(id, each);
        }
        uint256 together = distributor.partOf(id, whole);
        isTrue(split <= together && together - split < 4, "linear");
        isTrue(together <= amount, "no more than there is");
    }
}
