// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Tokens for what a snapshot shows
/// @notice Anyone funds a distribution with any ERC-20, for a snapshot (program, epoch) that is frozen. An operator's part is
///
///     pot x its units / units of everyone, rounded down
///
/// so it makes no difference under how many names work was done, except that each name loses less than one wei. The part goes to the operator,
/// once, for a leaf of any root that was posted. A root is not believed: units, tier and the units of everyone are read from the chain again
/// as they stood, so a false root can neither give nor take anything; whom it leaves out posts the right one. The score in a leaf pays nothing.
interface IDistributor {
    struct Distribution {
        bytes32 program;
        uint32 epoch;
        uint8 leastTier; // operators below it get nothing; their part goes back to the funder
        uint64 closes; // chain time after which nothing is paid any more
        address funder;
        address token;
        uint256 pot; // wei of `token`
        uint256 left;
        uint256 total; // units of everyone
    }

    struct Leaf {
        address operator;
        uint64 score;
        uint256 units;
        uint8 tier;
    }

    error DistributionUnknown(bytes32 id);
    error NotYours(address caller, address operator);
    error WindowOutOfBounds(uint256 actual, uint256 limit);
    error TierUnknown(uint256 tier, uint256 tiers);
    error NothingFrozen(bytes32 program, uint32 epoch);
    error NothingToPay();
    error TransferInexact(uint256 actual, uint256 expected);
    error ClaimsClosed(uint256 time, uint256 closes);
    error StillClaimable(uint256 time, uint256 closes);
    error ShareTaken(bytes32 id, address operator);
    error RootNotPosted(bytes32 root);
    error UnitsWrong(uint256 actual, uint256 expected);
    error TierWrong(uint256 actual, uint256 expected);
    error TierTooLow(uint256 actual, uint256 limit);

    event DistributionFunded(
        bytes32 indexed id, bytes32 indexed program, uint32 indexed epoch, address funder, address token, uint256 pot, uint8 leastTier, uint64 closes
    );
    event PartPaid(bytes32 indexed id, address indexed operator, uint256 amount);
    event Reclaimed(bytes32 indexed id, address indexed funder, uint256 amount);

    /// @notice Funds a distribution with exactly `amount` of `token` (approve first), to be claimed for `window` seconds.
    function fund(bytes32 program, uint32 epoch, address token, uint256 amount, uint8 leastTier, uint64 window) external returns (bytes32 id);
    /// @notice Pays the calling operator its part. `keys`: all its member keys with units, rising; `proof`: siblings from the leaf up.
    function claim(bytes32 id, Leaf calldata leaf, bytes32[] calldata keys, bytes32[] calldata proof) external;
    /// @notice Pays what nobody claimed back to the funder (anyone), once claims are closed.
    function reclaim(bytes32 id) external;

    function distributionOf(bytes32 id) external view returns (Distribution memory);
    function isPaid(bytes32 id, address operator) external view returns (bool);
    /// @notice What `units` bring.
    function partOf(bytes32 id, uint256 units) external view returns (uint256);
}
