// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "./interfaces/IAuditCourt.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";
import {Cases} from "./Cases.sol";

/// @title What the beacon draws: steps, auditors, jurors
abstract contract Panels is Cases {
    uint256 private constant TRIES_PER_STEP = 64;

    /// @inheritdoc IAuditCourt
    function drawnSteps(bytes32 key, uint32 epoch, uint32 steps) external view returns (uint32[] memory) {
        return _drawnSteps(_termsOf(key).segments, key, epoch, steps);
    }

    /// @inheritdoc IAuditCourt
    function panelOf(bytes32 key, uint32 epoch, uint8 level, uint8 roll) external view returns (bytes32[] memory) {
        Session storage session = _sessionOf(key, epoch, level, roll);
        return session.drawn ? session.panel : _draw(key, epoch, level, roll);
    }

    /// @inheritdoc IAuditCourt
    function auditBeacon(bytes32 swarm, uint32 epoch) external view returns (bytes32 value, bool ready) {
        return _auditBeacon(swarm, epoch);
    }

    /// @inheritdoc IAuditCourt
    function epochSeed(bytes32 swarm, uint32 epoch) external view returns (bytes32 value, bool ready) {
        (value, ready) = _value(swarm, epoch);
        value = keccak256(abi.encodePacked("seed", value));
    }

    /// @dev The panel of a session, drawn and kept at its first use.
    function _panel(bytes32 key, uint32 epoch, uint8 level, uint8 roll) internal returns (Session storage session) {
        session = _sessionOf(key, epoch, level, roll);
        if (session.drawn) return session;
        bytes32[] memory panel = _draw(key, epoch, level, roll);
        session.panel = panel;
        session.drawn = true;
        session.small = panel.length < _seatsOf(level);
        emit PanelDrawn(key, epoch, level, roll, panel, session.small);
    }

    function _isSeated(Session storage session, bytes32 auditorKey) internal view returns (bool) {
        uint256 seats = session.panel.length;
        for (uint256 i = 0; i < seats; ++i) {
            if (session.panel[i] == auditorKey) return true;
        }
        return false;
    }

    function _value(bytes32 swarm, uint32 epoch) private view returns (bytes32 value, bool ready) {
        return _terms(swarm).randomness.value(swarm, epoch);
    }

    function _auditBeacon(bytes32 swarm, uint32 epoch) internal view returns (bytes32 value, bool ready) {
        (value, ready) = _value(swarm, epoch + 1);
        value = keccak256(abi.encodePacked("audit", value));
    }

    /// @dev keccak256(abi.encode(audit beacon, key, i)) % steps for i = 0, 1, ... without repetition.
    function _drawnSteps(uint256 wanted, bytes32 key, uint32 epoch, uint32 steps)
        internal
        view
        returns (uint32[] memory drawn)
    {
        bytes32 beacon = _readyBeacon(key, epoch);
        uint256 count = steps < wanted ? steps : wanted;
        drawn = new uint32[](count);
        uint256 filled = 0;
        for (uint256 i = 0; filled < count && i < TRIES_PER_STEP * count; ++i) {
            uint32 step = uint32(uint256(keccak256(abi.encode(beacon, key, i))) % steps);
            if (!_contains(drawn, filled, step)) drawn[filled++] = step;
        }
        for (uint32 step = 0; filled < count; ++step) {
            if (!_contains(drawn, filled, step)) drawn[filled++] = step;
        }
    }

    function _contains(uint32[] memory steps, uint256 length, uint32 step) internal pure returns (bool) {
        for (uint256 i = 0; i < length; ++i) {
            if (steps[i] == step) return true;
        }
        return false;
    }

    function _readyBeacon(bytes32 key, uint32 epoch) internal view returns (bytes32 value) {
        bytes32 swarm = _swarmOf(key);
        bool ready;
        (value, ready) = _auditBeacon(swarm, epoch);
        if (!ready) revert BeaconNotReady(swarm, epoch + 1);
    }

    function _draw(bytes32 key, uint32 epoch, uint8 level, uint8 roll) private view returns (bytes32[] memory) {
        bytes32 beacon = _readyBeacon(key, epoch);
        return vault.draw(key, epoch, keccak256(abi.encode(beacon, key, epoch, level, roll)), _seatsOf(level));
    }

    function _seatsOf(uint8 level) private pure returns (uint256) {
        return level == 0 ? 2 : (uint256(2) << level) - 1;
    }
}
