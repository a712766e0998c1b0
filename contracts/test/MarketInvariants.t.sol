// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AuditCourt} from "../src/AuditCourt.sol";
import {Credit} from "../src/Credit.sol";
import {ParticipationLedger} from "../src/ParticipationLedger.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {SwarmRegistry} from "../src/SwarmRegistry.sol";
import {BlockHashBeacon} from "../src/beacon/BlockHashBeacon.sol";
import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IComputeMarket} from "../src/interfaces/IComputeMarket.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {AnyToken} from "./AnyToken.sol";
import {Base} from "./Base.sol";
import {FakeCourt} from "./FakeCourt.sol";
import {JobTown} from "./JobTown.sol";

/// @notice Four members and a submitter who do anything at any time with one job after the other. What may be refused is tried; what must
/// work (expiry, leaving, cancelling, settling, paying out) is called where its rule says so, and a refusal there fails the run.
contract Jobfolk is JobTown {
    uint256 private constant MEMBERS = 4;
    uint8 private constant PARTS = 2;
    bytes32 private constant SALT = keccak256("salt");

    bytes32 public job;
    uint256 public paidIn;
    uint256 public paidOut;
    uint256 public bound; // chain time by which the job must be over, whatever anybody does
    bool public leftover; // a job that ended and was paid out holds money
    mapping(bytes32 act => uint256) public done;

    uint256 private _jobs;
    uint256 private _steps;
    AnyToken private _token;
    IParticipationLedger.Header[] private _headers;

    constructor() {
        vm.warp(1_700_000_000);
        uint64 nonce = vm.getNonce(address(this));
        registry = new SwarmRegistry();
        StakeVault vaultAt = StakeVault(vm.computeCreateAddress(address(this), nonce + 2));
        AuditCourt courtAt = AuditCourt(vm.computeCreateAddress(address(this), nonce + 3));
        ledger = new ParticipationLedger(registry, vaultAt, courtAt);
        vault = new StakeVault(registry, ledger, address(courtAt), address(0));
        new FakeCourt();
        court = courtAt;
        _token = new AnyToken();
        credit = Credit(address(_token));
        hashes = new BlockHashBeacon(registry);
        deployMarket(hashes);
        _token.approve(address(market), type(uint256).max);
        for (uint256 n = 1; n <= MEMBERS; ++n) {
            operators.push(vm.addr(n));
            vm.startPrank(vm.addr(n));
            _token.approve(address(market), type(uint256).max);
            _token.approve(address(vault), type(uint256).max);
            vm.stopPrank();
        }
        newJob(7);
    }

    // --- acts

    function wait(uint256 seconds_) external {
        vm.warp(block.timestamp + between(seconds_, 1, 60));
    }

    /// @dev Each of them, as the bits of `mask` say.
    function seedOrClaim(uint256 mask, uint128 part) external {
        bool opened = market.jobOf(job).seeders == 2;
        for (uint256 who = 0; who < MEMBERS; ++who) {
            if (mask >> who & 1 == 0) continue;
            if (!opened || mask >> 8 & 1 == 1) seedOne(who);
            else claimOne(who, uint8((part + who) % PARTS));
        }
    }

    function seedOne(uint256 who) private {
        vm.prank(operators[who]);
        try market.seed(job, keys[who]) {
            ++done["seed"];
        } catch {}
    }

    function claimOne(uint256 who, uint8 part) private {
        uint256 bond = market.bondOf(market.offerOf(job));
        vm.startPrank(operators[who]);
        _token.faucet(bond);
        try market.claim(job, part, keys[who]) {
            paidIn += bond;
            ++done["claim"];
        } catch {}
        vm.stopPrank();
    }

    /// @dev The solver of a part commits an epoch, its case is decided, and somebody has it paid.
    function work(uint256 part, uint128 mood) external {
        IComputeMarket.Part memory p = market.partOf(job, uint8(part %= PARTS));
        uint32 epoch = registry.openEpochAt(job, block.timestamp);
        if (p.key == 0 || ledger.memberOf(p.key).next > epoch) return;
        uint256 opens = registry.endOf(job, epoch);
        if (block.timestamp < opens) vm.warp(opens);
        if (mood % 8 != 0) {
            vm.prank(p.operator);
            ledger.adoptRoot(p.key, p.root);
        }
        IParticipationLedger.Header memory h = header(p.key, epoch, uint32(mood / 8 % 16));
        vm.prank(p.operator);
        ledger.commit(h.key, h.epoch, h.steps, h.units, h.root, h.last, h.data);
        _headers.push(h);
        decide(h, mood);
        if (mood % 5 != 0) pay(part, _headers.length - 1);
    }

    function payOld(uint256 part, uint256 which) external {
        if (_headers.length != 0) pay(part % PARTS, which % _headers.length);
    }

    function expireOrQuit(uint256 part, uint128 mood) external {
        IComputeMarket.Part memory p = market.partOf(job, uint8(part %= PARTS));
        IComputeMarket.Offer memory o = market.offerOf(job);
        IComputeMarket.Job memory j = market.jobOf(job);
        if (p.key == 0 || market.isComplete(job, uint8(part)) || j.phase == IComputeMarket.JobPhase.Settled) return;
        if (mood % 8 == 1 && block.timestamp < p.moved + o.patience && p.moved + o.patience < j.deadline) vm.warp(p.moved + o.patience);
        if (block.timestamp >= p.moved + o.patience && block.timestamp < j.deadline && !j.cancelled) {
            market.expire(job, uint8(part));
            ++done["expire"];
        } else if (mood % 16 == 0) {
            vm.prank(p.operator);
            market.quit(job, uint8(part));
            ++done["quit"];
        }
    }

    function deliverOrAttest(uint256 part, uint256 who, uint128 mood) external {
        IComputeMarket.Part memory p = market.partOf(job, uint8(part %= PARTS));
        who %= MEMBERS;
        if (mood % 3 == 0 && market.isComplete(job, uint8(part))) {
            vm.prank(p.operator);
            try delivery.deliver(job, uint8(part), MODEL) {
                ++done["deliver"];
            } catch {}
        } else if (mood % 8 == 1) {
            try delivery.confirm(job, uint8(part)) {
                ++done["confirm"];
            } catch {}
        } else if (delivery.isDelivered(job, uint8(part)) && !p.released && !market.isSettled(job)) {
            market.release(job, uint8(part));
            ++done["release"];
        } else {
            vm.prank(operators[who]);
            try delivery.attest(job, uint8(part), keys[who], mood % 4 == 0 ? bytes32(0) : MODEL) {
                ++done["attest"];
            } catch {}
        }
    }

    function evaluate(uint256 part, uint256 who, uint128 mood) external {
        (part, who) = (part % PARTS, who % MEMBERS);
        IComputeMarket.JobPhase phase = market.phaseOf(job);
        uint32 value = uint32(7_999 + mood % 3);
        bytes32 hash = keccak256(abi.encode(operators[who], address(delivery), job, uint8(part), value, SALT));
        if (phase == IComputeMarket.JobPhase.Opening && mood % 2 == 0) {
            delivery.openEvaluation(job, DIGEST, EVALUATION_SALT);
            ++done["open"];
        } else if (phase == IComputeMarket.JobPhase.Scoring) {
            vm.prank(operators[who]);
            try delivery.commitScore(job, uint8(part), keys[who], hash) {
                ++done["score"];
            } catch {}
        } else if (phase == IComputeMarket.JobPhase.Revealing) {
            revealOne(part, who);
        }
    }

    /// @dev Whatever it said before.
    function revealOne(uint256 part, uint256 who) private {
        for (uint32 value = 7_999; value < 8_002; ++value) {
            vm.prank(operators[who]);
            try delivery.revealScore(job, uint8(part), keys[who], value, SALT) {
                ++done["reveal"];
            } catch {}
        }
    }

    function cancel(uint128 mood) external {
        if (mood % 64 != 0) return;
        IComputeMarket.Job memory j = market.jobOf(job);
        if (j.cancelled || (j.phase != IComputeMarket.JobPhase.Seeding && j.phase != IComputeMarket.JobPhase.Working)) return;
        market.cancel(job);
        ++done["cancel"];
    }

    function withdraw(uint256 who) external {
        payOut(operators[who % MEMBERS]);
    }

    /// @dev The job's end comes, at the latest when it must; everyone takes what is theirs, and another job begins.
    function finish(uint128 mood) external {
        if (!market.isSettled(job)) {
            (,,, uint256 ends) = market.timesOf(job);
            if (block.timestamp < ends && mood % 32 != 0) return;
            if (block.timestamp < ends) vm.warp(bound);
            market.settle(job);
        }
        ++done["settle"];
        for (uint8 part = 0; part < PARTS; ++part) {
            for (uint256 i = 0; i < MEMBERS; ++i) {
                vm.prank(operators[i]);
                try market.collect(job, part) {
                    ++done["collect"];
                } catch {}
            }
        }
        for (uint256 i = 0; i < MEMBERS; ++i) {
            payOut(operators[i]);
        }
        payOut(address(this));
        payOut(market.PYRE());
        if (market.held(address(_token)) != 0 || _token.balanceOf(address(market)) != 0) leftover = true;
        newJob(mood);
    }

    // --- what invariants look at

    function check() external view returns (bool conserved, bool ends, bool counted) {
        IComputeMarket.Job memory j = market.jobOf(job);
        uint256 held = market.held(address(_token));
        uint256 sum = j.escrow + due(address(this)) + burned();
        for (uint256 i = 0; i < MEMBERS; ++i) {
            sum += due(operators[i]);
        }
        conserved = held == sum && held == _token.balanceOf(address(market)) && held == paidIn - paidOut;
        return (conserved, j.ends <= bound, j.steps <= _steps);
    }

    // --- parts

    function newJob(uint256 mood) private {
        job = keccak256(abi.encode(++_jobs));
        delete _headers;
        delete keys;
        registry.createSwarm(job, "recipe", BASE, rules(), "");
        for (uint256 i = 0; i < MEMBERS; ++i) {
            enter(operators[i]);
        }
        IComputeMarket.Offer memory o = offering(mood);
        uint256 cost = market.costOf(o, 2);
        _token.faucet(cost);
        paidIn += cost;
        market.post(job, o, "");
        _steps = o.steps;
        bound = o.deadline + 245 + 80 + 5 * uint256(o.openWindow);
    }

    function enter(address operator) private {
        vm.startPrank(operator);
        bytes32 key = registry.register(job, "peer", operator);
        ledger.enter(job, operator, "peer");
        _token.faucet(STAKE);
        vault.stake(key, STAKE, CLASS);
        vm.stopPrank();
        keys.push(key);
    }

    function rules() private view returns (ISwarmRegistry.Terms memory t) {
        t = terms();
        (t.epoch, t.grace, t.beacon, t.audit, t.reveal, t.challenge, t.unbonding) = (40, 39, 5, 6, 15, 10, 400);
        t.randomness = hashes;
    }

    function offering(uint256 mood) private view returns (IComputeMarket.Offer memory o) {
        (o.price, o.perSegment, o.plants) = (uint128(1_000 + mood % 1 ether), uint128(1 + mood % 1_000), uint128(mood % 100));
        (o.steps, o.parts) = mood % 4 < 2 ? (20, 1) : (40, PARTS);
        o.stepsEach = mood % 3 == 0 ? o.steps : 20;
        o.leastSteps = uint32(1 + mood % 10);
        o.solverStake = uint128(STAKE);
        o.deadline = uint64(block.timestamp + 400 + mood % 1_000);
        o.patience = 245 + 120;
        o.deliveryBps = uint16(1 + mood % 5_000);
        o.openWindow = 40 + uint32(mood % 40);
        if (mood % 8 < 5) {
            (o.targetBps, o.target) = (uint16(1 + mood % 4_999), 8_000);
            o.evaluation = keccak256(abi.encode(DIGEST, EVALUATION_SALT));
        }
    }

    function header(bytes32 key, uint32 epoch, uint32 steps) private view returns (IParticipationLedger.Header memory h) {
        (h.key, h.epoch, h.steps, h.units) = (key, epoch, steps > 10 ? 10 : steps, 1);
        (h.root, h.first, h.data) = ("root", ledger.memberOf(key).last, "data");
        h.last = keccak256(abi.encode(key, epoch));
    }

    function decide(IParticipationLedger.Header memory h, uint256 mood) private {
        bytes32[] memory seats = new bytes32[](1 + mood % 2);
        for (uint256 i = 0; i < seats.length; ++i) {
            seats[i] = keys[(mood + i) % MEMBERS];
        }
        uint256 m = mood / 3 % 12;
        IAuditCourt.Outcome outcome = m < 8 ? IAuditCourt.Outcome.Clean : m < 10 ? IAuditCourt.Outcome.Planted : IAuditCourt.Outcome(m - 8);
        FakeCourt(address(court)).decide(h.key, h.epoch, outcome, seats);
    }

    function pay(uint256 part, uint256 which) private {
        IParticipationLedger.Header memory h = _headers[which];
        vm.prank(ledger.operatorOf(h.key));
        try market.accept(job, uint8(part), h, "checkpoint") {
            ++done["accept"];
        } catch {
            try market.payPlant(job, uint8(part), h) {
                ++done["plant"];
            } catch {}
        }
    }

    function payOut(address account) private {
        uint256 amount = due(account);
        if (amount == 0) return;
        market.withdraw(address(_token), account);
        paidOut += amount;
    }
}

