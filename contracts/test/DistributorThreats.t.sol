// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IDistributor} from "../src/interfaces/IDistributor.sol";
import {IPioneerProgram} from "../src/interfaces/IPioneerProgram.sol";
import {EchoToken} from "./JudgeAnchorThreats.t.sol";
import {PioneerTown} from "./PioneerTown.sol";
import {TollToken} from "./Vault.t.sol";

/// @notice Says false instead of reverting once it is told to.
contract SulkyToken is ERC20("Sulky", "SULKY") {
    bool private _sulks;

    constructor(address holder) {
        _mint(holder, 1e30);
    }

    function sulk(bool on) external {
        _sulks = on;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return !_sulks && super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return !_sulks && super.transferFrom(from, to, amount);
    }
}

/// @notice Attempts on snapshots and on what they pay, each of which brings nothing.
///
///  a false root pays its poster more              test_roots_more*, test_roots_earlier*, test_roots_ofAnother*
///  a false root leaves others out                 test_roots_thatLeaveOthersOut
///  somebody claims less for another               test_claims_forAnother
///  work counted twice                             test_claims_ofKeysTwice, test_claims_underTwoRoots, test_keys_ofAnother
///  split identities                               test_splitting_bringsNothing, DistributorTest.testFuzz_partOf_isLinear
///  a node of the tree passes for a leaf           test_roots_innerNodes
///  the funder takes it back, or pays in thin air  DistributorTest.test_claim_untilItCloses*, test_tokens_* (all)
///  one distribution is paid by another            test_pots_areKeptApart
contract DistributorThreatsTest is PioneerTown {
    uint32 private constant EPOCH = 5;

    function setUp() public {
        deployPioneers(5);
        open(address(0), bars(bar(100, 1, 0, false), bar(100, 1, 0, false)));
        earn(0, 100);
        earn(1, 300);
        freeze(EPOCH);
        grow(EPOCH);
        post(EPOCH);
    }

    function refusedClaim(bytes32 id, uint256 i, bytes32[] memory own, bytes4 why) private {
        bytes32[] memory proof = path(EPOCH, i);
        vm.prank(operators[i]);
        refused(why);
        distributor.claim(id, tree[i], own, proof);
    }

    function test_roots_moreUnitsThanTheChainKnows() public {
        bytes32 id = fund(EPOCH, 40 ether, 0);
        tree[0].units = 101;
        post(EPOCH);
        refusedClaim(id, 0, keysOf(0), IDistributor.UnitsWrong.selector);
        tree[0].units = 99;
        post(EPOCH);
        refusedClaim(id, 0, keysOf(0), IDistributor.UnitsWrong.selector);
    }

    function test_roots_laterWorkAsIfItWereEarlier() public {
        bytes32 id = fund(EPOCH, 40 ether, 0);
        earn(0, 500);
        tree[0].units = 600;
        post(EPOCH);
        refusedClaim(id, 0, keysOf(0), IDistributor.UnitsWrong.selector);
    }

    function test_roots_earlierAdmissionThanItWas() public {
        bytes32 id = fund(EPOCH, 40 ether, 1);
        submit(0);
        admit(0);
        tree[0].tier = 2;
        post(EPOCH);
        refusedClaim(id, 0, keysOf(0), IDistributor.TierWrong.selector);
    }

    function test_roots_ofAnotherEpochOrProgram() public {
        bytes32 id = fund(EPOCH, 40 ether, 0);
        earn(0, 500);
        freeze(40);
        grow(40);
        bytes32[] memory proof = path(40, 0);
        bytes32[] memory own = keysOf(0);
        post(40);
        vm.startPrank(operators[0]);
        refused(IDistributor.RootNotPosted.selector);
        distributor.claim(id, tree[0], own, proof);
        pioneer.start("mine", pioneer.rulesOf(program), pioneer.barsOf(program), TEXT);
        refused(IDistributor.RootNotPosted.selector);
        distributor.claim(id, tree[0], own, proof);
    }

    function test_roots_thatLeaveOthersOut() public {
        bytes32 id = fund(EPOCH, 40 ether, 0);
        // Operator 0 posts a tree of itself alone: it gets its quarter as before, and operator 1 claims under the right root.
        bytes32 alone = leafHash(EPOCH, 0);
        pioneer.post(program, EPOCH, alone, 1, TEXT);
        bytes32[] memory own = keysOf(0);
        vm.prank(operators[0]);
        distributor.claim(id, tree[0], own, new bytes32[](0));
        isEqual(credit.balanceOf(operators[0]), 10 ether, "no more");
        take(id, EPOCH, 1);
        isEqual(credit.balanceOf(operators[1]), 30 ether, "no less");
    }

    function test_roots_innerNodes() public {
        bytes32 id = fund(EPOCH, 40 ether, 0);
        bytes32[] memory nodes = nodesOf(leaves(EPOCH));
        bytes32[] memory proof = pathOf(nodes, nodes[3]);
        bytes32[] memory own = keysOf(0);
        vm.prank(operators[0]);
        refused(IDistributor.RootNotPosted.selector);
        distributor.claim(id, tree[0], own, proof);
    }

    /// @dev A smaller leaf in a root of somebody's own must not use the operator's one claim up.
    function test_claims_forAnother() public {
        bytes32 id = fund(EPOCH, 40 ether, 0);
        bytes32[] memory proof = path(EPOCH, 1);
        bytes32[] memory own = keysOf(1);
        refused(IDistributor.NotYours.selector);
        distributor.claim(id, tree[1], own, proof);
    }

    function test_claims_ofKeysTwice() public {
        bytes32 id = fund(EPOCH, 40 ether, 0);
        tree[0].units = 200;
        post(EPOCH);
        bytes32[] memory twice = new bytes32[](2);
        (twice[0], twice[1]) = (keys[0], keys[0]);
        refusedClaim(id, 0, twice, IPioneerProgram.KeysUnordered.selector);
    }

    function test_claims_underTwoRoots() public {
        bytes32 id = fund(EPOCH, 40 ether, 0);
        take(id, EPOCH, 0);
        tree[0].score = 1_000_000;
        post(EPOCH);
        refusedClaim(id, 0, keysOf(0), IDistributor.ShareTaken.selector);
    }

    function test_keys_ofAnother() public {
        bytes32 id = fund(EPOCH, 40 ether, 0);
        tree[0].units = 400;
        post(EPOCH);
        refusedClaim(id, 0, pair(keys[0], keys[1]), IPioneerProgram.KeyOfAnother.selector);
    }

    /// @dev One operator with two peers, and two operators with one each, that did the same work get the same together.
    function test_splitting_bringsNothing() public {
        bytes32 second = branch(2, 50);
        earn(2, 70);
        earn(5, 50);
        earn(3, 70);
        earn(4, 50);
        freeze(60);
        uint256 one = pioneer.frozenUnits(program, 60, operators[2], pair(keys[2], second));
        uint256 a = pioneer.frozenUnits(program, 60, operators[3], keysOf(3));
        uint256 b = pioneer.frozenUnits(program, 60, operators[4], keysOf(4));
        bytes32 id = fund(60, 64 ether, 0);
        isEqual(one, a + b, "units");
        isEqual(distributor.partOf(id, one), distributor.partOf(id, a) + distributor.partOf(id, b), "parts");
    }

    function test_pots_areKeptApart() public {
        bytes32 one = fund(EPOCH, 40 ether, 0);
        bytes32 two = fund(EPOCH, 4 ether, 0);
        take(two, EPOCH, 0);
        take(two, EPOCH, 1);
        isEqual(distributor.distributionOf(two).left, 0, "all of it");
        isEqual(distributor.distributionOf(one).left, 40 ether, "the other");
        take(one, EPOCH, 1);
        pass(7 days + 1);
        distributor.reclaim(one);
        isEqual(credit.balanceOf(address(distributor)), 0, "held");
    }

    // --- tokens

    function test_tokens_thatKeepSome() public {
        TollToken toll = new TollToken(address(this));
        toll.approve(address(distributor), 40 ether);
        refused(IDistributor.TransferInexact.selector);
        distributor.fund(program, EPOCH, address(toll), 40 ether, 0, 7 days);
    }

    function test_tokens_thatSayFalse() public {
        SulkyToken sulky = new SulkyToken(address(this));
        sulky.approve(address(distributor), 80 ether);
        bytes32 id = distributor.fund(program, EPOCH, address(sulky), 40 ether, 0, 7 days);
        sulky.sulk(true);
        refused(SafeERC20.SafeERC20FailedOperation.selector);
        distributor.fund(program, EPOCH, address(sulky), 40 ether, 0, 7 days);
        refusedClaim(id, 0, keysOf(0), SafeERC20.SafeERC20FailedOperation.selector);
        isTrue(!distributor.isPaid(id, operators[0]), "still owed");
        sulky.sulk(false);
        take(id, EPOCH, 0);
        isEqual(sulky.balanceOf(operators[0]), 10 ether, "paid");
        sulky.sulk(true);
        pass(7 days + 1);
        refused(SafeERC20.SafeERC20FailedOperation.selector);
        distributor.reclaim(id);
        isEqual(distributor.distributionOf(id).left, 30 ether, "still there");
    }

    function test_tokens_thatCallBack() public {
        EchoToken echo = new EchoToken(address(this));
        echo.approve(address(distributor), 80 ether);
        bytes32 id = distributor.fund(program, EPOCH, address(echo), 40 ether, 0, 7 days);
        bytes[3] memory calls = [
            abi.encodeCall(IDistributor.claim, (id, tree[1], keysOf(1), path(EPOCH, 1))),
            abi.encodeCall(IDistributor.fund, (program, EPOCH, address(echo), 1, 0, 7 days)),
            abi.encodeCall(IDistributor.reclaim, (id))
        ];
        bytes4 entered = ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector;
        for (uint256 i = 0; i < 3; ++i) {
            echo.aim(address(distributor), calls[i]);
            refusedClaim(id, 0, keysOf(0), entered);
            refused(entered);
            distributor.fund(program, EPOCH, address(echo), 40 ether, 0, 7 days);
        }
        pass(7 days + 1);
        refused(entered);
        distributor.reclaim(id);
    }
}
