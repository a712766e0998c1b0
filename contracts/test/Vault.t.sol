// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {Town} from "./Town.sol";

/// @notice Takes one wei of every transfer.
contract TollToken is ERC20("Toll", "TOLL") {
    constructor(address holder) {
        _mint(holder, 1e30);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (from != address(0) && to != address(0)) super._update(to, address(0), 1);
    }
}

contract VaultTest is Town {
    function setUp() public {
        deploy();
        found(terms(), 5);
    }

    function active(uint256 i) private view returns (uint256) {
        return vault.stakeOf(keys[i]).active;
    }

    function test_stake_givesCapacityAndWeight() public view {
        isEqual(active(0), STAKE, "stake");
        isEqual(vault.capacityOf(keys[0]), 10, "capacity");
        isEqual(ledger.memberOf(keys[0]).capacity, 10, "capacity in the ledger");
        isEqual(vault.weightAt(keys[0], 0), STAKE, "weight");
        isEqual(vault.held(address(credit)), 5 * STAKE, "held");
        isEqual(vault.operatorsAt(SWARM, 0), 5, "operators");
        isEqual(vault.operatorsAt(SWARM, CLASS, 0), 5, "operators of the class");
        isEqual(vault.memberCount(SWARM), 5, "members");
        isEqual(vault.memberAt(SWARM, 4), keys[4], "fifth");
    }

    function test_stake_byOperatorOnly() public {
        bytes32 key = keys[0];
        refused(IStakeVault.NotOperator.selector);
        vm.prank(vm.addr(10_001));
        vault.stake(key, 1, CLASS);
    }

    function test_stake_refusesTooLittleTooMuchAndNoClass() public {
        bytes32 key = enlist(6);
        vm.startPrank(operators[5]);
        refused(IStakeVault.StakeTooSmall.selector);
        vault.stake(key, STAKE - 1, CLASS);
        refused(IStakeVault.StakeTooLarge.selector);
        vault.stake(key, 1 << 96, CLASS);
        refused(IStakeVault.ClassMissing.selector);
        vault.stake(key, STAKE, 0);
    }

    function test_stake_needsExactApproval() public {
        bytes32 key = enlist(6);
        fill(operators[5], STAKE);
        vm.startPrank(operators[5]);
        credit.approve(address(vault), STAKE - 1);
        vm.expectRevert();
        vault.stake(key, STAKE, CLASS);
        credit.approve(address(vault), STAKE);
        vault.stake(key, STAKE, CLASS);
        isEqual(credit.allowance(operators[5], address(vault)), 0, "allowance left");
    }

    function test_stake_refusesATokenThatKeepsSome() public {
        deploy();
        ISwarmRegistry.Terms memory t = terms();
        TollToken toll = new TollToken(vm.addr(1));
        t.token = address(toll);
        found(t, 0);
        delete keys;
        delete operators;
        bytes32 key = enlist(1);
        vm.startPrank(vm.addr(1));
        toll.approve(address(vault), STAKE);
        refused(IStakeVault.TransferInexact.selector);
        vault.stake(key, STAKE, CLASS);
    }

    function test_unbond_takesWeightOutButStaysLiable() public {
        bytes32 key = keys[0];
        vm.prank(operators[0]);
        vault.unbond(key, STAKE);
        isEqual(vault.capacityOf(key), 0, "capacity");
        isEqual(vault.weightAt(key, 0), 0, "weight");
        vm.prank(address(court));
        vault.convict(key);
        isEqual(vault.stakeOf(key).unbonding, 0, "slashed on the way out");
        isEqual(vault.treasuryOf(SWARM), STAKE / 2, "half to the treasury");
    }

    function test_unbond_byOperatorOnlyAndNoMoreThanThere() public {
        bytes32 key = keys[0];
        refused(IStakeVault.NotOperator.selector);
        vm.prank(vm.addr(10_001));
        vault.unbond(key, 1);
        vm.startPrank(operators[0]);
        refused(IStakeVault.StakeMissing.selector);
        vault.unbond(key, STAKE + 1);
        refused(IStakeVault.StakeMissing.selector);
        vault.unbond(key, 0);
    }

    function test_withdraw_afterUnbondingOnly() public {
        bytes32 key = keys[0];
        vm.startPrank(operators[0]);
        refused(IStakeVault.NothingToPay.selector);
        vault.withdraw(key);
        vault.unbond(key, STAKE);
        pass(1_999);
        refused(IStakeVault.StillUnbonding.selector);
        vault.withdraw(key);
        pass(1);
        vault.withdraw(key);
        isEqual(credit.balanceOf(operators[0]), STAKE, "paid");
        isEqual(vault.held(address(credit)), 4 * STAKE, "held");
        vm.stopPrank();
        refused(IStakeVault.NotOperator.selector);
        vault.withdraw(key);
    }

    function test_unbond_againStartsTheClockAnew() public {
        bytes32 key = keys[0];
        vm.startPrank(operators[0]);
        vault.unbond(key, 1 ether);
        pass(1_999);
        vault.unbond(key, 1 ether);
        pass(1);
        refused(IStakeVault.StillUnbonding.selector);
        vault.withdraw(key);
    }

    function test_claim_paysRewardsOnce() public {
        vm.prank(address(court));
        vault.takeBond(keys[0], 5 ether);
        vm.prank(address(court));
        vault.payAside(SWARM, operators[1], 5 ether);
        isEqual(vault.claimable(address(credit), operators[1]), 5 ether, "claimable");
        vm.startPrank(operators[1]);
        vault.claim(address(credit));
        isEqual(credit.balanceOf(operators[1]), 5 ether, "paid");
        refused(IStakeVault.NothingToPay.selector);
        vault.claim(address(credit));
    }

    function test_fund_andPayFee_upToTheTreasury() public {
        fill(address(this), 3 ether);
        credit.approve(address(vault), 3 ether);
        vault.fund(SWARM, 3 ether);
        vm.startPrank(address(court));
        vault.payFee(SWARM, operators[0], 2 ether);
        vault.payFee(SWARM, operators[0], 2 ether);
        vault.payFee(SWARM, operators[0], 2 ether);
        isEqual(vault.claimable(address(credit), operators[0]), 3 ether, "no more than there was");
        isEqual(vault.treasuryOf(SWARM), 0, "treasury");
    }

    function test_pauseAndResume_forOpenEpochsOnly() public {
        vm.warp(endOf(0) + 50);
        bytes32 key = keys[0];
        vm.prank(vm.addr(10_001));
        vault.pause(key);
        isEqual(vault.weightAt(key, 0), STAKE, "closed epoch keeps its draw");
        isEqual(vault.weightAt(key, 1), 0, "open epoch");
        isEqual(vault.operatorsAt(SWARM, CLASS, 1), 4, "operators");
        vm.warp(endOf(3));
        vm.prank(vm.addr(10_001));
        vault.resume(key);
        isEqual(vault.weightAt(key, 2), 0, "paused");
        isEqual(vault.weightAt(key, 3), STAKE, "back");
    }

    function test_pauseAndResume_areIdempotentAndAgentsOnly() public {
        bytes32 key = keys[0];
        vm.startPrank(operators[0]);
        vault.resume(key);
        vault.pause(key);
        vault.pause(key);
        vm.stopPrank();
        refused(IStakeVault.NotAgent.selector);
        vault.pause(key);
        refused(IStakeVault.NotAgent.selector);
        vault.resume(key);
        isTrue(vault.stakeOf(key).paused, "paused");
    }

    function test_setClass_fromTheFirstOpenEpoch() public {
        vm.warp(endOf(0) + 50);
        bytes32 key = keys[0];
        vm.startPrank(operators[0]);
        vault.setClass(key, OTHER_CLASS);
        isEqual(vault.classAt(key, 0), CLASS, "closed epoch");
        isEqual(vault.classAt(key, 1), OTHER_CLASS, "open epoch");
        isEqual(vault.operatorsAt(SWARM, CLASS, 1), 4, "old class");
        isEqual(vault.operatorsAt(SWARM, OTHER_CLASS, 1), 1, "new class");
        isEqual(vault.operatorsAt(SWARM, 1), 5, "all");
        refused(IStakeVault.ClassChangedTooSoon.selector);
        vault.setClass(key, CLASS);
        vm.warp(endOf(17) + 50);
        vault.setClass(key, CLASS);
        refused(IStakeVault.ClassMissing.selector);
        vault.setClass(key, 0);
        vm.stopPrank();
        refused(IStakeVault.NotAgent.selector);
        vault.setClass(key, OTHER_CLASS);
    }

    function test_stake_ofAnotherClassChangesIt() public {
        fill(operators[0], 1 ether);
        vm.startPrank(operators[0]);
        credit.approve(address(vault), 1 ether);
        vault.stake(keys[0], 1 ether, OTHER_CLASS);
        isEqual(vault.stakeOf(keys[0]).class, OTHER_CLASS, "class");
    }

    function test_absent_costsOnePercentOnceUntilResume() public {
        bytes32 key = keys[0];
        vm.startPrank(address(court));
        vault.absent(key, 0, false);
        vault.absent(key, 1, false);
        vm.stopPrank();
        isEqual(active(0), STAKE * 99 / 100, "one per cent");
        isEqual(vault.capacityOf(key), 0, "commits nothing until it is back");
        vm.warp(endOf(4));
        vm.prank(operators[0]);
        vault.resume(key);
        isEqual(vault.capacityOf(key), 9, "is back, with what its stake is good for");
        vm.startPrank(address(court));
        vault.absent(key, 3, false);
        isEqual(active(0), STAKE * 99 / 100, "duty from before");
        vault.absent(key, 4, false);
        isEqual(active(0), STAKE * 99 / 100 * 99 / 100, "a new duty");
    }

    function test_absent_afterOwnPauseStillCosts() public {
        bytes32 key = keys[0];
        vm.prank(operators[0]);
        vault.pause(key);
        vm.prank(address(court));
        vault.absent(key, 0, false);
        isEqual(active(0), STAKE * 99 / 100, "one per cent");
    }

    function test_absent_freePausesOnly() public {
        vm.prank(address(court));
        vault.absent(keys[0], 0, true);
        isEqual(active(0), STAKE, "stake");
        isTrue(vault.stakeOf(keys[0]).paused && !vault.stakeOf(keys[0]).lapsed, "paused");
    }

    function test_courtFunctions_forTheCourtOnly() public {
        bytes32 key = keys[0];
        refused(IStakeVault.NotPermitted.selector);
        vault.slash(key, 1, "");
        refused(IStakeVault.NotPermitted.selector);
        vault.convict(key);
        refused(IStakeVault.NotPermitted.selector);
        vault.absent(key, 0, false);
        refused(IStakeVault.NotPermitted.selector);
        vault.payAside(SWARM, address(this), 0);
        refused(IStakeVault.NotPermitted.selector);
        vault.dropAside(SWARM, 0);
        refused(IStakeVault.NotPermitted.selector);
        vault.payFee(SWARM, address(this), 0);
        refused(IStakeVault.NotPermitted.selector);
        vault.takeBond(key, 0);
    }

    function test_takeBond_noMoreThanActive() public {
        bytes32 key = keys[0];
        refused(IStakeVault.StakeMissing.selector);
        vm.prank(address(court));
        vault.takeBond(key, STAKE + 1);
    }

    function test_forfeit_refusesWhoOwesNothing() public {
        bytes32 key = keys[0];
        refused(IStakeVault.NotMissed.selector);
        vault.forfeit(key, 0);
        refused(IStakeVault.NotMissed.selector);
        vault.forfeit(key, 1);
    }

    function test_refresh_byAnyone() public {
        vault.refresh(keys[0]);
        vault.refresh("nobody");
        isEqual(vault.weightAt(keys[0], 0), STAKE, "weight");
    }

    function testFuzz_stake_weightIsCapped(uint96 extra) public {
        uint256 amount = STAKE + extra % 9_000 ether;
        uint256 more = amount - STAKE;
        for (uint256 taken = 0; taken < more; taken += 1_000 ether) {
            fill(operators[0], 1_000 ether);
        }
        vm.startPrank(operators[0]);
        credit.approve(address(vault), more);
        vault.stake(keys[0], more, CLASS);
        isEqual(vault.weightAt(keys[0], 0), amount, "below the cap weight is stake");
        isEqual(vault.capacityOf(keys[0]), 10, "capacity stays at the terms' most");
    }
}
