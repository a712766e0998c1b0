// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDistributor} from "../src/interfaces/IDistributor.sol";
import {IPioneerProgram} from "../src/interfaces/IPioneerProgram.sol";
import {Base} from "./Base.sol";
import {PioneerTown} from "./PioneerTown.sol";

/// @notice Three members work, are admitted, post true and false roots, fund, claim and reclaim at any time. The handler keeps its own books
/// of who had what when, and counts each call that went through and must not have, or the other way round.
contract Pioneers is PioneerTown {
    uint256 private constant MEMBERS = 3;

    struct Moment {
        uint256 time;
        uint256 units;
        uint8 tier;
    }

    uint256 public wrong;
    uint256 public claimed;
    uint256 public reclaimed;
    uint256 public frozen; // distributions
    uint256 public cameIn;
    uint256 public wentOut;
    bytes32[] private _ids;
    mapping(uint256 member => Moment[]) private _past;
    mapping(bytes32 id => uint256) private _wentOut;
    mapping(bytes32 id => mapping(uint256 member => bool)) private _done;
    mapping(bytes32 root => bool) private _roots;

    constructor() {
        deployPioneers(MEMBERS);
        open(COUNCIL, bars(bar(500, 1, 0, false), bar(1_500, 2, 0, true)));
        for (uint256 i = 0; i < MEMBERS; ++i) {
            submit(i);
            _past[i].push(Moment(0, 0, 0));
        }
        credit.approve(address(distributor), type(uint256).max);
    }

    // --- acts

    function wait(uint256 seconds_) external {
        vm.warp(block.timestamp + between(seconds_, 1, 400));
    }

    function sleep(uint256 days_) external {
        if (days_ % 4 == 0) vm.warp(block.timestamp + between(days_, 1, 8) * 1 days);
    }

    function work(uint256 who, uint64 units) external {
        uint256 i = who % MEMBERS;
        units = uint64(between(units, 0, 1_000));
        earn(i, units);
        note(i, latest(i).units + units, latest(i).tier);
    }

    function council(uint256 who, uint8 tier) external {
        vm.prank(COUNCIL);
        pioneer.decide(program, operators[who % MEMBERS], tier % 3, "record", TEXT);
    }

    function settleCouncil(uint256 who) external {
        address operator = operators[who % MEMBERS];
        IPioneerProgram.Pioneer memory p = pioneer.pioneerOf(program, operator);
        try pioneer.carryOut(program, operator) {
            if (p.due == 0 || block.timestamp < p.due) ++wrong;
        } catch {
            if (p.due != 0 && block.timestamp >= p.due) ++wrong;
        }
        p = pioneer.pioneerOf(program, operator);
        try pioneer.grant(program, operator) {
            if (p.answerBy == 0 || block.timestamp <= p.answerBy) ++wrong;
        } catch {
            if (p.answerBy != 0 && block.timestamp > p.answerBy) ++wrong;
        }
    }

    function appeal(uint256 who) external {
        address operator = operators[who % MEMBERS];
        bool first = pioneer.pioneerOf(program, operator).appealed == 0;
        vm.prank(operator);
        try pioneer.appeal(program, TEXT) {
            if (!first) ++wrong;
        } catch {
            if (first) ++wrong;
        }
    }

    function admitOne(uint256 who) external {
        uint256 i = who % MEMBERS;
        uint256 units = latest(i).units;
        uint256 epochs = ledger.cleanCount(keys[i]);
        uint8 should = units < 500 || epochs < 1 ? 0 : 1;
        if (units >= 1_500 && epochs >= 2 && pioneer.pioneerOf(program, operators[i]).endorsed == 2) should = 2;
        try pioneer.admit(program, operators[i], keysOf(i), none()) {
            if (should <= latest(i).tier) ++wrong;
            note(i, units, should);
        } catch {
            if (should > latest(i).tier) ++wrong;
        }
    }

    function fundOne(uint256 epoch, uint256 amount, uint8 tier) external {
        uint32 now_ = registry.epochAt(SWARM, block.timestamp);
        uint32 e = now_ - uint32(epoch % 16 % (uint256(now_) + 1));
        uint256 time = pioneer.frozenAt(program, e);
        amount = between(amount, 1, 10 ether);
        if (credit.balanceOf(address(this)) < amount && credit.taken(address(this)) <= 9_000 ether) credit.faucet(1_000 ether);
        bool should = block.timestamp > time && everyoneAt(time) != 0 && credit.balanceOf(address(this)) >= amount;
        try distributor.fund(program, e, address(credit), amount, tier % 3, 7 days) returns (bytes32 id) {
            if (!should || distributor.distributionOf(id).total != everyoneAt(time)) ++wrong;
            _ids.push(id);
            cameIn += amount;
            ++frozen;
            plant(time);
            if (!_roots[nodesOf(leaves(e))[0]]) _roots[post(e)] = true;
        } catch {
            if (should) ++wrong;
        }
    }

    /// @dev Somebody claims for a member by a true or a false tree.
    function claimOne(uint256 which, uint256 who, uint256 lie) external {
        if (_ids.length == 0) return;
        bytes32 id = _ids[_ids.length - 1 - which % 4 % _ids.length];
        IDistributor.Distribution memory d = distributor.distributionOf(id);
        uint256 i = who % MEMBERS;
        uint256 time = pioneer.frozenAt(program, d.epoch);
        plant(time);
        Moment memory then = momentAt(i, time);
        bool honest = lie % 3 != 0;
        if (!honest) distort(i, lie / 3);
        bytes32 root = nodesOf(leaves(d.epoch))[0];
        if (!_roots[root]) _roots[post(d.epoch)] = true;
        uint256 part = d.pot * then.units / d.total;
        bool open_ = block.timestamp <= d.closes && !_done[id][i];
        bool should = open_ && honest && part != 0 && then.tier >= d.leastTier;
        try this.attempt(id, d.epoch, i) {
            if (!should) ++wrong;
            _done[id][i] = true;
            _wentOut[id] += part;
            wentOut += part;
            ++claimed;
        } catch {
            if (should) ++wrong;
        }
    }

    function attempt(bytes32 id, uint32 epoch, uint256 i) external {
        take(id, epoch, i);
    }

    function reclaimOne(uint256 which) external {
        if (_ids.length == 0) return;
        bytes32 id = _ids[which % _ids.length];
        IDistributor.Distribution memory d = distributor.distributionOf(id);
        try distributor.reclaim(id) {
            if (block.timestamp <= d.closes || d.left == 0) ++wrong;
            _wentOut[id] += d.left;
            wentOut += d.left;
            ++reclaimed;
        } catch {
            if (block.timestamp > d.closes && d.left != 0) ++wrong;
        }
    }

    // --- what invariants look at

    /// @dev What came in and has not gone out is there, pot by pot.
    function conservation() external view returns (bool) {
        uint256 owed = 0;
        for (uint256 k = 0; k < _ids.length; ++k) {
            IDistributor.Distribution memory d = distributor.distributionOf(_ids[k]);
            if (d.left + _wentOut[_ids[k]] != d.pot) return false;
            owed += d.left;
        }
        return owed == cameIn - wentOut && credit.balanceOf(address(distributor)) == owed;
    }

    /// @dev The ledger's past is the books' past.
    function everyMomentStands() external view returns (bool) {
        for (uint256 i = 0; i < MEMBERS; ++i) {
            Moment memory m = _past[i][_past[i].length / 2];
            if (m.time != 0 && m.time < block.timestamp && ledger.unitsAt(keys[i], m.time) != momentAt(i, m.time).units) return false;
        }
        return true;
    }

    // --- parts

    /// @dev The tree as the books have it.
    function plant(uint256 time) private {
        delete tree;
        for (uint256 i = 0; i < MEMBERS; ++i) {
            Moment memory m = momentAt(i, time);
            tree.push(IDistributor.Leaf(operators[i], uint64(7 * i), m.units, m.tier));
        }
    }

    function distort(uint256 i, uint256 how) private {
        if (how % 3 == 0) tree[i].units += 1 + how % 1_000;
        else if (how % 3 == 1) tree[i].tier = (tree[i].tier + 1 + uint8(how / 3 % 2)) % 3;
        else tree[i].units = tree[i].units / 2 + (tree[i].units < 2 ? 7 : 0);
    }

    function note(uint256 i, uint256 units, uint8 tier) private {
        _past[i].push(Moment(block.timestamp, units, tier));
    }

    function latest(uint256 i) private view returns (Moment memory) {
        return _past[i][_past[i].length - 1];
    }

    function momentAt(uint256 i, uint256 time) private view returns (Moment memory) {
        uint256 k = _past[i].length - 1;
        while (_past[i][k].time > time) --k;
        return _past[i][k];
    }

    function everyoneAt(uint256 time) private view returns (uint256 sum) {
        for (uint256 i = 0; i < MEMBERS; ++i) {
            sum += momentAt(i, time).units;
        }
    }
}

