// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IArbiter} from "./IArbiter.sol";
import {IParticipationLedger} from "./IParticipationLedger.sol";

/// @title Disputes about one step of a committed epoch, fought down to one scalar operation that the contract computes itself
/// @notice Only members of a canonical class can be disputed: their work has one right result, bit for bit. Who stakes in one agrees to
/// this game; elsewhere two honest machines may differ, and a drawn jury decides.
///
/// A *trace* lists all values of a step in the order in which they are made: `values` is the tree over their roots, `structure` the tree over
/// keccak256(entry), the entry saying how the value comes about from earlier ones. A *match* is one challenger's trace against the prover's.
/// Both are led to the first leaf in which their trees differ, which nobody chooses, level by level: values of the step; values that the
/// operator's program makes; chunks of a value; running words of a fold. All that comes before is agreed, so the last word follows from
/// agreed ones. A side that does not move on its clock loses; hashes may be shown for it by anyone, only new roots must come from itself.
///
/// Formats (swarm/proof/dispute_format.py says the same, and packs them). Trees are those of StepTree: leaf keccak256(0x00 || 32 bytes), node
/// keccak256(0x01 || left || right), an odd last node moves up; the tree of nothing is 0. Integers big-endian, words of values little-endian.
///   value        flat 32-bit words; root = tree over its chunks of 8 words, the last one filled up with zeros
///   GIVEN        00 words:u32 root:32
///   INITIAL      01 words:u32 place:u32 leaves:u32 head:u16                  a tensor of the step record's `before`
///   FINAL        02 words:u32 place:u32 leaves:u32 head:u16 source:u32       value `source` once more, as a tensor of `after`
///   MADE         03 words:u32 position:u32 length:u32 program:32 inputs:u16 (number:u32 words:u32) for each input
///   program      tree over keccak256(instruction), `length` of them; its values: the inputs, then one for each instruction
///   instruction  kind:u8 code:u8 axes:u8 operands:u8 length:u32 scale:i64, dim:u32 for each axis, operands, seed:32 of NOISE
///   operand      number:u32 words:u32 offset:i64, stride:i64 for each axis (of FOLD's operands, but not of its start, also the folded one);
///                number 0xffffffff: an immediate
/// Kinds and codes are those of swarm/proof/canonical/definition. A word read outside of its value is 0.
interface IDisputeCourt {
    enum Stage {
        None,
        Answer, // the prover shows its trace, then the challenger the one it sealed
        Equal, // the traces agree: the challenger has to show that the prover's does not end in `after`
        Values, // descent to the first value that differs
        Entry, // its entry is shown
        Programs, // both post the values that the entry's program makes
        Program, // descent to the first instruction whose value differs
        Instruction, // it is shown
        Elements, // descent to the first chunk of the value that differs
        Runs, // both post the running words of the fold that makes the word
        Run, // descent to the first chunk of them that differs
        Settle, // the scalar operation is computed
        State, // the word is looked up in the state before the step
        Closed
    }

    enum Ruling {
        None,
        ProverLost,
        ChallengerLost,
        Structure, // different programs, of which the contract cannot know the right one, or equal traces: what the panels say decides about the bond
        Late // the case was closed without this match
    }

    struct Trace {
        uint32 count; // values of the step
        bytes32 structure;
        bytes32 values;
    }

    /// @notice What is known of a step: from its record, and from the prover.
    struct Step {
        bytes32 beforeRoot;
        bytes32 afterRoot;
        uint64 answeredAt; // chain time, 0: not yet
        Trace trace;
    }

