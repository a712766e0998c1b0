// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {IPioneerProgram} from "../src/interfaces/IPioneerProgram.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {PioneerTown} from "./PioneerTown.sol";

contract PioneerTest is PioneerTown {
    function setUp() public {
        deployPioneers(5);
        open(address(0), bars(bar(100, 1, 0, false), bar(1_000, 3, 0, false)));
    }

    function judgedProgram() private {
        open(COUNCIL, bars(bar(100, 1, 0, false), bar(100, 1, 0, true)));
    }

    function missed(bytes32 what, uint256 actual, uint256 limit) private {
        vm.expectRevert(abi.encodeWithSelector(IPioneerProgram.BarMissed.selector, what, actual, limit));
    }

    // --- programs

    function test_start_byAnyoneUnderNamesOfTheirOwn() public {
        IPioneerProgram.Rules memory rules = IPioneerProgram.Rules(SWARM, address(0), 0, 0);
        IPioneerProgram.Bar[] memory list_ = bars(bar(1, 0, 0, false), bar(2, 0, 0, false));
        vm.prank(address(1));
        bytes32 one = pioneer.start("salt", rules, list_, TEXT);
        vm.prank(address(2));
        bytes32 two = pioneer.start("salt", rules, list_, TEXT);
        isTrue(one != two && one == pioneer.programOf(address(1), "salt"), "names");
        isEqual(pioneer.rulesOf(one).swarm, SWARM, "rules");
        isEqual(pioneer.barsOf(one).length, 2, "bars");
        vm.prank(address(1));
        refused(IPioneerProgram.ProgramExists.selector);
        pioneer.start("salt", rules, list_, TEXT);
    }

    function refusedRules(IPioneerProgram.Rules memory rules, IPioneerProgram.Bar[] memory list_, bytes4 why) private {
        refused(why);
        pioneer.start("other", rules, list_, TEXT);
    }

    function test_start_refusesRulesThatNobodyCanKeep() public {
        IPioneerProgram.Bar[] memory good = bars(bar(1, 1, 1, false), bar(2, 1, 1, false));
        bytes4 out = IPioneerProgram.RuleOutOfBounds.selector;
        refusedRules(IPioneerProgram.Rules("nowhere", address(0), 0, 0), good, ISwarmRegistry.SwarmUnknown.selector);
        refusedRules(IPioneerProgram.Rules(SWARM, address(0), 1, 0), good, out);
        refusedRules(IPioneerProgram.Rules(SWARM, address(0), 0, 1), good, out);
        refusedRules(IPioneerProgram.Rules(SWARM, COUNCIL, 1 hours - 1, 7 days), good, out);
        refusedRules(IPioneerProgram.Rules(SWARM, COUNCIL, 31 days, 80 days), good, out);
        refusedRules(IPioneerProgram.Rules(SWARM, COUNCIL, 1 days, 2 days - 1), good, out);
        refusedRules(IPioneerProgram.Rules(SWARM, COUNCIL, 1 days, 91 days), good, out);
        IPioneerProgram.Rules memory free = IPioneerProgram.Rules(SWARM, address(0), 0, 0);
        refusedRules(free, new IPioneerProgram.Bar[](0), out);
        refusedRules(free, new IPioneerProgram.Bar[](9), out);
        refusedRules(free, bars(bar(2, 0, 0, false), bar(1, 0, 0, false)), out);
        refusedRules(free, bars(bar(1, 2, 0, false), bar(1, 1, 0, false)), out);
        refusedRules(free, bars(bar(1, 0, 2, false), bar(1, 0, 1, false)), out);
        refusedRules(free, bars(bar(1, 0, 0, false), bar(1, 0, 65, false)), out);
        refusedRules(free, bars(bar(1, 0, 0, false), bar(1, 0, 0, true)), out);
        refusedRules(IPioneerProgram.Rules(SWARM, COUNCIL, DELAY, ANSWER), bars(bar(1, 0, 0, true), bar(1, 0, 0, false)), out);
    }

    function test_unknownProgram_isRefusedEverywhere() public {
        bytes4 unknown = IPioneerProgram.ProgramUnknown.selector;
        refused(unknown);
        pioneer.rulesOf("none");
        refused(unknown);
        pioneer.frozenAt("none", 0);
        refused(unknown);
        pioneer.post("none", 0, TEXT, 1, TEXT);
        program = "none";
        IPioneerProgram.Application memory a = application(0, keysOf(0));
        bytes memory signature = signed(a, 1);
        refused(unknown);
        pioneer.submit(a, signature);
    }

    // --- applications

    function test_submit_isTheOperatorsWord_whoeverBringsIt() public {
        IPioneerProgram.Application memory a = application(0, keysOf(0));
        bytes memory signature = signed(a, 1);
        vm.prank(address(77));
        pioneer.submit(a, signature);
        IPioneerProgram.Pioneer memory p = pioneer.pioneerOf(program, operators[0]);
        isEqual(p.applications, 1, "applications");
        isEqual(p.statement, TEXT, "statement");
        isEqual(p.keys, keccak256(abi.encode(keysOf(0))), "keys");
        refused(IPioneerProgram.ApplicationOutOfTurn.selector);
        pioneer.submit(a, signature);
    }

    function test_submit_refusesWhatTheOperatorDidNotSign() public {
        IPioneerProgram.Application memory a = application(0, keysOf(0));
        bytes memory signature = signed(a, 2);
        refused(IPioneerProgram.SignerWrong.selector);
        pioneer.submit(a, signature);
        signature = signed(a, 1);
        a.statement = "another";
        refused(IPioneerProgram.SignerWrong.selector);
        pioneer.submit(a, signature);
        a = application(0, keysOf(0));
        signature = signed(a, 1);
        pass(101);
        refused(IPioneerProgram.ApplicationExpired.selector);
        pioneer.submit(a, signature);
    }

    function refusedKeys(bytes32[] memory list_, bytes4 why) private {
        IPioneerProgram.Application memory a = application(0, list_);
        bytes memory signature = signed(a, 1);
        refused(why);
        pioneer.submit(a, signature);
    }

    function test_submit_refusesKeysThatAreNotItsOwnOrCountTwice() public {
        bytes32[] memory twice = new bytes32[](2);
        (twice[0], twice[1]) = (keys[0], keys[0]);
        refusedKeys(twice, IPioneerProgram.KeysUnordered.selector);
        refusedKeys(new bytes32[](0), IPioneerProgram.KeysUnordered.selector);
        refusedKeys(keysOf(1), IPioneerProgram.KeyOfAnother.selector);
        refusedKeys(pair(keys[0], "nobody"), IPioneerProgram.KeyOfAnother.selector);
        refusedKeys(new bytes32[](257), IPioneerProgram.TooMany.selector);
        vm.startPrank(operators[0]);
        registry.createSwarm("elsewhere", "recipe", BASE, terms(), "");
        bytes32 key = registry.register("elsewhere", peer(1), vm.addr(10_001));
        ledger.enter("elsewhere", operators[0], peer(1));
        vm.stopPrank();
        refusedKeys(pair(keys[0], key), IPioneerProgram.KeyOfAnother.selector);
    }

    // --- admission

    function test_admit_asSoonAsTheBarIsMet() public {
        refused(IPioneerProgram.ApplicationUnknown.selector);
        admit(0);
        submit(0);
        missed("units", 0, 100);
        admit(0);
        earn(0, 99);
        missed("units", 99, 100);
        admit(0);
        earn(0, 1);
        admit(0);
        isEqual(tierOf(0), 1, "tier");
        missed("units", 100, 1_000);
        admit(0);
        earn(0, 950);
        admit(0);
        isEqual(tierOf(0), 2, "tier");
        missed("tiers", 2, 2);
        admit(0);
    }

    function test_admit_countsCleanEpochs() public {
        submit(0);
        earn(0, 600);
        earn(0, 600);
        admit(0);
        isEqual(tierOf(0), 1, "enough units, too few epochs");
        isEqual(ledger.cleanCount(keys[0]), 2, "epochs");
        missed("epochs", 2, 3);
        admit(0);
        earn(0, 1);
        admit(0);
        isEqual(tierOf(0), 2, "tier");
    }

    function test_admit_addsTheKeysOfTheApplicationOnly() public {
        bytes32 second = branch(0, 50);
        earn(0, 60);
        earn(5, 60);
        submit(0);
        bytes32[] memory both_ = pair(keys[0], second);
        refused(IPioneerProgram.KeysWrong.selector);
        pioneer.admit(program, operators[0], both_, none());
        missed("units", 60, 100);
        admit(0);
        IPioneerProgram.Application memory a = application(0, both_);
        pioneer.submit(a, signed(a, 1));
        pioneer.admit(program, operators[0], both_, none());
        isEqual(tierOf(0), 1, "both");
    }

    function dutyOf(IParticipationLedger.Header memory h) private pure returns (IPioneerProgram.Duty[] memory list_) {
        list_ = new IPioneerProgram.Duty[](1);
        list_[0] = IPioneerProgram.Duty(h.key, h.epoch, 0, 0, 0);
    }

    function test_admit_countsVerdictsThatTheEndAgreedWith() public {
        open(address(0), bars(bar(0, 0, 1, false), bar(0, 0, 2, false)));
        IParticipationLedger.Header memory h = audited(0, 10);
        uint256 judge = indexOf(panel(h, 0)[0]);
        submit(judge);
        missed("verdicts", 0, 1);
        admit(judge);
        address who = operators[judge];
        bytes32[] memory own = keysOf(judge);
        refused(IPioneerProgram.DutyWrong.selector);
        pioneer.admit(program, who, own, dutyOf(h)); // not closed yet
        pass(20);
        pioneer.admit(program, who, own, dutyOf(h));
        isEqual(tierOf(judge), 1, "tier");
        IPioneerProgram.Duty[] memory twice = new IPioneerProgram.Duty[](2);
        (twice[0], twice[1]) = (dutyOf(h)[0], dutyOf(h)[0]);
        refused(IPioneerProgram.DutiesUnordered.selector);
        pioneer.admit(program, who, own, twice);
        refused(IPioneerProgram.TooMany.selector);
        pioneer.admit(program, who, own, new IPioneerProgram.Duty[](65));
    }

    function test_admit_countsNoVerdictOfOthersAndNoneThatWasWrong() public {
        open(address(0), bars(bar(0, 0, 1, false), bar(0, 0, 1, false)));
        IParticipationLedger.Header memory h = audited(0, 10);
        uint256 judge = indexOf(panel(h, 0)[0]);
        pass(20);
        uint256 other = judge == 4 ? 3 : 4;
        if (keys[other] == panel(h, 0)[1]) other = judge == 2 ? 1 : 2;
        if (keys[other] == panel(h, 0)[1]) other = 1;
        submit(other);
        address who = operators[other];
        bytes32[] memory own = keysOf(other);
        refused(IPioneerProgram.DutyWrong.selector);
        pioneer.admit(program, who, own, dutyOf(h));
        IPioneerProgram.Duty[] memory beyond = dutyOf(h);
        beyond[0].seat = 1;
        refused(IPioneerProgram.DutyWrong.selector);
        pioneer.admit(program, who, own, beyond);
        lied();
    }

    function lied() private {
        uint32 epoch = registry.openEpochAt(SWARM, block.timestamp) + 1;
        vm.warp(endOf(epoch));
        IParticipationLedger.Header memory h = headerOf(0, epoch);
        send(0, h);
        (uint256 opens,,,) = court.timesOf(SWARM, epoch, 0, 0);
        vm.warp(opens);
        draw(epoch + 1);
        speak(h, 0, both(ok(), fault(h)));
        pass(20);
        speak(h, 1, all(ok()));
        pass(20);
        uint256 liar = indexOf(court.panelOf(h.key, epoch, 0, 0)[1]);
        submit(liar);
        bytes32[] memory own = keysOf(liar);
        refused(IPioneerProgram.DutyWrong.selector);
        pioneer.admit(program, operators[liar], own, dutyOf(h));
        uint256 right = indexOf(court.panelOf(h.key, epoch, 0, 0)[0]);
        if (pioneer.pioneerOf(program, operators[right]).applications == 0) submit(right);
        pioneer.admit(program, operators[right], keysOf(right), dutyOf(h));
    }

    // --- the council

    function decided(uint256 i, uint8 tier) private {
        vm.prank(COUNCIL);
        pioneer.decide(program, operators[i], tier, "record", TEXT);
    }

    function test_council_speaksOnlyForWhatTheContractCannotSee() public {
        judgedProgram();
        submit(0);
        decided(0, 2);
        pass(DELAY);
        pioneer.carryOut(program, operators[0]);
        missed("units", 0, 100);
        admit(0);
        earn(0, 100);
        admit(0);
        isEqual(tierOf(0), 2, "tier");
        earn(1, 100);
        submit(1);
        admit(1);
        isEqual(tierOf(1), 1, "what takes no word of the council's");
        missed("council", 0, 2);
        admit(1);
    }

    function test_decide_byTheCouncilOnly_withAReason() public {
        judgedProgram();
        refused(IPioneerProgram.NotCouncil.selector);
        pioneer.decide(program, operators[0], 1, "record", TEXT);
        vm.startPrank(COUNCIL);
        refused(IPioneerProgram.ApplicationUnknown.selector);
        pioneer.decide(program, operators[0], 1, "record", TEXT);
        vm.stopPrank();
        submit(0);
        vm.startPrank(COUNCIL);
        refused(IPioneerProgram.ReasonMissing.selector);
        pioneer.decide(program, operators[0], 1, 0, TEXT);
        refused(IPioneerProgram.TierUnknown.selector);
        pioneer.decide(program, operators[0], 3, "record", TEXT);
    }

    function test_decide_countsAfterItsDelay() public {
        judgedProgram();
        submit(0);
        refused(IPioneerProgram.NothingDecided.selector);
        pioneer.carryOut(program, operators[0]);
        decided(0, 2);
        pass(DELAY - 1);
        refused(IPioneerProgram.DecisionDelayed.selector);
        pioneer.carryOut(program, operators[0]);
        decided(0, 1); // begins anew
        pass(1);
        refused(IPioneerProgram.DecisionDelayed.selector);
        pioneer.carryOut(program, operators[0]);
        pass(DELAY);
        pioneer.carryOut(program, operators[0]);
        isEqual(pioneer.pioneerOf(program, operators[0]).endorsed, 1, "endorsed");
        refused(IPioneerProgram.NothingDecided.selector);
        pioneer.carryOut(program, operators[0]);
    }

    function test_appeal_unansweredIsWon() public {
        judgedProgram();
        submit(0);
        earn(0, 100);
        decided(0, 0);
        pass(DELAY);
        pioneer.carryOut(program, operators[0]);
        refused(IPioneerProgram.AppealMissing.selector);
        pioneer.grant(program, operators[0]);
        vm.prank(operators[0]);
        pioneer.appeal(program, TEXT);
        pass(ANSWER);
        refused(IPioneerProgram.AppealOpen.selector);
        pioneer.grant(program, operators[0]);
        pass(1);
        pioneer.grant(program, operators[0]);
        admit(0);
        isEqual(tierOf(0), 2, "tier");
    }

    function test_appeal_answeredIsOver_andNotRepeatedForOneApplication() public {
        judgedProgram();
        submit(0);
        vm.startPrank(operators[0]);
        pioneer.appeal(program, TEXT); // nothing was decided: the council keeps silent
        vm.stopPrank();
        decided(0, 0);
        pass(DELAY);
        pioneer.carryOut(program, operators[0]);
        pass(ANSWER);
        refused(IPioneerProgram.AppealMissing.selector);
        pioneer.grant(program, operators[0]);
        vm.startPrank(operators[0]);
        refused(IPioneerProgram.AppealTwice.selector);
        pioneer.appeal(program, TEXT);
        vm.stopPrank();
        submit(0);
        vm.prank(operators[0]);
        pioneer.appeal(program, TEXT);
    }

    function test_appeal_whereThereIsACouncilAndAnApplication() public {
        vm.startPrank(operators[0]);
        refused(IPioneerProgram.NotCouncil.selector);
        pioneer.appeal(program, TEXT);
        vm.stopPrank();
        judgedProgram();
        vm.startPrank(operators[0]);
        refused(IPioneerProgram.ApplicationUnknown.selector);
        pioneer.appeal(program, TEXT);
    }

    // --- snapshots

    function test_frozen_isWhatStoodThen() public {
        submit(0);
        earn(0, 100);
        admit(0);
        freeze(0);
        uint256 time = pioneer.frozenAt(program, 0);
        isEqual(time, endOf(0) + registry.longestCase(registry.termsOf(SWARM)), "moment");
        isEqual(pioneer.frozenUnits(program, 0, operators[0], keysOf(0)), 100, "units");
        isEqual(pioneer.frozenTotal(program, 0), 100, "total");
        isEqual(pioneer.frozenTier(program, 0, operators[0]), 1, "tier");
        submit(1);
        earn(1, 300);
        admit(1);
        earn(0, 950);
        earn(0, 1);
        admit(0);
        isEqual(pioneer.frozenUnits(program, 0, operators[0], keysOf(0)), 100, "units then");
        isEqual(pioneer.frozenUnits(program, 0, operators[1], keysOf(1)), 0, "none then");
        isEqual(pioneer.frozenTotal(program, 0), 100, "total then");
        isEqual(pioneer.frozenTier(program, 0, operators[0]), 1, "tier then");
        isEqual(pioneer.frozenTier(program, 0, operators[1]), 0, "not admitted then");
    }

    function test_frozen_notBeforeItIsPast() public {
        vm.warp(pioneer.frozenAt(program, 0));
        uint256 now_ = block.timestamp;
        refused(IParticipationLedger.TimeNotPast.selector);
        ledger.unitsAt(keys[0], now_);
        refused(IParticipationLedger.TimeNotPast.selector);
        ledger.totalAt(SWARM, now_);
        refused(IPioneerProgram.NotFrozen.selector);
        pioneer.frozenTotal(program, 0);
        bytes32[] memory own = keysOf(0);
        refused(IPioneerProgram.NotFrozen.selector);
        pioneer.frozenUnits(program, 0, operators[0], own);
        refused(IPioneerProgram.NotFrozen.selector);
        pioneer.frozenTier(program, 0, operators[0]);
        refused(IPioneerProgram.NotFrozen.selector);
        pioneer.post(program, 0, TEXT, 1, TEXT);
        pass(1);
        isEqual(pioneer.frozenTotal(program, 0), 0, "total");
        pioneer.post(program, 0, TEXT, 1, TEXT);
    }

    function test_post_byAnyone_eachRootOnce() public {
        freeze(0);
        refused(IPioneerProgram.RootMissing.selector);
        pioneer.post(program, 0, 0, 1, TEXT);
        pioneer.post(program, 0, "one", 1, TEXT);
        refused(IPioneerProgram.AlreadyPosted.selector);
        pioneer.post(program, 0, "one", 1, TEXT);
        vm.prank(address(9));
        pioneer.post(program, 0, "two", 1, TEXT);
        isTrue(pioneer.isPosted(program, 0, "one") && pioneer.isPosted(program, 0, "two"), "posted");
        isTrue(!pioneer.isPosted(program, 1, "one"), "another epoch");
    }

    /// @dev The totals of the ledger are the sums of what it settled, at every past moment.
    function testFuzz_ledger_remembersWhatStood(uint256 seed) public {
        uint256[6] memory times;
        uint256[6] memory sums;
        for (uint256 k = 0; k < 5; ++k) {
            uint64 units = uint64(uint256(keccak256(abi.encode(seed, k))) % 1_000);
            earn((seed >> k) % 5, units);
            (times[k + 1], sums[k + 1]) = (block.timestamp, sums[k] + units);
        }
        pass(1 + seed % 100);
        for (uint256 k = 0; k < 5; ++k) {
            isEqual(ledger.totalAt(SWARM, times[k + 1] - 1), sums[k], "before");
            isEqual(ledger.totalAt(SWARM, times[k + 1]), sums[k + 1], "from then on");
        }
        uint256 each = 0;
        for (uint256 i = 0; i < 5; ++i) {
            each += ledger.unitsAt(keys[i], times[3]);
        }
        isEqual(each, sums[3], "everyone's");
    }
}
