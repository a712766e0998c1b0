// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {ICommitRevealBeacon} from "../interfaces/ICommitRevealBeacon.sol";
import {IParticipationLedger} from "../interfaces/IParticipationLedger.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ISwarmRegistry} from "../interfaces/ISwarmRegistry.sol";
import {Schedule} from "../lib/Schedule.sol";

/// @title Randomness from hash chains of the members that have weight
contract CommitRevealBeacon is ICommitRevealBeacon {
    using BitMaps for BitMaps.BitMap;
    using Schedule for ISwarmRegistry.Terms;

    struct Mix {
        bytes32 value;
        uint32 reveals;
    }

    ISwarmRegistry public immutable registry;
    IParticipationLedger public immutable ledger;
    IStakeVault public immutable vault;

    mapping(bytes32 key => Chain) private _chains;
    mapping(bytes32 key => BitMaps.BitMap) private _revealed;
    mapping(bytes32 swarm => mapping(uint32 epoch => Mix)) private _mixes;

    constructor(ISwarmRegistry registry_, IParticipationLedger ledger_, IStakeVault vault_) {
        registry = registry_;
        ledger = ledger_;
        vault = vault_;
    }

    /// @inheritdoc ICommitRevealBeacon
    function setTip(bytes32 key, bytes32 tip) external {
        if (!ledger.isAgent(key, msg.sender)) revert NotAgent(key, msg.sender);
        if (tip == bytes32(0)) revert TipMissing(key);
        uint32 epoch = registry.openEpochAt(ledger.swarmOf(key), block.timestamp);
        Chain storage chain = _chains[key];
        if (epoch > chain.from) (chain.current, chain.from) = (chain.next, epoch);
        chain.next = tip;
        emit TipSet(key, tip, epoch);
    }

    /// @inheritdoc ICommitRevealBeacon
    function reveal(bytes32 key, uint32 epoch, bytes32 preimage) external {
        if (epoch == 0) revert GenesisIsFixed();
        bytes32 swarm = ledger.swarmOf(key);
        (uint256 opens, uint256 closes) = _windowOf(swarm, epoch);
        if (block.timestamp < opens || block.timestamp >= closes) revert WindowClosed(block.timestamp, opens, closes);
        if (_revealed[key].get(epoch)) revert AlreadyRevealed(key, epoch);
        if (vault.weightAt(key, epoch - 1) == 0) revert NoWeight(key, epoch - 1);
        _step(key, epoch, preimage);
        _revealed[key].set(epoch);
        Mix storage mix = _mixes[swarm][epoch];
        mix.value ^= keccak256(abi.encode(key, epoch, preimage));
        mix.reveals += 1;
        emit Revealed(swarm, epoch, key, preimage);
    }

    /// @inheritdoc IBeacon
    function value(bytes32 swarm, uint32 epoch) external view returns (bytes32 r, bool ready) {
        if (epoch == 0) return (keccak256(abi.encode(swarm, registry.swarmOf(swarm).recipe)), true);
        (, uint256 closes) = _windowOf(swarm, epoch);
        return (keccak256(abi.encode(swarm, epoch, _mixes[swarm][epoch].value)), block.timestamp >= closes);
    }

    /// @inheritdoc IBeacon
    /// @dev Where nobody at all revealed, the chain was out of reach and nobody is to blame.
    function missed(bytes32 key, uint32 epoch) external view returns (bool) {
        if (epoch == 0 || _revealed[key].get(epoch)) return false;
        bytes32 swarm = ledger.swarmOf(key);
        (, uint256 closes) = _windowOf(swarm, epoch);
        return block.timestamp >= closes && _mixes[swarm][epoch].reveals != 0 && vault.weightAt(key, epoch - 1) != 0;
    }

    /// @inheritdoc ICommitRevealBeacon
    function chainOf(bytes32 key) external view returns (Chain memory) {
        return _chains[key];
    }

    /// @inheritdoc ICommitRevealBeacon
    function hasRevealed(bytes32 key, uint32 epoch) external view returns (bool) {
        return _revealed[key].get(epoch);
    }

    /// @inheritdoc ICommitRevealBeacon
    function reveals(bytes32 swarm, uint32 epoch) external view returns (uint32) {
        return _mixes[swarm][epoch].reveals;
    }

    /// @inheritdoc ICommitRevealBeacon
    function windowOf(bytes32 swarm, uint32 epoch) external view returns (uint256 opens, uint256 closes) {
        if (epoch == 0) revert GenesisIsFixed();
        return _windowOf(swarm, epoch);
    }

    /// @inheritdoc IBeacon
    function kind() external pure returns (string memory) {
        return "commit-reveal";
    }

    function _step(bytes32 key, uint32 epoch, bytes32 preimage) private {
        Chain storage chain = _chains[key];
        bool renewed = epoch - 1 >= chain.from;
        bytes32 expected = renewed ? chain.next : chain.current;
        if (expected == bytes32(0)) revert TipMissing(key);
        bytes32 actual = keccak256(abi.encode(preimage));
        if (actual != expected) revert PreimageWrong(actual, expected);
        if (renewed) chain.next = preimage;
        else chain.current = preimage;
    }

    /// @dev (C, C + beacon), C being the last second of the commit window of epoch - 1.
    function _windowOf(bytes32 swarm, uint32 epoch) private view returns (uint256 opens, uint256 closes) {
        ISwarmRegistry.Terms memory terms = registry.termsOf(swarm);
        uint256 close = terms.closeOf(epoch - 1);
        return (close + 1, close + terms.beacon);
    }
}