    struct Match {
        bytes32 key; // the prover's
        bytes32 challenger;
        uint128 bond;
        uint32 epoch;
        uint32 step;
        Stage stage;
        Ruling ruling;
        bool challengersTurn;
        bool folds; // the disputed instruction is a FOLD
        uint64 since; // whose turn it is has thought since then
        uint40 proverLeft; // seconds on the clocks, without what has passed since then
        uint40 challengerLeft;
        uint8 height; // of the nodes in their tree
        uint32 index; // their place at that height
        uint32 leaves; // of that tree
        uint32 size; // words of the value in dispute
        uint32 value; // its number in the trace
        uint32 position; // the instruction
        uint32 element; // the word
        uint32 length; // of the fold
        uint32 run; // number of the running word
        uint32 acc; // the running word before it, where it lies in the same chunk
        uint32 proverWord;
        uint32 challengerWord;
        bytes32 proverNode; // what the sides have under dispute: nodes, then roots of values
        bytes32 challengerNode;
        bytes32 sealedTrace; // once opened: the id of the trace
        bytes32 entry; // keccak256
        bytes32 instruction; // keccak256
        bytes32 program; // the prover's tree over the values of the program
        bytes32 running; // the prover's running words
    }

    /// @notice A final value of the prover's trace, and one word of it.
    struct Final {
        uint32 value; // number in the trace
        bytes entry;
        bytes32[] entryProof; // among the entries
        bytes32 root;
        bytes32[] rootProof; // among the values
        uint32 element;
        bytes32 chunk; // of the value
        bytes32[] chunkProof;
    }

    error NotAgent(bytes32 key, address caller);
    error HeaderUnknown(bytes32 key, uint32 epoch);
    error OtherSwarm(bytes32 key, bytes32 other);
    error NotCanonical(bytes32 class, bytes8 expected);
    error NotDisputable(bytes32 key, uint32 epoch);
    error GameTooLate(uint256 ends, uint256 limit);
    error StepWrong(bytes32 root);
    error NotLearned(uint256 kind);
    error MatchTaken(bytes32 id);
    error WrongStage(Stage actual, Stage needed);
    error AlreadyAnswered(bytes32 key, uint32 epoch, uint32 step);
    error NotAnswered(bytes32 key, uint32 epoch, uint32 step);
    error SealWrong(bytes32 actual, bytes32 expected);
    error ClockOut(uint256 spent, uint256 left);
    error ClockRuns(uint256 spent, uint256 left);
    error NodesWrong(bytes32 actual, bytes32 expected);
    error NotContradicted(uint32 word);
    error NothingToCollect(bytes32 id);
    error AddressMismatch(address actual, address expected);

    event Opened(bytes32 indexed id, bytes32 indexed key, uint32 indexed epoch, uint32 step, bytes32 challenger, uint256 bond, uint256 until);
    event Answered(bytes32 indexed key, uint32 indexed epoch, uint32 indexed step, Trace trace);
    event Unsealed(bytes32 indexed id, Trace trace);
    event Revealed(bytes32 indexed id, bool byChallenger, uint8 height, uint32 index, bytes32[] nodes);
    event Descended(bytes32 indexed id, Stage stage, uint8 height, uint32 index, bytes32 proverNode, bytes32 challengerNode);
    event EntryShown(bytes32 indexed id, bytes entry);
    event InstructionShown(bytes32 indexed id, bytes instruction);
    event Posted(bytes32 indexed id, bool byChallenger, bytes32 root);
    /// @notice The word is what the contract computed or looked up, where it came to that.
    event Decided(bytes32 indexed id, uint32 word, uint32 proverWord, uint32 challengerWord);
    event Ended(bytes32 indexed id, bytes32 indexed key, uint32 indexed epoch, Ruling ruling);
    event Collected(bytes32 indexed id, bool returned, uint256 bond);

