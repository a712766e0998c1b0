// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Commitments to an epoch's work, and the totals of verified work
interface IParticipationLedger {
    /// @notice A commitment. The ledger keeps only 224 bits of keccak256(abi.encode(header)); whoever needs the fields brings them.
    struct Header {
        bytes32 key; // member
        uint32 epoch;
        uint32 steps; // leaves under root
        uint64 units; // work units claimed, by the recipe's formula
        bytes32 root; // Merkle root over the step records
        bytes32 first; // state root before the first step
        bytes32 last; // state root after the last one
        bytes32 data; // blake3 digest of the epoch's blob
    }

    struct Member {
        bytes32 swarm;
        address operator;
        address session;
        uint32 next; // one more than its newest committed epoch (as far as the ring goes back)
        uint32 capacity; // steps per epoch that its stake stands good for
        bytes32 last; // state root that its next commitment continues
        bytes32 accepted; // last state root whose audit window closed clean (or the base root)
        uint256 units; // verified work units in all
    }

    /// @notice Why a settled epoch brought no units.
    enum Reason {
        None,
        Unaudited, // nobody drawn gave a verdict
        Faulty,
        Withheld,
        Conceded,
        Tied,
        Planted,
        LonelyClass, // too few other operators could have audited it
        Voided // continued from an epoch that was lost or conceded
    }

    error MemberUnknown(bytes32 key);
    error NotAgent(bytes32 key, address caller);
    error NotOperator(bytes32 key, address caller);
    error NotPermitted(address caller);
    error WindowClosed(uint256 time, uint256 opens, uint256 closes);
    error NotLate(uint256 time, uint256 closes);
    error EpochTaken(uint32 epoch, uint32 next);
    error StepsExceeded(uint256 steps, uint256 capacity);
    error UnitsExceeded(uint256 units, uint256 limit);
    error RootMissing();
    error HeaderUnknown(bytes32 key, uint32 epoch);
    error AlreadySettled(bytes32 key, uint32 epoch);
    error CaseOpen(bytes32 key, uint32 epoch);
    error OtherSwarm(bytes32 key, bytes32 other);
    error NothingAccepted(bytes32 other);
    error TimeNotPast(uint256 time, uint256 limit);

    event Entered(bytes32 indexed key, bytes32 indexed swarm, address indexed operator, bytes32 peer, address session);
    event CapacityChanged(bytes32 indexed key, uint32 capacity);
    event Committed(
        bytes32 indexed key,
        uint32 indexed epoch,
        uint32 steps,
        uint64 units,
        bytes32 root,
        bytes32 first,
        bytes32 last,
        bytes32 data,
        bool late
    );
    event Adopted(bytes32 indexed key, bytes32 indexed other, bytes32 root);
    /// @notice `units` were added to `total`.
    event Settled(bytes32 indexed key, uint32 indexed epoch, uint64 units, uint256 total);
    event Unscored(bytes32 indexed key, uint32 indexed epoch, Reason reason);
    /// @notice Epochs from `epoch` to the newest committed one bring nothing; the next one continues `last`.
    event Rewound(bytes32 indexed key, uint32 indexed epoch, bytes32 last);

    /// @notice Brings a registered peer into the ledger, or its session up to date. Anyone may call it, as often as they like.
    function enter(bytes32 swarm, address operator, bytes32 peer) external returns (bytes32 key);

    /// @notice Commits an epoch, in [end, end + grace], from the session or the operator, once per epoch and in rising order.
    /// The first state root is the last one stored here, so work is continuous by construction.
    function commit(bytes32 key, uint32 epoch, uint32 steps, uint64 units, bytes32 root, bytes32 last, bytes32 data) external;

    /// @notice Commits an epoch whose window is over (a chain outage): keeps the chain of roots, is not audited and earns nothing.
    function commitLate(bytes32 key, uint32 epoch, uint32 steps, bytes32 root, bytes32 last, bytes32 data) external;

    /// @notice Continues from the last accepted root of `other` (a member of the same swarm), or from the base root if `other` is zero.
    function adopt(bytes32 key, bytes32 other) external;

    /// @notice Continues from `root`, whatever it is: who needs an unbroken chain compares `first` with what it accepted, as the market does.
    function adoptRoot(bytes32 key, bytes32 root) external;

    /// @notice Adds the units of a commitment once the court has closed its case clean; otherwise records why not. Anyone may call it.
    function settle(Header calldata header) external;

    /// @notice For the stake vault only.
    function setCapacity(bytes32 key, uint32 capacity) external;
    /// @notice For the court only: a lost or conceded epoch takes the later ones with it.
    function rewind(bytes32 key, uint32 epoch, Reason reason) external;

    function memberOf(bytes32 key) external view returns (Member memory);
    function operatorOf(bytes32 key) external view returns (address);
    function swarmOf(bytes32 key) external view returns (bytes32);
    function unitsOf(bytes32 key) external view returns (uint256);
    /// @notice Verified units of a member, and of all members of a swarm, that were settled by the chain time `time`, which must be past.
    function unitsAt(bytes32 key, uint256 time) external view returns (uint256);
    function totalAt(bytes32 swarm, uint256 time) external view returns (uint256);
    /// @notice Epochs of a member that closed clean and were scored; those settled in one second count once.
    function cleanCount(bytes32 key) external view returns (uint256);
    /// @notice Whether `caller` is the member's operator or session.
    function isAgent(bytes32 key, address caller) external view returns (bool);
    /// @notice Whether `header` is the commitment on record.
    function isCommitted(Header calldata header) external view returns (bool);
    function isSettled(bytes32 key, uint32 epoch) external view returns (bool);
    /// @notice Whether the units of `epoch` were added: its case closed clean, enough others could have audited it, and nothing that it
    /// continued was lost before it was settled.
    function isVerified(bytes32 key, uint32 epoch) external view returns (bool);
    /// @notice The ring slot of `epoch`, taken by it or an older one: upper 224 bits of the header's hash | 1 + the epoch (32 bits).
    function slotOf(bytes32 key, uint32 epoch) external view returns (bytes32);
    function hashOf(Header calldata header) external pure returns (bytes32);
}
