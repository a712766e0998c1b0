// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IArbiter} from "./interfaces/IArbiter.sol";
import {IAuditCourt} from "./interfaces/IAuditCourt.sol";
import {IDisputeCourt} from "./interfaces/IDisputeCourt.sol";
import {IParticipationLedger} from "./interfaces/IParticipationLedger.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ISwarmRegistry} from "./interfaces/ISwarmRegistry.sol";
import {StepTree} from "./lib/StepTree.sol";
import {Descent} from "./dispute/Descent.sol";
import {Instructions} from "./dispute/Instructions.sol";
import {Matches} from "./dispute/Matches.sol";
import {Sources} from "./dispute/Sources.sol";

/// @title The dispute court: the moves of a match, from a step of a committed epoch to one scalar operation
contract DisputeCourt is Matches {
    using Instructions for bytes;
    using Sources for bytes;

    /// @dev A step record: 19 words, of which these are read.
    uint256 private constant LEAF_BYTES = 19 * 32;
    uint256 private constant KIND_AT = 5 * 32;
    uint256 private constant BEFORE_AT = 8 * 32;
    uint256 private constant AFTER_AT = 18 * 32;

    IArbiter public immutable arbiter;

    constructor(ISwarmRegistry registry_, IParticipationLedger ledger_, IStakeVault vault_, IAuditCourt court_, IArbiter arbiter_)
        Matches(registry_, ledger_, vault_, court_)
    {
        arbiter = arbiter_;
    }

    /// @inheritdoc IDisputeCourt
    function open(
        IParticipationLedger.Header calldata header,
        uint32 step,
        bytes calldata leaf,
        bytes32[] calldata proof,
        bytes32 challenger,
        bytes32 sealedTrace
    ) external returns (bytes32 id) {
        _onlyAgent(challenger);
        _checkCase(header, challenger);
        _readStep(header, step, leaf, proof);
        id = keccak256(abi.encode(header.key, header.epoch, step, challenger));
        Match storage m = _matches[id];
        if (m.stage != Stage.None) revert MatchTaken(id);
        (m.key, m.epoch, m.step) = (header.key, header.epoch, step);
        (m.challenger, m.sealedTrace, m.stage) = (challenger, sealedTrace, Stage.Answer);
        _begin(id, m);
    }

    /// @inheritdoc IDisputeCourt
    function answer(bytes32 key, uint32 epoch, uint32 step, Trace calldata trace) external {
        _onlyAgent(key);
        Step storage s = _stepOf(key, epoch, step);
        if (s.answeredAt != 0) revert AlreadyAnswered(key, epoch, step);
        (s.answeredAt, s.trace) = (uint64(block.timestamp), trace);
        emit Answered(key, epoch, step, trace);
    }

    /// @inheritdoc IDisputeCourt
    function unseal(bytes32 id, Trace calldata trace, bytes32 salt) external {
        Match storage m = _inStage(id, Stage.Answer);
        Step storage s = _stepOf(m.key, m.epoch, m.step);
        if (s.answeredAt == 0) revert NotAnswered(m.key, m.epoch, m.step);
        bytes32 hash = keccak256(abi.encode(m.challenger, m.key, m.epoch, m.step, trace, salt));
        if (hash != m.sealedTrace) revert SealWrong(hash, m.sealedTrace);
        _turn(m, true);
        _register(id, m, trace);
        emit Unsealed(id, trace);
        if (trace.count != s.trace.count || trace.structure != s.trace.structure) return _end(id, m, Ruling.Structure);
        if (trace.values == s.trace.values || trace.count == 0) m.stage = Stage.Equal;
        else _enter(m, Stage.Values, trace.count, s.trace.values, trace.values);
    }

    /// @inheritdoc IDisputeCourt
    function reveal(bytes32 id, bytes32[] calldata nodes) external {
        Match storage m = _descending(id);
        bool challengers = m.challengersTurn;
        _checkNodes(m, nodes, challengers ? m.challengerNode : m.proverNode);
        _turn(m, !challengers);
        emit Revealed(id, challengers, m.height, m.index, nodes);
    }

    /// @inheritdoc IDisputeCourt
    function descend(bytes32 id, bytes32[] calldata proverNodes, bytes32[] calldata challengerNodes) external {
        Match storage m = _descending(id);
        _checkNodes(m, proverNodes, m.proverNode);
        _checkNodes(m, challengerNodes, m.challengerNode);
        _turn(m, m.challengersTurn);
        emit Revealed(id, false, m.height, m.index, proverNodes);
        Descent.Span memory span = Descent.spanOf(m.leaves, m.height, m.index);
        uint256 place = Descent.firstDifference(proverNodes, challengerNodes);
        (m.height, m.index) = (m.height - uint8(span.depth), uint32(span.first + place));
        bool bottom = m.height == 0;
        (m.proverNode, m.challengerNode) = (proverNodes[place], challengerNodes[place]);
        emit Descended(id, m.stage, m.height, m.index, m.proverNode, m.challengerNode);
        if (bottom) _arrive(id, m);
    }

    /// @inheritdoc IDisputeCourt
    function showEntry(bytes32 id, bytes calldata entry, bytes32[] calldata proof, bytes32 source, bytes32[] calldata sourceProof) external {
        Match storage m = _inStage(id, Stage.Entry);
        Trace storage trace = _stepOf(m.key, m.epoch, m.step).trace;
        _prove(trace.structure, keccak256(entry), m.value, trace.count, proof);
        _turn(m, false);
        m.entry = keccak256(entry);
        emit EntryShown(id, entry);
        uint8 kind = entry.originOf();
        if (kind == Sources.GIVEN) return _compareRoot(id, m, entry.rootOf());
        if (kind == Sources.FINAL) {
            _prove(trace.values, source, entry.sourceOf(), trace.count, sourceProof);
            return _compareRoot(id, m, source);
        }
        if (kind == Sources.INITIAL) return _enterElements(id, m, entry.wordsOf());
        if (kind != Sources.MADE) revert IArbiter.KindUnknown(kind);
        // What one instruction makes needs no tree to look for it.
        bool single = entry.programLength() == 1;
        if (single) m.challengersTurn = true;
        m.stage = single ? Stage.Instruction : Stage.Programs;
    }

    /// @inheritdoc IDisputeCourt
    function postProgram(bytes32 id, bytes calldata entry, bytes32 root, bytes32[] calldata proof) external {
        Match storage m = _inStage(id, Stage.Programs);
        bool challengers = _onlyOnTurn(m);
        _checkHash(keccak256(entry), m.entry);
        _prove(root, challengers ? m.challengerNode : m.proverNode, entry.positionOf(), entry.programLength(), proof);
        _turn(m, !challengers);
        emit Posted(id, challengers, root);
        if (challengers) _enter(m, Stage.Program, entry.programLength(), m.program, root);
        else m.program = root;
    }

    /// @inheritdoc IDisputeCourt
    function showInstruction(bytes32 id, bytes calldata entry, bytes calldata instruction, bytes32[] calldata proof) external {
        Match storage m = _inStage(id, Stage.Instruction);
        _checkHash(keccak256(entry), m.entry);
        _prove(entry.programOf(), keccak256(instruction), m.position, entry.programLength(), proof);
        _turn(m, false);
        m.instruction = keccak256(instruction);
        m.folds = instruction.kindOf() == Instructions.FOLD;
        m.length = instruction.lengthOf();
        emit InstructionShown(id, instruction);
        _enterElements(id, m, instruction.sizeOf());
    }

    /// @inheritdoc IDisputeCourt
    function postRun(bytes32 id, bytes32 root, bytes32 chunk, bytes32[] calldata proof) external {
        Match storage m = _inStage(id, Stage.Runs);
        bool challengers = _onlyOnTurn(m);
        Descent.checkChunk(root, uint256(m.length) + 1, m.length, chunk, proof);
        uint32 word = Descent.wordAt(chunk, m.length % 8);
        uint32 claimed = challengers ? m.challengerWord : m.proverWord;
        if (word != claimed) revert IArbiter.NotUnderRoot(bytes32(uint256(word)), bytes32(uint256(claimed)));
        _turn(m, !challengers);
        emit Posted(id, challengers, root);
        if (challengers) _enter(m, Stage.Run, Descent.chunksOf(uint256(m.length) + 1), m.running, root);
        else m.running = root;
    }

    /// @inheritdoc IDisputeCourt
    function settle(bytes32 id, bytes calldata entry, bytes calldata instruction, IArbiter.Opening[] calldata openings) external {
        Match storage m = _inStage(id, Stage.Settle);
        _checkHash(keccak256(entry), m.entry);
        _checkHash(keccak256(instruction), m.instruction);
        _turn(m, true);
        _decide(id, m, arbiter.wordOf(_sceneOf(m, entry), instruction, openings));
    }

    /// @inheritdoc IDisputeCourt
    function settleState(bytes32 id, bytes calldata entry, IArbiter.StateOpening calldata opening) external {
        Match storage m = _inStage(id, Stage.State);
        _checkHash(keccak256(entry), m.entry);
        _turn(m, true);
        _decide(id, m, arbiter.stateWordOf(_stepOf(m.key, m.epoch, m.step).beforeRoot, entry, m.element, opening));
    }

    /// @inheritdoc IDisputeCourt
    function contradict(bytes32 id, Final calldata shown, IArbiter.StateOpening calldata opening) external {
        Match storage m = _matches[id];
        if (m.stage <= Stage.Answer || m.stage == Stage.Closed) revert WrongStage(m.stage, Stage.Equal);
        Step storage s = _stepOf(m.key, m.epoch, m.step);
        _prove(s.trace.structure, keccak256(shown.entry), shown.value, s.trace.count, shown.entryProof);
        uint8 kind = shown.entry.originOf();
        if (kind != Sources.FINAL) revert IArbiter.KindUnknown(kind);
        _prove(s.trace.values, shown.root, shown.value, s.trace.count, shown.rootProof);
        Descent.checkChunk(shown.root, shown.entry.wordsOf(), shown.element, shown.chunk, shown.chunkProof);
        _turn(m, m.challengersTurn);
        uint32 word = arbiter.stateWordOf(s.afterRoot, shown.entry, shown.element, opening);
        m.proverWord = Descent.wordAt(shown.chunk, shown.element % 8);
        if (word == m.proverWord) revert NotContradicted(word);
        _decide(id, m, word);
    }

    /// @dev A commitment of the canonical class, of the challenger's swarm, whose auditors have revealed.
    function _checkCase(IParticipationLedger.Header calldata header, bytes32 challenger) private view {
        (bytes32 key, uint32 epoch) = (header.key, header.epoch);
        if (!ledger.isCommitted(header)) revert HeaderUnknown(key, epoch);
        if (key == challenger || ledger.swarmOf(challenger) != ledger.swarmOf(key)) revert OtherSwarm(key, challenger);
        bytes32 class = vault.classAt(key, epoch);
        if (bytes8(class) != CLASS) revert NotCanonical(class, CLASS);
        IAuditCourt.Case memory state = court.caseOf(key, epoch);
        bool heard = state.level > 0 || state.phase == IAuditCourt.Phase.Challenge;
        if (!heard || state.phase == IAuditCourt.Phase.Closed) revert NotDisputable(key, epoch);
    }

    function _readStep(IParticipationLedger.Header calldata header, uint32 step, bytes calldata leaf, bytes32[] calldata proof) private {
        if (leaf.length != LEAF_BYTES) revert IArbiter.CountWrong(leaf.length, LEAF_BYTES);
        bytes32 root = step < header.steps ? StepTree.rootOf(StepTree.leafHash(leaf), step, header.steps, proof) : bytes32(0);
        if (root != header.root) revert StepWrong(root);
        uint256 kind = uint256(bytes32(leaf[KIND_AT:KIND_AT + 32]));
        if (kind != 0) revert NotLearned(kind);
        Step storage s = _stepOf(header.key, header.epoch, step);
        if (s.beforeRoot == bytes32(0)) _gameOf(header.key, header.epoch).steps.push(step);
        s.beforeRoot = bytes32(leaf[BEFORE_AT:BEFORE_AT + 32]);
        s.afterRoot = bytes32(leaf[AFTER_AT:AFTER_AT + 32]);
    }

    /// @dev Starts a descent: the sides' trees have `leaves` leaves and these roots, which differ. The prover shows first.
    function _enter(Match storage m, Stage stage, uint256 leaves, bytes32 proverRoot, bytes32 challengerRoot) private {
        (m.stage, m.challengersTurn) = (stage, false);
        (m.height, m.index, m.leaves) = (Descent.heightOf(leaves), 0, uint32(leaves));
        (m.proverNode, m.challengerNode) = (proverRoot, challengerRoot);
    }

    function _enterElements(bytes32 id, Match storage m, uint32 size) private {
        if (size == 0) return _compareRoot(id, m, bytes32(0));
        m.size = size;
        _enter(m, Stage.Elements, Descent.chunksOf(size), m.proverNode, m.challengerNode);
    }

    /// @dev A descent is at its leaf: what the leaves are hashes of is in the nodes.
    function _arrive(bytes32 id, Match storage m) private {
        Stage stage = m.stage;
        m.challengersTurn = true; // what comes is for the challenger to show, unless it is a root of the prover's
        if (stage == Stage.Values) {
            (m.value, m.stage) = (m.index, Stage.Entry);
        } else if (stage == Stage.Program) {
            (m.position, m.stage) = (m.index, Stage.Instruction);
        } else {
            _arriveAtWord(id, m, stage == Stage.Run);
        }
    }

    function _arriveAtWord(bytes32 id, Match storage m, bool running) private {
        (bytes32 prover, bytes32 challenger) = (m.proverNode, m.challengerNode);
        uint256 i = 0;
        while (Descent.wordAt(prover, i) == Descent.wordAt(challenger, i)) {
            ++i;
        }
        (m.proverWord, m.challengerWord) = (Descent.wordAt(prover, i), Descent.wordAt(challenger, i));
        uint256 word = 8 * uint256(m.index) + i;
        // Behind the last word there are zeros.
        if (word >= (running ? uint256(m.length) + 1 : m.size)) return _decide(id, m, 0);
        if (running) {
            (m.run, m.stage) = (uint32(word), Stage.Settle);
            if (i != 0) m.acc = Descent.wordAt(prover, i - 1);
        } else if (m.folds) {
            (m.element, m.stage, m.challengersTurn) = (uint32(word), Stage.Runs, false);
        } else {
            (m.element, m.stage) = (uint32(word), m.instruction == bytes32(0) ? Stage.State : Stage.Settle);
        }
    }

    /// @dev The prover's word is right, or it has lost; if both are wrong, too.
    function _decide(bytes32 id, Match storage m, uint32 word) private {
        emit Decided(id, word, m.proverWord, m.challengerWord);
        _end(id, m, m.proverWord == word ? Ruling.ChallengerLost : Ruling.ProverLost);
    }

    function _sceneOf(Match storage m, bytes calldata entry) private view returns (IArbiter.Scene memory scene) {
        Trace storage trace = _stepOf(m.key, m.epoch, m.step).trace;
        (scene.values, scene.count, scene.inputs) = (trace.values, trace.count, entry.inputsOf());
        (scene.program, scene.length, scene.running) = (m.program, entry.programLength(), m.running);
        (scene.element, scene.run, scene.acc) = (m.element, m.run, m.acc);
    }

    function _compareRoot(bytes32 id, Match storage m, bytes32 root) private {
        _end(id, m, m.proverNode == root ? Ruling.ChallengerLost : Ruling.ProverLost);
    }

    function _inStage(bytes32 id, Stage needed) private view returns (Match storage m) {
        m = _matches[id];
        if (m.stage != needed) revert WrongStage(m.stage, needed);
    }

    function _descending(bytes32 id) private view returns (Match storage m) {
        m = _matches[id];
        bool descends = m.stage == Stage.Values || m.stage == Stage.Program || m.stage == Stage.Elements || m.stage == Stage.Run;
        if (!descends) revert WrongStage(m.stage, Stage.Values);
    }

    function _onlyOnTurn(Match storage m) private view returns (bool challengers) {
        challengers = m.challengersTurn;
        _onlyAgent(challengers ? m.challenger : m.key);
    }

    function _checkNodes(Match storage m, bytes32[] calldata nodes, bytes32 node) private view {
        Descent.Span memory span = Descent.spanOf(m.leaves, m.height, m.index);
        if (nodes.length != span.count) revert IArbiter.CountWrong(nodes.length, span.count);
        bytes32 found = Descent.over(nodes, span.depth == m.height);
        if (found != node) revert NodesWrong(found, node);
    }

    function _prove(bytes32 root, bytes32 digest, uint256 index, uint256 count, bytes32[] calldata proof) private pure {
        bytes32 found = index < count ? StepTree.rootOf(StepTree.tagged(digest), index, count, proof) : bytes32(0);
        if (found != root || root == bytes32(0)) revert IArbiter.NotUnderRoot(found, root);
    }

    function _checkHash(bytes32 actual, bytes32 expected) private pure {
        if (actual != expected) revert IArbiter.NotUnderRoot(actual, expected);
    }
}
