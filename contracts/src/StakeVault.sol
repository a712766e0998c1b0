// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IParticipationLedger} from "./interfaces/IParticipationLedger.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";
import {Roster} from "./lib/Roster.sol";
import {Schedule} from "./lib/Schedule.sol";

/// @title Stakes, weights, slashing, rewards and treasuries of all swarms
contract StakeVault is IStakeVault, ReentrancyGuardTransient {
    using Roster for Roster.Data;
    using SafeERC20 for IERC20;
    using Schedule for ISwarmRegistry.Terms;

    /// @notice No member weighs more than this many least stakes; who wants more seats takes more peers.
    uint256 public constant WEIGHT_CAP = 16;
    /// @notice Members looked at when drawing by weight has not filled a panel.
    uint256 public constant WALK_LIMIT = 512;
    /// @notice Share of an inviter's stake that an invitee's proven fraud costs on a faucet swarm.
    uint256 public constant INVITER_BPS = 1_000;

    struct Classes {
        bytes32 current;
        bytes32 previous; // before `from`
        uint32 from;
    }

    struct Account {
        uint128 active;
        uint128 unbonding;
        uint64 releaseAt;
        bool paused;
        bool lapsed;
        bool listed;
        uint32 resumedAt;
        address operator;
    }

    ISwarmRegistry public immutable registry;
    IParticipationLedger public immutable ledger;
    address public immutable court;
    address public immutable disputes;

    mapping(bytes32 key => Account) private _accounts;
    mapping(bytes32 key => Classes) private _classes;
    mapping(bytes32 key => uint256) private _debts; // lost claim to weight, faucet swarms only
    mapping(bytes32 swarm => Roster.Data) private _rosters;
    mapping(bytes32 swarm => bytes32[]) private _stakers;
    mapping(bytes32 swarm => mapping(address operator => bytes32)) private _firstKeys;
    mapping(bytes32 swarm => uint256) private _treasuries;
    mapping(bytes32 swarm => uint256) private _aside;
    mapping(address token => mapping(address account => uint256)) private _claims;
    mapping(address token => uint256) private _held;

    modifier onlyCourt() {
        if (msg.sender != court) revert NotPermitted(msg.sender);
        _;
    }

    /// @dev Bonds belong to both courts.
    modifier onlyCourts() {
        if (msg.sender != court && msg.sender != disputes) revert NotPermitted(msg.sender);
        _;
    }

    /// @param court_ and @param disputes_ are deployed after this contract, at addresses known in advance.
    constructor(ISwarmRegistry registry_, IParticipationLedger ledger_, address court_, address disputes_) {
        registry = registry_;
        ledger = ledger_;
        court = court_;
        disputes = disputes_;
    }

    /// @inheritdoc IStakeVault
    function stake(bytes32 key, uint256 amount, bytes32 class) external nonReentrant {
        _onlyOperator(key);
        if (class == bytes32(0)) revert ClassMissing();
        (bytes32 swarm, ISwarmRegistry.Terms memory terms) = _termsOf(key);
        Account storage account = _accounts[key];
        uint256 active = account.active + amount;
        if (active < terms.minStake) revert StakeTooSmall(active, terms.minStake);
        if (active > type(uint96).max) revert StakeTooLarge(active, type(uint96).max);
        account.active = uint128(active);
        if (!account.listed) _list(key, swarm, class, terms.openEpochAt(block.timestamp));
        else if (_classes[key].current != class) _changeClass(key, swarm, terms, class);
        emit Staked(key, amount, active, class);
        _weigh(key);
        _pull(terms.token, amount);
    }

    /// @inheritdoc IStakeVault
    function setClass(bytes32 key, bytes32 class) external {
        _onlyAgent(key);
        if (class == bytes32(0) || !_accounts[key].listed) revert ClassMissing();
        (bytes32 swarm, ISwarmRegistry.Terms memory terms) = _termsOf(key);
        if (_classes[key].current != class) _changeClass(key, swarm, terms, class);
    }

    /// @inheritdoc IStakeVault
    function unbond(bytes32 key, uint256 amount) external {
        _onlyOperator(key);
        (, ISwarmRegistry.Terms memory terms) = _termsOf(key);
        Account storage account = _accounts[key];
        if (amount > account.active || amount == 0) revert StakeMissing(account.active, amount);
        account.active -= uint128(amount);
        account.unbonding += uint128(amount);
        account.releaseAt = uint64(block.timestamp + terms.unbonding);
        emit Unbonding(key, amount, account.releaseAt);
        _weigh(key);
    }

    /// @inheritdoc IStakeVault
    function withdraw(bytes32 key) external nonReentrant {
        _onlyOperator(key);
        (, ISwarmRegistry.Terms memory terms) = _termsOf(key);
        Account storage account = _accounts[key];
        uint256 amount = account.unbonding;
        if (amount == 0) revert NothingToPay();
        if (block.timestamp < account.releaseAt) revert StillUnbonding(block.timestamp, account.releaseAt);
        account.unbonding = 0;
        emit Withdrawn(key, msg.sender, amount);
        _pay(terms.token, msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function claim(address token) external nonReentrant {
        uint256 amount = _claims[token][msg.sender];
        if (amount == 0) revert NothingToPay();
        _claims[token][msg.sender] = 0;
        emit Claimed(token, msg.sender, amount);
        _pay(token, msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function pause(bytes32 key) external {
        _onlyAgent(key);
        if (_accounts[key].paused) return;
        _accounts[key].paused = true;
        emit Paused(key, false);
        _weigh(key);
    }

    /// @inheritdoc IStakeVault
    function resume(bytes32 key) external {
        _onlyAgent(key);
        Account storage account = _accounts[key];
        if (!account.paused) return;
        (, ISwarmRegistry.Terms memory terms) = _termsOf(key);
        account.paused = false;
        account.lapsed = false;
        account.resumedAt = terms.openEpochAt(block.timestamp);
        emit Resumed(key, account.resumedAt);
        _weigh(key);
    }

    /// @inheritdoc IStakeVault
    function refresh(bytes32 key) external {
        if (_accounts[key].listed) _weigh(key);
    }

    /// @inheritdoc IStakeVault
    function fund(bytes32 swarm, uint256 amount) external nonReentrant {
        address token = registry.termsOf(swarm).token;
        _treasuries[swarm] += amount;
        emit Funded(swarm, msg.sender, amount);
        _pull(token, amount);
    }

    /// @inheritdoc IStakeVault
    function forfeit(bytes32 key, uint32 epoch) external {
        (, ISwarmRegistry.Terms memory terms) = _termsOf(key);
        if (epoch == 0 || !terms.randomness.missed(key, epoch)) revert NotMissed(key, epoch);
        _absent(key, epoch - 1, false);
    }

    /// @inheritdoc IStakeVault
    function slash(bytes32 key, uint256 amount, bytes32 reason) external onlyCourt {
        _slash(key, amount, reason, 0);
    }

    /// @inheritdoc IStakeVault
    /// @dev The only contract called in between is the ledger, which calls nobody.
    // slither-disable-next-line reentrancy-no-eth
    function convict(bytes32 key) external onlyCourt returns (uint256 share) {
        (bytes32 swarm, ISwarmRegistry.Terms memory terms) = _termsOf(key);
        share = (uint256(_accounts[key].active) + _accounts[key].unbonding) / 2;
        _aside[swarm] += share;
        if (terms.faucet) _debts[key] = _credit(key, swarm, terms);
        _slash(key, type(uint256).max, "fault", share);
        if (terms.faucet) _blameInviter(key, swarm, terms);
    }

    /// @inheritdoc IStakeVault
    function absent(bytes32 key, uint32 epoch, bool free) external onlyCourt {
        _absent(key, epoch, free);
    }

    /// @inheritdoc IStakeVault
    function payAside(bytes32 swarm, address account, uint256 amount) external onlyCourts {
        _aside[swarm] -= amount;
        _reward(swarm, account, amount);
    }

    /// @inheritdoc IStakeVault
    function dropAside(bytes32 swarm, uint256 amount) external onlyCourts {
        _aside[swarm] -= amount;
        _treasuries[swarm] += amount;
    }

    /// @inheritdoc IStakeVault
    function payFee(bytes32 swarm, address account, uint256 amount) external onlyCourt {
        uint256 paid = Math.min(amount, _treasuries[swarm]);
        if (paid == 0) return;
        _treasuries[swarm] -= paid;
        _reward(swarm, account, paid);
    }

    /// @inheritdoc IStakeVault
    function takeBond(bytes32 key, uint256 amount) external onlyCourts {
        Account storage account = _accounts[key];
        if (account.active < amount) revert StakeMissing(account.active, amount);
        account.active -= uint128(amount);
        _aside[ledger.swarmOf(key)] += amount;
        emit Slashed(key, amount, "bond");
        _weigh(key);
    }

    /// @inheritdoc IStakeVault
    function stakeOf(bytes32 key) external view returns (Stake memory) {
        Account storage a = _accounts[key];
        return Stake(a.active, a.unbonding, a.releaseAt, a.paused, a.lapsed, a.resumedAt, _classes[key].current);
    }

    /// @inheritdoc IStakeVault
    function classAt(bytes32 key, uint32 epoch) external view returns (bytes32) {
        return _classAt(key, epoch);
    }

    /// @inheritdoc IStakeVault
    function weightAt(bytes32 key, uint32 epoch) external view returns (uint256) {
        return _rosters[ledger.swarmOf(key)].weightAt(key, epoch);
    }

    /// @inheritdoc IStakeVault
    function capacityOf(bytes32 key) external view returns (uint32) {
        (, ISwarmRegistry.Terms memory terms) = _termsOf(key);
        return _capacity(key, terms);
    }

    /// @inheritdoc IStakeVault
    function memberCount(bytes32 swarm) external view returns (uint256) {
        return _stakers[swarm].length;
    }

    /// @inheritdoc IStakeVault
    function memberAt(bytes32 swarm, uint256 index) external view returns (bytes32) {
        return _stakers[swarm][index];
    }

    /// @inheritdoc IStakeVault
    function operatorsAt(bytes32 swarm, bytes32 class, uint32 epoch) external view returns (uint256) {
        return _rosters[swarm].operatorsAt(class, epoch);
    }

    /// @inheritdoc IStakeVault
    function operatorsAt(bytes32 swarm, uint32 epoch) external view returns (uint256) {
        return _rosters[swarm].operatorsAt(bytes32(0), epoch);
    }

    /// @inheritdoc IStakeVault
    function othersAt(bytes32 key, uint32 epoch) external view returns (uint256 others, uint256 needed) {
        Roster.Data storage roster = _rosters[ledger.swarmOf(key)];
        address operator = _accounts[key].operator;
        others = _others(roster, _classAt(key, epoch), operator, epoch);
        needed = Math.min(3, _others(roster, bytes32(0), operator, epoch));
    }

    /// @inheritdoc IStakeVault
    function treasuryOf(bytes32 swarm) external view returns (uint256) {
        return _treasuries[swarm];
    }

    /// @inheritdoc IStakeVault
    function claimable(address token, address account) external view returns (uint256) {
        return _claims[token][account];
    }

    /// @inheritdoc IStakeVault
    function held(address token) external view returns (uint256) {
        return _held[token];
    }

    /// @inheritdoc IStakeVault
    function draw(bytes32 key, uint32 epoch, bytes32 seed, uint256 seats) external view returns (bytes32[] memory) {
        Roster.Data storage roster = _rosters[ledger.swarmOf(key)];
        Panel memory panel = Panel(_classAt(key, epoch), epoch, _accounts[key].operator, 0, new bytes32[](seats));
        uint256 others = _others(roster, panel.class, panel.operator, epoch);
        uint256 count = roster.countAt(epoch);
        if (others != 0 && count != 0) {
            if (others > seats) _drawByWeight(roster, panel, seed, count);
            else panel.members = new bytes32[](others);
            _walk(roster, panel, uint256(keccak256(abi.encode(seed, "walk"))) % count, count);
        }
        return _seated(panel);
    }

    struct Panel {
        bytes32 class;
        uint32 epoch;
        address operator; // of the prover
        uint256 filled;
        bytes32[] members;
    }

    /// @dev Rejection sampling: a member is looked at with equal chance and taken with chance weight / peak.
    function _drawByWeight(Roster.Data storage roster, Panel memory panel, bytes32 seed, uint256 count) private view {
        uint256 peak = roster.peakAt(panel.epoch);
        uint256 tries = 16 * panel.members.length + 64;
        for (uint256 i = 0; i < tries && panel.filled < panel.members.length; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            bytes32 member = roster.members[(word >> 128) % count];
            if (uint128(word) % peak < roster.weightAt(member, panel.epoch)) _seat(panel, member);
        }
    }

    /// @dev Fills what is left from a drawn place onwards.
    function _walk(Roster.Data storage roster, Panel memory panel, uint256 start, uint256 count) private view {
        uint256 looks = Math.min(count, WALK_LIMIT);
        for (uint256 i = 0; i < looks && panel.filled < panel.members.length; ++i) {
            bytes32 member = roster.members[(start + i) % count];
            if (roster.weightAt(member, panel.epoch) != 0) _seat(panel, member);
        }
    }

    function _seat(Panel memory panel, bytes32 member) private view {
        address operator = _accounts[member].operator;
        if (operator == panel.operator || _classAt(member, panel.epoch) != panel.class) return;
        for (uint256 i = 0; i < panel.filled; ++i) {
            if (_accounts[panel.members[i]].operator == operator) return;
        }
        panel.members[panel.filled++] = member;
    }

    function _seated(Panel memory panel) private pure returns (bytes32[] memory members) {
        if (panel.filled == panel.members.length) return panel.members;
        members = new bytes32[](panel.filled);
        for (uint256 i = 0; i < panel.filled; ++i) {
            members[i] = panel.members[i];
        }
    }

    function _others(Roster.Data storage roster, bytes32 class, address operator, uint32 epoch) private view returns (uint256) {
        return roster.operatorsAt(class, epoch) - (roster.isActive(class, operator, epoch) ? 1 : 0);
    }

    function _list(bytes32 key, bytes32 swarm, bytes32 class, uint32 epoch) private {
        Account storage account = _accounts[key];
        account.listed = true;
        account.operator = msg.sender;
        _classes[key] = Classes(class, class, epoch);
        _stakers[swarm].push(key);
        if (_firstKeys[swarm][msg.sender] == bytes32(0)) _firstKeys[swarm][msg.sender] = key;
    }

    /// @dev Only one earlier class is remembered, so the next change has to wait until no open case can need it.
    function _changeClass(bytes32 key, bytes32 swarm, ISwarmRegistry.Terms memory terms, bytes32 class) private {
        Classes storage classes = _classes[key];
        Roster.Data storage roster = _rosters[swarm];
        uint32 epoch = terms.openEpochAt(block.timestamp);
        bool first = classes.current == classes.previous;
        if (!first && epoch < classes.from + terms.ring) revert ClassChangedTooSoon(epoch, classes.from + terms.ring);
        if (roster.weightOf(key) != 0) {
            roster.discharge(classes.current, _accounts[key].operator, epoch);
            roster.enlist(class, _accounts[key].operator, epoch);
        }
        _classes[key] = Classes(class, classes.current, epoch);
        emit ClassChanged(key, class, epoch);
    }

    function _classAt(bytes32 key, uint32 epoch) private view returns (bytes32) {
        Classes storage classes = _classes[key];
        return epoch < classes.from ? classes.previous : classes.current;
    }

    function _absent(bytes32 key, uint32 epoch, bool free) private {
        Account storage account = _accounts[key];
        if (account.lapsed || epoch < account.resumedAt) return;
        account.paused = true;
        account.lapsed = !free;
        emit Paused(key, !free);
        if (free) {
            _weigh(key);
        } else {
            (, ISwarmRegistry.Terms memory terms) = _termsOf(key);
            _slash(key, (uint256(account.active) + account.unbonding) * terms.absenceBps / Schedule.BPS, "absence", 0);
        }
    }

    /// @dev Takes from what is active first; the swarm's treasury gets it, but for `share`, which is aside already.
    function _slash(bytes32 key, uint256 amount, bytes32 reason, uint256 share) private {
        Account storage account = _accounts[key];
        uint256 fromActive = Math.min(amount, account.active);
        uint256 fromUnbonding = Math.min(amount - fromActive, account.unbonding);
        uint256 taken = fromActive + fromUnbonding;
        account.active -= uint128(fromActive);
        account.unbonding -= uint128(fromUnbonding);
        _treasuries[ledger.swarmOf(key)] += taken - share;
        emit Slashed(key, taken, reason);
        _weigh(key);
    }

    /// @dev Faucet swarms: proven fraud costs a member all claim to weight earned so far, and its inviter part of his.
    function _blameInviter(bytes32 key, bytes32 swarm, ISwarmRegistry.Terms memory terms) private {
        // slither-disable-next-line unused-return
        (address inviter,) = registry.inviteOf(swarm, _accounts[key].operator);
        bytes32 sponsor = _firstKeys[swarm][inviter];
        if (sponsor == bytes32(0)) return;
        _debts[sponsor] += terms.minStake * INVITER_BPS / Schedule.BPS;
        _slash(sponsor, uint256(_accounts[sponsor].active) * INVITER_BPS / Schedule.BPS, "inviter", 0);
    }

    function _reward(bytes32 swarm, address account, uint256 amount) private {
        _claims[registry.termsOf(swarm).token][account] += amount;
        emit Rewarded(swarm, account, amount);
    }

    /// @dev Brings weight (for epochs still open) and capacity (at once) in line with the account.
    function _weigh(bytes32 key) private {
        (bytes32 swarm, ISwarmRegistry.Terms memory terms) = _termsOf(key);
        uint32 epoch = terms.openEpochAt(block.timestamp);
        uint256 weight = _weight(key, swarm, terms);
        bool changed = _rosters[swarm].setWeight(key, _classes[key].current, _accounts[key].operator, epoch, weight);
        if (changed) emit WeightChanged(key, epoch, weight);
        ledger.setCapacity(key, _capacity(key, terms));
    }

    /// @dev Who missed a duty commits nothing until it is back.
    function _capacity(bytes32 key, ISwarmRegistry.Terms memory terms) private view returns (uint32) {
        return _accounts[key].lapsed ? 0 : terms.capacityFor(_accounts[key].active);
    }

    function _weight(bytes32 key, bytes32 swarm, ISwarmRegistry.Terms memory terms) private view returns (uint256 weight) {
        Account storage account = _accounts[key];
        if (account.paused || account.active < terms.minStake / 2) return 0;
        weight = Math.min(account.active, WEIGHT_CAP * terms.minStake);
        if (!terms.faucet) return weight;
        uint256 credit = _credit(key, swarm, terms);
        uint256 debt = _debts[key];
        return credit > debt ? Math.min(weight, credit - debt) : 0;
    }

    /// @dev Faucet swarms: an epoch's worth of verified work, or an invite, stands for one least stake.
    function _credit(bytes32 key, bytes32 swarm, ISwarmRegistry.Terms memory terms) private view returns (uint256) {
        uint256 earned = ledger.unitsOf(key) * terms.minStake / terms.maxUnits;
        return earned + (_hasAllowance(key, swarm, terms) ? terms.minStake : 0);
    }

    /// @dev The creator and whom he invited; whom another member invited, one for each epoch's worth of that member's verified work.
    function _hasAllowance(bytes32 key, bytes32 swarm, ISwarmRegistry.Terms memory terms) private view returns (bool) {
        address operator = _accounts[key].operator;
        if (_firstKeys[swarm][operator] != key) return false;
        address creator = registry.swarmOf(swarm).creator;
        if (operator == creator) return true;
        (address inviter, uint32 number) = registry.inviteOf(swarm, operator);
        if (inviter == address(0)) return false;
        return inviter == creator || number < ledger.unitsOf(_firstKeys[swarm][inviter]) / terms.maxUnits;
    }

    function _pull(address token, uint256 amount) private {
        _held[token] += amount;
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert TransferInexact(received, amount);
    }

    function _pay(address token, address account, uint256 amount) private {
        _held[token] -= amount;
        IERC20(token).safeTransfer(account, amount);
    }

    function _termsOf(bytes32 key) private view returns (bytes32 swarm, ISwarmRegistry.Terms memory terms) {
        swarm = ledger.swarmOf(key);
        terms = registry.termsOf(swarm);
    }

    function _onlyOperator(bytes32 key) private view {
        if (ledger.operatorOf(key) != msg.sender) revert NotOperator(key, msg.sender);
    }

    function _onlyAgent(bytes32 key) private view {
        if (!ledger.isAgent(key, msg.sender)) revert NotAgent(key, msg.sender);
    }
}
