// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Credit} from "../src/Credit.sol";
import {ICredit} from "../src/interfaces/ICredit.sol";
import {Base} from "./Base.sol";

contract CreditTest is Base {
    Credit private credit;

    function setUp() public {
        credit = new Credit();
    }

    function test_faucet_mintsToTheCaller() public {
        credit.faucet(5 ether);
        isEqual(credit.balanceOf(address(this)), 5 ether, "balance");
        isEqual(credit.totalSupply(), 5 ether, "supply");
        isEqual(credit.taken(address(this)), 5 ether, "taken");
    }

    function test_faucet_isBoundedPerCall() public {
        uint256 limit = credit.CALL_LIMIT();
        refused(ICredit.FaucetCallExceeded.selector);
        credit.faucet(limit + 1);
    }

    function test_faucet_isBoundedPerAddress() public {
        uint256 limit = credit.CALL_LIMIT();
        for (uint256 i = 0; i < 10; ++i) {
            credit.faucet(limit);
        }
        refused(ICredit.FaucetAddressExceeded.selector);
        credit.faucet(1);
    }
}