    /// @notice Opens a match (agent of `challenger`, a member of the same swarm; takes a bond as a challenge does) about a `learn` step of a
    /// committed epoch, from the auditors' reveals on. `leaf` is the step record, `sealedTrace` =
    /// keccak256(abi.encode(challenger, key, epoch, step, count, structure, values, salt)): so nobody can copy it, the prover neither.
    /// id = keccak256(abi.encode(key, epoch, step, challenger)).
    function open(
        IParticipationLedger.Header calldata header,
        uint32 step,
        bytes calldata leaf,
        bytes32[] calldata proof,
        bytes32 challenger,
        bytes32 sealedTrace
    ) external returns (bytes32 id);
    /// @notice The prover (its agent) shows its trace of a step, once, for all matches about it.
    function answer(bytes32 key, uint32 epoch, uint32 step, Trace calldata trace) external;
    /// @notice Opens the seal, when the prover has answered (anyone who knows it).
    function unseal(bytes32 id, Trace calldata trace, bytes32 salt) external;
    /// @notice Shows nodes of the side whose turn it is: those DEPTH levels below the disputed one (or fewer, if so many are not left), all of them;
    /// at the bottom what the leaves are hashes of. Then it is the other's turn (anyone).
    function reveal(bytes32 id, bytes32[] calldata nodes) external;
    /// @notice The nodes of both sides: goes on to the first that differs (anyone). The clock runs on for the same side.
    function descend(bytes32 id, bytes32[] calldata proverNodes, bytes32[] calldata challengerNodes) external;
    /// @notice Shows the entry of the disputed value (anyone). For FINAL also its source's root, with its proof among the step's values.
    function showEntry(bytes32 id, bytes calldata entry, bytes32[] calldata proof, bytes32 source, bytes32[] calldata sourceProof) external;
    /// @notice The side whose turn it is (its agent) posts the tree over what the program's instructions make, with the proof that the entry's
    /// instruction makes the root in dispute.
    function postProgram(bytes32 id, bytes calldata entry, bytes32 root, bytes32[] calldata proof) external;
    /// @notice Shows the disputed instruction (anyone).
    function showInstruction(bytes32 id, bytes calldata entry, bytes calldata instruction, bytes32[] calldata proof) external;
    /// @notice The side whose turn it is (its agent) posts the root of the running words, with the chunk that holds the last one.
    function postRun(bytes32 id, bytes32 root, bytes32 chunk, bytes32[] calldata proof) external;
    /// @notice Computes the disputed word from agreed ones (anyone). One opening for each operand, empty where none is needed: for immediates,
    /// for what lies outside, for the operand that an UPDATE does not take the word from. In a FOLD the last one is for its start if the
    /// first running word is in dispute, else (where that begins a chunk) for the running word before.
    function settle(bytes32 id, bytes calldata entry, bytes calldata instruction, IArbiter.Opening[] calldata openings) external;
    /// @notice Looks the disputed word of an INITIAL value up in the state before the step (anyone).
    function settleState(bytes32 id, bytes calldata entry, IArbiter.StateOpening calldata opening) external;
    /// @notice Shows that a word of the prover's trace is not the one of the state after the step (anyone; once the structures agree, at any time).
    function contradict(bytes32 id, Final calldata shown, IArbiter.StateOpening calldata opening) external;
    /// @notice Whoever's clock has run out loses (anyone).
    function timeout(bytes32 id) external;
    /// @notice Frees the bond of a match that ended by structure, or of one that the end of the case overtook (anyone).
    function collect(bytes32 id) external;

    function matchOf(bytes32 id) external view returns (Match memory);
    function stepOf(bytes32 key, uint32 epoch, uint32 step) external view returns (Step memory);
    /// @notice Whose clock runs, for how long it has, and how long it may.
    function clockOf(bytes32 id) external view returns (bool challengers, uint256 spent, uint256 left);
    /// @notice How many nodes a reveal of the match shows now.
    function nodesOf(bytes32 id) external view returns (uint256);
    /// @notice Steps that matches were opened about: a jury looks at them beside the drawn ones, and may name one of them. So a prover whose
    /// trace has another structure, which no contract can judge, meets a jury about that very step, however late it answers.
    function disputedSteps(bytes32 key, uint32 epoch) external view returns (uint32[] memory);
    /// @notice Matches about an epoch that are open.
    function openCount(bytes32 key, uint32 epoch) external view returns (uint256);
}
