// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {Base} from "./Base.sol";
import {ModelTown} from "./ModelTown.sol";

/// @notice Five members train, are audited, lie, concede and keep silent; anyone lists what they ended with, true or not, and tries to have
/// it proved. The handler keeps its own books of what the ledger added.
contract Registrars is ModelTown {
    uint256 private constant MEMBERS = 5;
    uint256 private constant KINDS = 10; // of claims about an epoch: the truth and nine lies

    uint256 public wrong; // calls that went through and must not have, or the other way round
    uint256 public posted;
    uint256 public proved;
    uint256 public refusals;
    IParticipationLedger.Header[] private _headers;
    mapping(bytes32 key => mapping(uint32 epoch => bool)) private _added; // by the books
    IModelRegistry.Batch[] private _batches;
    mapping(uint256 batch => IModelRegistry.Model[]) private _leaves;
    mapping(uint256 batch => uint256[]) private _about; // number of the header that each leaf is about
    bytes32[] private _proved;

    constructor() {
        deployModels();
        ISwarmRegistry.Terms memory t = terms();
        t.randomness = hashes;
        (t.epoch, t.grace, t.beacon, t.audit, t.reveal, t.challenge, t.unbonding) = (40, 20, 5, 15, 15, 10, 400);
        registry.createSwarm(SWARM, RECIPE, BASE, t, "");
        for (uint256 n = 1; n <= MEMBERS; ++n) {
            bytes32 key = enlist(n);
            fill(operators[n - 1], STAKE);
            vm.startPrank(operators[n - 1]);
            credit.approve(address(vault), type(uint256).max);
            vault.stake(key, STAKE, CLASS);
            vm.stopPrank();
        }
    }

    // --- acts

    function wait(uint256 seconds_) external {
        vm.warp(block.timestamp + between(seconds_, 1, 60));
        vm.roll(block.number + 5);
    }

    /// @dev Waits for the window; some commit, one in eight of them concedes at once.
    function commitEpoch(uint256 mask) external {
        uint32 epoch = registry.openEpochAt(SWARM, block.timestamp);
        if (block.timestamp < endOf(epoch)) vm.warp(endOf(epoch));
        for (uint256 i = 0; i < MEMBERS; ++i) {
            if (mask >> i & 1 == 0 || ledger.memberOf(keys[i]).next > epoch) continue;
            IParticipationLedger.Header memory h = headerOf(i, epoch);
            if (h.steps == 0) continue;
            send(i, h);
            _headers.push(h);
            if (mask >> (8 + 3 * i) & 7 != 0) continue;
            vm.prank(operators[i]);
            court.concede(h);
        }
    }

    /// @dev The panels that sit now, of one epoch: each finds a fault, or none, or keeps silent.
    function auditSome(uint256 moods) external {
        for (uint256 back = 0; back < MEMBERS && back < _headers.length; ++back) {
            IParticipationLedger.Header memory h = _headers[_headers.length - 1 - back];
            if (!inAudit(h)) continue;
            IAuditCourt.Case memory c = court.caseOf(h.key, h.epoch);
            (, uint256 commits, uint256 over,) = court.timesOf(SWARM, h.epoch, c.level, c.roll);
            sit(h.epoch, c, moods, false);
            vm.warp(commits);
            sit(h.epoch, c, moods, true);
            vm.warp(over);
            return;
        }
    }

    /// @dev All cases of an epoch that stand where `c` stood when its audit began.
    function sit(uint32 epoch, IAuditCourt.Case memory c, uint256 moods, bool reveals_) private {
        for (uint256 back = 0; back < MEMBERS && back < _headers.length; ++back) {
            IParticipationLedger.Header memory h = _headers[_headers.length - 1 - back];
            IAuditCourt.Case memory own = court.caseOf(h.key, h.epoch);
            uint256 mood = moods >> (3 * back) & 7;
            bool together = h.epoch == epoch && own.level == c.level && own.roll == c.roll && own.phase != IAuditCourt.Phase.Closed;
            if (mood == 0 || !together) continue;
            bytes32[] memory seats = court.panelOf(h.key, epoch, c.level, c.roll);
            Say memory say = mood == 1 ? fault(h) : ok();
            for (uint256 i = 0; i < seats.length; ++i) {
                if (reveals_) revealSay(seats[i], h, c.level, say);
                else commitSay(seats[i], h, c.level, say);
            }
        }
    }

    function inAudit(IParticipationLedger.Header memory h) private returns (bool) {
        IAuditCourt.Case memory c = court.caseOf(h.key, h.epoch);
        if (c.phase == IAuditCourt.Phase.Beacon) {
            vm.warp(c.phaseEnds);
            c = court.caseOf(h.key, h.epoch);
        }
        if (c.phase != IAuditCourt.Phase.Audit) return false;
        draw(h.epoch + 1);
        return court.panelOf(h.key, h.epoch, c.level, c.roll).length != 0;
    }

    function draw(uint32 epoch) private {
        (, bool ready) = hashes.value(SWARM, epoch);
        if (ready) return;
        hashes.poke(SWARM, epoch);
        uint256 target = hashes.targetOf(SWARM, epoch);
        vm.roll(target + 1);
        vm.setBlockhash(target, keccak256(abi.encode(target)));
        hashes.poke(SWARM, epoch);
    }

    function settleSome(uint256 mask) external {
        for (uint256 back = 0; back < 8 && back < _headers.length; ++back) {
            if (mask >> back & 1 == 0) continue;
            IParticipationLedger.Header memory h = _headers[_headers.length - 1 - back];
            uint256 before = ledger.unitsOf(h.key);
            try ledger.settle(h) {
                if (ledger.unitsOf(h.key) == before) continue;
                if (_added[h.key][h.epoch]) ++wrong;
                _added[h.key][h.epoch] = true;
            } catch {}
        }
    }

    /// @dev A batch of claims about epochs that were committed; three in four are true, as far as anyone knows.
    function postBatch(uint256 seed, uint8 count) external {
        if (_headers.length == 0) return;
        uint256 number = _batches.length;
        for (uint256 i = 0; i < between(count, 1, 5); ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            uint256 about = _headers.length - 1 - word % 12 % _headers.length;
            _leaves[number].push(claim(_headers[about], word >> 8 & 3 == 0 ? word >> 16 : 0));
            _about[number].push(about);
        }
        IModelRegistry.Batch memory batch = batchOver(_leaves[number]);
        bool known = models.postedAt(models.batchOf(batch)) != 0;
        try models.post(batch) {
            if (known) ++wrong;
            ++posted;
        } catch {
            if (!known) ++wrong;
        }
        _batches.push(batch);
    }

    function proveSome(uint256 seed) external {
        for (uint256 i = 0; i < 4 && _batches.length != 0; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            uint256 number = _batches.length - 1 - word % 6 % _batches.length;
            proveOne(number, (word >> 16) % _leaves[number].length, word >> 32 & 7 == 0 ? 1 : 0);
        }
    }

    function proveOne(uint256 number, uint256 index, uint256 off) private {
        IModelRegistry.Model memory m = _leaves[number][index];
        IParticipationLedger.Header memory h = _headers[_about[number][index]];
        bytes32[] memory path = pathIn(_leaves[number], index);
        bytes32 digest = models.digestOf(m);
        bool honest = digest == models.digestOf(modelOf(h));
        bool listed = models.isListed(_batches[number], uint32(index + off), m, path);
        bool should = honest && listed && _added[h.key][h.epoch] && ledger.isCommitted(h) && !models.isProved(digest);
        try models.prove(_batches[number], uint32(index + off), m, path, h) {
            if (!should) ++wrong;
            _proved.push(digest);
            ++proved;
        } catch {
            if (should) ++wrong;
            ++refusals;
        }
    }

    // --- what invariants look at

    /// @dev What was proved stays so, and what is trained by the contract is what the books say.
    function everyModelIsRight() external view returns (bool) {
        if (_proved.length != 0 && !models.isProved(_proved[block.timestamp % _proved.length])) return false;
        for (uint256 k = 0; k < 2 && k < _headers.length; ++k) {
            uint256 back = (block.timestamp + k) % 24 % _headers.length;
            IParticipationLedger.Header memory h = _headers[_headers.length - 1 - back];
            if (models.isTrained(modelOf(h), h) != (_added[h.key][h.epoch] && ledger.isCommitted(h))) return false;
            if (ledger.isVerified(h.key, h.epoch) != _added[h.key][h.epoch]) return false;
            if (ledger.isVerified(h.key, h.epoch) && !ledger.isSettled(h.key, h.epoch)) return false;
            IModelRegistry.Model memory lie = claim(h, 1 + block.timestamp);
            if (models.isTrained(lie, h)) return false;
        }
        return true;
    }

    // --- parts

    /// @dev The truth about an epoch, or one of the lies.
    function claim(IParticipationLedger.Header memory h, uint256 word) private view returns (IModelRegistry.Model memory m) {
        m = modelOf(h);
        uint256 lie = word % KINDS;
        if (lie == 1) m.model = "better";
        else if (lie == 2) m.parent = "noble";
        else if (lie == 3) m.recipe = "other";
        else if (lie == 4) m.operator = address(99);
        else if (lie == 5) m.training = keccak256(abi.encode(m.training));
        else if (lie == 6) m.number += 1;
        else if (lie == 7) m.proof = "none";
        else if (lie == 8) m.kind = IModelRegistry.Kind.Job;
        else if (lie == 9) (m.model, m.parent) = (m.parent, m.model);
        else if (word != 0) m.number += 16;
    }
}

contract ModelRegistryInvariantsTest is Base {
    Registrars private folk;

    function setUp() public {
        folk = new Registrars();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(folk);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory s = new bytes4[](8);
        (s[0], s[1], s[2]) = (Registrars.wait.selector, Registrars.wait.selector, Registrars.wait.selector);
        (s[3], s[4], s[5]) = (Registrars.commitEpoch.selector, Registrars.auditSome.selector, Registrars.settleSome.selector);
        (s[6], s[7]) = (Registrars.postBatch.selector, Registrars.proveSome.selector);
        targets[0] = FuzzSelector(address(folk), s);
    }

    /// @dev For people: forge shows it with -vv.
    function afterInvariant() public {
        emit log_named_uint("posted", folk.posted());
        emit log_named_uint("proved", folk.proved());
        emit log_named_uint("refused", folk.refusals());
    }

    /// @notice A model is trained exactly where the ledger added the units of its epoch and every field of the leaf is the ledger's; a proof
    /// goes through exactly then, once, and lasts.
    function invariant_modelsHold() public view {
        isTrue(folk.everyModelIsRight(), "a model that counts and must not, or does not");
        isEqual(folk.wrong(), 0, "a call that went through, or did not");
    }
}
