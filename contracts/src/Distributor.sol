// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IDistributor} from "./interfaces/IDistributor.sol";
import {IPioneerProgram} from "./interfaces/IPioneerProgram.sol";

/// @title Pays any ERC-20 against frozen snapshots. Nobody owns it.
contract Distributor is IDistributor, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint256 public constant LEAST_WINDOW = 7 days;
    uint256 public constant LONGEST_WINDOW = 3_650 days;

    IPioneerProgram public immutable pioneer;

    uint256 private _count;
    mapping(bytes32 id => Distribution) private _distributions;
    mapping(bytes32 id => mapping(address operator => bool)) private _paid;

    constructor(IPioneerProgram pioneer_) {
        pioneer = pioneer_;
    }

    /// @inheritdoc IDistributor
    function fund(bytes32 program, uint32 epoch, address token, uint256 amount, uint8 leastTier, uint64 window)
        external
        nonReentrant
        returns (bytes32 id)
    {
        if (amount == 0) revert NothingToPay();
        if (window < LEAST_WINDOW) revert WindowOutOfBounds(window, LEAST_WINDOW);
        if (window > LONGEST_WINDOW) revert WindowOutOfBounds(window, LONGEST_WINDOW);
        uint256 tiers = pioneer.barsOf(program).length;
        if (leastTier > tiers) revert TierUnknown(leastTier, tiers);
        uint256 total = pioneer.frozenTotal(program, epoch);
        if (total == 0) revert NothingFrozen(program, epoch);
        id = keccak256(abi.encode(block.chainid, address(this), ++_count));
        uint64 closes = uint64(block.timestamp + window);
        _distributions[id] = Distribution(program, epoch, leastTier, closes, msg.sender, token, amount, amount, total);
        emit DistributionFunded(id, program, epoch, msg.sender, token, amount, leastTier, closes);
        _pull(token, amount);
    }

    /// @inheritdoc IDistributor
    function claim(bytes32 id, Leaf calldata leaf, bytes32[] calldata keys, bytes32[] calldata proof) external nonReentrant {
        Distribution storage d = _known(id);
        // Who names the keys decides how much it is, so nobody may do it for another.
        if (leaf.operator != msg.sender) revert NotYours(msg.sender, leaf.operator);
        if (block.timestamp > d.closes) revert ClaimsClosed(block.timestamp, d.closes);
        if (_paid[id][leaf.operator]) revert ShareTaken(id, leaf.operator);
        _checkLeaf(d, leaf, keys, proof);
        uint256 amount = _part(d, leaf.units);
        if (amount == 0) revert NothingToPay();
        _paid[id][leaf.operator] = true;
        d.left -= amount;
        emit PartPaid(id, leaf.operator, amount);
        IERC20(d.token).safeTransfer(leaf.operator, amount);
    }

    /// @inheritdoc IDistributor
    function reclaim(bytes32 id) external nonReentrant {
        Distribution storage d = _known(id);
        if (block.timestamp <= d.closes) revert StillClaimable(block.timestamp, d.closes);
        uint256 amount = d.left;
        if (amount == 0) revert NothingToPay();
        d.left = 0;
        emit Reclaimed(id, d.funder, amount);
        IERC20(d.token).safeTransfer(d.funder, amount);
    }

    /// @inheritdoc IDistributor
    function distributionOf(bytes32 id) external view returns (Distribution memory) {
        return _known(id);
    }

    /// @inheritdoc IDistributor
    function isPaid(bytes32 id, address operator) external view returns (bool) {
        return _paid[id][operator];
    }

    /// @inheritdoc IDistributor
    function partOf(bytes32 id, uint256 units) external view returns (uint256) {
        return _part(_known(id), units);
    }

    /// @dev The leaf is in a posted tree, and the chain says the same.
    function _checkLeaf(Distribution storage d, Leaf calldata leaf, bytes32[] calldata keys, bytes32[] calldata proof) private view {
        (bytes32 program, uint32 epoch) = (d.program, d.epoch);
        bytes32 hash = pioneer.leafOf(program, epoch, leaf.operator, leaf.score, leaf.units, leaf.tier);
        bytes32 root = MerkleProof.processProofCalldata(proof, hash);
        if (!pioneer.isPosted(program, epoch, root)) revert RootNotPosted(root);
        uint256 units = pioneer.frozenUnits(program, epoch, leaf.operator, keys);
        if (leaf.units != units) revert UnitsWrong(leaf.units, units);
        uint8 tier = pioneer.frozenTier(program, epoch, leaf.operator);
        if (leaf.tier != tier) revert TierWrong(leaf.tier, tier);
        if (tier < d.leastTier) revert TierTooLow(tier, d.leastTier);
    }

    function _known(bytes32 id) private view returns (Distribution storage d) {
        d = _distributions[id];
        if (d.funder == address(0)) revert DistributionUnknown(id);
    }

    function _part(Distribution storage d, uint256 units) private view returns (uint256) {
        return Math.mulDiv(d.pot, units, d.total);
    }

    function _pull(address token, uint256 amount) private {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert TransferInexact(received, amount);
    }
}
