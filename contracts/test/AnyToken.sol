// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A token in any amount, with the faucet's face.
contract AnyToken is ERC20("Any", "ANY") {
    bytes private _call;
    address private _target;
    uint256 private _fee;
    bool private _silent;

    function faucet(uint256 amount) external {
        _mint(msg.sender, amount);
    }

    function takeFees(uint256 fee) external {
        _fee = fee;
    }

    function returnFalse() external {
        _silent = true;
    }

    /// @dev Calls this while it moves money.
    function callBack(address target, bytes calldata call) external {
        (_target, _call) = (target, call);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (_silent) return false;
        super.transferFrom(from, to, amount);
        if (_fee != 0) _burn(to, _fee);
        _back();
        return true;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (_silent) return false;
        super.transfer(to, amount);
        _back();
        return true;
    }

    function _back() private {
        if (_target == address(0)) return;
        (bool done, bytes memory why) = _target.call(_call);
        assembly {
            if iszero(done) { revert(add(why, 32), mload(why)) }
        }
    }
}
