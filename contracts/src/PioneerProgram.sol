// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IAuditCourt} from "./interfaces/IAuditCourt.sol";
import {IParticipationLedger} from "./interfaces/IParticipationLedger.sol";
import {IPioneerProgram} from "./interfaces/IPioneerProgram.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";

/// @title Programs, applications, tiers and snapshots. Nobody owns it, and it holds no money.
contract PioneerProgram is IPioneerProgram, EIP712 {
    using Checkpoints for Checkpoints.Trace208;

    uint256 public constant TIER_LIMIT = 8;
    uint256 public constant KEY_LIMIT = 256;
    uint256 public constant DUTY_LIMIT = 64;
    uint256 public constant LEAST_DELAY = 1 hours;
    uint256 public constant LONGEST_DELAY = 30 days;
    uint256 public constant LONGEST_ANSWER = 90 days;
    bytes32 public constant APPLICATION_TYPEHASH =
        keccak256("Application(bytes32 program,address operator,bytes32 statement,bytes32[] keys,uint32 number,uint64 expires)");

    /// @dev An application and what the council says about it; the fields are those of IPioneerProgram.Pioneer.
    struct File {
        uint32 applications;
        uint32 appealed;
        uint8 endorsed;
        uint8 proposed;
        uint64 due;
        uint64 answerBy;
        bytes32 keys;
        bytes32 statement;
        bytes32 code;
        bytes32 text;
    }

    struct Record {
        uint256 units;
        uint256 epochs;
        uint256 verdicts;
    }

    ISwarmRegistry public immutable registry;
    IParticipationLedger public immutable ledger;
    IAuditCourt public immutable court;

    mapping(bytes32 program => Rules) private _rules;
    mapping(bytes32 program => Bar[]) private _bars;
    mapping(bytes32 program => mapping(address operator => File)) private _files;
    mapping(bytes32 program => mapping(address operator => Checkpoints.Trace208)) private _tiers;
    mapping(bytes32 snapshot => bool) private _posted;

    constructor(ISwarmRegistry registry_, IParticipationLedger ledger_, IAuditCourt court_) EIP712("OpenSwarm PioneerProgram", "1") {
        registry = registry_;
        ledger = ledger_;
        court = court_;
    }

    /// @inheritdoc IPioneerProgram
    function start(bytes32 salt, Rules calldata rules, Bar[] calldata bars, bytes32 text) external returns (bytes32 program) {
        program = _programOf(msg.sender, salt);
        if (_rules[program].swarm != bytes32(0)) revert ProgramExists(program);
        if (registry.swarmOf(rules.swarm).number == 0) revert ISwarmRegistry.SwarmUnknown(rules.swarm);
        _checkRules(rules);
        _between("tiers", bars.length, 1, TIER_LIMIT);
        _rules[program] = rules;
        for (uint256 i = 0; i < bars.length; ++i) {
            _checkBar(bars[i], i == 0 ? bars[i] : bars[i - 1], rules.council);
            _bars[program].push(bars[i]);
        }
        emit ProgramStarted(program, msg.sender, rules, bars, text);
    }

    /// @inheritdoc IPioneerProgram
    function submit(Application calldata a, bytes calldata signature) external {
        bytes32 swarm = _known(a.program).swarm;
        if (block.timestamp > a.expires) revert ApplicationExpired(block.timestamp, a.expires);
        File storage file = _files[a.program][a.operator];
        if (a.number != file.applications) revert ApplicationOutOfTurn(a.number, file.applications);
        address signer = ECDSA.recover(_hashTypedDataV4(_structHash(a)), signature);
        if (signer != a.operator) revert SignerWrong(signer, a.operator);
        if (a.keys.length == 0) revert KeysUnordered(bytes32(0));
        _checkKeys(swarm, a.operator, a.keys);
        file.applications = a.number + 1;
        (file.keys, file.statement) = (keccak256(abi.encode(a.keys)), a.statement);
        emit Applied(a.program, a.operator, a.number, a.statement, a.keys);
    }

    /// @inheritdoc IPioneerProgram
    function admit(bytes32 program, address operator, bytes32[] calldata keys, Duty[] calldata duties) external {
        File storage file = _applied(program, operator);
        bytes32 digest = keccak256(abi.encode(keys));
        if (digest != file.keys) revert KeysWrong(digest, file.keys);
        Record memory record = _recordOf(_rules[program].swarm, keys, duties);
        Checkpoints.Trace208 storage tiers = _tiers[program][operator];
        uint8 tier = _reached(_bars[program], record, file.endorsed, uint8(tiers.latest()));
        // slither-disable-next-line unused-return
        tiers.push(uint48(block.timestamp), tier);
        bytes32 text = keccak256(abi.encode(record.units, record.epochs, record.verdicts));
        emit Admitted(program, operator, tier, "bar met", text, record.units, record.epochs, record.verdicts);
    }

    /// @inheritdoc IPioneerProgram
    function decide(bytes32 program, address operator, uint8 tier, bytes32 code, bytes32 text) external {
        Rules storage rules = _known(program);
        if (rules.council != msg.sender) revert NotCouncil(msg.sender, rules.council);
        File storage file = _applied(program, operator);
        if (code == bytes32(0)) revert ReasonMissing();
        if (tier > _bars[program].length) revert TierUnknown(tier, _bars[program].length);
        (file.proposed, file.code, file.text) = (tier, code, text);
        file.due = uint64(block.timestamp + rules.delay);
        emit Proposed(program, operator, tier, code, text, file.due);
    }

    /// @inheritdoc IPioneerProgram
    function carryOut(bytes32 program, address operator) external {
        File storage file = _files[program][operator];
        if (file.due == 0) revert NothingDecided(program, operator);
        if (block.timestamp < file.due) revert DecisionDelayed(block.timestamp, file.due);
        _settle(program, operator, file.proposed, file.code, file.text);
    }

    /// @inheritdoc IPioneerProgram
    function appeal(bytes32 program, bytes32 statement) external {
        Rules storage rules = _known(program);
        if (rules.council == address(0)) revert NotCouncil(msg.sender, address(0));
        File storage file = _applied(program, msg.sender);
        if (file.appealed == file.applications) revert AppealTwice(program, msg.sender);
        (file.appealed, file.answerBy) = (file.applications, uint64(block.timestamp + rules.answer));
        emit Appealed(program, msg.sender, statement, file.answerBy);
    }

    /// @inheritdoc IPioneerProgram
    function grant(bytes32 program, address operator) external {
        File storage file = _files[program][operator];
        if (file.answerBy == 0) revert AppealMissing(program, operator);
        if (block.timestamp <= file.answerBy) revert AppealOpen(block.timestamp, file.answerBy);
        _settle(program, operator, uint8(_bars[program].length), "appeal unanswered", bytes32(0));
    }

    /// @inheritdoc IPioneerProgram
    function post(bytes32 program, uint32 epoch, bytes32 root, uint32 count, bytes32 list) external {
        if (root == bytes32(0)) revert RootMissing();
        _past(program, epoch);
        bytes32 snapshot = _snapshotOf(program, epoch, root);
        if (_posted[snapshot]) revert AlreadyPosted(program, epoch, root);
        _posted[snapshot] = true;
        emit Posted(program, epoch, root, count, list, msg.sender);
    }

    /// @inheritdoc IPioneerProgram
    function programOf(address creator, bytes32 salt) external pure returns (bytes32) {
        return _programOf(creator, salt);
    }

    /// @inheritdoc IPioneerProgram
    function rulesOf(bytes32 program) external view returns (Rules memory) {
        return _known(program);
    }

    /// @inheritdoc IPioneerProgram
    function barsOf(bytes32 program) external view returns (Bar[] memory) {
        return _bars[program];
    }

    /// @inheritdoc IPioneerProgram
    function pioneerOf(bytes32 program, address operator) external view returns (Pioneer memory) {
        File storage f = _files[program][operator];
        uint8 tier = uint8(_tiers[program][operator].latest());
        return Pioneer(f.applications, f.appealed, tier, f.endorsed, f.proposed, f.due, f.answerBy, f.keys, f.statement, f.code, f.text);
    }

    /// @inheritdoc IPioneerProgram
    function frozenAt(bytes32 program, uint32 epoch) external view returns (uint256) {
        return _frozenAt(program, epoch);
    }

    /// @inheritdoc IPioneerProgram
    function frozenUnits(bytes32 program, uint32 epoch, address operator, bytes32[] calldata keys) external view returns (uint256 units) {
        uint256 time = _past(program, epoch);
        _checkKeys(_rules[program].swarm, operator, keys);
        for (uint256 i = 0; i < keys.length; ++i) {
            units += ledger.unitsAt(keys[i], time);
        }
    }

    /// @inheritdoc IPioneerProgram
    function frozenTier(bytes32 program, uint32 epoch, address operator) external view returns (uint8) {
        return uint8(_tiers[program][operator].upperLookupRecent(uint48(_past(program, epoch))));
    }

    /// @inheritdoc IPioneerProgram
    function frozenTotal(bytes32 program, uint32 epoch) external view returns (uint256) {
        return ledger.totalAt(_known(program).swarm, _past(program, epoch));
    }

    /// @inheritdoc IPioneerProgram
    function isPosted(bytes32 program, uint32 epoch, bytes32 root) external view returns (bool) {
        return _posted[_snapshotOf(program, epoch, root)];
    }

    /// @inheritdoc IPioneerProgram
    function leafOf(bytes32 program, uint32 epoch, address operator, uint64 score, uint256 units, uint8 tier) external pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(program, epoch, operator, score, units, tier))));
    }

    /// @dev A decision counts, and with it an open appeal is over.
    function _settle(bytes32 program, address operator, uint8 tier, bytes32 code, bytes32 text) private {
        File storage file = _files[program][operator];
        (file.endorsed, file.due, file.answerBy) = (tier, 0, 0);
        emit Decided(program, operator, tier, code, text);
    }

    /// @dev The history that keys and duties show. The keys were checked when they were applied with: operator and swarm of one never change.
    function _recordOf(bytes32 swarm, bytes32[] calldata keys, Duty[] calldata duties) private view returns (Record memory record) {
        for (uint256 i = 0; i < keys.length; ++i) {
            record.units += ledger.unitsOf(keys[i]);
            record.epochs += ledger.cleanCount(keys[i]);
        }
        record.verdicts = duties.length;
        if (duties.length > DUTY_LIMIT) revert TooMany(duties.length, DUTY_LIMIT);
        bytes32 last = bytes32(0);
        for (uint256 i = 0; i < duties.length; ++i) {
            bytes32 hash = keccak256(abi.encode(duties[i]));
            if (hash <= last) revert DutiesUnordered(i);
            last = hash;
            if (duties[i].seat >= keys.length || !_wasRight(swarm, duties[i], keys[duties[i].seat])) revert DutyWrong(i);
        }
    }

    /// @dev Whether a verdict was revealed and the closed case ended as it said.
    function _wasRight(bytes32 swarm, Duty calldata duty, bytes32 auditor) private view returns (bool) {
        if (ledger.swarmOf(duty.key) != swarm) return false;
        IAuditCourt.Verdict verdict = court.voteOf(duty.key, duty.epoch, duty.level, duty.roll, auditor).verdict;
        if (verdict == IAuditCourt.Verdict.None || verdict == IAuditCourt.Verdict.Cannot) return false;
        IAuditCourt.Outcome outcome = court.outcomeOf(duty.key, duty.epoch);
        if (outcome == IAuditCourt.Outcome.Clean) return verdict == IAuditCourt.Verdict.Ok;
        if (outcome == IAuditCourt.Outcome.Fault) return verdict == IAuditCourt.Verdict.Fault;
        return outcome == IAuditCourt.Outcome.Withheld && verdict == IAuditCourt.Verdict.Unavailable;
    }

    /// @dev The tier whose bar and all before it are met; at least one above `tier`, or it says what is missing.
    function _reached(Bar[] storage bars, Record memory record, uint8 endorsed, uint8 tier) private view returns (uint8 reached) {
        uint256 count = bars.length;
        if (tier >= count) revert BarMissed("tiers", tier, count);
        reached = tier;
        while (reached < count && _meets(bars[reached], record, endorsed, reached)) ++reached;
        if (reached != tier) return reached;
        Bar storage bar = bars[tier];
        if (record.units < bar.units) revert BarMissed("units", record.units, bar.units);
        if (record.epochs < bar.epochs) revert BarMissed("epochs", record.epochs, bar.epochs);
        if (record.verdicts < bar.verdicts) revert BarMissed("verdicts", record.verdicts, bar.verdicts);
        revert BarMissed("council", endorsed, uint256(tier) + 1);
    }

    function _meets(Bar storage bar, Record memory record, uint8 endorsed, uint8 index) private view returns (bool) {
        bool shown = record.units >= bar.units && record.epochs >= bar.epochs && record.verdicts >= bar.verdicts;
        return shown && (!bar.judged || endorsed > index);
    }

    /// @dev Rising, so that none counts twice; each the operator's, in the swarm.
    function _checkKeys(bytes32 swarm, address operator, bytes32[] calldata keys) private view {
        if (keys.length > KEY_LIMIT) revert TooMany(keys.length, KEY_LIMIT);
        bytes32 last = bytes32(0);
        for (uint256 i = 0; i < keys.length; ++i) {
            bytes32 key = keys[i];
            if (key <= last) revert KeysUnordered(key);
            last = key;
            if (ledger.operatorOf(key) != operator || ledger.swarmOf(key) != swarm) revert KeyOfAnother(key, operator);
        }
    }

    /// @dev The moment of a snapshot, which has to be past: before, everything can still change.
    function _past(bytes32 program, uint32 epoch) private view returns (uint256 time) {
        time = _frozenAt(program, epoch);
        if (block.timestamp <= time) revert NotFrozen(block.timestamp, time);
    }

    function _frozenAt(bytes32 program, uint32 epoch) private view returns (uint256) {
        bytes32 swarm = _known(program).swarm;
        return registry.endOf(swarm, epoch) + registry.longestCase(registry.termsOf(swarm));
    }

    function _known(bytes32 program) private view returns (Rules storage rules) {
        rules = _rules[program];
        if (rules.swarm == bytes32(0)) revert ProgramUnknown(program);
    }

    function _applied(bytes32 program, address operator) private view returns (File storage file) {
        file = _files[program][operator];
        if (file.applications == 0) revert ApplicationUnknown(program, operator);
    }

    function _checkRules(Rules calldata rules) private pure {
        bool council = rules.council != address(0);
        _between("delay", rules.delay, council ? LEAST_DELAY : 0, council ? LONGEST_DELAY : 0);
        // An appeal leaves the council time to think for as long as its decision is delayed.
        _between("answer", rules.answer, council ? 2 * uint256(rules.delay) : 0, council ? LONGEST_ANSWER : 0);
    }

    function _checkBar(Bar calldata bar, Bar calldata lower, address council) private pure {
        _between("units", bar.units, lower.units, type(uint128).max);
        _between("epochs", bar.epochs, lower.epochs, type(uint32).max);
        _between("verdicts", bar.verdicts, lower.verdicts, DUTY_LIMIT);
        _between("judged", bar.judged ? 1 : 0, lower.judged ? 1 : 0, council == address(0) ? 0 : 1);
    }

    function _between(bytes32 name, uint256 actual, uint256 low, uint256 high) private pure {
        if (actual < low) revert RuleOutOfBounds(name, actual, low);
        if (actual > high) revert RuleOutOfBounds(name, actual, high);
    }

    function _structHash(Application calldata a) private pure returns (bytes32) {
        bytes32 keys = keccak256(abi.encodePacked(a.keys));
        return keccak256(abi.encode(APPLICATION_TYPEHASH, a.program, a.operator, a.statement, keys, a.number, a.expires));
    }

    function _programOf(address creator, bytes32 salt) private pure returns (bytes32) {
        return keccak256(abi.encode(creator, salt));
    }

    function _snapshotOf(bytes32 program, uint32 epoch, bytes32 root) private pure returns (bytes32) {
        return keccak256(abi.encode(program, epoch, root));
    }
}
