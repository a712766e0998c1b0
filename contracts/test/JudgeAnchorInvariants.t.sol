// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IJudgeAnchor} from "../src/interfaces/IJudgeAnchor.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {Base} from "./Base.sol";
import {JudgeTown} from "./JudgeTown.sol";

/// @notice Five members and two who only judge do anything at any time. Two tallies of every epoch compete. The handler offers only calls
/// that must not fail in the state it finds, and keeps its own books.
contract Jurors is JudgeTown {
    uint256 private constant MEMBERS = 5;
    uint256 private constant PEOPLE = 7;
    uint256 private constant HORIZON = 6; // epochs looked back at

    uint256 public paidIn;
    uint256 public paidOut;
    uint256 public wrong; // calls that went through and must not have
    uint256 public decided;
    uint256 public claimed;
    uint256 public swept;
    uint32[] private _epochs; // in which something happened
    mapping(uint32 epoch => bool) private _seen;
    mapping(uint32 epoch => bool) private _final;
    mapping(uint32 epoch => uint256) private _cameIn; // slashes and funds
    mapping(uint32 epoch => uint256) private _wentOut; // pay and sweeps
    mapping(uint32 epoch => mapping(uint256 tally => uint256)) private _votes;
    mapping(uint32 epoch => uint256) private _rolls; // at the last change
    mapping(uint256 member => uint256) private _weights;
    mapping(uint32 epoch => mapping(uint256 tally => bytes32)) private _roots;
    uint256 private _roll;

    constructor() {
        deployJudges();
        ISwarmRegistry.Terms memory t = terms();
        t.randomness = hashes;
        (t.epoch, t.grace, t.beacon, t.audit, t.reveal, t.challenge, t.unbonding) = (40, 20, 5, 15, 15, 10, 400);
        registry.createSwarm(SWARM, keccak256("recipe"), BASE, t, "");
        for (uint256 n = 1; n <= PEOPLE; ++n) {
            bytes32 key = enlist(n);
            fill(operators[n - 1], STAKE);
            vm.startPrank(operators[n - 1]);
            credit.approve(address(vault), type(uint256).max);
            credit.approve(address(judges), type(uint256).max);
            if (n <= MEMBERS) vault.stake(key, STAKE, CLASS);
            vm.stopPrank();
        }
        credit.approve(address(judges), type(uint256).max);
    }

    // --- acts

    function wait(uint256 seconds_) external {
        vm.warp(block.timestamp + between(seconds_, 1, 25));
    }

    function sleep(uint256 days_) external {
        if (days_ % 3 == 0) vm.warp(block.timestamp + between(days_, 1, 40) * 1 days);
    }

    /// @dev Waits for the window, mostly. Three in four anchor, three in four of them the same.
    function anchorEpoch(uint256 mask, uint256 opinions) external {
        uint32 epoch = registry.openEpochAt(SWARM, block.timestamp - 1);
        if (block.timestamp < endOf(epoch) && mask % 4 != 0) vm.warp(endOf(epoch));
        if (epoch == 0 || block.timestamp < endOf(epoch)) return;
        for (uint256 i = 0; i < MEMBERS; ++i) {
            if ((mask >> (8 + i) | mask >> (16 + i)) & 1 == 1) anchorOne(i, epoch, opinions >> i & opinions >> (8 + i) & 1);
        }
    }

    function anchorOne(uint256 i, uint32 epoch, uint256 tally) private {
        (, uint32 next) = judges.voterOf(keys[i]);
        touch(epoch);
        bytes32 root = _roots[epoch][tally];
        if (next > epoch || vault.weightAt(keys[i], epoch - 1) == 0) {
            vm.prank(operators[i]);
            try judges.anchor(keys[i], epoch, LOG, GOLD, root) {
                ++wrong;
            } catch {}
            return;
        }
        anchor(i, epoch, root);
        weigh(i, epoch);
        _votes[epoch][tally] += _weights[i];
    }

    function refresh(uint256 who) external {
        uint256 i = who % PEOPLE;
        judges.refresh(keys[i]);
        uint32 epoch = registry.openEpochAt(SWARM, block.timestamp - 1);
        if (epoch != 0) weigh(i, epoch);
    }

    function finalizeEpochs(uint256 first) external {
        for (uint256 back = 0; back < HORIZON && back < _epochs.length; ++back) {
            uint32 epoch = _epochs[_epochs.length - 1 - back];
            finalizeOne(epoch, first % 2);
            finalizeOne(epoch, 1 - first % 2);
        }
    }

    function finalizeOne(uint32 epoch, uint256 tally) private {
        (, uint256 closes, uint256 expires) = judges.timesOf(SWARM, epoch);
        bool inTime = block.timestamp > closes && block.timestamp <= expires;
        bool should = inTime && !_final[epoch] && 2 * _votes[epoch][tally] > _rolls[epoch];
        try judges.finalize(SWARM, epoch, LOG, GOLD, _roots[epoch][tally]) {
            if (!should) ++wrong;
            _final[epoch] = true;
            ++decided;
        } catch {
            if (should) ++wrong;
        }
    }

    function claimSome(uint256 back, uint256 mask) external {
        if (_epochs.length == 0) return;
        uint32 epoch = _epochs[_epochs.length - 1 - back % HORIZON % _epochs.length];
        uint256 tally = judges.roundOf(SWARM, epoch).tallyRoot == _roots[epoch][1] ? 1 : 0;
        if (mask >> 8 & 7 == 0) tally = 1 - tally; // the one that lost
        bytes32[] memory nodes = treeOf(epoch, tally);
        (,, uint256 expires) = judges.timesOf(SWARM, epoch);
        bool may = _final[epoch] && block.timestamp <= expires && judges.roundOf(SWARM, epoch).tallyRoot == nodes[0];
        for (uint256 i = 0; i < PEOPLE; ++i) {
            if (mask >> i & 1 == 1) claimOne(epoch, i, entryOf(epoch, tally, i), nodes, may);
        }
    }

    function claimOne(uint32 epoch, uint256 i, Entry memory e, bytes32[] memory nodes, bool may) private {
        IJudgeAnchor.Account memory before = account(i);
        bool known = judges.claimOf(SWARM, epoch, e.operator).known;
        bool must = may && !known && e.slashed != 0 && before.active != 0;
        bool done = submit(epoch, e, pathOf(nodes, leafFor(epoch, e)));
        if ((done && !may) || (must && !done)) ++wrong;
        if (!done) return;
        IJudgeAnchor.Account memory now_ = account(i);
        uint256 slashed = uint256(before.active) + before.unbonding - now_.active - now_.unbonding;
        if (slashed > e.slashed || (known && slashed != 0)) ++wrong;
        if (now_.earned - before.earned > e.earned) ++wrong;
        _cameIn[epoch] += slashed;
        _wentOut[epoch] += now_.earned - before.earned;
        ++claimed;
    }

    function submit(uint32 epoch, Entry memory e, bytes32[] memory proof) private returns (bool) {
        try judges.claim(SWARM, epoch, e.operator, e.earned, e.slashed, proof) {
            return true;
        } catch {
            return false;
        }
    }

    function fundOne(uint256 back, uint128 amount) external {
        uint32 now_ = registry.epochAt(SWARM, block.timestamp);
        uint32 epoch = now_ - uint32(back % HORIZON % (uint256(now_) + 1));
        amount = uint128(between(amount, 1, 20 ether));
        if (!earn(address(this), amount)) return;
        judges.fund(SWARM, epoch, amount);
        _cameIn[epoch] += amount;
        paidIn += amount;
        touch(epoch);
    }

    function sweepSome(uint256 first) external {
        for (uint256 k = 0; k < HORIZON && k < _epochs.length; ++k) {
            uint32 epoch = _epochs[(first % HORIZON + k) % _epochs.length];
            (,, uint256 expires) = judges.timesOf(SWARM, epoch);
            uint256 amount = pot(epoch);
            bool should = block.timestamp > expires && amount != 0;
            try judges.sweep(SWARM, epoch) {
                if (!should) ++wrong;
                _wentOut[epoch] += amount;
                paidOut += amount;
                ++swept;
            } catch {
                if (should) ++wrong;
            }
        }
    }

    function moveDeposit(uint256 who, uint128 amount, uint8 what) external {
        uint256 i = who % PEOPLE;
        IJudgeAnchor.Account memory a = account(i);
        if (what % 4 < 2) {
            amount = uint128(between(amount, 0, 50 ether));
            if (!earn(operators[i], amount)) return;
            vm.prank(operators[i]);
            judges.deposit(keys[i], amount);
            paidIn += amount;
        } else if (what % 4 == 2 && a.active > 0) {
            vm.prank(operators[i]);
            judges.unbond(SWARM, uint128(between(amount, 1, a.active)));
        } else if (what % 4 == 3) {
            uint256 before = credit.balanceOf(operators[i]);
            bool early = block.timestamp < a.releaseAt;
            vm.prank(operators[i]);
            try judges.withdraw(SWARM) {
                uint256 got = credit.balanceOf(operators[i]) - before;
                if (got > uint256(a.earned) + (early ? 0 : a.unbonding)) ++wrong;
                paidOut += got;
            } catch {
                if (a.earned != 0 || (a.unbonding != 0 && !early)) ++wrong;
            }
        }
    }

    /// @dev What moves weights: stake in the vault.
    function moveStake(uint256 who, uint256 amount, uint8 what) external {
        uint256 i = who % MEMBERS;
        bytes32 key = keys[i];
        IStakeVault.Stake memory s = vault.stakeOf(key);
        vm.startPrank(operators[i]);
        if (what % 5 == 0 && s.active > 0) vault.unbond(key, between(amount, 1, s.active));
        else if (what % 5 == 1 && s.unbonding > 0 && block.timestamp >= s.releaseAt) vault.withdraw(key);
        else if (what % 5 == 2 && s.active < 2 * STAKE && credit.balanceOf(operators[i]) >= STAKE) vault.stake(key, STAKE, CLASS);
        else if (what % 5 == 3 && amount % 4 == 0) vault.pause(key);
        else vault.resume(key);
        vm.stopPrank();
    }

    // --- what invariants look at

    /// @dev What came in and has not gone out is there, and is exactly what is owed.
    function conservation() external view returns (bool) {
        uint256 owed = 0;
        for (uint256 i = 0; i < PEOPLE; ++i) {
            IJudgeAnchor.Account memory a = account(i);
            owed += uint256(a.active) + a.unbonding + a.earned;
        }
        for (uint256 k = 0; k < _epochs.length; ++k) {
            owed += pot(_epochs[k]);
        }
        return credit.balanceOf(address(judges)) == paidIn - paidOut && paidIn - paidOut == owed;
    }

    /// @dev No pot gave more than it got.
    function everyPotHolds() external view returns (bool) {
        for (uint256 k = 0; k < _epochs.length; ++k) {
            if (_wentOut[_epochs[k]] + pot(_epochs[k]) != _cameIn[_epochs[k]]) return false;
        }
        return true;
    }

    /// @dev The contract's counts are the books', no epoch has more votes than its roll, and what is final had more than half of it.
    function everyCountIsRight() external view returns (bool) {
        for (uint256 k = 0; k < HORIZON && k < _epochs.length; ++k) {
            uint32 epoch = _epochs[_epochs.length - 1 - k];
            (uint256 a, uint256 total) = judges.votesOf(SWARM, epoch, LOG, GOLD, _roots[epoch][0]);
            (uint256 b,) = judges.votesOf(SWARM, epoch, LOG, GOLD, _roots[epoch][1]);
            if (a != _votes[epoch][0] || b != _votes[epoch][1]) return false;
            if (a + b != 0 && total != _rolls[epoch]) return false;
            if (a + b > total) return false;
            IJudgeAnchor.Round memory round = judges.roundOf(SWARM, epoch);
            if ((round.expires != 0) != _final[epoch]) return false;
            if (_final[epoch] && 2 * (round.tallyRoot == _roots[epoch][0] ? a : b) <= total) return false;
        }
        return true;
    }

    // --- parts

    function weigh(uint256 i, uint32 epoch) private {
        uint256 weight = vault.weightAt(keys[i], epoch - 1);
        _roll = _roll + weight - _weights[i];
        _weights[i] = weight;
        _rolls[epoch] = _roll;
    }

    /// @dev The faucet gives an address only so much; false where that is spent.
    function earn(address who, uint256 amount) private returns (bool) {
        if (credit.balanceOf(who) >= amount) return true;
        if (credit.taken(who) + STAKE > 10_000 ether) return false;
        fill(who, STAKE);
        return true;
    }

    /// @dev Tally 0 and 1 of an epoch: some lose, some earn, some do both, and together they may earn more than is lost.
    function entryOf(uint32 epoch, uint256 tally, uint256 i) private view returns (Entry memory) {
        uint256 word = uint256(keccak256(abi.encode(epoch, tally, i)));
        uint128 earned = word % 3 == 0 ? 0 : uint128(word >> 8) % 20 ether;
        uint128 slashed = word % 3 == 1 ? 0 : uint128(word >> 16) % 30 ether;
        return Entry(operators[i], earned, slashed);
    }

    function leafFor(uint32 epoch, Entry memory e) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(SWARM, epoch, e.operator, e.earned, e.slashed))));
    }

    function treeOf(uint32 epoch, uint256 tally) private view returns (bytes32[] memory) {
        bytes32[] memory leaves = new bytes32[](PEOPLE);
        for (uint256 i = 0; i < PEOPLE; ++i) {
            leaves[i] = leafFor(epoch, entryOf(epoch, tally, i));
        }
        return nodesOf(leaves);
    }

    function touch(uint32 epoch) private {
        if (_seen[epoch]) return;
        _seen[epoch] = true;
        _epochs.push(epoch);
        (_roots[epoch][0], _roots[epoch][1]) = (treeOf(epoch, 0)[0], treeOf(epoch, 1)[0]);
    }
}

