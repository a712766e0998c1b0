// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Credits for local and test swarms; any ERC-20 can stand in their place
interface ICredit is IERC20 {
    /// @notice More than one call may take.
    error FaucetCallExceeded(uint256 asked, uint256 limit);
    /// @notice More than one address may take in all.
    error FaucetAddressExceeded(uint256 total, uint256 limit);

    event FaucetUsed(address indexed account, uint256 amount, uint256 total);

    /// @notice Mints `amount` wei to the caller: at most CALL_LIMIT at once and ADDRESS_LIMIT in all.
    function faucet(uint256 amount) external;

    /// @notice What `account` has taken from the faucet so far.
    function taken(address account) external view returns (uint256);
}
