// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IJudgeAnchor} from "../src/interfaces/IJudgeAnchor.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {JudgeTown} from "./JudgeTown.sol";

/// @notice A token that makes one call back while it moves; what that call is answered with comes out.
contract EchoToken is ERC20("Echo", "ECHO") {
    address private _target;
    bytes private _call;

    constructor(address holder) {
        _mint(holder, 1e30);
    }

    function aim(address target, bytes calldata call_) external {
        (_target, _call) = (target, call_);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (_target == address(0)) return;
        (bool done, bytes memory answer) = _target.call(_call);
        if (done) return;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}

/// @notice Attempts on the judge market's money and roots, each of which brings nothing.
///
///  a minority forces a root                      test_minority_* (all)
///  free stake votes                              test_faucetIdentitiesHaveNoVoice
///  one stake votes twice                         test_minority_stakeOnItsWayToAnotherKey
///  votes or entries used elsewhere               test_votes_*, test_entries_* (all)
///  a node of the tree passes for an entry        test_entries_innerNodes, test_entries_hashedOnce
///  a slash is outrun                             testFuzz_slash_cannotBeOutrun
///  a tally pays what is not there                test_pots_*; JudgeAnchorTest.testFuzz_claim_neverPaysMoreThanCameIn
///  a token calls back, or belongs to an attacker test_tokens_* (all)
///  a stolen session key                          test_sessionKeysMoveNoValue
/// What more than half of the weight can do is not here: it decides what a tally says, as SECURITY.md warns.
contract JudgeAnchorThreatsTest is JudgeTown {
    bytes32 private constant OTHER = keccak256("another town");

    function setUp() public {
        deployJudges();
        found(terms(), 5);
    }

    function rollOf(uint32 epoch) private view returns (uint256 total) {
        (, total) = judges.votesOf(SWARM, epoch, LOG, GOLD, "theirs");
    }

    function notFinal(uint32 epoch) private {
        toClaims(epoch);
        refused(IJudgeAnchor.MajorityMissing.selector);
        judges.finalize(SWARM, epoch, LOG, GOLD, "theirs");
    }

    // --- a minority

    function test_minority_thatVotesAndLeaves() public {
        anchors(5, 1, "ours");
        anchors(2, 2, "theirs");
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 key = keys[i];
            vm.prank(operators[i]);
            vault.unbond(key, STAKE);
            judges.refresh(key);
        }
        isEqual(rollOf(2), 5 * STAKE, "their own weight stays in the sum");
        notFinal(2);
    }

    function test_minority_inTheOthersSilence() public {
        anchors(5, 1, "ours");
        anchors(2, 2, "theirs");
        notFinal(2);
    }

    function test_minority_beforeTheOthersEverAnchored() public {
        anchors(2, 1, "theirs");
        isEqual(rollOf(1), 2 * STAKE, "alone so far");
        for (uint256 i = 2; i < 5; ++i) {
            judges.refresh(keys[i]); // by anyone
        }
        notFinal(1);
    }

    function test_minority_thatBuysWeightInTheWindow() public {
        anchors(5, 1, "ours");
        toWindow(2);
        for (uint256 k = 0; k < 9; ++k) {
            fill(operators[0], STAKE);
        }
        vm.startPrank(operators[0]);
        credit.approve(address(vault), 9 * STAKE);
        vault.stake(keys[0], 9 * STAKE, CLASS);
        vm.stopPrank();
        anchor(0, 2, "theirs");
        notFinal(2);
    }

    function test_minority_thatWaitsForTheOthersToLeave() public {
        anchors(5, 1, "ours");
        anchors(2, 2, "theirs");
        toClaims(2);
        for (uint256 i = 2; i < 5; ++i) {
            bytes32 key = keys[i];
            vm.prank(operators[i]);
            vault.unbond(key, STAKE);
        }
        vm.warp(endOf(4));
        for (uint256 i = 2; i < 5; ++i) {
            judges.refresh(keys[i]);
        }
        isEqual(rollOf(4), 2 * STAKE, "they are all that is left");
        notFinal(2);
    }

    function test_minority_stakeOnItsWayToAnotherKey() public {
        anchors(5, 1, "ours");
        bytes32 key = keys[0];
        vm.prank(operators[0]);
        vault.unbond(key, STAKE);
        vm.warp(endOf(1) + 51);
        toWindow(2);
        vm.startPrank(operators[0]);
        refused(IStakeVault.StillUnbonding.selector);
        vault.withdraw(key);
        refused(IJudgeAnchor.NoWeight.selector);
        judges.anchor(key, 2, LOG, GOLD, "theirs");
    }

    function test_faucetIdentitiesHaveNoVoice() public {
        deployJudges();
        delete keys;
        delete operators;
        ISwarmRegistry.Terms memory t = terms();
        t.faucet = true;
        vm.prank(vm.addr(1));
        registry.createSwarm(SWARM, keccak256("recipe"), BASE, t, "");
        for (uint256 n = 1; n <= 30; ++n) {
            settleIn(n, CLASS);
        }
        anchor(0, 1, "ours");
        for (uint256 i = 1; i < 30; ++i) {
            bytes32 key = keys[i];
            judges.refresh(key);
            vm.prank(operators[i]);
            refused(IJudgeAnchor.NoWeight.selector);
            judges.anchor(key, 1, LOG, GOLD, "theirs");
        }
        isEqual(rollOf(1), STAKE, "the creator's");
        toClaims(1);
        judges.finalize(SWARM, 1, LOG, GOLD, "ours");
    }

    // --- votes and entries used elsewhere

    function test_votes_ofAnotherEpoch() public {
        anchors(5, 1, "theirs");
        notFinal(2);
    }

    function test_votes_ofAnotherSwarm() public {
        otherTown(address(credit));
        anchors(5, 1, "theirs");
        toClaims(1);
        refused(IJudgeAnchor.MajorityMissing.selector);
        judges.finalize(OTHER, 1, LOG, GOLD, "theirs");
    }

    function test_votes_afterTheWindow() public {
        anchors(2, 1, "theirs");
        for (uint256 i = 2; i < 5; ++i) {
            judges.refresh(keys[i]);
        }
        toClaims(1);
        bytes32 key = keys[2];
        vm.prank(operators[2]);
        refused(IJudgeAnchor.WindowClosed.selector);
        judges.anchor(key, 1, LOG, GOLD, "theirs");
        notFinal(1);
    }

    function test_entries_ofAnotherEpochSwarmOrOperator() public {
        otherTown(address(credit));
        list(0, 1 ether, 0);
        list(1, 2 ether, 0);
        bytes32 root = rootOf(1);
        decide(1, root);
        decide(2, root); // the same root, an epoch later
        bytes32[] memory proof = proofOf(1, 0);
        refused(IJudgeAnchor.ProofWrong.selector);
        judges.claim(SWARM, 2, operators[0], 1 ether, 0, proof);
        refused(IJudgeAnchor.ProofWrong.selector);
        judges.claim(SWARM, 1, operators[2], 1 ether, 0, proof);
        refused(IJudgeAnchor.NotFinal.selector);
        judges.claim(OTHER, 1, operators[0], 1 ether, 0, proof);
        bytes32[] memory foreign = proofOf(1, 1);
        refused(IJudgeAnchor.ProofWrong.selector);
        judges.claim(SWARM, 1, operators[0], 1 ether, 0, foreign);
        refused(IJudgeAnchor.ProofWrong.selector);
        judges.claim(SWARM, 1, operators[0], 1 ether, 0, new bytes32[](0));
    }

    function test_entries_innerNodes() public {
        for (uint256 i = 0; i < 5; ++i) {
            list(i, uint128(i + 1), 0);
        }
        bytes32[] memory nodes = nodesOf(leavesOf(1));
        decide(1, nodes[0]);
        for (uint256 i = 0; i < nodes.length; ++i) {
            bytes32[] memory path = pathOf(nodes, nodes[i]);
            for (uint256 j = 0; j < 5; ++j) {
                if (nodes[i] == leafAt(1, j)) continue;
                refused(IJudgeAnchor.ProofWrong.selector);
                judges.claim(SWARM, 1, operators[j], uint128(j + 1), 0, path);
            }
        }
    }

    function test_entries_hashedOnce() public {
        bytes32 leaf = keccak256(abi.encode(SWARM, uint32(1), operators[0], uint128(1 ether), uint128(0)));
        decide(1, leaf);
        bytes32[] memory proof = new bytes32[](0);
        refused(IJudgeAnchor.ProofWrong.selector);
        judges.claim(SWARM, 1, operators[0], 1 ether, 0, proof);
        isTrue(judges.leafOf(SWARM, 1, operators[0], 1 ether, 0) == keccak256(bytes.concat(leaf)), "hashed twice");
    }

    function test_entries_twoOfOneOperator() public {
        put(0, DEPOSIT);
        list(0, 1 ether, 5 ether);
        list(0, 50 ether, 60 ether);
        decide(1, rootOf(1));
        give(1, 90 ether);
        claim(1, 0);
        bytes32[] memory proof = proofOf(1, 1);
        refused(IJudgeAnchor.AlreadyClaimed.selector);
        judges.claim(SWARM, 1, operators[0], 50 ether, 60 ether, proof);
        isEqual(account(0).active, 95 ether, "the first entry's slash");
        isEqual(account(0).earned, 1 ether, "and pay");
    }

    function test_entries_twoOfOneOperatorWhileOneIsOwed() public {
        put(0, DEPOSIT);
        list(0, 9 ether, 5 ether);
        list(0, 50 ether, 60 ether);
        decide(1, rootOf(1));
        claim(1, 0);
        give(1, 90 ether);
        claim(1, 1);
        isEqual(account(0).active, 95 ether, "the first entry's slash");
        isEqual(account(0).earned, 9 ether, "and pay");
    }

    // --- money

    /// @dev The stake leaves at any moment of an epoch. A seat is drawn in that epoch's last second, for a market that takes as long as any
    /// can, its tally is anchored in the last second of the window, and an epoch later it is claimed.
    function testFuzz_slash_cannotBeOutrun(uint256 length, uint256 moment) public {
        deployJudges();
        delete keys;
        delete operators;
        ISwarmRegistry.Terms memory t = terms();
        t.epoch = uint32(between(length, 20, 500));
        (t.grace, t.ring) = (t.epoch - 1, 100);
        found(t, 1);
        put(0, DEPOSIT);
        vm.warp(endOf(0) + moment % t.epoch);
        vm.prank(operators[0]);
        judges.unbond(SWARM, DEPOSIT);
        uint32 epoch = registry.epochAt(SWARM, endOf(1) - 1 + 16 days);
        list(0, 0, DEPOSIT);
        bytes32 root = rootOf(epoch);
        vm.warp(endOf(epoch) + t.grace);
        anchor(0, epoch, root);
        toClaims(epoch);
        judges.finalize(SWARM, epoch, LOG, GOLD, root);
        pass(t.epoch);
        vm.prank(operators[0]);
        refused(IJudgeAnchor.StillUnbonding.selector);
        judges.withdraw(SWARM);
        claim(epoch, 0);
        isEqual(account(0).unbonding, 0, "slashed");
    }

    function test_pots_areKeptApart() public {
        list(0, 10 ether, 0);
        decide(1, rootOf(1));
        decide(2, rootOf(2));
        give(2, 10 ether);
        bytes32[] memory proof = proofOf(1, 0);
        refused(IJudgeAnchor.PotShort.selector);
        judges.claim(SWARM, 1, operators[0], 10 ether, 0, proof);
        put(1, DEPOSIT);
        refused(IJudgeAnchor.PotShort.selector);
        judges.claim(SWARM, 1, operators[0], 10 ether, 0, proof);
        claim(2, 0);
        isEqual(account(1).active, DEPOSIT, "nobody's stake");
    }

    function test_pots_ofTheLargestNumbers() public {
        put(0, DEPOSIT);
        list(0, type(uint128).max, type(uint128).max);
        list(1, type(uint128).max, type(uint128).max);
        decide(1, rootOf(1));
        claim(1, 0);
        isEqual(account(0).earned, DEPOSIT, "what came in");
        bytes32[] memory proof = proofOf(1, 1);
        refused(IJudgeAnchor.PotShort.selector);
        judges.claim(SWARM, 1, operators[1], type(uint128).max, type(uint128).max, proof);
    }

    function test_sessionKeysMoveNoValue() public {
        put(0, DEPOSIT);
        bytes32 key = keys[0];
        vm.startPrank(vm.addr(10_001));
        refused(IJudgeAnchor.NotOperator.selector);
        judges.deposit(key, 1);
        refused(IJudgeAnchor.StakeMissing.selector);
        judges.unbond(SWARM, 1);
        refused(IJudgeAnchor.NothingToPay.selector);
        judges.withdraw(SWARM);
    }

    function test_tokens_thatCallBack() public {
        deployJudges();
        delete keys;
        delete operators;
        ISwarmRegistry.Terms memory t = terms();
        EchoToken token = new EchoToken(vm.addr(1));
        t.token = address(token);
        found(t, 0);
        bytes32 key = enlist(1);
        vm.startPrank(vm.addr(1));
        token.approve(address(judges), 4 * DEPOSIT);
        judges.deposit(key, DEPOSIT);
        judges.fund(SWARM, 0, DEPOSIT);
        judges.unbond(SWARM, DEPOSIT);
        (,, uint256 expires) = judges.timesOf(SWARM, 0);
        vm.warp(expires);
        bytes[4] memory calls = [
            abi.encodeCall(IJudgeAnchor.withdraw, (SWARM)),
            abi.encodeCall(IJudgeAnchor.deposit, (key, 0)),
            abi.encodeCall(IJudgeAnchor.fund, (SWARM, 0, 0)),
            abi.encodeCall(IJudgeAnchor.sweep, (SWARM, 0))
        ];
        bytes4 entered = ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector;
        for (uint256 i = 0; i < 4; ++i) {
            token.aim(address(judges), calls[i]);
            refused(entered);
            judges.withdraw(SWARM);
            refused(entered);
            judges.deposit(key, DEPOSIT);
            refused(entered);
            judges.fund(SWARM, 0, DEPOSIT);
        }
        vm.warp(expires + 1);
        token.aim(address(judges), calls[0]);
        refused(entered);
        judges.sweep(SWARM, 0);
    }

    function test_tokens_ofAnAttackersSwarm() public {
        put(0, DEPOSIT);
        give(0, 10 ether);
        EchoToken token = new EchoToken(address(this));
        otherTown(address(token));
        bytes32 key = registry.register(OTHER, peer(7), address(7));
        ledger.enter(OTHER, address(this), peer(7));
        token.approve(address(judges), 2 * DEPOSIT);
        judges.deposit(key, DEPOSIT);
        judges.fund(OTHER, 0, DEPOSIT);
        judges.unbond(OTHER, DEPOSIT);
        (,, uint256 expires) = judges.timesOf(OTHER, 0);
        vm.warp(expires + 1);
        judges.withdraw(OTHER);
        judges.sweep(OTHER, 0);
        isEqual(credit.balanceOf(address(judges)), DEPOSIT + 10 ether, "the other swarm's money");
        isEqual(token.balanceOf(address(judges)), 0, "its own");
        isEqual(vault.treasuryOf(SWARM), 0, "treasury");
        refused(IJudgeAnchor.NothingToPay.selector);
        judges.withdraw(SWARM);
    }

    function otherTown(address token) private {
        ISwarmRegistry.Terms memory t = terms();
        t.token = token;
        registry.createSwarm(OTHER, keccak256("recipe"), BASE, t, "");
    }
}
