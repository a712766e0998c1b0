// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {Base} from "./Base.sol";
import {Town} from "./Town.sol";

/// @notice A town of five whose members do anything at any time: the handler offers only calls that must not fail in the state it finds.
contract Townsfolk is Town {
    uint256 private constant MEMBERS = 5;
    uint32 private constant HORIZON = 8; // cases looked back at

    uint256 public paidIn;
    uint256 public paidOut;
    mapping(uint256 member => mapping(uint32 epoch => uint256)) public commitments;
    mapping(uint256 member => mapping(uint32 epoch => IParticipationLedger.Header)) private _headers;
    uint256 public unitsSettledClean;
    uint256 public wrongSettlements;
    mapping(uint8 outcome => uint256) public outcomes;
    mapping(bytes32 seatId => Say) private _said;
    uint256 private constant OPENED = type(uint256).max;
    mapping(bytes32 by => mapping(bytes32 key => mapping(uint32 epoch => mapping(uint8 level => uint256)))) private _promised;

    constructor() {
        deploy();
        ISwarmRegistry.Terms memory t = terms();
        t.randomness = hashes;
        (t.epoch, t.grace, t.beacon, t.audit, t.reveal, t.challenge, t.unbonding) = (40, 20, 5, 15, 15, 10, 400);
        registry.createSwarm(SWARM, keccak256("recipe"), BASE, t, "");
        for (uint256 n = 1; n <= MEMBERS; ++n) {
            bytes32 key = enlist(n);
            fill(operators[n - 1], STAKE);
            vm.startPrank(operators[n - 1]);
            credit.approve(address(vault), type(uint256).max);
            vault.stake(key, STAKE, CLASS);
            vm.stopPrank();
            paidIn += STAKE;
        }
        credit.faucet(1_000 ether);
        credit.approve(address(vault), 1_000 ether);
        vault.fund(SWARM, 50 ether);
        paidIn += 50 ether;
    }

    // --- acts

    function wait(uint256 seconds_) external {
        vm.warp(block.timestamp + between(seconds_, 1, 20));
        vm.roll(block.number + 5);
        draw();
    }

    function commitEpoch(uint256 mask) external {
        for (uint256 who = 0; who < MEMBERS; ++who) {
            if (mask >> who & 1 == 1) commitOne(who);
        }
    }

    function commitOne(uint256 who) private {
        uint32 epoch = registry.openEpochAt(SWARM, block.timestamp);
        uint256 end = registry.endOf(SWARM, epoch);
        if (block.timestamp < end || ledger.memberOf(keys[who]).next > epoch) return;
        IParticipationLedger.Header memory h = headerOf(who, epoch);
        if (h.steps == 0) return;
        send(who, h);
        commitments[who][epoch] += 1;
        _headers[who][epoch] = h;
    }

    function commitTwice(uint256 who) external {
        who %= MEMBERS;
        uint32 epoch = ledger.memberOf(keys[who]).next;
        if (epoch == 0) return;
        IParticipationLedger.Header memory h = headerOf(who, epoch - 1);
        vm.prank(operators[who]);
        try ledger.commit(h.key, h.epoch, h.steps, h.units, h.root, h.last, h.data) {
            commitments[who][epoch - 1] += 1;
        } catch {}
    }

    /// @dev All panels in session: each seat says or reveals something, or keeps silent. A town is in one mood for an epoch, mostly.
    function vote(uint256 moods) external {
        for (uint256 back = 0; back < HORIZON; ++back) {
            for (uint256 who = 0; who < MEMBERS; ++who) {
                (IParticipationLedger.Header memory h, bool found_) = pick(who, back);
                if (found_) votePanel(h, moods = uint256(keccak256(abi.encode(moods))));
            }
        }
    }

    function votePanel(IParticipationLedger.Header memory h, uint256 moods) private {
        IAuditCourt.Case memory c = court.caseOf(h.key, h.epoch);
        if (c.phase != IAuditCourt.Phase.Audit && c.phase != IAuditCourt.Phase.Reveal) return;
        (, bool ready) = court.auditBeacon(SWARM, h.epoch);
        if (!ready) return;
        bytes32[] memory seats = court.panelOf(h.key, h.epoch, c.level, c.roll);
        uint8 common = uint8(uint256(keccak256(abi.encode(h.key, h.epoch))));
        for (uint256 i = 0; i < seats.length; ++i) {
            uint8 own = uint8(moods >> (8 * i));
            if (own % 10 != 0) voteSeat(h, c, seats[i], own % 10 < 8 ? common : own);
        }
    }

    function voteSeat(IParticipationLedger.Header memory h, IAuditCourt.Case memory c, bytes32 auditor, uint8 mood) private {
        bytes32 id = keccak256(abi.encode(h.key, h.epoch, c.level, c.roll, auditor));
        IAuditCourt.Vote memory v = court.voteOf(h.key, h.epoch, c.level, c.roll, auditor);
        if (c.phase == IAuditCourt.Phase.Audit && v.commitment == 0) {
            _said[id] = opinion(h, mood);
            commitSay(auditor, h, c.level, _said[id]);
        } else if (c.phase == IAuditCourt.Phase.Reveal && v.commitment != 0 && v.verdict == IAuditCourt.Verdict.None) {
            revealSay(auditor, h, c.level, _said[id]);
        }
    }

    /// @dev A promise, or an open one's challenge: in time, too late, beaten by another.
    function challenge(uint256 who, uint256 back, uint256 by) external {
        (IParticipationLedger.Header memory h, bool found_) = pick(who, back);
        by %= MEMBERS;
        if (!found_) return;
        IAuditCourt.Case memory c = court.caseOf(h.key, h.epoch);
        if (c.phase != IAuditCourt.Phase.Challenge || c.level == 3) return;
        uint256 since = _promised[keys[by]][h.key][h.epoch][c.level];
        if (since == 0 && vault.stakeOf(keys[by]).active >= court.bondOf(SWARM)) {
            bool atOnce = back % 2 == 0 && block.timestamp + 1 < c.phaseEnds;
            _promised[keys[by]][h.key][h.epoch][c.level] = atOnce ? OPENED : block.timestamp;
            if (atOnce) challengeBy(h, keys[by]);
            else promiseOf(h, keys[by]);
        } else if (since != 0 && since != OPENED && since < block.timestamp) {
            _promised[keys[by]][h.key][h.epoch][c.level] = OPENED;
            openChallenge(h, keys[by]);
        }
    }

    function concede(uint256 who, uint256 back) external {
        if (back % 4 != 0) return;
        (IParticipationLedger.Header memory h, bool found_) = pick(who, back);
        IAuditCourt.Case memory c = found_ ? court.caseOf(h.key, h.epoch) : court.caseOf(keys[0], 0);
        if (!found_ || c.level != 0 || c.phase > IAuditCourt.Phase.Audit) return;
        vm.prank(ledger.operatorOf(h.key));
        court.concede(h);
    }

    function close(uint256 mask) external {
        for (uint256 i = 0; i < HORIZON * MEMBERS; ++i) {
            (IParticipationLedger.Header memory h, bool found_) = pick(i, i / MEMBERS);
            if (found_ && mask >> i & 1 == 1) closeOne(h);
        }
    }

    function closeOne(IParticipationLedger.Header memory h) private {
        IAuditCourt.Case memory c = court.caseOf(h.key, h.epoch);
        if (c.phase == IAuditCourt.Phase.Closed && !c.finalized) {
            court.finalize(h);
            outcomes[uint8(c.outcome)] += 1;
        }
        if (ledger.isSettled(h.key, h.epoch)) return;
        uint256 before = ledger.unitsOf(h.key);
        try ledger.settle(h) {
            uint256 gained = ledger.unitsOf(h.key) - before;
            unitsSettledClean += gained;
            if (gained != 0 && (c.phase != IAuditCourt.Phase.Closed || c.outcome != IAuditCourt.Outcome.Clean)) ++wrongSettlements;
        } catch {
            if (c.phase == IAuditCourt.Phase.Closed) ++wrongSettlements;
        }
    }

    function moveStake(uint256 who, uint256 amount, uint8 what) external {
        who %= MEMBERS;
        bytes32 key = keys[who];
        IStakeVault.Stake memory s = vault.stakeOf(key);
        vm.startPrank(operators[who]);
        if (what % 6 == 0 && s.active > 0) {
            vault.unbond(key, between(amount, 1, amount % 5 == 0 ? s.active : s.active / 20 + 1));
        } else if (what % 6 == 1 && s.unbonding > 0 && block.timestamp >= s.releaseAt) {
            paidOut += s.unbonding;
            vault.withdraw(key);
        } else if (what % 6 == 2 && s.active < STAKE && credit.taken(operators[who]) <= 9_000 ether) {
            if (credit.balanceOf(operators[who]) < STAKE) credit.faucet(STAKE);
            vault.stake(key, STAKE, s.class);
            paidIn += STAKE;
        } else if (what % 6 == 3 && vault.claimable(address(credit), operators[who]) > 0) {
            paidOut += vault.claimable(address(credit), operators[who]);
            vault.claim(address(credit));
        } else if (what % 6 == 4 && amount % 5 == 0) {
            vault.pause(key);
        } else {
            vault.resume(key);
        }
        vm.stopPrank();
    }

    // --- what invariants look at

    function conservation() external view returns (bool) {
        return credit.balanceOf(address(vault)) == vault.held(address(credit)) && vault.held(address(credit)) == paidIn - paidOut;
    }

    /// @dev Stakes, claims and the treasury together are never more than what is held.
    function owed() external view returns (uint256 sum) {
        sum = vault.treasuryOf(SWARM);
        for (uint256 i = 0; i < MEMBERS; ++i) {
            sum += wealth(i);
        }
    }

    function held() external view returns (uint256) {
        return vault.held(address(credit));
    }

    function mostCommitments() external view returns (uint256 most) {
        uint32 epoch = registry.epochAt(SWARM, block.timestamp);
        for (uint256 i = 0; i < MEMBERS; ++i) {
            for (uint32 e = epoch > HORIZON ? epoch - HORIZON : 0; e <= epoch; ++e) {
                if (commitments[i][e] > most) most = commitments[i][e];
            }
        }
    }

    function units() external view returns (uint256 sum) {
        for (uint256 i = 0; i < MEMBERS; ++i) {
            sum += ledger.unitsOf(keys[i]);
        }
    }

    /// @dev Every case older than the longest one is closed, though nobody had to call anything.
    function everyOldCaseIsClosed() external view returns (bool) {
        uint32 epoch = registry.epochAt(SWARM, block.timestamp);
        uint256 longest = registry.longestCase(registry.termsOf(SWARM));
        for (uint32 e = epoch > HORIZON ? epoch - HORIZON : 0; e < epoch; ++e) {
            if (registry.endOf(SWARM, e) + longest > block.timestamp) break;
            for (uint256 i = 0; i < MEMBERS; ++i) {
                if (court.caseOf(keys[i], e).phase != IAuditCourt.Phase.Closed) return false;
            }
        }
        return true;
    }

    // --- parts

    function opinion(IParticipationLedger.Header memory h, uint8 mood) private view returns (Say memory) {
        uint256 m = mood % 16;
        if (m < 7) return ok();
        if (m < 12) return fault(h);
        if (m == 12) return lazyOk();
        return m < 15 ? unavailable(h) : cannot();
    }

    function pick(uint256 who, uint256 back) private view returns (IParticipationLedger.Header memory h, bool found_) {
        uint32 epoch = registry.epochAt(SWARM, block.timestamp);
        uint256 ago = 1 + back % HORIZON;
        if (ago > epoch) return (h, false);
        h = _headers[who % MEMBERS][uint32(epoch - ago)];
        found_ = h.key != 0 && ledger.isCommitted(h);
    }

    /// @dev Somebody pokes the block-hash beacon, but not for every epoch.
    function draw() private {
        uint32 epoch = registry.openEpochAt(SWARM, block.timestamp - 1);
        if (epoch == 0 || epoch % 7 == 3) return;
        (, bool ready) = hashes.value(SWARM, epoch);
        if (ready) return;
        hashes.poke(SWARM, epoch);
        uint256 target = hashes.targetOf(SWARM, epoch);
        vm.roll(target + 1);
        vm.setBlockhash(target, keccak256(abi.encode(target)));
        hashes.poke(SWARM, epoch);
    }
}

