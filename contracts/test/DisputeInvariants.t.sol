// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "../src/interfaces/IAuditCourt.sol";
import {IDisputeCourt} from "../src/interfaces/IDisputeCourt.sol";
import {IParticipationLedger} from "../src/interfaces/IParticipationLedger.sol";
import {Base} from "./Base.sol";
import {DisputeTown} from "./DisputeTown.sol";

/// @notice One epoch whose prover is honest or not, four challengers that are or are not, moves in any order and at any pace.
contract Disputants is DisputeTown {
    uint256 private constant CHALLENGERS = 4;
    uint256 private constant BOND = STAKE / 10 + 1;

    IParticipationLedger.Header private h;
    bool public proverLies;
    bool[CHALLENGERS] public lies;
    bytes32[CHALLENGERS] private _ids;
    bool private _answered;
    bool[1 + CHALLENGERS] private _dallied; // let its clock run out
    uint256 public total;

    constructor() {
        deploy();
        settleCanonical(1 + CHALLENGERS);
        h = committed();
        total = vault.held(address(credit));
    }

    function sideOf(bool lying, uint256 n) private pure returns (Side memory side) {
        side = honest();
        if (!lying) return side;
        bend(side, n % 5, n % ROWS);
        if (n % 5 == 2) side.runBent = uint32(1 + n % COLUMNS);
    }

    function begin(uint256 who, bool lying, bool proverLies_) external {
        who %= CHALLENGERS;
        if (_ids[who] != 0 || court.caseOf(h.key, 0).phase != IAuditCourt.Phase.Challenge) return;
        if (vault.stakeOf(keys[who + 1]).active < BOND) return;
        if (total != 0 && disputes.openCount(h.key, 0) == 0 && !_answered) proverLies = proverLies_;
        if (block.timestamp + 180 > registry.endOf(SWARM, 0) + registry.longestCase(registry.termsOf(SWARM))) return;
        lies[who] = lying;
        _ids[who] = openBy(h, who + 1, traceOf(sideOf(lying, who + 3)));
    }

    function reply() external {
        if (_answered || disputes.openCount(h.key, 0) == 0) return;
        _answered = true;
        answerBy(0, traceOf(prover()));
    }

    function prover() private view returns (Side memory) {
        return sideOf(proverLies, 2);
    }

    function move(uint256 who, uint256 count) external {
        who %= CHALLENGERS;
        bytes32 id = _ids[who];
        for (uint256 i = 0; i <= count % 20; ++i) {
            IDisputeCourt.Match memory m = disputes.matchOf(id);
            if (m.stage == IDisputeCourt.Stage.None || m.stage == IDisputeCourt.Stage.Closed || m.stage == IDisputeCourt.Stage.Equal) return;
            if (m.stage == IDisputeCourt.Stage.Answer && !_answered) return;
            (, uint256 spent, uint256 left) = disputes.clockOf(id);
            if (spent > left) return;
            playOne(id, m, prover(), sideOf(lies[who], who + 3));
        }
    }

    function wait(uint256 time) external {
        pass(time % 16);
    }

    function end(uint256 who) external {
        bytes32 id = _ids[who % CHALLENGERS];
        IDisputeCourt.Match memory m = disputes.matchOf(id);
        if (m.stage == IDisputeCourt.Stage.None || m.stage == IDisputeCourt.Stage.Closed) return;
        (bool challengers, uint256 spent, uint256 left) = disputes.clockOf(id);
        if (spent > left) {
            _dallied[challengers ? 1 + who % CHALLENGERS : 0] = true;
            disputes.timeout(id);
        } else if (court.outcomeOf(h.key, 0) == IAuditCourt.Outcome.Fault) {
            disputes.collect(id);
        }
    }

    function close() external {
        IAuditCourt.Case memory c = court.caseOf(h.key, 0);
        if (c.phase == IAuditCourt.Phase.Closed && !c.finalized) court.finalize(h);
    }

    // --- what invariants look at

    /// @dev Who neither lied nor let a clock run out loses nothing.
    function honestLoseNothing() external view returns (bool) {
        bool guilty = proverLies || _dallied[0];
        if (!guilty && (court.outcomeOf(h.key, 0) == IAuditCourt.Outcome.Fault || vault.stakeOf(keys[0]).active < STAKE)) return false;
        for (uint256 i = 0; i < CHALLENGERS; ++i) {
            IDisputeCourt.Match memory m = disputes.matchOf(_ids[i]);
            if (m.stage != IDisputeCourt.Stage.Closed || lies[i] || _dallied[1 + i] || !proverLies) continue;
            if (m.ruling == IDisputeCourt.Ruling.ChallengerLost || m.bond != 0) return false;
        }
        return true;
    }

    function countOf(IDisputeCourt.Ruling ruling) external view returns (uint256 count) {
        for (uint256 i = 0; i < CHALLENGERS; ++i) {
            if (disputes.matchOf(_ids[i]).ruling == ruling) ++count;
        }
    }

    /// @dev Stakes, claims, the treasury and open bonds are all there is.
    function moneyIsThere() external view returns (bool) {
        uint256 sum = vault.treasuryOf(SWARM);
        for (uint256 i = 0; i <= CHALLENGERS; ++i) {
            sum += wealth(i);
            if (i != 0) sum += disputes.matchOf(_ids[i - 1]).bond;
        }
        return sum == total && vault.held(address(credit)) == total;
    }

    /// @dev Open matches are counted right, and a case with a running one is not closed but as Fault.
    function casesWait() external view returns (bool) {
        uint256 open = 0;
        bool runs = false;
        for (uint256 i = 0; i < CHALLENGERS; ++i) {
            IDisputeCourt.Match memory m = disputes.matchOf(_ids[i]);
            if (m.stage == IDisputeCourt.Stage.None || m.stage == IDisputeCourt.Stage.Closed) continue;
            ++open;
            (, uint256 spent, uint256 left) = disputes.clockOf(_ids[i]);
            runs = runs || spent <= left;
        }
        IAuditCourt.Outcome outcome = court.outcomeOf(h.key, 0);
        bool waits = outcome == IAuditCourt.Outcome.Open || outcome == IAuditCourt.Outcome.Fault;
        return open == disputes.openCount(h.key, 0) && (!runs || waits);
    }

    function casesEnd() external view returns (bool) {
        bool old = block.timestamp > registry.endOf(SWARM, 0) + registry.longestCase(registry.termsOf(SWARM));
        return !old || court.caseOf(h.key, 0).phase == IAuditCourt.Phase.Closed;
    }
}

contract DisputeInvariantsTest is Base {
    Disputants private folk;

    function setUp() public {
        folk = new Disputants();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(folk);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory s = new bytes4[](9);
        (s[0], s[1], s[2]) = (Disputants.begin.selector, Disputants.begin.selector, Disputants.reply.selector);
        (s[3], s[4], s[5]) = (Disputants.move.selector, Disputants.move.selector, Disputants.move.selector);
        (s[6], s[7], s[8]) = (Disputants.wait.selector, Disputants.end.selector, Disputants.close.selector);
        targets[0] = FuzzSelector(address(folk), s);
    }

    /// @dev For people: forge shows it with -vv.
    function afterInvariant() public {
        for (uint8 i = 1; i < 5; ++i) {
            emit log_named_uint("ruling", folk.countOf(IDisputeCourt.Ruling(i)));
        }
    }

    /// forge-config: default.invariant.runs = 10
    /// forge-config: default.invariant.depth = 64
    function invariant_disputesHold() public view {
        isTrue(folk.honestLoseNothing(), "an honest side lost");
        isTrue(folk.moneyIsThere(), "money");
        isTrue(folk.casesWait(), "a case closed in the middle of a match");
        isTrue(folk.casesEnd(), "a case that does not end");
    }
}
