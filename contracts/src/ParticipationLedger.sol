// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IAuditCourt} from "./interfaces/IAuditCourt.sol";
import {IParticipationLedger} from "./interfaces/IParticipationLedger.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";
import {Entries, Entry, Slot, Slots, Timing, Timings} from "./lib/Slots.sol";

/// @title Commitments and totals of verified work
/// @dev A commitment reads two slots, the member's and the swarm's timing, and writes two, the last root and one of the ring. Windows do
/// not overlap (grace < epoch), so commitments in their windows come in rising order by themselves, and the ring entry's epoch keeps them
/// to one each.
contract ParticipationLedger is IParticipationLedger {
    using BitMaps for BitMaps.BitMap;
    using Checkpoints for Checkpoints.Trace208;

    struct Standing {
        address operator;
        uint32 acceptedNext; // 1 + the newest epoch that closed clean
        bytes32 accepted;
    }

    ISwarmRegistry public immutable registry;
    IStakeVault public immutable vault;
    IAuditCourt public immutable court;

    mapping(bytes32 key => Slot) private _slots;
    mapping(uint32 number => Timing) private _timings;
    mapping(bytes32 key => bytes32) private _lasts;
    mapping(bytes32 key => mapping(uint256 index => Entry)) private _ring;
    mapping(bytes32 key => Standing) private _standings;
    mapping(uint32 number => bytes32) private _swarms;
    mapping(bytes32 key => BitMaps.BitMap) private _endings; // bit 2e: epoch e is settled, bit 2e + 1: its units were added
    // Verified units over chain time, so that what stood at a past moment can be paid for at any later one.
    mapping(bytes32 key => Checkpoints.Trace208) private _units;
    mapping(uint32 number => Checkpoints.Trace208) private _totals;

    /// @param vault_ and @param court_ are deployed after this contract, at addresses known in advance.
    constructor(ISwarmRegistry registry_, IStakeVault vault_, IAuditCourt court_) {
        registry = registry_;
        vault = vault_;
        court = court_;
    }

    /// @inheritdoc IParticipationLedger
    function enter(bytes32 swarm, address operator, bytes32 peer) external returns (bytes32 key) {
        key = registry.keyOf(swarm, operator, peer);
        address session = registry.sessionOf(key);
        if (session == address(0)) revert MemberUnknown(key);
        Slot slot = _slots[key];
        if (slot.session() == session) return key;
        uint32 number = slot.number();
        if (number == 0) number = _admit(key, swarm, operator);
        _slots[key] = Slots.pack(session, slot.late(), slot.capacity(), number);
        emit Entered(key, swarm, operator, peer, session);
    }

    /// @inheritdoc IParticipationLedger
    function commit(bytes32 key, uint32 epoch, uint32 steps, uint64 units, bytes32 root, bytes32 last, bytes32 data) external {
        uint256 ring = _checkWindow(key, epoch, steps, units);
        bytes32 first = _advance(key, root, last);
        bytes32 hash = keccak256(abi.encode(key, epoch, steps, units, root, first, last, data));
        _record(key, epoch, ring, hash);
        emit Committed(key, epoch, steps, units, root, first, last, data, false);
    }

    /// @inheritdoc IParticipationLedger
    function commitLate(bytes32 key, uint32 epoch, uint32 steps, bytes32 root, bytes32 last, bytes32 data) external {
        Slot slot = _authorized(key);
        Timing timing = _timings[slot.number()];
        uint256 closes = timing.endOf(epoch) + timing.grace();
        if (block.timestamp <= closes) revert NotLate(block.timestamp, closes);
        uint32 next = _nextFrom(key, epoch);
        if (epoch < next) revert EpochTaken(epoch, next);
        _slots[key] = slot.withLate(epoch + 1);
        bytes32 first = _advance(key, root, last);
        emit Committed(key, epoch, steps, 0, root, first, last, data, true);
    }

    /// @inheritdoc IParticipationLedger
    function adopt(bytes32 key, bytes32 other) external {
        uint32 number = _authorized(key).number();
        bytes32 root;
        if (other == bytes32(0)) {
            root = registry.swarmOf(_swarms[number]).base;
        } else {
            if (_slots[other].number() != number) revert OtherSwarm(key, other);
            if (_standings[other].acceptedNext == 0) revert NothingAccepted(other);
            root = _standings[other].accepted;
        }
        _lasts[key] = root;
        emit Adopted(key, other, root);
    }

    /// @inheritdoc IParticipationLedger
    function adoptRoot(bytes32 key, bytes32 root) external {
        _authorized(key);
        if (root == bytes32(0)) revert RootMissing();
        _lasts[key] = root;
        emit Adopted(key, bytes32(0), root);
    }

    /// @inheritdoc IParticipationLedger
    function settle(Header calldata header) external {
        (bytes32 key, uint32 epoch) = (header.key, header.epoch);
        if (!_isCommitted(header)) revert HeaderUnknown(key, epoch);
        if (_isSettled(key, epoch)) revert AlreadySettled(key, epoch);
        IAuditCourt.Outcome outcome = court.outcomeOf(key, epoch);
        if (outcome == IAuditCourt.Outcome.Open) revert CaseOpen(key, epoch);
        _endings[key].set(2 * uint256(epoch));
        if (outcome != IAuditCourt.Outcome.Clean) {
            emit Unscored(key, epoch, _reason(outcome));
            return;
        }
        _accept(key, epoch, header.last);
        (uint256 others, uint256 needed) = vault.othersAt(key, epoch);
        if (others < needed || others == 0) {
            emit Unscored(key, epoch, Reason.LonelyClass);
            return;
        }
        _endings[key].set(2 * uint256(epoch) + 1);
        uint256 total = _add(_units[key], header.units);
        _add(_totals[_slots[key].number()], header.units);
        emit Settled(key, epoch, header.units, total);
        vault.refresh(key);
    }

    /// @inheritdoc IParticipationLedger
    function setCapacity(bytes32 key, uint32 capacity) external {
        if (msg.sender != address(vault)) revert NotPermitted(msg.sender);
        Slot slot = _slots[key];
        if (slot.capacity() == capacity) return;
        _slots[key] = Slots.pack(slot.session(), slot.late(), capacity, slot.number());
        emit CapacityChanged(key, capacity);
    }

    /// @inheritdoc IParticipationLedger
    function rewind(bytes32 key, uint32 epoch, Reason reason) external {
        if (msg.sender != address(court)) revert NotPermitted(msg.sender);
        uint32 next = _nextFrom(key, epoch);
        for (uint32 e = epoch; e < next; ++e) {
            if (_isSettled(key, e) || !_entryOf(key, e).isOf(e)) continue;
            _endings[key].set(2 * uint256(e));
            emit Unscored(key, e, e == epoch ? reason : Reason.Voided);
        }
        bytes32 last = _standings[key].accepted;
        _lasts[key] = last;
        emit Rewound(key, epoch, last);
    }

    /// @inheritdoc IParticipationLedger
    function memberOf(bytes32 key) external view returns (Member memory) {
        Slot slot = _slots[key];
        Standing storage standing = _standings[key];
        return Member(
            _swarms[slot.number()],
            standing.operator,
            slot.session(),
            _nextFrom(key, 0),
            slot.capacity(),
            _lasts[key],
            standing.accepted,
            _units[key].latest()
        );
    }

    /// @inheritdoc IParticipationLedger
    function operatorOf(bytes32 key) external view returns (address) {
        return _standings[key].operator;
    }

    /// @inheritdoc IParticipationLedger
    function swarmOf(bytes32 key) external view returns (bytes32) {
        return _swarms[_slots[key].number()];
    }

    /// @inheritdoc IParticipationLedger
    function unitsOf(bytes32 key) external view returns (uint256) {
        return _units[key].latest();
    }

    /// @inheritdoc IParticipationLedger
    function unitsAt(bytes32 key, uint256 time) external view returns (uint256) {
        return _units[key].upperLookupRecent(_past(time));
    }

    /// @inheritdoc IParticipationLedger
    function totalAt(bytes32 swarm, uint256 time) external view returns (uint256) {
        return _totals[registry.swarmOf(swarm).number].upperLookupRecent(_past(time));
    }

    /// @inheritdoc IParticipationLedger
    function cleanCount(bytes32 key) external view returns (uint256) {
        return _units[key].length();
    }

    /// @inheritdoc IParticipationLedger
    function isAgent(bytes32 key, address caller) external view returns (bool) {
        return caller != address(0) && (_slots[key].session() == caller || _standings[key].operator == caller);
    }

    /// @inheritdoc IParticipationLedger
    function isCommitted(Header calldata header) external view returns (bool) {
        return _isCommitted(header);
    }

    /// @inheritdoc IParticipationLedger
    function isSettled(bytes32 key, uint32 epoch) external view returns (bool) {
        return _isSettled(key, epoch);
    }

    /// @inheritdoc IParticipationLedger
    function isVerified(bytes32 key, uint32 epoch) external view returns (bool) {
        return _endings[key].get(2 * uint256(epoch) + 1);
    }

    /// @inheritdoc IParticipationLedger
    function slotOf(bytes32 key, uint32 epoch) external view returns (bytes32) {
        return Entry.unwrap(_entryOf(key, epoch));
    }

    /// @inheritdoc IParticipationLedger
    function hashOf(Header calldata header) external pure returns (bytes32) {
        return keccak256(abi.encode(header));
    }

    function _admit(bytes32 key, bytes32 swarm, address operator) private returns (uint32) {
        ISwarmRegistry.Swarm memory s = registry.swarmOf(swarm);
        if (s.number == 0) revert ISwarmRegistry.SwarmUnknown(swarm);
        _standings[key].operator = operator;
        _standings[key].accepted = s.base;
        _lasts[key] = s.base;
        if (_swarms[s.number] == swarm) return s.number;
        ISwarmRegistry.Terms memory t = registry.termsOf(swarm);
        _timings[s.number] = Timings.pack(t.start, t.epoch, t.grace, t.maxUnits, t.ring);
        _swarms[s.number] = swarm;
        return s.number;
    }

    /// @dev Whether the caller may commit this now; returns the length of the ring.
    function _checkWindow(bytes32 key, uint32 epoch, uint32 steps, uint64 units) private view returns (uint256) {
        Slot slot = _authorized(key);
        Timing timing = _timings[slot.number()];
        uint256 end = timing.endOf(epoch);
        uint256 closes = end + timing.grace();
        if (block.timestamp < end || block.timestamp > closes) revert WindowClosed(block.timestamp, end, closes);
        if (steps > slot.capacity()) revert StepsExceeded(steps, slot.capacity());
        if (units > timing.maxUnits()) revert UnitsExceeded(units, timing.maxUnits());
        return timing.ring();
    }

    function _record(bytes32 key, uint32 epoch, uint256 ring, bytes32 hash) private {
        mapping(uint256 => Entry) storage entries = _ring[key];
        uint256 index = epoch % ring;
        if (entries[index].isOf(epoch)) revert EpochTaken(epoch, epoch + 1);
        entries[index] = Entries.pack(hash, epoch);
    }

    /// @dev Moves the last root; returns the one before.
    function _advance(bytes32 key, bytes32 root, bytes32 last) private returns (bytes32 first) {
        if (root == bytes32(0) || last == bytes32(0)) revert RootMissing();
        first = _lasts[key];
        if (first != last) _lasts[key] = last;
    }

    function _accept(bytes32 key, uint32 epoch, bytes32 last) private {
        Standing storage standing = _standings[key];
        if (epoch < standing.acceptedNext) return;
        standing.acceptedNext = epoch + 1;
        standing.accepted = last;
    }

    /// @dev Sums of 64-bit units do not overflow 208 bits.
    function _add(Checkpoints.Trace208 storage trace, uint64 units) private returns (uint208 sum) {
        sum = trace.latest() + units;
        // slither-disable-next-line unused-return
        trace.push(uint48(block.timestamp), sum);
    }

    /// @dev Only what is past stays as it is.
    function _past(uint256 time) private view returns (uint48) {
        if (time >= block.timestamp) revert TimeNotPast(time, block.timestamp);
        return uint48(time);
    }

    function _authorized(bytes32 key) private view returns (Slot slot) {
        slot = _slots[key];
        if (slot.session() != msg.sender && _standings[key].operator != msg.sender) revert NotAgent(key, msg.sender);
    }

    function _isCommitted(Header calldata header) private view returns (bool) {
        Entry expected = Entries.pack(keccak256(abi.encode(header)), header.epoch);
        return Entry.unwrap(_entryOf(header.key, header.epoch)) == Entry.unwrap(expected);
    }

    function _isSettled(bytes32 key, uint32 epoch) private view returns (bool) {
        return _endings[key].get(2 * uint256(epoch));
    }

    function _entryOf(bytes32 key, uint32 epoch) private view returns (Entry) {
        uint256 ring = _timings[_slots[key].number()].ring();
        return ring == 0 ? Entry.wrap(0) : _ring[key][epoch % ring];
    }

    /// @dev One more than the newest committed epoch, as far as it is not older than `epoch`; looks at no more than one ring.
    function _nextFrom(bytes32 key, uint32 epoch) private view returns (uint32 next) {
        Slot slot = _slots[key];
        Timing timing = _timings[slot.number()];
        next = slot.late();
        uint256 ended = timing.endedAt(block.timestamp);
        for (uint256 looks = timing.ring(); ended > epoch && looks > 0; (--ended, --looks)) {
            uint32 newest = uint32(ended - 1);
            // slither-disable-next-line weak-prng (a place in the ring, not a draw)
            if (_ring[key][newest % timing.ring()].isOf(newest)) return newest >= next ? newest + 1 : next;
        }
    }

    function _reason(IAuditCourt.Outcome outcome) private pure returns (Reason) {
        if (outcome == IAuditCourt.Outcome.Unaudited) return Reason.Unaudited;
        if (outcome == IAuditCourt.Outcome.Fault) return Reason.Faulty;
        if (outcome == IAuditCourt.Outcome.Withheld) return Reason.Withheld;
        if (outcome == IAuditCourt.Outcome.Conceded) return Reason.Conceded;
        if (outcome == IAuditCourt.Outcome.Planted) return Reason.Planted;
        return Reason.Tied;
    }
}
