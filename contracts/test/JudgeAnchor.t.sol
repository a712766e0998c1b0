// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IJudgeAnchor} from "../src/interfaces/IJudgeAnchor.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {JudgeTown} from "./JudgeTown.sol";
import {TollToken} from "./Vault.t.sol";

contract JudgeAnchorTest is JudgeTown {
    function setUp() public {
        deployJudges();
        found(terms(), 5);
    }

    // --- stakes

    function test_deposit_addsToTheOperatorsStake() public {
        put(0, DEPOSIT);
        put(0, 1);
        isEqual(account(0).active, DEPOSIT + 1, "stake");
        isEqual(credit.balanceOf(address(judges)), DEPOSIT + 1, "held");
        isEqual(account(1).active, 0, "another's");
    }

    function test_deposit_ofAVoterWithoutANode() public {
        enlist(6);
        put(5, DEPOSIT);
        isEqual(account(5).active, DEPOSIT, "registered, nothing in the vault");
        isEqual(vault.stakeOf(keys[5]).active, 0, "vault");
    }

    function test_deposit_byAllPeersOfAnOperatorIntoOneStake() public {
        put(0, DEPOSIT);
        vm.startPrank(operators[0]);
        bytes32 second = registry.register(SWARM, peer(50), operators[0]);
        ledger.enter(SWARM, operators[0], peer(50));
        credit.faucet(DEPOSIT);
        credit.approve(address(judges), DEPOSIT);
        judges.deposit(second, DEPOSIT);
        isEqual(account(0).active, 2 * DEPOSIT, "one stake");
    }

    function test_deposit_byTheOperatorOnly() public {
        bytes32 key = keys[0];
        vm.prank(vm.addr(10_001));
        refused(IJudgeAnchor.NotOperator.selector);
        judges.deposit(key, 1);
        refused(IJudgeAnchor.NotOperator.selector);
        judges.deposit("nobody", 1);
    }

    function test_deposit_needsExactApproval() public {
        bytes32 key = keys[0];
        fill(operators[0], DEPOSIT);
        vm.startPrank(operators[0]);
        credit.approve(address(judges), DEPOSIT - 1);
        vm.expectRevert();
        judges.deposit(key, DEPOSIT);
        credit.approve(address(judges), DEPOSIT);
        judges.deposit(key, DEPOSIT);
        isEqual(credit.allowance(operators[0], address(judges)), 0, "allowance left");
    }

    function test_depositAndFund_refuseATokenThatKeepsSome() public {
        deployJudges();
        delete keys;
        delete operators;
        ISwarmRegistry.Terms memory t = terms();
        TollToken toll = new TollToken(vm.addr(1));
        t.token = address(toll);
        found(t, 0);
        bytes32 key = enlist(1);
        vm.startPrank(vm.addr(1));
        toll.approve(address(judges), 2 * DEPOSIT);
        refused(IJudgeAnchor.TransferInexact.selector);
        judges.deposit(key, DEPOSIT);
        refused(IJudgeAnchor.TransferInexact.selector);
        judges.fund(SWARM, 0, DEPOSIT);
    }

    function test_unbond_noMoreThanThere() public {
        put(0, DEPOSIT);
        vm.startPrank(operators[0]);
        refused(IJudgeAnchor.StakeMissing.selector);
        judges.unbond(SWARM, DEPOSIT + 1);
        refused(IJudgeAnchor.StakeMissing.selector);
        judges.unbond(SWARM, 0);
        judges.unbond(SWARM, 1);
        judges.unbond(SWARM, DEPOSIT - 1);
        isEqual(account(0).active, 0, "active");
        isEqual(account(0).unbonding, DEPOSIT, "unbonding");
        isEqual(account(0).releaseAt, block.timestamp + delay(), "release");
    }

    function test_delay_coversTheLongestMarketAndWhatTheTermsAsk() public {
        isEqual(delay(), 16 days + 4 * 100, "market");
        ISwarmRegistry.Terms memory t = terms();
        t.unbonding = 40 days;
        registry.createSwarm("slow", "recipe", BASE, t, "");
        isEqual(judges.delayOf("slow"), 40 days, "terms");
    }

    function test_withdraw_afterTheDelayOnly() public {
        put(0, DEPOSIT);
        vm.startPrank(operators[0]);
        refused(IJudgeAnchor.NothingToPay.selector);
        judges.withdraw(SWARM);
        judges.unbond(SWARM, DEPOSIT / 2);
        pass(delay() - 1);
        refused(IJudgeAnchor.StillUnbonding.selector);
        judges.withdraw(SWARM);
        pass(1);
        judges.withdraw(SWARM);
        isEqual(credit.balanceOf(operators[0]), DEPOSIT / 2, "paid");
        isEqual(account(0).active, DEPOSIT / 2, "the rest stays");
        refused(IJudgeAnchor.NothingToPay.selector);
        judges.withdraw(SWARM);
    }

    function test_unbond_againStartsTheClockAnew() public {
        put(0, DEPOSIT);
        vm.startPrank(operators[0]);
        judges.unbond(SWARM, 1 ether);
        pass(delay() - 1);
        judges.unbond(SWARM, 1 ether);
        pass(1);
        refused(IJudgeAnchor.StillUnbonding.selector);
        judges.withdraw(SWARM);
    }

    function test_withdraw_paysEarningsWhileStakeIsUnbonding() public {
        put(0, DEPOSIT);
        give(0, 10 ether);
        list(0, 10 ether, 0);
        decide(1, rootOf(1));
        give(1, 10 ether);
        claim(1, 0);
        vm.startPrank(operators[0]);
        judges.unbond(SWARM, DEPOSIT);
        judges.withdraw(SWARM);
        isEqual(credit.balanceOf(operators[0]), 10 ether, "earned");
        isEqual(account(0).unbonding, DEPOSIT, "stake waits");
        refused(IJudgeAnchor.StillUnbonding.selector);
        judges.withdraw(SWARM);
    }

    // --- anchors and the roll

    function test_anchor_bySessionOrOperatorOnly() public {
        anchor(0, 1, "tally");
        bytes32 key = keys[1];
        refused(IJudgeAnchor.NotAgent.selector);
        judges.anchor(key, 1, LOG, GOLD, "tally");
        refused(IJudgeAnchor.NotAgent.selector);
        judges.anchor("nobody", 1, LOG, GOLD, "tally");
        vm.prank(operators[1]);
        judges.anchor(key, 1, LOG, GOLD, "tally");
        (uint256 votes, uint256 total) = judges.votesOf(SWARM, 1, LOG, GOLD, "tally");
        isEqual(votes, 2 * STAKE, "votes");
        isEqual(total, 2 * STAKE, "roll");
    }

    function test_anchor_inItsWindowOnly() public {
        bytes32 key = keys[0];
        vm.startPrank(operators[0]);
        vm.warp(endOf(1) - 1);
        refused(IJudgeAnchor.WindowClosed.selector);
        judges.anchor(key, 1, LOG, GOLD, "tally");
        vm.warp(endOf(1) + 51);
        refused(IJudgeAnchor.WindowClosed.selector);
        judges.anchor(key, 1, LOG, GOLD, "tally");
        vm.warp(endOf(1));
        judges.anchor(key, 1, LOG, GOLD, "tally");
        vm.stopPrank();
        vm.warp(endOf(1) + 50);
        anchor(1, 1, "tally");
    }

    function test_anchor_oncePerMemberAndEpoch() public {
        anchor(0, 1, "tally");
        bytes32 key = keys[0];
        vm.startPrank(operators[0]);
        refused(IJudgeAnchor.EpochTaken.selector);
        judges.anchor(key, 1, LOG, GOLD, "tally");
        refused(IJudgeAnchor.EpochTaken.selector);
        judges.anchor(key, 1, LOG, GOLD, "another");
        vm.stopPrank();
        (, uint32 next) = judges.voterOf(key);
        isEqual(next, 2, "next");
        anchor(0, 2, "tally");
    }

    function test_anchor_needsALogButNeitherGoldNorTally() public {
        bytes32 key = keys[0];
        toWindow(1);
        vm.startPrank(operators[0]);
        refused(IJudgeAnchor.RootMissing.selector);
        judges.anchor(key, 1, 0, GOLD, "tally");
        judges.anchor(key, 1, LOG, 0, 0);
    }

    function test_anchor_needsWeight() public {
        bytes32 key = enlist(6);
        toWindow(1);
        vm.prank(operators[5]);
        refused(IJudgeAnchor.NoWeight.selector);
        judges.anchor(key, 1, LOG, GOLD, "tally");
    }

    function test_anchor_ofEpochZeroHasNoWeightYet() public {
        bytes32 key = keys[0];
        toWindow(0);
        vm.prank(operators[0]);
        refused(IJudgeAnchor.NoWeight.selector);
        judges.anchor(key, 0, LOG, GOLD, "tally");
        judges.refresh(key);
        (uint256 weight,) = judges.voterOf(key);
        isEqual(weight, 0, "roll");
    }

    function test_anchor_countsTheEpochBefore() public {
        toWindow(1);
        more(0, STAKE);
        anchor(0, 1, "tally");
        (uint256 votes, uint256 total) = judges.votesOf(SWARM, 1, LOG, GOLD, "tally");
        isEqual(votes, STAKE, "stake of the window does not count");
        isEqual(total, STAKE, "roll");
        anchor(0, 2, "tally");
        (votes, total) = judges.votesOf(SWARM, 2, LOG, GOLD, "tally");
        isEqual(votes, 2 * STAKE, "a window later it does");
        isEqual(total, 2 * STAKE, "roll follows");
        (, total) = judges.votesOf(SWARM, 1, LOG, GOLD, "tally");
        isEqual(total, STAKE, "the earlier roll stays");
    }

    function test_refresh_putsAnyoneOnTheRoll() public {
        toWindow(1);
        for (uint256 i = 0; i < 5; ++i) {
            judges.refresh(keys[i]);
            judges.refresh(keys[i]);
        }
        (uint256 votes, uint256 total) = judges.votesOf(SWARM, 1, LOG, GOLD, "tally");
        isEqual(votes, 0, "votes");
        isEqual(total, 5 * STAKE, "roll");
        (, total) = judges.votesOf(SWARM, 0, LOG, GOLD, "tally");
        isEqual(total, 0, "epoch 0");
        (, total) = judges.votesOf(SWARM, 9, LOG, GOLD, "tally");
        isEqual(total, 5 * STAKE, "and from then on");
    }

    function test_refresh_takesWhoLeftOff() public {
        anchors(5, 1, "tally");
        bytes32 key = keys[4];
        vm.prank(operators[4]);
        vault.unbond(key, STAKE);
        judges.refresh(key);
        (, uint256 total) = judges.votesOf(SWARM, 1, LOG, GOLD, "tally");
        isEqual(total, 5 * STAKE, "not in the epoch in which it left");
        vm.warp(endOf(1) + 51);
        judges.refresh(key);
        (, total) = judges.votesOf(SWARM, 1, LOG, GOLD, "tally");
        isEqual(total, 5 * STAKE, "roll of 1");
        (, total) = judges.votesOf(SWARM, 2, LOG, GOLD, "tally");
        isEqual(total, 4 * STAKE, "roll of 2");
    }

    function test_refresh_changesARollUntilTheWindowsLastSecond() public {
        vm.warp(endOf(1) + 50);
        judges.refresh(keys[0]);
        anchor(1, 1, "tally");
        (, uint256 total) = judges.votesOf(SWARM, 1, LOG, GOLD, "tally");
        isEqual(total, 2 * STAKE, "both in");
        vm.warp(endOf(1) + 51);
        judges.refresh(keys[2]);
        (, total) = judges.votesOf(SWARM, 1, LOG, GOLD, "tally");
        isEqual(total, 2 * STAKE, "too late for 1");
        (, total) = judges.votesOf(SWARM, 2, LOG, GOLD, "tally");
        isEqual(total, 3 * STAKE, "in time for 2");
    }

    function test_refresh_refusesWhomTheLedgerDoesNotKnow() public {
        refused(ISwarmRegistry.SwarmUnknown.selector);
        judges.refresh("nobody");
    }

    function test_refresh_beforeTheSwarmBegins() public {
        ISwarmRegistry.Terms memory t = terms();
        t.start = uint64(block.timestamp + 1_000);
        registry.createSwarm("later", "recipe", BASE, t, "");
        registry.register("later", peer(9), address(9));
        bytes32 key = ledger.enter("later", address(this), peer(9));
        judges.refresh(key);
        (uint256 weight,) = judges.voterOf(key);
        isEqual(weight, 0, "weight");
    }

    // --- finality

    function test_finalize_needsMoreThanHalfOfTheRoll() public {
        settleIn(6, CLASS);
        for (uint256 i = 0; i < 6; ++i) {
            toWindow(1);
            judges.refresh(keys[i]);
        }
        anchors(3, 1, "tally");
        toClaims(1);
        vm.expectRevert(abi.encodeWithSelector(IJudgeAnchor.MajorityMissing.selector, 3 * STAKE, 3 * STAKE));
        judges.finalize(SWARM, 1, LOG, GOLD, "tally");
        anchors(4, 2, "tally");
        toClaims(2);
        judges.finalize(SWARM, 2, LOG, GOLD, "tally");
        isEqual(judges.roundOf(SWARM, 2).tallyRoot, "tally", "final");
        isEqual(judges.roundOf(SWARM, 1).expires, 0, "undecided");
    }

    function test_finalize_ofTheVeryTripleOnly() public {
        anchors(5, 1, "tally");
        toClaims(1);
        refused(IJudgeAnchor.MajorityMissing.selector);
        judges.finalize(SWARM, 1, "other", GOLD, "tally");
        refused(IJudgeAnchor.MajorityMissing.selector);
        judges.finalize(SWARM, 1, LOG, "other", "tally");
        refused(IJudgeAnchor.MajorityMissing.selector);
        judges.finalize(SWARM, 1, LOG, GOLD, "other");
        judges.finalize(SWARM, 1, LOG, GOLD, "tally");
        isEqual(judges.roundOf(SWARM, 1).tallyRoot, "tally", "final");
    }

    function test_finalize_afterTheWindowAndBeforeTheClaimsEnd() public {
        (uint256 opens, uint256 closes, uint256 expires) = judges.timesOf(SWARM, 1);
        isEqual(opens, endOf(1), "opens");
        isEqual(closes, opens + 50, "closes");
        isEqual(expires, closes + 30 days, "expires");
        anchors(5, 1, "tally");
        vm.warp(closes);
        refused(IJudgeAnchor.WindowClosed.selector);
        judges.finalize(SWARM, 1, LOG, GOLD, "tally");
        vm.warp(expires + 1);
        refused(IJudgeAnchor.WindowClosed.selector);
        judges.finalize(SWARM, 1, LOG, GOLD, "tally");
        vm.warp(expires);
        judges.finalize(SWARM, 1, LOG, GOLD, "tally");
        isEqual(judges.roundOf(SWARM, 1).expires, expires, "end of claims");
    }

    function test_finalize_once() public {
        decide(1, "tally");
        refused(IJudgeAnchor.AlreadyFinal.selector);
        judges.finalize(SWARM, 1, LOG, GOLD, "tally");
    }

    function test_finalize_whereNobodyAnchored() public {
        toClaims(1);
        refused(IJudgeAnchor.MajorityMissing.selector);
        judges.finalize(SWARM, 1, LOG, GOLD, "tally");
        refused(ISwarmRegistry.SwarmUnknown.selector);
        judges.finalize("nowhere", 1, LOG, GOLD, "tally");
    }

    function test_finalize_countsTheRollAsItWasAtTheClose() public {
        anchors(3, 1, "tally");
        judges.refresh(keys[3]);
        judges.refresh(keys[4]);
        toClaims(1);
        more(4, 4 * STAKE);
        vm.warp(endOf(2) + 51);
        judges.refresh(keys[4]);
        (, uint256 total) = judges.votesOf(SWARM, 3, LOG, GOLD, "tally");
        isEqual(total, 9 * STAKE, "roll of today");
        judges.finalize(SWARM, 1, LOG, GOLD, "tally");
    }

    // --- money

    function test_fund_byAnyoneForAnEpochThatHasBegun() public {
        vm.warp(endOf(1));
        give(2, 4 ether);
        give(2, 1 ether);
        give(0, 1 ether);
        isEqual(pot(2), 5 ether, "running epoch");
        isEqual(pot(0), 1 ether, "ended epoch");
        credit.faucet(1);
        credit.approve(address(judges), 1);
        refused(IJudgeAnchor.WindowClosed.selector);
        judges.fund(SWARM, 3, 1);
        (,, uint256 expires) = judges.timesOf(SWARM, 0);
        vm.warp(expires);
        judges.fund(SWARM, 0, 1);
        vm.warp(expires + 1);
        refused(IJudgeAnchor.WindowClosed.selector);
        judges.fund(SWARM, 0, 1);
        refused(ISwarmRegistry.SwarmUnknown.selector);
        judges.fund("nowhere", 0, 1);
    }

    function test_claim_slashesIntoThePotAndPaysOutOfIt() public {
        put(0, DEPOSIT);
        list(0, 0, 30 ether);
        list(1, 20 ether, 0);
        list(2, 10 ether, 0);
        decide(1, rootOf(1));
        for (uint256 i = 0; i < 3; ++i) {
            claim(1, i);
        }
        isEqual(account(0).active, 70 ether, "slashed");
        isEqual(account(1).earned, 20 ether, "first");
        isEqual(account(2).earned, 10 ether, "second");
        isEqual(pot(1), 0, "pot");
        vm.prank(operators[1]);
        judges.withdraw(SWARM);
        isEqual(credit.balanceOf(operators[1]), 20 ether, "paid");
        isEqual(credit.balanceOf(address(judges)), 80 ether, "held");
    }

    function test_claim_slashesFirstWhereAnEntryDoesBoth() public {
        put(0, DEPOSIT);
        list(0, 7 ether, 5 ether);
        decide(1, rootOf(1));
        claim(1, 0);
        isEqual(account(0).active, 95 ether, "stake");
        isEqual(account(0).earned, 5 ether, "from its own slash");
        isEqual(judges.claimOf(SWARM, 1, operators[0]).owed, 2 ether, "owed");
    }

    function test_claim_paysInPartAndTheRestLater() public {
        put(0, DEPOSIT);
        list(0, 0, 30 ether);
        list(1, 40 ether, 0);
        decide(1, rootOf(1));
        bytes32[] memory proof = proofOf(1, 1);
        vm.expectRevert(abi.encodeWithSelector(IJudgeAnchor.PotShort.selector, 0, 40 ether));
        judges.claim(SWARM, 1, operators[1], 40 ether, 0, proof);
        claim(1, 0);
        claim(1, 1);
        isEqual(account(1).earned, 30 ether, "what there was");
        vm.expectRevert(abi.encodeWithSelector(IJudgeAnchor.PotShort.selector, 0, 10 ether));
        judges.claim(SWARM, 1, operators[1], 40 ether, 0, proof);
        give(1, 4 ether);
        claim(1, 1);
        isEqual(account(1).earned, 34 ether, "more");
        give(1, 100 ether);
        claim(1, 1);
        isEqual(account(1).earned, 40 ether, "all");
        isEqual(pot(1), 94 ether, "no more than that");
        refused(IJudgeAnchor.AlreadyClaimed.selector);
        judges.claim(SWARM, 1, operators[1], 40 ether, 0, proof);
    }

    function test_claim_slashesOnceAndNoMoreThanTheStake() public {
        put(0, DEPOSIT);
        vm.prank(operators[0]);
        judges.unbond(SWARM, 30 ether);
        list(0, 0, 90 ether);
        list(1, 0, 200 ether);
        decide(1, rootOf(1));
        claim(1, 0);
        isEqual(account(0).active, 0, "active first");
        isEqual(account(0).unbonding, 10 ether, "then what is on its way out");
        put(0, DEPOSIT);
        bytes32[] memory proof = proofOf(1, 0);
        refused(IJudgeAnchor.AlreadyClaimed.selector);
        judges.claim(SWARM, 1, operators[0], 0, 90 ether, proof);
        put(1, DEPOSIT);
        claim(1, 1);
        isEqual(account(1).active, 0, "all");
        isEqual(pot(1), 190 ether, "no more than there was");
    }

    function test_claim_needsAFinalTally() public {
        list(0, 1 ether, 0);
        anchors(5, 1, rootOf(1));
        toClaims(1);
        bytes32[] memory proof = proofOf(1, 0);
        refused(IJudgeAnchor.NotFinal.selector);
        judges.claim(SWARM, 1, operators[0], 1 ether, 0, proof);
    }

    function test_claim_untilItsTimeIsOver() public {
        put(0, DEPOSIT);
        list(0, 0, 1 ether);
        list(1, 0, 1 ether);
        decide(1, rootOf(1));
        (,, uint256 expires) = judges.timesOf(SWARM, 1);
        vm.warp(expires);
        claim(1, 0);
        vm.warp(expires + 1);
        bytes32[] memory proof = proofOf(1, 1);
        refused(IJudgeAnchor.WindowClosed.selector);
        judges.claim(SWARM, 1, operators[1], 0, 1 ether, proof);
    }

    function test_claim_ofATallyOfOne() public {
        put(0, DEPOSIT);
        list(0, 0, 1 ether);
        decide(1, judges.leafOf(SWARM, 1, operators[0], 0, 1 ether));
        claim(1, 0);
        isEqual(pot(1), 1 ether, "an empty proof");
    }

    function test_claim_ofAnEmptyTally() public {
        decide(1, 0);
        bytes32[] memory proof = new bytes32[](0);
        refused(IJudgeAnchor.ProofWrong.selector);
        judges.claim(SWARM, 1, operators[0], 1 ether, 0, proof);
    }

    function test_sweep_toTheTreasuryAfterTheClaims() public {
        give(0, 3 ether);
        put(0, DEPOSIT);
        list(0, 0, 10 ether);
        decide(1, rootOf(1));
        claim(1, 0);
        (,, uint256 expires) = judges.timesOf(SWARM, 1);
        vm.warp(expires);
        refused(IJudgeAnchor.ClaimsOpen.selector);
        judges.sweep(SWARM, 1);
        vm.warp(expires + 1);
        judges.sweep(SWARM, 1);
        isEqual(vault.treasuryOf(SWARM), 10 ether, "treasury");
        judges.sweep(SWARM, 0);
        isEqual(vault.treasuryOf(SWARM), 13 ether, "an undecided epoch's pot too");
        isEqual(credit.balanceOf(address(judges)), 90 ether, "held");
        isEqual(credit.allowance(address(judges), address(vault)), 0, "allowance");
        refused(IJudgeAnchor.NothingToPay.selector);
        judges.sweep(SWARM, 1);
        refused(ISwarmRegistry.SwarmUnknown.selector);
        judges.sweep("nowhere", 1);
    }

    // --- fuzz

    function testFuzz_tally_everyEntryOnceAndNothingElse(uint8 width, uint128 earned, uint128 slashed, bytes32 noise) public {
        uint256 n = between(width, 1, 24);
        for (uint256 i = 0; i < n; ++i) {
            bytes32 word = keccak256(abi.encode(noise, i));
            entries.push(Entry(address(uint160(uint256(word))), 0, uint128(uint256(word) >> 200)));
        }
        decide(1, rootOf(1));
        Entry memory e = entries[uint256(noise) % n];
        bytes32[] memory proof = proofOf(1, uint256(noise) % n);
        if (earned != e.earned || slashed != e.slashed) {
            refused(IJudgeAnchor.ProofWrong.selector);
            judges.claim(SWARM, 1, e.operator, earned, slashed, proof);
        }
        refused(IJudgeAnchor.ProofWrong.selector);
        judges.claim(SWARM, 1, address(uint160(uint256(noise))), e.earned, e.slashed, proof);
        for (uint256 i = 0; i < n; ++i) {
            claim(1, i);
        }
        refused(IJudgeAnchor.AlreadyClaimed.selector);
        judges.claim(SWARM, 1, e.operator, e.earned, e.slashed, proof);
    }

    /// @dev Nobody gets more than its entry says, all together not more than the slashes and funds, whatever the order.
    function testFuzz_claim_neverPaysMoreThanCameIn(uint256 seed, uint64 funds) public {
        uint256 stake_ = 0;
        for (uint256 i = 0; i < 5; ++i) {
            uint128 deposit_ = uint128(between(uint256(keccak256(abi.encode(seed, "deposit", i))), 1, 100 ether));
            put(i, deposit_);
            stake_ += deposit_;
            uint256 word = uint256(keccak256(abi.encode(seed, "entry", i)));
            list(i, uint128(between(word, 0, 100 ether)), uint128(between(word >> 128, 0, 150 ether)));
        }
        decide(1, rootOf(1));
        give(1, funds % 10 ether + 1);
        for (uint256 turn = 0; turn < 12; ++turn) {
            uint256 i = uint256(keccak256(abi.encode(seed, "order", turn))) % 5;
            bytes32[] memory proof = proofOf(1, i);
            try judges.claim(SWARM, 1, operators[i], entries[i].earned, entries[i].slashed, proof) {} catch {}
        }
        uint256 sum = pot(1);
        for (uint256 i = 0; i < 5; ++i) {
            isTrue(account(i).earned <= entries[i].earned, "more than its entry");
            sum += uint256(account(i).active) + account(i).earned;
        }
        isEqual(sum, stake_ + funds % 10 ether + 1, "conserved");
    }

    /// @dev A triple is final exactly if more than half of all weight anchored it.
    function testFuzz_finalize_followsWeight(uint256 seed, uint8 mask) public {
        uint256 votes = 0;
        uint256 all_ = 0;
        for (uint256 i = 0; i < 5; ++i) {
            uint256 extra = uint256(keccak256(abi.encode(seed, i))) % 4;
            if (extra != 0) more(i, extra * STAKE);
            all_ += 1 + extra;
            if (mask >> i & 1 == 1) votes += 1 + extra;
        }
        for (uint256 i = 0; i < 5; ++i) {
            toWindow(1);
            judges.refresh(keys[i]);
            if (mask >> i & 1 == 1) anchor(i, 1, "tally");
            else if (seed >> i & 1 == 1) anchor(i, 1, "other");
        }
        toClaims(1);
        if (2 * votes <= all_) refused(IJudgeAnchor.MajorityMissing.selector);
        judges.finalize(SWARM, 1, LOG, GOLD, "tally");
        isEqual(judges.roundOf(SWARM, 1).expires != 0 ? 1 : 0, 2 * votes > all_ ? 1 : 0, "final");
    }

    function more(uint256 i, uint256 amount) private {
        for (uint256 k = 0; k < amount; k += STAKE) {
            fill(operators[i], STAKE);
        }
        vm.startPrank(operators[i]);
        credit.approve(address(vault), amount);
        vault.stake(keys[i], amount, CLASS);
        vm.stopPrank();
    }
}
