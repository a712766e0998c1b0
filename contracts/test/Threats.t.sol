// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {ICommitRevealBeacon} from "../src/interfaces/ICommitRevealBeacon.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {StepTree} from "../src/lib/StepTree.sol";
import {Town} from "./Town.sol";

/// @notice A token that calls back into the vault while it pays.
contract ReturningToken is ERC20("Returning", "BACK") {
    StakeVault private immutable _vault;
    bytes32 private _key;

    constructor(StakeVault vault_, address holder) {
        _vault = vault_;
        _mint(holder, 1e30);
    }

    function aim(bytes32 key) external {
        _key = key;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (from == address(_vault) && _key != 0) _vault.withdraw(_key);
        super._update(from, to, amount);
    }
}

/// @notice Every threat that the design names, each as an attempt that brings nothing.
///
/// design.md section 6, in its order, and where it is answered:
///  1 replaying another peer's proof              test_threat01; the leaf names the peer (replay, off chain)
///  2 forged data with honest steps               not contract-level: replay re-derives questions, tokens and rewards
///  3 seed grinding                               test_threat03 (all)
///  4 cheap or copied rollouts                    not contract-level: verifiable sampling and recomputed rewards
///  5 infinitesimal steps                         test_threat05; the formula for units is the recipe's (off chain)
///  6 withholding data, and false accusation      test_threat06 (all); Court.t.sol test_provide_*
///  7 colluding auditor                           test_threat07
///  8 an invented class                           test_threat08
///  9 correct but poisoned rollouts               not contract-level: the learner's filter
/// 10 averaging (adopting) as laundering          test_threat10 (all)
/// 11 beacon influence                            test_threat11 (all); predictable chains: IBlockHashBeacon, SECURITY.md
/// 12 front-run registration                      test_threat12 (all)
/// 13 stake from a faucet                         test_threat13 (all)
/// 14 one stake behind many peers                 test_threat14
/// 15 three prices                                test_threat15
///
/// judge-spec.md 2.4, the rows that a contract of this issue can answer:
///  self-reported reward                          test_row_selfReportedUnits
///  self-vote, friends of the same operator       test_row_selfVote
///  sybil votes                                   test_row_sybilVotes
///  back-filled rounds, stage off by one          test_row_backFilling
///  copying votes                                 test_row_copyingVerdicts
///  last-revealer seed bias                       test_threat11_withheldReveal
///  peer-id squatting                             test_threat12_squatting
/// Tag spam, betting, wash trading, market hosts, VOID pushing, evidence spam, prompt injection and gold leaks belong to the judge market,
/// which is another program with contracts of its own.
contract ThreatsTest is Town {
    function setUp() public {
        deploy();
        found(terms(), 9);
    }

    function clean(uint256 i, uint32 epoch) private returns (IParticipationLedger.Header memory h) {
        h = commit(i, epoch);
        beaconOf(epoch);
        speak(h, 0, all(ok()));
        pass(20);
        court.finalize(h);
        ledger.settle(h);
    }

    function convicted(uint32 epoch) private returns (IParticipationLedger.Header memory h) {
        h = commit(0, epoch);
        beaconOf(epoch);
        speak(h, 0, all(fault(h)));
        pass(20);
        speak(h, 1, all(fault(h)));
        pass(20);
        court.finalize(h);
    }

    function test_threat01_anotherPeersProof() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        IParticipationLedger.Header memory copy = h;
        copy.key = keys[1];
        isTrue(!ledger.isCommitted(copy), "a header belongs to its member");
        bytes32 hash = court.verdictHash(operators[2], keys[0], 0, 0, 1, 0, VALUE, 0);
        isTrue(hash != court.verdictHash(operators[2], keys[1], 0, 0, 1, 0, VALUE, 0), "so does a verdict");
        isTrue(hash != court.verdictHash(operators[2], keys[0], 1, 0, 1, 0, VALUE, 0), "and to its epoch");
        refused(IParticipationLedger.HeaderUnknown.selector);
        ledger.settle(copy);
    }

    function test_threat03_nothingKnownBeforeTheCommitment() public {
        commit(0, 0);
        (, bool ready) = court.auditBeacon(SWARM, 0);
        isTrue(!ready, "drawn before the window closed");
    }

    function test_threat03_noCommitmentAfterTheBeaconOpens() public {
        (uint256 opens,) = reveals.windowOf(SWARM, 1);
        vm.warp(opens);
        IParticipationLedger.Header memory h = headerOf(0, 0);
        vm.prank(operators[0]);
        refused(IParticipationLedger.WindowClosed.selector);
        ledger.commit(h.key, 0, h.steps, h.units, h.root, h.last, h.data);
    }

    function test_threat03_stakeMovedAfterwardsDrawsTheSame() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        beaconOf(0);
        bytes32 before = keccak256(abi.encode(panel(h, 0)));
        fill(operators[5], STAKE);
        vm.startPrank(operators[5]);
        credit.approve(address(vault), STAKE);
        vault.stake(keys[5], STAKE, CLASS);
        vm.stopPrank();
        vm.prank(operators[6]);
        vault.unbond(keys[6], STAKE);
        settleIn(10, CLASS);
        isEqual(keccak256(abi.encode(panel(h, 0))), before, "panel");
    }

    function test_threat05_manyTinySteps() public {
        vm.warp(endOf(0));
        IParticipationLedger.Header memory h = headerOf(0, 0);
        vm.startPrank(operators[0]);
        refused(IParticipationLedger.StepsExceeded.selector);
        ledger.commit(h.key, 0, 1_000_000, h.units, h.root, h.last, h.data);
        refused(IParticipationLedger.UnitsExceeded.selector);
        ledger.commit(h.key, 0, h.steps, type(uint64).max, h.root, h.last, h.data);
    }

    function test_threat06_withholding_earnsNothingAndCostsMoreThanItCouldGain() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        beaconOf(0);
        speak(h, 0, all(unavailable(h)));
        pass(20);
        speak(h, 1, all(unavailable(h)));
        pass(20);
        court.finalize(h);
        ledger.settle(h);
        isEqual(ledger.unitsOf(keys[0]), 0, "no score");
        isTrue(STAKE - wealth(0) >= 10 * 1 ether, "price below an epoch of forged steps");
        IParticipationLedger.Header memory g = headerOf(0, 3);
        vm.warp(endOf(3));
        vm.prank(operators[0]);
        refused(IParticipationLedger.StepsExceeded.selector);
        ledger.commit(g.key, 3, 1, 0, g.root, g.last, g.data);
    }

    function test_threat06_falseAccusation_costsTheAccusers() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        beaconOf(0);
        bytes32[] memory seats = panel(h, 0);
        speak(h, 0, all(unavailable(h)));
        pass(20);
        speak(h, 1, all(ok()));
        pass(20);
        court.finalize(h);
        ledger.settle(h);
        isEqual(wealth(0), STAKE, "prover");
        isEqual(ledger.unitsOf(keys[0]), 500, "score");
        isTrue(vault.stakeOf(seats[0]).active < STAKE && vault.stakeOf(seats[1]).active < STAKE, "accusers");
    }

    function test_threat07_colludingAuditors_fallToOneWhistleblower() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        beaconOf(0);
        bytes32[] memory seats = panel(h, 0);
        uint256 whistle = 1;
        while (keys[whistle] == seats[0] || keys[whistle] == seats[1]) ++whistle;
        speak(h, 0, all(ok()));
        challengeBy(h, keys[whistle]);
        pass(20);
        speak(h, 1, all(fault(h)));
        pass(20);
        court.finalize(h);
        isEqual(wealth(0), 0, "prover");
        isTrue(wealth(indexOf(seats[0])) < STAKE && wealth(indexOf(seats[1])) < STAKE, "colluders");
        isTrue(wealth(whistle) > STAKE, "whistleblower");
    }

    /// @dev The copycat saw the promise and made it too, in its own name as it must; it holds none for this case when the challenge shows.
    function test_threat07_copycat_ofAWhistleblower_hasNothingToOpen() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        beaconOf(0);
        bytes32[] memory seats = panel(h, 0);
        uint256 whistle = 1;
        while (keys[whistle] == seats[0] || keys[whistle] == seats[1]) ++whistle;
        uint256 copycat = whistle + 1;
        while (keys[copycat] == seats[0] || keys[copycat] == seats[1]) ++copycat;
        bytes32 key = keys[copycat];
        speak(h, 0, all(ok()));
        bytes32 hash = promiseOf(h, keys[whistle]);
        vm.prank(operators[copycat]);
        refused(IAuditCourt.PlantTaken.selector);
        court.commitChallenge(key, hash);
        vm.prank(operators[copycat]);
        court.commitChallenge(key, keccak256("a hash of its own, about something else"));
        pass(1);
        vm.prank(operators[copycat]);
        refused(IAuditCourt.ChallengeUnknown.selector);
        court.challenge(h, key, keys[whistle]);
        openChallenge(h, keys[whistle]);
        isTrue(court.caseOf(h.key, 0).challenged, "by the whistleblower");
    }

    function test_threat08_aClassOfOneOrTwoScoresNothing() public {
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(operators[i]);
            vault.setClass(keys[i], OTHER_CLASS);
        }
        IParticipationLedger.Header memory h = clean(0, 0);
        isEqual(ledger.unitsOf(h.key), 0, "two others of its class are too few");
        isEqual(wealth(0), STAKE, "and no slash");
        IParticipationLedger.Header memory g = clean(4, 1);
        isEqual(ledger.unitsOf(g.key), 500, "five others are enough");
    }

    function test_threat10_onlyAcceptedRootsCanBeAdopted() public {
        commit(0, 0);
        bytes32 other = keys[0];
        vm.prank(operators[1]);
        refused(IParticipationLedger.NothingAccepted.selector);
        ledger.adopt(keys[1], other);
    }

    function test_threat10_aConvictedRootIsNeverAccepted() public {
        IParticipationLedger.Header memory h = convicted(0);
        isTrue(ledger.memberOf(keys[0]).accepted != h.last && ledger.memberOf(keys[0]).last == BASE, "rewound");
    }

    function test_threat11_withheldReveal_costsAtLeastTheLargestGain() public {
        (uint256 opens, uint256 closes) = reveals.windowOf(SWARM, 1);
        vm.warp(opens);
        for (uint256 i = 1; i < 9; ++i) {
            revealNext(i, 1);
        }
        vm.warp(closes);
        vault.forfeit(keys[0], 1);
        ISwarmRegistry.Terms memory t = registry.termsOf(SWARM);
        isTrue(STAKE - wealth(0) >= uint256(t.maxSteps) * t.gain, "cheaper than what it can gain");
    }

    function test_threat11_newcomersHaveNoSay() public {
        (uint256 opens,) = reveals.windowOf(SWARM, 1);
        vm.warp(opens);
        bytes32 key = settleIn(10, CLASS);
        bytes32 preimage = link(10, 1);
        refused(ICommitRevealBeacon.NoWeight.selector);
        reveals.reveal(key, 1, preimage);
    }

    function test_threat12_squatting_blocksNobody() public {
        address squatter = vm.addr(666);
        vm.prank(squatter);
        bytes32 theirs = registry.register(SWARM, peer(20), squatter);
        bytes32 own = enlist(20);
        isTrue(own != theirs, "another key");
        isTrue(registry.sessionOf(own) == vm.addr(10_020), "own session");
    }

    function test_threat12_nobodyRegistersOrStakesForAnother() public {
        bytes32 key = enlist(20);
        refused(IStakeVault.NotOperator.selector);
        vault.stake(key, STAKE, CLASS);
        refused(ISwarmRegistry.PeerUnknown.selector);
        registry.setSession(SWARM, peer(20), address(this));
    }

    // --- 13: a faucet swarm, member 1 is its creator

    function faucetTown() private {
        deploy();
        delete keys;
        delete operators;
        for (uint256 i = 0; i < 12; ++i) {
            used[i] = 0;
        }
        ISwarmRegistry.Terms memory t = terms();
        t.faucet = true;
        vm.prank(vm.addr(1));
        registry.createSwarm(SWARM, keccak256("recipe"), BASE, t, "");
        settleIn(1, CLASS);
        for (uint256 n = 2; n <= 5; ++n) {
            inviteIn(1, n);
        }
    }

    function inviteIn(uint256 inviter, uint256 n) private returns (bytes32 key) {
        ISwarmRegistry.Invite memory invite = voucher(inviter, 100_000 + n, vm.addr(n));
        vm.prank(vm.addr(n));
        registry.registerInvited(SWARM, peer(n), vm.addr(10_000 + n), invite);
        key = settleIn(n, CLASS);
    }

    function test_threat13_invitedMembersHaveWeight() public {
        faucetTown();
        for (uint256 i = 0; i < 5; ++i) {
            isEqual(vault.weightAt(keys[i], 0), STAKE, "creator and invited");
        }
    }

    function test_threat13_aThousandFaucetIdentitiesGetNoSeat() public {
        faucetTown();
        for (uint256 n = 1_001; n <= 2_000; ++n) {
            settleIn(n, CLASS);
            isEqual(vault.weightAt(keys[keys.length - 1], 0), 0, "weight");
        }
        isEqual(vault.memberCount(SWARM), 1_005, "members");
        isEqual(vault.operatorsAt(SWARM, 0), 5, "operators that count");
        for (uint256 s = 0; s < 10; ++s) {
            bytes32[] memory drawn = vault.draw(keys[0], 0, bytes32(s), 3);
            isEqual(drawn.length, 3, "a full panel");
            for (uint256 i = 0; i < drawn.length; ++i) {
                isTrue(indexOf(drawn[i]) < 5, "a seat");
            }
        }
        // Nor a say in the beacon.
        (uint256 opens,) = reveals.windowOf(SWARM, 1);
        vm.warp(opens);
        bytes32 key = keys[500];
        bytes32 preimage = link(1_496, 1);
        refused(ICommitRevealBeacon.NoWeight.selector);
        reveals.reveal(key, 1, preimage);
    }

    function test_threat13_invitingNeedsVerifiedWork() public {
        faucetTown();
        bytes32 key = inviteIn(2, 6);
        isEqual(vault.weightAt(key, 0), 0, "its inviter has earned nothing yet");
    }

    function test_threat13_verifiedWorkEarnsWeight() public {
        faucetTown();
        bytes32 key = settleIn(6, CLASS);
        isEqual(vault.weightAt(key, 0), 0, "uninvited");
        IParticipationLedger.Header memory h = clean(5, 0);
        isEqual(ledger.unitsOf(h.key), 500, "earned");
        isEqual(vault.weightAt(key, registry.openEpochAt(SWARM, block.timestamp)), STAKE / 2, "half an epoch's worth");
    }

    function test_threat13_inviterSharesTheRisk() public {
        faucetTown();
        IParticipationLedger.Header memory h = commit(1, 0);
        beaconOf(0);
        speak(h, 0, all(fault(h)));
        pass(20);
        speak(h, 1, all(fault(h)));
        pass(20);
        court.finalize(h);
        isEqual(wealth(1) - vault.claimable(address(credit), operators[1]), 0, "invitee");
        uint32 epoch = registry.openEpochAt(SWARM, block.timestamp);
        isEqual(vault.stakeOf(keys[0]).active, STAKE * 90 / 100, "inviter's stake");
        isEqual(vault.weightAt(keys[0], epoch), STAKE * 90 / 100, "inviter's weight");
        // Fresh faucet money does not bring the invitee's weight back.
        fill(operators[1], STAKE);
        vm.startPrank(operators[1]);
        credit.approve(address(vault), STAKE);
        vault.stake(keys[1], STAKE, CLASS);
        vm.stopPrank();
        isEqual(vault.weightAt(keys[1], epoch), 0, "invitee's weight");
    }

    function test_threat14_oneStakeBehindManyPeers() public {
        // A second peer of operator 1 has no capacity until it has a stake of its own.
        vm.startPrank(operators[0]);
        bytes32 second = registry.register(SWARM, peer(50), operators[0]);
        ledger.enter(SWARM, operators[0], peer(50));
        vm.warp(endOf(0));
        refused(IParticipationLedger.StepsExceeded.selector);
        ledger.commit(second, 0, 1, 1, "root", "last", "data");
    }

    function test_threat15_threePricesInOrder() public {
        uint256 silence_ = STAKE * 1 / 100;
        IParticipationLedger.Header memory h = commit(0, 0);
        vm.prank(operators[0]);
        court.concede(h);
        uint256 concession = STAKE - wealth(0);
        vm.prank(address(court));
        vault.absent(keys[1], 0, false);
        isEqual(STAKE - wealth(1), silence_, "silence");
        isTrue(concession > silence_ && concession < STAKE, "concession in between");
    }

    function test_laptopOfflineForADay_losesAtMostOnePercent() public {
        // Member 8 commits, then is gone for 24 hours in which it is drawn, owes reveals and answers nobody.
        IParticipationLedger.Header memory mine = commit(8, 0);
        for (uint32 e = 0; e < 6; ++e) {
            IParticipationLedger.Header memory h = commit(e % 3, e);
            (uint256 opens, uint256 closes) = reveals.windowOf(SWARM, e + 1);
            vm.warp(opens);
            for (uint256 i = 0; i < 8; ++i) {
                if (vault.weightAt(keys[i], e) != 0) revealNext(i, e + 1);
            }
            vm.warp(closes);
            if (reveals.missed(keys[8], e + 1)) vault.forfeit(keys[8], e + 1);
            bytes32[] memory seats = panel(h, 0);
            Say memory a = seats[0] == keys[8] ? silence() : ok();
            Say memory b = seats.length > 1 && seats[1] == keys[8] ? silence() : ok();
            speak(h, 0, both(a, b));
        }
        pass(1 days);
        court.finalize(mine);
        isTrue(wealth(8) >= STAKE * 99 / 100, "more than one per cent");
    }

    function test_sessionKeysMoveNoValue() public {
        address session = ledger.memberOf(keys[0]).session;
        bytes32 key = keys[0];
        vm.startPrank(session);
        refused(IStakeVault.NotOperator.selector);
        vault.stake(key, 1, CLASS);
        refused(IStakeVault.NotOperator.selector);
        vault.unbond(key, 1);
        refused(IStakeVault.NotOperator.selector);
        vault.withdraw(key);
        refused(IStakeVault.NothingToPay.selector);
        vault.claim(address(credit));
    }

    function test_tokenThatCallsBack() public {
        deploy();
        delete keys;
        delete operators;
        ISwarmRegistry.Terms memory t = terms();
        ReturningToken token = new ReturningToken(vault, vm.addr(1));
        t.token = address(token);
        found(t, 0);
        bytes32 key = enlist(1);
        vm.startPrank(vm.addr(1));
        token.approve(address(vault), STAKE);
        vault.stake(key, STAKE, CLASS);
        vault.unbond(key, STAKE);
        pass(2_000);
        token.aim(key);
        refused(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        vault.withdraw(key);
    }

    function test_row_selfReportedUnits() public {
        vm.warp(endOf(0));
        IParticipationLedger.Header memory h = headerOf(0, 0);
        vm.prank(operators[0]);
        refused(IParticipationLedger.UnitsExceeded.selector);
        ledger.commit(h.key, 0, h.steps, 1_001, h.root, h.last, h.data);
        send(0, h);
        refused(IParticipationLedger.CaseOpen.selector);
        ledger.settle(h);
        h.units = 1_000;
        refused(IParticipationLedger.HeaderUnknown.selector);
        ledger.settle(h);
    }

    function test_row_selfVote() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        beaconOf(0);
        for (uint8 level = 0; level < 4; ++level) {
            bytes32[] memory seats = court.panelOf(h.key, 0, level, 0);
            for (uint256 i = 0; i < seats.length; ++i) {
                isTrue(ledger.operatorOf(seats[i]) != operators[0], "own seat");
            }
        }
        bytes32 key = keys[0];
        vm.prank(operators[0]);
        refused(IAuditCourt.NotSeated.selector);
        court.commitVerdict(key, key, 0, 0, "x");
    }

    function test_row_sybilVotes() public {
        // The same stake over four members gets no more seats than in one: one per operator, and weight is stake.
        for (uint256 n = 31; n < 34; ++n) {
            vm.startPrank(operators[1]);
            bytes32 key = registry.register(SWARM, peer(n), operators[1]);
            ledger.enter(SWARM, operators[1], peer(n));
            credit.faucet(STAKE);
            credit.approve(address(vault), STAKE);
            vault.stake(key, STAKE, CLASS);
            vm.stopPrank();
        }
        for (uint256 k = 0; k < 3; ++k) {
            fill(operators[2], STAKE);
        }
        vm.startPrank(operators[2]);
        credit.approve(address(vault), 3 * STAKE);
        vault.stake(keys[2], 3 * STAKE, CLASS);
        vm.stopPrank();
        uint256 split = 0;
        uint256 whole = 0;
        for (uint256 s = 0; s < 400; ++s) {
            bytes32 seat = vault.draw(keys[0], 0, keccak256(abi.encode(s)), 1)[0];
            if (ledger.operatorOf(seat) == operators[1]) ++split;
            if (ledger.operatorOf(seat) == operators[2]) ++whole;
        }
        // Of 14 shares each has 4: expected 114, standard deviation 9.
        isTrue(split > 78 && split < 150 && whole > 78 && whole < 150, "shares of draws");
    }

    function test_row_backFilling() public {
        vm.warp(endOf(5));
        IParticipationLedger.Header memory h = headerOf(0, 5);
        vm.startPrank(operators[0]);
        for (uint32 e = 0; e < 8; ++e) {
            if (e == 5) continue;
            refused(IParticipationLedger.WindowClosed.selector);
            ledger.commit(h.key, e, h.steps, h.units, h.root, h.last, h.data);
        }
        vm.stopPrank();
        send(0, h);
    }

    function test_row_copyingVerdicts() public {
        IParticipationLedger.Header memory h = commit(0, 0);
        beaconOf(0);
        bytes32[] memory seats = panel(h, 0);
        commitSay(seats[0], h, 0, ok());
        bytes32 hash = court.voteOf(h.key, 0, 0, 0, seats[0]).commitment;
        vm.prank(ledger.operatorOf(seats[1]));
        court.commitVerdict(seats[1], h.key, 0, 0, hash);
        pass(40);
        revealSay(seats[0], h, 0, ok());
        address copier = ledger.operatorOf(seats[1]);
        vm.prank(copier);
        refused(IAuditCourt.VerdictMismatch.selector);
        court.revealVerdict(seats[1], h, 0, 1, 0, VALUE, seats[0]);
    }

    function testFuzz_stepTree_everyLeafHasItsProofOnly(uint8 width_, uint8 index_, bytes32 noise) public view {
        uint256 width = between(width_, 1, 40);
        uint256 index = between(index_, 0, width - 1);
        bytes32[] memory row = new bytes32[](width);
        for (uint256 i = 0; i < width; ++i) {
            row[i] = keccak256(abi.encode(i));
        }
        bytes32[] memory proof = new bytes32[](8);
        uint256 length = 0;
        bytes32 leaf = row[index];
        uint256 place = index;
        for (uint256 n = width; n > 1; n = (n + 1) / 2) {
            if (place ^ 1 < n) proof[length++] = row[place ^ 1];
            for (uint256 i = 0; i < (n + 1) / 2; ++i) {
                row[i] = 2 * i + 1 < n ? StepTree.nodeHash(row[2 * i], row[2 * i + 1]) : row[2 * i];
            }
            place /= 2;
        }
        bytes32[] memory cut = new bytes32[](length);
        for (uint256 i = 0; i < length; ++i) {
            cut[i] = proof[i];
        }
        isEqual(this.rootOf(leaf, index, width, cut), row[0], "root");
        isTrue(this.rootOf(noise, index, width, cut) != row[0], "another leaf");
    }

    function rootOf(bytes32 leaf, uint256 index, uint256 width, bytes32[] calldata proof) external pure returns (bytes32) {
        return StepTree.rootOf(leaf, index, width, proof);
    }
}