contract DistributorInvariantsTest is Base {
    Pioneers private folk;

    function setUp() public {
        folk = new Pioneers();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(folk);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory s = new bytes4[](14);
        (s[0], s[1], s[2]) = (Pioneers.wait.selector, Pioneers.sleep.selector, Pioneers.work.selector);
        (s[3], s[4], s[5]) = (Pioneers.council.selector, Pioneers.settleCouncil.selector, Pioneers.appeal.selector);
        (s[6], s[7], s[8]) = (Pioneers.admitOne.selector, Pioneers.admitOne.selector, Pioneers.fundOne.selector);
        for (uint256 i = 9; i < 13; ++i) {
            s[i] = Pioneers.claimOne.selector;
        }
        s[13] = Pioneers.reclaimOne.selector;
        targets[0] = FuzzSelector(address(folk), s);
    }

    /// @dev For people: forge shows it with -vv.
    function afterInvariant() public {
        emit log_named_uint("distributions", folk.frozen());
        emit log_named_uint("claimed", folk.claimed());
        emit log_named_uint("reclaimed", folk.reclaimed());
    }

    /// @notice Money: every pot has what came in and has not gone out. A claim goes through exactly where its leaf says what stood then, its
    /// tier is high enough, and it is the operator's first; a tier exactly where its bar is met; the past never changes.
    function invariant_pioneersHold() public view {
        isTrue(folk.conservation(), "conservation");
        isTrue(folk.everyMomentStands(), "a past that changed");
        isEqual(folk.wrong(), 0, "a call that went through, or did not");
    }
}
