// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAuditCourt} from "./interfaces/IAuditCourt.sol";
import {IParticipationLedger} from "./interfaces/IParticipationLedger.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";
import {Panels} from "./Panels.sol";

/// @title What a closed case means in money: slashes, rewards, bonds, lapsed members
abstract contract Sentences is Panels {
    /// @dev Price of a verdict that a jury refuted, in 1/10000 of the stake.
    uint256 private constant LIE_BPS = 2_500;
    /// @dev A confirmed plant is paid like this many verdicts, but only where the beacon says so, one in PLANT_ODDS: nobody can live
    /// off plants, and nobody knows beforehand which one pays.
    uint256 private constant PLANT_FEES = 16;
    uint256 private constant PLANT_ODDS = 8;

    /// @dev Three prices: silence (data kept back, or no verdict) costs an absence, a concession its fee, a lost dispute the whole stake.
    /// The decision against which every vote is read.
    struct Truth {
        bytes32 swarm;
        Outcome outcome;
        bool decided; // a choice won
        Verdict verdict;
        bytes32 choice;
        uint256 share; // money for those who were right about a fault
        uint256 fee;
        uint256 absenceBps;
    }

    function _carryOut(bytes32 key, uint32 epoch, Case memory state, ISwarmRegistry.Terms memory terms) internal {
        Record storage record = _recordOf(key, epoch);
        (record.finalized, record.outcome) = (true, state.outcome);
        (record.level, record.roll, record.small) = (state.level, state.roll, state.smallPanel);
        emit Finalized(key, epoch, state.outcome, state.level, state.smallPanel);
        Truth memory truth = _truthOf(key, epoch, state, terms);
        if (state.outcome != Outcome.Conceded) {
            uint256 winners = _countWinners(key, epoch, state, truth);
            if (winners != 0) {
                // slither-disable-next-line weak-prng (a remainder, not a draw)
                vault.dropAside(truth.swarm, truth.share % winners);
                truth.share /= winners;
            }
            for (uint8 roll = 0; roll < state.roll; ++roll) {
                _judgePanel(key, epoch, 0, roll, truth);
            }
            for (uint8 level = 0; level <= state.level; ++level) {
                _judgePanel(key, epoch, level, state.roll, truth);
                _judgeChallenge(record.challenges[level], _sessionOf(key, epoch, level, state.roll), truth);
            }
        }
        if (record.planted) _judgePlant(key, epoch, record, truth);
    }

    function _truthOf(bytes32 key, uint32 epoch, Case memory state, ISwarmRegistry.Terms memory terms) private returns (Truth memory truth) {
        Session storage session = _sessionOf(key, epoch, state.level, state.roll);
        truth.swarm = _swarmOf(key);
        truth.outcome = state.outcome;
        truth.fee = terms.fee;
        truth.absenceBps = terms.absenceBps;
        truth.decided = state.outcome != Outcome.Tied && state.outcome != Outcome.Unaudited && state.outcome != Outcome.Conceded;
        if (truth.decided) (truth.verdict, truth.choice) = (session.leaderVerdict, session.leader);
        if (state.outcome == Outcome.Fault) {
            truth.share = vault.convict(key);
            ledger.rewind(key, epoch, IParticipationLedger.Reason.Faulty);
            address accuser = _recordOf(key, epoch).accuser;
            if (accuser == address(0)) return truth;
            vault.payAside(truth.swarm, accuser, truth.share);
            (truth.decided, truth.share) = (false, 0);
        } else if (state.outcome == Outcome.Withheld) {
            vault.absent(key, epoch, false);
        }
    }

    /// @dev Seats that voted for the convicting verdict, and challengers who asked for it.
    function _countWinners(bytes32 key, uint32 epoch, Case memory state, Truth memory truth) private view returns (uint256 winners) {
        if (truth.share == 0) return 0;
        for (uint8 level = 0; level <= state.level; ++level) {
            Session storage session = _sessionOf(key, epoch, level, state.roll);
            uint256 seats = session.panel.length;
            for (uint256 i = 0; i < seats; ++i) {
                if (session.votes[session.panel[i]].verdict == truth.verdict) ++winners;
            }
            Challenge storage c = _recordOf(key, epoch).challenges[level];
            if (c.bond != 0 && session.leaderVerdict != truth.verdict) ++winners;
        }
    }

    function _judgePanel(bytes32 key, uint32 epoch, uint8 level, uint8 roll, Truth memory truth) private {
        Session storage session = _sessionOf(key, epoch, level, roll);
        if (!session.drawn) {
            (, bool ready) = _auditBeacon(truth.swarm, epoch);
            if (!ready) return;
            _panel(key, epoch, level, roll);
        }
        uint256 seats = session.panel.length;
        for (uint256 i = 0; i < seats; ++i) {
            bytes32 seat = session.panel[i];
            _judgeVote(seat, session.votes[seat], epoch, truth);
        }
    }

    function _judgeVote(bytes32 seat, Vote storage vote, uint32 epoch, Truth memory truth) private {
        Verdict verdict = vote.verdict;
        if (verdict == Verdict.None || verdict == Verdict.Cannot) {
            vault.absent(seat, epoch, verdict == Verdict.Cannot);
        } else if (!truth.decided) {
            return;
        } else if (verdict == truth.verdict && (verdict != Verdict.Ok || _choiceOf(vote) == truth.choice)) {
            _payWinner(seat, truth);
        } else if (verdict == Verdict.Unavailable) {
            if (truth.verdict == Verdict.Ok) vault.slash(seat, _part(seat, truth.absenceBps), "absence");
        } else if (truth.verdict != Verdict.Unavailable) {
            vault.slash(seat, _part(seat, LIE_BPS), "lie");
        }
    }

    function _payWinner(bytes32 seat, Truth memory truth) private {
        address operator = ledger.operatorOf(seat);
        if (truth.share != 0) vault.payAside(truth.swarm, operator, truth.share);
        vault.payFee(truth.swarm, operator, truth.fee);
    }

    /// @dev The bond comes back unless the end confirmed what was challenged.
    function _judgeChallenge(Challenge storage c, Session storage challenged, Truth memory truth) private {
        if (c.bond == 0) return;
        address operator = ledger.operatorOf(c.challengerKey);
        if (truth.decided && challenged.leader == truth.choice) {
            vault.dropAside(truth.swarm, c.bond);
            return;
        }
        vault.payAside(truth.swarm, operator, c.bond);
        if (truth.share != 0 && challenged.leaderVerdict != truth.verdict) vault.payAside(truth.swarm, operator, truth.share);
    }

    /// @dev A plant that turned out to be none is a slander of its auditors; a confirmed one is paid.
    function _judgePlant(bytes32 key, uint32 epoch, Record storage record, Truth memory truth) private {
        bool slander = truth.outcome == Outcome.Planted && truth.verdict == Verdict.Ok && record.plantDrawn;
        address operator = ledger.operatorOf(key);
        if (slander || truth.outcome == Outcome.Fault) {
            vault.dropAside(truth.swarm, record.plantBond);
            if (slander) vault.slash(key, _part(key, LIE_BPS), "lie");
            return;
        }
        vault.payAside(truth.swarm, operator, record.plantBond);
        bool confirmed = truth.outcome == Outcome.Planted && truth.verdict == Verdict.Fault;
        if (confirmed && uint256(keccak256(abi.encode(_readyBeacon(key, epoch), key, "plant"))) % PLANT_ODDS == 0) {
            vault.payFee(truth.swarm, operator, PLANT_FEES * truth.fee);
        }
    }

    function _part(bytes32 key, uint256 bps) internal view returns (uint256) {
        IStakeVault.Stake memory stake = vault.stakeOf(key);
        return (uint256(stake.active) + stake.unbonding) * bps / 10_000;
    }

    function _choiceOf(Vote storage vote) internal view returns (bytes32) {
        return _choice(vote.verdict, vote.step, vote.value);
    }

    function _choice(Verdict verdict, uint32 step, bytes32 value) internal pure returns (bytes32) {
        return keccak256(abi.encode(verdict, step, value));
    }
}
