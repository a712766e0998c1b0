// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IBlockHashBeacon} from "../src/interfaces/IBlockHashBeacon.sol";
import {ICommitRevealBeacon} from "../src/interfaces/ICommitRevealBeacon.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {Town} from "./Town.sol";

contract CommitRevealBeaconTest is Town {
    function setUp() public {
        deploy();
        found(terms(), 4);
    }

    function openWindow() private {
        (uint256 opens,) = reveals.windowOf(SWARM, 1);
        vm.warp(opens);
    }

    function closeWindow() private {
        (, uint256 closes) = reveals.windowOf(SWARM, 1);
        vm.warp(closes);
    }

    function test_value_ofGenesisIsReady() public {
        (bytes32 r, bool ready) = reveals.value(SWARM, 0);
        isTrue(ready && r != 0, "ready");
        refused(ICommitRevealBeacon.GenesisIsFixed.selector);
        reveals.windowOf(SWARM, 0);
        refused(ICommitRevealBeacon.GenesisIsFixed.selector);
        reveals.reveal(keys[0], 0, 0);
    }

    function test_value_readyOnlyWhenNobodyCanRevealAnyMore() public {
        openWindow();
        for (uint256 i = 0; i < 4; ++i) {
            revealNext(i, 1);
        }
        (, bool ready) = reveals.value(SWARM, 1);
        isTrue(!ready, "still open");
        closeWindow();
        (, ready) = reveals.value(SWARM, 1);
        isTrue(ready, "closed");
        refused(ICommitRevealBeacon.WindowClosed.selector);
        reveals.reveal(keys[0], 1, 0);
        isEqual(reveals.reveals(SWARM, 1), 4, "reveals");
    }

    function test_value_doesNotDependOnTheOrder() public {
        openWindow();
        for (uint256 i = 0; i < 4; ++i) {
            revealNext(i, 1);
        }
        (bytes32 a,) = reveals.value(SWARM, 1);
        deploy();
        delete keys;
        delete operators;
        for (uint256 i = 0; i < 4; ++i) {
            used[i] = 0;
        }
        found(terms(), 4);
        openWindow();
        for (uint256 i = 4; i > 0; --i) {
            revealNext(i - 1, 1);
        }
        (bytes32 b,) = reveals.value(SWARM, 1);
        isEqual(a, b, "order");
    }

    function test_reveal_refusals() public {
        bytes32 key = keys[0];
        bytes32 good = link(1, 1);
        refused(ICommitRevealBeacon.WindowClosed.selector);
        reveals.reveal(key, 1, good);
        openWindow();
        refused(ICommitRevealBeacon.PreimageWrong.selector);
        reveals.reveal(key, 1, "guess");
        reveals.reveal(key, 1, good);
        isTrue(reveals.hasRevealed(key, 1), "revealed");
        bytes32 more = link(1, 2);
        refused(ICommitRevealBeacon.AlreadyRevealed.selector);
        reveals.reveal(key, 1, more);
        bytes32 idle = enlist(9);
        refused(ICommitRevealBeacon.NoWeight.selector);
        reveals.reveal(idle, 1, good);
    }

    function test_setTip_refusals() public {
        bytes32 key = keys[0];
        refused(ICommitRevealBeacon.NotAgent.selector);
        reveals.setTip(key, "tip");
        vm.prank(operators[0]);
        refused(ICommitRevealBeacon.TipMissing.selector);
        reveals.setTip(key, 0);
    }

    function test_reveal_withoutATip() public {
        bytes32 key = enlist(9);
        fill(operators[4], STAKE);
        vm.startPrank(operators[4]);
        credit.approve(address(vault), STAKE);
        vault.stake(key, STAKE, CLASS);
        vm.stopPrank();
        openWindow();
        refused(ICommitRevealBeacon.TipMissing.selector);
        reveals.reveal(key, 1, "x");
    }

    function test_setTip_anewDoesNotChangeARevealUnderWay() public {
        openWindow();
        bytes32 key = keys[0];
        vm.prank(operators[0]);
        reveals.setTip(key, keccak256(abi.encode(bytes32("fresh"))));
        refused(ICommitRevealBeacon.PreimageWrong.selector);
        reveals.reveal(key, 1, "fresh");
        revealNext(0, 1);
        (uint256 opens,) = reveals.windowOf(SWARM, 2);
        vm.warp(opens);
        reveals.reveal(key, 2, "fresh");
        isEqual(reveals.chainOf(key).next, "fresh", "chain moved");
    }

    function test_missed_isForfeitedOnce() public {
        openWindow();
        revealNext(1, 1);
        isTrue(!reveals.missed(keys[0], 1), "still time");
        closeWindow();
        isTrue(reveals.missed(keys[0], 1) && !reveals.missed(keys[1], 1), "missed");
        vault.forfeit(keys[0], 1);
        isEqual(vault.stakeOf(keys[0]).active, STAKE * 99 / 100, "forfeit");
        isTrue(vault.stakeOf(keys[0]).lapsed, "paused");
        vault.forfeit(keys[0], 1);
        isEqual(vault.stakeOf(keys[0]).active, STAKE * 99 / 100, "once");
        bytes32 key = keys[1];
        refused(IStakeVault.NotMissed.selector);
        vault.forfeit(key, 1);
    }

    function test_missed_nobodyIsToBlameForAChainOutage() public {
        closeWindow();
        isTrue(!reveals.missed(keys[0], 1), "no reveals at all");
    }

    function test_kind() public view {
        isEqual(keccak256(bytes(reveals.kind())), keccak256("commit-reveal"), "kind");
    }
}

contract BlockHashBeaconTest is Town {
    function setUp() public {
        deploy();
        found(terms(), 0);
    }

    function test_poke_namesABlockThenTakesItsHash() public {
        vm.warp(endOf(0) + 51);
        hashes.poke(SWARM, 1);
        uint256 target = hashes.targetOf(SWARM, 1);
        isEqual(target, block.number + 4, "target");
        refused(IBlockHashBeacon.BlockNotReached.selector);
        hashes.poke(SWARM, 1);
        vm.roll(target + 1);
        vm.setBlockhash(target, "hash");
        hashes.poke(SWARM, 1);
        (bytes32 r, bool ready) = hashes.value(SWARM, 1);
        isTrue(ready, "ready");
        isEqual(r, keccak256(abi.encode(SWARM, uint32(1), bytes32("hash"))), "value");
        refused(IBlockHashBeacon.AlreadyDrawn.selector);
        hashes.poke(SWARM, 1);
    }

    function test_poke_reRollsWhenTooOld() public {
        vm.warp(endOf(0) + 51);
        hashes.poke(SWARM, 1);
        vm.roll(block.number + 300);
        hashes.poke(SWARM, 1);
        (, bool ready) = hashes.value(SWARM, 1);
        isTrue(!ready, "not ready");
        isEqual(hashes.targetOf(SWARM, 1), block.number + 4, "new target");
    }

    function test_poke_notWhileTheCommitWindowIsOpen() public {
        vm.warp(endOf(0) + 50);
        refused(IBlockHashBeacon.TooEarly.selector);
        hashes.poke(SWARM, 1);
        refused(IBlockHashBeacon.GenesisIsFixed.selector);
        hashes.poke(SWARM, 0);
    }

    function test_genesisAndDuties() public view {
        (, bool ready) = hashes.value(SWARM, 0);
        isTrue(ready, "genesis");
        isTrue(!hashes.missed("anyone", 1), "nobody owes");
        isEqual(keccak256(bytes(hashes.kind())), keccak256("block-hash"), "kind");
    }
}
