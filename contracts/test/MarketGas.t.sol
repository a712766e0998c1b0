// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeMarket} from "../src/interfaces/IComputeMarket.sol";
import {IJobDelivery} from "../src/interfaces/IJobDelivery.sol";
import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {JobTown} from "./JobTown.sol";

/// @notice Gas of a job's transactions (21,000 and calldata included), printed and held to limits. The same run writes snapshots/market.json.
/// @dev Each call is a transaction of its own here: they ask other contracts, and those would be warm.
contract MarketGasTest is JobTown {
    uint256 private constant ACCEPT_LIMIT = 400_000;

    function setUp() public {
        settleTown(6);
    }

    /// forge-config: default.isolate = true
    function test_gas_ofAJob() public {
        IComputeMarket.Offer memory o = single(withTarget(offer()));
        call(address(this), address(market), abi.encodeCall(IComputeMarket.post, (SWARM, o, new bytes(600))), "post, brief of 600 bytes");
        call(operators[1], address(market), abi.encodeCall(IComputeMarket.seed, (SWARM, keys[1])), "seed");
        seed(2);
        call(operators[0], address(market), abi.encodeCall(IComputeMarket.claim, (SWARM, 0, keys[0])), "claim");
        acceptedOnce("accept, first of a part");
        uint256 steady = acceptedOnce("accept, last of a part");
        isTrue(steady <= ACCEPT_LIMIT, "accept");
        call(operators[0], address(delivery), abi.encodeCall(IJobDelivery.deliver, (SWARM, 0, MODEL)), "deliver");
        call(operators[1], address(delivery), abi.encodeCall(IJobDelivery.attest, (SWARM, 0, keys[1], MODEL)), "attest");
        pass(100);
        call(address(this), address(market), abi.encodeCall(IComputeMarket.release, (SWARM, 0)), "release");
        call(address(this), address(delivery), abi.encodeCall(IJobDelivery.openEvaluation, (SWARM, DIGEST, EVALUATION_SALT)), "openEvaluation");
        bytes32 hash = scoreHash(0, 1, 8_000);
        call(operators[1], address(delivery), abi.encodeCall(IJobDelivery.commitScore, (SWARM, 0, keys[1], hash)), "commitScore");
        score(0, 2, 8_000);
        pass(100);
        bytes memory reveal = abi.encodeCall(IJobDelivery.revealScore, (SWARM, 0, keys[1], 8_000, keys[1]));
        call(operators[1], address(delivery), reveal, "revealScore");
        revealScore(0, 2, 8_000);
        pass(100);
        call(address(this), address(market), abi.encodeCall(IComputeMarket.settle, (SWARM)), "settle, one part");
        call(operators[1], address(market), abi.encodeCall(IComputeMarket.collect, (SWARM, 0)), "collect");
        call(operators[0], address(market), abi.encodeCall(IComputeMarket.withdraw, (address(credit), operators[0])), "withdraw");
    }

    /// forge-config: default.isolate = true
    function test_gas_ofAChallenge() public {
        IParticipationLedger.Header memory h = work(0);
        toAudit(h);
        speak(h, 0, all(ok()));
        bytes32 hash = court.challengeHash(h.key, h.epoch, 0, keys[1], keys[1]);
        call(operators[1], address(court), abi.encodeCall(IAuditCourt.commitChallenge, (keys[1], hash)), "commitChallenge");
        pass(1);
        call(operators[1], address(court), abi.encodeCall(IAuditCourt.challenge, (h, keys[1], keys[1])), "challenge");
    }

    function acceptedOnce(string memory name) private returns (uint256) {
        IParticipationLedger.Header memory h = cleanWork(0);
        return call(operators[0], address(market), abi.encodeCall(IComputeMarket.accept, (SWARM, 0, h, MODEL)), name);
    }

    function call(address from, address to, bytes memory data, string memory name) private returns (uint256 gas) {
        vm.prank(from);
        (bool done,) = to.call(data);
        isTrue(done, name);
        gas = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint(name, gas);
        vm.snapshotValue("market", name, gas);
    }
}