contract InvariantsTest is Base {
    Townsfolk private folk;

    function setUp() public {
        folk = new Townsfolk();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(folk);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory s = new bytes4[](15);
        for (uint256 i = 0; i < 4; ++i) {
            (s[i], s[4 + i]) = (Townsfolk.wait.selector, Townsfolk.vote.selector);
        }
        (s[8], s[9], s[10]) = (Townsfolk.commitEpoch.selector, Townsfolk.commitEpoch.selector, Townsfolk.commitTwice.selector);
        (s[11], s[12], s[13]) = (Townsfolk.challenge.selector, Townsfolk.concede.selector, Townsfolk.close.selector);
        s[14] = Townsfolk.moveStake.selector;
        targets[0] = FuzzSelector(address(folk), s);
    }

    /// @dev For people: forge shows it with -vv.
    function afterInvariant() public {
        for (uint8 i = 1; i < 8; ++i) {
            emit log_named_uint("outcome", folk.outcomes(i));
        }
        emit log_named_uint("units", folk.units());
    }

    /// @notice Money: what came in and has not gone out is there; nobody can withdraw more than was paid in; one commitment per member
    /// and epoch; units only from cases closed clean; every old case is closed by time alone.
    function invariant_townHolds() public view {
        isTrue(folk.conservation(), "conservation");
        isTrue(folk.owed() <= folk.held(), "owed more than held");
        isTrue(folk.mostCommitments() <= 1, "two commitments of one epoch");
        isTrue(folk.wrongSettlements() == 0, "settled a case that was not closed clean");
        isEqual(folk.units(), folk.unitsSettledClean(), "units from nowhere");
        isTrue(folk.everyOldCaseIsClosed(), "a case that does not end");
    }
}
