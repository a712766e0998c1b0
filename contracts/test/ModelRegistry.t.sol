// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {ModelTown} from "./ModelTown.sol";

contract ModelRegistryTest is ModelTown {
    event BatchPosted(bytes32 indexed batch, address indexed poster, bytes32 root, uint32 count, bytes32 list);

    function setUp() public {
        deployModels();
        found(terms(), 5);
    }

    function test_post_onceByAnyone() public {
        IModelRegistry.Batch memory batch = batchOver(fillers(3));
        isEqual(models.postedAt(models.batchOf(batch)), 0, "not yet");
        vm.prank(address(77));
        models.post(batch);
        isEqual(models.postedAt(models.batchOf(batch)), block.timestamp, "when");
        refused(IModelRegistry.BatchTaken.selector);
        models.post(batch);
    }

    /// @dev Whoever sees a batch on its way cannot take its name with another list or count.
    function test_post_otherWordsAreAnotherBatch() public {
        IModelRegistry.Batch memory batch = batchOver(fillers(3));
        IModelRegistry.Batch memory squat = IModelRegistry.Batch(batch.root, batch.count, keccak256("nobody has this list"));
        models.post(squat);
        squat = IModelRegistry.Batch(batch.root, batch.count + 1, batch.list);
        models.post(squat);
        models.post(batch);
        isTrue(models.postedAt(models.batchOf(batch)) != 0, "posted all the same");
    }

    function test_post_bounds() public {
        uint32 most = models.MAX_COUNT();
        refused(IModelRegistry.CountOutOfBounds.selector);
        models.post(IModelRegistry.Batch("root", 0, LIST));
        refused(IModelRegistry.CountOutOfBounds.selector);
        models.post(IModelRegistry.Batch("root", most + 1, LIST));
        refused(IModelRegistry.RootMissing.selector);
        models.post(IModelRegistry.Batch(0, 1, LIST));
        models.post(IModelRegistry.Batch("root", most, LIST));
    }

    function testFuzz_isListed_onlyAtItsPlace(uint8 count, uint8 place, uint8 other) public {
        uint256 n = between(count, 1, 33);
        uint32 at = uint32(between(place, 0, n - 1));
        IModelRegistry.Model[] memory leaves = fillers(n);
        IModelRegistry.Batch memory batch = batchOver(leaves);
        bytes32[] memory path = pathIn(leaves, at);
        isTrue(!models.isListed(batch, at, leaves[at], path), "not posted yet");
        models.post(batch);
        isTrue(models.isListed(batch, at, leaves[at], path), "there");
        uint32 elsewhere = uint32(other);
        if (elsewhere != at) isTrue(!models.isListed(batch, elsewhere, leaves[at], path), "elsewhere");
        isTrue(!models.isListed(batch, at, madeUp(n), path), "another model");
    }

    function test_isTrained_onlyWhenClosedClean() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        IModelRegistry.Model memory m = modelOf(h);
        isTrue(!models.isTrained(m, h), "committed");
        audit(h);
        isTrue(!models.isTrained(m, h), "audited, not settled");
        ledger.settle(h);
        isTrue(models.isTrained(m, h), "settled");
    }

    function testFuzz_isTrained_everyFieldCounts(uint8 field, bytes32 noise) public {
        IParticipationLedger.Header memory h = score(0, 0);
        IModelRegistry.Model memory m = modelOf(h);
        bytes32 digest = models.digestOf(m);
        uint256 which = field % 9;
        if (which == 0) m.model = noise;
        else if (which == 1) m.parent = noise;
        else if (which == 2) m.recipe = noise;
        else if (which == 3) m.operator = address(uint160(uint256(noise)));
        else if (which == 4) m.training = noise;
        else if (which == 5) m.number = uint32(uint256(noise));
        else if (which == 6) m.proof = noise;
        else if (which == 7) m.kind = IModelRegistry.Kind.Job;
        else h.units ^= uint64(uint256(noise)) | 1;
        bool same = models.digestOf(m) == digest && which != 8;
        isTrue(models.isTrained(m, h) == same, "changed");
    }

    function test_isTrained_notWhereNobodyAuditedIt() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        beaconOf(0);
        pass(1_000);
        ledger.settle(h);
        isTrue(ledger.isSettled(h.key, 0) && !models.isTrained(modelOf(h), h), "unaudited");
    }

    function test_prove_lastsWhenTheLedgerHasForgotten() public {
        IParticipationLedger.Header memory h = score(0, 0);
        IModelRegistry.Model[] memory leaves = fillers(6);
        IModelRegistry.Model memory m = leaves[4] = modelOf(h);
        IModelRegistry.Batch memory batch = batchOver(leaves);
        bytes32[] memory path = pathIn(leaves, 4);
        models.post(batch);
        vm.prank(address(77));
        models.prove(batch, 4, m, path, h);
        isTrue(models.isProved(models.digestOf(m)), "proved");
        refused(IModelRegistry.AlreadyProved.selector);
        models.prove(batch, 4, m, path, h);
        commit(0, 16);
        isTrue(!models.isTrained(m, h), "the ring came round");
        isTrue(models.isProved(models.digestOf(m)), "proved for ever");
    }

    function test_prove_refusesWhatIsNotPostedListedOrTrained() public {
        IParticipationLedger.Header memory h = score(0, 0);
        IParticipationLedger.Header memory open = commit(1, 3);
        IModelRegistry.Model[] memory leaves = fillers(6);
        (leaves[4], leaves[5]) = (modelOf(h), modelOf(open));
        IModelRegistry.Batch memory batch = batchOver(leaves);
        bytes32[] memory path = pathIn(leaves, 4);
        refused(IModelRegistry.BatchUnknown.selector);
        models.prove(batch, 4, leaves[4], path, h);
        models.post(batch);
        refused(IModelRegistry.PathWrong.selector);
        models.prove(batch, 3, leaves[4], path, h);
        refused(IModelRegistry.PathWrong.selector);
        models.prove(batch, 6, leaves[4], path, h);
        bytes32[] memory other = pathIn(leaves, 5);
        refused(IModelRegistry.NotTrained.selector);
        models.prove(batch, 5, leaves[5], other, open);
        refused(IModelRegistry.NotTrained.selector);
        models.prove(batch, 5, leaves[5], other, h);
    }

    /// @dev Python's encoding, its digest and its tree are these (tests/test_models.py).
    function test_digest_isWhatOtherLanguagesCompute() public view {
        IModelRegistry.Model memory m = IModelRegistry.Model(
            IModelRegistry.Kind.Job,
            bytes32(uint256(1)),
            bytes32(uint256(2)),
            bytes32(uint256(3)),
            address(4),
            bytes32(uint256(5)),
            6,
            bytes32(uint256(7))
        );
        bytes memory words = abi.encode(1, 1, 2, 3, 4, 5, 6, 7);
        isEqual(models.digestOf(m), keccak256(words), "eight words");
    }
}
