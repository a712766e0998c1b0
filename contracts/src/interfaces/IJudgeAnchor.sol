// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What a swarm's judge market puts on chain: roots, judging stakes, slashes and pay
/// @notice Judging happens off chain, in a log that every node replays. Once an epoch the members anchor three roots of it: of the log at
/// the epoch's end, of the gold set of the next epoch to begin (epoch + 2: epoch + 1 is running), and of the tally, an OpenZeppelin
/// standard Merkle tree over (bytes32 swarm, uint32 epoch, address operator, uint128 earned, uint128 slashed).
///
/// A triple is final when more than half of the weight on the swarm's roll anchored it. Weight is the stake vault's at the epoch before,
/// which nobody can change any more, so what gives no seat in an audit gives no say here. The roll is the sum of these weights over all
/// members that ever anchored or that anybody called `refresh` for. So at most one triple can be final, less than half cannot force any,
/// and silence helps nobody. An epoch without such a half stays undecided: nothing is slashed or paid, its pot goes to the treasury,
/// stakes leave by time. Epoch 0 has no weights before it and stays undecided.
///
/// Times, C being the last second of the epoch's commit window: anchors in [end, C], `finalize` and `claim` in (C, C + CLAIM_WINDOW],
/// `sweep` after that. Nothing has to be called for any of them to pass.
interface IJudgeAnchor {
    /// @notice An operator's money in one swarm, in wei of the swarm's token.
    struct Account {
        uint128 active; // stands good for seats in panels
        uint128 unbonding; // on the way out, still slashable
        uint128 earned; // to be withdrawn at any time
        uint64 releaseAt; // chain time from which `unbonding` may be withdrawn
    }

    struct Round {
        bytes32 tallyRoot; // zero: nobody earned or lost
        uint128 pot; // slashes and funds of this epoch that were not paid out
        uint64 expires; // last second for claims; 0 while the epoch is not final
    }

    struct Claim {
        uint128 owed; // what the pot could not pay yet
        bool known; // slashed and credited
    }

    error NotOperator(bytes32 key, address caller);
    error NotAgent(bytes32 key, address caller);
    error WindowClosed(uint256 time, uint256 opens, uint256 closes);
    error ClaimsOpen(uint256 time, uint256 closes);
    error EpochTaken(uint32 epoch, uint32 next);
    error RootMissing();
    error NoWeight(bytes32 key, uint32 epoch);
    error MajorityMissing(uint256 actual, uint256 limit);
    error AlreadyFinal(bytes32 swarm, uint32 epoch);
    error NotFinal(bytes32 swarm, uint32 epoch);
    error ProofWrong(bytes32 actual, bytes32 expected);
    error AlreadyClaimed(bytes32 swarm, uint32 epoch, address operator);
    error PotShort(uint256 actual, uint256 needed);
    error StakeMissing(uint256 actual, uint256 needed);
    error StillUnbonding(uint256 time, uint256 releaseAt);
    error NothingToPay();
    error TransferInexact(uint256 actual, uint256 expected);

    event Deposited(bytes32 indexed swarm, address indexed operator, uint256 amount, uint256 active);
    event Unbonding(bytes32 indexed swarm, address indexed operator, uint256 amount, uint64 releaseAt);
    event Withdrawn(bytes32 indexed swarm, address indexed operator, uint256 amount);
    /// @notice A member counts with `weight` from `fromEpoch` on, which makes `total` on its swarm's roll.
    event Weighed(bytes32 indexed key, uint32 fromEpoch, uint256 weight, uint256 total);
    event Anchored(bytes32 indexed key, uint32 indexed epoch, bytes32 logRoot, bytes32 goldRoot, bytes32 tallyRoot);
    event Finalized(
        bytes32 indexed swarm, uint32 indexed epoch, bytes32 logRoot, bytes32 goldRoot, bytes32 tallyRoot, uint256 votes, uint256 total
    );
    event Funded(bytes32 indexed swarm, uint32 indexed epoch, address indexed from, uint256 amount);
    /// @notice `slashed` went from the operator's stake into the pot, `earned` from the pot to the operator; `owed` is what it could not pay.
    event Claimed(bytes32 indexed swarm, uint32 indexed epoch, address indexed operator, uint256 earned, uint256 slashed, uint256 owed);
    event Swept(bytes32 indexed swarm, uint32 indexed epoch, uint256 amount);

