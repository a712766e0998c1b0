// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {JudgeAnchor} from "../src/JudgeAnchor.sol";
import {IJudgeAnchor} from "../src/interfaces/IJudgeAnchor.sol";
import {Town} from "./Town.sol";

/// @notice A town with a judge market: its members anchor roots, and tallies are trees as OpenZeppelin's JavaScript library builds them.
abstract contract JudgeTown is Town {
    bytes32 internal constant LOG = keccak256("log");
    bytes32 internal constant GOLD = keccak256("gold");
    uint128 internal constant DEPOSIT = 100 ether;

    struct Entry {
        address operator;
        uint128 earned;
        uint128 slashed;
    }

    JudgeAnchor internal judges;
    Entry[] internal entries;

    function deployJudges() internal {
        deploy();
        judges = new JudgeAnchor(registry, ledger, vault);
    }

    function put(uint256 i, uint128 amount) internal {
        fill(operators[i], amount);
        vm.startPrank(operators[i]);
        credit.approve(address(judges), amount);
        judges.deposit(keys[i], amount);
        vm.stopPrank();
    }

    function give(uint32 epoch, uint128 amount) internal {
        credit.faucet(amount);
        credit.approve(address(judges), amount);
        judges.fund(SWARM, epoch, amount);
    }

    /// @dev Goes to the window, unless the time is past its beginning.
    function toWindow(uint32 epoch) internal {
        if (block.timestamp < endOf(epoch)) vm.warp(endOf(epoch));
    }

    function anchor(uint256 i, uint32 epoch, bytes32 tallyRoot) internal {
        toWindow(epoch);
        vm.prank(ledger.memberOf(keys[i]).session);
        judges.anchor(keys[i], epoch, LOG, GOLD, tallyRoot);
    }

    function anchors(uint256 members, uint32 epoch, bytes32 tallyRoot) internal {
        for (uint256 i = 0; i < members; ++i) {
            anchor(i, epoch, tallyRoot);
        }
    }

    function toClaims(uint32 epoch) internal {
        (, uint256 closes,) = judges.timesOf(SWARM, epoch);
        if (block.timestamp <= closes) vm.warp(closes + 1);
    }

    /// @dev All members anchor this tally, and it becomes final.
    function decide(uint32 epoch, bytes32 tallyRoot) internal {
        anchors(keys.length, epoch, tallyRoot);
        toClaims(epoch);
        judges.finalize(SWARM, epoch, LOG, GOLD, tallyRoot);
    }

    function claim(uint32 epoch, uint256 i) internal {
        Entry memory e = entries[i];
        bytes32[] memory proof = proofOf(epoch, i);
        judges.claim(SWARM, epoch, e.operator, e.earned, e.slashed, proof);
    }

    function account(uint256 i) internal view returns (IJudgeAnchor.Account memory) {
        return judges.accountOf(SWARM, operators[i]);
    }

    function pot(uint32 epoch) internal view returns (uint256) {
        return judges.roundOf(SWARM, epoch).pot;
    }

    function delay() internal view returns (uint256) {
        return judges.delayOf(SWARM);
    }

    // --- the tally as a tree

    function list(uint256 i, uint128 earned, uint128 slashed) internal {
        entries.push(Entry(operators[i], earned, slashed));
    }

    function leafAt(uint32 epoch, uint256 i) internal view returns (bytes32) {
        Entry memory e = entries[i];
        return keccak256(bytes.concat(keccak256(abi.encode(SWARM, epoch, e.operator, e.earned, e.slashed))));
    }

    function leavesOf(uint32 epoch) internal view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](entries.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = leafAt(epoch, i);
        }
    }

    function rootOf(uint32 epoch) internal view returns (bytes32) {
        return nodesOf(leavesOf(epoch))[0];
    }

    function proofOf(uint32 epoch, uint256 i) internal view returns (bytes32[] memory) {
        return pathOf(nodesOf(leavesOf(epoch)), leafAt(epoch, i));
    }

    /// @dev StandardMerkleTree: the sorted leaves stand at the end in falling order, node i is over nodes 2i + 1 and 2i + 2.
    function nodesOf(bytes32[] memory leaves) internal pure returns (bytes32[] memory nodes) {
        uint256 n = leaves.length;
        nodes = new bytes32[](2 * n - 1);
        for (uint256 i = 0; i < n; ++i) {
            uint256 place = nodes.length - 1;
            for (uint256 j = 0; j < n; ++j) {
                if (leaves[j] < leaves[i] || (leaves[j] == leaves[i] && j < i)) --place;
            }
            nodes[place] = leaves[i];
        }
        for (uint256 i = n - 1; i > 0; --i) {
            nodes[i - 1] = Hashes.commutativeKeccak256(nodes[2 * i - 1], nodes[2 * i]);
        }
    }

    function pathOf(bytes32[] memory nodes, bytes32 node) internal pure returns (bytes32[] memory path) {
        uint256 place = 0;
        while (nodes[place] != node) ++place;
        uint256 length = 0;
        for (uint256 i = place; i > 0; i = (i - 1) / 2) {
            ++length;
        }
        path = new bytes32[](length);
        for (uint256 i = 0; i < length; ++i) {
            path[i] = nodes[place % 2 == 1 ? place + 1 : place - 1];
            place = (place - 1) / 2;
        }
    }
}
