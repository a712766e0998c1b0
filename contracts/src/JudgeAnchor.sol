// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IJudgeAnchor} from "./interfaces/IJudgeAnchor.sol";
import {IParticipationLedger} from "./interfaces/IParticipationLedger.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";
import {Schedule} from "./lib/Schedule.sol";

/// @title Roots of the judge market, judging stakes, and what a final tally takes and gives. Nobody owns it.
/// @dev Votes are counted as they are anchored, so nothing here loops over members.
contract JudgeAnchor is IJudgeAnchor, ReentrancyGuardTransient {
    using Checkpoints for Checkpoints.Trace224;
    using SafeERC20 for IERC20;
    using Schedule for ISwarmRegistry.Terms;

    /// @notice The longest that a market can take until it is FINAL or VOID: T_max of the profile `human`, 4 x (4 x 6 h + 3 x 24 h).
    uint256 public constant LONGEST_MARKET = 16 days;
    /// @notice An unbonding stake waits this many epochs longer: a seat may be drawn until the end of the epoch in which the stake left (1),
    /// its slash is in the tally of the epoch in which the market ended (2), which is anchored in the next one (3) and then claimed (4).
    uint256 public constant TAIL_EPOCHS = 4;
    uint256 public constant CLAIM_WINDOW = 30 days;

    /// @dev All that an anchor reads of its member, in one word. The registry bounds times: an epoch has at most 30 days, grace is shorter.
    struct Voter {
        uint96 weight; // on the roll; the vault's weights have no more bits
        uint32 next; // 1 + the newest epoch anchored
        uint32 number; // of the swarm, 0: never seen
        uint40 start;
        uint24 epoch;
        uint24 grace;
    }

    ISwarmRegistry public immutable registry;
    IParticipationLedger public immutable ledger;
    IStakeVault public immutable vault;

    mapping(bytes32 key => Voter) private _voters;
    mapping(uint32 number => Checkpoints.Trace224) private _rolls;
    mapping(bytes32 ballot => uint256) private _votes;
    mapping(bytes32 swarm => mapping(address operator => Account)) private _accounts;
    mapping(bytes32 swarm => mapping(uint32 epoch => Round)) private _rounds;
    mapping(bytes32 swarm => mapping(uint32 epoch => mapping(address operator => Claim))) private _claims;

    constructor(ISwarmRegistry registry_, IParticipationLedger ledger_, IStakeVault vault_) {
        registry = registry_;
        ledger = ledger_;
        vault = vault_;
    }

    /// @inheritdoc IJudgeAnchor
    function deposit(bytes32 key, uint128 amount) external nonReentrant {
        if (ledger.operatorOf(key) != msg.sender) revert NotOperator(key, msg.sender);
        bytes32 swarm = ledger.swarmOf(key);
        uint128 active = _accounts[swarm][msg.sender].active += amount;
        emit Deposited(swarm, msg.sender, amount, active);
        _pull(registry.termsOf(swarm).token, amount);
    }

    /// @inheritdoc IJudgeAnchor
    function unbond(bytes32 swarm, uint128 amount) external {
        Account storage account = _accounts[swarm][msg.sender];
        if (amount > account.active || amount == 0) revert StakeMissing(account.active, amount);
        account.active -= amount;
        account.unbonding += amount;
        account.releaseAt = uint64(block.timestamp + _delay(registry.termsOf(swarm)));
        emit Unbonding(swarm, msg.sender, amount, account.releaseAt);
    }

    /// @inheritdoc IJudgeAnchor
    function withdraw(bytes32 swarm) external nonReentrant {
        Account storage account = _accounts[swarm][msg.sender];
        bool released = block.timestamp >= account.releaseAt;
        uint256 amount = uint256(account.earned) + (released ? account.unbonding : 0);
        if (amount == 0 && account.unbonding != 0) revert StillUnbonding(block.timestamp, account.releaseAt);
        if (amount == 0) revert NothingToPay();
        account.earned = 0;
        if (released) account.unbonding = 0;
        emit Withdrawn(swarm, msg.sender, amount);
        IERC20(registry.termsOf(swarm).token).safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IJudgeAnchor
    function anchor(bytes32 key, uint32 epoch, bytes32 logRoot, bytes32 goldRoot, bytes32 tallyRoot) external {
        if (!ledger.isAgent(key, msg.sender)) revert NotAgent(key, msg.sender);
        if (logRoot == bytes32(0)) revert RootMissing();
        Voter storage voter = _voterOf(key);
        _checkTurn(voter, epoch);
        uint256 weight = _weigh(key, voter, epoch);
        if (weight == 0) revert NoWeight(key, epoch == 0 ? 0 : epoch - 1);
        voter.next = epoch + 1;
        _votes[_ballot(voter.number, epoch, logRoot, goldRoot, tallyRoot)] += weight;
        emit Anchored(key, epoch, logRoot, goldRoot, tallyRoot);
    }

    /// @inheritdoc IJudgeAnchor
    function refresh(bytes32 key) external {
        Voter storage voter = _voterOf(key);
        // A window's last second belongs to it, as in the ledger.
        uint256 opened = uint256(voter.start) + voter.grace + 1;
        uint256 epoch = block.timestamp < opened ? 0 : (block.timestamp - opened) / voter.epoch;
        _weigh(key, voter, uint32(epoch));
    }

    /// @inheritdoc IJudgeAnchor
    function finalize(bytes32 swarm, uint32 epoch, bytes32 logRoot, bytes32 goldRoot, bytes32 tallyRoot) external {
        (, uint256 closes, uint256 expires) = _timesOf(registry.termsOf(swarm), epoch);
        _within(closes + 1, expires);
        Round storage round = _rounds[swarm][epoch];
        if (round.expires != 0) revert AlreadyFinal(swarm, epoch);
        (uint256 votes, uint256 total) = _count(swarm, epoch, logRoot, goldRoot, tallyRoot);
        if (2 * votes <= total) revert MajorityMissing(votes, total / 2);
        (round.tallyRoot, round.expires) = (tallyRoot, uint64(expires));
        emit Finalized(swarm, epoch, logRoot, goldRoot, tallyRoot, votes, total);
    }

    /// @inheritdoc IJudgeAnchor
    function fund(bytes32 swarm, uint32 epoch, uint128 amount) external nonReentrant {
        ISwarmRegistry.Terms memory terms = registry.termsOf(swarm);
        (uint256 opens,, uint256 expires) = _timesOf(terms, epoch);
        _within(opens - terms.epoch, expires);
        _rounds[swarm][epoch].pot += amount;
        emit Funded(swarm, epoch, msg.sender, amount);
        _pull(terms.token, amount);
    }

    /// @inheritdoc IJudgeAnchor
    function claim(bytes32 swarm, uint32 epoch, address operator, uint128 earned, uint128 slashed, bytes32[] calldata proof) external {
        Round storage round = _finalRound(swarm, epoch);
        _checkLeaf(round.tallyRoot, _leaf(swarm, epoch, operator, earned, slashed), proof);
        Claim storage entry = _claims[swarm][epoch][operator];
        if (entry.known && entry.owed == 0) revert AlreadyClaimed(swarm, epoch, operator);
        (uint128 paid, uint128 taken) = _carryOut(round, entry, _accounts[swarm][operator], earned, slashed);
        emit Claimed(swarm, epoch, operator, paid, taken, entry.owed);
    }

    /// @inheritdoc IJudgeAnchor
    function sweep(bytes32 swarm, uint32 epoch) external nonReentrant {
        ISwarmRegistry.Terms memory terms = registry.termsOf(swarm);
        (,, uint256 expires) = _timesOf(terms, epoch);
        if (block.timestamp <= expires) revert ClaimsOpen(block.timestamp, expires);
        uint256 amount = _rounds[swarm][epoch].pot;
        if (amount == 0) revert NothingToPay();
        _rounds[swarm][epoch].pot = 0;
        emit Swept(swarm, epoch, amount);
        IERC20(terms.token).forceApprove(address(vault), amount);
        vault.fund(swarm, amount);
    }

    /// @inheritdoc IJudgeAnchor
    function accountOf(bytes32 swarm, address operator) external view returns (Account memory) {
        return _accounts[swarm][operator];
    }

    /// @inheritdoc IJudgeAnchor
    function roundOf(bytes32 swarm, uint32 epoch) external view returns (Round memory) {
        return _rounds[swarm][epoch];
    }

    /// @inheritdoc IJudgeAnchor
    function claimOf(bytes32 swarm, uint32 epoch, address operator) external view returns (Claim memory) {
        return _claims[swarm][epoch][operator];
    }

    /// @inheritdoc IJudgeAnchor
    function voterOf(bytes32 key) external view returns (uint256 weight, uint32 next) {
        Voter storage voter = _voters[key];
        return (voter.weight, voter.next);
    }

    /// @inheritdoc IJudgeAnchor
    function votesOf(bytes32 swarm, uint32 epoch, bytes32 logRoot, bytes32 goldRoot, bytes32 tallyRoot)
        external
        view
        returns (uint256 votes, uint256 total)
    {
        return _count(swarm, epoch, logRoot, goldRoot, tallyRoot);
    }

    /// @inheritdoc IJudgeAnchor
    function timesOf(bytes32 swarm, uint32 epoch) external view returns (uint256 opens, uint256 closes, uint256 expires) {
        return _timesOf(registry.termsOf(swarm), epoch);
    }

    /// @inheritdoc IJudgeAnchor
    function delayOf(bytes32 swarm) external view returns (uint256) {
        return _delay(registry.termsOf(swarm));
    }

    /// @inheritdoc IJudgeAnchor
    function leafOf(bytes32 swarm, uint32 epoch, address operator, uint128 earned, uint128 slashed) external pure returns (bytes32) {
        return _leaf(swarm, epoch, operator, earned, slashed);
    }

    /// @dev A member as it stands, or as it begins. Reverts for a key that is not in the ledger: its swarm is unknown.
    function _voterOf(bytes32 key) private returns (Voter storage voter) {
        voter = _voters[key];
        if (voter.number != 0) return voter;
        bytes32 swarm = ledger.swarmOf(key);
        ISwarmRegistry.Terms memory terms = registry.termsOf(swarm);
        (voter.start, voter.epoch, voter.grace) = (uint40(terms.start), uint24(terms.epoch), uint24(terms.grace));
        voter.number = registry.swarmOf(swarm).number;
    }

    /// @dev Whether the member may anchor this now. Fields that are read together cost one read.
    function _checkTurn(Voter storage voter, uint32 epoch) private view {
        (uint256 start, uint256 length, uint256 grace, uint32 next) = (voter.start, voter.epoch, voter.grace, voter.next);
        // 40 bits, and the product of 33 and 24 bits, cannot overflow.
        unchecked {
            uint256 opens = start + (uint256(epoch) + 1) * length;
            _within(opens, opens + grace);
        }
        if (epoch < next) revert EpochTaken(epoch, next);
    }

    /// @dev The member's weight at the epoch before, which is closed and never changes again; the roll of `epoch` holds just that.
    /// Called for the first epoch whose window is not over, so epochs only rise and an earlier roll stays as it was.
    function _weigh(bytes32 key, Voter storage voter, uint32 epoch) private returns (uint256 weight) {
        if (epoch == 0) return 0;
        weight = vault.weightAt(key, epoch - 1);
        if (weight == voter.weight) return weight;
        Checkpoints.Trace224 storage roll = _rolls[voter.number];
        uint256 total = roll.latest() + weight - voter.weight;
        voter.weight = uint96(weight);
        // slither-disable-next-line unused-return
        roll.push(epoch, uint224(total));
        emit Weighed(key, epoch, weight, total);
    }

    function _count(bytes32 swarm, uint32 epoch, bytes32 logRoot, bytes32 goldRoot, bytes32 tallyRoot)
        private
        view
        returns (uint256 votes, uint256 total)
    {
        uint32 number = registry.swarmOf(swarm).number;
        return (_votes[_ballot(number, epoch, logRoot, goldRoot, tallyRoot)], _rolls[number].upperLookupRecent(epoch));
    }

    function _finalRound(bytes32 swarm, uint32 epoch) private view returns (Round storage round) {
        round = _rounds[swarm][epoch];
        if (round.expires == 0) revert NotFinal(swarm, epoch);
        _within(round.expires - CLAIM_WINDOW + 1, round.expires);
    }

    function _checkLeaf(bytes32 expected, bytes32 leaf, bytes32[] calldata proof) private pure {
        bytes32 root = MerkleProof.processProofCalldata(proof, leaf);
        if (root != expected) revert ProofWrong(root, expected);
    }

    /// @dev Slashes at the first call, and pays what the pot has. A call that could do neither is refused.
    function _carryOut(Round storage round, Claim storage entry, Account storage account, uint128 earned, uint128 slashed)
        private
        returns (uint128 paid, uint128 taken)
    {
        if (!entry.known) {
            (entry.owed, entry.known) = (earned, true);
            taken = _slash(account, slashed);
        }
        (uint128 owed, uint128 pot) = (entry.owed, round.pot + taken);
        paid = owed < pot ? owed : pot;
        if (owed != 0 && paid == 0) revert PotShort(pot, owed);
        round.pot = pot - paid;
        entry.owed = owed - paid;
        account.earned += paid;
    }

    /// @dev Takes from what is active first.
    function _slash(Account storage account, uint128 amount) private returns (uint128) {
        uint128 fromActive = amount < account.active ? amount : account.active;
        uint128 rest = amount - fromActive;
        uint128 fromUnbonding = rest < account.unbonding ? rest : account.unbonding;
        account.active -= fromActive;
        account.unbonding -= fromUnbonding;
        return fromActive + fromUnbonding;
    }

    function _pull(address token, uint256 amount) private {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert TransferInexact(received, amount);
    }

    function _within(uint256 opens, uint256 closes) private view {
        if (block.timestamp < opens || block.timestamp > closes) revert WindowClosed(block.timestamp, opens, closes);
    }

    function _timesOf(ISwarmRegistry.Terms memory terms, uint32 epoch) private pure returns (uint256 opens, uint256 closes, uint256 expires) {
        opens = terms.endOf(epoch);
        closes = opens + terms.grace;
        expires = closes + CLAIM_WINDOW;
    }

    function _delay(ISwarmRegistry.Terms memory terms) private pure returns (uint256) {
        return Math.max(terms.unbonding, LONGEST_MARKET + TAIL_EPOCHS * terms.epoch);
    }

    function _ballot(uint32 number, uint32 epoch, bytes32 logRoot, bytes32 goldRoot, bytes32 tallyRoot) private pure returns (bytes32) {
        return keccak256(abi.encode(number, epoch, logRoot, goldRoot, tallyRoot));
    }

    function _leaf(bytes32 swarm, uint32 epoch, address operator, uint128 earned, uint128 slashed) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(swarm, epoch, operator, earned, slashed))));
    }
}
