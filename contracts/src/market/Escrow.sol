// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IComputeMarket} from "../interfaces/IComputeMarket.sol";

/// @title The money of all jobs: what each holds, what is due to whom
/// @dev held = the sum of all escrows and of all that is due. Only here do tokens move.
abstract contract Escrow is IComputeMarket, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice The account that lost bonds are due to: nobody has its key.
    address public constant PYRE = 0x000000000000000000000000000000000000dEaD;

    mapping(bytes32 job => address) internal _tokens;
    mapping(bytes32 job => uint256) internal _escrows;
    mapping(address token => mapping(address account => uint256)) private _due;
    mapping(address token => uint256) private _held;

    /// @inheritdoc IComputeMarket
    function withdraw(address token, address account) external nonReentrant {
        uint256 amount = _due[token][account];
        if (amount == 0) revert NothingToPay();
        _due[token][account] = 0;
        _held[token] -= amount;
        emit Withdrawn(token, account, amount);
        IERC20(token).safeTransfer(account, amount);
    }

    /// @inheritdoc IComputeMarket
    function due(address token, address account) external view returns (uint256) {
        return _due[token][account];
    }

    /// @inheritdoc IComputeMarket
    function held(address token) external view returns (uint256) {
        return _held[token];
    }

    /// @dev Takes exactly `amount` from the caller into a job's escrow.
    function _pull(bytes32 job, uint256 amount) internal {
        address token = _tokens[job];
        _held[token] += amount;
        _escrows[job] += amount;
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert TransferInexact(received, amount);
    }

    /// @dev From a job's escrow to an account that may withdraw it.
    function _owe(bytes32 job, address account, uint256 amount) internal {
        _escrows[job] -= amount;
        _due[_tokens[job]][account] += amount;
    }
}
