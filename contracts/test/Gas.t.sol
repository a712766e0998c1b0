// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {JudgeAnchor} from "../src/JudgeAnchor.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {Town} from "./Town.sol";

/// @notice Gas of whole transactions (21,000 and calldata included), printed and held to the promised limits. The same run writes snapshots/.
contract GasTest is Town {
    uint256 private constant REGISTER_LIMIT = 50_000;
    uint256 private constant COMMIT_LIMIT = 45_000;
    uint256 private constant ANCHOR_LIMIT = 56_000;
    uint256 private constant MODEL_LIMIT = 60; // each, a thousand to a batch
    uint16 private constant RING = 16;

    function setUp() public {
        deploy();
    }

    function test_gas_register() public {
        found(terms(), 0);
        measureRegister(1, "register, very first");
        isTrue(measureRegister(2, "register") <= REGISTER_LIMIT, "register");
    }

    function test_gas_commit_among3() public {
        commits(3);
    }

    function test_gas_commit_among300() public {
        commits(300);
    }

    function test_gas_commit_doesNotDependOnMembers() public {
        uint256 few = commits(3);
        deploy();
        delete keys;
        delete operators;
        isEqual(commits(300), few, "gas");
    }

    /// @dev Three members anchor two epochs. The first to anchor roots pays for the place in which their votes are counted. Each call is a
    /// transaction of its own here: an anchor asks two other contracts, and those would be warm.
    /// forge-config: default.isolate = true
    function test_gas_anchor() public {
        found(terms(), 3);
        JudgeAnchor judges = new JudgeAnchor(registry, ledger, vault);
        report("anchor", "very first", measureAnchor(judges, 0, 1));
        measureAnchor(judges, 1, 1);
        measureAnchor(judges, 2, 1);
        report("anchor", "first of an epoch", measureAnchor(judges, 0, 2));
        uint256 steady = measureAnchor(judges, 1, 2);
        report("anchor", "each that agrees", steady);
        isTrue(steady <= ANCHOR_LIMIT, "anchor");
    }

    function test_gas_models() public {
        ModelRegistry models = new ModelRegistry(registry, ledger);
        IModelRegistry.Batch memory batch = IModelRegistry.Batch(keccak256("root"), 1_000, keccak256("list"));
        uint256 used = send(address(7), address(models), abi.encodeCall(IModelRegistry.post, (batch)));
        report("models", "batch of 1000", used);
        isTrue(used <= 1_000 * MODEL_LIMIT, "models");
    }

    /// @dev Member 0 commits until its ring is used for the second time.
    function commits(uint256 members) private returns (uint256 steady) {
        found(terms(), 3);
        for (uint256 n = 4; n <= members; ++n) {
            enlist(n);
        }
        string memory group = members == 3 ? "commit_among_3" : "commit_among_300";
        for (uint32 epoch = 0; epoch < RING + 2; ++epoch) {
            uint256 used = measureCommit(epoch);
            if (epoch == 0) report(group, "very first", used);
            if (epoch == 1) report(group, "each of the first N = ring", used);
            if (epoch == RING) report(group, "steady state", steady = used);
        }
        isTrue(steady <= COMMIT_LIMIT, "commit");
    }

    function measureRegister(uint256 n, string memory name) private returns (uint256 gas) {
        bytes memory call = abi.encodeCall(ISwarmRegistry.register, (SWARM, peer(n), vm.addr(10_000 + n)));
        gas = send(vm.addr(n), address(registry), call);
        report("register", name, gas);
    }

    function measureCommit(uint32 epoch) private returns (uint256) {
        vm.warp(endOf(epoch));
        IParticipationLedger.Header memory h = headerOf(0, epoch);
        bytes memory call =
            abi.encodeCall(IParticipationLedger.commit, (h.key, h.epoch, h.steps, h.units, h.root, h.last, h.data));
        return send(ledger.memberOf(h.key).session, address(ledger), call);
    }

    function measureAnchor(JudgeAnchor judges, uint256 i, uint32 epoch) private returns (uint256) {
        vm.warp(endOf(epoch));
        bytes32 log = keccak256(abi.encode("log", epoch));
        bytes32 gold = keccak256(abi.encode("gold", epoch));
        bytes32 tally = keccak256(abi.encode("tally", epoch));
        vm.prank(ledger.memberOf(keys[i]).session);
        judges.anchor(keys[i], epoch, log, gold, tally);
        return vm.lastCallGas().gasTotalUsed;
    }

    /// @dev Gas that a transaction with this call uses, from cold storage.
    function send(address from, address to, bytes memory call) private returns (uint256) {
        vm.cool(to);
        vm.prank(from);
        (bool done,) = to.call(call);
        isTrue(done, "call");
        return 21_000 + calldataGas(call) + vm.lastCallGas().gasTotalUsed;
    }

    function calldataGas(bytes memory call) private pure returns (uint256 gas) {
        for (uint256 i = 0; i < call.length; ++i) {
            gas += call[i] == 0 ? 4 : 16;
        }
    }

    function report(string memory group, string memory name, uint256 gas) private {
        emit log_named_uint(string.concat(group, ": ", name), gas);
        vm.snapshotValue(group, name, gas);
    }
}
