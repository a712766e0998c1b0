// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IBeacon} from "./IBeacon.sol";

/// @title Swarms and their peers; anyone may create a swarm, anyone may register
/// @notice A member is named by its key = keccak256(abi.encode(swarm, operator, peer)): a foreign peer id under another operator is
/// another key, so squatting blocks nobody. That the peer id belongs to the operator is proved off chain, by a signature of the peer key.
interface ISwarmRegistry {
    /// @notice The rules of a swarm, fixed for ever when it is created. Times in seconds, money in wei of `token`.
    struct Terms {
        uint64 start; // chain time at which epoch 0 begins; 0 when creating: now
        uint32 epoch; // length of an epoch
        uint32 grace; // commit window after an epoch's end, at least epoch / 2, less than epoch
        uint32 beacon; // time for the beacon after the commit window
        uint32 audit; // time to replay and to commit a verdict
        uint32 reveal; // time to reveal it
        uint32 challenge; // time to challenge the result
        uint32 unbonding; // from unbond to withdraw, longer than the longest dispute
        uint16 segments; // q: steps drawn per commitment
        uint32 maxSteps; // per epoch
        uint64 maxUnits; // work units per epoch
        uint16 ring; // commitments kept per member
        uint16 absenceBps; // price of a missed duty in 1/10000 of the stake, at most 100
        uint16 concedeBps; // price of conceding an epoch
        uint128 gain; // g: the most that one forged step can gain
        uint128 minStake; // the least stake of one member
        uint128 fee; // audit fee per verdict, paid from the treasury while it has funds
        address token; // ERC-20 of stakes
        bool faucet; // stake is free here: draws follow verified work and invites instead
        IBeacon randomness;
    }

    struct Swarm {
        address creator;
        uint32 number; // counts from 1
        bytes32 recipe; // recipe hash
        bytes32 base; // state root from which everyone starts
    }

    /// @notice A voucher. `inviter` signs EIP-712 Invite(bytes32 swarm,address ticket,uint64 expires); the ticket's one-time key signs
    /// Join(bytes32 swarm,address joiner). So a voucher seen in flight is of no use to anyone but the joiner.
    struct Invite {
        address inviter;
        bytes32 inviterPeer; // a peer that the inviter has registered in the swarm
        address ticket;
        uint64 expires;
        bytes inviterSignature;
        bytes ticketSignature;
    }

    error SwarmExists(bytes32 swarm);
    error SwarmUnknown(bytes32 swarm);
    /// @notice A term is out of bounds; `name` says which.
    error TermOutOfBounds(string name, uint256 actual, uint256 limit);
    error BootTooLong(uint256 actual, uint256 limit);
    error PeerUnknown(bytes32 key);
    error SessionMissing();
    error InviteExpired(uint256 time, uint256 expires);
    error InviteUsed(address ticket);
    error InviteBySelf(address operator);
    error InviteTwice(address operator);
    error InviterNotMember(address inviter);
    error SignerWrong(address actual, address expected);

    event SwarmCreated(bytes32 indexed swarm, address indexed creator, uint32 number, bytes32 recipe, bytes32 base, Terms terms, bytes boot);
    event PeerRegistered(bytes32 indexed swarm, address indexed operator, bytes32 indexed peer, bytes32 key, address session);
    event SessionChanged(bytes32 indexed key, address session);
    event Invited(bytes32 indexed swarm, address indexed operator, address indexed inviter, uint32 number);

    /// @notice Creates a swarm. `boot` (at most 1 KB) goes into the event: where to meet its first peers.
    function createSwarm(bytes32 swarm, bytes32 recipe, bytes32 base, Terms calldata terms, bytes calldata boot) external;

    /// @notice Registers a peer under the calling operator; again with the same session is no error and changes nothing.
    /// A swarm that does not exist (yet) is not looked up, which saves its gas: such a member cannot enter the ledger.
    function register(bytes32 swarm, bytes32 peer, address session) external returns (bytes32 key);

    /// @notice `register` with a voucher, which gives the operator a fixed allowance of weight on a faucet swarm.
    function registerInvited(bytes32 swarm, bytes32 peer, address session, Invite calldata invite) external returns (bytes32 key);

    /// @notice Replaces the session address; the ledger follows at the next `enter`.
    function setSession(bytes32 swarm, bytes32 peer, address session) external;

    function swarmOf(bytes32 swarm) external view returns (Swarm memory);
    function termsOf(bytes32 swarm) external view returns (Terms memory);
    /// @notice Member key of a peer.
    function keyOf(bytes32 swarm, address operator, bytes32 peer) external pure returns (bytes32);
    /// @notice Session address of a member, zero if it is not registered.
    function sessionOf(bytes32 key) external view returns (address);
    /// @notice Who invited `operator` (zero: nobody) and the how many-th invite of that inviter it was, from 0.
    function inviteOf(bytes32 swarm, address operator) external view returns (address inviter, uint32 number);
    /// @notice Seats of each panel (auditors, then juries) and the operators of one class that a swarm needs to fill them.
    function panelSizes() external pure returns (uint8[4] memory seats, uint8[4] memory operators);
    /// @notice Chain time of the end of `epoch`.
    function endOf(bytes32 swarm, uint32 epoch) external view returns (uint256);
    /// @notice The epoch that runs at `time` (0 before the start).
    function epochAt(bytes32 swarm, uint256 time) external view returns (uint32);
    /// @notice The first epoch whose commit window has not closed at `time`: from it on a change of weight counts.
    function openEpochAt(bytes32 swarm, uint256 time) external view returns (uint32);
    /// @notice Seconds from the end of an epoch to the last moment at which a case about it can still be open.
    function longestCase(Terms calldata terms) external pure returns (uint256);
    /// @notice K: how many epochs of one member can be open at once while nobody disputes them.
    function openEpochs(Terms calldata terms) external pure returns (uint256);
    /// @notice Steps per epoch that `stake` stands good for under `terms`, at most terms.maxSteps.
    function capacityFor(Terms calldata terms, uint256 stake) external pure returns (uint32);
}