contract JudgeAnchorInvariantsTest is Base {
    Jurors private folk;

    function setUp() public {
        folk = new Jurors();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(folk);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory s = new bytes4[](15);
        for (uint256 i = 0; i < 3; ++i) {
            (s[i], s[3 + i]) = (Jurors.wait.selector, Jurors.anchorEpoch.selector);
        }
        (s[6], s[7], s[8]) = (Jurors.finalizeEpochs.selector, Jurors.claimSome.selector, Jurors.claimSome.selector);
        (s[9], s[10], s[11]) = (Jurors.moveDeposit.selector, Jurors.moveStake.selector, Jurors.refresh.selector);
        (s[12], s[13], s[14]) = (Jurors.fundOne.selector, Jurors.sweepSome.selector, Jurors.sleep.selector);
        targets[0] = FuzzSelector(address(folk), s);
    }

    /// @dev For people: forge shows it with -vv.
    function afterInvariant() public {
        emit log_named_uint("decided", folk.decided());
        emit log_named_uint("claimed", folk.claimed());
        emit log_named_uint("swept", folk.swept());
    }

    /// @notice Money: what came in and has not gone out is there and is owed to somebody, and no pot gave more than it got. Counts: the
    /// votes of an epoch are never more than its roll, what is final had more than half of it. Calls go through exactly when they may:
    /// no claim without a final root or after its time, and once that is over everything left can be swept.
    function invariant_judgesHold() public view {
        isTrue(folk.conservation(), "conservation");
        isTrue(folk.everyPotHolds(), "a pot that gave more than it got");
        isTrue(folk.everyCountIsRight(), "votes");
        isEqual(folk.wrong(), 0, "a call that went through, or did not");
    }
}
