// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Stakes, the weights that draws follow, slashing, rewards and treasuries
/// @notice The money and membership half of the audit court. All payments are pulled.
interface IStakeVault {
    struct Stake {
        uint128 active; // wei that stands good for work and gives weight
        uint128 unbonding; // wei on the way out, still slashable
        uint64 releaseAt; // chain time from which `unbonding` may be withdrawn
        bool paused; // out of the draws
        bool lapsed; // paused because a duty was missed and paid for: no capacity until `resume`
        uint32 resumedAt; // duties of earlier epochs cost nothing more
        bytes32 class; // determinism class
    }

    error NotOperator(bytes32 key, address caller);
    error NotAgent(bytes32 key, address caller);
    error NotPermitted(address caller);
    error StakeTooSmall(uint256 actual, uint256 limit);
    error StakeTooLarge(uint256 actual, uint256 limit);
    error StakeMissing(uint256 actual, uint256 needed);
    error StillUnbonding(uint256 time, uint256 releaseAt);
    error NothingToPay();
    error ClassMissing();
    error ClassChangedTooSoon(uint32 epoch, uint32 earliest);
    error TransferInexact(uint256 actual, uint256 expected);
    error NotMissed(bytes32 key, uint32 epoch);

    event Staked(bytes32 indexed key, uint256 amount, uint256 active, bytes32 class);
    event Unbonding(bytes32 indexed key, uint256 amount, uint64 releaseAt);
    event Withdrawn(bytes32 indexed key, address indexed operator, uint256 amount);
    event Claimed(address indexed token, address indexed account, uint256 amount);
    event Paused(bytes32 indexed key, bool lapsed);
    event Resumed(bytes32 indexed key, uint32 epoch);
    event ClassChanged(bytes32 indexed key, bytes32 class, uint32 fromEpoch);
    event WeightChanged(bytes32 indexed key, uint32 fromEpoch, uint256 weight);
    event Funded(bytes32 indexed swarm, address indexed from, uint256 amount);
    /// @notice `amount` left the member's stake. `reason`: "fault", "lie", "absence", "concession", "bond", "inviter".
    event Slashed(bytes32 indexed key, uint256 amount, bytes32 reason);
    event Rewarded(bytes32 indexed swarm, address indexed account, uint256 amount);

    /// @notice Stakes exactly `amount` for a member (operator only; approve first) in a determinism class. The sum must reach minStake.
    function stake(bytes32 key, uint256 amount, bytes32 class) external;
    /// @notice Changes the class from the first open epoch on (agent).
    function setClass(bytes32 key, bytes32 class) external;
    /// @notice Starts to take `amount` out (operator only). What is on the way out gives no weight but can still be slashed.
    function unbond(bytes32 key, uint256 amount) external;
    /// @notice Pays what has finished unbonding to the operator.
    function withdraw(bytes32 key) external;
    /// @notice Pays the caller's rewards in `token`.
    function claim(address token) external;
    /// @notice Leaves the draws of all epochs whose commit window is still open (agent).
    function pause(bytes32 key) external;
    /// @notice Comes back to them (agent).
    function resume(bytes32 key) external;
    /// @notice Brings a member's weight and capacity up to date (anyone).
    function refresh(bytes32 key) external;
    /// @notice Adds to a swarm's treasury, which pays audit fees and plants.
    function fund(bytes32 swarm, uint256 amount) external;
    /// @notice Charges a member that kept back its part of R(`epoch`), and pauses it (anyone).
    function forfeit(bytes32 key, uint32 epoch) external;

    /// @notice For the court only: takes up to `amount` from a member into the treasury.
    function slash(bytes32 key, uint256 amount, bytes32 reason) external;
    /// @notice For the court only: takes everything; `share` (at most half) stays aside for rewards, the rest goes to the treasury.
    function convict(bytes32 key) external returns (uint256 share);
    /// @notice For the court only: a missed duty of `epoch`; `free` charges nothing and only pauses.
    function absent(bytes32 key, uint32 epoch, bool free) external;
    /// @notice For both courts only: pays from what `convict` or `takeBond` set aside.
    function payAside(bytes32 swarm, address account, uint256 amount) external;
    /// @notice For both courts only: returns unused money from aside to the treasury.
    function dropAside(bytes32 swarm, uint256 amount) external;
    /// @notice For the court only: pays up to `amount` from the treasury.
    function payFee(bytes32 swarm, address account, uint256 amount) external;
    /// @notice For both courts only: sets a bond of exactly `amount` from a member's active stake aside.
    function takeBond(bytes32 key, uint256 amount) external;

    function stakeOf(bytes32 key) external view returns (Stake memory);
    function classAt(bytes32 key, uint32 epoch) external view returns (bytes32);
    function weightAt(bytes32 key, uint32 epoch) external view returns (uint256);
    function capacityOf(bytes32 key) external view returns (uint32);
    /// @notice Members that ever staked, in order. Draws look only at those that have or had weight.
    function memberCount(bytes32 swarm) external view returns (uint256);
    function memberAt(bytes32 swarm, uint256 index) external view returns (bytes32);
    /// @notice Operators with weight in `class` at `epoch`.
    function operatorsAt(bytes32 swarm, bytes32 class, uint32 epoch) external view returns (uint256);
    /// @notice Operators with weight at `epoch`, all classes.
    function operatorsAt(bytes32 swarm, uint32 epoch) external view returns (uint256);
    /// @notice Other operators of the member's class that could audit it, and how many a score needs: min(3, all others).
    function othersAt(bytes32 key, uint32 epoch) external view returns (uint256 others, uint256 needed);
    /// @notice Draws up to `seats` members of the class of `key` by weight, none of its operator, one per operator.
    function draw(bytes32 key, uint32 epoch, bytes32 seed, uint256 seats) external view returns (bytes32[] memory);
    function treasuryOf(bytes32 swarm) external view returns (uint256);
    function claimable(address token, address account) external view returns (uint256);
    /// @notice All wei of `token` that this contract owes to anyone.
    function held(address token) external view returns (uint256);
}
