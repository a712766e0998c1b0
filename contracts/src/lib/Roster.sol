// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @notice Members of a swarm that have or had weight, as they were at every epoch. Identities without any never get in, so they cannot
/// thin out the draws. Entries are only ever appended, so nobody can move another's
/// place in a draw by leaving, and a newcomer does not exist for the epochs before it.
library Roster {
    using Checkpoints for Checkpoints.Trace224;

    struct Data {
        bytes32[] members;
        Checkpoints.Trace224 count; // members that existed
        Checkpoints.Trace224 peak; // the largest weight so far
        mapping(bytes32 key => Checkpoints.Trace224) weights;
        mapping(bytes32 class => Checkpoints.Trace224) operators; // operators with weight; class 0 counts all
        mapping(bytes32 class => mapping(address operator => Checkpoints.Trace224)) keys; // their members with weight
    }

    function setWeight(Data storage self, bytes32 key, bytes32 class, address operator, uint32 epoch, uint256 weight) internal returns (bool) {
        uint256 before = self.weights[key].latest();
        if (before == weight) return false;
        if (self.weights[key].length() == 0) {
            self.members.push(key);
            _push(self.count, epoch, self.members.length);
        }
        _push(self.weights[key], epoch, weight);
        if (weight > self.peak.latest()) _push(self.peak, epoch, weight);
        if (before == 0) enlist(self, class, operator, epoch);
        else if (weight == 0) discharge(self, class, operator, epoch);
        return true;
    }

    function enlist(Data storage self, bytes32 class, address operator, uint32 epoch) internal {
        _enlist(self, class, operator, epoch);
        _enlist(self, bytes32(0), operator, epoch);
    }

    function discharge(Data storage self, bytes32 class, address operator, uint32 epoch) internal {
        _discharge(self, class, operator, epoch);
        _discharge(self, bytes32(0), operator, epoch);
    }

    function weightOf(Data storage self, bytes32 key) internal view returns (uint256) {
        return self.weights[key].latest();
    }

    function weightAt(Data storage self, bytes32 key, uint32 epoch) internal view returns (uint256) {
        return self.weights[key].upperLookupRecent(epoch);
    }

    function countAt(Data storage self, uint32 epoch) internal view returns (uint256) {
        return self.count.upperLookupRecent(epoch);
    }

    function peakAt(Data storage self, uint32 epoch) internal view returns (uint256) {
        return self.peak.upperLookupRecent(epoch);
    }

    function operatorsAt(Data storage self, bytes32 class, uint32 epoch) internal view returns (uint256) {
        return self.operators[class].upperLookupRecent(epoch);
    }

    function isActive(Data storage self, bytes32 class, address operator, uint32 epoch) internal view returns (bool) {
        return self.keys[class][operator].upperLookupRecent(epoch) != 0;
    }

    function _enlist(Data storage self, bytes32 class, address operator, uint32 epoch) private {
        Checkpoints.Trace224 storage keys = self.keys[class][operator];
        uint256 before = keys.latest();
        _push(keys, epoch, before + 1);
        if (before == 0) _push(self.operators[class], epoch, self.operators[class].latest() + 1);
    }

    function _discharge(Data storage self, bytes32 class, address operator, uint32 epoch) private {
        Checkpoints.Trace224 storage keys = self.keys[class][operator];
        uint256 before = keys.latest();
        _push(keys, epoch, before - 1);
        if (before == 1) _push(self.operators[class], epoch, self.operators[class].latest() - 1);
    }

    function _push(Checkpoints.Trace224 storage trace, uint32 epoch, uint256 value) private {
        (uint224 oldValue, uint224 newValue) = trace.push(epoch, uint224(value));
        assert(newValue == value && oldValue <= type(uint224).max);
    }
}
