// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AuditCourt} from "../src/AuditCourt.sol";
import {Arbiter} from "../src/Arbiter.sol";
import {Credit} from "../src/Credit.sol";
import {DisputeCourt} from "../src/DisputeCourt.sol";
import {ParticipationLedger} from "../src/ParticipationLedger.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {SwarmRegistry} from "../src/SwarmRegistry.sol";
import {BlockHashBeacon} from "../src/beacon/BlockHashBeacon.sol";
import {CommitRevealBeacon} from "../src/beacon/CommitRevealBeacon.sol";
import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IBeacon} from "../src/interfaces/IBeacon.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {ISwarmRegistry} from "../src/interfaces/ISwarmRegistry.sol";
import {Base} from "./Base.sol";

/// @notice All contracts and one swarm with members of one operator each. Operators have private keys 1, 2, ...; sessions 10001, 10002, ...
abstract contract Town is Base {
    bytes32 internal constant SWARM = keccak256("town");
    bytes32 internal constant BASE = keccak256("base state");
    bytes32 internal constant CLASS = keccak256("class");
    bytes32 internal constant OTHER_CLASS = keccak256("another class");
    uint256 internal constant STAKE = 1_000 ether;
    uint256 internal constant CHAIN_LENGTH = 12;

    SwarmRegistry internal registry;
    ParticipationLedger internal ledger;
    StakeVault internal vault;
    AuditCourt internal court;
    DisputeCourt internal disputes;
    Credit internal credit;
    CommitRevealBeacon internal reveals;
    BlockHashBeacon internal hashes;

    bytes32[] internal keys;
    address[] internal operators;

    function deploy() internal {
        vm.warp(1_700_000_000);
        vm.roll(1_000);
        uint64 nonce = vm.getNonce(address(this));
        registry = new SwarmRegistry();
        address vaultAt = vm.computeCreateAddress(address(this), nonce + 2);
        address courtAt = vm.computeCreateAddress(address(this), nonce + 3);
        ledger = new ParticipationLedger(registry, StakeVault(vaultAt), AuditCourt(courtAt));
        address disputesAt = vm.computeCreateAddress(address(this), nonce + 8);
        vault = new StakeVault(registry, ledger, courtAt, disputesAt);
        court = new AuditCourt(registry, ledger, vault, disputesAt);
        credit = new Credit();
        reveals = new CommitRevealBeacon(registry, ledger, vault);
        hashes = new BlockHashBeacon(registry);
        disputes = new DisputeCourt(registry, ledger, vault, court, new Arbiter());
    }

    function terms() internal view returns (ISwarmRegistry.Terms memory t) {
        t.start = uint64(block.timestamp);
        t.epoch = 100;
        t.grace = 50;
        t.beacon = 20;
        t.audit = 40;
        t.reveal = 20;
        t.challenge = 20;
        t.unbonding = 2_000;
        t.segments = 2;
        t.maxSteps = 10;
        t.maxUnits = 1_000;
        t.ring = 16;
        t.absenceBps = 100;
        t.concedeBps = 500;
        t.gain = 1 ether;
        t.minStake = uint128(STAKE);
        t.fee = 1 ether;
        t.token = address(credit);
        t.randomness = reveals;
    }

    function found(ISwarmRegistry.Terms memory t, uint256 members) internal {
        registry.createSwarm(SWARM, keccak256("recipe"), BASE, t, "boot");
        for (uint256 i = 0; i < members; ++i) {
            settleIn(i + 1, CLASS);
        }
    }

    /// @dev Registers, enters, sets a tip, stakes.
    function settleIn(uint256 n, bytes32 class) internal returns (bytes32 key) {
        address operator = vm.addr(n);
        key = enlist(n);
        fill(operator, STAKE);
        vm.startPrank(operator);
        reveals.setTip(key, link(n, 0));
        credit.approve(address(vault), STAKE);
        vault.stake(key, STAKE, class);
        vm.stopPrank();
    }

    function enlist(uint256 n) internal returns (bytes32 key) {
        address operator = vm.addr(n);
        vm.prank(operator);
        key = registry.register(SWARM, peer(n), vm.addr(10_000 + n));
        ledger.enter(SWARM, operator, peer(n));
        keys.push(key);
        operators.push(operator);
    }

    function fill(address account, uint256 amount) internal {
        vm.prank(account);
        credit.faucet(amount);
    }

    function peer(uint256 n) internal pure returns (bytes32) {
        return keccak256(abi.encode("peer", n));
    }

    /// @dev Link i of a member's hash chain, 0 is the tip.
    function link(uint256 n, uint256 i) internal pure returns (bytes32 x) {
        x = keccak256(abi.encode("chain", n));
        for (uint256 k = i; k < CHAIN_LENGTH; ++k) {
            x = keccak256(abi.encode(x));
        }
    }

    /// @dev A voucher of operator `inviter` for `joiner`.
    function voucher(uint256 inviter, uint256 ticket, address joiner) internal view returns (ISwarmRegistry.Invite memory i) {
        (i.inviter, i.inviterPeer, i.ticket, i.expires) = (vm.addr(inviter), peer(inviter), vm.addr(ticket), uint64(block.timestamp + 1_000));
        i.inviterSignature = sign(inviter, inviteHash(i.ticket, i.expires));
        i.ticketSignature = sign(ticket, typed(keccak256(abi.encode(registry.JOIN_TYPEHASH(), SWARM, joiner))));
    }

    function inviteHash(address ticket, uint64 expires) internal view returns (bytes32) {
        return typed(keccak256(abi.encode(registry.INVITE_TYPEHASH(), SWARM, ticket, expires)));
    }

    function typed(bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("OpenSwarm SwarmRegistry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        return keccak256(abi.encodePacked("\x19\x01", domain, structHash));
    }

    function sign(uint256 privateKey, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(privateKey, digest);
        return abi.encodePacked(r, s, v);
    }

    function endOf(uint32 epoch) internal view returns (uint256) {
        return registry.endOf(SWARM, epoch);
    }

    function headerOf(uint256 i, uint32 epoch) internal view returns (IParticipationLedger.Header memory h) {
        h.key = keys[i];
        h.epoch = epoch;
        uint32 capacity = ledger.memberOf(keys[i]).capacity;
        h.steps = capacity < 10 ? capacity : 10;
        h.units = 500;
        h.root = keccak256(abi.encode("root", i, epoch));
        h.first = ledger.memberOf(keys[i]).last;
        h.last = keccak256(abi.encode("last", i, epoch));
        h.data = keccak256(abi.encode("data", i, epoch));
    }

    /// @dev Goes to the commit window and commits from the session.
    function commit(uint256 i, uint32 epoch) internal returns (IParticipationLedger.Header memory h) {
        if (block.timestamp < endOf(epoch)) vm.warp(endOf(epoch));
        h = headerOf(i, epoch);
        send(i, h);
    }

    function send(uint256 i, IParticipationLedger.Header memory h) internal {
        vm.prank(ledger.memberOf(keys[i]).session);
        ledger.commit(h.key, h.epoch, h.steps, h.units, h.root, h.last, h.data);
    }

    /// @dev Everyone with weight reveals for R(epoch + 1); then the beacon is ready.
    function beaconOf(uint32 epoch) internal {
        (uint256 opens, uint256 closes) = reveals.windowOf(SWARM, epoch + 1);
        vm.warp(opens);
        for (uint256 i = 0; i < keys.length; ++i) {
            if (vault.weightAt(keys[i], epoch) != 0) revealNext(i, epoch + 1);
        }
        vm.warp(closes);
    }

    mapping(uint256 member => uint256) internal used;

    function revealNext(uint256 i, uint32 epoch) internal {
        reveals.reveal(keys[i], epoch, link(i + 1, ++used[i]));
    }

    function panel(IParticipationLedger.Header memory h, uint8 level) internal view returns (bytes32[] memory) {
        return court.panelOf(h.key, h.epoch, level, court.caseOf(h.key, h.epoch).roll);
    }

    function indexOf(bytes32 key) internal view returns (uint256) {
        for (uint256 i = 0; i < keys.length; ++i) {
            if (keys[i] == key) return i;
        }
        revert Untrue("no such member");
    }

    struct Say {
        uint8 verdict;
        uint32 step;
        bytes32 value;
    }

    bytes32 internal constant VALUE = keccak256("gradient root");

    function ok() internal pure returns (Say memory) {
        return Say(1, 0, VALUE);
    }

    function lazyOk() internal pure returns (Say memory) {
        return Say(1, 0, keccak256("guess"));
    }

    function fault(IParticipationLedger.Header memory h) internal view returns (Say memory) {
        return Say(2, court.drawnSteps(h.key, h.epoch, h.steps)[0], 0);
    }

    function unavailable(IParticipationLedger.Header memory h) internal view returns (Say memory) {
        return Say(3, court.drawnSteps(h.key, h.epoch, h.steps)[0], 0);
    }

    function cannot() internal pure returns (Say memory) {
        return Say(4, 0, 0);
    }

    function silence() internal pure returns (Say memory) {
        return Say(0, 0, 0);
    }

    /// @dev The panel in session says `says[i % says.length]`, seat by seat; ends when the reveals are over.
    function speak(IParticipationLedger.Header memory h, uint8 level, Say[] memory says) internal {
        uint8 roll = court.caseOf(h.key, h.epoch).roll;
        bytes32[] memory seats = court.panelOf(h.key, h.epoch, level, roll);
        (, uint256 commits, uint256 over,) = court.timesOf(SWARM, h.epoch, level, roll);
        for (uint256 i = 0; i < seats.length; ++i) {
            Say memory say = says[i % says.length];
            if (say.verdict != 0) commitSay(seats[i], h, level, say);
        }
        vm.warp(commits);
        for (uint256 i = 0; i < seats.length; ++i) {
            Say memory say = says[i % says.length];
            if (say.verdict != 0) revealSay(seats[i], h, level, say);
        }
        vm.warp(over);
    }

    function commitSay(bytes32 seat, IParticipationLedger.Header memory h, uint8 level, Say memory say) internal {
        IParticipationLedger.Member memory m = ledger.memberOf(seat);
        bytes32 hash = court.verdictHash(m.operator, h.key, h.epoch, level, say.verdict, say.step, say.value, seat);
        vm.prank(m.session);
        court.commitVerdict(seat, h.key, h.epoch, level, hash);
    }

    function revealSay(bytes32 seat, IParticipationLedger.Header memory h, uint8 level, Say memory say) internal {
        vm.prank(ledger.memberOf(seat).session);
        court.revealVerdict(seat, h, level, say.verdict, say.step, say.value, seat);
    }

    /// @dev Promises a challenge of the level in session, and opens it a second later.
    function challengeBy(IParticipationLedger.Header memory h, bytes32 key) internal {
        promiseOf(h, key);
        pass(1);
        openChallenge(h, key);
    }

    function promiseOf(IParticipationLedger.Header memory h, bytes32 key) internal returns (bytes32 hash) {
        hash = court.challengeHash(h.key, h.epoch, court.caseOf(h.key, h.epoch).level, key, key);
        vm.prank(ledger.operatorOf(key));
        court.commitChallenge(key, hash);
    }

    function openChallenge(IParticipationLedger.Header memory h, bytes32 key) internal {
        vm.prank(ledger.operatorOf(key));
        court.challenge(h, key, key);
    }

    function all(Say memory a) internal pure returns (Say[] memory s) {
        s = new Say[](1);
        s[0] = a;
    }

    function both(Say memory a, Say memory b) internal pure returns (Say[] memory s) {
        s = new Say[](2);
        (s[0], s[1]) = (a, b);
    }

    function three(Say memory a, Say memory b, Say memory c) internal pure returns (Say[] memory s) {
        s = new Say[](3);
        (s[0], s[1], s[2]) = (a, b, c);
    }

    function phaseIs(IParticipationLedger.Header memory h, IAuditCourt.Phase phase) internal view {
        isEqual(uint8(court.caseOf(h.key, h.epoch).phase), uint8(phase), "phase");
    }

    function outcomeIs(IParticipationLedger.Header memory h, IAuditCourt.Outcome outcome) internal view {
        isEqual(uint8(court.outcomeOf(h.key, h.epoch)), uint8(outcome), "outcome");
    }

    function pass(uint256 time) internal {
        vm.warp(block.timestamp + time);
    }

    /// @dev What a member can lose or has gained: stake on both sides and claims of its operator.
    function wealth(uint256 i) internal view returns (uint256) {
        return uint256(vault.stakeOf(keys[i]).active) + vault.stakeOf(keys[i]).unbonding + vault.claimable(address(credit), operators[i]);
    }
}
