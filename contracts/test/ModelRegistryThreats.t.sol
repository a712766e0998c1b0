// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {StepTree} from "../src/lib/StepTree.sol";
import {ModelTown} from "./ModelTown.sol";

/// @notice Attempts to have a model count as trained that is not, or to keep one that is from counting.
///
///  a proof that lost                             test_lost_* (all)
///  a model built on a lost epoch                 test_builtOn_aLostEpoch
///  another's training under one's own name       test_stolen_operator
///  another recipe, another parent                test_recast_recipeOrParent
///  a node of the tree passes for a leaf          test_tree_innerNode
///  a model counts twice                          test_listedTwice_countsOnce
///  a batch on its way is squatted                ModelRegistryTest.test_post_otherWordsAreAnotherBatch
///  a job's leaf passes for an epoch's            test_job_isNotForTheLedger
/// What a false leaf costs others: nothing but a row that reads "not trained". An ancestor that is lost after a later epoch was settled
/// leaves that one trained: who asks for a model's lineage sees the ancestor that is not.
contract ModelRegistryThreatsTest is ModelTown {
    function setUp() public {
        deployModels();
        found(terms(), 9);
    }

    function notTrained(IParticipationLedger.Header memory h) private {
        IModelRegistry.Model memory m = modelOf(h);
        IModelRegistry.Batch memory batch = batchOver(one(m));
        models.post(batch);
        isTrue(!models.isTrained(m, h), "trained");
        bytes32[] memory none = new bytes32[](0);
        refused(IModelRegistry.NotTrained.selector);
        models.prove(batch, 0, m, none, h);
    }

    function test_lost_inADispute() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        beaconOf(0);
        speak(h, 0, all(fault(h)));
        pass(20);
        speak(h, 1, all(fault(h)));
        pass(20);
        court.finalize(h);
        notTrained(h);
    }

    function test_lost_byConcession() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        vm.prank(operators[0]);
        court.concede(h);
        notTrained(h);
    }

    function test_lost_becauseNobodyElseCouldAudit() public {
        bytes32 key = settleIn(10, OTHER_CLASS);
        vm.warp(endOf(1));
        IParticipationLedger.Header memory h = commit(9, 1);
        isEqual(h.key, key, "member");
        beaconOf(1);
        pass(1_000);
        ledger.settle(h);
        notTrained(h);
    }

    /// @dev The audit of the second epoch itself is clean: it is the first, conceded, that takes it along.
    function test_builtOn_aLostEpoch() public {
        IParticipationLedger.Header memory a = commit(0, 0);
        vm.warp(endOf(0) + 50);
        beaconOf(0);
        vm.warp(endOf(1));
        IParticipationLedger.Header memory b = commit(0, 1);
        speakLate(a);
        audit(b);
        isTrue(uint8(court.outcomeOf(b.key, 1)) == 1, "clean by itself");
        court.finalize(a);
        refused(IParticipationLedger.AlreadySettled.selector);
        ledger.settle(b);
        notTrained(b);
    }

    function test_stolen_operator() public {
        IParticipationLedger.Header memory h = score(0, 0);
        IModelRegistry.Model memory m = modelOf(h);
        m.operator = operators[1];
        isTrue(!models.isTrained(m, h), "another's");
        (m.operator, m.training) = (operators[0], keys[1]);
        isTrue(!models.isTrained(m, h), "another's key");
    }

    function test_recast_recipeOrParent() public {
        IParticipationLedger.Header memory h = score(0, 0);
        IModelRegistry.Model memory m = modelOf(h);
        m.recipe = "a nobler one";
        isTrue(!models.isTrained(m, h), "recipe");
        (m.recipe, m.parent) = (RECIPE, "a larger model");
        isTrue(!models.isTrained(m, h), "parent");
    }

    /// @dev A list of the two nodes below the root is no list of models: nodes and leaves have different tags.
    function test_tree_innerNode() public {
        IModelRegistry.Model[] memory leaves = fillers(4);
        IModelRegistry.Batch memory batch = batchOver(leaves);
        IModelRegistry.Batch memory short = IModelRegistry.Batch(batch.root, 2, LIST);
        models.post(short);
        bytes32[] memory path = pathIn(leaves, 0);
        bytes32[] memory upper = new bytes32[](1);
        upper[0] = path[1];
        for (uint256 i = 0; i < 4; ++i) {
            isTrue(!models.isListed(short, uint32(i), leaves[i], upper), "a leaf in a node's place");
        }
        isTrue(StepTree.nodeHash(path[0], path[0]) != StepTree.leafHash(abi.encodePacked(path[0], path[0])), "tags");
    }

    /// @dev Listed again, in a batch whose count is a lie too: the same model, proved once.
    function test_listedTwice_countsOnce() public {
        IParticipationLedger.Header memory h = score(0, 0);
        IModelRegistry.Model[] memory leaves = fillers(5);
        IModelRegistry.Model memory m = leaves[4] = modelOf(h);
        IModelRegistry.Batch memory batch = batchOver(leaves);
        IModelRegistry.Batch memory lie = IModelRegistry.Batch(batch.root, 3, LIST);
        models.post(batch);
        models.post(lie);
        bytes32[] memory path = pathIn(leaves, 4);
        isTrue(models.isListed(lie, 2, m, path), "a root says nothing of its count: readers of the list see that it is none of three");
        models.prove(lie, 2, m, path, h);
        refused(IModelRegistry.AlreadyProved.selector);
        models.prove(batch, 4, m, path, h);
    }

    function test_job_isNotForTheLedger() public {
        IParticipationLedger.Header memory h = score(0, 0);
        IModelRegistry.Model memory m = modelOf(h);
        m.kind = IModelRegistry.Kind.Job;
        isTrue(!models.isTrained(m, h), "only the market knows of jobs");
    }

    /// @dev The case of `a` goes through its juries after its auditors found a fault.
    function speakLate(IParticipationLedger.Header memory a) private {
        speak(a, 0, all(fault(a)));
        pass(20);
        speak(a, 1, all(fault(a)));
        pass(20);
    }
}
