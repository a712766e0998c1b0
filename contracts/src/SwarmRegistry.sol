// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";
import {Schedule} from "./lib/Schedule.sol";

/// @title Swarms, their terms and their peers. Nobody owns it.
contract SwarmRegistry is ISwarmRegistry, EIP712 {
    using Schedule for Terms;

    uint256 public constant BOOT_LIMIT = 1024;
    bytes32 public constant INVITE_TYPEHASH = keccak256("Invite(bytes32 swarm,address ticket,uint64 expires)");
    bytes32 public constant JOIN_TYPEHASH = keccak256("Join(bytes32 swarm,address joiner)");
    uint256 private constant LONGEST_EPOCH = 30 days;
    uint256 private constant LONGEST_RING = 1024;

    struct Sponsor {
        address inviter;
        uint32 number;
    }

    uint32 private _swarmCount;
    mapping(bytes32 swarm => Swarm) private _swarms;
    mapping(bytes32 swarm => Terms) private _terms;
    mapping(bytes32 key => address) private _sessions;
    mapping(bytes32 swarm => mapping(address operator => Sponsor)) private _sponsors;
    mapping(bytes32 swarm => mapping(address inviter => uint32)) private _inviteCounts;
    mapping(bytes32 swarm => mapping(address ticket => bool)) private _usedTickets;

    constructor() EIP712("OpenSwarm SwarmRegistry", "1") {}

    /// @inheritdoc ISwarmRegistry
    function createSwarm(bytes32 swarm, bytes32 recipe, bytes32 base, Terms calldata terms, bytes calldata boot) external {
        if (_swarms[swarm].creator != address(0)) revert SwarmExists(swarm);
        if (boot.length > BOOT_LIMIT) revert BootTooLong(boot.length, BOOT_LIMIT);
        Terms memory t = terms;
        if (t.start == 0) t.start = uint64(block.timestamp);
        _checkTimes(t);
        _checkMoney(t);
        uint32 number = ++_swarmCount;
        _swarms[swarm] = Swarm(msg.sender, number, recipe, base);
        _terms[swarm] = t;
        emit SwarmCreated(swarm, msg.sender, number, recipe, base, t, boot);
    }

    /// @inheritdoc ISwarmRegistry
    function register(bytes32 swarm, bytes32 peer, address session) external returns (bytes32 key) {
        return _register(swarm, peer, session);
    }

    /// @inheritdoc ISwarmRegistry
    function registerInvited(bytes32 swarm, bytes32 peer, address session, Invite calldata invite) external returns (bytes32 key) {
        _checkInvite(swarm, invite);
        _usedTickets[swarm][invite.ticket] = true;
        uint32 number = _inviteCounts[swarm][invite.inviter]++;
        _sponsors[swarm][msg.sender] = Sponsor(invite.inviter, number);
        emit Invited(swarm, msg.sender, invite.inviter, number);
        return _register(swarm, peer, session);
    }

    /// @inheritdoc ISwarmRegistry
    function setSession(bytes32 swarm, bytes32 peer, address session) external {
        bytes32 key = _keyOf(swarm, msg.sender, peer);
        if (_sessions[key] == address(0)) revert PeerUnknown(key);
        _setSession(key, session);
        emit SessionChanged(key, session);
    }

    /// @inheritdoc ISwarmRegistry
    function swarmOf(bytes32 swarm) external view returns (Swarm memory) {
        return _swarms[swarm];
    }

    /// @inheritdoc ISwarmRegistry
    function termsOf(bytes32 swarm) external view returns (Terms memory) {
        return _known(swarm);
    }

    /// @inheritdoc ISwarmRegistry
    function keyOf(bytes32 swarm, address operator, bytes32 peer) external pure returns (bytes32) {
        return _keyOf(swarm, operator, peer);
    }

    /// @inheritdoc ISwarmRegistry
    function sessionOf(bytes32 key) external view returns (address) {
        return _sessions[key];
    }

    /// @inheritdoc ISwarmRegistry
    function inviteOf(bytes32 swarm, address operator) external view returns (address inviter, uint32 number) {
        Sponsor storage sponsor = _sponsors[swarm][operator];
        return (sponsor.inviter, sponsor.number);
    }

    /// @inheritdoc ISwarmRegistry
    function panelSizes() external pure returns (uint8[4] memory seats, uint8[4] memory operators) {
        return ([2, 3, 7, 15], [3, 4, 8, 16]);
    }

    /// @inheritdoc ISwarmRegistry
    function endOf(bytes32 swarm, uint32 epoch) external view returns (uint256) {
        return _known(swarm).endOf(epoch);
    }

    /// @inheritdoc ISwarmRegistry
    function epochAt(bytes32 swarm, uint256 time) external view returns (uint32) {
        return _known(swarm).epochAt(time);
    }

    /// @inheritdoc ISwarmRegistry
    function openEpochAt(bytes32 swarm, uint256 time) external view returns (uint32) {
        return _known(swarm).openEpochAt(time);
    }

    /// @inheritdoc ISwarmRegistry
    function longestCase(Terms calldata terms) external pure returns (uint256) {
        return Schedule.longestCase(terms);
    }

    /// @inheritdoc ISwarmRegistry
    function openEpochs(Terms calldata terms) external pure returns (uint256) {
        return Schedule.openEpochs(terms);
    }

    /// @inheritdoc ISwarmRegistry
    function capacityFor(Terms calldata terms, uint256 stake) external pure returns (uint32) {
        return Schedule.capacityFor(terms, stake);
    }

    function _register(bytes32 swarm, bytes32 peer, address session) private returns (bytes32 key) {
        key = _keyOf(swarm, msg.sender, peer);
        address before = _sessions[key];
        if (before == session && session != address(0)) return key;
        _setSession(key, session);
        if (before == address(0)) emit PeerRegistered(swarm, msg.sender, peer, key, session);
        else emit SessionChanged(key, session);
    }

    function _setSession(bytes32 key, address session) private {
        if (session == address(0)) revert SessionMissing();
        _sessions[key] = session;
    }

    function _checkInvite(bytes32 swarm, Invite calldata invite) private view {
        if (block.timestamp > invite.expires) revert InviteExpired(block.timestamp, invite.expires);
        if (_usedTickets[swarm][invite.ticket]) revert InviteUsed(invite.ticket);
        if (invite.inviter == msg.sender) revert InviteBySelf(msg.sender);
        if (_sponsors[swarm][msg.sender].inviter != address(0)) revert InviteTwice(msg.sender);
        if (_sessions[_keyOf(swarm, invite.inviter, invite.inviterPeer)] == address(0)) revert InviterNotMember(invite.inviter);
        _checkSigner(keccak256(abi.encode(INVITE_TYPEHASH, swarm, invite.ticket, invite.expires)), invite.inviterSignature, invite.inviter);
        _checkSigner(keccak256(abi.encode(JOIN_TYPEHASH, swarm, msg.sender)), invite.ticketSignature, invite.ticket);
    }

    function _checkSigner(bytes32 structHash, bytes calldata signature, address expected) private view {
        address actual = ECDSA.recover(_hashTypedDataV4(structHash), signature);
        if (actual != expected) revert SignerWrong(actual, expected);
    }

    function _known(bytes32 swarm) private view returns (Terms memory terms) {
        terms = _terms[swarm];
        if (terms.epoch == 0) revert SwarmUnknown(swarm);
    }

    function _keyOf(bytes32 swarm, address operator, bytes32 peer) private pure returns (bytes32) {
        return keccak256(abi.encode(swarm, operator, peer));
    }

    function _checkTimes(Terms memory t) private view {
        _between("start", t.start, block.timestamp, block.timestamp + LONGEST_EPOCH);
        _between("epoch", t.epoch, 10, LONGEST_EPOCH);
        _between("grace", t.grace, t.epoch / 2, t.epoch - 1);
        _between("beacon", t.beacon, 1, LONGEST_EPOCH);
        _between("audit", t.audit, 1, LONGEST_EPOCH);
        _between("reveal", t.reveal, 1, LONGEST_EPOCH);
        _between("challenge", t.challenge, 1, LONGEST_EPOCH);
        uint256 longest = Schedule.longestCase(t);
        _between("unbonding", t.unbonding, longest + 2 * uint256(t.epoch), type(uint32).max);
        // A commitment has to stay in the ring until its case has closed, and a little longer to be settled.
        _between("ring", t.ring, longest / t.epoch + 3, LONGEST_RING);
    }

    function _checkMoney(Terms memory t) private view {
        _between("segments", t.segments, 1, 64);
        _between("maxSteps", t.maxSteps, 1, 1 << 20);
        _between("maxUnits", t.maxUnits, 1, type(uint64).max);
        _between("absenceBps", t.absenceBps, 1, 100);
        _between("concedeBps", t.concedeBps, t.absenceBps, Schedule.BPS);
        _between("minStake", t.minStake, 1, type(uint96).max);
        _between("gain", t.gain, 0, type(uint96).max);
        if (address(t.token).code.length == 0) revert TermOutOfBounds("token", 0, 1);
        if (address(t.randomness).code.length == 0) revert TermOutOfBounds("randomness", 0, 1);
        // The least stake has to stand good for a whole epoch: against a lost dispute, a concession and a withheld reveal.
        _between("minStake", Schedule.capacityFor(t, t.minStake), t.maxSteps, t.maxSteps);
    }

    function _between(string memory name, uint256 actual, uint256 low, uint256 high) private pure {
        if (actual < low) revert TermOutOfBounds(name, actual, low);
        if (actual > high) revert TermOutOfBounds(name, actual, high);
    }
}
