// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ISwarmRegistry} from "../interfaces/ISwarmRegistry.sol";

/// @notice Times and stake bounds that follow from a swarm's terms. Pure.
library Schedule {
    uint256 internal constant BPS = 10_000;

    function endOf(ISwarmRegistry.Terms memory terms, uint32 epoch) internal pure returns (uint256) {
        return terms.start + (uint256(epoch) + 1) * terms.epoch;
    }

    /// @dev C: the close of the commit window.
    function closeOf(ISwarmRegistry.Terms memory terms, uint32 epoch) internal pure returns (uint256) {
        return endOf(terms, epoch) + terms.grace;
    }

    function epochAt(ISwarmRegistry.Terms memory terms, uint256 time) internal pure returns (uint32) {
        return time < terms.start ? 0 : uint32((time - terms.start) / terms.epoch);
    }

    /// @dev The first epoch with closeOf(epoch) > time.
    function openEpochAt(ISwarmRegistry.Terms memory terms, uint256 time) internal pure returns (uint32) {
        return time < uint256(terms.start) + terms.grace ? 0 : uint32((time - terms.start - terms.grace) / terms.epoch);
    }

    /// @dev One audit and its reveals: also what a redraw at level 0 adds.
    function roundLength(ISwarmRegistry.Terms memory terms) internal pure returns (uint256) {
        return uint256(terms.audit) + terms.reveal;
    }

    function levelLength(ISwarmRegistry.Terms memory terms) internal pure returns (uint256) {
        return roundLength(terms) + terms.challenge;
    }

    /// @dev grace, beacon, two redraws, the auditors' level and three juries.
    function longestCase(ISwarmRegistry.Terms memory terms) internal pure returns (uint256) {
        return uint256(terms.grace) + terms.beacon + 2 * roundLength(terms) + 4 * levelLength(terms);
    }

    /// @dev K: the running epoch and those whose undisputed case has not closed.
    function openEpochs(ISwarmRegistry.Terms memory terms) internal pure returns (uint256) {
        return Math.ceilDiv(uint256(terms.grace) + terms.beacon + levelLength(terms), terms.epoch) + 1;
    }

    /// @dev Most steps s with, for the gain g of one forged step and q drawn ones,
    /// stake > K g (s/q - 1), one absence >= s g, and one concession > g (s/q - 1). Nothing below half the least stake.
    function capacityFor(ISwarmRegistry.Terms memory terms, uint256 stake) internal pure returns (uint32) {
        if (stake == 0 || stake < terms.minStake / 2) return 0;
        if (terms.gain == 0) return terms.maxSteps;
        uint256 q = terms.segments;
        uint256 byDispute = q + (stake * q - 1) / (openEpochs(terms) * terms.gain);
        // slither-disable-start divide-before-multiply (the fee as it will be charged, rounded down)
        uint256 fee = stake * terms.concedeBps / BPS;
        uint256 byConcession = fee == 0 ? q : q + (fee * q - 1) / terms.gain;
        // slither-disable-end divide-before-multiply
        uint256 byAbsence = stake * terms.absenceBps / BPS / terms.gain;
        return uint32(Math.min(Math.min(byDispute, byConcession), Math.min(byAbsence, terms.maxSteps)));
    }
}
