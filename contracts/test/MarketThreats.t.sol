// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IComputeMarket} from "../src/interfaces/IComputeMarket.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {AnyToken} from "./AnyToken.sol";
import {JobTown} from "./JobTown.sol";

/// @notice The market read against those who would live off it. Row by row what each deviation brings at these numbers; docs/market.md has
/// the inequalities, and the script that plays them on a chain.
///  copied whistleblowing                 Threats.t.sol, threat07_copycat
///  a submitter's own randomness, faucet  Market.t.sol, post_refuses...
///  an invented class                     Market.t.sol, accept_refusesAnotherClass
///  ballots swung by late stake           JobDelivery.t.sol, attest_refusesWhoCameForTheBallot
///  most of a job's stake in one hand     not contract-level: such a hand decides juries and ballots; nodes show the shares before a claim
contract MarketThreatsTest is JobTown {
    function setUp() public {
        settleTown(6);
    }

    /// @dev All that a member has: stake, rewards, what the market owes it, and tokens.
    function fortune(uint256 i) private view returns (uint256) {
        return wealth(i) + duePart(i) + credit.balanceOf(operators[i]);
    }

    // --- whistleblowing

    function test_selfDenunciation_losesHalfOfTheStake() public {
        open(offer());
        claim(0, 0);
        IParticipationLedger.Header memory h = work(0);
        toAudit(h);
        bytes32[] memory seats = panel(h, 0);
        uint256 sybil = 1;
        while (keys[sybil] == seats[0] || keys[sybil] == seats[1]) ++sybil;
        uint256 before = fortune(0) + fortune(sybil);
        speak(h, 0, all(ok()));
        challengeBy(h, keys[sybil]);
        pass(20);
        speak(h, 1, all(fault(h)));
        pass(20);
        court.finalize(h);
        isTrue(fortune(0) + fortune(sybil) + STAKE / 2 <= before, "at least half is gone");
    }

    function test_frivolousWhistleblower_losesItsBond() public {
        open(offer());
        claim(0, 0);
        IParticipationLedger.Header memory h = work(0);
        toAudit(h);
        bytes32[] memory seats = panel(h, 0);
        uint256 troll = 1;
        while (keys[troll] == seats[0] || keys[troll] == seats[1]) ++troll;
        uint256 bond = court.bondOf(SWARM);
        uint256 active = vault.stakeOf(keys[troll]).active;
        speak(h, 0, all(ok()));
        challengeBy(h, keys[troll]);
        pass(20);
        speak(h, 1, all(ok()));
        pass(20);
        court.finalize(h);
        isEqual(vault.stakeOf(keys[troll]).active, active - bond, "bond");
        accept(0, 0, h);
        isEqual(duePart(0), 225 ether, "and the solver is paid");
    }

    // --- solvers

    function test_cheatingSolver_isNeverPaidForTheEpochNorWhatFollows() public {
        open(offer());
        claim(0, 0);
        IParticipationLedger.Header memory first = acceptedWork(0, 0);
        IParticipationLedger.Header memory h = work(0);
        toAudit(h);
        speak(h, 0, all(fault(h)));
        pass(20);
        speak(h, 1, all(fault(h)));
        pass(20);
        court.finalize(h);
        uint256 paid = duePart(0);
        vm.prank(operators[0]);
        refused(IComputeMarket.NotClean.selector);
        market.accept(SWARM, 0, h, 0);
        isEqual(duePart(0), paid, "nothing for it");
        isEqual(market.partOf(SWARM, 0).root, first.last, "the part stands at the last accepted state");
        isEqual(vault.stakeOf(keys[0]).active, 0, "its stake is gone");
    }

    function test_claimSquatting_costsABondForEachPatience() public {
        open(offer());
        claim(0, 0);
        uint256 before = fortune(0);
        pass(offer().patience);
        market.expire(SWARM, 0);
        claim(0, 3);
        isEqual(before - fortune(0), 0, "gone with the claim already");
        isEqual(burned(), market.bondOf(offer()), "and to nobody");
        isEqual(due(address(this)), 0, "not to the submitter, who could live off claims that he lets fail");
    }

    /// @dev One step for each patience keeps neither part nor bond.
    function test_claimSquatting_byASingleStep_isNoMovement() public {
        open(offer());
        claim(0, 0);
        tinyEpoch(0);
        isEqual(market.partOf(SWARM, 0).steps, 1, "accepted");
        vm.prank(operators[0]);
        market.quit(SWARM, 0);
        isEqual(burned(), market.bondOf(offer()), "less than leastSteps return no bond");
        claim(0, 0);
        tinyEpoch(0);
        pass(offer().patience);
        market.expire(SWARM, 0);
    }

    function tinyEpoch(uint256 i) private {
        uint32 epoch = upcoming();
        nextEpoch = epoch + 1;
        if (block.timestamp < endOf(epoch)) vm.warp(endOf(epoch));
        bytes32 root = market.partOf(SWARM, 0).root;
        vm.prank(operators[i]);
        ledger.adoptRoot(keys[i], root);
        IParticipationLedger.Header memory h = headerOf(i, epoch);
        h.steps = 1;
        send(i, h);
        toAudit(h);
        speak(h, 0, all(ok()));
        pass(20);
        accept(0, i, h);
    }

    /// @dev However small its epochs, a solver spends no more of the verification budget than its steps bring.
    function test_tinyEpochs_cannotDrainTheVerificationBudget() public {
        open(offer());
        claim(0, 0);
        for (uint256 n = 0; n < 5; ++n) {
            tinyEpoch(0);
        }
        isTrue(market.partOf(SWARM, 0).fees <= 2 ether, "5 of 10 steps: half of an epoch's 4");
        isEqual(duePart(0), 5 * 22.5 ether - (10 ether - market.partOf(SWARM, 0).fees), "the rest is its own");
    }

    function planted(uint256 i) private returns (IParticipationLedger.Header memory h) {
        uint32 epoch = upcoming();
        vm.warp(endOf(epoch));
        bytes32 key = keys[i];
        bytes32 plant = court.plantHash(key, epoch, 0, 9, "salt");
        vm.startPrank(operators[i]);
        ledger.adoptRoot(key, market.partOf(SWARM, 0).root);
        court.commitPlant(key, plant);
        vm.stopPrank();
        h = work(i);
        toAudit(h);
        speak(h, 0, all(fault(h)));
        vm.prank(operators[i]);
        court.openPlant(h, 0, 9, "salt");
        pass(20);
        outcomeIs(h, IAuditCourt.Outcome.Planted);
    }

    function test_plant_paysSolverAndAuditors_atItsRate() public {
        IComputeMarket.Offer memory o = offer();
        (o.steps, o.stepsEach) = (80, 40);
        open(o);
        claim(0, 0);
        acceptedWork(0, 0);
        IParticipationLedger.Header memory early = planted(0);
        refused(IComputeMarket.PlantsTooMany.selector);
        market.payPlant(SWARM, 0, early);
        bytes32 root = market.partOf(SWARM, 0).root;
        vm.prank(operators[0]);
        ledger.adoptRoot(keys[0], root);
        IParticipationLedger.Header memory h = acceptedWork(0, 0);
        bytes32[] memory seats = court.panelOf(early.key, early.epoch, 0, 0);
        (uint256 solver, uint256 auditor) = (duePart(0), duePart(indexOf(seats[0])));
        market.payPlant(SWARM, 0, early);
        isEqual(duePart(0) - solver, uint256(1_000 ether) * 5 / 4 / 80, "one step in sixteen, at five quarters");
        isEqual(duePart(indexOf(seats[0])) - auditor, 8 ether, "four fees for each drawn step");
        isEqual(market.jobOf(SWARM).plants, 50 ether - 16 ether - 15.625 ether, "of the budget");
        refused(IComputeMarket.EpochOld.selector);
        market.payPlant(SWARM, 0, early);
        refused(IComputeMarket.NotPlanted.selector);
        market.payPlant(SWARM, 0, h);
    }

    /// @dev A solver that plants instead of working is never paid: plants follow accepted steps.
    function test_plantFarming_bringsNothing() public {
        open(offer());
        claim(0, 0);
        for (uint256 n = 0; n < 3; ++n) {
            IParticipationLedger.Header memory h = planted(0);
            refused(IComputeMarket.PlantsTooMany.selector);
            market.payPlant(SWARM, 0, h);
        }
        isEqual(duePart(0), 0, "nothing");
        isEqual(market.jobOf(SWARM).plants, 50 ether, "the budget is whole");
    }

    // --- submitters

    /// @dev A submitter with auditors of its own who keep silent: no pay for the epoch, but each silence costs a stake its absence, and nothing
    /// comes to the submitter but what it had put in.
    function test_griefingSubmitter_silentAuditors_gainsNothing() public {
        open(offer());
        claim(0, 0);
        uint256 before = credit.balanceOf(address(this)) + market.jobOf(SWARM).escrow - market.bondOf(offer());
        IParticipationLedger.Header memory h = work(0);
        (uint256 opens,,,) = court.timesOf(SWARM, h.epoch, 0, 0);
        vm.warp(opens + 300);
        court.caseOf(h.key, h.epoch);
        outcomeIs(h, IAuditCourt.Outcome.Unaudited);
        court.finalize(h);
        uint256 lost = 0;
        for (uint256 i = 1; i < 6; ++i) {
            lost += STAKE - wealth(i);
        }
        isTrue(lost >= 2 * STAKE / 100, "absences");
        vm.prank(operators[0]);
        market.quit(SWARM, 0);
        market.cancel(SWARM);
        isTrue(credit.balanceOf(address(this)) + due(address(this)) <= before, "not even the bond");
    }

    function test_griefingSubmitter_cancelsInTheMiddle_paysAllTheSame() public {
        open(withTarget(offer()));
        claim(0, 0);
        acceptedWork(0, 0);
        IParticipationLedger.Header memory h = work(0);
        market.cancel(SWARM);
        toAudit(h);
        speak(h, 0, all(ok()));
        pass(20);
        accept(0, 0, h);
        settle();
        isEqual(duePart(0), 500 ether + market.bondOf(offer()), "in full");
    }

    function test_griefingSubmitter_neverAnswers_andEverythingEnds() public {
        open(single(withTarget(offer())));
        complete(0, 0);
        deliver(0, 0);
        attest(0, 1, MODEL);
        settle();
        isEqual(duePart(0), 1_000 ether + market.bondOf(single(offer())), "all");
        emptied(1);
    }

    /// @dev Solver, auditors and submitter in one hand: the money goes round, and the gas is lost.
    function test_washJob_bringsNoMoney() public {
        uint256 before = credit.balanceOf(address(this));
        for (uint256 i = 0; i < 6; ++i) {
            before += fortune(i);
        }
        open(single(offer()));
        complete(0, 0);
        deliver(0, 0);
        attest(0, 1, MODEL);
        settle();
        emptied(1);
        uint256 left = credit.balanceOf(address(this));
        for (uint256 i = 0; i < 6; ++i) {
            left += fortune(i);
        }
        isTrue(left <= before, "no more than before");
    }

    // --- tokens

    function tokenTown(IComputeMarket.Offer memory o) private returns (AnyToken token) {
        token = new AnyToken();
        ISwarmRegistry.Terms memory t = terms();
        t.token = address(token);
        registry.createSwarm("tokens", 0, BASE, t, "");
        token.faucet(type(uint128).max);
        token.faucet(type(uint128).max);
        token.approve(address(market), type(uint256).max);
        o.deadline = uint64(block.timestamp + 3_000);
    }

    function test_tokenWithFees_isRefused() public {
        IComputeMarket.Offer memory o = offer();
        tokenTown(o).takeFees(1);
        refused(IComputeMarket.TransferInexact.selector);
        market.post("tokens", o, "");
    }

    function test_tokenThatReturnsFalse_isRefused() public {
        IComputeMarket.Offer memory o = offer();
        tokenTown(o).returnFalse();
        refused(SafeERC20.SafeERC20FailedOperation.selector);
        market.post("tokens", o, "");
    }

    function test_tokenThatCallsBack_cannotEnterTwice() public {
        IComputeMarket.Offer memory o = offer();
        AnyToken token = tokenTown(o);
        token.callBack(address(market), abi.encodeCall(IComputeMarket.withdraw, (address(token), address(this))));
        refused(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        market.post("tokens", o, "");
        token.callBack(address(this), abi.encodeCall(this.cancelTokens, ()));
        market.post("tokens", o, "");
        token.callBack(address(0), "");
        isEqual(market.due(address(token), address(this)), market.costOf(o, 2), "refunded what came in");
        isEqual(market.held(address(token)), token.balanceOf(address(market)), "and that is there");
        market.withdraw(address(token), address(this));
        isEqual(token.balanceOf(address(market)), 0, "empty");
    }

    /// @dev The submitter, called by its own token in the middle of `post`.
    function cancelTokens() external {
        if (market.phaseOf("tokens") == IComputeMarket.JobPhase.Seeding) market.cancel("tokens");
    }

    function test_amountsAtTheLimitOfUint128() public {
        IComputeMarket.Offer memory o = offer();
        AnyToken token = tokenTown(o);
        (o.price, o.plants, o.perSegment) = (type(uint128).max, type(uint128).max / 10, 1);
        market.post("tokens", o, "");
        isEqual(market.jobOf("tokens").escrow, uint256(type(uint128).max) + type(uint128).max / 10 + 20, "in");
        market.cancel("tokens");
        market.withdraw(address(token), address(this));
        isEqual(token.balanceOf(address(this)), 2 * uint256(type(uint128).max), "and out");
        o.perSegment = type(uint128).max;
        isTrue(market.costOf(o, 64) > type(uint128).max, "counted without overflow");
    }
}