contract MarketInvariantsTest is Base {
    Jobfolk private folk;

    function setUp() public {
        folk = new Jobfolk();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(folk);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory s = new bytes4[](16);
        (s[0], s[1], s[2], s[3]) = (Jobfolk.wait.selector, Jobfolk.seedOrClaim.selector, Jobfolk.work.selector, Jobfolk.work.selector);
        (s[4], s[5], s[6]) = (Jobfolk.work.selector, Jobfolk.evaluate.selector, Jobfolk.deliverOrAttest.selector);
        (s[7], s[8]) = (Jobfolk.seedOrClaim.selector, Jobfolk.deliverOrAttest.selector);
        (s[9], s[10], s[11]) = (Jobfolk.deliverOrAttest.selector, Jobfolk.payOld.selector, Jobfolk.expireOrQuit.selector);
        (s[12], s[13], s[14], s[15]) =
            (Jobfolk.evaluate.selector, Jobfolk.cancel.selector, Jobfolk.withdraw.selector, Jobfolk.finish.selector);
        targets[0] = FuzzSelector(address(folk), s);
    }

    /// @dev The folk does reach everything that the invariant speaks of.
    function test_everythingHappens() public {
        bytes4[] memory acts = targetSelectors()[0].selectors;
        for (uint256 n = 0; n < 5_000; ++n) {
            uint256 word = uint256(keccak256(abi.encode(n)));
            (uint128 a, uint128 b, uint128 c) = (uint128(word >> 8), uint128(word >> 64), uint128(word >> 96));
            (bool happened,) = address(folk).call(abi.encodePacked(acts[word % 16], abi.encode(a, b, c)));
            isTrue(happened, "an act failed");
        }
        bytes32[16] memory what = [
            bytes32("seed"), "claim", "accept", "plant", "expire", "quit", "deliver", "attest", "confirm", "release", "open", "score", "reveal",
            "cancel", "settle", "collect"
        ];
        for (uint256 i = 0; i < what.length; ++i) {
            emit log_named_uint(string(abi.encodePacked(what[i])), folk.done(what[i]));
        }
        for (uint256 i = 0; i < what.length; ++i) {
            isTrue(folk.done(what[i]) != 0, string(abi.encodePacked(what[i])));
        }
        invariant_jobsHold();
    }

    /// @notice Money: escrow and dues are what is held, what is held is there, and it is what came in and has not gone out. No more steps are
    /// paid than were asked for. Every job is over by a time that follows from its offer; then it can be settled, and when everyone has
    /// taken what is theirs the contract is empty.
    function invariant_jobsHold() public view {
        (bool conserved, bool ends, bool counted) = folk.check();
        isTrue(conserved, "conservation");
        isTrue(ends, "a job that does not end");
        isTrue(counted, "steps");
        isTrue(!folk.leftover(), "money that nobody can have");
    }
}