    /// @notice Adds exactly `amount` to the judging stake of a member's operator (operator only; approve first). It needs no stake in the
    /// vault, so who only judges registers a peer, enters the ledger and deposits here. All peers of an operator share one stake.
    function deposit(bytes32 key, uint128 amount) external;
    /// @notice Starts to take `amount` of the caller's stake out. Seats that were drawn before may still cost it.
    function unbond(bytes32 swarm, uint128 amount) external;
    /// @notice Pays the caller what it has earned and what has finished unbonding.
    function withdraw(bytes32 swarm) external;

    /// @notice Votes for an epoch's roots with the member's weight, in [end, end + grace], once per member and epoch (agent).
    /// The tally's root may be zero, where nobody earned or lost, and the gold set's, where there is none.
    function anchor(bytes32 key, uint32 epoch, bytes32 logRoot, bytes32 goldRoot, bytes32 tallyRoot) external;
    /// @notice Brings a member's weight on the roll up to date, from the first epoch on whose anchors are still taken (anyone).
    function refresh(bytes32 key) external;
    /// @notice Makes the roots that more than half of the roll anchored final (anyone).
    function finalize(bytes32 swarm, uint32 epoch, bytes32 logRoot, bytes32 goldRoot, bytes32 tallyRoot) external;
    /// @notice Adds to what an epoch that has begun can pay (anyone; approve first).
    function fund(bytes32 swarm, uint32 epoch, uint128 amount) external;
    /// @notice Carries out one entry of a final tally (anyone), once per operator and epoch: `slashed`, at most the operator's stake, goes
    /// into the epoch's pot, then `earned` is credited as far as the pot reaches. Called again later it pays what was owed still.
    function claim(bytes32 swarm, uint32 epoch, address operator, uint128 earned, uint128 slashed, bytes32[] calldata proof) external;
    /// @notice Sends what is left of a pot after the claims' time to the swarm's treasury in the stake vault (anyone).
    function sweep(bytes32 swarm, uint32 epoch) external;

    function accountOf(bytes32 swarm, address operator) external view returns (Account memory);
    function roundOf(bytes32 swarm, uint32 epoch) external view returns (Round memory);
    function claimOf(bytes32 swarm, uint32 epoch, address operator) external view returns (Claim memory);
    /// @notice A member's weight on the roll, and one more than the newest epoch that it anchored.
    function voterOf(bytes32 key) external view returns (uint256 weight, uint32 next);
    /// @notice Weight that anchored these roots, and all weight on the roll, as they stand for `epoch`; both fixed once its window is over.
    function votesOf(bytes32 swarm, uint32 epoch, bytes32 logRoot, bytes32 goldRoot, bytes32 tallyRoot)
        external
        view
        returns (uint256 votes, uint256 total);
    /// @notice Chain times: anchors are taken in [opens, closes], `finalize` and `claim` in (closes, expires].
    function timesOf(bytes32 swarm, uint32 epoch) external view returns (uint256 opens, uint256 closes, uint256 expires);
    /// @notice Seconds from `unbond` to `withdraw`.
    function delayOf(bytes32 swarm) external view returns (uint256);
    /// @notice Leaf of the tally's tree: keccak256(bytes.concat(keccak256(abi.encode(swarm, epoch, operator, earned, slashed)))).
    function leafOf(bytes32 swarm, uint32 epoch, address operator, uint128 earned, uint128 slashed) external pure returns (bytes32);
}
