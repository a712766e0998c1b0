// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ICredit} from "./interfaces/ICredit.sol";

/// @title Credit: a plain ERC-20 whose faucet makes stake free, for local and test swarms
contract Credit is ERC20, ICredit {
    uint256 public constant CALL_LIMIT = 1_000 ether;
    uint256 public constant ADDRESS_LIMIT = 10_000 ether;

    mapping(address account => uint256) private _taken;

    constructor() ERC20("OpenSwarm Credit", "CREDIT") {}

    /// @inheritdoc ICredit
    function faucet(uint256 amount) external {
        if (amount > CALL_LIMIT) revert FaucetCallExceeded(amount, CALL_LIMIT);
        uint256 total = _taken[msg.sender] + amount;
        if (total > ADDRESS_LIMIT) revert FaucetAddressExceeded(total, ADDRESS_LIMIT);
        _taken[msg.sender] = total;
        emit FaucetUsed(msg.sender, amount, total);
        _mint(msg.sender, amount);
    }

    /// @inheritdoc ICredit
    function taken(address account) external view returns (uint256) {
        return _taken[account];
    }
}
