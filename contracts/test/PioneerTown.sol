// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Distributor} from "../src/Distributor.sol";
import {PioneerProgram} from "../src/PioneerProgram.sol";
import {IDistributor} from "../src/interfaces/IDistributor.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {IPioneerProgram} from "../src/interfaces/IPioneerProgram.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {JudgeTown} from "./JudgeTown.sol";

/// @notice A town whose members earn units by real audits, with a program and snapshots. Its randomness is the block hash's.
abstract contract PioneerTown is JudgeTown {
    address internal constant COUNCIL = address(0xC0);
    uint32 internal constant DELAY = 1 days;
    uint32 internal constant ANSWER = 7 days;
    bytes32 internal constant TEXT = keccak256("text");

    PioneerProgram internal pioneer;
    Distributor internal distributor;
    bytes32 internal program;
    IDistributor.Leaf[] internal tree;

    function deployPioneers(uint256 members) internal {
        deploy();
        pioneer = new PioneerProgram(registry, ledger, court);
        distributor = new Distributor(pioneer);
        ISwarmRegistry.Terms memory t = terms();
        t.randomness = hashes;
        registry.createSwarm(SWARM, keccak256("recipe"), BASE, t, "");
        for (uint256 n = 1; n <= members; ++n) {
            address operator = vm.addr(n);
            bytes32 key = enlist(n);
            fill(operator, STAKE);
            vm.startPrank(operator);
            credit.approve(address(vault), STAKE);
            vault.stake(key, STAKE, CLASS);
            vm.stopPrank();
        }
    }

    function bar(uint128 units, uint32 epochs, uint32 verdicts, bool judged) internal pure returns (IPioneerProgram.Bar memory) {
        return IPioneerProgram.Bar(units, epochs, verdicts, judged);
    }

    function bars(IPioneerProgram.Bar memory a, IPioneerProgram.Bar memory b) internal pure returns (IPioneerProgram.Bar[] memory list_) {
        list_ = new IPioneerProgram.Bar[](2);
        (list_[0], list_[1]) = (a, b);
    }

    function open(address council, IPioneerProgram.Bar[] memory list_) internal returns (bytes32) {
        bool any = council != address(0);
        IPioneerProgram.Rules memory rules = IPioneerProgram.Rules(SWARM, council, any ? DELAY : 0, any ? ANSWER : 0);
        return program = pioneer.start(keccak256(abi.encode(list_, council)), rules, list_, TEXT);
    }

    /// @dev A member's next epoch through a clean audit, settled. Returns it.
    function earn(uint256 i, uint64 units) internal returns (IParticipationLedger.Header memory h) {
        h = audited(i, units);
        pass(20);
        ledger.settle(h);
    }

    /// @dev The same until verdicts are revealed.
    function audited(uint256 i, uint64 units) internal returns (IParticipationLedger.Header memory h) {
        uint32 epoch = registry.openEpochAt(SWARM, block.timestamp);
        uint32 next = ledger.memberOf(keys[i]).next;
        if (next > epoch) epoch = next;
        if (block.timestamp < endOf(epoch)) vm.warp(endOf(epoch));
        h = headerOf(i, epoch);
        h.units = units;
        send(i, h);
        (uint256 opens,,,) = court.timesOf(SWARM, epoch, 0, 0);
        vm.warp(opens);
        draw(epoch + 1);
        speak(h, 0, all(ok()));
    }

    function draw(uint32 epoch) internal {
        (, bool ready) = hashes.value(SWARM, epoch);
        if (ready) return;
        hashes.poke(SWARM, epoch);
        uint256 target = hashes.targetOf(SWARM, epoch);
        vm.roll(target + 1);
        vm.setBlockhash(target, keccak256(abi.encode(target)));
        hashes.poke(SWARM, epoch);
    }

    function keysOf(uint256 i) internal view returns (bytes32[] memory list_) {
        list_ = new bytes32[](1);
        list_[0] = keys[i];
    }

    function pair(bytes32 a, bytes32 b) internal pure returns (bytes32[] memory list_) {
        list_ = new bytes32[](2);
        (list_[0], list_[1]) = a < b ? (a, b) : (b, a);
    }

    /// @dev A second peer of a member's operator, with stake.
    function branch(uint256 i, uint256 n) internal returns (bytes32 key) {
        fill(operators[i], STAKE);
        vm.startPrank(operators[i]);
        key = registry.register(SWARM, peer(n), vm.addr(10_000 + n));
        ledger.enter(SWARM, operators[i], peer(n));
        credit.approve(address(vault), STAKE);
        vault.stake(key, STAKE, CLASS);
        vm.stopPrank();
        keys.push(key);
        operators.push(operators[i]);
    }

    function application(uint256 i, bytes32[] memory list_) internal view returns (IPioneerProgram.Application memory a) {
        uint32 number = pioneer.pioneerOf(program, operators[i]).applications;
        return IPioneerProgram.Application(program, operators[i], TEXT, list_, number, uint64(block.timestamp + 100));
    }

    function signed(IPioneerProgram.Application memory a, uint256 secret) internal view returns (bytes memory) {
        bytes32 list_ = keccak256(abi.encodePacked(a.keys));
        bytes32 hash = keccak256(abi.encode(pioneer.APPLICATION_TYPEHASH(), a.program, a.operator, a.statement, list_, a.number, a.expires));
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("OpenSwarm PioneerProgram"),
                keccak256("1"),
                block.chainid,
                address(pioneer)
            )
        );
        return sign(secret, keccak256(abi.encodePacked("\x19\x01", domain, hash)));
    }

    function submit(uint256 i) internal {
        IPioneerProgram.Application memory a = application(i, keysOf(i));
        pioneer.submit(a, signed(a, i + 1));
    }

    function admit(uint256 i) internal {
        pioneer.admit(program, operators[i], keysOf(i), none());
    }

    function none() internal pure returns (IPioneerProgram.Duty[] memory) {
        return new IPioneerProgram.Duty[](0);
    }

    function tierOf(uint256 i) internal view returns (uint8) {
        return pioneer.pioneerOf(program, operators[i]).tier;
    }

    // --- snapshots

    function freeze(uint32 epoch) internal {
        uint256 time = pioneer.frozenAt(program, epoch);
        if (block.timestamp <= time) vm.warp(time + 1);
    }

    /// @dev The true leaf of every member as it stands at a frozen epoch, each of one key.
    function grow(uint32 epoch) internal {
        delete tree;
        for (uint256 i = 0; i < keys.length; ++i) {
            uint256 units = pioneer.frozenUnits(program, epoch, operators[i], keysOf(i));
            tree.push(IDistributor.Leaf(operators[i], uint64(7 * i), units, pioneer.frozenTier(program, epoch, operators[i])));
        }
    }

    function leaves(uint32 epoch) internal view returns (bytes32[] memory list_) {
        list_ = new bytes32[](tree.length);
        for (uint256 i = 0; i < list_.length; ++i) {
            list_[i] = leafHash(epoch, i);
        }
    }

    function leafHash(uint32 epoch, uint256 i) internal view returns (bytes32) {
        IDistributor.Leaf memory l = tree[i];
        return pioneer.leafOf(program, epoch, l.operator, l.score, l.units, l.tier);
    }

    function post(uint32 epoch) internal returns (bytes32 root) {
        root = nodesOf(leaves(epoch))[0];
        pioneer.post(program, epoch, root, uint32(tree.length), TEXT);
    }

    function path(uint32 epoch, uint256 i) internal view returns (bytes32[] memory) {
        return pathOf(nodesOf(leaves(epoch)), leafHash(epoch, i));
    }

    function fund(uint32 epoch, uint256 amount, uint8 leastTier) internal returns (bytes32) {
        credit.faucet(amount);
        credit.approve(address(distributor), amount);
        return distributor.fund(program, epoch, address(credit), amount, leastTier, 7 days);
    }

    function take(bytes32 id, uint32 epoch, uint256 i) internal {
        bytes32[] memory proof = path(epoch, i);
        bytes32[] memory list_ = keysOf(i);
        vm.prank(operators[i]);
        distributor.claim(id, tree[i], list_, proof);
    }
}
