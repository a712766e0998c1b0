// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";

/// @notice Stands where the audit court does and says of each case what it is told: its own rules have invariants of their own, and playing
/// every vote would leave no time for the market's.
contract FakeCourt {
    mapping(bytes32 caseId => IAuditCourt.Outcome) private _outcomes;
    mapping(bytes32 caseId => bytes32[]) private _panels;

    function decide(bytes32 key, uint32 epoch, IAuditCourt.Outcome outcome, bytes32[] calldata panel) external {
        _outcomes[id(key, epoch)] = outcome;
        _panels[id(key, epoch)] = panel;
    }

    function caseOf(bytes32 key, uint32 epoch) external view returns (IAuditCourt.Case memory c) {
        c.outcome = _outcomes[id(key, epoch)];
        c.phase = c.outcome == IAuditCourt.Outcome.Open ? IAuditCourt.Phase.Audit : IAuditCourt.Phase.Closed;
    }

    function outcomeOf(bytes32 key, uint32 epoch) external view returns (IAuditCourt.Outcome) {
        return _outcomes[id(key, epoch)];
    }

    function panelOf(bytes32 key, uint32 epoch, uint8, uint8) external view returns (bytes32[] memory) {
        return _panels[id(key, epoch)];
    }

    function voteOf(bytes32 key, uint32 epoch, uint8, uint8, bytes32) external view returns (IAuditCourt.Vote memory v) {
        v.verdict = _outcomes[id(key, epoch)] == IAuditCourt.Outcome.Planted ? IAuditCourt.Verdict.Fault : IAuditCourt.Verdict.Ok;
    }

    function id(bytes32 key, uint32 epoch) private pure returns (bytes32) {
        return keccak256(abi.encode(key, epoch));
    }
}
